"""Records tell which frames have changed, and neither more nor fewer."""

from dataclasses import replace

import pytest

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.frames.records import FrameRecords, confidence
from napari_seggpt.session.frames.status import UNKNOWN, FrameRecord


@pytest.fixture
def records() -> FrameRecords:
    return FrameRecords(5)


def reference(content: bytes = b"mine", **facts: bool) -> FrameRecord:
    return FrameRecord(checksum=content, is_reference=True, **facts)


def predicted(records: FrameRecords, confidence: float = 0.5) -> FrameRecord:
    return FrameRecord(
        checksum=b"run", predicted=b"run", key=records.key, confidence=confidence
    )


def test_a_new_book(records: FrameRecords) -> None:
    assert [records.status(frame) for frame in range(5)] == [FrameStatus.EMPTY] * 5
    assert records.references == []
    assert records.protected == frozenset()
    assert list(records.predicted()) == []
    assert records.take_changes().frames == ()


def test_references_are_in_order_and_protected(records: FrameRecords) -> None:
    records[3] = reference()
    records[1] = reference(is_enabled=False)
    records[4] = replace(predicted(records), is_approved=True)
    assert records.references == [1, 3]
    assert records.protected == {1, 3, 4}
    records[3] = UNKNOWN
    assert records.references == [1]
    assert records.protected == {1, 4}


def test_predicted_frames_are_those_that_may_be_predicted_again(
    records: FrameRecords,
) -> None:
    records[0] = reference()
    records[1] = predicted(records)
    records[2] = replace(predicted(records), is_corrected=True)
    assert [frame for frame, _ in records.predicted()] == [1]


def test_the_key_stands_for_what_used_references_show(
    records: FrameRecords,
) -> None:
    keys = [records.key]
    for frame, record in [
        (1, reference()),
        (1, reference(b"other")),
        (2, reference(b"other")),
    ]:
        records[frame] = record
        keys.append(records.key)
    records.set_basis(b"other settings")
    keys.append(records.key)
    assert len(set(keys)) == len(keys)


def test_the_key_is_the_same_when_all_is_as_it_was(records: FrameRecords) -> None:
    records[1], records[2] = reference(), reference(b"other")
    key = records.key
    records[2] = replace(records[2], is_enabled=False)
    assert records.key != key
    records[1] = UNKNOWN
    records[1] = replace(reference(), is_approved=True)  # in another order
    records[2] = replace(records[2], is_enabled=True)
    assert records.key == key
    records.set_basis(b"other settings")
    records.set_basis(b"")
    assert records.key == key


def test_the_key_tells_which_frame_shows_what(records: FrameRecords) -> None:
    other = FrameRecords(5)
    records[1], records[2] = reference(b"a"), reference(b"b")
    other[1], other[2] = reference(b"b"), reference(b"a")
    assert records.key != other.key


def test_what_does_not_serve_as_a_reference_leaves_the_key_alone(
    records: FrameRecords,
) -> None:
    key = records.key
    records[0] = predicted(records)
    records[1] = replace(predicted(records), is_approved=True)
    records[2] = reference(is_enabled=False)
    assert records.key == key


def test_changes_are_told_once(records: FrameRecords) -> None:
    records[2] = reference()
    changes = records.take_changes()
    assert changes.frames == (2,)
    assert changes.references
    changes = records.take_changes()
    assert changes.frames == ()
    assert not changes.references


def test_what_changes_back_in_between_is_not_told(records: FrameRecords) -> None:
    records[2] = reference()
    records[2] = UNKNOWN
    assert records.take_changes().frames == ()


def test_a_new_confidence_is_told(records: FrameRecords) -> None:
    records[2] = predicted(records, 0.5)
    records.take_changes()
    records[2] = predicted(records, 0.6)
    assert records.take_changes().frames == (2,)


def test_frames_become_stale_with_the_references_and_that_is_told(
    records: FrameRecords,
) -> None:
    records[0] = reference()
    for frame in (1, 2, 3):
        records[frame] = predicted(records)
    records[3] = replace(records[3], is_approved=True)
    records.take_changes()
    records[0] = reference(b"other")
    changes = records.take_changes()
    assert changes.frames == (1, 2)
    assert {records.status(frame) for frame in (1, 2)} == {FrameStatus.STALE}
    records[0] = reference()
    assert records.take_changes().frames == (1, 2)
    assert {records.status(frame) for frame in (1, 2)} == {FrameStatus.PREDICTED}


def test_who_was_stale_before_is_not_told_again(records: FrameRecords) -> None:
    records[1] = predicted(records)
    records.set_basis(b"other")
    records.take_changes()
    records.set_basis(b"still another")
    assert records.take_changes().frames == ()


def test_a_frame_and_the_key_change_together(records: FrameRecords) -> None:
    records[1] = predicted(records)
    records.take_changes()
    records.set_basis(b"other")
    records[1] = predicted(records)  # predicted before and after
    assert records.take_changes().frames == ()
    records[1] = replace(predicted(records), key=None)
    records.set_basis(b"")
    assert records.take_changes().frames == (1,)


def test_the_confidence_of_what_is_gone_is_not_known(
    records: FrameRecords,
) -> None:
    record = predicted(records, 0.7)
    assert confidence(record) == 0.7
    assert confidence(replace(record, checksum=b"painted")) is None
    assert confidence(UNKNOWN) is None
