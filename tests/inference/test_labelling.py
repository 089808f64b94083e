"""label_stack: references as they are, the rest predicted, written as it comes."""

import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference import labelling
from napari_seggpt.inference.labelling import frames_in_range, label_stack
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.inference.references import MAX_HELD
from napari_seggpt.io import LabelsWriter, create_labels
from napari_seggpt.model import zoo
from napari_seggpt.object_settings import LinkingSettings, ObjectSettings
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)

SHAPE = (6, 7)
MakeArray = Callable[[int], np.ndarray]


class Counted(Mapping[int, np.ndarray]):
    """Frames that are made when they are asked for; counts how many are held."""

    def __init__(self, frames: range, make: MakeArray) -> None:
        self.frames, self.make = frames, make
        self.held = self.most_held = 0

    def __getitem__(self, index: int) -> np.ndarray:
        array = self.make(index)
        self.held += 1
        self.most_held = max(self.held, self.most_held)
        weakref.finalize(array, self._let_go)
        return array

    def _let_go(self) -> None:
        self.held -= 1

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


def image(index: int) -> np.ndarray:
    return np.full(SHAPE, index % 251, np.uint16)


def labels(index: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[1:3, 1:4] = 1 + index % 5
    return array


@pytest.fixture
def output(tmp_path: Path) -> Iterator[LabelsWriter]:
    with create_labels(
        tmp_path / "out.tif", length=6, frame_shape=SHAPE, dtype=np.uint8
    ) as writer:
        yield writer


@pytest.fixture
def stack() -> list[np.ndarray]:
    return [image(index) for index in range(6)]


@pytest.fixture
def builtin(monkeypatch: pytest.MonkeyPatch, predictor: Any) -> Any:
    """The predictor that is made by default; it copies the nearest reference."""
    monkeypatch.setattr(labelling, "Predictor", predictor)
    monkeypatch.setattr(zoo, "load_model", lambda name: f"the {name} model")
    return predictor


def test_references_are_written_first_then_what_is_predicted(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    steps = label_stack(stack, {1: labels(1), 4: labels(4)}, output)
    seen = []
    for step in steps:
        seen.append((step.index, step.prediction is None, step.done, step.total))
        written = labels(step.index) if step.prediction is None else output[step.index]
        np.testing.assert_array_equal(output[step.index], written)
        assert output[step.index].any()
    references, predicted = seen[:2], seen[2:]
    assert references == [(1, True, 0, 4), (4, True, 0, 4)]
    assert [done for _, _, done, _ in predicted] == [1, 2, 3, 4]
    assert {index for index, *_ in predicted} == {0, 2, 3, 5}
    assert sorted(builtin.predicted) == [0, 2, 3, 5]


def test_settings_say_how(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    settings = SessionSettings(
        model="mine",
        prediction=PredictionSettings(batch=2),
        propagation=PropagationSettings(stop=5, direction="forward"),
    )
    list(label_stack(stack, {2: labels(2)}, output, settings=settings))
    assert sorted(builtin.predicted) == [3, 4]
    (made,) = builtin.made
    assert made.model == "the mine model"
    assert made.settings == settings.prediction
    assert made.limits is not None
    assert not output[0].any()


def test_what_computes_elsewhere_is_a_predictor_and_no_setting(
    stack: list[np.ndarray], output: LabelsWriter, predictor: Any
) -> None:
    settings = SessionSettings(scheduler="tcp://there:8786")
    references = {2: labels(2)}
    with pytest.raises(ValueError, match="without a scheduler"):
        label_stack(stack, references, output, settings=settings)
    given = predictor("remote", [Prompt(image=image(2), labels=labels(2), index=2)])
    steps = label_stack(stack, references, output, settings=settings, predictor=given)
    assert len(list(steps)) == 6


def test_a_predictor_may_be_given(
    stack: list[np.ndarray], output: LabelsWriter, predictor: Any
) -> None:
    other = Prompt(image=image(9), labels=labels(2))
    own = Prompt(image=stack[0], labels=labels(0), index=0)
    given = predictor("model", [other, own])
    steps = list(label_stack(stack, {3: labels(3)}, output, predictor=given))
    assert [s.index for s in steps if s.prediction is None] == [0, 3]
    assert sorted(predictor.predicted) == [1, 2, 4, 5]
    assert len(predictor.made) == 1
    np.testing.assert_array_equal(output[0], labels(0))
    np.testing.assert_array_equal(output[3], labels(3))


def test_a_predictor_of_frames_in_a_grid_serves_a_plain_stack_next(
    stack: list[np.ndarray], output: LabelsWriter, predictor: Any
) -> None:
    given = predictor("model", [Prompt(image=stack[0], labels=labels(0), index=0)])
    grid = FrameGrid(shape=(2, 3), names=("t", "z"))
    list(label_stack(stack, {}, output, predictor=given, grid=grid))
    predictor.grids.clear()
    list(label_stack(stack, {}, output, predictor=given))
    assert {*predictor.grids} == {None}


def test_what_was_yielded_stays_and_is_gone_on_with(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    steps = label_stack(stack, {0: labels(0)}, output)
    taken = [next(steps) for _ in range(3)]
    steps.close()
    assert [step.index for step in taken] == [0, 1, 2]
    mine = np.full(SHAPE, 9, np.uint8)
    for index in (0, 2, 5):  # a person goes on in the output
        output.write(index, mine)
    builtin.predicted.clear()
    rest = list(label_stack(stack, {0: labels(0)}, output, resume=True))
    assert [(step.index, step.done, step.total) for step in rest] == [
        (3, 1, 2), (4, 2, 2),
    ]  # fmt: skip
    assert builtin.predicted == [3, 4]
    for index in (0, 2, 5):
        np.testing.assert_array_equal(output[index], mine)


def test_frames_of_which_the_model_is_not_sure_are_not_remembered(
    stack: list[np.ndarray],
    output: LabelsWriter,
    builtin: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither in one go nor when a run goes on."""
    remembered: list[int] = []

    def note(_: object, prompt: Prompt, **__: object) -> list[Any]:
        assert prompt.index is not None
        remembered.append(prompt.index)
        return []

    def doubt(self: Any, frame: np.ndarray, index: int) -> Prediction:
        margin = np.full(frame.shape[:2], 0.1 if index == 2 else 0.9, np.float32)
        labels = np.asarray(self.prompts[0].labels, np.int64)
        return Prediction(labels=labels, confidence=margin, colors=())

    monkeypatch.setattr(builtin, "has_calibrated_confidence", True)
    monkeypatch.setattr(builtin, "prepare", note)
    monkeypatch.setattr(builtin, "_predict", doubt)
    steps = label_stack(stack, {0: labels(0)}, output)
    assert [next(steps).index for _ in range(4)] == [0, 1, 2, 3]
    steps.close()
    remembered.clear()
    list(label_stack(stack, {0: labels(0)}, output, resume=True))
    assert remembered == [1, 3, 4]


def test_labels_may_go_into_an_array(stack: list[np.ndarray], builtin: Any) -> None:
    output = np.zeros((6, *SHAPE), np.uint8)
    list(label_stack(stack, {1: labels(1)}, output))
    np.testing.assert_array_equal(output, [labels(1)] * 6)
    with pytest.raises(ValueError, match=r"array \(N, H, W\) of integers"):
        label_stack(stack, {1: labels(1)}, np.zeros((6, *SHAPE)))  # type: ignore[arg-type]


def test_without_resuming_what_is_there_is_written_over(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    output.write(3, np.full(SHAPE, 9, np.uint8))
    list(label_stack(stack, {0: labels(0)}, output))
    assert output[3].max() == 1


@pytest.mark.parametrize("every", [2, 4])
def test_memory_does_not_grow_with_stack_and_references(
    tmp_path: Path, builtin: Any, every: int
) -> None:
    length = 400
    stack = Counted(range(length), image)
    references = Counted(range(0, length, every), labels)
    with create_labels(
        tmp_path / "out.tif", length=length, frame_shape=SHAPE, dtype=np.uint8
    ) as output:
        for step in label_stack(stack, references, output):
            assert step.total == length - len(references)
        for index in range(0, length, every):
            np.testing.assert_array_equal(output[index], labels(index))
        assert all(output[index].any() for index in range(length))
    assert references.most_held <= MAX_HELD + 2
    assert stack.most_held <= MAX_HELD + PredictionSettings().batch + 10
    (made,) = builtin.made
    assert len(made.prompts) == MAX_HELD


def test_what_cannot_be_labelled_is_refused_before_anything_is_written(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    empty = np.zeros(SHAPE, np.uint8)
    for references, message in (
        ({6: labels(6)}, "Expected reference frames from 0 to 5, got 6"),
        ({}, "Expected references with at least one label, got none"),
        ({0: empty, 1: empty}, "Expected references with at least one label"),
    ):
        with pytest.raises(ValueError, match=message):
            label_stack(stack, references, output)
    with pytest.raises(ValueError, match="Expected an output of 5 frames, got 6"):
        label_stack(stack[:5], {0: labels(0)}, output)
    with pytest.raises(ValueError, match="Expected a prompt with labels, got none"):
        label_stack(stack, {}, output, predictor=builtin("model", []))
    assert not builtin.predicted
    with pytest.raises(ValueError, match="Expected labels of the image's shape"):
        next(label_stack(stack, {0: np.ones((2, 2), int)}, output))
    assert not any(output[index].any() for index in range(6))


def test_frames_of_a_range_are_those_without_references() -> None:
    settings = PropagationSettings(start=1, stop=99, step=2)
    assert frames_in_range(8, {3: labels(3), 4: labels(4)}, settings) == [1, 5, 7]


def cells(*ids: int, shift: int = 0) -> np.ndarray:
    """Draw squares of 12 pixels that touch each other in a row."""
    array = np.zeros((40, 80), np.uint16)
    for number, label in enumerate(ids):
        left = 6 + 12 * number + shift
        array[10:22, left : left + 12] = label
    return array


@pytest.fixture
def wide_output(tmp_path: Path) -> Iterator[LabelsWriter]:
    with create_labels(
        tmp_path / "out.tif", length=6, frame_shape=(40, 80), dtype=np.uint16
    ) as writer:
        yield writer


def test_objects_keep_the_ids_of_the_references(
    wide_output: LabelsWriter, builtin: Any
) -> None:
    stack = [np.full((40, 80), index, np.uint8) for index in range(6)]
    first, last = cells(5, 90, 7), cells(5, 90, 7, 31, shift=2)
    list(label_stack(stack, {0: first, 5: last}, wide_output))
    for index in range(3):
        np.testing.assert_array_equal(wide_output[index], first)
    for index in range(3, 6):
        np.testing.assert_array_equal(wide_output[index], last)


def test_a_given_predictor_stays_as_it_is(
    wide_output: LabelsWriter, predictor: Any
) -> None:
    stack = [np.full((40, 80), index, np.uint8) for index in range(6)]
    own = Prompt(image=stack[0], labels=cells(5, 90, 7), index=0)
    given = predictor("model", [own])
    for _ in range(2):
        list(label_stack(stack, {}, wide_output, predictor=given))
        assert given.prompts == (own,)
        np.testing.assert_array_equal(wide_output[0], cells(5, 90, 7))
        np.testing.assert_array_equal(wide_output[5], cells(5, 90, 7))


def test_objects_are_numbered_on_each_frame_where_they_are_not_to_be_linked(
    wide_output: LabelsWriter, builtin: Any
) -> None:
    stack = [np.full((40, 80), index, np.uint8) for index in range(6)]
    settings = SessionSettings(
        objects=ObjectSettings(linking=LinkingSettings(enabled=False))
    )
    list(label_stack(stack, {0: cells(5, 90, 7)}, wide_output, settings=settings))
    np.testing.assert_array_equal(wide_output[0], cells(5, 90, 7))
    assert set(np.unique(wide_output[3])) == {0, 1, 2, 3}


def test_going_on_takes_the_ids_that_are_there(
    wide_output: LabelsWriter, builtin: Any
) -> None:
    stack = [np.full((40, 80), index, np.uint8) for index in range(6)]
    mine = cells(200, 90, 7)  # a person has given an object another id
    wide_output.write(2, mine)
    list(label_stack(stack, {0: cells(5, 90, 7)}, wide_output, resume=True))
    np.testing.assert_array_equal(wide_output[1], cells(5, 90, 7))
    for index in range(2, 6):
        np.testing.assert_array_equal(wide_output[index], mine)


def test_new_objects_get_ids_of_their_class(
    wide_output: LabelsWriter, builtin: Any
) -> None:
    stack = [np.full((40, 80), index, np.uint8) for index in range(6)]
    other = Prompt(image=stack[0], labels=cells(1001, 2001, 1002, 2002), index=None)
    given = builtin("model", [other])
    wide_output.write(5, cells(1050))
    list(label_stack(stack, {}, wide_output, predictor=given, resume=True))
    found = wide_output[0]
    kinds = [int(found[16, 10 + 12 * number]) // 1000 for number in range(4)]
    assert kinds == [1, 2, 1, 2]
    assert len(np.unique(found)) == 5
    assert set(found[found // 1000 == 1]) == {1050, 1052}  # the first is the same


def test_frames_along_time_and_depth_follow_each_other_in_lines(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    grid = FrameGrid(shape=(2, 3), names=("t", "z"))
    steps = label_stack(stack, {4: labels(4)}, output, grid=grid)
    assert [step.index for step in steps] == [4, 3, 5, 1, 2, 0]
    assert {*builtin.grids} == {grid}
    assert all(output[index].any() for index in range(6))


def test_an_object_that_was_lost_for_a_frame_is_found_in_a_line_without_reference(
    tmp_path: Path, builtin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second object is not seen where the chains of the other line begin."""
    grid = FrameGrid(shape=(2, 9), names=("t", "z"))
    stack = [np.full((40, 80), index, np.uint8) for index in range(18)]

    def predicted(self: Any, _: np.ndarray, index: int) -> Prediction:
        one = np.asarray(self.prompts[0].labels, dtype=np.int64)
        found = one if index == 13 else np.maximum(one, np.roll(one, 30, axis=1))
        confidence = np.ones(one.shape, np.float32)
        return Prediction(labels=found, confidence=confidence, colors=())

    monkeypatch.setattr(builtin, "_predict", predicted)
    settings = SessionSettings(objects=ObjectSettings(task="objects"))
    output = np.zeros((18, 40, 80), np.uint16)
    references = {4: cells(5)}
    list(label_stack(stack, references, output, settings=settings, grid=grid))
    seconds = {int(output[index, 16, 42]) for index in range(9, 18) if index != 13}
    assert len(seconds) == 1
    assert seconds.pop() > 5


def test_a_grid_has_the_frames_of_the_stack(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    grid = FrameGrid(shape=(2, 2), names=("t", "z"))
    with pytest.raises(ValueError, match="grid of 6 frames, got 2 x 2"):
        label_stack(stack, {4: labels(4)}, output, grid=grid)


def test_objects_of_a_film_follow_each_other_in_time_if_that_is_asked_for(
    stack: list[np.ndarray], output: LabelsWriter, builtin: Any
) -> None:
    grid = FrameGrid(shape=(2, 3), names=("t", "z"))
    along = ObjectSettings(linking=LinkingSettings(along="t"))
    settings = SessionSettings(objects=along)
    steps = label_stack(stack, {4: labels(4)}, output, settings=settings, grid=grid)
    assert [step.index for step in steps] == [4, 1, 3, 0, 5, 2]
    assert {*builtin.grids} == {grid.along(0)}
