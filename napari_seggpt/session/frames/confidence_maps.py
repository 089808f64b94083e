"""ConfidenceMaps: how sure a run was of each place of the frames that it wrote."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari_seggpt.session.frames.array_file import ArrayFile, StoredArray, pack
from napari_seggpt.session.frames.undo import UNDO_RUNS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum

    _Map = tuple[frozenset[Checksum], StoredArray]  # whose labels, and where it is

logger = logging.getLogger(__name__)

MAPS_OF_A_FRAME = UNDO_RUNS + 1  # the last one, and those that undo brings back


class ConfidenceMaps:
    """The maps of each frame, of what the last runs have predicted for it.

    A map is found by the labels that it belongs to, so that undo and redo of a run
    bring it back with them. They are kept in a temporary file. No work of a person is
    in them: if the disk is full, maps are missing and nothing else.
    """

    def __init__(self) -> None:
        self._file = ArrayFile("maps")
        self._frames: dict[int, list[_Map]] = {}  # of each frame the oldest first

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: int, written: Checksum, values: NDArray[np.uint8]) -> None:
        """Keep a map (h, w), with the checksum of the labels that it belongs to."""
        kept = [
            (marks, stored)
            for old_marks, stored in self._frames.pop(frame, [])
            if (marks := old_marks - {written})
        ]
        oldest = kept.pop(0)[1] if len(kept) == MAPS_OF_A_FRAME else None
        try:
            stored = self._file.write(pack(values), instead=oldest)
            kept.append((frozenset([written]), stored))
        except OSError as error:
            logger.warning("The confidence of frame %d is not kept: %s", frame, error)
        if kept:
            self._frames[frame] = kept

    def share(self, frame: int, known: Checksum, written: Checksum) -> None:
        """Have a map belong to other labels, too: those whose ids alone differ."""
        maps = self._frames.get(frame, [])
        for at, (marks, stored) in enumerate(maps):
            if known in marks:
                maps[at] = (marks | {written}, stored)

    def has(self, frame: int, written: Checksum) -> bool:
        """Return whether there is a map that belongs to the labels with a checksum."""
        return self._find(frame, written) is not None

    def get(self, frame: int, written: Checksum) -> NDArray[Any] | None:
        """Return the map of a frame, if it belongs to the labels with a checksum."""
        stored = self._find(frame, written)
        return None if stored is None else self._file.read(stored)

    def _find(self, frame: int, written: Checksum) -> StoredArray | None:
        maps = reversed(self._frames.get(frame, []))
        return next((stored for marks, stored in maps if written in marks), None)

    def close(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self._file.close()
