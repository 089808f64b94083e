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
    """Return the mean Dice over label ids.

    An id that occurs in neither image does not count; the mean over none is NaN.
    """
    values = np.array([dice(predicted == i, true == i) for i in ids])
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _check_shapes(predicted: NDArray[Any], true: NDArray[Any]) -> None:
    if predicted.shape != true.shape:
        raise ValueError(
            f"Expected masks of one shape, got {predicted.shape} and {true.shape}."
        )
