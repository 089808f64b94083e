"""Where predicted frames are how sure, compressed in a temporary file."""

from __future__ import annotations

import logging
import os
import tempfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum

logger = logging.getLogger(__name__)

ZLIB_LEVEL = 1  # of zlib


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    written: Checksum  # of the labels that the map belongs to
    shape: tuple[int, ...]
    start: int
    size: int
    room: int  # bytes of the file that are the frame's


class ConfidenceMaps:
    """One map a frame, of what was predicted for it last.

    They are on disk: memory does not grow with the stack. They are no one's work, so
    that a full disk costs maps and nothing else.
    """

    def __init__(self) -> None:
        self._frames: dict[int, _Kept] = {}
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: int, written: Checksum, values: NDArray[np.uint8]) -> None:
        """Keep a map (h, w), with the checksum of the labels that it belongs to."""
        data = zlib.compress(np.ascontiguousarray(values).data, ZLIB_LEVEL)
        old = self._frames.pop(frame, None)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 (see `close`)
                    prefix="napari-seggpt-maps-"
                )
            if old is not None and len(data) <= old.room:
                start, room = self._file.seek(old.start), old.room
            else:
                start, room = self._file.seek(0, os.SEEK_END), len(data)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            logger.warning("The confidence of frame %d is not kept: %s", frame, error)
            return
        self._frames[frame] = _Kept(
            written=written,
            shape=values.shape,
            start=start,
            size=len(data),
            room=room,
        )

    def get(self, frame: int, written: Checksum) -> NDArray[np.uint8] | None:
        """Return the map of a frame, if it belongs to the labels with a checksum."""
        kept = self._frames.get(frame)
        if kept is None or kept.written != written or self._file is None:
            return None
        self._file.seek(kept.start)
        data = zlib.decompress(self._file.read(kept.size))
        return np.frombuffer(data, np.uint8).reshape(kept.shape)

    def close(self) -> None:
        """Drop everything."""
        self._frames.clear()
        if self._file is not None:
            self._file.close()
            self._file = None
