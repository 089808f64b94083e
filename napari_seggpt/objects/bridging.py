"""Bridge: labels between two labelled frames, by the shapes of their objects alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]
    Mask = NDArray[np.bool_]
    Depth = NDArray[np.float32]

PAD = 2  # pixels of background around the box of a label
VANISHES_AT = 0.5  # of the way: an object that only one of the frames has is gone there


class Bridge:
    """Labels between two labelled frames.

    Of each label the signed distances from its outline are mixed; one that is a single
    object in both frames is moved along, too. One that only one of the frames has
    shrinks until it is gone half-way.

    Parameters
    ----------
    before, after : NDArray
        (H, W), labels of the two frames.

    Raises
    ------
    ValueError
        If they have different shapes.
    """

    def __init__(self, before: Labels, after: Labels) -> None:
        if before.shape != after.shape:
            raise ValueError(
                f"Expected labels of one shape, got {before.shape} and {after.shape}."
            )
        self._shape = before.shape
        self._dtype = np.result_type(before, after)
        ids = np.union1d(np.unique(before), np.unique(after))
        self._parts = [_Part.of(int(i), before == i, after == i) for i in ids if i != 0]

    def at(self, share: float) -> Labels:
        """Return the labels (H, W) at a share of the way from the first frame.

        Parameters
        ----------
        share : float
            From 0, the first frame, to 1, the second.
        """
        labels = np.zeros(self._shape, self._dtype)
        deepest = np.zeros(self._shape, np.float32)
        for part in self._parts:
            depth, here = part.depth(share), deepest[part.box]
            is_deeper = depth > here
            labels[part.box][is_deeper] = part.label
            here[is_deeper] = depth[is_deeper]
        return labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A label in two frames: signed distances from its outline.

    They are of a box (h, w) with a margin of background, also beyond the frame's edge,
    so that what moves away from there leaves no trail.
    """

    label: int
    box: tuple[slice, ...]
    before: Depth | None
    after: Depth | None
    path: tuple[float, float]  # rows and columns that it moves by

    @classmethod
    def of(cls, label: int, before: Mask, after: Mask) -> _Part:
        box = _box(before | after)
        one, other = before[box], after[box]
        is_single = all(connected(mask).max() == 1 for mask in (one, other))
        path = (0.0, 0.0)
        if is_single:
            ends = [ndimage.center_of_mass(mask) for mask in (one, other)]
            path = (ends[1][0] - ends[0][0], ends[1][1] - ends[0][1])
        return cls(
            label=label,
            box=box,
            before=_depth(np.pad(one, PAD)) if one.any() else None,
            after=_depth(np.pad(other, PAD)) if other.any() else None,
            path=path,
        )

    def depth(self, share: float) -> Depth:
        """Return how deep pixels (h, w) lie in the label; negative outside."""
        return self._depth(share)[PAD:-PAD, PAD:-PAD]

    def _depth(self, share: float) -> Depth:
        if self.before is None or self.after is None:
            depth = self.after if self.before is None else self.before
            assert depth is not None
            away = 1 - share if self.before is None else share
            return depth - np.float32(away / VANISHES_AT) * depth.max()
        first = self._moved(self.before, share)
        second = self._moved(self.after, share - 1)
        return np.float32(1 - share) * first + np.float32(share) * second

    def _moved(self, depth: Depth, share: float) -> Depth:
        if self.path == (0.0, 0.0) or share == 0:
            return depth
        by = [share * step for step in self.path]
        moved: Depth = ndimage.shift(depth, by, order=1, mode="nearest")
        return moved


def _box(mask: Mask) -> tuple[slice, ...]:
    (found,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(found)


def _depth(mask: Mask) -> Depth:
    """Return the distance from the outline: positive inside, negative outside."""
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    depth: Depth = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    return depth
