"""Clean-up of label images: specks, holes, further pieces, rough outlines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.measure import label as connected

from napari_seggpt.objects.neighbours import main_neighbours
from napari_seggpt.objects.shapes import (
    SMALLEST_PERCENTILE,
    find_holes,
    largest_pieces,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.object_settings import CleanupSettings

    Labels = NDArray[np.integer[Any]]

MIN_HOLED_SHARE = 0.1  # of the labels: if more have a hole, holes are wanted
REACH = 4.0  # a Gaussian is looked at up to so many sigmas


@dataclass(frozen=True, slots=True, kw_only=True)
class UsualRegions:
    """What regions look like in the references, for what a person leaves open.

    Attributes
    ----------
    smallest : dict of int to float
        Pixels of the smallest regions of each label, but for a twentieth.
    any_smallest : float
        That of labels which are not in it; 0 where nothing is known.
    speck : float
        A region below this share of the smallest is a speck.
    have_holes : bool
        Whether labels have holes of background.
    """

    smallest: Mapping[int, float] = field(default_factory=dict)
    any_smallest: float = 0.0
    speck: float = 0.1
    have_holes: bool = False

    @classmethod
    def of_classes(cls, references: Sequence[Labels]) -> UsualRegions:
        """Measure the regions of each class (H, W labels of the references)."""
        areas: dict[int, list[int]] = {}
        holed = 0
        for labels in references:
            for label, area in _region_areas(labels):
                areas.setdefault(label, []).append(area)
            holed += len(set(find_holes(labels)[1].values()))
        shown = sum(len(np.unique(labels[labels != 0])) for labels in references)
        return cls(
            smallest={
                i: float(np.percentile(x, SMALLEST_PERCENTILE))
                for i, x in areas.items()
            },
            have_holes=holed > MIN_HOLED_SHARE * shown,
        )


def _region_areas(labels: Labels) -> list[tuple[int, int]]:
    """Return label and pixels of each connected region of a label image (H, W)."""
    regions = connected(labels, connectivity=1)
    _, at, areas = np.unique(regions, return_index=True, return_counts=True)
    owners = labels.ravel()[at]
    return [
        (int(label), int(area))
        for label, area in zip(owners, areas, strict=True)
        if label != 0
    ]


def clean(
    labels: Labels,
    settings: CleanupSettings,
    usual: UsualRegions,
    *,
    scores: NDArray[np.floating[Any]] | None = None,
    classes: Mapping[int, int] | None = None,
) -> Labels:
    """Clean up a label image; the one that is given stays as it is.

    Parameters
    ----------
    labels : NDArray
        (H, W), classes or objects; 0 is background.
    settings : CleanupSettings
        What is done.
    usual : UsualRegions
        What decides where the settings leave it open.
    scores : NDArray, optional
        (H, W), from 0 to 1, of each pixel's label; needed for thresholds.
    classes : mapping of int to int, optional
        The class of each label, where labels are objects, for thresholds.

    Raises
    ------
    ValueError
        If there are thresholds but no scores.
    """
    cleaned = labels.copy()
    if any(settings.thresholds):
        if scores is None:
            raise ValueError("Expected scores for thresholds, got none.")
        cleaned[_unsure(cleaned, scores, settings.thresholds, classes or {})] = 0
    if settings.largest_only:
        cleaned[~largest_pieces(cleaned)] = 0
    _drop_specks(cleaned, settings.smallest, usual)
    fill = settings.fill_holes
    if fill == "yes" or (fill == "auto" and not usual.have_holes):
        holes, owners = find_holes(cleaned)
        for hole, box in enumerate(ndimage.find_objects(holes), start=1):
            if hole in owners:
                cleaned[box][holes[box] == hole] = owners[hole]
    return _smooth(cleaned, settings.smooth) if settings.smooth else cleaned


def _unsure(
    labels: Labels,
    scores: NDArray[np.floating[Any]],
    thresholds: Sequence[float],
    classes: Mapping[int, int],
) -> NDArray[np.bool_]:
    """Mark pixels whose score is below the threshold of their class."""
    ids, places = np.unique(labels, return_inverse=True)
    kinds = np.array([classes.get(i, i) for i in ids.tolist()])
    least = np.array(thresholds)[np.clip(kinds - 1, 0, len(thresholds) - 1)]
    mask: NDArray[np.bool_] = scores < least[places].reshape(labels.shape)
    return mask


def _drop_specks(labels: Labels, smallest: float | None, usual: UsualRegions) -> None:
    """Give the pixels of specks to what they touch most."""
    regions = connected(labels, connectivity=1)
    areas = np.bincount(regions.ravel())
    owners = np.zeros(len(areas), dtype=labels.dtype)
    owners[regions.ravel()] = labels.ravel()
    limits = np.full(len(areas), smallest or 0.0)
    if smallest is None:
        limits = _usual_limits(areas, owners, usual)
    specks = (areas < limits) & (owners != 0)
    if not specks.any():
        return
    # Specks that touch each other are one hole, filled from around it.
    gone = specks[regions]
    holes = connected(gone, connectivity=1)
    ids, numbers = np.unique(np.where(specks, 0, owners), return_inverse=True)
    around = main_neighbours(np.where(gone, -holes, numbers[regions]), of=gone)
    table = np.zeros(int(holes.max()) + 1, dtype=labels.dtype)
    for hole in range(1, len(table)):
        table[hole] = ids[around.get(-hole, 0)]
    labels[gone] = table[holes[gone]]


def _usual_limits(
    areas: NDArray[np.int64], owners: Labels, usual: UsualRegions
) -> NDArray[np.float64]:
    """Return the least pixels of each region, by the references.

    Where all regions of a frame are small, as at the end of an organ or where a frame
    is shown at another scale, they are compared with each other.
    """
    named = {int(i) for i in owners} & usual.smallest.keys()
    groups = np.where(np.isin(owners, list(named)), owners, 0).astype(np.int64)
    limits = np.zeros(len(areas))
    for group in np.unique(groups):
        members = (groups == group) & (owners != 0)
        if not members.any():
            continue
        here = float(np.average(areas[members], weights=areas[members]))
        smallest = usual.smallest.get(int(group), usual.any_smallest)
        limits[members] = usual.speck * min(smallest, here)
    return limits


def _smooth(labels: Labels, sigma: float) -> Labels:
    """Give each pixel the label that prevails around it, by a Gaussian."""
    ids, places = np.unique(labels, return_inverse=True)
    places = places.reshape(labels.shape) + 1
    best = np.zeros(labels.shape)
    smoothed = np.zeros_like(labels)
    margin = math.ceil(REACH * sigma)
    for number, box in enumerate(ndimage.find_objects(places), start=1):
        wide = tuple(
            slice(max(0, side.start - margin), side.stop + margin) for side in box
        )
        share = ndimage.gaussian_filter(
            (places[wide] == number).astype(np.float64), sigma, truncate=REACH
        )
        wins = share > best[wide]
        best[wide][wins] = share[wins]
        smoothed[wide][wins] = ids[number - 1]
    return smoothed
