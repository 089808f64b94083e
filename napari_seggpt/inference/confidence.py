"""Confidence of a predicted frame and of its labels, for choosing what to look at.

It is the Dice coefficient that is to be expected if every pixel's margin between two
colours is taken for a chance. The mean margin, which comes to mind first, says mostly
how much of the frame is background: frames are ranked by it hardly better than by
chance (`napari-seggpt evaluate --ranking` measures both).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Pixels: of larger frames every second or third is looked at, and as many that have
# labels, since small ones would lie between.
LOOKED_AT = 1 << 18
MAP_SIDE = 512  # pixels of the longer side of a map
LEAST_SURE = 0.001  # share of the pixels that speak for a frame without labels
# A network is surer than it is right: of the development sets, each calibrated by the
# others, powers from 1.6 to 1.85 came out.
CALIBRATION = 1.7


def frame_confidence(
    labels: NDArray[np.integer[Any]], margin: NDArray[np.floating[Any]]
) -> float:
    """Return how sure a prediction is, from 0 to 1.

    Parameters
    ----------
    labels, margin : NDArray
        (H, W), `Prediction.labels` and `Prediction.confidence`.

    Returns
    -------
    float
        The mean of `label_confidence`. Of a frame without labels, which may have
        missed something small, the margin of its least sure pixels.
    """
    of_labels = label_confidence(labels, margin)
    if of_labels:
        return float(np.mean(list(of_labels.values())))
    return float(np.quantile(_thinned(margin), LEAST_SURE)) if margin.size else 1.0


def label_confidence(
    labels: NDArray[np.integer[Any]], margin: NDArray[np.floating[Any]]
) -> dict[int, float]:
    """Return, of each label that was predicted, the Dice that is to be expected.

    A pixel with margin m has its label with the chance (1 + m) / 2. What may be
    missing of the labels elsewhere is shared among them. Since a network is surer than
    it is right, a power of what comes out is returned.
    """
    looked, wrong, weight = _looked_at(labels, margin)
    ids, place = np.unique(looked, return_inverse=True)
    place = place.ravel()
    pixels = np.bincount(place, weight, minlength=len(ids))
    false = np.bincount(place, weight * wrong, minlength=len(ids))
    true = pixels - false
    missing = (false.sum() - false) / max(1, np.count_nonzero(ids))
    dice = 2 * true / np.maximum(2 * true + false + missing, 1e-9)
    expected = dice**CALIBRATION
    return {int(i): float(x) for i, x in zip(ids, expected, strict=True) if i}


def agreement(one: NDArray[np.integer[Any]], other: NDArray[np.integer[Any]]) -> float:
    """Return the mean Dice of two predictions over the labels of either; 1 without."""
    ids = {int(i) for labels in (one, other) for i in np.unique(labels)} - {0}
    if not ids:
        return 1.0
    return float(np.mean([_dice(one == i, other == i) for i in ids]))


def _dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2 * np.count_nonzero(one & other) / total


def _looked_at(
    labels: NDArray[np.integer[Any]], margin: NDArray[np.floating[Any]]
) -> tuple[NDArray[np.integer[Any]], NDArray[np.float64], NDArray[np.float64]]:
    """Return labels, chances of being wrong, and how many pixels each stands for."""
    step = _step(labels.size)
    few, unsure = labels[::step, ::step].ravel(), margin[::step, ::step].ravel()
    weight = np.full(few.shape, float(step**2))
    if step > 1:
        inside = labels != 0
        skip = -(-np.count_nonzero(inside) // LOOKED_AT) or 1
        found, of_found = labels[inside][::skip], margin[inside][::skip]
        rest = few == 0
        few = np.concatenate([few[rest], found])
        unsure = np.concatenate([unsure[rest], of_found])
        weight = np.concatenate([weight[rest], np.full(found.shape, float(skip))])
    return few, (1.0 - unsure.astype(np.float64)) / 2, weight


def _thinned(values: NDArray[Any]) -> NDArray[Any]:
    step = _step(values.size)
    return values[::step, ::step]


def _step(pixels: int) -> int:
    return int(np.ceil(np.sqrt(pixels / LOOKED_AT))) or 1


def map_step(shape: tuple[int, ...]) -> int:
    """Return how many pixels along a side of a frame (H, W) share one of its map."""
    return max(1, -(-max(shape) // MAP_SIDE))


def confidence_map(margin: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return where a frame (H, W) is how sure, small enough to keep: 255 is sure.

    A pixel of the map is as sure as the least sure of those that it stands for.
    """
    if 0 in margin.shape:
        return np.zeros(margin.shape, np.uint8)
    least, step = margin, map_step(margin.shape)
    if step > 1:
        for axis in (0, 1):
            starts = np.arange(0, margin.shape[axis], step)
            least = np.minimum.reduceat(least, starts, axis=axis)
    return np.rint(255 * np.clip(least, 0.0, 1.0)).astype(np.uint8)
