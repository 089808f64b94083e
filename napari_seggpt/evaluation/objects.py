"""How well touching objects are told apart, and followed along a stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.measure import label as connected
from skimage.segmentation import watershed

from napari_seggpt.evaluation.datasets import given_frames, spread_references
from napari_seggpt.evaluation.protocol import means
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.labelling import label_stack
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.task_predictors import task_predictor
from napari_seggpt.inference.tiling import suggest_scale, with_tiles
from napari_seggpt.metrics.objects import (
    average_precision,
    match_objects,
    matched_pairs,
)
from napari_seggpt.objects.shapes import measure_sizes, separate
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import SessionSettings

    Labels = NDArray[np.integer[Any]]

OBJECTS, REGIONS = "objects", "regions"
THRESHOLDS = tuple(np.arange(10, 20) / 20)  # of IoU: 0.5 to 0.95, as COCO's
FOLLOWED = 0.5  # of the ids of two frames that must overlap, or ids mean nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectScore:
    """How well the objects of one frame were found.

    Attributes
    ----------
    dataset, sequence : str
        Where the frame is.
    index, distance : int
        Its number in the sequence, and frames to the nearest reference.
    f1, ap : dict of str to float
        By method: F1 of objects at an IoU of 0.5, and the mean over IoU from 0.5 to
        0.95 of TP / (TP + FP + FN).
    same_id : float or None
        Share of the objects of the nearest reference, of those that the frame truly
        has, too, that were found with the reference's id; None where none is.
    """

    dataset: str
    sequence: str
    index: int
    distance: int
    f1: dict[str, float] = field(default_factory=dict)
    ap: dict[str, float] = field(default_factory=dict)
    same_id: float | None = None


class HeldLabels:
    """Labels of images of any sizes in memory, written as a file of labels is."""

    def __init__(self, length: int, shape: tuple[int, ...]) -> None:
        self._frames: list[Labels] = [np.zeros(shape, np.int64)] * length

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Labels:
        return self._frames[index]

    def write(self, index: int, labels: Labels) -> None:
        """Take the labels of a frame."""
        self._frames[index] = np.asarray(labels, dtype=np.int64)


def evaluate_objects(
    sequence: LabelledSequence,
    model: SegGPT,
    *,
    references: int,
    settings: SessionSettings,
    auto_tiles: bool = False,
    peers: Mapping[str, MakeSegmenter] | None = None,
) -> Iterator[ObjectScore]:
    """Give some frames with the ids of their objects, and find those of the others.

    Beside it, from the same frames as classes: the connected regions of the same
    network's prediction, and what peers predict, parted by a watershed.

    Parameters
    ----------
    sequence : LabelledSequence
        Frames with objects.
    model : SegGPT
        What is evaluated.
    references : int
        How many frames are given.
    settings : SessionSettings
        How objects are predicted, cleaned up and linked.
    auto_tiles : bool
        Whether frames are cut into tiles where objects are small.
    peers : mapping of str to MakeSegmenter, optional
        What predicts classes, by name.

    Yields
    ------
    ObjectScore
        Every frame that is no reference and has objects.
    """
    labelled = [i for i in range(len(sequence)) if sequence.objects(i).any()]
    if not labelled:
        return
    given = spread_references(labelled, references)
    rest = [index for index in labelled if index not in given]
    limits = measure_limits(sample_frames(sequence))
    own = {i: sequence.objects(i).astype(np.int64) for i in given}
    prompts = [
        Prompt(image=sequence[i], labels=labels, index=i) for i, labels in own.items()
    ]
    prediction = settings.prediction
    if auto_tiles:
        _, scale = suggest_scale(list(own.values()), model.config)
        prediction = with_tiles(prediction, scale)
    predictor = task_predictor(
        Predictor(model, prompts, settings=prediction, limits=limits), settings
    )
    output = HeldLabels(len(sequence), sequence[0].shape[:2])
    for _ in label_stack(sequence, own, output, predictor=predictor, settings=settings):
        pass
    classes = given_frames(sequence, given)
    plain = Predictor(model, classes, settings=prediction, limits=limits)
    others = {name: make(classes, limits) for name, make in (peers or {}).items()}
    part = _watershed_of(list(own.values()))
    for index in rest:
        frame = sequence[index]
        true = sequence.counted(index, sequence.objects(index))
        found = {OBJECTS: output[index]}
        mask = _object_mask(plain.predict(frame, index=index).labels, sequence.task)
        found[REGIONS] = connected(mask, connectivity=1)
        for name, other in others.items():
            answer, _ = other.segment(frame, index)
            found[name] = part(_object_mask(answer, sequence.task))
        found = {name: sequence.counted(index, x) for name, x in found.items()}
        nearest = min(given, key=lambda i: abs(i - index))
        number = sequence.number
        yield ObjectScore(
            dataset=sequence.dataset,
            sequence=sequence.name,
            index=number(index),
            distance=abs(number(nearest) - number(index)),
            f1={name: match_objects(x, true).f1 for name, x in found.items()},
            ap={
                name: float(np.mean(average_precision(x, true, THRESHOLDS)))
                for name, x in found.items()
            },
            same_id=_share_of_ids(own[nearest], found[OBJECTS], true)
            if _ids_hold(sequence, index)
            else None,
        )


def _object_mask(labels: Labels, task: str) -> NDArray[np.bool_]:
    """Return where there is an object, of labels of a task."""
    mask: NDArray[np.bool_] = labels == 0 if task == "border" else labels > 0
    return mask


def _watershed_of(
    references: Sequence[Labels],
) -> Callable[[NDArray[np.bool_]], NDArray[np.int64]]:
    """Return what parts a mask into objects as large as those of the references."""
    apart = max(1, round(measure_sizes(map(separate, references)).radius))

    def part(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1.0)
        seeds = np.zeros(mask.shape, dtype=np.int64)
        places = peak_local_max(depth, min_distance=apart, labels=mask.astype(int))
        seeds[tuple(places.T)] = np.arange(1, len(places) + 1)
        parted: NDArray[np.int64] = watershed(-depth, seeds, mask=mask)
        return parted

    return part


def _ids_hold(sequence: LabelledSequence, index: int) -> bool:
    """Whether the true ids of a frame are those of the same objects a frame before.

    They are not in a set of images, and nobody follows objects in a thinned sequence.
    """
    beside = index - 1 if index else 1
    if beside >= len(sequence):
        return False
    here, there = sequence.objects(index), sequence.objects(beside)
    away = abs(sequence.number(index) - sequence.number(beside))
    if away != 1 or here.shape != there.shape:
        return False
    shared = np.intersect1d(here[here > 0], there[there > 0])
    touching = np.unique(here[(here == there) & (here > 0)])
    return len(shared) > 0 and len(touching) >= FOLLOWED * len(shared)


def _share_of_ids(reference: Labels, found: Labels, true: Labels) -> float | None:
    """Return the share of objects that are found with the id that they had."""
    shared = set(np.unique(reference).tolist()) & set(np.unique(true).tolist()) - {0}
    if not shared:
        return None
    pairs = matched_pairs(found, true)
    kept = sum(1 for own, known in pairs if own == known and known in shared)
    return kept / len(shared)


def summarise_objects(
    scores: Sequence[ObjectScore],
) -> list[tuple[str, dict[str, float]]]:
    """Average over the frames of each data set; frames of no ids do not count there."""
    rows = []
    for name in dict.fromkeys(score.dataset for score in scores):
        own = [score for score in scores if score.dataset == name]
        row: dict[str, float] = {"frames": len(own)}
        row |= {f"f1 {k}": v for k, v in means([x.f1 for x in own]).items()}
        row |= {f"ap {k}": v for k, v in means([x.ap for x in own]).items()}
        known = [x.same_id for x in own if x.same_id is not None]
        if known:
            row["same id"] = float(np.mean(known))
        rows.append((name, row))
    return rows


def ids_by_distance(
    scores: Sequence[ObjectScore], distances: Sequence[int]
) -> list[tuple[str, dict[str, float]]]:
    """Average the shares of ids that were kept so many frames from the reference."""
    rows = []
    for name in dict.fromkeys(score.dataset for score in scores):
        row = {}
        for distance in distances:
            known = [
                x.same_id
                for x in scores
                if x.dataset == name
                and x.distance == distance
                and x.same_id is not None
            ]
            if known:
                row[str(distance)] = float(np.mean(known))
        if row:
            rows.append((name, row))
    return rows
