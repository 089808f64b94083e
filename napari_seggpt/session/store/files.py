"""The files of a session: how each is read and written; see `folder` for the format."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_seggpt.files import array_digest
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.frames.status import UNKNOWN
from napari_seggpt.session.references.reference import Reference
from napari_seggpt.session.store.stored_frames import (
    StoredFrame,
    damaged,
    fitting,
    record_from_json,
    record_to_json,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_seggpt.session.frames.status import FrameRecord

FORMAT, VERSION = "napari-seggpt session", 1
STATE_FILE, FRAMES_FOLDER, JOURNAL_FILE = "session.json", "frames", "frames.jsonl"
EXAMPLES_FOLDER, TUNED_FOLDER = "examples", "tuned"

# The errors that reading a damaged file may raise.
DAMAGED_FILE_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile,
    tifffile.TiffFileError,
)  # fmt: skip


class SessionError(ValueError):
    """A session that cannot be opened or saved, and why, in one line."""


def read_state_file(path: Path) -> dict[str, Any]:
    """Return what `session.json` holds.

    Raises
    ------
    SessionError
        If there is no session, or it is of another version.
    """
    try:
        content = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SessionError(f"Expected a session in {path}, got: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SessionError(f"Expected a session of napari-seggpt in {path}, got other.")
    version = content.get("version")
    if version != VERSION:
        raise SessionError(
            f"Expected a session of version {VERSION}, got {version!r} in "
            f"{path.name}: another version of napari-seggpt wrote it."
        )
    return content


def last_change(path: Path) -> datetime:
    """Return when anything of a session was written last."""
    files = (path / STATE_FILE, path / FRAMES_FOLDER, path / JOURNAL_FILE)
    newest = max(file.stat().st_mtime for file in files if file.exists())
    return datetime.fromtimestamp(newest, UTC)


def frame_files(path: Path) -> dict[int, Path]:
    """Return the files of frames, by frame."""
    files = sorted((path / FRAMES_FOLDER).glob("*.tif"))
    return {int(file.stem): file for file in files if file.stem.isdecimal()}


def read_frame(index: int, file: Path) -> StoredFrame:
    """Read labels and record of a frame; it is protected if that fails."""
    try:
        with tifffile.TiffFile(file) as tiff:
            page = tiff.pages.first
            labels = page.asarray()
            record = record_from_json(json.loads(page.description))
    except DAMAGED_FILE_ERRORS:
        return damaged(index)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        return damaged(index)
    record = fitting(record, labels)
    return StoredFrame(index=index, records=(record,), labels=labels)


def journal_line(frame: int, record: FrameRecord, *, writing: bool = False) -> bytes:
    """Return a line of `frames.jsonl`."""
    found = {"frame": frame, "record": record_to_json(record), "writing": writing}
    return json.dumps(found).encode() + b"\n"


def read_journal(path: Path) -> dict[int, list[FrameRecord]]:
    """Return the records of each frame that its labels may have, the last at the end.

    A line that is no announcement of a write says what is there, so that nothing older
    counts any more.
    """
    known: dict[int, list[FrameRecord]] = {}
    try:
        lines = (path / JOURNAL_FILE).read_bytes().splitlines()
    except OSError:
        return known
    for line in lines:
        try:
            found = json.loads(line)
            frame, record = int(found["frame"]), record_from_json(found["record"])
            is_writing = bool(found["writing"])
        except DAMAGED_FILE_ERRORS:
            continue
        if is_writing:
            known.setdefault(frame, [UNKNOWN]).append(record)
        else:
            known[frame] = [record]
    return known


def read_example(path: Path, found: Any) -> Reference | None:
    """Read a labelled image; None if it is damaged."""
    try:
        with np.load(path / found["file"], allow_pickle=False) as arrays:
            prompt = Prompt(image=arrays["image"], labels=arrays["labels"])
        name, enabled = str(found["name"]), bool(found["enabled"])
    except DAMAGED_FILE_ERRORS:
        return None
    return Reference(name=name, enabled=enabled, prompt=prompt)


def content_name(prompt: Prompt) -> str:
    """Return a name for what an example holds."""
    return array_digest(prompt.image, prompt.labels).hex()[:16]
