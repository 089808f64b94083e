"""Tracks: where each object is on each frame, and which objects divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.objects.divisions import find_divisions
from napari_seggpt.objects.regions import Region, find_regions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tracks:
    """Objects along a stack.

    Attributes
    ----------
    rows : NDArray[np.float64]
        (P, 4), id, frame, row and column (pixels) of the centre of each object on each
        frame, in order of ids and frames: what napari's Tracks layer takes.
    areas : NDArray[np.int64]
        (P,), their pixels.
    graph : dict of int to list of int
        The parents of an object that came from a division: one, in a list, as the
        Tracks layer wants it.
    """

    rows: NDArray[np.float64]
    areas: NDArray[np.int64]
    graph: Mapping[int, list[int]] = field(default_factory=dict)

    @property
    def ids(self) -> NDArray[np.int64]:
        """(P,), the id of each row."""
        return self.rows[:, 0].astype(np.int64)

    @property
    def frames(self) -> NDArray[np.int64]:
        """(P,), the frame of each row."""
        return self.rows[:, 1].astype(np.int64)


def trace(frames: Iterable[tuple[int, Labels]], *, divisions: bool = True) -> Tracks:
    """Read the tracks of labels whose ids hold along the stack.

    What is a track is decided by the ids alone, so corrected labels give corrected
    tracks. An object divided if it is never seen again and two new ones lie in its
    place on the next frame.

    Parameters
    ----------
    frames : iterable of (int, NDArray)
        Number and labels (H, W) of each frame, in order; read one at a time.
    divisions : bool
        Whether objects may divide, which they do in time but not through z.
    """
    tracer = Tracer(divisions=divisions)
    for index, labels in frames:
        tracer.take(index, labels)
    return tracer.tracks


class Tracer:
    """Reads tracks frame by frame; see `trace`.

    Parameters
    ----------
    divisions : bool
        Whether objects may divide.
    """

    def __init__(self, *, divisions: bool = True) -> None:
        self._divisions = divisions
        self._rows: list[tuple[float, ...]] = []
        self._areas: list[int] = []
        self._last_frame: dict[int, int] = {}
        self._found: list[tuple[int, int, tuple[int, int]]] = []
        self._previous: dict[int, Region] = {}

    def take(self, index: int, labels: Labels) -> None:
        """Take the labels (H, W) of the next frame."""
        regions = find_regions(labels)
        for i, region in regions.items():
            self._rows.append((i, index, *region.center))
            self._areas.append(region.area)
        if self._divisions:
            ended = {i: x for i, x in self._previous.items() if i not in regions}
            begun = {i: x for i, x in regions.items() if i not in self._last_frame}
            pairs = find_divisions(ended, begun, {})
            self._found += [(mother, index, pair) for mother, pair in pairs.items()]
        self._last_frame.update(dict.fromkeys(regions, index))
        self._previous = regions

    @property
    def tracks(self) -> Tracks:
        """The tracks of the frames that were taken."""
        graph = {
            child: [mother]
            for mother, index, pair in self._found
            if self._last_frame[mother] < index
            for child in pair
        }
        return _sorted(self._rows, self._areas, graph)


def _sorted(
    rows: list[tuple[float, ...]], areas: list[int], graph: dict[int, list[int]]
) -> Tracks:
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    order = np.lexsort((table[:, 1], table[:, 0]))
    return Tracks(
        rows=table[order], areas=np.array(areas, dtype=np.int64)[order], graph=graph
    )


def unbroken(tracks: Tracks) -> Tracks:
    """Part tracks where an object was lost for a while: into pieces without gaps.

    The first piece of a track has its id; further ones get ids above all others, with
    the piece before as parent. The rows stay in their order.
    """
    ids, frames = tracks.ids, tracks.frames
    begins = np.ones(len(ids), dtype=bool)
    begins[1:] = ids[1:] != ids[:-1]
    resumes = ~begins
    resumes[1:] &= frames[1:] != frames[:-1] + 1
    places = np.flatnonzero(resumes)
    names = ids.copy()  # of pieces, at their first rows
    names[places] = np.arange(len(places)) + ids.max(initial=0) + 1
    starts = np.flatnonzero(begins | resumes)
    pieces = np.repeat(names[starts], np.diff(starts, append=len(ids)))
    graph = {
        piece: [before]
        for piece, before in zip(
            names[places].tolist(), pieces[places - 1].tolist(), strict=True
        )
    }
    latest = dict(zip(ids.tolist(), pieces.tolist(), strict=True))
    graph |= {i: [latest[x] for x in parents] for i, parents in tracks.graph.items()}
    rows = np.column_stack([pieces, tracks.rows[:, 1:]])
    return Tracks(rows=rows, areas=tracks.areas, graph=graph)


def first_and_last(tracks: Tracks) -> dict[int, tuple[int, int]]:
    """Return the places of the first and the last row of each track, by its id."""
    ends: dict[int, tuple[int, int]] = {}
    for at, i in enumerate(tracks.ids.tolist()):
        ends[i] = (ends.get(i, (at, at))[0], at)
    return ends


def track_edges(tracks: Tracks) -> NDArray[np.int64]:
    """Return (E, 2) pairs of rows: from an object to its next place, or to a child."""
    ends = first_and_last(tracks)
    ids = tracks.ids
    same = np.flatnonzero(ids[1:] == ids[:-1])
    edges = [(at, at + 1) for at in same.tolist()]
    edges += [
        (ends[mother][1], ends[child][0])
        for child, mothers in tracks.graph.items()
        for mother in mothers
    ]
    return np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)
