"""Measures of agreement between predicted and true objects.

Objects are the labels other than 0 of a label image; they need not be numbered
consecutively, and their numbers play no role. A predicted and a true object may be
matched if their IoU reaches a threshold, and each has one partner at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from napari_seggpt.metrics.pixels import contingency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

HALF = 0.5  # objects of larger IoU than this have no second candidate
ABOVE_HALF = math.nextafter(HALF, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """How many objects were matched, and how well.

    Attributes
    ----------
    true_positives, false_positives, false_negatives : int
        Matched pairs, predicted objects without partner, true ones without partner.
    mean_iou : float
        Over the matched pairs; NaN without any.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    mean_iou: float

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 1 if there are no objects at all."""
        return _share(self.true_positives, self._unmatched / 2)

    @property
    def accuracy(self) -> float:
        """TP / (TP + FP + FN); 1 if there are no objects at all."""
        return _share(self.true_positives, self._unmatched)

    @property
    def _unmatched(self) -> int:
        return self.false_positives + self.false_negatives


@dataclass(frozen=True, slots=True, kw_only=True)
class _Overlaps:
    """The pairs of objects that overlap.

    Attributes
    ----------
    predicted, true : NDArray[np.intp]
        (N,), which objects, by their place among the labels.
    ious : NDArray[np.float64]
        (N,), above 0.
    num_predicted, num_true : int
        How many objects there are in all.
    """

    predicted: NDArray[np.intp]
    true: NDArray[np.intp]
    ious: NDArray[np.float64]
    num_predicted: int
    num_true: int


def match_objects(predicted: Labels, true: Labels, threshold: float = HALF) -> Matches:
    """Match objects: as many as possible, and among these choices the best.

    Parameters
    ----------
    predicted, true : NDArray
        Label images of one shape; 0 is background.
    threshold : float
        The least IoU of a matched pair, above 0 and up to 1.

    Raises
    ------
    ValueError
        If the shapes differ, or there can be no such threshold.
    """
    return _match(_overlaps(predicted, true), threshold)


def matched_pairs(
    predicted: Labels, true: Labels, threshold: float = HALF
) -> list[tuple[int, int]]:
    """Return the ids (predicted, true) of the pairs that `match_objects` finds.

    Raises
    ------
    ValueError
        As `match_objects` does.
    """
    overlaps = _overlaps(predicted, true)
    known = [np.unique(x) for x in (predicted, true)]
    return [
        (int(known[0][row]), int(known[1][column]))
        for row, column, _ in _pairs(overlaps, threshold)
    ]


def object_f1(predicted: Labels, true: Labels, threshold: float = HALF) -> float:
    """Return 2 TP / (2 TP + FP + FN) of `match_objects`; 1 if there are no objects.

    Raises
    ------
    ValueError
        As `match_objects` does.
    """
    return match_objects(predicted, true, threshold).f1


def average_precision(
    predicted: Labels, true: Labels, thresholds: Sequence[float]
) -> list[float]:
    """Return TP / (TP + FP + FN) of one image at each threshold of IoU.

    So cellpose and stardist define it; COCO's average precision is another measure.
    It is 1 if there are no objects at all.

    Raises
    ------
    ValueError
        As `match_objects` does.
    """
    overlaps = _overlaps(predicted, true)
    return [_match(overlaps, threshold).accuracy for threshold in thresholds]


def panoptic_quality(predicted: Labels, true: Labels) -> float:
    """Return PQ of one image: mean IoU of the matched pairs times their F1.

    Pairs match where their IoU is larger than 0.5 (Kirillov et al., 2019). PQ is 1 if
    there are no objects at all, and 0 if there are some but no match.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    found = match_objects(predicted, true, ABOVE_HALF)
    quality = found.mean_iou if found.true_positives else 1.0
    return quality * found.f1


def _share(right: int, wrong: float) -> float:
    return right / (right + wrong) if right + wrong else 1.0


def _overlaps(predicted: Labels, true: Labels) -> _Overlaps:
    predicted_ids, true_ids, pixels = contingency(predicted, true)
    predicted_areas, true_areas = pixels.sum(axis=1), pixels.sum(axis=0)
    are_objects = (predicted_ids[pixels.row] != 0) & (true_ids[pixels.col] != 0)
    rows, columns = pixels.row[are_objects], pixels.col[are_objects]
    common = pixels.data[are_objects]
    return _Overlaps(
        predicted=rows,
        true=columns,
        ious=common / (predicted_areas[rows] + true_areas[columns] - common),
        num_predicted=int(np.count_nonzero(predicted_ids)),
        num_true=int(np.count_nonzero(true_ids)),
    )


def _match(overlaps: _Overlaps, threshold: float) -> Matches:
    ious = np.array([iou for _, _, iou in _pairs(overlaps, threshold)])
    return Matches(
        true_positives=len(ious),
        false_positives=overlaps.num_predicted - len(ious),
        false_negatives=overlaps.num_true - len(ious),
        mean_iou=float(ious.mean()) if len(ious) else float("nan"),
    )


def _pairs(overlaps: _Overlaps, threshold: float) -> list[tuple[int, int, float]]:
    """Return which objects match, by their place among the labels, and their IoU."""
    if not 0 < threshold <= 1:
        raise ValueError(f"Expected a threshold above 0 and up to 1, got {threshold}.")
    enough = overlaps.ious >= threshold
    rows, columns = overlaps.predicted[enough], overlaps.true[enough]
    ious = overlaps.ious[enough]
    if threshold <= HALF:
        chosen = _assign(rows, columns, ious)
        rows, columns, ious = rows[chosen], columns[chosen], ious[chosen]
    return list(zip(rows.tolist(), columns.tolist(), ious.tolist(), strict=True))


def _assign(
    predicted: NDArray[np.intp], true: NDArray[np.intp], ious: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Choose one partner each; returns the places of the chosen pairs."""
    rows, columns = (np.unique(x, return_inverse=True)[1] for x in (predicted, true))
    table = np.zeros((rows.max(initial=-1) + 1, columns.max(initial=-1) + 1))
    table[rows, columns] = ious
    # All IoUs together weigh less than one match more.
    worth = (table > 0) + table / (2 * max(1, *table.shape))
    partner = np.full(len(table), -1)
    best_rows, best_columns = linear_sum_assignment(worth, maximize=True)
    partner[best_rows] = best_columns
    return np.flatnonzero(partner[rows] == columns)
