"""KnownIds: what a run that links objects needs to know of the labels there are."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from numpy.typing import NDArray

    from napari_seggpt.objects.new_ids import NewIds
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames
    from napari_seggpt.session.runs.region import Region

    Labels = NDArray[np.integer[Any]]


class KnownIds:
    """The labels of a session, as a worker may read them.

    Parameters
    ----------
    frames : LabelledFrames
        The frames of the session.
    region : Region, optional
        Only its box (h, w) is read of frames, if there is one.
    """

    def __init__(self, frames: LabelledFrames, region: Region | None = None) -> None:
        self._frames = frames
        self._box = (slice(None), slice(None)) if region is None else region.box

    def read_whole(self, frame: int) -> Labels:
        """Return a copy of all labels (H, W) of a frame.

        Raises
        ------
        StackError
            If they cannot be read.
        """
        return self._frames.labels.read(frame)

    def read(self, frame: int) -> Labels | None:
        """Return a copy of the labels (h, w) of a frame; None if it cannot be read."""
        labels = self._try_whole(frame)
        return None if labels is None else labels[self._box].copy()

    def _try_whole(self, frame: int) -> Labels | None:
        try:
            return self.read_whole(frame)
        except (ValueError, LookupError, OSError):
            return None

    def vouched(self, frame: int) -> Labels | None:
        """Return the labels of a frame that a person vouches for, else None."""
        if not self._frames.records[frame].is_protected:
            return None
        return self.read(frame)

    @property
    def locked(self) -> frozenset[int]:
        """The labels that are locked: no other object can have their ids."""
        return self._frames.locks.labels

    def kinds(self, frames: Iterable[int]) -> frozenset[int]:
        """Return the classes that ids of some frames tell; none if they tell none."""
        from napari_seggpt.objects.class_ids import told_classes

        found = (self.read(frame) for frame in frames)
        ids = (np.unique(labels).tolist() for labels in found if labels is not None)
        return told_classes(chain.from_iterable(ids))

    def new_ids(self, kinds: Collection[int] = ()) -> NewIds:
        """Return what gives ids that no frame has, and that are not locked.

        Frames that nobody has read are read now.
        """
        from napari_seggpt.objects.class_ids import largest_ids
        from napari_seggpt.objects.new_ids import NewIds

        ids = self._frames.writer.ids
        new_ids = NewIds(ids.largest + 1, kinds=kinds, taken=ids.largest_of_classes)
        new_ids.note(self.locked)
        for frame in range(len(self)):
            if frame in ids:
                continue
            labels = self._try_whole(frame)
            if labels is not None and labels.size:
                new_ids.note(largest_ids(labels))
        return new_ids

    def __len__(self) -> int:
        return len(self._frames)
