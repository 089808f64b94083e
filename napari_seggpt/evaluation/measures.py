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
from napari_seggpt.metrics.pixels import ClassOverlap, boundary_f, iou, j_and_f

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.datasets import LabelledSequence

    Labels = NDArray[np.integer[Any]]


FINE_TOLERANCE = 2  # pixels, of boundaries


class Measures:
    """Takes measures frame by frame, and sums up what is defined on a set only."""

    def __init__(self) -> None:
        self._overlaps: dict[str, ClassOverlap] = {}
        self._areas: dict[str, NDArray[np.float64]] = {}

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
            "iou" and "boundary_f_2px", over the classes that truly occur; "j" and "f"
            of DAVIS; "left_empty", of frames that truly have none of the classes,
            whether none was predicted; where the truth has objects also "f1", "ap50"
            and "pq" of the connected regions that are predicted, and
            "f1_of_true_mask": objects that touch are one region, so that a perfect
            mask may get less than 1.
        """
        true = _only(ids, sequence.labels(index))
        overlap = self._overlaps.setdefault(sequence.dataset, ClassOverlap())
        overlap.add(predicted, true)
        j, f, _ = j_and_f(predicted, true, ids)
        areas = [np.count_nonzero(x) for x in (_only(ids, predicted), true)]
        self._areas[sequence.dataset] = self._areas.get(sequence.dataset, 0) + np.array(
            areas, float
        )
        measures = {"iou": _frame_iou(predicted, true, ids), "j": j, "f": f}
        if areas[1]:
            measures["boundary_f_2px"] = _fine_boundary_f(predicted, true, ids)
        else:
            measures["left_empty"] = float(areas[0] == 0)
        if sequence.task == "objects":
            objects = sequence.objects(index)
            measures |= _measure_objects(_regions(predicted), objects)
            measures["f1_of_true_mask"] = object_f1(_regions(true), objects)
        return measures

    def of_set(self, dataset: str) -> dict[str, float]:
        """Return what all frames of a data set have in common, as far as defined.

        That is "miou", "fb_iou", and "area_ratio": the predicted area in shares of the
        true one.
        """
        overlap = self._overlaps[dataset]
        predicted, true = self._areas[dataset]
        every = {
            "area_ratio": predicted / true if true else math.nan,
            "miou": overlap.mean_iou(),
            "fb_iou": overlap.foreground_background_iou(),
        }
        return {name: value for name, value in every.items() if not math.isnan(value)}


def _only(ids: Sequence[int], labels: Labels) -> Labels:
    return np.where(np.isin(labels, ids), labels, 0)


def _frame_iou(predicted: Labels, true: Labels, ids: Sequence[int]) -> float:
    """Return the mean IoU over classes that truly occur; as `mean_dice` without any."""
    present = [i for i in ids if (true == i).any()]
    if not present:
        return 0.0 if np.isin(predicted, ids).any() else 1.0
    return float(np.mean([iou(predicted == i, true == i) for i in present]))


def _fine_boundary_f(predicted: Labels, true: Labels, ids: Sequence[int]) -> float:
    present = [i for i in ids if (true == i).any()]
    each = [
        boundary_f(predicted == i, true == i, tolerance=FINE_TOLERANCE) for i in present
    ]
    return float(np.mean(each))


def _regions(labels: Labels) -> Labels:
    regions: Labels = label(labels > 0, connectivity=1)
    return regions


def _measure_objects(predicted: Labels, true: Labels) -> dict[str, float]:
    return {
        "f1": object_f1(predicted, true),
        "ap50": average_precision(predicted, true, [0.5])[0],
        "pq": panoptic_quality(predicted, true),
    }
