"""Ids of objects that tell a class: which one, and the largest of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

CLASS_BLOCK = 1000  # ids from 1000 on may tell the class, as 2017 tells class 2
LARGE_CLASS_BLOCK = 1_000_000  # and those from a million on, as 2000017 tells class 2
MOST_FLAGS = 1 << 24  # ids up to here are found by a table of this many bytes at most


def class_of_id(i: int) -> int:
    """Return the class that an object's id tells; 0 if it tells none.

    The thousands tell it, as 2017 tells class 2. Where the 999 ids of a class did not
    suffice, further ones begin at a million: their millions tell it, as 2000017 does.
    """
    return i // (CLASS_BLOCK if i < LARGE_CLASS_BLOCK else LARGE_CLASS_BLOCK)


def told_classes(ids: Iterable[int]) -> frozenset[int]:
    """Return the classes that object ids tell; none unless all do and these differ.

    Parameters
    ----------
    ids : iterable of int
        Of objects of one stack; 0, the background, counts as none.
    """
    classes = frozenset(class_of_id(i) for i in ids if i)
    return classes if len(classes) > 1 and 0 not in classes else frozenset()


def ids_in(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Return the ids of labels that are not below 0, in ascending order.

    A window waits for this: a table is faster than sorting, if ids are not too large.
    """
    largest = int(labels.max(initial=0))
    if largest >= MOST_FLAGS:
        ids = np.unique(labels)
        return ids[ids >= 0]
    is_there = np.zeros(largest + 1, dtype=np.bool_)
    is_there[np.maximum(labels, 0)] = True
    return np.flatnonzero(is_there)


def largest_ids(labels: NDArray[np.integer[Any]]) -> tuple[int, ...]:
    """Return the largest id of each class in labels (H, W), in ascending order.

    Those that tell no class count as one. Nothing comes of an image without pixels.
    """
    if not labels.size:
        return ()
    largest = int(labels.max())
    if largest < CLASS_BLOCK:
        return (largest,)
    return tuple({class_of_id(i): i for i in ids_in(labels).tolist()}.values())
