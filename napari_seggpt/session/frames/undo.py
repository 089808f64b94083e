"""What runs have replaced, compressed in temporary files, so that it can come back."""

from __future__ import annotations

import os
import tempfile
import zlib
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.session.frames.frame_labels import compact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum
    from napari_seggpt.session.frames.status import FrameRecord

UNDO_RUNS = 10
ZLIB_LEVEL = 1  # of zlib: labels are smooth, so that the fastest is small enough


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedFrame:
    """What a run has replaced in a frame.

    Attributes
    ----------
    record : FrameRecord
        What was known of the frame.
    written : bytes
        Checksum of what the run wrote instead.
    shape, dtype
        Of the labels that were there.
    start, size : int
        Where they are in the file; nothing is stored of a frame without labels.
    """

    record: FrameRecord
    written: Checksum
    shape: tuple[int, ...]
    dtype: str
    start: int = 0
    size: int = 0


class UndoStep:
    """What one run has replaced."""

    def __init__(self) -> None:
        self._frames: dict[int, ReplacedFrame] = {}
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, frame: int) -> ReplacedFrame:
        return self._frames[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._frames

    @property
    def last(self) -> int | None:
        """The frame that was written last, of those remembered."""
        return next(reversed(self._frames), None)

    @contextmanager
    def saving(
        self,
        frame: int,
        labels: NDArray[np.integer[Any]],
        record: FrameRecord,
        written: Checksum,
    ) -> Iterator[None]:
        """Remember a frame while a run writes it; forget it if that fails.

        If a run writes a frame twice, what was there first is what is remembered.

        Raises
        ------
        OSError
            If it cannot be stored; nothing is written then.
        """
        known = self._frames.get(frame)
        if known is None:
            self._frames[frame] = self._save(labels, record, written)
        else:
            self._frames[frame] = replace(known, written=written)
        try:
            yield
        except BaseException:
            if known is None:
                del self._frames[frame]
            else:
                self._frames[frame] = known
            raise

    def _save(
        self, labels: NDArray[np.integer[Any]], record: FrameRecord, written: Checksum
    ) -> ReplacedFrame:
        small = compact(labels)
        start, size = self._store(small) if small.any() else (0, 0)
        return ReplacedFrame(
            record=record,
            written=written,
            shape=small.shape,
            dtype=small.dtype.str,
            start=start,
            size=size,
        )

    def _store(self, labels: NDArray[np.integer[Any]]) -> tuple[int, int]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 (see `close`)
                prefix="napari-seggpt-undo-"
            )
        data = zlib.compress(labels.data, ZLIB_LEVEL)
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(data)
        self._file.flush()  # a full disk is noticed now
        return start, len(data)

    def load(self, frame: int) -> NDArray[np.integer[Any]]:
        """Return the labels that were there before the run."""
        kept = self._frames[frame]
        if not kept.size:
            return np.zeros(kept.shape, kept.dtype)
        assert self._file is not None
        self._file.seek(kept.start)
        data = zlib.decompress(self._file.read(kept.size))
        return np.frombuffer(data, kept.dtype).reshape(kept.shape)

    def forget(self, frame: int) -> None:
        """Drop what is remembered of a frame."""
        del self._frames[frame]

    def close(self) -> None:
        """Drop everything."""
        self._frames.clear()
        if self._file is not None:
            self._file.close()
            self._file = None


class UndoHistory:
    """The steps of the last runs."""

    def __init__(self, size: int = UNDO_RUNS) -> None:
        self._steps: deque[UndoStep] = deque()
        self._size = size

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last(self) -> UndoStep | None:
        """The step of the last run, if there is one."""
        return self._steps[-1] if self._steps else None

    def add(self, step: UndoStep) -> None:
        """Add the step of a run, unless it replaced nothing; the oldest may go."""
        if not len(step):
            step.close()
            return
        self._steps.append(step)
        while len(self._steps) > self._size:
            self._steps.popleft().close()

    def remove(self, step: UndoStep) -> None:
        """Drop a step."""
        if step in self._steps:
            self._steps.remove(step)
        step.close()

    def close(self) -> None:
        """Drop all steps."""
        while self._steps:
            self._steps.pop().close()
