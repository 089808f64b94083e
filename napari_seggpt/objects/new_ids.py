"""NewIds: ids for objects that nobody has named yet."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from napari_seggpt.objects.class_ids import (
    CLASS_BLOCK,
    LARGE_CLASS_BLOCK,
    class_of_id,
    ids_in,
)
from napari_seggpt.objects.regions import with_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]


class NewIds:
    """Gives ids above all that there are, or the next that tell the class of an object.

    Parameters
    ----------
    first : int
        Above all ids that there are.
    kinds : iterable of int
        Classes that ids tell, see `class_of_id`; without them all are of one kind.
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
            kind = class_of_id(i)
            if kind in self._of_class:
                self._of_class[kind] = max(self._of_class[kind], i + 1)
            else:
                self._next = max(self._next, i + 1)

    def take(self, number: int) -> int:
        """Return an id for an object; its number tells its class, if there are some.

        When the thousands of a class are all taken, its millions follow, which labels
        of 16 bits do not hold.

        Raises
        ------
        ValueError
            If all ids of the class are taken.
        """
        kind = class_of_id(number)
        free = self._of_class.get(kind)
        if free is not None:
            if class_of_id(free) != kind and free < LARGE_CLASS_BLOCK:
                free = kind * LARGE_CLASS_BLOCK + 1
            if class_of_id(free) != kind:
                raise ValueError(
                    f"Expected fewer objects of class {kind} than it has ids, got all "
                    f"of them up to {free - 1}."
                )
            self._of_class[kind] = free + 1
            return free
        self._next += 1
        return self._next - 1


def numbered_beside(
    labels: Labels, taken: Collection[int], kinds: Collection[int] = ()
) -> Labels:
    """Give objects of a frame other ids where other objects have theirs.

    They get the smallest ones that are free, since labels may be of few bits.

    Parameters
    ----------
    labels : NDArray
        (H, W), objects whose numbers hold on this frame only; 0 is background.
    taken : collection of int
        The ids of other objects.
    kinds : collection of int
        Classes that numbers and ids tell, if they tell any; see `class_of_id`.
    """
    numbers = ids_in(labels).tolist()
    again = sorted(({*numbers} & {*taken}) - {0})
    if not again:
        return labels
    used, names = {*numbers, *taken}, {}
    ids: dict[int, Iterator[int]] = {}
    for number in again:
        kind = class_of_id(number)
        like = ids.setdefault(kind, _ids_of(kind if kind in kinds else None))
        names[number] = next(i for i in like if i not in used)
        used.add(names[number])
    return with_names(labels, names)


def _ids_of(kind: int | None) -> Iterator[int]:
    """Yield ids in ascending order; those that tell a class, if one is given."""
    if kind is not None:
        yield from range(kind * CLASS_BLOCK + 1, (kind + 1) * CLASS_BLOCK)
        yield from count(kind * LARGE_CLASS_BLOCK + 1)
    yield from count(1)
