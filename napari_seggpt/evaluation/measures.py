"""Further measures of a prediction, of frames and of whole data sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_seggpt.metrics.objects import (
    average_precision,
    object_f1,
    panoptic_quality,
)
from napari_seggpt.metrics.pixels import ClassOverlap, iou, j_and_f

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.datasets import LabelledSequence

    Labels = NDArray[np.integer[Any]]


class Measures:
    """Takes measures frame by frame, and sums up what is defined on a set only."""

    def __init__(self) -> None:
        self._overlaps: dict[str, ClassOverlap] = {}

    def add(
        self,
        sequence: LabelledSequence,
        index: int,
        predicted: Labels,
        ids: Sequence[int],
    ) -> dict[str, float]:
        """Measure one frame.

        Parameters
        ----------
        sequence : LabelledSequence
            Where the true labels are.
        index : int
            The frame.
        predicted : NDArray
            (H, W), its predicted labels.
        ids : sequence of int
            The classes of the references; other labels count as background.

        Returns
        -------
        dict of str to float
            "iou", over the classes that truly occur; "j" and "f" of DAVIS; where the
            truth has objects also "f1", "ap50" and "pq" of the connected regions
            that are predicted, and "f1_of_true_mask": objects that touch are one
            region, so that a perfect mask may get less than 1.
        """
        true = _only(ids, sequence.labels(index))
        overlap = self._overlaps.setdefault(sequence.dataset, ClassOverlap())
        overlap.add(predicted, true)
        j, f, _ = j_and_f(predicted, true, ids)
        measures = {"iou": _frame_iou(predicted, true, ids), "j": j, "f": f}
        if sequence.task == "objects":
            objects = sequence.objects(index)
            measures |= _measure_objects(_regions(predicted), objects)
            measures["f1_of_true_mask"] = object_f1(_regions(true), objects)
        return measures

    def of_set(self, dataset: str) -> dict[str, float]:
        """Return "miou" and "fb_iou" of all frames of a data set, as far as defined."""
        overlap = self._overlaps[dataset]
        both = {
            "miou": overlap.mean_iou(),
            "fb_iou": overlap.foreground_background_iou(),
        }
        return {name: value for name, value in both.items() if not math.isnan(value)}


def _only(ids: Sequence[int], labels: Labels) -> Labels:
    return np.where(np.isin(labels, ids), labels, 0)


def _frame_iou(predicted: Labels, true: Labels, ids: Sequence[int]) -> float:
    """Return the mean IoU over classes that truly occur; as `mean_dice` without any."""
    present = [i for i in ids if (true == i).any()]
    if not present:
        return 0.0 if np.isin(predicted, ids).any() else 1.0
    return float(np.mean([iou(predicted == i, true == i) for i in present]))


def _regions(labels: Labels) -> Labels:
    regions: Labels = label(labels > 0, connectivity=1)
    return regions


def _measure_objects(predicted: Labels, true: Labels) -> dict[str, float]:
    return {
        "f1": object_f1(predicted, true),
        "ap50": average_precision(predicted, true, [0.5])[0],
        "pq": panoptic_quality(predicted, true),
    }
