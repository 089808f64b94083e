"""Measures of agreement between predicted and true labels, pixel by pixel."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Labels = NDArray[np.integer[Any]]

# DAVIS 2017: boundaries match within this share of the image's diagonal.
BOUNDARY_TOLERANCE = 0.008


# -- masks -------------------------------------------------------------------------


def dice(predicted: Mask, true: Mask) -> float:
    """Return the Dice coefficient of two masks of one shape; NaN if both are empty."""
    _check_shapes(predicted, true)
    total = np.count_nonzero(predicted) + np.count_nonzero(true)
    if total == 0:
        return float("nan")
    return 2 * np.count_nonzero(predicted & true) / total


def iou(predicted: Mask, true: Mask) -> float:
    """Return intersection over union of two masks; NaN if both are empty."""
    _check_shapes(predicted, true)
    union = np.count_nonzero(predicted | true)
    if union == 0:
        return float("nan")
    return np.count_nonzero(predicted & true) / union


def mean_dice(
    predicted: Labels, true: Labels, ids: Iterable[int] | None = None
) -> float:
    """Return the mean Dice over the label ids that truly occur.

    Where none does, it is 1 if none is predicted, and else 0. So the same frames and
    classes count for whatever predicted them.

    Parameters
    ----------
    predicted, true : NDArray
        Label images of one shape.
    ids : iterable of int, optional
        The labels that count; without it all but 0, the background.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    overlap = ClassOverlap()
    overlap.add(predicted, true)
    found = overlap.class_dices()
    counted = [i for i in found if i] if ids is None else [int(i) for i in ids]
    present = [found[i] for i in counted if i in found]
    if present:
        return float(np.mean(present))
    wrong = predicted != 0 if ids is None else np.isin(predicted, counted)
    return 0.0 if wrong.any() else 1.0


# -- classes over many frames ------------------------------------------------------


class Contingency(NamedTuple):
    """How many pixels have which two labels.

    Attributes
    ----------
    predicted_ids, true_ids : NDArray[np.int64]
        (P,) and (T,), the labels that occur, in order, 0 among them.
    pixels : coo_array
        (P, T), each pair of labels that occurs once.
    """

    predicted_ids: NDArray[np.int64]
    true_ids: NDArray[np.int64]
    pixels: coo_array


def contingency(predicted: Labels, true: Labels) -> Contingency:
    """Count the pixels of every pair of labels, of any values and any shape.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_shapes(predicted, true)
    both = [labels.ravel().astype(np.int64) for labels in (predicted, true)]
    # Neighbours mostly have equal labels: counting runs is ten times as fast.
    begins = np.ones(true.size, dtype=bool)
    begins[1:] = np.logical_or(*(x[1:] != x[:-1] for x in both))
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=true.size)
    predicted_ids, rows = np.unique(both[0][starts], return_inverse=True)
    true_ids, columns = np.unique(both[1][starts], return_inverse=True)
    shape = (len(predicted_ids), len(true_ids))
    pixels = coo_array((lengths, (rows, columns)), shape=shape)
    pixels.sum_duplicates()
    return Contingency(predicted_ids, true_ids, pixels)


class ClassOverlap:
    """Overlap of classes, summed over all frames before any ratio is taken.

    It is how few-shot segmentation is scored: a frame counts by its pixels.
    """

    def __init__(self) -> None:
        self._predicted: Counter[int] = Counter()
        self._true: Counter[int] = Counter()
        self._common: Counter[int] = Counter()

    def add(self, predicted: Labels, true: Labels) -> None:
        """Add a frame: label ids (H, W), 0 for background.

        Raises
        ------
        ValueError
            If the shapes differ.
        """
        predicted_ids, true_ids, pixels = contingency(predicted, true)
        self._predicted.update(_counts(predicted_ids, pixels.sum(axis=1)))
        self._true.update(_counts(true_ids, pixels.sum(axis=0)))
        agree = predicted_ids[pixels.row] == true_ids[pixels.col]
        self._common.update(_counts(true_ids[pixels.col[agree]], pixels.data[agree]))

    def class_dices(self) -> dict[int, float]:
        """Return the Dice of all that truly occurs, 0 too, by its id."""
        return {
            i: 2 * self._common[i] / (self._predicted[i] + self._true[i])
            for i in sorted(self._true)
        }

    def class_ious(self) -> dict[int, float]:
        """Return the IoU of every class that truly occurs, by its id."""
        return {i: self._common[i] / self._union(i) for i in sorted(self._true) if i}

    def mean_iou(self) -> float:
        """Return the mean of `class_ious`; NaN if no class truly occurs."""
        ious = self.class_ious()
        return sum(ious.values()) / len(ious) if ious else float("nan")

    def foreground_background_iou(self) -> float:
        """Return FB-IoU: the mean IoU of background and of all labels as one class.

        What neither prediction nor truth has counts 1; without frames it is NaN.
        """
        pixels = self._true.total()
        if pixels == 0:
            return float("nan")
        both_background, any_background = self._common[0], self._union(0)
        foreground = _ratio(pixels - any_background, pixels - both_background)
        return (foreground + _ratio(both_background, any_background)) / 2

    def _union(self, i: int) -> int:
        return self._predicted[i] + self._true[i] - self._common[i]


def _counts(ids: NDArray[np.int64], pixels: NDArray[Any]) -> dict[int, int]:
    return dict(zip(ids.tolist(), pixels.tolist(), strict=True))


def _ratio(intersection: int, union: int) -> float:
    return intersection / union if union else 1.0


# -- video objects (DAVIS) ---------------------------------------------------------


def region_similarity(predicted: Mask, true: Mask) -> float:
    """Return J of DAVIS: the IoU of two masks; 1 if both are empty."""
    value = iou(predicted, true)
    return 1.0 if math.isnan(value) else value


def boundary_f(predicted: Mask, true: Mask, tolerance: int | None = None) -> float:
    """Return F of DAVIS 2017: how well the boundaries of two masks (H, W) agree.

    It is the harmonic mean of precision and recall: the shares of the one and of the
    other boundary that lie within a tolerance of their counterpart. F is 1 if neither
    mask has a boundary, and 0 if only one has.

    Parameters
    ----------
    predicted, true : NDArray of bool
        (H, W).
    tolerance : int, optional
        In pixels; by default 0.008 of the diagonal, rounded up, as in DAVIS.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    _check_shapes(predicted, true)
    found, expected = (np.argwhere(_boundary(mask)) for mask in (predicted, true))
    if len(found) == 0 or len(expected) == 0:
        return 1.0 if len(found) == len(expected) else 0.0
    if tolerance is None:
        tolerance = math.ceil(BOUNDARY_TOLERANCE * math.hypot(*true.shape))
    precision = _share_near(found, expected, tolerance)
    recall = _share_near(expected, found, tolerance)
    if precision + recall == 0:
        return 0.0
    return 2 * precision * recall / (precision + recall)


def j_and_f(
    predicted: Labels, true: Labels, ids: Iterable[int]
) -> tuple[float, float, float]:
    """Return J, F and their mean J&F, each averaged over objects.

    Parameters
    ----------
    predicted, true : NDArray
        (H, W), label ids.
    ids : iterable of int
        The objects. One that neither has counts 1, and one that only one has 0.

    Raises
    ------
    ValueError
        If the shapes differ, or there are no ids.
    """
    masks = [(predicted == i, true == i) for i in ids]
    if not masks:
        raise ValueError("Expected ids of objects, got none.")
    j = sum(region_similarity(*pair) for pair in masks) / len(masks)
    f = sum(boundary_f(*pair) for pair in masks) / len(masks)
    return j, f, (j + f) / 2


def _boundary(mask: Mask) -> Mask:
    """Mark pixels unlike their right, lower or lower right neighbour (seg2bmap).

    Neighbours beyond the edge are like the pixels at the edge.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    neighbours = (padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:])
    return np.logical_or.reduce([mask != neighbour for neighbour in neighbours])


def _share_near(
    points: NDArray[np.intp], others: NDArray[np.intp], radius: int
) -> float:
    """Return the share of points (N, 2) within a disk around any of the others."""
    # Squared distances are whole numbers, so 0.5 above is beyond doubt.
    bound = math.sqrt(radius**2 + 0.5)
    distances, _ = KDTree(others).query(points, distance_upper_bound=bound)
    return float(np.isfinite(distances).mean())


def _check_shapes(predicted: NDArray[Any], true: NDArray[Any]) -> None:
    if predicted.shape != true.shape:
        raise ValueError(
            "Expected prediction and truth of one shape, "
            f"got {predicted.shape} and {true.shape}."
        )
