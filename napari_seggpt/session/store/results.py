"""SessionLabels: the labels of a saved session, read frame by frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import StackError, one_line
from napari_seggpt.io.stacks import checked_steps
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.places import is_session
from napari_seggpt.session.store.stored_frames import read_frame, read_record
from napari_seggpt.session.store.stored_session import StoredSession
from napari_seggpt.untrusted import check_fits_memory

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.contents import LabelsAxes
    from napari_seggpt.session.store.stored_frames import StoredFrame

__all__ = ["SessionLabels", "is_session"]


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
    times : int or None
        Of how many times, if frames are the slices of volumes, in the order of time.
    pixel_size, units : tuple
        Of frames, rows and columns.
    time_step : None
        A session does not keep the time between volumes.
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
        self._files = stored.frame_files if stored.labels is None else {}
        self._records: dict[int, tuple[FrameRecord, ...]] = {}
        self._latest: StoredFrame | None = None
        self._array: Any = None
        if stored.labels is not None:
            self._array = _open_array(stored.labels)
            self._records = {frame.index: frame.records for frame in stored.frames()}
        self._place = _place(about.labels_axes, getattr(self._array, "ndim", 3))
        self.times = _times(about.labels_axes, len(self))
        self.axis: str = "z" if self.times else about.axis
        self.time_step: tuple[float, str] | None = None
        self.pixel_size, self.units = checked_steps(about.pixel_size, about.units)
        self.classes = about.classes
        self.frame_shape: tuple[int, int] = self._find_shape()

    def _find_shape(self) -> tuple[int, int]:
        if self._array is not None:
            return _frame_shape(self._array, self._place, len(self))
        for index in self._files:
            labels = self.frame(index).labels
            if labels is not None:
                return labels.shape[0], labels.shape[1]
        height, width = self.stored.signature.frame_shape[:2]
        check_fits_memory(height * width, "a frame of the session")
        return height, width

    def __len__(self) -> int:
        return self.stored.signature.length

    def __getitem__(self, index: int) -> NDArray[np.integer[Any]]:
        """Read the labels of a frame; a file that cannot be read is empty.

        Raises
        ------
        SessionError
            If labels in a zarr cannot be read.
        """
        if self._array is not None:
            return self._read(index)
        labels = self.frame(index).labels if index in self._files else None
        return np.zeros(self.frame_shape, np.uint8) if labels is None else labels

    def _read(self, index: int) -> NDArray[np.integer[Any]]:
        place = _place_of(index, self._array, self._place)
        try:
            return np.asarray(self._array[place])
        except DAMAGE as error:
            raise SessionError(
                f"Expected the labels of frame {index} of {self.stored.path.name} to "
                f"be readable, got: {one_line(error)}"
            ) from error

    def frame(self, index: int) -> StoredFrame:
        """Read all that is stored of a frame that has a file.

        What was read last is kept: its labels and what is known of them are asked for
        one after the other.
        """
        if self._latest is None or self._latest.index != index:
            limits = self.stored.signature.frame_shape
            self._latest = read_frame(index, self._files[index], limits)
        return self._latest

    def whole_references(self) -> list[int]:
        """Return the frames that were used as references, and not only as hints."""
        found: list[tuple[int, FrameRecord | None]]
        if self._array is None:  # the labels of all frames would take long to read
            found = [(i, read_record(i, file)) for i, file in self._files.items()]
        else:
            found = [(i, self._record(i)) for i in self._records]
        used = [(i, x) for i, x in found if i < len(self) and x and x.is_used]
        return sorted(i for i, record in used if not record.is_hint)

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
        if len(records) == 1:
            return records[0]
        mark = checksum(self[index])
        known = [record for record in records if record.checksum == mark]
        return (known or records)[-1]


def _open_array(path: Path) -> Any:
    from napari_seggpt.io.ome_zarr import open_array  # zarr takes a while to load

    try:
        return open_array(path)
    except StackError as error:
        raise SessionError(
            f"Expected the labels of the session in {path}, got: {error}"
        ) from error


def _times(axes: LabelsAxes, length: int) -> int | None:
    """Return of how many times frames are the slices; None if they are no such."""
    return axes.times if axes.times and length % axes.times == 0 else None


def _place(axes: LabelsAxes, ndim: int) -> list[Any]:
    """Return where frames lie in the array of labels.

    It is an index or a slice for each axis; "frame" for that of frames, and "outer"
    for another one that they run along too.
    """
    known: dict[int | None, Any] = {
        **dict(axes.fixed), axes.outer: "outer", axes.axis: "frame"
    }  # fmt: skip
    return [known.get(at, slice(None)) for at in range(ndim)]


def _place_of(frame: int, array: Any, place: list[Any]) -> tuple[Any, ...]:
    """Return where a frame lies in the array of labels."""
    numbers = {"frame": frame}
    if "outer" in place:
        length = array.shape[place.index("frame")]
        numbers["outer"], numbers["frame"] = divmod(frame, length)
    return tuple(numbers[at] if isinstance(at, str) else at for at in place)


def _frame_shape(array: Any, place: list[Any], length: int) -> tuple[int, int]:
    """Return height and width of the frames in an array; refuse other arrays."""
    sides = [
        n for n, at in zip(array.shape, place, strict=True) if isinstance(at, slice)
    ]
    known = list(zip(array.shape, place, strict=True))
    has_places = all(at < n for n, at in known if isinstance(at, int))
    frames = math.prod(n for n, at in known if isinstance(at, str))
    has_frames = has_places and (length <= frames or "frame" not in place)
    if len(sides) != 2 or not has_frames or array.dtype.kind not in "iu":
        raise SessionError(
            f"Expected labels of {length} frames, got an array of shape {array.shape} "
            f"and type {array.dtype}."
        )
    return sides[0], sides[1]
