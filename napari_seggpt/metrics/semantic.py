"""mIoU and mAcc of classes, summed over all images before any ratio is taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCounts:
    """How many pixels have a class, by its id.

    Attributes
    ----------
    common, predicted, true : mapping of int to int
        Where both have it, where it is predicted, and where it truly is.
    """

    common: Mapping[int, int] = field(default_factory=dict)
    predicted: Mapping[int, int] = field(default_factory=dict)
    true: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def sum(cls, parts: Iterable[ClassCounts]) -> ClassCounts:
        """Add up the counts of several images."""
        totals: tuple[dict[int, int], ...] = ({}, {}, {})
        for part in parts:
            for total, counts in zip(
                totals, (part.common, part.predicted, part.true), strict=True
            ):
                for i, pixels in counts.items():
                    total[i] = total.get(i, 0) + pixels
        return cls(common=totals[0], predicted=totals[1], true=totals[2])

    def ious(self) -> dict[int, float]:
        """Return the IoU of every class that truly occurs."""
        return {
            i: self.common.get(i, 0)
            / (pixels + self.predicted.get(i, 0) - self.common.get(i, 0))
            for i, pixels in sorted(self.true.items())
        }

    def accuracies(self) -> dict[int, float]:
        """Return, of every class that truly occurs, the share that was found."""
        return {i: self.common.get(i, 0) / n for i, n in sorted(self.true.items())}

    @property
    def mean_iou(self) -> float:
        """The mean over the classes that truly occur; NaN without any."""
        return _mean(self.ious())

    @property
    def mean_accuracy(self) -> float:
        """The mean over the classes that truly occur; NaN without any."""
        return _mean(self.accuracies())


def count_classes(predicted: Labels, true: Labels) -> ClassCounts:
    """Compare the classes of an image (H, W); where the true one is below 0, neither.

    Background, 0, is a class here as any other; give it a negative number where it is
    none.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if predicted.shape != true.shape:
        raise ValueError(
            "Expected prediction and truth of one shape, "
            f"got {predicted.shape} and {true.shape}."
        )
    counts = true >= 0
    found, expected = predicted[counts], true[counts]
    return ClassCounts(
        common=_tally(expected[found == expected]),
        predicted=_tally(found[found >= 0]),
        true=_tally(expected),
    )


def _tally(labels: Labels) -> dict[int, int]:
    ids, pixels = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), pixels.tolist(), strict=True))


def _mean(values: Mapping[int, float]) -> float:
    return sum(values.values()) / len(values) if values else float("nan")
