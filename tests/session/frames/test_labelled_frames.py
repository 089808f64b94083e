"""What a person does with frames, and what others wrote unnoticed."""

from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from napari_seggpt.io.layout import StackError
from napari_seggpt.session import FrameStatus, Session
from napari_seggpt.session.frames import labelled_frames
from napari_seggpt.settings import (
    SessionSettings,
)

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


def test_a_new_session_has_seen_nothing(make_session: Any, blob: Any) -> None:
    session = make_session(np.stack([blob()] * 3))
    assert len(session) == 3
    assert session.frames.statuses == (EMPTY,) * 3
    assert session.frames.protected == frozenset()
    assert session.references.all == ()
    assert session.frames.least_certain() is None
    assert session.frames.next_to_review(-1) is None


@pytest.mark.parametrize("frame", [-1, 6])
@pytest.mark.parametrize(
    "act",
    [
        "frames.status", "frames.confidence", "frames.approve", "frames.unapprove",
        "frames.release", "references.add", "references.remove",
    ],
)  # fmt: skip
def test_a_frame_that_is_not_there(session: Session, act: str, frame: int) -> None:
    with pytest.raises(ValueError, match=f"a frame from 0 to 5, got {frame}"):
        attrgetter(act)(session)(frame)


def test_a_painted_frame_is_a_reference(
    news: Any, session: Session, blob: Any, label: Any
) -> None:
    assert news(session, lambda: label(session, 2, blob())) == ([2], 1)
    assert session.frames.status(2) is REFERENCE
    assert session.frames.protected == {2}
    (reference,) = session.references.all
    assert (reference.frame, reference.enabled, reference.is_labelled) == (2, 1, 1)
    assert news(session, lambda: label(session, 2, 0)) == ([2], 1)
    assert session.frames.status(2) is EMPTY


def test_what_did_not_change_is_no_news(news: Any, predicted: Session) -> None:
    assert news(predicted, lambda: predicted.frames.labels_changed(None)) == ([], 0)
    assert news(predicted, lambda: predicted.frames.labels_changed(range(6))) == ([], 0)


def test_a_correction_protects_and_makes_what_was_predicted_without_it_stale(
    news: Any, predicted: Session, blob: Any, label: Any
) -> None:
    frames, told = news(predicted, lambda: label(predicted, 3, blob(2)))
    assert (frames, told) == ([1, 2, 3, 4, 5], 1)
    assert predicted.frames.statuses == (
        REFERENCE,
        STALE,
        STALE,
        CORRECTED,
        STALE,
        STALE,
    )
    assert predicted.plan("stale", 0) == (1, 2, 4, 5)
    assert predicted.frames.confidence(3) is None
    label(predicted, 3, blob())  # as it was predicted
    assert predicted.frames.statuses == (REFERENCE, *(PREDICTED,) * 5)
    assert predicted.frames.confidence(3) is not None


def test_corrections_that_are_no_references_make_nothing_stale(
    make_session: Any, blob: Any, label: Any, predict: Any
) -> None:
    session = make_session(
        settings=SessionSettings(corrections_become_references=False)
    )
    label(session, 0, blob())
    predict(session)
    label(session, 3, blob(2))
    assert session.frames.statuses[2:5] == (PREDICTED, CORRECTED, PREDICTED)
    assert [reference.frame for reference in session.references.all] == [0]
    session.settings = SessionSettings()
    label(session, 4, blob(2))
    assert [reference.frame for reference in session.references.all] == [0, 4]


def test_approving_and_taking_it_back(news: Any, predicted: Session) -> None:
    assert news(predicted, lambda: predicted.frames.approve(2)) == ([2], 0)
    assert predicted.frames.status(2) is APPROVED
    assert 2 not in predicted.plan("all", 0)
    assert news(predicted, lambda: predicted.frames.approve(2)) == ([], 0)
    assert news(predicted, lambda: predicted.frames.unapprove(2)) == ([2], 0)
    assert predicted.frames.status(2) is PREDICTED


def test_an_approved_frame_that_was_painted_on_is_corrected_without_it(
    predicted: Session, blob: Any, label: Any
) -> None:
    predicted.frames.approve(2)
    label(predicted, 2, blob(3))
    assert predicted.frames.status(2) is APPROVED
    predicted.frames.unapprove(2)
    assert predicted.frames.status(2) is CORRECTED


def test_labels_of_a_person_are_safe_when_all_that_was_said_is_taken_back(
    session: Session, blob: Any, label: Any, predict: Any
) -> None:
    label(session, 0, blob())
    label(session, 2, blob(2))
    session.frames.approve(2)
    session.references.remove(2)
    session.frames.unapprove(2)
    assert session.frames.status(2) is CORRECTED
    assert 2 not in session.plan("all", 0)
    assert 2 not in predict(session)
    assert (session.frames.labels.read(2) == blob(2)).all()


def test_a_released_frame_is_stale_and_runs_may_write_it(
    predicted: Session, blob: Any, label: Any
) -> None:
    label(predicted, 2, blob(3))
    predicted.frames.approve(2)
    predicted.frames.release(2)
    assert predicted.frames.status(2) is STALE
    assert predicted.plan("stale", 0) == (2,)
    assert (predicted.frames.labels.read(2) == blob(3)).all()
    predicted.frames.release(0)
    assert predicted.frames.statuses[0] is STALE
    assert predicted.references.all == ()


def test_what_is_to_be_reviewed(predicted: Session, blob: Any, label: Any) -> None:
    assert predicted.frames.next_to_review(-1) == 1
    predicted.frames.approve(1)
    label(predicted, 3, blob(2))
    assert predicted.frames.next_to_review(0) == 2
    assert predicted.frames.next_to_review(2) == 4
    assert predicted.frames.next_to_review(5) is None
    assert predicted.frames.next_to_review(4, -1) == 2
    assert predicted.frames.next_to_review(2, -1) is None
    assert (
        predicted.frames.least_certain() == 5
    )  # the fake is less sure with each frame
    predicted.frames.approve(5)
    assert predicted.frames.least_certain() == 4


def test_a_scan_finds_what_nobody_told_of(
    news: Any, make_session: Any, blob: Any
) -> None:
    session = make_session()
    session.frames.labels.data[2] = blob()
    found = list(session.frames.scan())
    assert [each.index for each in found] == [0, 1, 2, 3, 4, 5]
    assert session.frames.statuses == (EMPTY,) * 6  # it only looked
    assert news(session, lambda: session.frames.take_scan(*found)) == ([2], 1)
    assert session.frames.status(2) is REFERENCE


def test_a_scan_that_is_out_of_date_does_no_harm(session: Session, blob: Any) -> None:
    session.frames.labels.data[2] = blob()
    found = list(session.frames.scan())
    session.frames.labels.data[2] = 0
    session.frames.labels_changed([2])
    session.frames.take_scan(*found)
    assert session.frames.status(2) is EMPTY
    session.frames.labels.data[2] = blob(3)
    session.frames.labels_changed([2])
    session.frames.take_scan(*found)
    assert session.frames.status(2) is REFERENCE


def test_what_a_worker_has_read_the_window_reads_no_more(
    session: Session, blob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.frames.labels.data[:] = blob()
    session.frames.labels_changed([4])
    found = list(session.frames.scan())
    monkeypatch.setattr(session.frames.labels, "read", lambda _: pytest.fail("read"))
    session.frames.take_scan(*found)
    assert session.frames.statuses == (REFERENCE,) * 6
    monkeypatch.undo()
    session.frames.labels.data[2] = 0  # nobody tells of it
    assert not session.frames.writer.read(2).any()
    assert session.frames.status(2) is EMPTY


def test_many_frames_are_left_to_a_worker(
    session: Session, blob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[None] = []
    session.frames.scan_wanted.connect(lambda: wanted.append(None))
    session.frames.labels.data[2] = blob()
    monkeypatch.setattr(labelled_frames, "MAX_PIXELS_READ_AT_ONCE", 6 * 64 - 1)
    session.frames.labels_changed(None)
    assert len(wanted) == 1
    assert session.frames.status(2) is EMPTY
    monkeypatch.setattr(labelled_frames, "MAX_PIXELS_READ_AT_ONCE", 6 * 64)
    session.frames.labels_changed(None)
    assert len(wanted) == 1
    assert session.frames.status(2) is REFERENCE


@pytest.mark.parametrize("damaged", [0, 3])
def test_a_frame_with_damaged_labels_hides_no_other(
    session: Session, blob: Any, monkeypatch: pytest.MonkeyPatch, damaged: int
) -> None:
    read = session.frames.labels.read

    def broken(frame: int) -> np.ndarray:
        if frame == damaged:
            raise StackError("no chunk")
        return read(frame)

    monkeypatch.setattr(session.frames.labels, "read", broken)
    session.frames.labels.data[:] = blob()
    found = list(session.frames.scan())
    assert {each.index for each in found} == {*range(6)} - {damaged}
    session.frames.take_scan(*found[:1])
    session.frames.labels_changed([damaged, 4])
    assert session.frames.statuses.count(REFERENCE) == 2
    wanted: list[None] = []
    session.frames.scan_wanted.connect(lambda: wanted.append(None))
    session.frames.labels_changed(None)
    assert session.frames.statuses.count(REFERENCE) == 5 or wanted == [None]


def test_what_was_found_before_an_error_is_told(
    news: Any, session: Session, blob: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = session.frames.labels.read

    def broken(frame: int) -> np.ndarray:
        if frame == 3:
            raise OSError("unreadable")
        return read(frame)

    monkeypatch.setattr(session.frames.labels, "read", broken)
    session.frames.labels.data[2] = blob()

    def look() -> None:
        with pytest.raises(OSError, match="unreadable"):
            session.frames.labels_changed([2, 3])

    assert news(session, look) == ([2], 1)


@pytest.mark.parametrize("said", ["is_approved", "is_corrected", "is_asked"])
def test_what_is_said_elsewhere_of_a_found_frame_outlives_its_labels(
    session: Session, label: Any, blob: Any, said: str
) -> None:
    label(session, 3, blob())
    theirs = replace(session.frames.record(3), **{said: True})
    session.frames.vouch_for({3: theirs})
    assert session.references.used_frames == [3]
    label(session, 3, 0)
    assert 3 in session.frames.protected
    assert session.references.used_frames == ([3] if said == "is_asked" else [])
    label(session, 0, blob())
    assert 3 not in session.plan("all", 0)


def test_a_found_frame_is_the_reference_that_it_is_elsewhere(
    session: Session, label: Any, blob: Any
) -> None:
    for frame in (2, 3):
        label(session, frame, blob())
    theirs = replace(session.frames.record(3), is_asked=True)
    session.frames.vouch_for(
        {2: replace(theirs, is_hint=True), 3: replace(theirs, is_enabled=False)}
    )
    assert session.references.used_frames == [2]
    assert session.references.whole_frames == []
