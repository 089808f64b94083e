"""Class maps to instances: interiors are told apart and grown over their borders."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from napari_seggpt.objects.shapes import largest_values, separate
from napari_seggpt.preprocessing import resize_labels, resize_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.objects.encoding import ObjectEncoding

    Labels = NDArray[np.integer[Any]]

# Predicted interiors are rougher than those of the references, which would allow more.
NECKS = (0.7, 0.6, 0.5, 0.4, 0.3)
MAY_SPLIT = 0.05  # share of the references' objects that a neck may cut in two
SMOOTHING = 0.15  # of depths, as a share of the typical radius
# An interior is noise if its depth is below the first share of the smallest in the
# references, and below the second of what is usual in the frame.
SHALLOW, UNUSUAL = 0.75, 0.5
LEAST_DEPTH = 1e-3  # pixels, where a logarithm needs one


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Instances:
    """The objects of one frame.

    Attributes
    ----------
    labels : NDArray[np.int64]
        (H, W), objects numbered from 1 without gaps; 0 is background.
    classes : NDArray[np.int64]
        (N,), the class of each object, in order.
    """

    labels: NDArray[np.int64]
    classes: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRule:
    """What tells two interiors that grew together from one, as references show it.

    Attributes
    ----------
    neck : float
        An interior that narrows to less than this share of the smaller part's depth
        is two. Round objects allow a high share, winding ones a low one.
    depth : float
        Pixels of depth that an interior has at least.
    smoothing : float
        Pixels (sigma) by which depths are smoothed.
    """

    neck: float
    depth: float
    smoothing: float

    @classmethod
    def of(cls, references: Sequence[Labels], encoding: ObjectEncoding) -> SeedRule:
        """Choose the highest neck that leaves the references' objects whole."""
        smoothing = max(0.5, SMOOTHING * encoding.sizes.radius)
        frames = []
        for labels in references:
            objects = separate(labels)
            interior = (objects > 0) & (encoding.encode(labels) < encoding.border)
            depths = _smooth_depths(interior, smoothing)
            frames.append((np.where(interior, objects, 0), depths))
        peaks = [largest_values(depths, objects)[1:] for objects, depths in frames]
        smallest = np.percentile(np.concatenate(peaks), 5)
        neck = next((x for x in NECKS if _share_split(frames, x) <= MAY_SPLIT), None)
        return cls(
            neck=NECKS[-1] if neck is None else neck,
            depth=SHALLOW * float(smallest),
            smoothing=smoothing,
        )

    def scaled(self, scale: float) -> SeedRule:
        """Return the rule for frames of another size."""
        return replace(self, depth=scale * self.depth, smoothing=scale * self.smoothing)


def _share_split(
    frames: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]], neck: float
) -> float:
    """Return the share of objects in which a neck would see more than one seed."""
    split, total = 0, 0
    for objects, depths in frames:
        seeds = _separate_seeds(depths, objects > 0, neck)
        numbers, at = np.unique(seeds, return_index=True)
        owners = objects.ravel()[at[numbers > 0]]
        split += int(np.count_nonzero(np.bincount(owners) > 1))
        total += int(objects.max())
    return split / max(1, total)


def find_objects(
    scores: NDArray[np.float32],
    encoding: ObjectEncoding,
    rule: SeedRule,
    *,
    shape: tuple[int, int] | None = None,
) -> Instances:
    """Find the objects of a frame from the scores of its class labels.

    Every number comes from the references' objects; where all that is predicted is
    smaller than they are, from what is predicted.

    Parameters
    ----------
    scores : NDArray[np.float32]
        (1 + labels, h, w), of background, interiors and border, as `class_scores`
        makes them; the scores of a pixel sum to 1.
    encoding : ObjectEncoding
        How the prompts were encoded.
    rule : SeedRule
        What tells interiors apart.
    shape : tuple of int, optional
        (H, W) of the frame, if the scores are those of a smaller picture of it. Objects
        are told apart as it shows them, which takes less time, and outlined on the
        frame.
    """
    size = scores.shape[1:]
    if shape is None or shape == size:
        return _find_on_grid(scores, encoding, rule)
    scale = float(np.sqrt(np.prod(size) / np.prod(shape)))
    found = _find_on_grid(scores, encoding, rule.scaled(scale))
    labels = resize_labels(found.labels, shape)
    if not encoding.fills_frame:
        background = resize_values(scores[0], shape)
        labels = _outlined(labels, background < 0.5, math.ceil(1 / scale))
    return replace(found, labels=labels.astype(np.int64))


def _outlined(
    labels: Labels, within: NDArray[np.bool_], reach: int
) -> NDArray[np.integer[Any]]:
    """Give labels (H, W) the outlines of a mask that lie some pixels away at most."""
    around = ndimage.maximum_filter(labels, size=2 * reach + 1)
    return np.where(within, np.where(labels > 0, labels, around), 0)


def _find_on_grid(
    scores: NDArray[np.float32], encoding: ObjectEncoding, rule: SeedRule
) -> Instances:
    """Find the objects of a frame at the size of its scores."""
    interiors, border = scores[1 : encoding.border], scores[encoding.border]
    interior = interiors.sum(axis=0)
    if encoding.fills_frame:  # whatever is not interior is border
        within = np.ones(border.shape, dtype=bool)
        core = interior > border
    else:
        core = interior > 0.5
        within = core | (scores[0] < 0.5)
    depths = _smooth_depths(core, rule.smoothing)
    seeds = _drop_shallow(_separate_seeds(depths, core, rule.neck), depths, rule.depth)
    grown = _grow_within(seeds, depths, core)
    labels = _grow_over_borders(grown, border, within)
    return Instances(labels=labels, classes=_classes(labels, interiors, encoding.kinds))


def _smooth_depths(mask: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Return how deep the pixels of a mask (H, W) lie in it, smoothed."""
    if mask.all():
        return np.ones(mask.shape)
    depths = ndimage.distance_transform_edt(mask)
    smooth: NDArray[np.float64] = ndimage.gaussian_filter(depths, sigma)
    return smooth


def _separate_seeds(
    depths: NDArray[np.float64], mask: NDArray[np.bool_], neck: float
) -> NDArray[np.int64]:
    """Number the places of greatest depth that are parted from each other by a neck.

    On the way from one to a deeper one the depth falls below `neck` times its own:
    these are the h-maxima of the logarithm of the depth.
    """
    if not mask.any():
        return np.zeros(mask.shape, dtype=np.int64)
    low = 2 * np.log(LEAST_DEPTH)
    height = np.where(mask, np.log(np.maximum(depths, LEAST_DEPTH)), low)
    # Most interiors have a single maximum: its h-maximum is what lies around it. Only
    # the others take the reconstruction, which is slow.
    parts = connected(mask, connectivity=2)
    tops = np.full(int(parts.max()) + 1, low)
    np.maximum.at(tops, parts[mask], height[mask])
    found = mask & (height >= tops[parts] + np.log(neck))
    boxes = ndimage.find_objects(parts)
    for part in _with_several_maxima(height, parts):
        box = boxes[part - 1]
        own = parts[box] == part
        found[box][own] = _h_maxima(height[box], own, -np.log(neck))[own]
    seeds: NDArray[np.int64] = connected(found, connectivity=2)
    return seeds


def _with_several_maxima(
    height: NDArray[np.float64], parts: NDArray[np.int64]
) -> list[int]:
    """Return the parts, numbered from 1, that have more than one local maximum."""
    peaks = connected(local_maxima(height) & (parts > 0), connectivity=2)
    numbers, at = np.unique(peaks, return_index=True)
    counts = np.bincount(parts.ravel()[at[numbers > 0]])
    return [int(part) for part in np.flatnonzero(counts > 1)]


def _h_maxima(
    height: NDArray[np.float64], mask: NDArray[np.bool_], fall: float
) -> NDArray[np.bool_]:
    """Return the maxima that lie more than a fall above the way to a higher one."""
    low = 2 * np.log(LEAST_DEPTH)
    alone = np.pad(np.where(mask, height, low), 1, constant_values=low)
    maxima: NDArray[np.bool_] = local_maxima(reconstruction(alone - fall, alone))
    return maxima[1:-1, 1:-1] & mask


def _grow_within(
    seeds: NDArray[np.int64], depths: NDArray[np.float64], core: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Give each pixel of interiors (H, W) the number of the seed that it belongs to.

    An interior with a single seed is all its own; only others take the watershed.
    """
    parts = connected(core, connectivity=1)
    # A seed may reach over a corner into a part that is connected by no edge.
    pairs = np.unique(parts[seeds > 0] * (int(seeds.max()) + 1) + seeds[seeds > 0])
    owners, found = np.divmod(pairs, int(seeds.max()) + 1)
    counts = np.bincount(owners, minlength=int(parts.max()) + 1)
    table = np.zeros(len(counts), dtype=np.int64)
    table[owners] = found
    table[counts != 1] = 0
    grown = table[parts]
    rest = core & (counts > 1)[parts]
    if rest.any():
        grown[rest] = watershed(-depths, np.where(rest, seeds, 0), mask=rest)[rest]
    return grown


def _grow_over_borders(
    grown: NDArray[np.int64], border: NDArray[np.float32], within: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Grow numbered interiors (H, W) over what is border, up to each other.

    What lies deep in an interior is left out of the watershed, which saves half of it.
    """
    deep = grown > 0
    for axis in (0, 1):
        for way in (1, -1):
            deep &= np.roll(grown, way, axis) == grown
    labels: NDArray[np.int64] = watershed(
        border, np.where(deep, 0, grown), mask=within & ~deep
    ).astype(np.int64)
    labels[deep] = grown[deep]
    return labels


def _drop_shallow(
    seeds: NDArray[np.int64], depths: NDArray[np.float64], least: float
) -> NDArray[np.int64]:
    """Drop seeds of little depth: against the references', or what is usual here."""
    peaks = largest_values(depths, seeds)
    if len(peaks) == 1:
        return seeds
    usual = float(np.average(peaks, weights=peaks**2))  # the large ones speak
    kept = peaks >= min(least, UNUSUAL * usual)
    kept[0] = False
    return np.where(kept, np.cumsum(kept), 0)[seeds]


def _classes(
    labels: NDArray[np.int64], interiors: NDArray[np.float32], kinds: Sequence[int]
) -> NDArray[np.int64]:
    """Return the class that most pixels of each object speak for."""
    count = int(labels.max())
    best = np.argmax(interiors, axis=0)
    votes = np.zeros((count + 1, len(kinds)), dtype=np.int64)
    np.add.at(votes, (labels.ravel(), best.ravel()), 1)
    return np.asarray(kinds, dtype=np.int64)[votes[1:].argmax(axis=1)]
