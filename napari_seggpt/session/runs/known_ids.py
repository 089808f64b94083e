"""KnownIds: what a run that links objects needs to know of the labels there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

    def next_id(self) -> int:
        """Return an id above all that there are; reads frames that nobody has read."""
        ids, largest = self._frames.writer.ids, 0
        for frame in range(len(self._frames)):
            if frame not in ids:
                labels = self.read(frame)
                if labels is not None and labels.size:
                    largest = max(largest, int(labels.max()))
        return max(largest, ids.largest) + 1

    def __len__(self) -> int:
        return len(self._frames)
