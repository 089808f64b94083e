"""mIoU and FB-IoU of few-shot segmentation, as HSNet computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeCounts:
    """What an episode adds to the scores; background comes first.

    Attributes
    ----------
    class_id : int
        The class that was looked for.
    intersection, union : tuple of int
        Pixels of (background, foreground) that prediction and truth have in common,
        and in all.
    """

    class_id: int
    intersection: tuple[int, int]
    union: tuple[int, int]

    def __add__(self, other: EpisodeCounts) -> EpisodeCounts:
        """Sum episodes of one class."""
        return EpisodeCounts(
            class_id=self.class_id,
            intersection=_sum(self.intersection, other.intersection),
            union=_sum(self.union, other.union),
        )


def _sum(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class FewShotScore:
    """The scores of a fold, from 0 to 1.

    Attributes
    ----------
    miou : float
        Mean IoU over its classes.
    fb_iou : float
        Mean IoU of background and foreground, whatever the class.
    """

    miou: float
    fb_iou: float


def count_episode(
    class_id: int, predicted: NDArray[np.bool_], true: NDArray[np.integer[Any]]
) -> EpisodeCounts:
    """Compare a predicted mask with the true one.

    Parameters
    ----------
    class_id : int
        The class that was looked for.
    predicted : NDArray[np.bool_]
        (H, W).
    true : NDArray
        (H, W), 1 for the class and 0 for background; negative pixels do not count.

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
    found, expected = predicted[counts], true[counts] == 1
    both = int(np.count_nonzero(found & expected))
    either = int(np.count_nonzero(found | expected))
    differ = either - both
    return EpisodeCounts(
        class_id=class_id,
        intersection=(found.size - either, both),
        union=(found.size - either + differ, either),
    )


def score_episodes(
    episodes: Iterable[EpisodeCounts], classes: Sequence[int]
) -> FewShotScore:
    """Sum over the episodes of each class before any ratio is taken.

    A class that no episode looked for counts as 0 in the mIoU, as in HSNet. Without
    any pixel, FB-IoU is NaN.
    """
    intersection = dict.fromkeys(classes, 0)
    union = dict.fromkeys(classes, 0)
    common, whole = np.zeros(2), np.zeros(2)
    for one in episodes:
        intersection[one.class_id] += one.intersection[1]
        union[one.class_id] += one.union[1]
        common += one.intersection
        whole += one.union
    ious = [intersection[i] / max(1, union[i]) for i in classes]
    ratios = np.divide(common, whole, out=np.full(2, np.nan), where=whole > 0)
    return FewShotScore(miou=float(np.mean(ious)), fb_iou=float(ratios.mean()))
