"""Which labels touch each other, and along how many pixel edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contacts:
    """The pairs of labels that share pixel edges; each pair in both orders.

    Attributes
    ----------
    own, other : NDArray
        (P,), the two labels, which differ; 0 is among them.
    edges : NDArray[np.int64]
        (P,), along how many pixel edges they touch.
    """

    own: NDArray[np.integer[Any]]
    other: NDArray[np.integer[Any]]
    edges: NDArray[np.int64]


def find_contacts(
    labels: NDArray[np.integer[Any]], of: NDArray[np.bool_] | None = None
) -> Contacts:
    """Count along how many pixel edges the labels of an image (H, W) touch.

    Parameters
    ----------
    labels : NDArray
        (H, W).
    of : NDArray[np.bool_], optional
        (H, W), labels of which the contacts are wanted; others' take longer.
    """
    pairs = []
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        first, second = labels[here], labels[there]
        differ = first != second
        if of is not None:
            differ &= of[here] | of[there]
        pairs.append(np.stack([first[differ], second[differ]]))
    both = np.concatenate(pairs, axis=1)
    both = np.concatenate([both, both[::-1]], axis=1)
    # One number a pair, which is sorted far faster than two.
    ids, places = np.unique(both, return_inverse=True)
    codes = places.reshape(both.shape).astype(np.int64)
    found, edges = np.unique(codes[0] * len(ids) + codes[1], return_counts=True)
    own, other = np.divmod(found, max(1, len(ids)))
    return Contacts(own=ids[own], other=ids[other], edges=edges.astype(np.int64))


def main_neighbours(
    labels: NDArray[np.integer[Any]], of: NDArray[np.bool_] | None = None
) -> dict[int, int]:
    """Return for every label of an image (H, W) the one that it touches most.

    Parameters as of `find_contacts`; only what lies in `of` is right then.
    """
    contacts = find_contacts(labels, of)
    order = np.lexsort((contacts.other, -contacts.edges, contacts.own))
    own, first = np.unique(contacts.own[order], return_index=True)
    other = contacts.other[order][first]
    return dict(zip(own.tolist(), other.tolist(), strict=True))
