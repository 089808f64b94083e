"""SessionStore: a session as a folder that survives a killed program.

The folder lies beside the image and is called as it is, with ``.seggpt`` at the end
(``.2.seggpt`` and so on for further sessions). Where there is no file, or nothing can
be written beside it, it lies in the folder ``sessions`` of the user's data folder,
called as the image, with twelve characters of its signature: see `places`. An image may
have any number of sessions; the one that was written last is the newest.

Format, version 1. Readers take what version 0.1 of napari-seggpt wrote. JSON of other
types than said here is refused where frames hang on it (``image`` and ``labels``); else
the entry is left out, so that no damage beside the frames makes these unreadable.

``session.json``
    JSON object with

    - ``format``: "napari-seggpt session", and ``version``: 1. Readers refuse versions
      that they do not know.
    - ``saved``: when the file was written, in ISO 8601; ``package``: by which version.
    - ``image``: the signature: ``place`` (which axes frames lie along), ``length`` (1
      to 1,000,000), ``frame_shape`` (two or three numbers), ``dtype``, ``hashes``:
      [frame, BLAKE2b-96 of its pixels in C order, in hexadecimal] of five frames,
      evenly spread, "" for a frame that could not be read; ``level``: the level of
      resolution that the hashed frames are of, 0 if it is not there. Of an image
      pyramid it is the coarsest level with frames of 256 pixels or more; all else is
      told of the finest. Another image is refused: if any frame differs that could be
      read both times.
    - ``labels``: null if labels are in the folder, else the path of the zarr array that
      they are in: from the folder that the session lies in if they are in that, so that
      a copy of all of it has its own labels, else the full path. Of a full path, as
      version 0.1 wrote it always, an array of that name beside the session comes first.
    - ``way_to_labels``: the path of that array from the folder that the session lies
      in, with ``..`` where it leads out of it, or null. If there is an array, it comes
      before ``labels``: whoever copies a folder above both has copied the labels.
    - ``settings``: of `settings.SessionSettings`; unknown entries are ignored.
    - ``stacks``: how often other channels or another level were chosen, from 1.
    - ``locked``: label ids that no run changes, from 1 to 2**63 - 1; others are left
      out.
    - ``examples``: labelled images from elsewhere: ``name``, ``enabled``, ``file``.
    - ``tuned``: file of the tuned prompt that is used, or null.
    - ``about``: what the window knows: ``name`` of the image, ``labels_name`` of the
      layer, ``classes`` (label id to name), ``axis`` ("z" or "t"), ``pixel_size`` and
      ``units`` of frames, rows and columns, ``channels``, ``level``, ``mixed`` (the
      names of further layers that the model was shown as channels; null if that is not
      known), and ``labels_axes``: the ``axis`` of frames in the array of labels,
      ``outer``, a second one if they lie along two, how many ``times`` there are along
      that, and the ``fixed`` [axis, index]. Frames are numbered along ``axis`` first.

``frames/000123.tif``
    Labels of frame 123, counted from 0, in the smallest integer type, deflated; not
    larger than frames of the image. The image description is the frame's record as
    JSON: ``checksum`` of the labels (SHA-256 in hexadecimal, of ``"{dtype} {shape}"``
    and the pixels; "" without labels), ``predicted`` (that of what the last run wrote,
    or null), ``key`` (what it was predicted with), ``confidence``, and the flags
    ``is_approved``, ``is_corrected``, ``is_reference``, ``is_asked``, ``is_enabled``;
    ``is_hint`` (what is unlabelled is unknown), ``is_part`` (the last run wrote a
    region of the frame only) and ``is_completed`` (it completed what a person had
    begun), which are left out if they are false. Any of the first three flags and
    ``is_completed`` protect the frame, and so do labels other than ``predicted``. A
    frame without a file is empty.

``frames/000123.damaged``, ``frames/000123.kept``
    Files of frames that could not be brought back when the session was resumed: because
    they could not be read, or because the layer had other labels; later ones of the
    same frame end in ``.2.damaged``, ``.2.kept`` and so on. They are not read.

``frames.jsonl``
    Only where labels are in a zarr: records, each a line with ``frame``, ``record`` and
    ``writing``. The line is written before a run writes a frame (``writing`` is true)
    and after anything that changed it. The last line whose checksum the labels have is
    what counts; if there is none the frame is protected. A frame whose last line says
    nothing (no checksum, run or flag) is as one without a line. Of a line that begins
    within another one, which was cut short, the second part counts. When the session is
    opened to be written, lines that count no more are dropped.

``examples/HASH.npz``
    ``image`` and ``labels``.

``tuned/HASH.safetensors``
    A tuned prompt, see `prompts.TunedPrompt`.

``lock``
    Locked by the program that writes (flock, or its like); the lock ends with the
    program. Where a file system knows no locks, the file itself is the lock, or
    ``lock.soft``, which names the program that holds it.

Each file but ``frames.jsonl`` is written under another name, and then renamed: it is
there as it was or as it is to be. A frame that cannot be read is protected.

A zarr of labels whose chunks hold several frames has a file ``.napari-seggpt.lock``
beside its chunks, which the program that works on them locks.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib import metadata
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from napari_seggpt.files import PART_PATTERN, write_whole
from napari_seggpt.session.frames.status import UNKNOWN
from napari_seggpt.session.store.errors import SessionError, SessionInUseError
from napari_seggpt.session.store.files import (
    EXAMPLES_FOLDER,
    FORMAT,
    FRAMES_FOLDER,
    JOURNAL_FILE,
    TUNED_FOLDER,
    VERSION,
    write_example,
)
from napari_seggpt.session.store.journal import Journal
from napari_seggpt.session.store.places import (
    STATE_FILE,
    FolderLock,
    LockedError,
    is_session,
    kept_path,
    way_to,
)
from napari_seggpt.session.store.stored_frames import (
    frame_bytes,
    frame_name,
)

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.contents import About
    from napari_seggpt.session.store.signature import ImageSignature
    from napari_seggpt.session.store.state import SessionState


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
    SessionInUseError
        If another window is writing it.
    SessionError
        If it cannot be written.
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
            kind = SessionInUseError if isinstance(error, LockedError) else SessionError
            raise kind(
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

    def _open_journal(self) -> Journal | None:
        if self.labels_path is None:
            return None
        return Journal(self.path / JOURNAL_FILE)

    def move_labels(self, labels_path: str | None) -> None:
        """Go on with labels that are elsewhere; told by the next `write_state`."""
        self.labels_path = labels_path
        if self._journal is None:
            self._journal = self._open_journal()

    @property
    def is_there(self) -> bool:
        """Whether nobody has removed the folder while it was written."""
        has_journal = self._journal is None or self._journal.is_there
        return has_journal and is_session(self.path)

    def close(self) -> None:
        """Let another program write it."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self._lock.release()

    def write_frame(
        self, frame: int, labels: NDArray[np.integer[Any]], record: FrameRecord
    ) -> None:
        """Store labels and record of a frame, as one file."""
        file = self._frame_file(frame)
        if record == UNKNOWN and not labels.any():
            file.unlink(missing_ok=True)
            return
        write_whole(file, frame_bytes(labels, record))

    def _frame_file(self, frame: int) -> Path:
        return self.path / FRAMES_FOLDER / frame_name(frame)

    def set_aside(self, frame: int, *, is_damaged: bool) -> None:
        """Keep the file of a frame that could not be brought back, by another name.

        What was kept before stays: it may be a person's work, too.
        """
        file = self._frame_file(frame)
        ending = "damaged" if is_damaged else "kept"
        names = (f".{ending}" if n == 1 else f".{n}.{ending}" for n in count(1))
        free = next(x for name in names if not (x := file.with_suffix(name)).exists())
        with suppress(OSError):
            file.replace(free)

    def note(self, frame: int, record: FrameRecord, *, writing: bool = False) -> None:
        """Store the record of a frame whose labels are on disk, at once.

        Raises
        ------
        OSError
            If that cannot be done, or the folder was removed.
        """
        if self._journal is None:
            return
        if not self._journal.is_there:
            raise OSError(f"{self.path.name} was removed")
        self._journal.note(frame, record, writing=writing)

    def write_state(self, state: SessionState, about: About) -> None:
        """Store what is known beside the frames."""
        labels = self.labels_path
        content = {
            "format": FORMAT,
            "version": VERSION,
            "saved": datetime.now(UTC).isoformat(timespec="seconds"),
            "package": metadata.version("napari-seggpt"),
            "image": self._signature.to_json(),
            "labels": None if labels is None else kept_path(labels, self.path),
            "way_to_labels": None if labels is None else way_to(labels, self.path),
            "settings": asdict(replace(state.settings, scheduler=None)),
            "stacks": state.stacks,
            "locked": list(state.locked),
            "examples": [write_example(self.path, each) for each in state.examples],
            "tuned": self._write_tuned(state.tuned),
            "about": about,
        }
        text = msgspec.json.encode(content, enc_hook=_plain)
        text = msgspec.json.format(text, indent=1)
        write_whole(self.path / STATE_FILE, text)

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


def _plain(number: Any) -> Any:
    """Return a number of numpy as one that JSON has."""
    return number.item()
