"""predict_stack(): a generator over the frames of a stack, in the order of `chains`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, overload

from napari_seggpt.inference.chains import plan
from napari_seggpt.inference.memory import Memory, remember
from napari_seggpt.inference.watching import UnreadableFrame, read_frame
from napari_seggpt.settings import PropagationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid, Frames
    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.task_predictors import TaskPredictor

    Known = Callable[[int], NDArray[np.integer[Any]] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePrediction:
    """The prediction of one frame of a stack.

    Attributes
    ----------
    index : int
        The frame.
    prediction : Prediction
        Its labels.
    seconds : float
        What it took, without the encoding of references, which is done once.
    """

    index: int
    prediction: Prediction
    seconds: float = 0.0


@overload
def predict_stack(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    *,
    settings: PropagationSettings | None = None,
    protected: Collection[int] = (),
    grid: FrameGrid | None = None,
    known: Known | None = None,
) -> Iterator[FramePrediction]: ...


@overload
def predict_stack(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    *,
    settings: PropagationSettings | None = None,
    protected: Collection[int] = (),
    grid: FrameGrid | None = None,
    known: Known | None = None,
    skip_unreadable: bool,
) -> Iterator[FramePrediction | UnreadableFrame]: ...


def predict_stack(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    *,
    settings: PropagationSettings | None = None,
    protected: Collection[int] = (),
    grid: FrameGrid | None = None,
    known: Known | None = None,
    skip_unreadable: bool = False,
) -> Iterator[FramePrediction | UnreadableFrame]:
    """Predict the frames of a stack, one after the other.

    Prompts of the predictor with an index are references in this stack: the frames
    lead outward from them (section 4.4 of the paper), and they are not predicted
    themselves. A predicted frame enters the memory by its decoded labels. Closing
    the generator early leaves everything that was yielded.

    Parameters
    ----------
    stack : Frames
        Read a frame at a time.
    predictor : Predictor or TaskPredictor
        With at least one prompt.
    settings : PropagationSettings, optional
        Memory, range, step and direction.
    protected : collection of int
        Further frames that are left as they are.
    grid : FrameGrid, optional
        How frames lie, if not all in one line; see `chains`. References near on
        either axis are near.
    known : callable, optional
        Returns the labels of a protected frame, or None if there are none to learn
        from: with memory, the frames after it remember them.
    skip_unreadable : bool
        Whether a frame that cannot be read is told of and left out, rather than
        ending all.

    Yields
    ------
    FramePrediction or UnreadableFrame
        Every frame of the range but references and protected ones.

    Raises
    ------
    FrameError
        If a frame is no picture, or cannot be read and is not to be left out.
    ValueError
        If the predictor has no prompt with labels.
    """
    settings = settings or PropagationSettings()
    check_labelled(predictor)
    is_taught = known is not None and settings.memory > 0
    chains = plan(
        len(stack),
        predictor.references,
        settings,
        protected=() if is_taught else protected,  # a run of few frames is planned soon
        grid=grid,
    )
    return predict_chains(
        stack,
        predictor,
        chains,
        memory=settings.memory,
        protected=protected,
        grid=grid,
        known=known,
        skip_unreadable=skip_unreadable,
    )


def check_labelled(predictor: Predictor | TaskPredictor) -> None:
    """Check that a predictor was shown what to label.

    Raises
    ------
    ValueError
        If it has no prompt with labels.
    """
    labelled = (prompt.labels.any() for prompt in predictor.prompts)
    if not predictor.tuned and not any(labelled):
        raise ValueError("Expected a prompt with labels, got none.")


def predict_chains(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    chains: Sequence[Sequence[int]],
    *,
    memory: int,
    protected: Collection[int] = (),
    grid: FrameGrid | None = None,
    known: Known | None = None,
    skip_unreadable: bool = False,
) -> Iterator[FramePrediction | UnreadableFrame]:
    """Predict frames whose order is planned; see `predict_stack`.

    Parameters
    ----------
    stack, predictor, grid, known, skip_unreadable
        As of `predict_stack`.
    chains : sequence of sequence of int
        What `plan` returned, without or with protected frames.
    memory : int
        How many frames before are remembered in a chain.
    protected : collection of int
        Frames that are left as they are.
    """
    if memory == 0 or known is None:  # nothing is learned from protected frames
        kept = {*protected}
        chains = [[i for i in chain if i not in kept] for chain in chains]
    if memory == 0:
        steps = _predict_independent(stack, predictor, chains, grid)
    else:
        steps = itertools.chain.from_iterable(
            predict_chain(
                stack, predictor, chain, Memory(memory), protected, known, grid
            )
            for chain in chains
        )
    for step in steps:
        if isinstance(step, UnreadableFrame) and step.error and not skip_unreadable:
            raise step.error
        yield step


class _Stopwatch:
    """Measures what frames take, without the encoding of references."""

    def __init__(self, predictor: Predictor | TaskPredictor) -> None:
        self._predictor = predictor
        self._began = perf_counter() - predictor.encoding_seconds

    @property
    def seconds(self) -> float:
        return perf_counter() - self._predictor.encoding_seconds - self._began


def _predict_independent(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    chains: Sequence[Sequence[int]],
    grid: FrameGrid | None,
) -> Iterator[FramePrediction | UnreadableFrame]:
    indices = [index for chain in chains for index in chain]
    size = predictor.frames_at_once
    for start in range(0, len(indices), size):
        watch = _Stopwatch(predictor)
        frames = {
            index: read_frame(stack, index) for index in indices[start : start + size]
        }
        pictures = {
            i: x for i, x in frames.items() if not isinstance(x, UnreadableFrame)
        }
        predictions: Iterator[Prediction] = iter(())
        if pictures:  # a broken frame costs none of the batch that it is in
            predictions = iter(
                predictor.predict_batch(
                    list(pictures.values()), indices=list(pictures), grid=grid
                )
            )
        seconds = watch.seconds / max(1, len(pictures))
        for index, frame in frames.items():
            if isinstance(frame, UnreadableFrame):
                yield frame
            else:
                yield FramePrediction(
                    index=index, prediction=next(predictions), seconds=seconds
                )


def predict_chain(
    stack: Frames,
    predictor: Predictor | TaskPredictor,
    chain: Sequence[int],
    memory: Memory,
    kept: Collection[int],
    known: Known | None,
    grid: FrameGrid | None = None,
) -> Iterator[FramePrediction | UnreadableFrame]:
    """Predict frames one after the other, each with the last ones in memory.

    Parameters
    ----------
    stack : Frames
        Read a frame at a time.
    predictor : Predictor or TaskPredictor
        With at least one prompt.
    chain : sequence of int
        The frames in their order.
    memory : Memory
        What the chain remembers before its first frame; when a frame is yielded, that
        frame is in it.
    kept : collection of int
        Frames of the chain that are not predicted.
    known : callable, optional
        Returns the labels of a kept frame, to be remembered; see `predict_stack`.
    grid : FrameGrid, optional
        As of `predict_stack`.
    """
    before: list[int] = []
    for index in chain:
        if index in kept:
            before.append(index)
            continue
        if known is not None:
            _remember_known(memory, predictor, stack, before, known)
            before.clear()
        watch = _Stopwatch(predictor)
        frame = read_frame(stack, index)
        if isinstance(frame, UnreadableFrame):
            yield frame
            continue
        (prediction,) = predictor.predict_batch(
            [frame], indices=[index], memory=memory, grid=grid
        )
        seconds = watch.seconds
        if index != chain[-1]:
            remember(memory, predictor, frame, index, prediction)
        yield FramePrediction(index=index, prediction=prediction, seconds=seconds)


def _remember_known(
    memory: Memory,
    predictor: Predictor | TaskPredictor,
    stack: Frames,
    before: Sequence[int],
    known: Known,
) -> None:
    """Remember the last of the frames before, of those that teach something.

    As a chain does that has predicted them: what it passes over takes no place.
    """
    taught: list[tuple[int, NDArray[Any], NDArray[np.integer[Any]]]] = []
    for index in reversed(before):
        if len(taught) == memory.size:
            break
        labels = known(index)
        if labels is None or not labels.any():
            continue
        frame = read_frame(stack, index)
        if not isinstance(frame, UnreadableFrame):
            taught.append((index, frame, labels))
    for index, frame, labels in reversed(taught):
        remember(memory, predictor, frame, index, labels)
