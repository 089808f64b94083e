"""How large, how deep and how round the objects of label images are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected
from skimage.segmentation import find_boundaries

from napari_seggpt.objects.neighbours import find_contacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

LEAST_PIXELS = 9  # 3 x 3: what is smaller has no interior and is no object
SMALLEST_PERCENTILE = 5  # of areas: that of the smallest object, or region


def separate(labels: Labels) -> NDArray[np.int64]:
    """Number the objects of a label image (H, W): connected regions of one id.

    Regions of less than `LEAST_PIXELS` become 0.
    """
    regions = connected(labels, connectivity=1)
    return without_small(regions, LEAST_PIXELS)


def without_small(labels: NDArray[np.int64], pixels: float) -> NDArray[np.int64]:
    """Return labels from 1 on without those of fewer pixels, numbered anew."""
    areas = np.bincount(labels.ravel())
    kept = areas >= pixels
    kept[0] = False
    numbers = np.where(kept, np.cumsum(kept), 0)
    return numbers[labels]


def largest_pieces(labels: Labels) -> NDArray[np.bool_]:
    """Mark the largest connected region of every label (H, W) but 0."""
    pieces = connected(labels, connectivity=1)
    numbers, at, areas = np.unique(pieces, return_index=True, return_counts=True)
    owners = labels.ravel()[at]
    order = np.lexsort((-areas, owners))
    _, first = np.unique(owners[order], return_index=True)
    kept = np.zeros(int(numbers[-1]) + 1, dtype=bool)  # there may be no background
    kept[numbers[order[first]]] = True
    return kept[pieces] & (labels != 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depths:
    """How far the pixels of objects are from the object's own outline.

    Attributes
    ----------
    pixels : NDArray[np.float64]
        (H, W), 1 at the outline, more inside, 0 where there is no object. The edge of
        the frame is no outline: it cuts objects.
    nearest : NDArray[np.intp]
        (2, H, W), row and column of the nearest pixel of an outline.
    deepest : NDArray[np.float64]
        (1 + N,), of each object, by its number; 0 comes first.
    """

    pixels: NDArray[np.float64]
    nearest: NDArray[np.intp]
    deepest: NDArray[np.float64]


def measure_depths(objects: NDArray[np.int64]) -> Depths:
    """Measure the depths of objects (H, W), numbered from 1."""
    outline = find_boundaries(objects, mode="inner", connectivity=1)
    if not outline.any():  # a single object that fills the frame, or none
        outline = np.ones_like(outline)
    pixels, nearest = ndimage.distance_transform_edt(~outline, return_indices=True)
    pixels = np.where(objects > 0, pixels + 1, 0.0)
    return Depths(
        pixels=pixels, nearest=nearest, deepest=largest_values(pixels, objects)
    )


def largest_values(
    values: NDArray[np.floating[Any]], objects: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (1 + N,) the largest value in each object, by its number; 0 comes first.

    Objects are numbered from 1 without gaps.
    """
    largest = np.zeros(int(objects.max()) + 1)
    inside = objects > 0
    np.maximum.at(largest, objects[inside], values[inside])
    return largest


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSizes:
    """What sizes the references' objects have.

    Attributes
    ----------
    count : int
        Objects that were measured.
    radius : float
        Pixels from the outline to the deepest place, of a typical object.
    area : float
        Pixels of a typical object.
    smallest : float
        Pixels of the smallest objects, but for a twentieth.
    have_holes : bool
        Whether a tenth of the objects or more have a hole of background.
    """

    count: int
    radius: float
    area: float
    smallest: float
    have_holes: bool


def measure_sizes(frames: Iterable[NDArray[np.int64]]) -> ObjectSizes:
    """Measure the objects of frames (H, W), as `separate` numbers them.

    Raises
    ------
    ValueError
        If there is no object of 3 x 3 pixels.
    """
    areas: list[NDArray[np.int64]] = []
    radii: list[NDArray[np.float64]] = []
    holes = 0
    for objects in frames:
        areas.append(np.bincount(objects.ravel())[1:])
        radii.append(measure_depths(objects).deepest[1:])
        holes += _count_holed(objects)
    all_areas, all_radii = np.concatenate([[], *areas]), np.concatenate([[], *radii])
    if not len(all_areas):
        raise ValueError("Expected references with objects of 3 x 3 pixels, got none.")
    return ObjectSizes(
        count=len(all_areas),
        radius=float(np.median(all_radii)),
        area=float(np.median(all_areas)),
        smallest=float(np.percentile(all_areas, SMALLEST_PERCENTILE)),
        have_holes=holes >= 0.1 * len(all_areas),
    )


def find_holes(labels: Labels) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Find background that lies within a single label.

    Returns
    -------
    holes : NDArray[np.int64]
        (H, W), connected regions of background, numbered from 1.
    owners : dict of int to int
        The label around each hole; other background is not in it.
    """
    background = connected(labels == 0, connectivity=1)
    closed = np.ones(int(background.max()) + 1, dtype=bool)
    closed[0] = closed[_frame_edge(background)] = False
    if not closed.any():
        return background, {}
    # One image in which background regions and labels have numbers of their own.
    both = np.where(background > 0, -background, labels.astype(np.int64))
    contacts = find_contacts(both, of=closed[background])
    around: dict[int, set[int]] = {}
    chosen = closed[np.maximum(0, -contacts.own)]
    for hole, other in zip(
        (-contacts.own[chosen]).tolist(), contacts.other[chosen].tolist(), strict=True
    ):
        around.setdefault(hole, set()).add(other)
    owners = {
        hole: next(iter(labels_around))
        for hole, labels_around in around.items()
        if len(labels_around) == 1
    }
    return background, owners


def _frame_edge(image: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _count_holed(objects: NDArray[np.int64]) -> int:
    return len(set(find_holes(objects)[1].values()))
