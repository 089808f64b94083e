"""SessionStore: a session as a folder that survives a killed program.

The folder lies beside the image and is called as it is, with ``.seggpt`` at the end
(``.2.seggpt`` and so on for further sessions), or in the user's data folder where there
is no file or nothing can be written beside it: see `places`. Format, version 1:

``session.json``
    JSON object with

    - ``format``: "napari-seggpt session", and ``version``: 1. Readers refuse versions
      that they do not know.
    - ``saved``: when the file was written, in ISO 8601; ``package``: by which version.
    - ``image``: the signature: ``place`` (which axes frames lie along), ``length``,
      ``frame_shape``, ``dtype``, and ``hashes``: [frame, BLAKE2b-96 of its pixels in C
      order] of five frames, evenly spread. Another image is refused.
    - ``labels``: null if labels are in the folder, else the path of the zarr that they
      are in.
    - ``settings``: of `settings.SessionSettings`; unknown entries are ignored.
    - ``stacks``: how often other channels or another level were chosen, from 1.
    - ``locked``: label ids that no run changes.
    - ``examples``: labelled images from elsewhere: ``name``, ``enabled``, ``file``.
    - ``tuned``: file of the tuned prompt that is used, or null.
    - ``about``: what the window knows: ``name`` of the image, ``classes`` (label id to
      name), ``axis``, ``pixel_size`` and ``units`` of frames, rows and columns,
      ``channels``, ``level``, and ``labels_axes``: the
      ``axis`` of frames in the array of labels, and the ``fixed`` [axis, index].

``frames/000123.tif``
    Labels of frame 123, counted from 0, in the smallest integer type, deflated. The
    image description is the frame's record as JSON: ``checksum`` of the labels (SHA-256
    in hexadecimal, of ``"{dtype} {shape}"`` and the pixels; "" without labels),
    ``predicted`` (that of what the last run wrote, or null), ``key`` (what it was
    predicted with), ``confidence``, and the flags ``is_approved``, ``is_corrected``,
    ``is_reference``, ``is_asked``, ``is_enabled``. Any of the first three flags
    protects the frame. A frame without a file is empty.

``frames.jsonl``
    Only where labels are in a zarr: records, each a line with ``frame``, ``record`` and
    ``writing``. The line is written before a run writes a frame (``writing`` is true)
    and after anything that changed it. The last line whose checksum the labels have is
    what counts; if there is none the frame is protected.

``examples/HASH.npz``
    ``image`` and ``labels``.

``tuned/HASH.safetensors``
    A tuned prompt, see `prompts.TunedPrompt`.

``lock``
    Locked by the program that writes; the lock ends with the program.

Each file but ``frames.jsonl`` is written under another name, and then renamed: it is
there as it was or as it is to be. A line that was cut short is ignored. A frame that
cannot be read is protected.
"""

from __future__ import annotations

import io
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_seggpt.files import PART_PATTERN, write_whole
from napari_seggpt.prompts import PromptFileError, TunedPrompt
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.frames.status import UNKNOWN
from napari_seggpt.session.store.files import (
    DAMAGED_FILE_ERRORS,
    EXAMPLES_FOLDER,
    FORMAT,
    FRAMES_FOLDER,
    JOURNAL_FILE,
    STATE_FILE,
    TUNED_FOLDER,
    VERSION,
    SessionError,
    content_name,
    frame_files,
    journal_line,
    last_change,
    read_example,
    read_frame,
    read_journal,
    read_state_file,
)
from napari_seggpt.session.store.places import FolderLock
from napari_seggpt.session.store.settings import restored
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.stored_frames import StoredFrame, record_to_json
from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.references.reference import Reference


__all__ = ["SessionError", "SessionStore", "StoredSession"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredSession:
    """A session as it was saved, to be read; nothing is changed by that.

    Attributes
    ----------
    path : Path
        The folder.
    signature : ImageSignature
        Of the image.
    labels_path : str or None
        The zarr that labels are in; None if they are in the folder.
    saved : datetime
        When it was saved last.
    about : dict
        What the window knows; see the module.
    """

    path: Path
    signature: ImageSignature
    labels_path: str | None
    saved: datetime
    about: dict[str, Any]
    _content: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what a session is about.

        Raises
        ------
        SessionError
            If there is no session at `path`, or it is of another version.
        """
        content = read_state_file(path)
        try:
            labels, about = content["labels"], content["about"]
            return cls(
                path=path,
                signature=ImageSignature.from_json(content["image"]),
                labels_path=None if labels is None else str(labels),
                saved=last_change(path),
                about=dict(about),
                _content=content,
            )
        except DAMAGED_FILE_ERRORS as error:
            raise SessionError(
                f"Expected a session in {path}, but {STATE_FILE} lacks something: "
                f"{error}"
            ) from error

    @property
    def num_frames(self) -> int:
        """How many frames something is stored of."""
        if self.labels_path is None:
            return len(frame_files(self.path))
        return len(read_journal(self.path))

    @property
    def state(self) -> SessionState:
        """What was known beside the frames; examples that are damaged are left out."""
        content = self._content
        settings = content.get("settings")
        examples = (read_example(self.path, x) for x in content.get("examples", []))
        return SessionState(
            settings=restored(
                SessionSettings(), settings if isinstance(settings, dict) else {}
            ),
            stacks=int(content.get("stacks", 1)),
            locked=tuple(int(label) for label in content.get("locked", [])),
            examples=tuple(x for x in examples if x is not None),
            tuned=self._tuned,
        )

    @property
    def tuned_file(self) -> Path | None:
        """The file of the tuned prompt that was used."""
        name = self._content.get("tuned")
        return self.path / name if isinstance(name, str) else None

    @property
    def _tuned(self) -> TunedPrompt | None:
        if self.tuned_file is None:
            return None
        try:
            return TunedPrompt.load(self.tuned_file)
        except PromptFileError:
            return None

    def frames(self) -> Iterator[StoredFrame]:
        """Read one frame after the other, in a worker."""
        if self.labels_path is not None:
            for index, records in read_journal(self.path).items():
                if 0 <= index < self.signature.length:
                    yield StoredFrame(index=index, records=tuple(records))
            return
        for index, file in frame_files(self.path).items():
            if 0 <= index < self.signature.length:
                yield read_frame(index, file)


class SessionStore:
    """Writes a session; on one thread at a time, but for `note`.

    Parameters
    ----------
    path : Path
        The folder; made if it is not there.
    signature : ImageSignature
        Of the image.
    labels_path : str or None
        The zarr that labels are in; None if they are to be stored.

    Raises
    ------
    SessionError
        If another program is writing it, or it cannot be written.
    """

    def __init__(
        self, path: Path, signature: ImageSignature, labels_path: str | None = None
    ) -> None:
        self.path = path
        self.labels_path = labels_path
        self._signature = signature
        lock = None
        try:
            (path / FRAMES_FOLDER).mkdir(parents=True, exist_ok=True)
            lock = FolderLock(path)
            self._remove_parts()
            self._journal = self._open_journal()
        except OSError as error:
            if lock is not None:
                lock.release()
            raise SessionError(
                f"Expected to save the session in {path}, got: {error}"
            ) from error
        self._lock = lock

    def _remove_parts(self) -> None:
        """Remove what a killed program was writing."""
        for folder in (
            self.path,
            *(self.path / x for x in (FRAMES_FOLDER, EXAMPLES_FOLDER, TUNED_FOLDER)),
        ):
            for part in folder.glob(PART_PATTERN):
                part.unlink(missing_ok=True)

    def _open_journal(self) -> int | None:
        """Open the journal for new lines, leaving only those that still count."""
        if self.labels_path is None:
            return None
        file = self.path / JOURNAL_FILE
        known = read_journal(self.path) if file.exists() else {}
        lines = [
            journal_line(frame, record, writing=place > 0)
            for frame, records in known.items()
            for place, record in enumerate(records)
        ]
        write_whole(file, b"".join(lines))
        return os.open(file, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))

    def move_labels(self, labels_path: str | None) -> None:
        """Go on with labels that are elsewhere; told by the next `write_state`."""
        self.labels_path = labels_path
        if self._journal is None:
            self._journal = self._open_journal()

    def close(self) -> None:
        """Let another program write it."""
        if self._journal is not None:
            os.close(self._journal)
            self._journal = None
        self._lock.release()

    def write_frame(
        self, frame: int, labels: NDArray[np.integer[Any]], record: FrameRecord
    ) -> None:
        """Store labels and record of a frame, as one file."""
        file = self.path / FRAMES_FOLDER / f"{frame:06}.tif"
        if record == UNKNOWN and not labels.any():
            file.unlink(missing_ok=True)
            return
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer,
            compact(labels),
            compression="zlib",
            compressionargs={"level": 1},
            photometric="minisblack",
            description=json.dumps(record_to_json(record)),
            metadata=None,
            software="napari-seggpt",
        )
        write_whole(file, buffer.getvalue())

    def set_aside(self, frame: int) -> None:
        """Keep the file of a frame, which cannot be read, under another name."""
        file = self.path / FRAMES_FOLDER / f"{frame:06}.tif"
        with suppress(OSError):
            file.replace(file.with_suffix(".damaged"))

    def note(self, frame: int, record: FrameRecord, *, writing: bool = False) -> None:
        """Store the record of a frame whose labels are on disk, at once."""
        if self._journal is not None:
            os.write(self._journal, journal_line(frame, record, writing=writing))

    def write_state(self, state: SessionState, about: Mapping[str, Any]) -> None:
        """Store what is known beside the frames."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "saved": datetime.now(UTC).isoformat(timespec="seconds"),
            "package": metadata.version("napari-seggpt"),
            "image": self._signature.to_json(),
            "labels": self.labels_path,
            "settings": asdict(state.settings),
            "stacks": state.stacks,
            "locked": list(state.locked),
            "examples": [self._write_example(example) for example in state.examples],
            "tuned": self._write_tuned(state.tuned),
            "about": dict(about),
        }
        text = json.dumps(content, indent=1)
        write_whole(self.path / STATE_FILE, text.encode())

    def _write_tuned(self, tuned: TunedPrompt | None) -> str | None:
        """Store a tuned prompt, unless it is there already."""
        if tuned is None:
            return None
        name = f"{TUNED_FOLDER}/{tuned.digest.hex()[:24]}.safetensors"
        file = self.path / name
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            tuned.save(file)
        return name

    def _write_example(self, example: Reference) -> dict[str, Any]:
        """Store a labelled image, unless it is there already."""
        assert example.prompt is not None
        prompt = example.prompt
        name = f"{EXAMPLES_FOLDER}/{content_name(prompt)}.npz"
        file = self.path / name
        if not file.exists():
            buffer = io.BytesIO()
            np.savez_compressed(buffer, image=prompt.image, labels=prompt.labels)
            file.parent.mkdir(exist_ok=True)
            write_whole(file, buffer.getvalue())
        return {"name": example.name, "enabled": example.enabled, "file": name}
