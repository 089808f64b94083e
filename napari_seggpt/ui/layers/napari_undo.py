"""NapariUndoHistory: what napari's undo could change, and taking frames out of that.

napari keeps the history of a Labels layer in private attributes and offers no other
way. Two kinds of edits ("atoms") are in it: painted boxes, since napari 0.8, and lists
of pixels. Several atoms make an item, which one Ctrl+Z undoes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Iterator

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.frame_axes import FrameAxes

    Atom = tuple[Any, ...]
    Item = list[Atom]
    Touched = frozenset[int] | None  # frames; None if they cannot be told

DIRECTIONS = ("_undo_history", "_redo_history")


class NapariUndoHistory:
    """Follows the undo history of a Labels layer, which items of it touch which frames.

    Parameters
    ----------
    layer : Labels
        The layer.
    axes : FrameAxes
        Where the frames lie in its data.

    Attributes
    ----------
    replayed : frozenset of int
        The frames of what was undone or redone, when `changed_frames` was called last.
    """

    def __init__(self, layer: Labels, axes: FrameAxes) -> None:
        self._layer = layer
        self._axes = axes
        # By id, as items hold arrays and cannot be compared. They are kept with it, so
        # that no other item gets the same id.
        self._known: dict[int, tuple[Item, Touched]] = {}
        self._stroke: Item = []
        self._num_seen = 0
        self.replayed: frozenset[int] = frozenset()
        self.changed_frames()

    def changed_frames(self) -> Touched:
        """Return the frames of items that came, went, or moved since the last call.

        So an undo or redo is noticed that napari tells nobody of, as on a hidden layer.
        """
        items = [item for history in self._histories for item in history]
        known = self._known
        self._known = {
            id(item): known.get(id(item)) or (item, frames_of(item, self._axes))
            for item in items
        }
        moved = [
            known.get(key) or self._known[key] for key in known.keys() ^ self._known
        ]
        # Undo and redo make a new item of the edits of the old one.
        went = {
            id(atom) for key in known.keys() - self._known for atom in known[key][0]
        }
        self.replayed = frozenset()
        frames: frozenset[int] = frozenset()
        for item, touched in moved:
            if touched is None:
                return None
            frames |= touched
            if id(item) in self._known and any(id(atom) in went for atom in item):
                self.replayed |= touched
        return frames

    def stroke_frames(self) -> Touched:
        """Return the frames that a stroke has touched since the last call.

        napari puts a stroke into the history when it ends.
        """
        atoms: Item = self._layer._staged_history
        if atoms is not self._stroke:
            self._stroke, self._num_seen = atoms, 0
        start, self._num_seen = self._num_seen, len(atoms)
        return frames_of(atoms[start:], self._axes)

    @property
    def is_stroke(self) -> bool:
        """Whether a stroke is being painted."""
        return bool(self._layer._staged_history)

    def forget(self, frame: int) -> bool:
        """Take a frame out of the history, which keeps all its other pixels.

        Where that cannot be done, the whole history is dropped.

        Returns
        -------
        bool
            Whether something that could be undone or redone no longer can.
        """
        self.changed_frames()
        if any(touched is None for _, touched in self._known.values()):
            return self.drop()
        is_changed = self._forget_staged(frame)
        for history in self._histories:
            kept = [self._without(item, frame) for item in history]
            if any(new is not old for new, old in zip(kept, history, strict=True)):
                history.clear()
                history.extend(item for item in kept if item)
                is_changed = True
        self.changed_frames()
        return is_changed

    def _forget_staged(self, frame: int) -> bool:
        """Take a frame out of the stroke that is being painted, if it is in it."""
        staged: Item = self._layer._staged_history
        touched = frames_of(staged, self._axes)
        if touched is not None and frame not in touched:
            return False
        kept = _atoms_without(staged, self._axes, frame) if touched is not None else ()
        staged[:] = list(kept)
        self._num_seen = 0
        return True

    def drop(self) -> bool:
        """Drop all of the history; return whether there was anything."""
        histories = [*self._histories, self._layer._staged_history]
        had_items = any(histories)
        for history in histories:
            history.clear()
        self.changed_frames()
        return had_items

    def _without(self, item: Item, frame: int) -> Item:
        touched = self._known[id(item)][1]
        if touched is None or frame not in touched:
            return item
        return list(_atoms_without(item, self._axes, frame))

    @property
    def _histories(self) -> list[deque[Item]]:
        return [getattr(self._layer, name) for name in DIRECTIONS]


def frames_of(item: Item, axes: FrameAxes) -> Touched:
    """Return the frames that an item touches; None if they cannot be told."""
    frames: frozenset[int] = frozenset()
    for atom in item:
        touched = _atom_frames(atom, axes)
        if touched is None:
            return None
        frames |= touched
    return frames


def _atom_frames(atom: Atom, axes: FrameAxes) -> Touched:
    if _is_box(atom):
        return axes.frames_in(atom[0])
    pixels = _pixels(atom, axes)
    if pixels is None:
        return None
    return axes.frames_at(pixels)


def _is_box(atom: Atom) -> bool:
    return len(atom) == 4 and all(isinstance(side, slice) for side in atom[0])


def _pixels(atom: Atom, axes: FrameAxes) -> list[NDArray[Any]] | None:
    """Return the coordinates of a list of pixels, an array per axis; None if unknown.

    Those from the end are counted from the start.
    """
    ndim = len(axes.shape)
    if len(atom) != 3 or not isinstance(atom[0], tuple) or len(atom[0]) != ndim:
        return None
    try:
        pixels = np.broadcast_arrays(*(np.asarray(each) for each in atom[0]))
    except ValueError:
        return None
    if any(each.dtype.kind not in "iu" for each in pixels):
        return None
    return [each % length for each, length in zip(pixels, axes.shape, strict=True)]


def _atoms_without(item: Item, axes: FrameAxes, frame: int) -> Iterator[Atom]:
    """Yield the atoms of an item without their pixels on a frame."""
    for atom in item:
        if frame not in (_atom_frames(atom, axes) or ()):
            yield atom
        elif _is_box(atom):
            yield from _box_without(atom, axes, frame)
        else:
            yield from _pixels_without(atom, axes, frame)


def _box_without(atom: Atom, axes: FrameAxes, frame: int) -> Iterator[Atom]:
    """Yield a painted box whose mask leaves out a frame, if anything is left."""
    box, mask, old, new = atom
    kept = np.ones(old.shape, bool) if mask is None else mask.copy()
    starts = [n.indices(length)[0] for n, length in zip(box, axes.shape, strict=True)]
    kept[
        tuple(
            at if isinstance(at, slice) else at - start
            for at, start in zip(axes.index(frame), starts, strict=True)
        )
    ] = False
    if kept.any():
        values = old if mask is None else _spread(old, mask)
        yield atom._make((box, kept, values[kept], new))  # type: ignore[attr-defined]


def _spread(values: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[Any]:
    """Return values (N,) at the N places of a mask."""
    spread = np.zeros(mask.shape, values.dtype)
    spread[mask] = values
    return spread


def _pixels_without(atom: Atom, axes: FrameAxes, frame: int) -> Iterator[Atom]:
    """Yield a list of pixels without those on a frame, if anything is left."""
    indices, old, new = atom
    pixels = _pixels(atom, axes)
    assert pixels is not None
    is_there = np.ones(pixels[0].shape, bool)
    for at, index in enumerate(axes.index(frame)):
        if not isinstance(index, slice):
            is_there &= pixels[at] == index
    kept = ~is_there
    if kept.any():
        places = tuple(np.broadcast_to(each, kept.shape)[kept] for each in indices)
        values = np.broadcast_to(new, kept.shape)[kept] if np.ndim(new) else new
        yield (places, np.broadcast_to(old, kept.shape)[kept], values)
