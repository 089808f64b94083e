"""The simulated annotator: how many frames must be labelled until all are good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from napari_seggpt.evaluation.datasets import given_frames, spread_references
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.suggestion import suggest, thumbnail_vector
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.preprocessing import measure_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import Method, SegmentedFrame
    from napari_seggpt.preprocessing import Limits

Order = Literal["unsure", "even", "unlike"]

TARGET = 0.90  # mean Dice over the frames of a sequence
MAX_FRAMES = 24
ROUNDS = 16  # about so many rounds label a whole sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorStep:
    """How good a sequence is once some of its frames are labelled.

    Attributes
    ----------
    dataset, sequence : str
        What is labelled.
    labelled, frames : int
        Frames labelled by hand, of how many.
    dice : float
        Mean Dice over all frames and the classes of the sequence; a frame labelled
        by hand counts 1.
    """

    dataset: str
    sequence: str
    labelled: int
    frames: int
    dice: float


def simulate_annotator(
    sequence: LabelledSequence,
    method: Method,
    *,
    order: Order = "unsure",
    step: int | None = None,
    max_frames: int = MAX_FRAMES,
    target: float = TARGET,
) -> Iterator[AnnotatorStep]:
    """Label the middle frame, then again and again one more, until all are good.

    It ends when the target is reached or every frame is labelled. A sequence without
    any labels yields nothing.

    Parameters
    ----------
    sequence : LabelledSequence
        Frames with true labels.
    method : Method
        Segments what is not labelled, as `protocol.seggpt` or `peers.one_by_one`.
    order : {"unsure", "even", "unlike"}
        Which frame is next: the one of lowest confidence, where a person is sent in
        review; the one farthest in the sequence from all that are labelled; or the one
        that looks least like these, which needs no prediction.
    step : int, optional
        Frames labelled a round; about a sixteenth of the sequence without it.
    max_frames : int
        Longer sequences are thinned, evenly.
    target : float
        Mean Dice that is good enough.

    Yields
    ------
    AnnotatorStep
        After each round, the first with one frame.

    Raises
    ------
    ValueError
        If there is no such order, `step` is below 1, or `max_frames` below 2.
    """
    if step is not None and step < 1:
        raise ValueError(f"Expected a step of 1 or more frames, got {step}.")
    if order not in get_args(Order):
        raise ValueError(
            f"Expected one of {', '.join(get_args(Order))}, got {order!r}."
        )
    sequence = sequence.thinned(max_frames)
    labelled, frames = sequence.labelled(), len(sequence)
    if not labelled:
        return
    step = step or max(1, frames // ROUNDS)
    limits = measure_limits(sample_frames(sequence))
    ids = sequence.classes()
    places = _places(sequence, order, limits)
    given = set(spread_references(labelled, 1))
    while True:
        prompts = given_frames(sequence, sorted(given))
        # Who has labelled everything needs no method any more.
        rest = method(sequence, prompts, limits) if len(given) < frames else ()
        guesses = [_score(frame, sequence, ids) for frame in rest]
        dice = (len(given) + sum(guess.dice for guess in guesses)) / frames
        yield AnnotatorStep(
            dataset=sequence.dataset,
            sequence=sequence.name,
            labelled=len(given),
            frames=frames,
            dice=dice,
        )
        if dice >= target or len(given) == frames:
            return
        guesses.sort(key=lambda guess: (guess.confidence, guess.index))
        for guess in guesses[:step]:
            chosen = suggest(places, given) if places else guess.index
            given.add(guess.index if chosen is None else chosen)


def _places(
    sequence: LabelledSequence, order: Order, limits: Limits
) -> dict[int, NDArray[np.float32]]:
    """Return by what frames are told to be far from each other, if that is asked."""
    if order == "unlike":
        return {i: thumbnail_vector(sequence[i], limits) for i in range(len(sequence))}
    if order == "even":
        return {i: np.array([i], np.float32) for i in range(len(sequence))}
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    index: int
    confidence: float
    dice: float


def _score(
    frame: SegmentedFrame, sequence: LabelledSequence, ids: Sequence[int]
) -> _Guess:
    """Keep of a segmented frame what the annotator needs: no pictures."""
    found = sequence.counted(frame.index, frame.labels)
    return _Guess(
        index=frame.index,
        confidence=frame.confidence,
        dice=mean_dice(found, sequence.labels(frame.index), ids),
    )


def effort(steps: Sequence[AnnotatorStep], target: float = TARGET) -> float:
    """Return the share of frames labelled when the target was reached; 1 if never."""
    reached = (step for step in steps if step.dice >= target)
    return next((step.labelled / step.frames for step in reached), 1.0)
