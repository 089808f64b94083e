"""KnownIds: what a run that links objects needs to know of the labels there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_seggpt.objects.new_ids import NewIds
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames

    Labels = NDArray[np.integer[Any]]


class KnownIds:
    """The labels of a session, as a worker may read them.

    Parameters
    ----------
    frames : LabelledFrames
        The frames of the session.
    """

    def __init__(self, frames: LabelledFrames) -> None:
        self._frames = frames

    def read(self, frame: int) -> Labels | None:
        """Return a copy of the labels (H, W) of a frame; None if it cannot be read."""
        try:
            return self._frames.labels.read(frame)
        except (ValueError, LookupError, OSError):
            return None

    def vouched(self, frame: int) -> Labels | None:
        """Return the labels of a frame that a person vouches for, else None."""
        if not self._frames.records[frame].is_protected:
            return None
        return self.read(frame)

    def new_ids(self, kinds: Collection[int] = ()) -> NewIds:
        """Return what gives ids that no frame has.

        Frames that nobody has read are read now; with classes, all are.
        """
        from napari_seggpt.objects.new_ids import NewIds

        ids = self._frames.writer.ids
        new_ids = NewIds(ids.largest + 1, kinds=kinds)
        for frame in range(len(self)):
            if frame in ids and not kinds:
                continue
            labels = self.read(frame)
            if labels is not None and labels.size:
                new_ids.note(np.unique(labels).tolist())
        return new_ids

    def __len__(self) -> int:
        return len(self._frames)
