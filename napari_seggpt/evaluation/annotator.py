"""The simulated annotator: how many frames must be labelled until all are good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.evaluation.datasets import given_frames, spread_references
from napari_seggpt.evaluation.metrics import mean_dice
from napari_seggpt.inference.propagation import sample_frames
from napari_seggpt.preprocessing import measure_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import Method, SegmentedFrame

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
    step: int | None = None,
    max_frames: int = MAX_FRAMES,
    target: float = TARGET,
) -> Iterator[AnnotatorStep]:
    """Label the middle frame, then again and again the frame that is least sure.

    That is what a person does who is sent to the frame of lowest confidence first.
    It ends when the target is reached or every frame is labelled. A sequence without
    any labels yields nothing.

    Parameters
    ----------
    sequence : LabelledSequence
        Frames with true labels.
    method : Method
        Segments what is not labelled, as `protocol.seggpt` or `peers.one_by_one`.
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
        If `step` is below 1 or `max_frames` below 2.
    """
    if step is not None and step < 1:
        raise ValueError(f"Expected a step of 1 or more frames, got {step}.")
    sequence = sequence.thinned(max_frames)
    labelled, frames = sequence.labelled(), len(sequence)
    if not labelled:
        return
    step = step or max(1, frames // ROUNDS)
    limits = measure_limits(sample_frames(sequence))
    ids = sequence.classes()
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
        given |= {guess.index for guess in guesses[:step]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    index: int
    confidence: float
    dice: float


def _score(
    frame: SegmentedFrame, sequence: LabelledSequence, ids: Sequence[int]
) -> _Guess:
    """Keep of a segmented frame what the annotator needs: no pictures."""
    return _Guess(
        index=frame.index,
        confidence=frame.confidence,
        dice=mean_dice(frame.labels, sequence.labels(frame.index), ids),
    )


def effort(steps: Sequence[AnnotatorStep], target: float = TARGET) -> float:
    """Return the share of frames labelled when the target was reached; 1 if never."""
    reached = (step for step in steps if step.dice >= target)
    return next((step.labelled / step.frames for step in reached), 1.0)
