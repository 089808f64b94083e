"""The status of a frame follows from what is known of it."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from napari_seggpt.session import PROTECTED, FrameStatus
from napari_seggpt.session.frames.frame_labels import NO_LABELS
from napari_seggpt.session.frames.status import (
    UNKNOWN,
    FrameRecord,
    is_found,
    released,
    seen,
    vouched_as,
    without_approval,
    without_reference,
)

MINE, OTHER, PREDICTED = b"mine", b"other", b"predicted"
NOW, THEN = b"now", b"then"

by_a_run = FrameRecord(checksum=PREDICTED, predicted=PREDICTED, key=NOW, confidence=0.5)

FACTS = ("is_approved", "is_corrected", "is_reference", "is_asked", "is_enabled")
ALL = [
    FrameRecord(
        checksum=checksum, predicted=predicted, **dict(zip(FACTS, facts, strict=True))
    )
    for checksum in (NO_LABELS, MINE, PREDICTED)
    for predicted in (None, NO_LABELS, PREDICTED)
    for facts in itertools.product((False, True), repeat=len(FACTS))
]


def look(record: FrameRecord, *checksums: bytes, becomes: bool = True) -> FrameRecord:
    for checksum in checksums:
        record = seen(record, checksum, corrections_become_references=becomes)
    return record


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({}, FrameStatus.EMPTY),
        ({"checksum": MINE, "is_reference": True}, FrameStatus.REFERENCE),
        ({"predicted": NO_LABELS, "key": NOW}, FrameStatus.PREDICTED),
        ({"predicted": NO_LABELS, "key": THEN}, FrameStatus.STALE),
        ({"predicted": NO_LABELS, "key": None}, FrameStatus.STALE),
        ({"predicted": NO_LABELS, "is_corrected": True}, FrameStatus.CORRECTED),
        ({"is_corrected": True, "is_reference": True}, FrameStatus.CORRECTED),
        ({"is_approved": True, "is_corrected": True}, FrameStatus.APPROVED),
        ({"is_approved": True, "is_reference": True}, FrameStatus.APPROVED),
        ({"checksum": MINE}, FrameStatus.CORRECTED),
        ({"checksum": NO_LABELS, "predicted": PREDICTED}, FrameStatus.CORRECTED),
        ({"checksum": MINE, "predicted": PREDICTED}, FrameStatus.CORRECTED),
    ],
)
def test_statuses(facts: dict[str, Any], status: FrameStatus) -> None:
    assert FrameRecord(**facts).status(NOW) is status


def test_who_is_protected_has_a_protected_status() -> None:
    for record in ALL:
        assert record.is_protected == (record.status(NOW) in PROTECTED)


def test_labels_that_no_run_left_are_protected_whatever_else_is_known() -> None:
    for record in ALL:
        if record.checksum != (record.predicted or NO_LABELS):
            assert record.is_protected


def test_no_order_of_clicks_gives_a_persons_labels_away() -> None:
    """All that can be said of a frame and taken back, in any order, four at a time."""
    acts = {
        "approve": lambda record: replace(record, is_approved=True),
        "take it back": without_approval,
        "reference": lambda record: replace(record, is_reference=True, is_asked=True),
        "no reference": without_reference,
        "switch off": lambda record: replace(record, is_enabled=False),
    }
    for start in (look(UNKNOWN, MINE), look(by_a_run, MINE), look(by_a_run, NO_LABELS)):
        for names in itertools.product(acts, repeat=4):
            record = start
            for name in names:
                record = acts[name](record)
                assert record.is_protected, names
            assert not is_found(record) or record == start
            erased_or_painted_on = look(record, OTHER)
            assert erased_or_painted_on.is_protected, names


def test_a_frame_that_did_not_change_stays_as_it_is() -> None:
    for record in ALL:
        assert look(record, record.checksum) == record


def test_labels_on_an_empty_frame_make_a_reference_until_they_are_gone() -> None:
    record = look(UNKNOWN, MINE)
    assert record.status(NOW) is FrameStatus.REFERENCE
    assert look(record, OTHER).status(NOW) is FrameStatus.REFERENCE
    assert look(record, NO_LABELS) == UNKNOWN


def test_a_reference_that_is_switched_off_stays_so_while_it_is_painted_on() -> None:
    record = replace(look(UNKNOWN, MINE), is_enabled=False)
    assert not record.is_used
    assert not look(record, OTHER).is_used
    assert look(record, NO_LABELS, MINE).is_used  # a new one


@pytest.mark.parametrize("becomes", [True, False])
@pytest.mark.parametrize("content", [MINE, NO_LABELS])
def test_a_change_of_what_was_predicted_is_a_correction(
    content: bytes, becomes: bool
) -> None:
    record = look(by_a_run, content, becomes=becomes)
    assert record.status(NOW) is FrameStatus.CORRECTED
    assert record.is_used == becomes
    assert look(record, OTHER, becomes=not becomes).is_used == becomes
    assert look(record, PREDICTED) == by_a_run  # all strokes undone


def test_a_frame_that_was_made_a_reference_stays_one_when_strokes_are_undone() -> None:
    record = replace(by_a_run, is_reference=True, is_asked=True)
    assert look(record, MINE).status(NOW) is FrameStatus.CORRECTED
    assert look(record, MINE, PREDICTED) == record


@pytest.mark.parametrize("start", [UNKNOWN, by_a_run])
def test_an_approved_frame_that_is_painted_on_stays_approved(
    start: FrameRecord,
) -> None:
    record = look(replace(start, is_approved=True), MINE)
    assert record.status(NOW) is FrameStatus.APPROVED
    assert replace(record, is_approved=False).is_protected


def test_a_former_reference_is_protected_as_before() -> None:
    for record in ALL:
        now = without_reference(record)
        assert not now.is_reference
        assert not now.is_used
        has_content = record.checksum != NO_LABELS or record.predicted is not None
        assert now.is_protected == (
            has_content or record.is_approved or record.is_corrected
        )


def test_a_reference_that_was_predicted_is_approved_when_it_is_one_no_more() -> None:
    asked = replace(by_a_run, is_reference=True, is_asked=True)
    assert without_reference(asked).status(NOW) is FrameStatus.APPROVED
    mine = without_reference(look(UNKNOWN, MINE))
    assert mine.status(NOW) is FrameStatus.CORRECTED
    for content in (OTHER, NO_LABELS):  # still vouched for, and no reference again
        assert look(mine, content).status(NOW) is FrameStatus.CORRECTED
        assert not look(mine, content).is_reference


def test_a_released_frame_is_stale_or_empty() -> None:
    for record in ALL:
        now = released(record)
        assert not now.is_protected
        assert now.checksum == record.checksum
        is_empty = record.checksum == NO_LABELS
        assert now.status(NOW) is (FrameStatus.EMPTY if is_empty else FrameStatus.STALE)
        assert look(now, OTHER).is_protected


def test_a_reference_that_was_asked_for_stays_one_without_labels():
    asked = FrameRecord(checksum=b"some", is_reference=True, is_asked=True)
    emptied = seen(asked, NO_LABELS, corrections_become_references=True)
    assert emptied.is_reference
    painted = FrameRecord(checksum=b"some", is_reference=True)
    assert not seen(painted, NO_LABELS, corrections_become_references=True).is_reference


def test_who_vouches_elsewhere_protects_and_makes_no_reference_by_that() -> None:
    for other in ALL:
        if not other.is_vouched_for:
            continue
        now = vouched_as(by_a_run, other)
        assert now.is_protected
        assert now.predicted == by_a_run.predicted
        assert now.is_reference == (other.is_reference and other.is_asked)
    found = FrameRecord(checksum=MINE, is_reference=True, is_enabled=False)
    assert vouched_as(by_a_run, found).status(NOW) is FrameStatus.APPROVED
