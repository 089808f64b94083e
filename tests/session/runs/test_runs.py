"""What runs write and what they must not, and their undo."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference import memory, propagation
from napari_seggpt.inference import predictor as predictor_module
from napari_seggpt.inference.passes import Passes
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.io.layout import StackError
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.object_settings import LinkingSettings, ObjectSettings
from napari_seggpt.prompts import Prompt
from napari_seggpt.session import FrameStatus, ModelCache, Session
from napari_seggpt.session.frames.array_file import ArrayFile
from napari_seggpt.session.frames.undo import UNDO_RUNS
from napari_seggpt.session.runs.region import Region
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


def test_results_are_written_one_by_one(labelled: Session, blob: Any) -> None:
    run = labelled.start("all", 0)
    for done, result in enumerate(run.results(), start=1):
        assert result.run == run.number
        assert result.labels.dtype == np.uint8
        assert result.seconds >= 0
        assert result.confidence_map is not None
        assert labelled.runs.commit(result)
        assert (labelled.frames.labels.data[result.index] == blob()).all()
        assert labelled.frames.status(result.index) is PREDICTED
        assert labelled.frames.confidence(result.index) == pytest.approx(
            result.confidence
        )
        assert labelled.frames.statuses.count(PREDICTED) == done
    labelled.runs.finish()
    assert labelled.frames.statuses == (*(PREDICTED,) * 2, REFERENCE, *(PREDICTED,) * 3)


def test_a_frame_that_is_painted_while_it_is_predicted_is_left_alone(
    labelled: Session, blob: Any, label: Any
) -> None:
    run = labelled.start("all", 0)
    results = list(run.results())
    label(labelled, 3, blob(7))
    labelled.frames.labels.data[4] = blob(8)  # nobody is told
    labelled.frames.approve(5)
    assert [r.index for r in results if labelled.runs.commit(r)] == [1, 0]
    assert (labelled.frames.labels.data[3] == blob(7)).all()
    assert (labelled.frames.labels.data[4] == blob(8)).all()
    assert labelled.frames.statuses[3:] == (REFERENCE, REFERENCE, APPROVED)
    assert labelled.frames.status(0) is STALE  # 3 and 4 are references by now


def test_what_comes_after_a_reference_has_changed_is_stale(
    labelled: Session, blob: Any, label: Any
) -> None:
    first, second, *_ = labelled.start("all", 0).results()
    labelled.runs.commit(first)
    label(labelled, 2, blob(2))
    labelled.runs.commit(second)
    labelled.runs.finish()
    assert {
        labelled.frames.status(first.index),
        labelled.frames.status(second.index),
    } == {STALE}


def test_a_late_result_is_dropped(labelled: Session, predict: Any) -> None:
    old = list(labelled.start("all", 0).results())
    labelled.runs.finish()
    assert not labelled.runs.commit(old[0])
    labelled.start("all", 0)
    assert not labelled.runs.commit(old[0])  # of the run before
    labelled.runs.finish()
    assert labelled.frames.labels.written == []
    assert not labelled.runs.can_undo


def test_a_result_for_a_frame_that_was_not_asked_for_is_dropped(
    labelled: Session, blob: Any, make_result: Any
) -> None:
    labelled.start("frame", 0)
    assert not labelled.runs.commit(make_result(labelled, 1, blob(3)))
    assert labelled.frames.labels.written == []


def test_who_is_told_of_the_sessions_own_write_does_not_take_it_for_a_persons(
    labelled: Session, predict: Any
) -> None:
    told: list[int] = []
    labelled.frames.labels.on_write = lambda frame: (
        told.append(frame),
        labelled.frames.labels_changed([frame]),
        labelled.frames.labels_changed(None),
    )
    shown: list[FrameStatus] = []
    labelled.frames.statuses_changed.connect(
        lambda frames: shown.extend(labelled.frames.status(frame) for frame in frames)
    )
    predict(labelled)
    assert told == [1, 0, 3, 4, 5]
    assert labelled.frames.statuses.count(PREDICTED) == 5
    labelled.runs.undo()
    assert labelled.frames.statuses.count(EMPTY) == 5
    assert shown == [PREDICTED] * 5 + [EMPTY] * 5  # nothing else in between


@pytest.mark.parametrize("what", ["labels", "undo"])
def test_a_write_that_fails_changes_nothing(
    state: Any, labelled: Session, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(labelled)
    first, second, *_ = labelled.start("all", 0).results()
    with monkeypatch.context() as patch:
        error = OSError("the disk is full")
        if what == "labels":
            patch.setattr(labelled.frames.labels, "error", error)
        else:

            def fail(*_: object) -> None:
                raise error

            patch.setattr(ArrayFile, "write", fail)
        with pytest.raises(OSError, match="the disk is full"):
            labelled.runs.commit(first)
    assert state(labelled) == before
    assert labelled.runs.commit(second)
    labelled.runs.finish()
    assert labelled.runs.undo() == (second.index,)
    assert state(labelled) == before


def test_ids_that_do_not_fit_are_refused(
    state: Any, labelled: Session, blob: Any, make_result: Any
) -> None:
    before = state(labelled)
    labelled.start("all", 0)
    with pytest.raises(ValueError, match="ids that fit"):
        labelled.runs.commit(make_result(labelled, 1, blob().astype(int) * 300))
    with pytest.raises(ValueError, match=r"shape \(8, 8\), got \(4, 8\)"):
        labelled.runs.commit(make_result(labelled, 1, blob()[:4]))
    assert state(labelled) == before


def test_locked_labels_keep_their_pixels(
    make_session: Any, blob: Any, make_result: Any
) -> None:
    session = make_session()
    session.references.add_example(
        Prompt(image=np.zeros((8, 8)), labels=blob(1)), "mine"
    )
    old, new = blob(3, at=0), blob(3, at=2) + blob(4, at=6, size=1)
    session.start("all", 0)
    session.runs.commit(make_result(session, 1, old))
    session.frames.locks.lock(3)
    session.runs.commit(make_result(session, 1, new))
    expected = np.where(old == 3, 3, np.where(new == 3, 0, new))
    assert (session.frames.labels.data[1] == expected).all()
    assert session.frames.status(1) is PREDICTED


def test_a_run_that_is_stopped_ends_after_the_present_frame(labelled: Session) -> None:
    run = labelled.start("all", 0)
    results = run.results()
    next(results)
    run.stop()
    assert run.is_stopped
    assert list(results) == []
    assert list(labelled.runs.current.results() if labelled.runs.current else []) == []


def test_a_run_ends_between_two_passes_of_a_frame_and_writes_nothing_of_it(
    make_session: Any, label: Any, tiny_model: SegGPT, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame of many labels may take minutes: nobody waits for its end."""
    monkeypatch.setattr(predictor_module, "Predictor", Predictor)
    session = make_session(
        settings=SessionSettings(
            prediction=PredictionSettings(device="cpu", labels_per_pass=1)
        )
    )
    session._predictors.models._load = lambda name, /, *, progress=None: tiny_model
    label(session, 2, np.arange(64, dtype=np.uint8).reshape(8, 8))  # 63 passes
    run = session.start("all", 0)
    passes: list[int] = []

    def stop_at_the_fifth(self: Passes, *args: Any) -> Any:
        passes.append(len(passes))
        if len(passes) == 5:
            run.stop()
        return run_pass(self, *args)

    run_pass = Passes._run
    monkeypatch.setattr(Passes, "_run", stop_at_the_fifth)
    assert list(run.results()) == []
    assert len(passes) <= 6
    session.runs.finish()
    assert session.frames.labels.written == []
    assert session.frames.statuses.count(EMPTY) == 5
    monkeypatch.setattr(Passes, "_run", run_pass)
    (result,) = session.start("frame", 0).results()  # with the predictor that is kept
    assert session.runs.commit(result)


def test_finishing_stops_the_worker(labelled: Session) -> None:
    run = labelled.start("all", 0)
    results = run.results()
    next(results)
    labelled.runs.finish()
    assert list(results) == []


def test_an_error_ends_a_run_and_keeps_what_was_predicted(
    labelled: Session, predictor: Any
) -> None:
    predictor.fails_at = 4
    labelled.settings = SessionSettings(propagation=PropagationSettings(memory=1))
    results = labelled.start("all", 0).results()
    for _ in range(3):
        labelled.runs.commit(next(results))
    with pytest.raises(RuntimeError, match="the network broke"):
        next(results)
    labelled.runs.finish()
    assert labelled.frames.statuses.count(PREDICTED) == 3
    assert labelled.plan("all", 0) == (0, 1, 3, 4, 5)


@pytest.mark.parametrize("memory", [0, 1])
def test_a_frame_that_cannot_be_read_is_left_out_and_named(
    make_session: Any,
    broken_stack: Any,
    blob: Any,
    label: Any,
    predict: Any,
    memory: int,
) -> None:
    stack = broken_stack(0, 4)
    settings = SessionSettings(propagation=PropagationSettings(memory=memory))
    session = make_session(stack=stack, settings=settings)
    label(session, 2, blob())
    run = session.start("all", 0)
    for result in run.results():
        assert session.runs.commit(result)
    assert session.frames.statuses == (
        EMPTY, PREDICTED, REFERENCE, PREDICTED, EMPTY, PREDICTED,
    )  # fmt: skip
    assert sorted(run.watched.lines()) == [
        "Frame 0 is left out: frame 0 is cut short",
        "Frame 4 is left out: frame 4 is cut short",
    ]
    session.runs.finish()
    stack.broken = ()
    assert sorted(predict(session)) == [0, 1, 3, 4, 5]


def test_labels_that_are_damaged_are_left_alone_by_runs_and_undo(
    labelled: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read may be a person's."""
    labels, damaged = labelled.frames.labels, {4}
    read = labels.read

    def broken(frame: int) -> np.ndarray:
        if frame in damaged:
            raise StackError(f"no chunk of {frame}")
        return read(frame)

    monkeypatch.setattr(labels, "read", broken)
    run = labelled.start("all", 0)
    for result in run.results():
        assert labelled.runs.commit(result) == (result.index != 4)
    assert (run.num_written, run.num_damaged) == (4, 1)
    assert "Frame 4 is left out: no chunk of 4" in run.watched.lines()
    labelled.runs.finish()
    assert not labels.data[4].any()
    damaged.add(5)  # the one that was written last
    before = labels.data[5].copy()
    assert set(labelled.runs.undo()) == {0, 1, 3}
    assert (labels.data[5] == before).all()
    assert not labelled.runs.can_undo


def test_a_reference_that_cannot_be_read_stops_no_other(
    make_session: Any, broken_stack: Any, blob: Any, label: Any
) -> None:
    session = make_session(stack=broken_stack(2))
    label(session, 0, blob(1))
    label(session, 2, blob(2))
    run = session.start("all", 0)
    assert sum(session.runs.commit(result) for result in run.results()) == 4
    assert run.watched.lines() == ["Frame 2 is left out: frame 2 is cut short"]
    assert (session.frames.labels.data[2] == blob(2)).all()
    assert set(np.unique(session.frames.labels.data[3:])) == {0, 1}
    session.runs.finish()
    session.set_stack(broken_stack(0, 2))
    with pytest.raises(OSError, match="frame 2 is cut short"):
        list(session.start("all", 0).results())


def test_whoever_computes_holds_the_model(
    labelled: Session, models: ModelCache, predictor: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another thread cannot take the lock while a frame is predicted, but between."""

    def is_free() -> bool:
        answers: list[bool] = []

        def ask() -> None:
            answers.append(models.lock.acquire(blocking=False))
            if answers[0]:
                models.lock.release()

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
        return answers[0]

    during: list[bool] = []
    predict = predictor._predict

    def look(self: object, *args: Any) -> Any:
        during.append(is_free())
        return predict(self, *args)

    monkeypatch.setattr(predictor, "_predict", look)
    for _ in labelled.start("all", 0).results():
        assert is_free()
    assert during == [False] * 5


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_download_is_told_of_and_can_be_stopped(
    make_session: Any, blob: Any, label: Any, is_stopped: bool
) -> None:
    told: list[tuple[int, int]] = []

    def load(name: str, /, *, progress: Callable[[int, int], None]) -> Any:
        for done in range(3):
            progress(done, 3)
            if is_stopped:
                run.stop()
        return "a model"

    session = make_session()
    session._predictors.models._load = load
    label(session, 2, blob())
    run = session.start("all", 0)
    run.on_download = lambda *args: told.append(args)
    count = sum(1 for _ in run.results())
    assert (count, len(told)) == ((0, 1) if is_stopped else (5, 3))


def test_undo_brings_back_labels_and_statuses_exactly(
    state: Any, labelled: Session, blob: Any, label: Any, predict: Any
) -> None:
    states = [state(labelled)]
    predict(labelled, count=3)
    states.append(state(labelled))
    label(labelled, 5, blob(6))
    states.append(state(labelled))
    predict(labelled)
    assert labelled.runs.can_undo
    assert set(labelled.runs.undo()) == {0, 1, 3, 4}
    assert state(labelled) == states.pop()
    label(labelled, 5, 0)
    assert state(labelled) == states.pop()
    labelled.runs.undo()
    assert state(labelled) == states.pop()
    assert not labelled.runs.can_undo
    assert labelled.runs.undo() == ()


def test_undo_leaves_what_a_person_did_since(
    labelled: Session, blob: Any, label: Any, predict: Any
) -> None:
    predict(labelled)
    label(labelled, 0, blob(6))
    labelled.frames.labels.data[1] = blob(7)  # nobody is told
    labelled.frames.approve(3)
    label(labelled, 4, blob(8))
    label(labelled, 4, blob())  # undone by hand
    assert set(labelled.runs.undo()) == {4, 5}
    assert labelled.frames.statuses == (
        CORRECTED, CORRECTED, REFERENCE, APPROVED, EMPTY, EMPTY,
    )  # fmt: skip
    assert (labelled.frames.labels.data[0] == blob(6)).all()
    assert (labelled.frames.labels.data[1] == blob(7)).all()
    assert (labelled.frames.labels.data[3] == blob()).all()


def test_undo_leaves_labels_that_are_locked_by_now(
    labelled: Session, blob: Any, make_result: Any
) -> None:
    both = blob(3, at=0, size=2) + blob(4)
    labelled.start("all", 0)
    labelled.runs.commit(make_result(labelled, 0, both))
    labelled.runs.commit(make_result(labelled, 1, blob(4)))
    labelled.runs.finish()
    labelled.frames.locks.lock(3)
    assert set(labelled.runs.undo()) == {0, 1}
    assert (labelled.frames.labels.data[0] == blob(3, at=0, size=2)).all()
    assert labelled.frames.statuses[:2] == (STALE, EMPTY)


def test_undo_waits_for_the_run_to_end(labelled: Session) -> None:
    run = labelled.start("all", 0)
    labelled.runs.commit(next(run.results()))
    assert not labelled.runs.can_undo
    with pytest.raises(ValueError, match="Expected the run to have ended"):
        labelled.runs.undo()
    labelled.runs.finish()
    assert labelled.runs.can_undo


def test_undo_can_be_left_off_and_goes_on(
    state: Any, labelled: Session, predict: Any
) -> None:
    before = state(labelled)
    written = predict(labelled)
    told: list[bool] = []
    labelled.runs.changed.connect(lambda: told.append(labelled.runs.can_undo))
    steps = labelled.runs.undo_steps()
    assert [next(steps), next(steps)] == written[:2:-1]
    steps.close()
    assert labelled.runs.can_undo
    assert told == [True]  # what was undone can be done again
    assert labelled.runs.undo() == tuple(written[2::-1])
    assert state(labelled) == before
    assert told == [True, False]


def test_an_undo_that_is_left_off_at_its_end_hides_no_other(
    labelled: Session, predict: Any
) -> None:
    predict(labelled, "frame", 0)
    predict(labelled, "frame", 1)
    steps = labelled.runs.undo_steps()
    assert next(steps) == 1
    steps.close()
    assert labelled.runs.undo() == (0,)
    assert not labelled.runs.can_undo


def test_a_frame_that_cannot_be_brought_back_is_tried_again(
    state: Any, labelled: Session, predict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(labelled)
    predict(labelled)
    monkeypatch.setattr(labelled.frames.labels, "error", OSError("the disk is full"))
    with pytest.raises(OSError, match="the disk is full"):
        labelled.runs.undo()
    assert labelled.frames.statuses.count(PREDICTED) == 5
    monkeypatch.setattr(labelled.frames.labels, "error", None)
    assert len(labelled.runs.undo()) == 5
    assert state(labelled) == before


def test_so_many_runs_can_be_undone(labelled: Session, predict: Any) -> None:
    for _ in range(UNDO_RUNS + 2):
        predict(labelled, "frame", 0)
    count = 0
    while labelled.runs.can_undo:
        assert labelled.runs.undo() == (0,)
        count += 1
    assert count == UNDO_RUNS
    assert labelled.frames.status(0) is PREDICTED  # by the runs before


# -- frames that a person has begun ----------------------------------------------------


def test_a_frame_that_was_begun_is_completed(
    labelled: Session, blob: Any, label: Any, predict: Any, state: Any
) -> None:
    """What is painted stays, the rest is predicted from the others, and undo works."""
    label(labelled, 4, blob(7, at=0, size=2))
    before = state(labelled)
    run = labelled.complete(4)
    for result in run.results():
        assert labelled.runs.commit(result)
    labelled.runs.finish()
    expected = np.where(blob(7, at=0, size=2), 7, blob())
    np.testing.assert_array_equal(labelled.frames.labels.data[4], expected)
    assert labelled.frames.status(4) is CORRECTED
    assert 4 not in labelled.references.used_frames
    assert labelled.runs.undo() == (4,)
    assert state(labelled) == before
    assert labelled.frames.status(4) is REFERENCE
    assert list(labelled.runs.redo_steps()) == [4]
    np.testing.assert_array_equal(labelled.frames.labels.data[4], expected)
    assert labelled.frames.status(4) is CORRECTED
    assert labelled.runs.undo() == (4,)
    assert state(labelled) == before


def test_redo_does_not_complete_a_frame_that_was_changed_since(
    labelled: Session, blob: Any, label: Any
) -> None:
    label(labelled, 4, blob(7, at=0, size=2))
    labelled.runs.run_to_end(labelled.complete(4))
    labelled.runs.undo()
    label(labelled, 4, blob(7, at=0, size=3))
    mine = labelled.frames.labels.data[4].copy()
    assert list(labelled.runs.redo_steps()) == []
    np.testing.assert_array_equal(labelled.frames.labels.data[4], mine)


def test_ids_of_any_size_stay_when_a_frame_is_completed(
    make_session: Any, blob: Any, label: Any
) -> None:
    large = 2**53 + 1  # which float64 does not hold
    session = make_session(np.zeros((6, *blob().shape), np.uint64))
    label(session, 2, blob())
    label(session, 4, np.where(blob(1, at=0, size=2), np.uint64(large), 0))
    session.runs.run_to_end(session.complete(4))
    ids = np.unique(session.frames.labels.data[4]).tolist()
    assert large in ids
    assert large - 1 not in ids


def test_what_a_person_began_outlives_all_later_runs(
    labelled: Session, blob: Any, label: Any, predict: Any
) -> None:
    """Whatever is done to the frame and taken back; undo of an older run, too."""
    label(labelled, 4, blob(7, at=0, size=2))
    run = labelled.complete(4)
    for result in run.results():
        assert labelled.runs.commit(result)
    labelled.runs.finish()
    completed = labelled.frames.labels.data[4].copy()
    label(labelled, 4, blob(5))
    label(labelled, 4, completed)  # taken back
    labelled.frames.approve(4)
    labelled.frames.unapprove(4)
    for scope in ("all", "stale", "frame"):
        if labelled.plan(scope, 4):
            predict(labelled, scope, 4)
    np.testing.assert_array_equal(labelled.frames.labels.data[4], completed)
    assert 4 in labelled.frames.protected
    labelled.frames.release(4)  # as a person may ask
    assert 4 not in labelled.frames.protected


def test_what_is_painted_after_it_was_asked_is_left_alone(
    labelled: Session, blob: Any, label: Any
) -> None:
    label(labelled, 4, blob(7, at=0, size=2))
    (result,) = labelled.complete(4).results()
    label(labelled, 4, blob(7, at=0, size=3))
    assert not labelled.runs.commit(result)
    labelled.runs.finish()
    np.testing.assert_array_equal(labelled.frames.labels.data[4], blob(7, at=0, size=3))
    assert labelled.frames.status(4) is REFERENCE


def test_a_frame_cannot_be_completed_from_itself(
    labelled: Session, blob: Any, label: Any
) -> None:
    with pytest.raises(ValueError, match="Expected another reference"):
        labelled.complete(2)
    with pytest.raises(ValueError, match="Expected labels in frame 4, got none"):
        labelled.complete(4)
    label(labelled, 4, blob())
    labelled.references.set_hint(4, True)
    with pytest.raises(ValueError, match="Expected another reference"):
        labelled.complete(2)


def test_a_hint_reaches_the_model_and_makes_predictions_stale(
    labelled: Session, blob: Any, label: Any, predict: Any, predictor: Any
) -> None:
    label(labelled, 4, blob(3))
    predict(labelled)
    labelled.references.set_hint(4, True)
    assert labelled.frames.status(0) is STALE
    predict(labelled, "stale")
    assert {p.index: p.is_hint for p in predictor.shown[-1]} == {
        2: False, 4: True
    }  # fmt: skip
    labelled.references.set_hint(4, False)
    assert labelled.frames.status(0) is STALE
    with pytest.raises(ValueError, match="Expected a reference frame, got frame 0"):
        labelled.references.set_hint(0, True)


def test_hints_are_neither_checked_nor_learned_from(
    labelled: Session, blob: Any, label: Any
) -> None:
    label(labelled, 4, blob(3))
    labelled.references.set_hint(4, True)
    with pytest.raises(ValueError, match="Expected 2 or more references in use"):
        labelled.advice.check_references()
    with pytest.raises(ValueError, match="Expected two or more references with labels"):
        labelled.start_tuning()


# -- redo ------------------------------------------------------------------------------


def test_what_was_undone_is_done_again_and_undone_again(
    labelled: Session, predict: Any, state: Any
) -> None:
    before = state(labelled)
    predict(labelled)
    after = state(labelled)
    for _ in range(2):
        assert not labelled.runs.can_redo
        assert set(labelled.runs.undo()) == {0, 1, 3, 4, 5}
        assert state(labelled) == before
        assert labelled.runs.can_redo
        assert not labelled.runs.can_undo
        assert set(labelled.runs.redo_steps()) == {0, 1, 3, 4, 5}
        assert state(labelled) == after
    predict(labelled)
    labelled.runs.undo()
    predict(labelled)
    assert not labelled.runs.can_redo  # another run came in between


def test_redo_leaves_alone_what_a_person_painted_since(
    labelled: Session, predict: Any, blob: Any, label: Any
) -> None:
    predict(labelled)
    labelled.runs.undo()
    label(labelled, 0, blob(9))
    labelled.frames.approve(5)
    assert set(labelled.runs.redo_steps()) == {1, 3, 4}
    np.testing.assert_array_equal(labelled.frames.labels.data[0], blob(9))
    assert labelled.frames.status(0) is REFERENCE
    assert labelled.frames.status(5) is APPROVED


def test_an_undo_that_is_left_can_go_both_ways(
    labelled: Session, predict: Any, state: Any
) -> None:
    predict(labelled)
    after = state(labelled)
    undoing = labelled.runs.undo_steps()
    next(undoing), next(undoing)
    undoing.close()
    assert labelled.runs.can_undo
    assert labelled.runs.can_redo
    assert len(list(labelled.runs.redo_steps())) == 2
    assert state(labelled) == after


# -- between references, by shape ------------------------------------------------------


def test_frames_between_references_are_bridged(
    session: Session, blob: Any, label: Any, predict: Any, predictor: Any, state: Any
) -> None:
    label(session, 1, blob(3, at=0, size=4))
    label(session, 4, blob(3, at=3, size=4))
    session.frames.approve(3)
    before = state(session)
    assert session.plan("between", 0) == (2,)
    assert predict(session, "between") == [2]
    np.testing.assert_array_equal(session.frames.labels.data[2], blob(3, at=1, size=4))
    assert session.frames.status(2) is PREDICTED
    assert session.frames.confidence(2) is None
    assert not predictor.made  # no model was needed
    assert session.runs.undo() == (2,)
    assert state(session) == before


def test_frames_beside_a_damaged_reference_are_not_bridged(
    session: Session, label: Any, blob: Any
) -> None:
    for frame in (0, 2, 5):
        label(session, frame, blob())
    run = session.start("between", 0)
    read = session.frames.labels.read

    def broken(frame: int) -> np.ndarray:
        if frame == 2:
            raise StackError("Expected frame 2 to be readable.")
        return read(frame)

    session.frames.labels.read = broken  # type: ignore[method-assign]
    assert list(run.results()) == []
    (line,) = run.lines(3)
    assert line.startswith("Frame 2 is left out: Expected frame 2")


def test_there_is_nothing_between_one_reference_and_hints(
    labelled: Session, blob: Any, label: Any
) -> None:
    for act in (lambda: None, lambda: label(labelled, 5, blob())):
        act()
        if 5 in labelled.references.used_frames:
            labelled.references.set_hint(5, True)
        assert labelled.plan("between", 0) == ()
        with pytest.raises(ValueError, match="between two references in use, got none"):
            labelled.start("between", 0)
    labelled.references.set_hint(5, False)
    assert labelled.plan("between", 0) == (3, 4)


FILM = FrameGrid(shape=(2, 3), names=("t", "z"))


def test_objects_are_followed_along_the_axis_that_is_chosen(
    make_session: Any, label: Any, blob: Any
) -> None:
    session = make_session(grid=FILM)
    label(session, 1, blob())
    assert [r.index for r in session.start("all", 0).results()] == [0, 2, 4, 5, 3]
    session.runs.finish()
    linking = LinkingSettings(along="t")
    session.settings = SessionSettings(objects=ObjectSettings(linking=linking))
    assert session.axis == "t"
    assert [r.index for r in session.start("all", 0).results()] == [4, 0, 3, 2, 5]
    session.runs.finish()


def test_frames_of_a_film_are_bridged_within_a_volume(
    make_session: Any, label: Any, blob: Any
) -> None:
    session = make_session(grid=FILM)
    for frame in (0, 2, 4):
        label(session, frame, blob())
    assert session.plan("between", 0) == (1,)
    (result,) = session.start("between", 0).results()
    assert result.index == 1
    session.runs.finish()


def test_a_refusal_names_time_and_depth(
    make_session: Any, label: Any, blob: Any
) -> None:
    session = make_session(grid=FILM)
    label(session, 4, blob())
    with pytest.raises(ValueError, match="got frame t 1, z 1, which you vouch for"):
        session.start("frame", 4)


def commit_all(session: Session, results: Any) -> None:
    for result in results:
        session.runs.commit(result)


def lose_connection(session: Session, predictor: Any, at: int, region: Any) -> None:
    """Run until a frame, at which the connection to another computer is lost."""
    predict = predictor._predict

    def losing(self: Any, frame: np.ndarray, index: int) -> Any:
        if index == at:
            raise ConnectionError("the connection broke")
        return predict(self, frame, index)

    predictor._predict = losing
    run = session.start("all", 0, region)
    results = run.results()
    with pytest.raises(ConnectionError):
        commit_all(session, results)
    session.runs.finish()
    predictor._predict = predict


def test_a_run_over_a_film_goes_on_where_its_lines_were_left(
    make_session: Any, label: Any, blob: Any, predict: Any, predictor: Any
) -> None:
    settings = SessionSettings(
        propagation=PropagationSettings(memory=4),
        objects=ObjectSettings(linking=LinkingSettings(along="t")),
    )
    session = make_session(grid=FILM, settings=settings)
    label(session, 1, blob())
    lose_connection(session, predictor, 3, None)  # after 4, a line, and 0
    assert predict(session, goes_on=True) == [3, 2, 5]


@pytest.mark.parametrize("memory", [0, 4])
def test_frames_of_which_a_region_was_predicted_are_not_left_out(
    make_session: Any,
    label: Any,
    blob: Any,
    predict: Any,
    predictor: Any,
    memory: int,
) -> None:
    settings = SessionSettings(
        propagation=PropagationSettings(memory=memory),
        prediction=PredictionSettings(batch=1),
    )
    session = make_session(settings=settings)
    label(session, 2, blob())
    region = Region(mask=blob() != 0)
    lose_connection(session, predictor, 4, region)  # after a part of 1, 0 and 3
    assert sorted(predict(session, goes_on=True)) == [0, 1, 3, 4, 5]
    commit_all(session, session.start("all", 0, region).results())
    session.runs.finish()
    lose_connection(session, predictor, 3, None)  # after all of 1 and 0
    assert predict(session, goes_on=True) == [3, 4, 5]


def test_frames_labelled_by_shape_are_not_left_out(
    make_session: Any, label: Any, blob: Any, predict: Any, predictor: Any
) -> None:
    settings = SessionSettings(
        propagation=PropagationSettings(memory=0),
        prediction=PredictionSettings(batch=1),
    )
    session = make_session(settings=settings)
    for frame in (0, 3):
        label(session, frame, blob())
    predict(session, "between")
    lose_connection(session, predictor, 2, None)
    assert predict(session, goes_on=True)[:1] == [2]


# -- going on -------------------------------------------------------------------------


def test_a_run_goes_on_where_one_was_stopped(
    labelled: Session, predict: Any, blob: Any
) -> None:
    assert predict(labelled, count=2) == [1, 0]
    assert labelled.runs.left_of(labelled.plan("all", 0)) == (3, 4, 5)
    assert predict(labelled, goes_on=True) == [3, 4, 5]
    assert predict(labelled, goes_on=True) == [1, 0, 3, 4, 5]  # all of them, again
    assert predict(labelled, count=1) == [1]
    assert predict(labelled) == [1, 0, 3, 4, 5]  # unless it is asked for, all


def test_what_is_out_of_date_is_predicted_when_a_run_goes_on(
    labelled: Session, predict: Any, label: Any, blob: Any
) -> None:
    predict(labelled, count=2)
    label(labelled, 5, blob())  # another reference
    assert labelled.frames.status(0) is FrameStatus.STALE
    assert sorted(predict(labelled, goes_on=True)) == [0, 1, 3, 4]


def test_frames_that_were_labelled_in_a_region_or_by_shape_are_not_up_to_date(
    labelled: Session, predict: Any, label: Any, blob: Any
) -> None:
    label(labelled, 5, blob())
    predict(labelled, "between")
    assert labelled.frames.status(3) is FrameStatus.PREDICTED
    mask = np.zeros(blob().shape, bool)
    mask[:4, :4] = True
    run = labelled.start("frame", 0, Region(mask=mask | (blob() > 0)))
    for result in run.results():
        labelled.runs.commit(result)
    labelled.runs.finish()
    assert labelled.frames.status(0) is FrameStatus.PREDICTED
    assert labelled.runs.up_to_date == set()
    predict(labelled, "frame", 0)
    assert labelled.runs.up_to_date == {0}
    assert sorted(predict(labelled, goes_on=True)) == [1, 3, 4]


def test_a_frame_of_which_a_region_is_updated_stays_out_of_date(
    labelled: Session, predict: Any, label: Any, blob: Any
) -> None:
    predict(labelled)
    label(labelled, 5, blob(2))  # another reference
    region = Region(mask=blob() > 0)
    commit_all(labelled, labelled.start("stale", 0, region).results())
    labelled.runs.finish()
    assert labelled.frames.status(3) is FrameStatus.STALE
    assert 3 in labelled.plan("stale", 0)
    commit_all(labelled, labelled.start("stale", 0, region).results())
    labelled.runs.finish()
    assert labelled.frames.status(3) is FrameStatus.STALE
    predict(labelled, "stale")
    assert labelled.frames.status(3) is FrameStatus.PREDICTED
    commit_all(labelled, labelled.start("frame", 3, region).results())
    labelled.runs.finish()
    assert labelled.frames.status(3) is FrameStatus.PREDICTED


def test_a_frame_of_which_only_a_region_ever_was_predicted_is_updated_in_it(
    labelled: Session, label: Any, blob: Any
) -> None:
    region = Region(mask=blob() > 0)
    commit_all(labelled, labelled.start("all", 0, region).results())
    labelled.runs.finish()
    assert labelled.frames.status(3) is FrameStatus.PREDICTED
    label(labelled, 5, blob(2))  # another reference
    assert labelled.frames.status(3) is FrameStatus.STALE
    commit_all(labelled, labelled.start("stale", 0, region).results())
    labelled.runs.finish()
    assert labelled.frames.status(3) is FrameStatus.PREDICTED


def test_with_memory_a_run_remembers_what_it_goes_on_from(
    make_session: Any, label: Any, blob: Any, predict: Any, monkeypatch: Any
) -> None:
    settings = SessionSettings(propagation=PropagationSettings(memory=2))
    session = make_session(settings=settings)
    label(session, 0, blob())
    assert predict(session, count=3) == [1, 2, 3]
    recalled = []
    monkeypatch.setattr(
        propagation, "remember", lambda memory, predictor, frame, index, found: (
            recalled.append((index, isinstance(found, np.ndarray)))
        ),
    )  # fmt: skip
    assert predict(session, goes_on=True) == [4, 5]
    assert recalled == [(2, True), (3, True), (4, False)]


def test_what_an_earlier_run_doubted_is_not_remembered(
    make_session: Any, label: Any, blob: Any, predict: Any, predictor: Any,
    monkeypatch: Any,
) -> None:  # fmt: skip
    settings = SessionSettings(propagation=PropagationSettings(memory=2))
    session = make_session(settings=settings)
    label(session, 0, blob())
    predict(session, count=3)
    sure, unsure = session.frames.confidence(2), session.frames.confidence(3)
    assert sure > unsure
    recalled = []
    monkeypatch.setattr(predictor, "has_calibrated_confidence", True)
    monkeypatch.setattr(memory, "SURE", sure)
    monkeypatch.setattr(
        propagation, "remember", lambda memory, predictor, frame, index, found: (
            recalled.append(index)
        ),
    )  # fmt: skip
    predict(session, goes_on=True)
    assert recalled == [1, 2, 4]  # as if there had been no stop


def test_a_run_is_carried_out_to_its_end(labelled: Session) -> None:
    run = labelled.start("all", 2)
    assert labelled.runs.run_to_end(run) == [1, 0, 3, 4, 5]
    assert not labelled.runs.is_running
    assert labelled.runs.can_undo
    assert labelled.start("frame", 4)  # the next one can begin


def test_a_run_that_fails_has_ended(labelled: Session, predictor: Any) -> None:
    predictor.fails_at = 3
    run = labelled.start("all", 2)
    with pytest.raises(RuntimeError, match="the network broke"):
        labelled.runs.run_to_end(run)
    assert not labelled.runs.is_running
    assert labelled.frames.labels.data[1].any()
    with pytest.raises(ValueError, match="Expected the run that is on"):
        labelled.runs.run_to_end(run)
