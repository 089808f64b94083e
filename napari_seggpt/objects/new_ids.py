"""NewIds: ids for objects that nobody has named yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.objects.kinds import CLASS_BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable


class NewIds:
    """Gives ids above all that there are, or the next in the thousands of a class.

    Parameters
    ----------
    first : int
        Above all ids that there are.
    kinds : iterable of int
        Classes that the thousands of an id tell; without them all ids are of one kind.
    taken : iterable of int
        The ids that there are, of these classes.
    """

    def __init__(
        self, first: int, *, kinds: Iterable[int] = (), taken: Iterable[int] = ()
    ) -> None:
        self._of_class = {kind: kind * CLASS_BLOCK + 1 for kind in kinds}
        beyond = (max(self._of_class, default=-1) + 1) * CLASS_BLOCK
        self._next = max(first, beyond)
        self.note(taken)

    def note(self, ids: Iterable[int]) -> None:
        """Never give these ids."""
        for i in ids:
            kind = i // CLASS_BLOCK
            if kind in self._of_class:
                self._of_class[kind] = max(self._of_class[kind], i + 1)
            else:
                self._next = max(self._next, i + 1)

    def take(self, number: int) -> int:
        """Return an id for an object; its number tells its class, if there are some.

        When the thousands of a class are all taken, the id is one above all others.
        """
        kind = number // CLASS_BLOCK
        free = self._of_class.get(kind)
        if free is not None and free // CLASS_BLOCK == kind:
            self._of_class[kind] += 1
            return free
        self._next += 1
        return self._next - 1
