"""FrameNote: what is kept of a frame while it is written in place."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    import numpy.typing as npt

LONGEST_HEADER = 1000  # bytes; a header has about a hundred
SAME_START = 1.0  # seconds by which the start of one process may seem to differ


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteHeader:
    """Which frame is written, its type in the file, and by which process.

    The start of the process, in seconds since 1970, tells it from a later one of the
    same number.
    """

    frame: int
    dtype: str
    pid: int
    started: float

    @property
    def writer_is_running(self) -> bool:
        """Whether the process that wrote the note still runs."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started) < SAME_START
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.AccessDenied:
            return True
        except (psutil.NoSuchProcess, OverflowError, ValueError):
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameNote:
    """A frame as it was before it is written, and as it is to be.

    Both are needed to tell the half of a frame that a killed program leaves from one
    that a person has repaired since.

    Attributes
    ----------
    header : NoteHeader
        Which frame it is.
    before, after : bytes
        Its pixels in the order of the file.
    """

    header: NoteHeader
    before: bytes
    after: bytes

    @classmethod
    def new(
        cls, frame: int, dtype: np.dtype[Any], *, before: bytes, after: bytes
    ) -> Self:
        """Return the note of a frame that this process is about to write."""
        process = psutil.Process()
        header = NoteHeader(
            frame=frame,
            dtype=dtype.str,
            pid=os.getpid(),
            started=process.create_time(),
        )
        return cls(header=header, before=before, after=after)

    @classmethod
    def load(cls, path: Path, num_pixels: int) -> Self | None:
        """Read a note of a frame of so many pixels, None if it is none.

        One whose writer was killed, or has not come to its end, lacks pixels.
        """
        with path.open("rb") as file:
            header = _header(file.readline(LONGEST_HEADER))
            if header is None:
                return None
            num_bytes = num_pixels * np.dtype(header.dtype).itemsize
            before, after = file.read(num_bytes), file.read(num_bytes)
        return cls(header=header, before=before, after=after)

    def save(self, path: Path) -> None:
        """Write the note."""
        with path.open("wb", buffering=0) as file:
            file.write(json.dumps(asdict(self.header)).encode() + b"\n")
            file.write(self.before)
            file.write(self.after)

    @property
    def frame_before(self) -> npt.NDArray[Any]:
        """The pixels as they were, in one row."""
        return np.frombuffer(self.before, self.header.dtype)

    def is_half_of(self, labels: npt.NDArray[Any]) -> bool:
        """Tell whether labels (H, W) are new up to some byte, and old from there on."""
        stored = labels.astype(self.header.dtype).tobytes()
        if not len(stored) == len(self.before) == len(self.after):
            return False
        found, before, after = (
            np.frombuffer(data, np.uint8) for data in (stored, self.before, self.after)
        )
        changed = np.flatnonzero(found != after)
        if not changed.size:
            return False
        return np.array_equal(found[changed[0] :], before[changed[0] :])


def _header(line: bytes) -> NoteHeader | None:
    """Return the first line of a note, None if it is none."""
    try:
        header = NoteHeader(**json.loads(line))
        is_valid = (
            type(header.frame) is type(header.pid) is int
            and type(header.started) is float
            and np.dtype(header.dtype).kind in "iu"
        )
    except (TypeError, ValueError, RecursionError):
        return None
    return header if is_valid else None
