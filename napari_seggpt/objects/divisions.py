"""Did an object divide in two? By place and size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_seggpt.objects.regions import Region

CHILD_SIZE = (0.2, 0.85)  # of the mother's area
BOTH_SIZE = (0.5, 1.5)  # of the mother's area, both children together
MIN_CHILD_AREA_RATIO = 0.4  # of the smaller child's area to the larger one's
MARGIN = 0.5  # of the mother's radius, by which children may reach over its outline
MIN_SHARE_AT_MOTHER = 0.4  # of a child's area that lies at the mother's place
MAX_OFFSET_RADII = 0.75  # of the mother, from its centre to that of both children
NEAR = 2.5  # radii of the mother, within which children are looked for


def is_division(mother: Region, one: Region, other: Region) -> bool:
    """Say whether two objects look like the children of one that was there before.

    Each is smaller than the mother and lies at her place, they are of like size, and
    lie on opposite sides of her centre.
    """
    sizes = sorted((one.area / mother.area, other.area / mother.area))
    if not CHILD_SIZE[0] <= sizes[0] <= sizes[1] <= CHILD_SIZE[1]:
        return False
    if (
        not BOTH_SIZE[0] <= sum(sizes) <= BOTH_SIZE[1]
        or sizes[0] < MIN_CHILD_AREA_RATIO * sizes[1]
    ):
        return False
    away = [child.center - mother.center for child in (one, other)]
    if float(away[0] @ away[1]) >= 0:
        return False
    middle = (one.area * away[0] + other.area * away[1]) / (one.area + other.area)
    if float(np.hypot(*middle)) > MAX_OFFSET_RADII * mother.radius:
        return False
    margin = MARGIN * mother.radius
    return all(
        child.share_within(mother, margin) >= MIN_SHARE_AT_MOTHER
        for child in (one, other)
    )


def find_divisions(
    mothers: Mapping[int, Region],
    children: Mapping[int, Region],
    own_child: Mapping[int, int],
) -> dict[int, tuple[int, int]]:
    """Find which mothers divided into which two children.

    Parameters
    ----------
    mothers : mapping of int to Region
        Objects that may have divided.
    children : mapping of int to Region
        Objects that may be children: those of nobody, and those in `own_child`.
    own_child : mapping of int to int
        The child that a mother was linked to, which is then one of the two.

    Returns
    -------
    dict of int to tuple of int
        The children of each mother; a child has one mother. The nearest come first.
    """
    taken = set(own_child.values())
    free = [i for i in children if i not in taken]
    if not free or not mothers:
        return {}
    centers = np.array([children[i].center for i in free])
    options = []
    for mother, region in mothers.items():
        gaps = np.hypot(*(centers - region.center).T)
        near = [free[at] for at in np.flatnonzero(gaps <= NEAR * region.radius)]
        for one, other in _pairs(near, own_child.get(mother)):
            if is_division(region, children[one], children[other]):
                middle = (children[one].center + children[other].center) / 2
                off = float(np.hypot(*(middle - region.center)))
                options.append((off / region.radius, mother, one, other))
    found: dict[int, tuple[int, int]] = {}
    used: set[int] = set()
    for _, mother, one, other in sorted(options):
        if mother not in found and not {one, other} & used:
            found[mother] = (one, other)
            used |= {one, other}
    return found


def _pairs(near: list[int], own: int | None) -> Iterable[tuple[int, int]]:
    """Yield pairs of possible children, with the own one, if there is one."""
    if own is not None:
        return ((own, child) for child in near)
    return ((one, other) for at, one in enumerate(near) for other in near[at + 1 :])
