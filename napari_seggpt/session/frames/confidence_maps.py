"""ConfidenceMaps: how sure a run was of each place of the frames that it wrote."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari_seggpt.session.frames.array_file import ArrayFile, StoredArray, pack

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum

logger = logging.getLogger(__name__)


class ConfidenceMaps:
    """One map for each frame, of what was predicted for it last.

    They are kept in a temporary file. No work of a person is in them: if the disk is
    full, maps are missing and nothing else.
    """

    def __init__(self) -> None:
        self._file = ArrayFile("maps")
        self._frames: dict[int, tuple[frozenset[Checksum], StoredArray]] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: int, written: Checksum, values: NDArray[np.uint8]) -> None:
        """Keep a map (h, w), with the checksum of the labels that it belongs to."""
        _, old = self._frames.pop(frame, (None, None))
        try:
            stored = self._file.write(pack(values), instead=old)
            self._frames[frame] = (frozenset([written]), stored)
        except OSError as error:
            logger.warning("The confidence of frame %d is not kept: %s", frame, error)

    def share(self, frame: int, known: Checksum, written: Checksum) -> None:
        """Have a map belong to other labels, too: those whose ids alone differ."""
        marks, stored = self._frames.get(frame, (frozenset(), None))
        if stored is not None and known in marks:
            self._frames[frame] = (marks | {written}, stored)

    def has(self, frame: int, written: Checksum) -> bool:
        """Return whether there is a map that belongs to the labels with a checksum."""
        return written in self._frames.get(frame, (frozenset(), None))[0]

    def get(self, frame: int, written: Checksum) -> NDArray[Any] | None:
        """Return the map of a frame, if it belongs to the labels with a checksum."""
        marks, stored = self._frames.get(frame, (frozenset(), None))
        if stored is None or written not in marks:
            return None
        return self._file.read(stored)

    def close(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self._file.close()
