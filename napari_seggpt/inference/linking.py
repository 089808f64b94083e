"""Ids along a stack: predicted objects are linked outward from the references."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.chains import Chain, chain_of
from napari_seggpt.inference.line_ids import LineIds
from napari_seggpt.inference.propagation import FramePrediction
from napari_seggpt.objects.linking import Linker
from napari_seggpt.objects.regions import with_names
from napari_seggpt.objects.shapes import separate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.object_settings import LinkedAxis, LinkingSettings
    from napari_seggpt.objects.new_ids import NewIds
    from napari_seggpt.settings import Direction

    Labels = NDArray[np.integer[Any]]
    Read = Callable[[int], Labels | None]

MOST_PIECES = 4  # regions that a single object may have on a frame
KEPT_CHAINS = 4  # two of one reference and two of the next


@dataclass(frozen=True, slots=True, kw_only=True)
class RenamedFrame:
    """A frame that was linked, some ids of which turned out to be others.

    Attributes
    ----------
    index : int
        The frame.
    names : dict of int to int
        The new id of each id that changes; all others stay.
    """

    index: int
    names: dict[int, int]

    def applied(self, labels: Labels) -> Labels:
        """Return labels (H, W) with the new ids."""
        return with_names(labels, self.names)


def frames_lie_along(axis: str | None, chosen: LinkedAxis) -> LinkedAxis:
    """Return what frames follow each other in: what was chosen, or the stack's axis.

    Where nobody says that it is time, nothing divides.
    """
    if chosen != "auto":
        return chosen
    return "t" if axis == "t" else "z"


def single_objects(labels: Labels) -> Labels:
    """Return labels (H, W) without ids of so many regions that they are classes.

    A person who painted all cells with one label gave none of them an id.
    """
    regions = separate(labels)
    numbers, at = np.unique(regions, return_index=True)
    owners, counts = np.unique(labels.ravel()[at[numbers > 0]], return_counts=True)
    return np.where(np.isin(labels, owners[counts > MOST_PIECES]), 0, labels)


class StackLinker:
    """Gives predicted objects ids that hold along the stack, frame after frame.

    It follows the order of `predict_stack`, outward from the references, in one line of
    the grid after the other. The ids of frames that are not to be predicted are taken
    as they are, wherever it passes them. It keeps what it needs of the last frames, and
    where each new id was used.

    Parameters
    ----------
    settings : LinkingSettings
        How objects are followed; `along` is "t" or "z".
    references : collection of int
        The frames that the order leads away from.
    frames : collection of int
        The frames that are to be predicted.
    length : int
        Frames in the stack.
    read : callable
        Returns the labels (H, W) of a frame that is not predicted, or was written after
        it was yielded, or None.
    new_ids : NewIds
        Gives the ids of new objects.
    direction : str
        As of the order.
    step : int
        Every how many frames of a line one is predicted.
    grid : FrameGrid, optional
        How frames lie, if not all in one line.
    vouched : callable, optional
        Returns the labels of a frame that a person vouches for by now, or None.
    """

    def __init__(
        self,
        settings: LinkingSettings,
        *,
        references: Collection[int],
        frames: Collection[int],
        length: int,
        read: Read,
        new_ids: NewIds,
        direction: Direction = "both",
        step: int = 1,
        grid: FrameGrid | None = None,
        vouched: Read = lambda _: None,
    ) -> None:
        self._linker = Linker(settings, new_ids)
        self._grid = grid or FrameGrid.row(length)
        self._references = references
        self._pending = set(frames)
        self._read = read
        self._vouched = vouched
        self._direction = direction
        self._step = step
        self._passed = (settings.gap + 1) * step  # frames that may still matter
        self._chain: Chain | None = None
        self._last: int | None = None  # frame of this chain
        self._ids = LineIds(self._linker.new)
        # First and last frames of the last chains of this line, and their labels: what
        # was yielded lately may not have been written yet.
        self._kept = deque[list[int]](maxlen=KEPT_CHAINS)
        self._ends: dict[int, Labels] = {}

    def link(
        self, steps: Iterable[FramePrediction | UnreadableFrame]
    ) -> Iterator[FramePrediction | UnreadableFrame | RenamedFrame]:
        """Link what is predicted, as it comes.

        Yields
        ------
        FramePrediction, UnreadableFrame or RenamedFrame
            What comes, with ids that hold along the stack; and frames that were yielded
            before, where two chains met and the ids of one are taken for both.
        """
        for step in steps:
            self._pending.discard(step.index)
            if not isinstance(step, FramePrediction):
                yield step
                continue
            index, order = step.index, self._direction
            chain = chain_of(index, self._references, order, self._grid)
            if chain != self._chain:
                yield from self._meet()
                self._begin(chain)
            yield self._link(step, chain)
        yield from self._meet()

    def _begin(self, chain: Chain) -> None:
        """Begin a chain; what is known of others is that of the same line."""
        self._linker.start()
        if self._chain is None or self._chain.line != chain.line:
            self._ids = LineIds(self._linker.new)
            self._kept.clear()
        self._ids.begin_chain()
        self._kept.append([])
        kept = {i for ends in self._kept for i in ends}
        self._ends = {i: x for i, x in self._ends.items() if i in kept}
        self._chain, self._last = chain, None
        source = chain.source
        if source is not None and self._grid.line(source) == chain.line:
            self._last = source
            labels = self._known(source)
            if labels is not None:
                self._fix(self._grid.place(source), labels)

    def _link(self, step: FramePrediction, chain: Chain) -> FramePrediction:
        index = step.index
        place = self._grid.place(index)
        for passed, labels in self._frames_before(place, chain):
            self._fix(passed, labels)
        self._last = index
        own = self._vouched(index)
        if own is not None:
            self._fix(place, own)
            return step
        labels = self._linker.link(place / self._step, step.prediction.labels)
        self._note(index, labels)
        prediction = replace(step.prediction, labels=labels)
        return replace(step, prediction=prediction)

    def _note(self, index: int, labels: Labels) -> None:
        """Note where ids are, and keep the labels of the first and last frame."""
        self._ids.note_written(index, np.unique(labels).tolist())
        ends = self._kept[-1]
        if len(ends) == 2:
            del self._ends[ends.pop()]
        ends.append(index)
        self._keep(index, labels)

    def _keep(self, index: int, labels: Labels) -> None:
        """Keep labels in a small type; a person's id may be below 0."""
        low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
        dtype = labels.dtype if low < 0 else np.min_scalar_type(high)
        self._ends[index] = labels.astype(dtype)

    def _frames_before(self, place: int, chain: Chain) -> list[tuple[int, Labels]]:
        """Return the known frames that lead to a place, and where each counts.

        A source in another line counts as the frame before all that are known in this
        line: these are nearer to what follows.
        """
        way = chain.way
        first = place - way * self._passed
        if self._last is not None:
            reached = self._grid.place(self._last) + way
            first = max(first, reached) if way > 0 else min(first, reached)
        known = []
        for passed in range(first, place, way):
            if 0 <= passed < self._grid.line_length:
                labels = self._known(self._grid.frame_at(chain.line, passed))
                if labels is not None:
                    known.append((passed, labels))
        if self._last is None and chain.source is not None:
            labels = self._known(chain.source)
            if labels is not None:
                first = known[0][0] if known else place
                known.insert(0, (first - way * self._step, labels))
        return known

    def _fix(self, place: int, labels: Labels) -> None:
        """Take the ids of a frame that is not predicted as they are."""
        objects = single_objects(labels)
        self._linker.fix(place / self._step, objects)
        self._ids.note(np.unique(objects).tolist())

    def _known(self, index: int) -> Labels | None:
        """Return the labels of a frame that is not to be predicted, if it has any."""
        if index in self._pending:
            return None
        labels = self._ends[index] if index in self._ends else self._read(index)
        return None if labels is None or not labels.any() else labels

    def _meet(self) -> Iterator[RenamedFrame]:
        """Join the chain to what lies beyond its end."""
        if self._chain is None or self._last is None:
            return
        beyond = self._beyond(self._grid.place(self._last), self._chain)
        if beyond is None:
            return
        place, labels = beyond
        pairs = self._linker.matches(place / self._step, labels)
        for index, names in self._ids.join(pairs).items():
            renamed = RenamedFrame(index=index, names=names)
            if index in self._ends:
                self._keep(index, renamed.applied(self._ends[index]))
            yield renamed

    def _beyond(self, last: int, chain: Chain) -> tuple[int, Labels] | None:
        """Return the next known frame after the last place of a chain, and its place.

        A reference may lie between the frames that every so many are predicted.
        """
        for away in range(1, self._step + 1):
            place = last + chain.way * away
            if 0 <= place < self._grid.line_length:
                labels = self._known(self._grid.frame_at(chain.line, place))
                if labels is not None:
                    return place, labels
        return None


class IdCarrier:
    """Carries ids on over labels that have ids already: those of one frame count.

    Parameters
    ----------
    settings : LinkingSettings
        How objects are followed; `along` is "t" or "z".
    new_ids : NewIds
        Gives the ids of new objects.
    """

    def __init__(self, settings: LinkingSettings, new_ids: NewIds) -> None:
        self._linker = Linker(settings, new_ids)
        self._kept: dict[int, int] = {}  # ids of the linker that stand for others
        self._taken: set[int] = set()

    def pass_over(self, index: int, labels: Labels) -> None:
        """Take the ids of a frame (H, W) as they are."""
        self._linker.fix(index, single_objects(labels))
        self._taken.update(np.unique(labels).tolist())

    def names(self, index: int, labels: Labels) -> dict[int, int]:
        """Return the new id of each object of a frame (H, W) that gets another one.

        An object that continues none keeps its own, if no other has taken that.
        """
        linked = self._linker.link(index, labels)
        ids, at = np.unique(labels, return_index=True)
        names: dict[int, int] = {}
        for old, new in zip(ids.tolist(), linked.ravel()[at].tolist(), strict=True):
            is_new = new in self._linker.new and new not in self._kept
            if is_new and old not in self._taken:
                self._kept[new] = old
            names[old] = self._kept.get(new, new)
            self._taken.add(names[old])
        return {old: new for old, new in names.items() if old and old != new}
