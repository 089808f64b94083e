"""LineIds: the ids in the chains of one line, and which become one where they meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class LineIds:
    """The ids that a run has met or given in one line, chain after chain.

    Parameters
    ----------
    new : collection of int
        The ids that the run has given to new objects by now; it may grow.
    """

    def __init__(self, new: Collection[int]) -> None:
        self._new = new
        self._chain = 0
        self._chains: dict[int, set[int]] = {}  # that each id is in
        self._frames: dict[int, set[int]] = {}  # that each new id was written in

    def begin_chain(self) -> None:
        """Take what is noted from now on as the next chain's."""
        self._chain += 1

    def note(self, ids: Iterable[int]) -> None:
        """Note the ids of a frame that the chain passes and the run does not write."""
        for i in ids:
            self._chains.setdefault(i, set()).add(self._chain)

    def note_written(self, frame: int, ids: Collection[int]) -> None:
        """Note the ids of a frame that the run writes."""
        self.note(ids)
        for i in ids:
            if i in self._new:
                self._frames.setdefault(i, set()).add(frame)

    def join(self, pairs: Mapping[int, int]) -> dict[int, dict[int, int]]:
        """Give objects one id that have two, where the chain meets another frame.

        An id that a person gave is never replaced, and no chain gets an id that it has
        already.

        Parameters
        ----------
        pairs : mapping of int to int
            Ids of the chain, and the id of the same object on the frame beyond.

        Returns
        -------
        dict of int to (dict of int to int)
            Written frames, in ascending order, and the new id of each id that changes.
        """
        names = self._names(pairs)
        found: dict[int, dict[int, int]] = {}
        for old, new in names.items():
            frames = self._frames.pop(old, set())
            for frame in frames:
                found.setdefault(frame, {})[old] = new
            if new in self._new:
                self._frames.setdefault(new, set()).update(frames)
            self._chains.setdefault(new, set()).update(self._chains.pop(old, set()))
        return dict(sorted(found.items()))

    def _names(self, pairs: Mapping[int, int]) -> dict[int, int]:
        """Return the new id of each id that is replaced by its partner."""
        names = {}
        for here, there in pairs.items():
            chains = self._chains.get(there, set())
            if here == there or not chains.isdisjoint(self._chains.get(here, set())):
                continue
            if here in self._new:
                names[here] = there
            elif there in self._new:
                names[there] = here
        return names
