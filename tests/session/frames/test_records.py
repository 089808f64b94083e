"""The book tells which frames look otherwise, and neither more nor fewer."""

from dataclasses import replace

import pytest

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.frames.records import FrameRecords, confidence
from napari_seggpt.session.frames.status import UNKNOWN, FrameRecord


@pytest.fixture
def book() -> FrameRecords:
    return FrameRecords(5)


def reference(content: bytes = b"mine", **facts: bool) -> FrameRecord:
    return FrameRecord(checksum=content, is_reference=True, **facts)


def predicted(book: FrameRecords, confidence: float = 0.5) -> FrameRecord:
    return FrameRecord(
        checksum=b"run", predicted=b"run", key=book.key, confidence=confidence
    )


def test_a_new_book(book: FrameRecords) -> None:
    assert [book.status(frame) for frame in range(5)] == [FrameStatus.EMPTY] * 5
    assert book.references == []
    assert book.protected == frozenset()
    assert list(book.predicted()) == []
    assert book.take_changes().frames == ()


def test_references_are_in_order_and_protected(book: FrameRecords) -> None:
    book[3] = reference()
    book[1] = reference(is_enabled=False)
    book[4] = replace(predicted(book), is_approved=True)
    assert book.references == [1, 3]
    assert book.protected == {1, 3, 4}
    book[3] = UNKNOWN
    assert book.references == [1]
    assert book.protected == {1, 4}


def test_predicted_frames_are_those_that_may_be_predicted_again(
    book: FrameRecords,
) -> None:
    book[0] = reference()
    book[1] = predicted(book)
    book[2] = replace(predicted(book), is_corrected=True)
    assert [frame for frame, _ in book.predicted()] == [1]


def test_the_key_stands_for_what_the_used_references_show(book: FrameRecords) -> None:
    keys = [book.key]
    for frame, record in [
        (1, reference()),
        (1, reference(b"other")),
        (2, reference(b"other")),
    ]:
        book[frame] = record
        keys.append(book.key)
    book.set_basis(b"other settings")
    keys.append(book.key)
    assert len(set(keys)) == len(keys)


def test_the_key_is_the_same_when_all_is_as_it_was(book: FrameRecords) -> None:
    book[1], book[2] = reference(), reference(b"other")
    key = book.key
    book[2] = replace(book[2], is_enabled=False)
    assert book.key != key
    book[1] = UNKNOWN
    book[1] = replace(reference(), is_approved=True)  # in another order
    book[2] = replace(book[2], is_enabled=True)
    assert book.key == key
    book.set_basis(b"other settings")
    book.set_basis(b"")
    assert book.key == key


def test_the_key_tells_which_frame_shows_what(book: FrameRecords) -> None:
    other = FrameRecords(5)
    book[1], book[2] = reference(b"a"), reference(b"b")
    other[1], other[2] = reference(b"b"), reference(b"a")
    assert book.key != other.key


def test_what_does_not_serve_as_a_reference_leaves_the_key_alone(
    book: FrameRecords,
) -> None:
    key = book.key
    book[0] = predicted(book)
    book[1] = replace(predicted(book), is_approved=True)
    book[2] = reference(is_enabled=False)
    assert book.key == key


def test_changes_are_told_once(book: FrameRecords) -> None:
    book[2] = reference()
    changes = book.take_changes()
    assert changes.frames == (2,)
    assert changes.references
    changes = book.take_changes()
    assert changes.frames == ()
    assert not changes.references


def test_what_changes_back_in_between_is_not_told(book: FrameRecords) -> None:
    book[2] = reference()
    book[2] = UNKNOWN
    assert book.take_changes().frames == ()


def test_a_new_confidence_is_told(book: FrameRecords) -> None:
    book[2] = predicted(book, 0.5)
    book.take_changes()
    book[2] = predicted(book, 0.6)
    assert book.take_changes().frames == (2,)


def test_frames_become_stale_with_the_references_and_that_is_told(
    book: FrameRecords,
) -> None:
    book[0] = reference()
    for frame in (1, 2, 3):
        book[frame] = predicted(book)
    book[3] = replace(book[3], is_approved=True)
    book.take_changes()
    book[0] = reference(b"other")
    changes = book.take_changes()
    assert changes.frames == (1, 2)
    assert {book.status(frame) for frame in (1, 2)} == {FrameStatus.STALE}
    book[0] = reference()
    assert book.take_changes().frames == (1, 2)
    assert {book.status(frame) for frame in (1, 2)} == {FrameStatus.PREDICTED}


def test_who_was_stale_before_is_not_told_again(book: FrameRecords) -> None:
    book[1] = predicted(book)
    book.set_basis(b"other")
    book.take_changes()
    book.set_basis(b"still another")
    assert book.take_changes().frames == ()


def test_a_frame_and_the_key_change_together(book: FrameRecords) -> None:
    book[1] = predicted(book)
    book.take_changes()
    book.set_basis(b"other")
    book[1] = predicted(book)  # predicted before and after
    assert book.take_changes().frames == ()
    book[1] = replace(predicted(book), key=None)
    book.set_basis(b"")
    assert book.take_changes().frames == (1,)


def test_the_confidence_of_what_is_not_there_is_not_known(book: FrameRecords) -> None:
    record = predicted(book, 0.7)
    assert confidence(record) == 0.7
    assert confidence(replace(record, checksum=b"painted")) is None
    assert confidence(UNKNOWN) is None
