"""Protocols: some reference frames are given, the rest is predicted and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from napari_seggpt.evaluation.metrics import mean_dice
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import predict_stack, sample_frames
from napari_seggpt.inference.tiling import suggest_scale, with_tiles
from napari_seggpt.io import read_frame
from napari_seggpt.preprocessing import measure_limits, resize_labels
from napari_seggpt.prompts import Prompt
from napari_seggpt.training.dataset import (
    DataError,
    find_datasets,
    guess_kind,
    pair_files,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import PredictionSettings, PropagationSettings

# Where less than this is background, objects fill the frame: the task is their border.
TILED_BACKGROUND = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSequence:
    """Frames with true labels, in order: a stack, a time series or a set of images.

    Attributes
    ----------
    dataset, name : str
        The data set and the sequence in it.
    task : {"semantic", "objects", "border"}
        What is to be segmented: the classes, all objects, or where objects meet.
    files : tuple of (Path, Path)
        Image and labels of each frame.
    """

    dataset: str
    name: str
    task: str
    files: tuple[tuple[Path, Path], ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return read_frame(self.files[index][0])

    def labels(self, index: int) -> NDArray[np.integer[Any]]:
        """Return the true labels (H, W) of the task."""
        return _of_task(read_frame(self.files[index][1], labels=True), self.task)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """Mean Dice over the classes of one predicted frame.

    Attributes
    ----------
    dice : float
        Of the prediction.
    copied : float
        Of the nearest reference's labels, copied.
    """

    dataset: str
    sequence: str
    index: int
    dice: float
    copied: float


def find_sequences(root: Path) -> list[LabelledSequence]:
    """Find the sequences of a folder of data sets, or of one data set.

    A data set has `images/` and `labels/`. A `datasets.json` beside data sets tells
    `label_kind` and `sequences`; a set without sequences is one sequence.

    Raises
    ------
    DataError
        If there is none.
    """
    found = [
        sequence
        for folder, facts in find_datasets(root)
        for sequence in _sequences_of(folder, facts)
    ]
    if not found:
        raise DataError(f"Expected sequences of 2 or more frames in {root}, got none.")
    return found


def _sequences_of(folder: Path, facts: dict[str, Any]) -> list[LabelledSequence]:
    pairs = {image.name: (image, labels) for image, labels in pair_files(folder)}
    if len(pairs) < 2:
        return []
    first = next(iter(pairs.values()))[1]
    task = _task(read_frame(first, labels=True), facts.get("label_kind"))
    named = facts.get("sequences") or {folder.name: list(pairs)}
    return [
        LabelledSequence(
            dataset=folder.name,
            name=name,
            task=task,
            files=tuple(pairs[file] for file in files if file in pairs),
        )
        for name, files in named.items()
        if len(files) > 1
    ]


def _task(labels: NDArray[np.integer[Any]], kind: str | None) -> str:
    if (kind or guess_kind(labels)) != "instance":
        return "semantic"
    return "border" if (labels == 0).mean() < TILED_BACKGROUND else "objects"


def _of_task(labels: NDArray[np.integer[Any]], task: str) -> NDArray[np.integer[Any]]:
    if task == "objects":
        return (labels > 0).astype(np.uint8)
    if task == "border":
        return find_boundaries(labels, mode="thick").astype(np.uint8)
    return labels


def spread_references(labelled: Sequence[int], count: int) -> list[int]:
    """Choose references evenly among labelled frames: the middle one, and so on."""
    places = (np.arange(count) + 0.5) / count * len(labelled)
    return sorted({labelled[int(place)] for place in places})


def evaluate_sequence(
    sequence: LabelledSequence,
    model: SegGPT,
    *,
    references: int,
    prediction: PredictionSettings,
    propagation: PropagationSettings,
    auto_tiles: bool = False,
) -> Iterator[FrameScore]:
    """Give some frames as references, predict the others, and score each.

    With `auto_tiles` the frames are cut into tiles where the references' objects are
    too small for the model, as `suggest_scale` advises. References are frames with
    labels, as a person would choose; a sequence without any yields nothing.
    """
    labelled = [i for i in range(len(sequence)) if sequence.labels(i).any()]
    if not labelled:
        return
    given = spread_references(labelled, references)
    prompts = [
        Prompt(image=sequence[i], labels=sequence.labels(i), index=i) for i in given
    ]
    if auto_tiles:
        labels = [prompt.labels for prompt in prompts]
        _, scale = suggest_scale(labels, model.config.image_size)
        prediction = with_tiles(prediction, scale)
    predictor = Predictor(
        model,
        prompts,
        settings=prediction,
        limits=measure_limits(sample_frames(sequence)),
    )
    ids = sorted({int(i) for prompt in prompts for i in prompt.ids})
    for step in predict_stack(sequence, predictor, settings=propagation):
        true = sequence.labels(step.index)
        nearest = min(prompts, key=lambda p: abs((p.index or 0) - step.index))
        copied = resize_labels(nearest.labels, true.shape[:2])
        yield FrameScore(
            dataset=sequence.dataset,
            sequence=sequence.name,
            index=step.index,
            dice=mean_dice(step.prediction.labels, true, ids),
            copied=mean_dice(copied, true, ids),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetScore:
    """Mean over the frames of a data set, each counting once."""

    dataset: str
    frames: int
    dice: float
    copied: float


def summarise(scores: Sequence[FrameScore]) -> list[DataSetScore]:
    """Average frame scores by data set, in order of appearance."""
    names = list(dict.fromkeys(score.dataset for score in scores))
    return [
        _summarise_one(name, [score for score in scores if score.dataset == name])
        for name in names
    ]


def _summarise_one(name: str, scores: list[FrameScore]) -> DataSetScore:
    return DataSetScore(
        dataset=name,
        frames=len(scores),
        dice=float(np.mean([score.dice for score in scores])),
        copied=float(np.mean([score.copied for score in scores])),
    )
