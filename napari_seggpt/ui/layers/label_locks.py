"""The labels of a layer that are locked, in whichever session it is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_seggpt.session.frames.locked_labels import LockedLabels

if TYPE_CHECKING:
    from napari.layers import Labels

_locks: WeakKeyDictionary[Labels, LockedLabels] = WeakKeyDictionary()


def locks_of(layer: Labels) -> LockedLabels:
    """Return what is locked of a layer, the same for all sessions on it.

    A person locks a label of the layer: it keeps its pixels, whatever image or axis is
    worked on next. The layer's names of labels are kept with it, too.
    """
    return _locks.setdefault(layer, LockedLabels())
