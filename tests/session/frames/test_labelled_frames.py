"""What a person does, and what the session makes of it."""

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from napari_seggpt.prompts import Prompt
from napari_seggpt.session import FrameStatus, Session
from napari_seggpt.session.frames import labelled_frames
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


@pytest.fixture
def predicted(session: Session, blob: Any, label: Any, predict: Any) -> Session:
    """Frame 0 is a reference, all others are predicted from it."""
    label(session, 0, blob())
    assert predict(session) == [1, 2, 3, 4, 5]
    return session


def news(session: Session, act: Callable[[], object]) -> tuple[list[int], int]:
    """Return the frames that an act told of, and how often it told of references."""
    frames: list[int] = []
    references: list[None] = []
    session.frames.statuses_changed.connect(frames.extend)
    session.references.changed.connect(lambda: references.append(None))
    act()
    session.frames.statuses_changed.disconnect()
    session.references.changed.disconnect()
    return frames, len(references)


def test_labels_of_another_length_are_refused(make_session: Any) -> None:
    with pytest.raises(ValueError, match="labels of all 4 frames, got 6 frames"):
        make_session(stack=np.zeros((4, 8, 8)))


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
    session: Session, blob: Any, label: Any
) -> None:
    assert news(session, lambda: label(session, 2, blob())) == ([2], 1)
    assert session.frames.status(2) is REFERENCE
    assert session.frames.protected == {2}
    (reference,) = session.references.all
    assert (reference.frame, reference.enabled, reference.is_labelled) == (2, 1, 1)
    assert news(session, lambda: label(session, 2, 0)) == ([2], 1)
    assert session.frames.status(2) is EMPTY


def test_what_did_not_change_is_no_news(predicted: Session) -> None:
    assert news(predicted, lambda: predicted.frames.labels_changed(None)) == ([], 0)
    assert news(predicted, lambda: predicted.frames.labels_changed(range(6))) == ([], 0)


def test_a_correction_protects_and_makes_what_was_predicted_without_it_stale(
    predicted: Session, blob: Any, label: Any
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


def test_approving_and_taking_it_back(predicted: Session) -> None:
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


def test_an_empty_frame_can_be_a_reference(session: Session) -> None:
    session.references.add(4)
    (reference,) = session.references.all
    assert (reference.frame, reference.is_labelled) == (4, False)
    assert session.frames.status(4) is REFERENCE
    session.references.remove(4)
    assert session.references.all == ()
    assert session.frames.status(4) is EMPTY


def test_removing_a_reference_leaves_it_protected(
    predicted: Session, blob: Any, label: Any
) -> None:
    assert news(predicted, lambda: predicted.references.remove(0))[1] == 1
    assert predicted.references.all == ()
    assert predicted.frames.status(0) is CORRECTED
    predicted.references.add(3)
    assert predicted.frames.status(3) is REFERENCE
    predicted.references.remove(3)
    assert predicted.frames.status(3) is APPROVED
    assert news(predicted, lambda: predicted.references.remove(5)) == ([], 0)
    assert predicted.frames.status(5) is STALE


def test_switching_a_reference_off_and_on(predicted: Session) -> None:
    predicted.references.set_enabled(0, False)
    assert [reference.enabled for reference in predicted.references.all] == [False]
    assert predicted.frames.statuses == (REFERENCE, *(STALE,) * 5)
    predicted.references.set_enabled(0, True)
    assert predicted.frames.statuses == (REFERENCE, *(PREDICTED,) * 5)
    with pytest.raises(ValueError, match="a reference frame, got frame 1"):
        predicted.references.set_enabled(1, True)


def test_examples_from_elsewhere(predicted: Session, blob: Any) -> None:
    prompt = Prompt(image=np.full((8, 8), 3, np.uint8), labels=blob(2))
    assert news(
        predicted, lambda: predicted.references.add_example(prompt, "mine")
    ) == (
        [1, 2, 3, 4, 5],
        1,
    )
    assert predicted.references.all[-1].name == "mine"
    assert predicted.frames.status(1) is STALE
    predicted.references.set_example_enabled("mine", False)
    assert predicted.frames.status(1) is PREDICTED
    assert news(predicted, lambda: predicted.references.remove_example("mine")) == (
        [],
        1,
    )
    assert len(predicted.references.all) == 1


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"model": "large"}, STALE),
        ({"contrast": ContrastSettings(percentiles=(1, 99))}, STALE),
        ({"prediction": PredictionSettings(seg_type="instance")}, STALE),
        ({"propagation": PropagationSettings(memory=2)}, STALE),
        ({"prediction": PredictionSettings(device="cpu", batch=2)}, PREDICTED),
        ({"prediction": PredictionSettings(precision="bfloat16")}, PREDICTED),
        ({"propagation": PropagationSettings(start=2, step=2)}, PREDICTED),
        ({"propagation": PropagationSettings(direction="forward")}, PREDICTED),
        ({"corrections_become_references": False}, PREDICTED),
    ],
    ids=str,
)
def test_what_was_predicted_otherwise_is_stale(
    predicted: Session, changed: dict[str, Any], status: FrameStatus
) -> None:
    before = predicted.settings
    predicted.settings = replace(before, **changed)
    assert predicted.frames.statuses == (REFERENCE, *(status,) * 5)
    predicted.settings = before
    assert predicted.frames.status(1) is PREDICTED


def test_with_memory_the_direction_matters(predicted: Session, predict: Any) -> None:
    predicted.settings = SessionSettings(propagation=PropagationSettings(memory=2))
    predict(predicted)
    assert predicted.frames.status(1) is PREDICTED
    predicted.settings = SessionSettings(
        propagation=PropagationSettings(memory=2, direction="forward")
    )
    assert predicted.frames.status(1) is STALE


def test_another_stack_makes_everything_stale(predicted: Session) -> None:
    other = np.ones((6, 8, 8), np.uint8)
    predicted.set_stack(other)
    assert predicted.stack is other
    assert predicted.frames.statuses == (REFERENCE, *(STALE,) * 5)
    with pytest.raises(ValueError, match="Expected 6 frames, got 5"):
        predicted.set_stack(other[1:])
    assert predicted.stack is other


def test_locks(session: Session) -> None:
    told: list[frozenset[int]] = []
    session.frames.locks.changed.connect(
        lambda: told.append(session.frames.locks.labels)
    )
    session.frames.locks.lock(3)
    session.frames.locks.lock(5)
    session.frames.locks.unlock(3)
    session.frames.locks.unlock(9)
    assert told == [{3}, {3, 5}, {5}, {5}]
    with pytest.raises(ValueError, match="other than 0"):
        session.frames.locks.lock(0)


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


# -- looking at many frames ------------------------------------------------------------


def test_a_scan_finds_what_nobody_told_of(make_session: Any, blob: Any) -> None:
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
    session.frames.take_scan(*found)
    assert session.frames.status(2) is EMPTY
    session.frames.labels.data[2] = blob(3)
    session.frames.labels_changed([2])
    session.frames.take_scan(*found)
    assert session.frames.status(2) is REFERENCE


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


def test_what_was_found_before_an_error_is_told(
    session: Session, blob: Any, monkeypatch: pytest.MonkeyPatch
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
