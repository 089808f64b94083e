"""ObjectIds: which label ids are taken, so that a new object gets a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_seggpt.objects.class_ids import class_of_id, largest_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from numpy.typing import NDArray


class ObjectIds:
    """The largest ids that any frame has had, of the frames that were looked at."""

    def __init__(self) -> None:
        self._largest: dict[int, int] = {}  # by class
        self._frames: set[int] = set()

    def __contains__(self, frame: object) -> bool:
        """Return whether a frame was looked at."""
        return frame in self._frames

    @property
    def largest(self) -> int:
        """The largest id; 0 if there was none."""
        return max(self.largest_of_classes, default=0)

    @property
    def largest_of_classes(self) -> tuple[int, ...]:
        """The largest id of each class; see `class_of_id`."""
        return tuple(self._largest.values())

    def note(self, frame: int, labels: NDArray[np.integer[Any]]) -> None:
        """Look at the labels (H, W) of a frame."""
        self.note_largest(frame, largest_ids(labels))

    def note_largest(self, frame: int, largest: Iterable[int]) -> None:
        """Take the `largest_ids` of a frame that somebody else looked at."""
        self._frames.add(frame)
        for i in largest:
            kind = class_of_id(i)
            self._largest[kind] = max(self._largest.get(kind, 0), i)
