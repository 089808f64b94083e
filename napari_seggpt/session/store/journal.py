"""Journal: the records of frames whose labels are on disk, a line each."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import msgspec

from napari_seggpt.files import write_whole
from napari_seggpt.session.frames.status import UNKNOWN
from napari_seggpt.session.store.contents import JournalLine, RecordContent

if TYPE_CHECKING:
    from pathlib import Path

    from napari_seggpt.session.frames.status import FrameRecord

MAX_LINE_BYTES = 1 << 14  # ours have some hundred
LINE_STARTS = (b'{"frame":', b'{"frame": ')  # the second is of version 0.1

_decoder = msgspec.json.Decoder(JournalLine)
_encoder = msgspec.json.Encoder()


class Journal:
    """Appends what is known of frames to a file, each line at once.

    What is there already is read first, and written anew without what counts no more,
    so that the file does not grow from one session to the next.

    Parameters
    ----------
    file : Path
        The file; made if it is not there.

    Raises
    ------
    OSError
        If it cannot be written.
    """

    def __init__(self, file: Path) -> None:
        lines = [
            _line(frame, record, writing=place > 0)
            for frame, records in read_journal(file).items()
            for place, record in enumerate(records)
        ]
        write_whole(file, b"".join(lines))
        flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(file, flags)
        self._is_cut = False

    def note(self, frame: int, record: FrameRecord, *, writing: bool = False) -> None:
        """Append the record of a frame; `writing` if its labels are yet to be written.

        Raises
        ------
        OSError
            If the line could not be written, or not whole: write it again later.
        """
        line = _line(frame, record, writing=writing)
        if self._is_cut:  # else this line would be lost with what is left of that one
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
        except OSError:
            self._is_cut = True
            raise
        self._is_cut = written < len(line)
        if self._is_cut:
            raise OSError("only a part of the journal could be written")

    @property
    def is_there(self) -> bool:
        """Whether the file has not been deleted while it was open."""
        return os.fstat(self._descriptor).st_nlink > 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _line(frame: int, record: FrameRecord, *, writing: bool) -> bytes:
    content = RecordContent.of(record)
    return (
        _encoder.encode(JournalLine(frame=frame, record=content, writing=writing))
        + b"\n"
    )


def read_journal(file: Path) -> dict[int, list[FrameRecord]]:
    """Return the records of each frame that its labels may have, the last at the end.

    A line that is no announcement of a write says what is there, so that nothing older
    counts any more. A frame of which nothing is known any more is left out, as one that
    has no line, and so are lines that are damaged.
    """
    known: dict[int, list[FrameRecord]] = {}
    with suppress(OSError):
        if file.is_file():  # reading a pipe would never end
            with file.open("rb") as lines:
                _read_lines(lines, known)
    return known


def _read_lines(lines: IO[bytes], known: dict[int, list[FrameRecord]]) -> None:
    while line := lines.readline(MAX_LINE_BYTES):
        found = _decoded(line)
        if found is None:
            continue
        frame, record, is_writing = found
        if is_writing:
            known.setdefault(frame, [UNKNOWN]).append(record)
        elif record == UNKNOWN:
            known.pop(frame, None)
        else:
            known[frame] = [record]


def _decoded(line: bytes) -> tuple[int, FrameRecord, bool] | None:
    """Return what a line says; if its start was cut short, what comes after that."""
    for start in (0, *(line.rfind(each) for each in LINE_STARTS)):
        if start >= 0:
            with suppress(ValueError, RecursionError):
                found = _decoder.decode(line[start:])
                return found.frame, found.record.record(), found.writing
    return None
