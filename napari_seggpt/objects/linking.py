"""Linking: the same object keeps its id from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from napari_seggpt.objects.divisions import find_divisions
from napari_seggpt.objects.regions import Region, find_regions, paint_regions, renamed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.object_settings import LinkingSettings
    from napari_seggpt.objects.new_ids import NewIds

    Labels = NDArray[np.integer[Any]]

KEPT_VELOCITY_SHARE = 0.5  # how much of the last velocity is kept
NEARNESS_WEIGHT = 0.5  # what lying at the expected place counts, beside an overlap of 1
MIN_AREA_RATIO = 0.2  # objects without overlap are no pair below this ratio of areas
RESUMED_IOU = 0.7  # overlap (IoU) of what was taken for divided and is still the same
CERTAIN_IOU = 0.5  # with a larger overlap (IoU) an object has no other candidate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Track:
    """Where an object was last, and how it moved there, in pixels a frame."""

    region: Region
    at: float
    velocity: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))

    def shift(self, at: float) -> NDArray[np.float64]:
        """Return how far it is expected to have moved by a frame."""
        return self.velocity * abs(at - self.at)

    def moved(self, region: Region, at: float) -> _Track:
        """Return the track with the object's new place."""
        frames = abs(at - self.at) or 1.0
        step = (region.center - self.region.center) / frames
        velocity = (
            KEPT_VELOCITY_SHARE * self.velocity + (1 - KEPT_VELOCITY_SHARE) * step
        )
        return _Track(region=region, at=at, velocity=velocity)


class Linker:
    """Gives the objects of frame after frame the ids of those that they continue.

    It goes outward from a frame whose ids are known, forward or backward, and keeps
    what it needs of the last frames only. The same frames give the same ids. Where a
    frame is, is counted in steps along the stack: in frames, if none is skipped.

    Parameters
    ----------
    settings : LinkingSettings
        How objects are followed; they may divide unless frames lie along z.
    new_ids : NewIds
        Gives the ids of new objects.
    """

    def __init__(self, settings: LinkingSettings, new_ids: NewIds) -> None:
        self.settings = settings
        self._new_ids = new_ids
        self._tracks: dict[int, _Track] = {}
        self._ended: dict[int, _Track] = {}
        self._last: float | None = None
        self._new: set[int] = set()

    @property
    def new(self) -> Collection[int]:
        """The ids that were given to new objects, in all chains."""
        return self._new

    def start(self) -> None:
        """Begin a new chain: forget where objects were, but not which ids are used."""
        self._tracks, self._ended, self._last = {}, {}, None

    def fix(self, at: float, labels: Labels) -> None:
        """Take the ids of a frame as they are: a person's, or written before.

        Parameters
        ----------
        at : float
            Where the frame is.
        labels : NDArray
            (H, W), ids.
        """
        regions = find_regions(labels)
        links = self._match(at, regions, labels)  # a person may have exchanged ids
        self._new_ids.note(regions)
        self._take(at, regions, {i: track for track, i in links.items()})

    def link(self, at: float, labels: Labels) -> NDArray[np.int64]:
        """Give the objects of a frame their ids.

        Parameters
        ----------
        at : float
            Where the frame is.
        labels : NDArray
            (H, W), objects with any numbers; 0 is background. Where classes count, a
            number tells that of the object as an id does, see `class_of_id`.

        Returns
        -------
        NDArray[np.int64]
            (H, W), the same objects with ids that hold along the stack.
        """
        regions = find_regions(labels)
        links = self._match(at, regions, labels)
        names = {number: track for track, number in links.items()}
        if self.settings.along != "z":
            names = self._divide(at, regions, links, names)
        for number in regions:
            if number not in names:
                names[number] = self._new_ids.take(number)
                self._new.add(names[number])
        named = {names[i]: region for i, region in regions.items()}
        known = self._tracks.keys() | self._ended.keys()
        self._take(at, named, {i: i for i in named if i in known})
        return renamed(labels, names)

    def matches(self, at: float, labels: Labels) -> dict[int, int]:
        """Return which object of a frame continues each object, as far as one does.

        Parameters
        ----------
        at : float
            A frame next to the chain's last one, such as one of another chain.
        labels : NDArray
            (H, W), its ids.

        Returns
        -------
        dict of int to int
            Ids of this chain, and the id of the same object on that frame.
        """
        return self._match(at, find_regions(labels), labels)

    # -- what is known -----------------------------------------------------------

    def _take(
        self, at: float, regions: Mapping[int, Region], before: Mapping[int, int]
    ) -> None:
        """Note where the objects are now, and forget those that are lost for long.

        `before` tells which track each object continues, as far as it does.
        """
        known = self._ended | self._tracks
        here = {
            i: known[before[i]].moved(region, at)
            if i in before
            else _Track(region=region, at=at)
            for i, region in regions.items()
        }
        self._tracks = self._recent(at, self._tracks | here)
        ended = {i: track for i, track in self._ended.items() if i not in here}
        self._ended = self._recent(at, ended)
        self._last = at

    def _recent(self, at: float, tracks: Mapping[int, _Track]) -> dict[int, _Track]:
        gap = self.settings.gap
        return {i: track for i, track in tracks.items() if abs(at - track.at) <= gap}

    # -- which object continues which -----------------------------------------------

    def _match(
        self, at: float, regions: Mapping[int, Region], labels: Labels
    ) -> dict[int, int]:
        """Return the object that continues each track, as far as one does."""
        if not self._tracks or not regions:
            return {}
        resumed = self._resumed(regions, labels)
        # Those seen last come first: an older one is looked for where none of them is.
        tracks = sorted(self._tracks, key=lambda i: abs(at - self._tracks[i].at))
        numbers = list(regions)
        overlap = self._overlap(at, tracks, regions, labels)
        # What was lost for a while counts less than what was there a frame ago.
        recent = np.array([1 / abs(at - self._tracks[i].at) for i in tracks])
        near = self._nearness(at, tracks, list(regions.values()))
        worth = diags_array(recent) @ (overlap + near)
        # Overlaps above a half exclude each other, so they never count as more.
        certain = (diags_array(recent.clip(max=1)) @ overlap) > CERTAIN_IOU
        pairs = _assign(worth.tocoo(), certain.tocoo())
        links = {tracks[row]: numbers[column] for row, column in pairs}
        taken = set(resumed.values())
        return resumed | {i: x for i, x in links.items() if x not in taken}

    def _resumed(self, regions: Mapping[int, Region], labels: Labels) -> dict[int, int]:
        """Return the objects that continue tracks which ended in a division.

        Such an object is clearly the same as before: it was cut in two by mistake.
        """
        resumed = {}
        for i, track in self._ended.items():
            mask, (row, column) = track.region.mask, track.region.corner
            window = np.s_[row : row + mask.shape[0], column : column + mask.shape[1]]
            here = labels[window]  # less of it, where this frame is a smaller one
            within = mask[: here.shape[0], : here.shape[1]]
            numbers, pixels = np.unique(here[within], return_counts=True)
            if not len(numbers):
                continue
            best = int(numbers[pixels.argmax()])
            if best <= 0:
                continue
            common = int(pixels.max())
            union = track.region.area + regions[best].area - common
            if common >= RESUMED_IOU * union:
                resumed[i] = best
        return resumed

    def _overlap(
        self,
        at: float,
        tracks: list[int],
        regions: Mapping[int, Region],
        labels: Labels,
    ) -> csr_array:
        """Return the IoU (T, N) of tracks, moved to where they are expected."""
        moved = [(self._tracks[i].region, self._tracks[i].shift(at)) for i in tracks]
        expected = paint_regions(
            ((row, *each) for row, each in enumerate(moved, start=1)), labels.shape
        )
        both = (expected > 0) & (labels > 0)
        rows = expected[both] - 1
        columns = np.searchsorted(list(regions), labels[both])
        shape = (len(tracks), len(regions))
        common = coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()
        common.sum_duplicates()
        pairs = common.tocoo()
        own = np.bincount(expected.ravel(), minlength=len(tracks) + 1)[1:]
        areas = np.array([region.area for region in regions.values()])
        union = own[pairs.row] + areas[pairs.col] - pairs.data
        return coo_array((pairs.data / union, (pairs.row, pairs.col)), shape).tocsr()

    def _nearness(
        self, at: float, tracks: list[int], regions: list[Region]
    ) -> csr_array:
        """Return (T, N) how near objects are to where tracks are expected, up to 0.5.

        It is 0 beyond the reach, and where sizes differ too much.
        """
        known = [self._tracks[i] for i in tracks]
        places = np.array([x.region.center + x.shift(at) for x in known])
        centers = np.array([region.center for region in regions])
        lost = np.array([abs(at - x.at) for x in known])
        grown = self.settings.reach * (1 + (lost - 1).clip(0) / 2)
        radii = np.array([x.region.radius for x in known])
        others = np.array([region.radius for region in regions])
        widest = float((grown * (radii + others.max())).max())
        near = KDTree(places).sparse_distance_matrix(
            KDTree(centers), widest, output_type="coo_matrix"
        )
        reach = grown[near.row] * (radii[near.row] + others[near.col])
        sizes = (radii[near.row] / others[near.col]) ** 2
        alike = np.minimum(sizes, 1 / sizes)
        worth = NEARNESS_WEIGHT * (1 - near.data / reach) * alike
        worth[(near.data >= reach) | (alike < MIN_AREA_RATIO)] = 0
        shape = (len(tracks), len(regions))
        return coo_array((worth, (near.row, near.col)), shape).tocsr()

    # -- divisions -------------------------------------------------------------------

    def _divide(
        self,
        at: float,
        regions: Mapping[int, Region],
        links: Mapping[int, int],
        names: dict[int, int],
    ) -> dict[int, int]:
        """Take the ids from objects that turn out to be children, or a mother.

        Forward in time a track ends where it divides, backward two tracks meet in
        their mother. Mother and children have ids of their own.
        """
        known = {i: x.region for i, x in self._tracks.items() if x.at == self._last}
        if self._last is not None and at < self._last:
            linked = {number: track for track, number in links.items()}
            own = {number: i for number, i in linked.items() if i in known}
            found = find_divisions(regions, known, own)
            self._end(child for pair in found.values() for child in pair)
            return {i: name for i, name in names.items() if i not in found}
        own = {track: number for track, number in links.items() if track in known}
        others = {number for track, number in links.items() if track not in known}
        young = {i: region for i, region in regions.items() if i not in others}
        found = find_divisions(known, young, own)
        self._end(found)
        gone = {child for pair in found.values() for child in pair}
        return {i: name for i, name in names.items() if i not in gone}

    def _end(self, tracks: Iterable[int]) -> None:
        """Keep tracks that divided apart from those that are looked for."""
        for i in list(tracks):
            self._ended[i] = self._tracks.pop(i)


def _assign(worth: coo_array, certain: coo_array) -> list[tuple[int, int]]:
    """Choose one partner each, so that all pairs together are worth the most.

    Parameters
    ----------
    worth : coo_array
        (T, N), above 0 where two may be a pair.
    certain : coo_array
        (T, N), pairs that have no other candidate: one at most in a row or column.
    """
    pairs = list(zip(certain.row.tolist(), certain.col.tolist(), strict=True))
    open_rows = ~np.isin(worth.row, certain.row)
    open_ones = open_rows & ~np.isin(worth.col, certain.col) & (worth.data > 0)
    rows, columns = worth.row[open_ones], worth.col[open_ones]
    values = worth.data[open_ones]
    for members in _groups(rows, columns, worth.shape):
        own_rows, at_row = np.unique(rows[members], return_inverse=True)
        own_columns, at_column = np.unique(columns[members], return_inverse=True)
        table = np.zeros((len(own_rows), len(own_columns)))
        table[at_row, at_column] = values[members]
        for row, column in zip(
            *linear_sum_assignment(table, maximize=True), strict=True
        ):
            if table[row, column] > 0:
                pairs.append((int(own_rows[row]), int(own_columns[column])))
    return sorted(pairs)


def _groups(
    rows: NDArray[np.intp], columns: NDArray[np.intp], shape: tuple[int, ...]
) -> list[NDArray[np.intp]]:
    """Part pairs into groups that share no object, which can be solved alone."""
    if not len(rows):
        return []
    size = shape[0] + shape[1]
    graph = coo_array((np.ones(len(rows)), (rows, columns + shape[0])), (size, size))
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[rows], kind="stable")
    starts = np.flatnonzero(np.diff(group[rows][order])) + 1
    return np.split(order, starts)
