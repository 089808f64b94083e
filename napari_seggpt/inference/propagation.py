"""predict_stack(): a generator over the frames of a stack, outward from references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_seggpt.inference.memory import Memory
from napari_seggpt.preprocessing import check_frame
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PropagationSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.inference.predictor import Prediction, Predictor


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePrediction:
    """The prediction of one frame of a stack."""

    index: int
    prediction: Prediction


def plan(
    length: int,
    references: Collection[int],
    settings: PropagationSettings,
    *,
    protected: Collection[int] = (),
) -> list[list[int]]:
    """Plan in which order the frames of a stack are predicted.

    Each frame is reached from its nearest reference, or from the nearest on the side
    that the direction asks for. References and protected frames are in no chain.

    Parameters
    ----------
    length : int
        Frames in the stack.
    references : collection of int
        Labelled frames.
    settings : PropagationSettings
        Range, step and direction.
    protected : collection of int
        Frames that must not be written.

    Returns
    -------
    list of list of int
        Chains of frames, each leading away from one reference. Without references
        in the stack there is one chain through the range.
    """
    stop = length if settings.stop is None else min(settings.stop, length)
    kept = {*references, *protected}
    frames = [i for i in range(settings.start, stop, settings.step) if i not in kept]
    if not references:
        ordered = frames[::-1] if settings.direction == "backward" else frames
        return [ordered] if ordered else []
    chains: dict[tuple[int, bool], list[int]] = {}
    for frame in frames:
        source = _source(frame, references, settings.direction)
        if source is not None:
            chains.setdefault((source, frame > source), []).append(frame)
    return [
        chain if forward else chain[::-1]
        for (_, forward), chain in sorted(chains.items())
    ]


def _source(frame: int, references: Collection[int], direction: str) -> int | None:
    """Return the reference that a frame is reached from, if any."""
    sides = {"both": (True, True), "forward": (True, False), "backward": (False, True)}
    before, after = sides[direction]
    allowed = [r for r in references if (r < frame and before) or (r > frame and after)]
    return min(allowed, key=lambda r: (abs(r - frame), r), default=None)


def predict_stack(
    stack: Frames,
    predictor: Predictor,
    *,
    settings: PropagationSettings | None = None,
    protected: Collection[int] = (),
) -> Iterator[FramePrediction]:
    """Predict the frames of a stack, one after the other.

    Prompts of the predictor with an index are references in this stack: the frames
    lead outward from them (section 4.4 of the paper), and they are not predicted
    themselves. A predicted frame enters the memory by its decoded labels. Closing
    the generator early leaves everything that was yielded.

    Parameters
    ----------
    stack : Frames
        Read a frame at a time.
    predictor : Predictor
        With at least one prompt.
    settings : PropagationSettings, optional
        Memory, range, step and direction.
    protected : collection of int
        Further frames that are left as they are.

    Yields
    ------
    FramePrediction
        Every frame of the range but references and protected ones.

    Raises
    ------
    FrameError
        If a frame is no picture.
    ValueError
        If the predictor has no prompt with labels.
    """
    settings = settings or PropagationSettings()
    chains = plan(len(stack), predictor.references, settings, protected=protected)
    if settings.memory == 0:
        yield from _predict_independent(stack, predictor, chains)
        return
    for chain in chains:
        yield from _predict_chain(stack, predictor, chain, Memory(settings.memory))


def _predict_independent(
    stack: Frames, predictor: Predictor, chains: list[list[int]]
) -> Iterator[FramePrediction]:
    frames = [frame for chain in chains for frame in chain]
    size = predictor.settings.batch
    for start in range(0, len(frames), size):
        indices = frames[start : start + size]
        pictures, error = _read_until_broken(stack, indices)
        if pictures:
            predictions = predictor.predict_batch(
                pictures, indices=indices[: len(pictures)]
            )
            for index, prediction in zip(indices, predictions, strict=False):
                yield FramePrediction(index=index, prediction=prediction)
        if error is not None:
            raise error


def _read_until_broken(
    stack: Frames, indices: list[int]
) -> tuple[list[NDArray[Any]], Exception | None]:
    """Read frames; where one is broken, return those before it and the error.

    So a broken frame costs none of the batch that it is in.
    """
    pictures: list[NDArray[Any]] = []
    for index in indices:
        try:
            frame = stack[index]
            check_frame(frame)
        except (ValueError, OSError) as error:
            return pictures, error
        pictures.append(frame)
    return pictures, None


def _predict_chain(
    stack: Frames, predictor: Predictor, chain: list[int], memory: Memory
) -> Iterator[FramePrediction]:
    for index in chain:
        frame = stack[index]
        (prediction,) = predictor.predict_batch([frame], indices=[index], memory=memory)
        yield FramePrediction(index=index, prediction=prediction)
        if index != chain[-1]:
            prompt = Prompt(image=frame, labels=prediction.labels, index=index)
            memory.add(predictor.prepare(prompt, predicted=True))
