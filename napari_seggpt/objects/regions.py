"""Regions: where the objects of a frame are, as linking needs to know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.objects.new_ids import NewIds

    Labels = NDArray[np.integer[Any]]


DENSE = 4  # ids up to so many times the number of pixels are looked up in a table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """One object on one frame.

    Attributes
    ----------
    corner : tuple of int
        Row and column of the upper left pixel of its box.
    mask : NDArray[np.bool_]
        (h, w), its pixels in the box.
    center : NDArray[np.float64]
        (2,), row and column of its centre of mass.
    area : int
        Its pixels.
    """

    corner: tuple[int, int]
    mask: NDArray[np.bool_]
    center: NDArray[np.float64]
    area: int

    @property
    def radius(self) -> float:
        """That of the circle of equal area, in pixels."""
        return float(np.sqrt(self.area / np.pi))

    def share_within(self, other: Region, margin: float) -> float:
        """Return the share of its pixels that lie in another region or near it.

        Parameters
        ----------
        other : Region
            On the same grid.
        margin : float
            So many pixels around it count, too.
        """
        pad = int(np.ceil(margin))
        near = ndimage.distance_transform_edt(~np.pad(other.mask, pad)) <= margin
        rows, columns = np.nonzero(self.mask)
        rows = rows + self.corner[0] - other.corner[0] + pad
        columns = columns + self.corner[1] - other.corner[1] + pad
        inside = (rows >= 0) & (rows < near.shape[0])
        inside &= (columns >= 0) & (columns < near.shape[1])
        return float(near[rows[inside], columns[inside]].sum()) / self.area


def unique_places(labels: Labels) -> tuple[Labels, NDArray[np.int64]]:
    """Return the labels that occur, in order, and the place of each pixel's (H, W).

    It is what `np.unique` returns, without sorting pixels where ids are not too large.
    """
    largest = int(labels.max()) if labels.size else 0
    if labels.size == 0 or labels.min() < 0 or largest > DENSE * labels.size:
        ids, places = np.unique(labels, return_inverse=True)
        return ids, places.reshape(labels.shape)
    occurs = np.zeros(largest + 1, dtype=bool)
    occurs[labels] = True
    table = np.cumsum(occurs) - 1
    return np.flatnonzero(occurs).astype(labels.dtype), table[labels]


def find_regions(labels: Labels) -> dict[int, Region]:
    """Find the region of every label (H, W) above 0, by its id, in order of the ids.

    Those below 0 are no objects: programs call pixels so that are to be ignored.
    """
    ids, places = unique_places(labels)
    places = places + 1
    found = {}
    for number, box in enumerate(ndimage.find_objects(places), start=1):
        label = int(ids[number - 1])
        if label <= 0:
            continue
        mask = places[box] == number
        rows, columns = np.nonzero(mask)
        corner = (int(box[0].start), int(box[1].start))
        found[label] = Region(
            corner=corner,
            mask=mask,
            center=np.array([rows.mean() + corner[0], columns.mean() + corner[1]]),
            area=len(rows),
        )
    return found


def paint_regions(
    regions: Iterable[tuple[int, Region, NDArray[np.float64]]], shape: tuple[int, int]
) -> NDArray[np.int64]:
    """Paint regions, each moved by rows and columns, into an image (H, W).

    Where they overlap, the first stays. What lies beyond the frame is left out.

    Parameters
    ----------
    regions : iterable of (int, Region, NDArray)
        The number that each is painted with, and by how much it is moved.
    shape : tuple of int
        Of the image.
    """
    image = np.zeros(shape, dtype=np.int64)
    for number, region, shift in regions:
        row, column = (round(x) + y for x, y in zip(shift, region.corner, strict=True))
        height, width = region.mask.shape
        top, left = max(0, -row), max(0, -column)
        bottom, right = min(height, shape[0] - row), min(width, shape[1] - column)
        if top >= bottom or left >= right:
            continue
        window = image[row + top : row + bottom, column + left : column + right]
        window[region.mask[top:bottom, left:right] & (window == 0)] = number
    return image


def renamed(labels: Labels, names: Mapping[int, int]) -> NDArray[np.int64]:
    """Give labels (H, W) new ids; those without one become 0."""
    ids, places = unique_places(labels)
    table = np.array([names.get(int(i), 0) for i in ids], dtype=np.int64)
    return table[places]


def with_names(labels: Labels, names: Mapping[int, int]) -> NDArray[np.int64]:
    """Give some ids of labels (H, W) other ids; all others stay."""
    ids, places = unique_places(labels)
    table = np.array([names.get(int(i), int(i)) for i in ids], dtype=np.int64)
    return table[places]


def continued(labels: Labels, begun: Labels, new_ids: NewIds) -> NDArray[np.int64]:
    """Give predicted objects the ids that a person has given to the same objects.

    They are the same if at least half of the smaller of both lies in the other. Any
    other predicted object that has an id of the person's objects gets a new one.

    Parameters
    ----------
    labels, begun : NDArray
        (H, W), what is predicted and what a person has painted, of some objects a part.
    new_ids : NewIds
        Gives ids that neither has.
    """
    both = (labels != 0) & (begun != 0)
    pairs, counts = np.unique(
        np.stack([labels[both], begun[both]]), axis=1, return_counts=True
    )
    areas, own_areas = _areas(labels), _areas(begun)
    names = {}
    for number in np.argsort(counts, kind="stable").tolist():
        predicted, own = pairs[:, number].tolist()
        if 2 * counts[number] >= min(areas[predicted], own_areas[own]):
            names[predicted] = own  # that with most pixels comes last
    for predicted in sorted((areas.keys() & own_areas.keys()) - names.keys() - {0}):
        names[predicted] = new_ids.take(predicted)
    return with_names(labels, names)


def _areas(labels: Labels) -> dict[int, int]:
    """Return the pixels of each id of labels (H, W)."""
    ids, counts = np.unique(labels, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))
