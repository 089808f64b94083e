"""ObjectIds: which label ids are taken, so that a new object gets a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ObjectIds:
    """The largest id that any frame has had, of the frames that were looked at.

    Attributes
    ----------
    largest : int
        0 if there was none.
    """

    def __init__(self) -> None:
        self.largest = 0
        self._frames: set[int] = set()

    def __contains__(self, frame: object) -> bool:
        """Return whether a frame was looked at."""
        return frame in self._frames

    def note(self, frame: int, labels: NDArray[np.integer[Any]]) -> None:
        """Look at the labels (H, W) of a frame."""
        self.note_largest(frame, int(labels.max()) if labels.size else 0)

    def note_largest(self, frame: int, largest: int) -> None:
        """Take the largest id of a frame that somebody else looked at."""
        self._frames.add(frame)
        self.largest = max(self.largest, largest)
