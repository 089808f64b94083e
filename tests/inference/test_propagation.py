from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_seggpt.frames import NUM_CONTRAST_FRAMES, sample_frames
from napari_seggpt.inference import passes as passes_module
from napari_seggpt.inference import propagation
from napari_seggpt.inference.chains import plan
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import predict_chains, predict_stack
from napari_seggpt.inference.watching import UnreadableFrame
from napari_seggpt.preprocessing import FrameError, Limits
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    TilingSettings,
)

Make = Callable[..., np.ndarray]

ALL = PropagationSettings()
INDEPENDENT = PropagationSettings(memory=0)
CONTRAST = Limits(low=np.array([0.0]), high=np.array([100.0]))


class Stack:
    """Frames that remember which of them were read."""

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.frames = frames
        self.reads: list[int] = []

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        assert 0 <= index < len(self.frames)
        self.reads.append(index)
        return self.frames[index]


@pytest.fixture
def stack(frame: Make) -> Stack:
    return Stack([frame(seed=i) for i in range(12)])


@pytest.fixture
def make_predictor(copying_model: Any, stack: Stack, blocks: Make) -> Callable:
    """Make a predictor whose references are labelled with blocks of 1, 2 and 3."""

    def make(
        references: Collection[int], model: Any = None, **chosen: Any
    ) -> Predictor:
        labels = blocks((32, 32), [1, 2, 3])
        prompts = [
            Prompt(image=stack.frames[i], labels=np.roll(labels, 4 * i, 0), index=i)
            for i in references
        ]
        settings = PredictionSettings(device="cpu", **chosen)
        return Predictor(
            model or copying_model, prompts, settings=settings, limits=CONTRAST
        )

    return make


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict frames together also on a CPU, as on a GPU."""
    at_once = property(lambda predictor: predictor.settings.batch)
    monkeypatch.setattr(Predictor, "frames_at_once", at_once)


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_frames_are_predicted_in_the_order_of_the_plan(
    memory: int, stack: Stack, make_predictor: Callable
) -> None:
    settings = PropagationSettings(memory=memory, start=1, step=2)
    predictor = make_predictor([4, 7])
    steps = list(predict_stack(stack, predictor, settings=settings, protected=[9]))
    order = [
        frame for chain in plan(12, [4, 7], settings, protected=[9]) for frame in chain
    ]
    assert [step.index for step in steps] == order == [3, 1, 5, 11]
    # Each frame is read once; references and protected frames are not read.
    assert stack.reads == order
    for step in steps:
        assert step.prediction.labels.shape == (32, 32)
        assert set(np.unique(step.prediction.labels)) <= {0, 1, 2, 3}


@pytest.mark.parametrize("memory", [0, 1])
@pytest.mark.parametrize("known", [None, lambda index: np.ones((32, 32), np.uint8)])
def test_protected_frames_of_chains_are_not_predicted(
    memory: int, known: Any, stack: Stack, make_predictor: Callable
) -> None:
    chains = [[3, 2, 1, 0], [5, 6]]
    steps = predict_chains(
        stack,
        make_predictor([4]),
        chains,
        memory=memory,
        protected=[3, 0, 6],
        known=known,
    )
    assert [step.index for step in steps] == [2, 1, 5]
    is_taught = known is not None and memory > 0
    assert stack.reads == ([3] if is_taught else []) + [2, 1, 5]


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("memory", [0, 2])
def test_frames_are_read_when_they_are_asked_for(
    memory: int, stack: Stack, make_predictor: Callable
) -> None:
    settings = PropagationSettings(memory=memory)
    predictor = make_predictor([0], batch=2)
    steps = predict_stack(stack, predictor, settings=settings)
    assert stack.reads == []
    kept = [next(steps), next(steps)]
    assert stack.reads == [1, 2]
    kept.append(next(steps))
    steps.close()
    assert [step.index for step in kept] == [1, 2, 3]
    assert max(stack.reads) <= 4  # no more than the batch of the last one
    assert all((step.prediction.labels > 0).any() for step in kept)
    assert list(steps) == []
    again = next(predict_stack(stack, predictor, settings=settings))
    np.testing.assert_array_equal(again.prediction.labels, kept[0].prediction.labels)


@pytest.mark.usefixtures("together")
def test_without_memory_frames_are_predicted_in_batches(
    stack: Stack, make_predictor: Callable, tiny_model: Any, copying_model: Any
) -> None:
    list(predict_stack(stack, make_predictor([1], batch=4), settings=INDEPENDENT))
    assert copying_model.calls == [(4, 1), (4, 1), (3, 1)]
    predictor = make_predictor([1, 6], model=tiny_model, batch=4)
    for step in predict_stack(stack, predictor, settings=INDEPENDENT):
        alone = predictor.predict(stack.frames[step.index], index=step.index)
        np.testing.assert_allclose(step.prediction.colors, alone.colors, atol=1e-4)


def test_on_a_cpu_every_frame_comes_by_itself(
    stack: Stack, make_predictor: Callable, copying_model: Any
) -> None:
    steps = predict_stack(stack, make_predictor([1], batch=4), settings=INDEPENDENT)
    for done, _ in enumerate(steps, start=1):
        assert copying_model.calls == [(1, 1)] * done


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize(("memory", "expected"), [(0, 0.5), (2, 1.0)])
def test_the_time_of_a_frame_is_that_of_the_network(
    memory: int,
    expected: float,
    stack: Stack,
    make_predictor: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """References are encoded once, and frames that come together share their time."""
    clock = [0.0]
    monkeypatch.setattr(propagation, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(passes_module, "perf_counter", lambda: clock[0])
    predictor = make_predictor([0], batch=2)
    model = predictor.model
    encode, paint = model.encode_prompts, predictor.passes._run

    def slowly_encode(*args: Any, **named: Any) -> Any:
        clock[0] += 100.0 if not args[3].any() else 0.0
        return encode(*args, **named)

    def slowly_paint(*args: Any) -> Any:
        painted = paint(*args)
        clock[0] += 1.0
        return painted

    monkeypatch.setattr(model, "encode_prompts", slowly_encode)
    monkeypatch.setattr(predictor.passes, "_run", slowly_paint)
    settings = PropagationSettings(memory=memory, stop=5)
    steps = list(predict_stack(stack, predictor, settings=settings))
    assert [step.seconds for step in steps] == [expected] * 4
    assert clock[0] >= 100.0


def test_the_memory_fills_and_starts_anew_for_each_chain(
    stack: Stack, make_predictor: Callable, copying_model: Any
) -> None:
    settings = PropagationSettings(memory=3)
    list(predict_stack(stack, make_predictor([6]), settings=settings))
    backward, forward = [1, 2, 3, 4, 4, 4], [1, 2, 3, 4, 4]
    assert copying_model.calls == [(1, count) for count in backward + forward]


def test_the_last_frame_of_a_chain_is_not_remembered(
    stack: Stack, make_predictor: Callable, copying_model: Any
) -> None:
    predictor = make_predictor([0])
    settings = PropagationSettings(memory=4, stop=4)
    list(predict_stack(stack, predictor, settings=settings))
    assert len(copying_model.encoded) == 1 + 2  # the reference, and frames 1 and 2


@pytest.mark.parametrize("done", [1, 3, 7])
@pytest.mark.parametrize("memory", [1, 2])
def test_what_was_predicted_before_is_remembered(
    done: int, memory: int, make_predictor: Callable, stack: Stack, tiny_model: Any
) -> None:
    settings = PropagationSettings(memory=memory)
    whole = {
        step.index: step.prediction.labels
        for step in predict_stack(
            stack, make_predictor([5], tiny_model), settings=settings
        )
    }
    finished = [*range(4, -1, -1), *range(6, 12)][:done]
    stack.reads.clear()
    rest = list(
        predict_stack(
            stack,
            make_predictor([5], tiny_model),
            settings=settings,
            protected=finished,
            known=whole.get,
        )
    )
    assert {step.index for step in rest} == whole.keys() - {*finished}
    for step in rest:
        np.testing.assert_array_equal(step.prediction.labels, whole[step.index])
    of_each_chain = [{*range(5)} & {*finished}, {*range(6, 12)} & {*finished}]
    taught = sum(min(memory, len(one)) for one in of_each_chain if len(one) < 5)
    assert len(stack.reads) == len(rest) + taught


def test_frames_that_teach_nothing_take_no_place_in_memory(
    make_predictor: Callable,
    stack: Stack,
    tiny_model: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remembered = []
    remember = propagation.remember

    def noting(memory: Any, predictor: Any, frame: Any, index: int, found: Any) -> None:
        remembered.append(index)
        remember(memory, predictor, frame, index, found)

    monkeypatch.setattr(propagation, "remember", noting)
    labels = np.ones(stack[0].shape[:2], np.uint8)
    known = {1: labels, 2: labels, 3: labels, 5: np.zeros_like(labels)}  # 4 is a secret
    steps = predict_stack(
        stack,
        make_predictor([0], tiny_model),
        settings=PropagationSettings(memory=2, stop=7),
        protected=range(1, 6),
        known=known.get,
    )
    assert [step.index for step in steps] == [6]
    assert remembered == [2, 3]


@pytest.mark.parametrize("tiled", [False, True])
def test_frames_are_remembered_by_their_labels_not_by_what_was_painted(
    tiled: bool, stack: Stack, make_predictor: Callable, copying_model: Any
) -> None:
    copying_model.noise = 0.3
    tiling = TilingSettings(enabled=tiled)
    predictor = make_predictor([0], tiling=tiling)
    settings = PropagationSettings(memory=2, stop=5)
    (palette,) = predictor.palettes
    steps = list(predict_stack(stack, predictor, settings=settings))
    for step, encoded in zip(steps, copying_model.encoded[1:], strict=False):
        (painted,) = step.prediction.colors
        clean = palette.encode(step.prediction.labels)
        assert np.abs(painted - clean).max() > 0.01
        np.testing.assert_allclose(encoded, clean, atol=1e-5)


@pytest.mark.parametrize("shape", [(31, 31), (20, 27), (36, 40)])
def test_small_objects_lose_nothing_from_one_remembered_frame_to_the_next(
    shape: tuple[int, int], copying_model: Any, frame: Make
) -> None:
    """They are remembered on the grid of the model, not of a frame a bit smaller."""
    rng = np.random.default_rng(0)
    labels = np.zeros(shape, np.uint8)
    for number, (row, column) in enumerate(rng.integers(1, 15, (12, 2))):
        labels[row : row + 1 + number % 3, column : column + 2] = 1 + number % 3
    frames = [frame(shape)]
    for _ in range(8):  # each is like its neighbours only
        changed = rng.random(shape) < 0.1
        frames.append(np.where(changed, rng.integers(0, 100, shape), frames[-1]))
    predictor = Predictor(
        copying_model,
        [Prompt(image=frames[0], labels=labels, index=0)],
        settings=PredictionSettings(device="cpu"),
        limits=CONTRAST,
    )
    settings = PropagationSettings(memory=1)
    first, *others = predict_stack(Stack(frames), predictor, settings=settings)
    assert first.prediction.labels.any()
    for step in others:
        np.testing.assert_array_equal(step.prediction.labels, first.prediction.labels)


def test_a_frame_follows_the_one_before_it(
    make_predictor: Callable, stack: Stack, blocks: Make
) -> None:
    # Each frame is like its neighbours only: the copying model takes its labels from
    # the frame before, however far the reference is.
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 100, (32, 32))]
    for _ in range(11):
        changed = rng.random((32, 32)) < 0.3
        frames.append(np.where(changed, rng.integers(0, 100, (32, 32)), frames[-1]))
    stack.frames[:] = frames
    predictor = make_predictor([0])
    steps = list(
        predict_stack(stack, predictor, settings=PropagationSettings(memory=1))
    )
    for step in steps:
        np.testing.assert_array_equal(
            step.prediction.labels, predictor.prompts[0].labels
        )


def test_an_empty_frame_is_forgotten(
    stack: Stack, make_predictor: Callable, copying_model: Any
) -> None:
    predictor = make_predictor([0])
    paint = copying_model.forward
    black = torch.tensor([-2.2, -2.1, -1.9])[:, None, None]

    def paint_nothing_twice(query: torch.Tensor, prompts: Any) -> torch.Tensor:
        colors = paint(query, prompts)
        is_early = len(copying_model.calls) <= 2
        return black.expand_as(colors) if is_early else colors

    copying_model.forward = paint_nothing_twice
    settings = PropagationSettings(memory=4, stop=6)
    steps = list(predict_stack(stack, predictor, settings=settings))
    assert [bool(step.prediction.labels.any()) for step in steps] == [0, 0, 1, 1, 1]
    assert [count for _, count in copying_model.calls] == [1, 1, 1, 2, 3]


def test_prompts_from_elsewhere_make_one_chain_through_the_stack(
    stack: Stack, make_predictor: Callable, frame: Make
) -> None:
    predictor = make_predictor([3])
    elsewhere = replace(predictor.prompts[0], index=None, image=frame(seed=99))
    predictor.set_prompts([elsewhere])
    steps = list(predict_stack(stack, predictor))
    assert [step.index for step in steps] == [*range(12)]
    assert stack.reads == [*range(12)]


def test_a_prompt_from_elsewhere_helps_the_references(
    stack: Stack, make_predictor: Callable, frame: Make, copying_model: Any
) -> None:
    predictor = make_predictor([3])
    elsewhere = replace(predictor.prompts[0], index=None, image=frame(seed=99))
    predictor.set_prompts([*predictor.prompts, elsewhere])
    steps = list(predict_stack(stack, predictor, settings=INDEPENDENT))
    assert sorted(step.index for step in steps) == [0, 1, 2, *range(4, 12)]
    assert {count for _, count in copying_model.calls} == {2}


def test_an_empty_range_predicts_nothing(
    stack: Stack, make_predictor: Callable
) -> None:
    predictor = make_predictor([3])
    for chosen in ({"start": 12}, {"start": 5, "stop": 5}, {"start": 3, "stop": 4}):
        assert not [*predict_stack(stack, predictor, settings=replace(ALL, **chosen))]
    assert not [*predict_stack(Stack([]), predictor)]
    assert stack.reads == []


@pytest.mark.parametrize("memory", [0, 4])
def test_without_labels_a_stack_cannot_be_predicted(
    memory: int, stack: Stack, make_predictor: Callable
) -> None:
    settings = PropagationSettings(memory=memory)
    with pytest.raises(ValueError, match="Expected a prompt with labels, got none"):
        predict_stack(stack, make_predictor([]), settings=settings)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("memory", [0, 2])
def test_a_broken_frame_is_named_when_its_turn_comes(
    memory: int, stack: Stack, make_predictor: Callable
) -> None:
    stack.frames[3] = np.zeros((0, 32))
    settings = PropagationSettings(memory=memory)
    steps = predict_stack(stack, make_predictor([0], batch=4), settings=settings)
    assert [next(steps).index, next(steps).index] == [1, 2]
    with pytest.raises(FrameError, match="Expected a frame with pixels"):
        next(steps)


class BrokenStack(Stack):
    """A stack of which some frames cannot be read."""

    broken = (3, 4, 9)

    def __getitem__(self, index: int) -> np.ndarray:
        if index in self.broken:
            raise OSError(f"frame {index} is truncated\nsomewhere")
        return super().__getitem__(index)


@pytest.mark.usefixtures("together")
@pytest.mark.parametrize("memory", [0, 2])
def test_a_broken_frame_stops_no_other(
    memory: int, stack: Stack, make_predictor: Callable
) -> None:
    settings = PropagationSettings(memory=memory)
    predictor = make_predictor([0], batch=4)
    broken = BrokenStack(stack.frames)
    steps = list(
        predict_stack(broken, predictor, settings=settings, skip_unreadable=True)
    )
    assert [step.index for step in steps] == list(range(1, 12))
    left_out = [step for step in steps if isinstance(step, UnreadableFrame)]
    assert [(step.index, step.reason) for step in left_out] == [
        (index, f"frame {index} is truncated") for index in broken.broken
    ]
    with pytest.raises(OSError, match="frame 3 is truncated"):
        list(predict_stack(broken, predictor, settings=settings))


def test_a_broken_frame_does_not_stop_the_contrast(stack: Stack) -> None:
    broken = BrokenStack(stack.frames)
    found = list(sample_frames(broken))
    assert 0 < len(found) < NUM_CONTRAST_FRAMES
    broken.broken = tuple(range(12))
    with pytest.raises(OSError, match="frame 11 is truncated"):
        list(sample_frames(broken))
