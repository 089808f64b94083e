"""SessionLabels: the labels of a saved session, read frame by frame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.io.stacks import checked_steps
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.store.files import STATE_FILE, frame_files, read_frame
from napari_seggpt.session.store.folder import SessionError, StoredSession

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.stored_frames import StoredFrame


class SessionLabels:
    """The labels of a saved session; frames are read when asked for.

    Parameters
    ----------
    path : Path
        The folder of the session.

    Attributes
    ----------
    frame_shape : tuple of int
        Height and width.
    axis : str
        "z" or "t".
    pixel_size, units : tuple
        Of frames, rows and columns.
    classes : dict of int to str
        Names of labels.

    Raises
    ------
    SessionError
        If there is no session, or its labels are gone.
    """

    def __init__(self, path: Path) -> None:
        stored = self.stored = StoredSession.read(path)
        about = stored.about
        self._files = frame_files(path) if stored.labels_path is None else {}
        self._records: dict[int, tuple[FrameRecord, ...]] = {}
        self._array: Any = None
        if stored.labels_path is not None:
            self._array = _open_array(locate(stored.labels_path, path))
            self._records = {frame.index: frame.records for frame in stored.frames()}
        self._place = _place(about, getattr(self._array, "ndim", 3))
        self.axis = "t" if about.get("axis") == "t" else "z"
        self.pixel_size, self.units = checked_steps(
            about.get("pixel_size"), about.get("units")
        )
        classes = about.get("classes") or {}
        self.classes = {int(label): str(name) for label, name in classes.items()}
        self.frame_shape: tuple[int, int] = self._find_shape()

    def _find_shape(self) -> tuple[int, int]:
        if self._array is not None:
            height, width = self[0].shape
            return height, width
        for index in self._files:
            labels = self.frame(index).labels
            if labels is not None:
                return labels.shape[0], labels.shape[1]
        height, width = self.stored.signature.frame_shape[:2]
        return height, width

    def __len__(self) -> int:
        return self.stored.signature.length

    def __getitem__(self, index: int) -> NDArray[np.integer[Any]]:
        """Read the labels of a frame; one that cannot be read is empty."""
        if self._array is not None:
            place = tuple(index if at == "frame" else at for at in self._place)
            return np.asarray(self._array[place])
        labels = self.frame(index).labels if index in self._files else None
        return np.zeros(self.frame_shape, np.uint8) if labels is None else labels

    def frame(self, index: int) -> StoredFrame:
        """Read all that is stored of a frame that has a file."""
        return read_frame(index, self._files[index])

    def references(self) -> list[int]:
        """Return the frames that were used as references."""
        records = ((index, self._record(index)) for index in range(len(self)))
        return [index for index, record in records if record and record.is_used]

    def facts(self, index: int) -> dict[str, Any]:
        """Return status and confidence of a frame, as in the dock but for "stale"."""
        record = self._record(index)
        if record is None:
            return {"status": "empty", "confidence": ""}
        status = record.status(record.key or b"").value
        confidence = record.confidence
        return {
            "status": status,
            "confidence": "" if confidence is None else round(confidence, 4),
        }

    def _record(self, index: int) -> FrameRecord | None:
        if self._array is None:
            return self.frame(index).records[-1] if index in self._files else None
        records = self._records.get(index)
        if not records:
            return None
        mark = checksum(self[index])
        known = [record for record in records if record.checksum == mark]
        return (known or records)[-1]


def is_session(path: Path) -> bool:
    """Return whether there is a saved session at a path."""
    return (path / STATE_FILE).is_file()


def locate(kept: str, session: Path) -> Path:
    """Return where labels on disk are now: where they were, or moved with the session.

    Parameters
    ----------
    kept : str
        Where they were.
    session : Path
        The folder of the session.
    """
    path = Path(kept)
    moved = session.parent / path.parent.name / path.name
    return moved if not path.exists() and moved.exists() else path


def _open_array(path: Path) -> Any:
    import zarr

    try:
        return zarr.open_array(str(path), mode="r")
    except (OSError, KeyError, ValueError) as error:
        raise SessionError(
            f"Expected the labels of the session in {path}, got: {error}"
        ) from error


def _place(about: dict[str, Any], ndim: int) -> list[Any]:
    """Return where a frame lies in the array of labels, "frame" for its number."""
    axes = about.get("labels_axes") or {"axis": 0, "fixed": []}
    fixed = {int(at): int(index) for at, index in axes["fixed"]}
    return [
        "frame" if at == axes["axis"] else fixed.get(at, slice(None))
        for at in range(ndim)
    ]
