"""Protocol: some reference frames are given, the rest is predicted and compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.evaluation.datasets import given_frames, spread_references
from napari_seggpt.evaluation.peers import SegmentedFrame
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.confidence import frame_confidence
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.inference.tiling import suggest_scale, with_tiles
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.settings import PredictionSettings, PropagationSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.measures import Measures
    from napari_seggpt.evaluation.peers import MakeSegmenter, Method
    from napari_seggpt.frames import Frames
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.settings import Device

SEGGPT = "seggpt"
QUICK_FRAMES = 6  # of each sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """How well one frame was segmented.

    Attributes
    ----------
    dataset, sequence : str
        Where the frame is.
    index, distance : int
        Its number in the sequence, and frames to the nearest reference.
    dice : dict of str to float
        By method, mean Dice over the classes of the references.
    measures : dict of str to float
        Of SegGPT's labels; see `Measures.add`. Empty unless asked for.
    """

    dataset: str
    sequence: str
    index: int
    distance: int
    dice: dict[str, float]
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetScore:
    """Means over the frames of a data set, each counting once.

    Attributes
    ----------
    dice : dict of str to float
        By method.
    measures : dict of str to float
        Means of the frames' measures, and those of the set as a whole.
    """

    dataset: str
    frames: int
    dice: dict[str, float]
    measures: dict[str, float] = field(default_factory=dict)


def seggpt(
    model: SegGPT,
    *,
    prediction: PredictionSettings,
    propagation: PropagationSettings,
    auto_tiles: bool = False,
) -> Method:
    """Return SegGPT as a method that can be compared with others.

    With `auto_tiles` the frames are cut into tiles where the prompts' objects are too
    small for the model, as `suggest_scale` advises.
    """

    def segment_stack(
        stack: Frames, prompts: Sequence[Prompt], limits: Limits
    ) -> Iterator[SegmentedFrame]:
        settings = prediction
        if auto_tiles:
            labels = [prompt.labels for prompt in prompts]
            _, scale = suggest_scale(labels, model.config)
            settings = with_tiles(prediction, scale)
        predictor = Predictor(model, prompts, settings=settings, limits=limits)
        for step in predict_stack(stack, predictor, settings=propagation):
            yield SegmentedFrame(
                index=step.index,
                labels=step.prediction.labels,
                confidence=frame_confidence(
                    step.prediction.labels, step.prediction.confidence
                ),
            )

    return segment_stack


def evaluate_sequence(
    sequence: LabelledSequence,
    model: SegGPT,
    *,
    references: int,
    prediction: PredictionSettings,
    propagation: PropagationSettings,
    auto_tiles: bool = False,
    peers: Mapping[str, MakeSegmenter] | None = None,
    measures: Measures | None = None,
) -> Iterator[FrameScore]:
    """Give some frames as references, segment the others, and score each.

    References are frames with labels, as a person would choose; a sequence without
    any yields nothing.

    Parameters
    ----------
    sequence : LabelledSequence
        Frames with true labels.
    model : SegGPT
        What is evaluated.
    references : int
        How many frames are given.
    prediction, propagation, auto_tiles
        As in `seggpt`.
    peers : mapping of str to MakeSegmenter, optional
        What it is compared with on the same frames, by name.
    measures : Measures, optional
        Takes further measures, at some cost.

    Yields
    ------
    FrameScore
        Every frame that is no reference.
    """
    labelled = sequence.labelled()
    if not labelled:
        return
    prompts = given_frames(sequence, spread_references(labelled, references))
    limits = measure_limits(sample_frames(sequence))
    ids = sorted({int(i) for prompt in prompts for i in prompt.ids})
    others = {name: make(prompts, limits) for name, make in (peers or {}).items()}
    method = seggpt(
        model, prediction=prediction, propagation=propagation, auto_tiles=auto_tiles
    )
    for step in method(sequence, prompts, limits):
        answers = {SEGGPT: step.labels}
        for name, other in others.items():
            answers[name], _ = other.segment(sequence[step.index], step.index)
        true = sequence.labels(step.index)
        answers = {name: sequence.counted(step.index, x) for name, x in answers.items()}
        yield FrameScore(
            dataset=sequence.dataset,
            sequence=sequence.name,
            index=sequence.number(step.index),
            distance=_distance(sequence, prompts, step.index),
            dice={name: mean_dice(x, true, ids) for name, x in answers.items()},
            measures=measures.add(sequence, step.index, answers[SEGGPT], ids)
            if measures
            else {},
        )


def quick_dice(
    model: SegGPT, sequences: Sequence[LabelledSequence], *, device: Device = "auto"
) -> float:
    """Return the mean Dice of data sets, from one reference and a few frames each.

    For following a training run; `evaluate_sequence` looks at every frame.
    """
    prediction = PredictionSettings(device=device)
    scores = [
        score
        for sequence in sequences
        for score in evaluate_sequence(
            sequence.thinned(QUICK_FRAMES),
            model,
            references=1,
            prediction=prediction,
            propagation=PropagationSettings(),
            auto_tiles=True,
        )
    ]
    return means([result.dice for result in summarise(scores)])[SEGGPT]


def _distance(sequence: LabelledSequence, prompts: Sequence[Prompt], index: int) -> int:
    """Return the frames from a frame to its nearest reference, before thinning."""
    numbers = [sequence.number(p.index) for p in prompts if p.index is not None]
    return min(abs(number - sequence.number(index)) for number in numbers)


def summarise(
    scores: Sequence[FrameScore], measures: Measures | None = None
) -> list[DataSetScore]:
    """Average frame scores by data set, in order of appearance.

    With the `measures` of these frames, those of whole sets are added.
    """
    names = list(dict.fromkeys(score.dataset for score in scores))
    return [
        _summarise_one(
            name,
            [score for score in scores if score.dataset == name],
            measures.of_set(name) if measures else {},
        )
        for name in names
    ]


def _summarise_one(
    name: str, scores: list[FrameScore], of_set: dict[str, float]
) -> DataSetScore:
    return DataSetScore(
        dataset=name,
        frames=len(scores),
        dice=means([score.dice for score in scores]),
        measures=means([score.measures for score in scores]) | of_set,
    )


def means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average what has equal names, over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {
        name: float(np.mean([row[name] for row in rows if name in row]))
        for name in names
    }
