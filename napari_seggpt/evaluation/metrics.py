"""Measures of agreement between predicted and true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def dice(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two masks of one shape; NaN if both are empty."""
    _check_shapes(predicted, true)
    total = np.count_nonzero(predicted) + np.count_nonzero(true)
    if total == 0:
        return float("nan")
    return 2 * np.count_nonzero(predicted & true) / total


def iou(predicted: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return intersection over union of two masks; NaN if both are empty."""
    _check_shapes(predicted, true)
    union = np.count_nonzero(predicted | true)
    if union == 0:
        return float("nan")
    return np.count_nonzero(predicted & true) / union


def mean_dice(
    predicted: NDArray[np.integer[Any]],
    true: NDArray[np.integer[Any]],
    ids: Iterable[int],
) -> float:
    """Return the mean Dice over the label ids that truly occur.

    Where none does, it is 1 if none is predicted, and else 0. So the same frames and
    classes count for whatever predicted them.
    """
    ids = list(ids)
    present = [i for i in ids if (true == i).any()]
    if not present:
        return 0.0 if np.isin(predicted, ids).any() else 1.0
    return float(np.mean([dice(predicted == i, true == i) for i in present]))


def _check_shapes(predicted: NDArray[Any], true: NDArray[Any]) -> None:
    if predicted.shape != true.shape:
        raise ValueError(
            f"Expected masks of one shape, got {predicted.shape} and {true.shape}."
        )
