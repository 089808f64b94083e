"""PQ, SQ and RQ of panoptic segmentation over many images, as panopticapi has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.metrics.pixels import contingency

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

VOID = 0  # pixels of no segment
HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCounts:
    """How many segments of a class were matched, and how well.

    Attributes
    ----------
    iou : float
        The sum over the matched pairs.
    matched, wrong, missed : int
        Pairs, predicted segments without partner, true ones without partner.
    """

    iou: float = 0.0
    matched: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: SegmentCounts) -> SegmentCounts:
        return SegmentCounts(
            iou=self.iou + other.iou,
            matched=self.matched + other.matched,
            wrong=self.wrong + other.wrong,
            missed=self.missed + other.missed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticScore:
    """Means over classes, from 0 to 1; NaN without classes.

    Attributes
    ----------
    pq, sq, rq : float
        Panoptic quality, and its parts: how well pairs fit, and how many fit.
    classes : int
        That have any segment.
    """

    pq: float
    sq: float
    rq: float
    classes: int


def count_segments(
    predicted: Labels,
    predicted_classes: Mapping[int, int],
    true: Labels,
    true_classes: Mapping[int, int],
    crowds: Collection[int] = (),
) -> dict[int, SegmentCounts]:
    """Match the segments of an image.

    Segments of one class match where their IoU is above a half; pixels that truly are
    void do not count. What lies mostly on void or on a crowd of its class is not
    wrong.

    Parameters
    ----------
    predicted, true : NDArray
        (H, W), the segment of each pixel; 0 is void.
    predicted_classes, true_classes : mapping of int to int
        The class of every segment that occurs; what is in neither is void.
    crowds : collection of int
        True segments that are several objects; they need not be found.

    Returns
    -------
    dict of int to SegmentCounts
        By class.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    overlap = _Overlap.of(predicted, true)
    ious = {
        pair: value
        for pair, value in overlap.ious().items()
        if predicted_classes.get(pair[0], VOID) == true_classes.get(pair[1])
        and pair[1] not in crowds
        and value > HALF
    }
    counts: dict[int, SegmentCounts] = {}

    def add(class_id: int, more: SegmentCounts) -> None:
        counts[class_id] = counts.get(class_id, SegmentCounts()) + more

    for (_, segment), iou in ious.items():
        add(true_classes[segment], SegmentCounts(iou=iou, matched=1))
    found = {pair[1] for pair in ious}
    for segment, class_id in true_classes.items():
        if segment not in found and segment not in crowds:
            add(class_id, SegmentCounts(missed=1))
    matched = {pair[0] for pair in ious}
    # As in panopticapi, of several crowds of a class only the last one counts.
    crowd_of = {true_classes[i]: i for i in true_classes if i in crowds}
    for segment, class_id in predicted_classes.items():
        if segment in matched or segment not in overlap.predicted_areas:
            continue
        excused = overlap.pixels.get((segment, VOID), 0)
        excused += overlap.pixels.get((segment, crowd_of.get(class_id, -1)), 0)
        if excused / overlap.predicted_areas[segment] <= HALF:
            add(class_id, SegmentCounts(wrong=1))
    return counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overlap:
    """Pixels of segments: of each, and of each pair (predicted, true)."""

    predicted_areas: Mapping[int, int]
    true_areas: Mapping[int, int]
    pixels: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, predicted: Labels, true: Labels) -> _Overlap:
        predicted_ids, true_ids, pixels = contingency(predicted, true)
        pairs = zip(
            predicted_ids[pixels.row].tolist(),
            true_ids[pixels.col].tolist(),
            strict=True,
        )
        return cls(
            predicted_areas=_by_id(predicted_ids, pixels.sum(axis=1)),
            true_areas=_by_id(true_ids, pixels.sum(axis=0)),
            pixels=dict(zip(pairs, pixels.data.tolist(), strict=True)),
        )

    def ious(self) -> dict[tuple[int, int], float]:
        """Return the IoU of each pair; of a predicted segment, what is void is left."""
        return {
            (one, other): common
            / (
                self.predicted_areas[one]
                + self.true_areas[other]
                - common
                - self.pixels.get((one, VOID), 0)
            )
            for (one, other), common in self.pixels.items()
            if VOID not in (one, other)
        }


def _by_id(ids: NDArray[np.int64], pixels: NDArray[Any]) -> dict[int, int]:
    return dict(zip(ids.tolist(), pixels.tolist(), strict=True))


def sum_segments(
    images: Iterable[Mapping[int, SegmentCounts]],
) -> dict[int, SegmentCounts]:
    """Add up the counts of images, class by class."""
    total: dict[int, SegmentCounts] = {}
    for counts in images:
        for class_id, more in counts.items():
            total[class_id] = total.get(class_id, SegmentCounts()) + more
    return total


def score_segments(
    counts: Mapping[int, SegmentCounts], classes: Collection[int]
) -> PanopticScore:
    """Average over those of the classes that have any segment."""
    rows = []
    for class_id in classes:
        one = counts.get(class_id, SegmentCounts())
        whole = one.matched + (one.wrong + one.missed) / 2
        if whole:
            quality = one.iou / one.matched if one.matched else 0.0
            rows.append((one.iou / whole, quality, one.matched / whole))
    pq, sq, rq = np.mean(rows, axis=0) if rows else (np.nan, np.nan, np.nan)
    return PanopticScore(pq=float(pq), sq=float(sq), rq=float(rq), classes=len(rows))
