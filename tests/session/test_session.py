"""A session: what predictions depend on, and which runs it begins."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_seggpt.inference import references as references_module
from napari_seggpt.prompts import Prompt
from napari_seggpt.session import FrameStatus, ModelCache, Session
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


def test_labels_of_another_length_are_refused(make_session: Any) -> None:
    with pytest.raises(ValueError, match="labels of all 4 frames, got 6 frames"):
        make_session(stack=np.zeros((4, 8, 8)))


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
        ({"propagation": PropagationSettings(direction="forward")}, STALE),
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


def test_a_run_needs_a_reference_with_labels(session: Session) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="a reference with labels, got none"):
            session.start("all", 0)
        session.references.add(3)  # without labels
    assert not session.runs.is_running


def test_a_reference_that_is_switched_off_is_none(labelled: Session) -> None:
    labelled.references.set_enabled(2, False)
    with pytest.raises(ValueError, match="a reference with labels, got none"):
        labelled.start("all", 0)


def test_a_run_needs_a_frame_to_predict(labelled: Session) -> None:
    for scope, frame, reason in [
        ("frame", 2, "got frame 2"),
        ("stale", 0, "up to date"),
        ("frame", 6, "from 0 to 5"),
    ]:
        with pytest.raises(ValueError, match=reason):
            labelled.start(scope, frame)
    assert not labelled.runs.is_running


def test_one_run_at_a_time(labelled: Session) -> None:
    told: list[bool] = []
    labelled.runs.changed.connect(lambda: told.append(labelled.runs.is_running))
    run = labelled.start("all", 0)
    assert labelled.runs.current is run
    with pytest.raises(ValueError, match="one is on"):
        labelled.start("all", 0)
    labelled.runs.finish()
    labelled.runs.finish()
    assert told == [True, False]
    assert labelled.start("all", 0).number == run.number + 1


@pytest.mark.parametrize(
    ("scope", "frames"),
    [
        ("frame", (1,)), ("forward", (1, 3, 4, 5)), ("backward", (0, 1)),
        ("all", (0, 1, 3, 4, 5)), ("range", (3, 5)),
    ],
)  # fmt: skip
def test_a_run_predicts_its_scope_without_protected_frames(
    labelled: Session, scope: Any, frames: tuple[int, ...], predict: Any
) -> None:
    labelled.settings = SessionSettings(
        propagation=PropagationSettings(start=3, step=2)
    )
    assert labelled.plan(scope, 1) == frames
    assert sorted(predict(labelled, scope, 1)) == list(frames)


def test_the_direction_of_the_settings(labelled: Session, predict: Any) -> None:
    propagation = PropagationSettings(direction="forward")
    labelled.settings = SessionSettings(propagation=propagation)
    assert predict(labelled, "all") == [3, 4, 5]
    assert predict(labelled, "backward", 1) == [1, 0]  # a person has said which


def test_a_run_sees_the_references_as_they_were_when_it_was_started(
    labelled: Session, blob: Any, label: Any, predictor: Any
) -> None:
    prompt = Prompt(image=np.zeros((8, 8), np.uint8), labels=blob(4))
    labelled.references.add_example(prompt, "mine")
    run = labelled.start("frame", 0)
    label(labelled, 2, blob(9))
    list(run.results())
    shown = [(p.index, p.labels.max()) for p in predictor.made[0].prompts]
    assert shown == [(2, 1), (None, 4)]


def test_a_reference_that_changed_unheard_is_noticed_at_the_start(
    labelled: Session, blob: Any, predict: Any
) -> None:
    labelled.frames.labels.data[2] = blob(5)
    assert predict(labelled, "frame", 0) == [0]
    assert labelled.frames.labels.data[0].max() == 5
    assert labelled.frames.status(0) is PREDICTED


def test_examples_alone_reach_every_frame(
    session: Session, blob: Any, predict: Any
) -> None:
    prompt = Prompt(image=np.zeros((8, 8), np.uint8), labels=blob(4))
    session.references.add_example(prompt, "mine")
    assert predict(session) == [0, 1, 2, 3, 4, 5]


def test_only_so_many_references_are_held(
    make_session: Any, blob: Any, label: Any, monkeypatch: pytest.MonkeyPatch,
    predictor: Any,
) -> None:  # fmt: skip
    monkeypatch.setattr(references_module, "MAX_HELD", 3)
    session = make_session(length=40, settings=SessionSettings())
    for frame in range(30):
        session.references.add(frame)
    label(session, 0, blob())  # the only one with labels
    list(session.start("frame", 35).results())
    indices = sorted(predictor.made[0].references)
    assert len(indices) == 8  # max_prompts
    assert indices[0] == 0
    assert indices[1:] == [23, 24, 25, 26, 27, 28, 29]


def test_closing_keeps_labels_and_drops_the_rest(
    labelled: Session, predict: Any
) -> None:
    predict(labelled, "frame", 0)
    run = labelled.start("all", 0)
    results = run.results()
    first, second = next(results), next(results)
    labelled.runs.commit(first)
    before = labelled.frames.labels.data.copy()
    labelled.close()
    assert run.is_stopped
    assert not labelled.runs.commit(second)
    assert list(results) == []
    assert not labelled.runs.can_undo
    assert (labelled.frames.labels.data == before).all()
    labelled.close()


def test_the_next_session_has_the_model_of_the_last(
    make_session: Any, models: ModelCache, blob: Any, label: Any, predict: Any
) -> None:
    loaded: list[str] = []

    def load(name: str, /, *, progress: Any = None) -> Any:
        loaded.append(name)
        return "a model"

    models._load = load
    for _ in range(2):
        session = make_session()
        label(session, 2, blob())
        predict(session)
        session.close()
    assert loaded == ["builtin"]


def test_labels_may_be_an_array(models: ModelCache, predictor: Any, blob: Any) -> None:
    labels = np.zeros((3, 8, 8), np.uint8)
    session = Session(np.zeros((3, 8, 8)), labels, models=models)
    labels[1] = blob()
    session.frames.labels_changed([1])
    assert session.references.used_frames == [1]
    session.close()


def test_a_task_leaves_out_references_that_cannot_be_read(
    make_session: Any, broken_stack: Any, label: Any, blob: Any
) -> None:
    session = make_session(stack=broken_stack(4))
    for frame in (0, 4, 5):
        label(session, frame, blob())
    unreadable: list[Any] = []
    (task,) = session.make_task(unreadable=unreadable)
    assert len(task.prompts) == 2
    assert [(x.index, x.reason) for x in unreadable] == [(4, "frame 4 is cut short")]
    for frame in (0, 5):
        session.references.set_enabled(frame, False)
    with pytest.raises(ValueError, match="can be read, got none: frame 4 is cut short"):
        list(session.make_task())


@pytest.mark.parametrize("far", [0, 39])
def test_a_whole_reference_is_found_behind_many_hints(
    make_session: Any, label: Any, blob: Any, far: int
) -> None:
    session = make_session(length=40)
    with session.frames.published_at_once():
        label(session, far, blob())
        for frame in {*range(2, 38)} - {20}:
            label(session, frame, blob())
            session.references.set_hint(frame, True)
    label(session, 20, blob(size=2))  # begun
    run = session.complete(20)
    assert far in {source.frame for source in run._request.sources}
    assert 20 not in {source.frame for source in run._request.sources}
    session.runs.finish()
    session.references.set_enabled(20, False)
    (task,) = session.make_task()
    assert len(task.prompts) == 1


def test_an_example_whose_name_is_taken_is_restored_by_another(
    make_session: Any, blob: Any
) -> None:
    images = [np.full((8, 8), grey, np.uint8) for grey in (1, 2)]
    saved, session = make_session(), make_session()
    for each, image in zip((saved, session), images, strict=True):
        prompt = Prompt(image=image, labels=blob())
        each.references.add_example(prompt, "task 1")
    saved.references.set_example_enabled("task 1", False)
    session.restore_state(saved.state)
    found = session.references.examples
    assert [(x.name, x.enabled) for x in found] == [
        ("task 1", True),
        ("task 1 (2)", False),
    ]
    np.testing.assert_array_equal(found[1].prompt.image, images[0])
    session.restore_state(session.state)  # they are there already
    assert len(session.references.examples) == 2
