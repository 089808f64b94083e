"""TiffLabels: a label stack in a TIFF file, written in place frame by frame."""

from __future__ import annotations

import contextlib
import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_seggpt.io.drafts import DRAFT_END, DRAFT_START
from napari_seggpt.io.frame_note import FrameNote
from napari_seggpt.io.labels import UNKNOWN_UNITS, LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError
from napari_seggpt.io.tiff import TiffSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

# Classic TIFF counts bytes up to 4 GiB; some of them are for the pages' headers.
MAX_CLASSIC_TIFF_BYTES = 2**32 - 2**25
IMAGEJ_DTYPES = ("uint8", "uint16")
OME_BYTES = 4  # of the widest integers that OME-XML knows

_OME_UNITS = {
    "micrometer": "µm",
    "nanometer": "nm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
    "angstrom": "Å",
    "inch": "in",
    "second": "s",
    "millisecond": "ms",
    "minute": "min",
    "hour": "h",
    "frame": "reference frame",
}


class TiffLabels(LabelsWriter):
    """Labels in an uncompressed TIFF file, each frame at its place in the file."""

    def __init__(
        self,
        path: Path,
        geometry: LabelsGeometry,
        offset: int,
        stored_dtype: np.dtype[Any],
    ) -> None:
        super().__init__(path, geometry)
        self._offset = offset
        self._stored_dtype = stored_dtype
        self._lock = threading.Lock()  # seek and write belong together
        # Without a buffer, of which a part might be written when the file is closed.
        self._file = path.open("r+b", buffering=0)
        self._note = path.with_name(f"{DRAFT_START}{path.name}{DRAFT_END}")

    @staticmethod
    def check_dtype(dtype: np.dtype[Any], path: Path) -> None:
        """Refuse integers that the format cannot hold."""
        if _is_ome(path) and dtype.itemsize > OME_BYTES:
            raise StackError(
                f"Expected at most 32 bits for OME-TIFF, got {dtype}: TIFF and zarr "
                "hold wider ids."
            )

    @staticmethod
    def check_replaceable(path: Path) -> None:
        """Refuse to replace a folder."""
        if path.is_dir():
            raise StackError(f"Expected a file to replace, got the folder {path}.")

    @staticmethod
    def create(path: Path, geometry: LabelsGeometry) -> None:
        """Lay out a file of zeros, which takes no space until frames are written."""
        num_bytes = math.prod(geometry.shape) * geometry.dtype.itemsize
        bigtiff = num_bytes > MAX_CLASSIC_TIFF_BYTES
        is_ome = _is_ome(path)
        # ImageJ knows neither BigTIFF nor wider integers; tifffile's own description
        # holds the same entries.
        is_imagej = not (is_ome or bigtiff) and geometry.dtype.name in IMAGEJ_DTYPES
        metadata = _ome_metadata(geometry) if is_ome else _imagej_metadata(geometry)
        shape = geometry.shape
        if is_imagej:
            # Else tifffile takes columns of frames of width 1 for colours.
            shape, metadata["axes"] = (*shape, 1), f"{metadata['axes']}S"
        with tifffile.TiffWriter(
            path, bigtiff=bigtiff, byteorder="<", imagej=is_imagej, ome=is_ome
        ) as file:
            file.write(
                shape=shape,
                dtype=geometry.dtype,
                photometric="minisblack",
                resolution=(1 / geometry.pixel_size[2], 1 / geometry.pixel_size[1]),
                resolutionunit="NONE",
                metadata=metadata,
            )

    @classmethod
    def open(cls, path: Path, geometry: LabelsGeometry) -> TiffLabels:
        """Find the place of the frames in an existing file."""
        source = TiffSource(path, labels=True)
        source.close()
        offset, shape = source.offset, source.layout.shape
        if offset is None or math.prod(shape) != math.prod(geometry.shape):
            raise StackError(
                "Expected an uncompressed TIFF of one stack in one piece, "
                f"got {path.name} of shape {shape}."
            )
        labels = cls(path, geometry, offset, source.stored_dtype)
        labels._undo_unfinished()
        return labels

    def close(self) -> None:
        """Close the file."""
        super().close()
        with self._lock:
            self._file.close()

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        data = labels.astype(self._stored_dtype).tobytes()
        start = self._start(frame)
        with self._lock:
            before = self._get(start, len(data))
            with self._noted(frame, before, data):
                try:
                    self._put(start, data)
                except BaseException:
                    # Half a frame would be taken for a whole one. What was written
                    # can be written again even where the disk is full.
                    written = before[: self._file.tell() - start]
                    with contextlib.suppress(OSError):
                        self._put(start, written)
                    raise

    @contextlib.contextmanager
    def _noted(self, frame: int, before: bytes, after: bytes) -> Iterator[None]:
        """Keep a note of a frame while it is written.

        A program that is killed meanwhile leaves half of it, and the note.
        """
        note = FrameNote.new(frame, self._stored_dtype, before=before, after=after)
        try:
            with contextlib.suppress(OSError):
                note.save(self._note)
            yield
        finally:
            with contextlib.suppress(OSError):
                self._note.unlink()

    def _undo_unfinished(self) -> None:
        """Bring back the frame that a killed program was writing, if one was.

        It is left alone while its writer still runs, and where somebody has changed it
        since.
        """
        if not self._note.is_file():
            return
        try:
            note = FrameNote.load(self._note, math.prod(self.geometry.frame_shape))
        except FileNotFoundError:  # its writer came to the end meanwhile
            return
        if note is not None:
            if note.header.writer_is_running:
                return
            self._undo(note)
        self._note.unlink(missing_ok=True)

    def _undo(self, note: FrameNote) -> None:
        frame = note.header.frame
        if 0 <= frame < len(self) and note.is_half_of(self._read(frame)):
            before = note.frame_before.astype(self._stored_dtype)
            self._put(self._start(frame), before.tobytes())

    def _start(self, frame: int) -> int:
        """Return where in the file a frame begins."""
        num_pixels = math.prod(self.geometry.frame_shape)
        return self._offset + frame * num_pixels * self._stored_dtype.itemsize

    def _put(self, start: int, data: bytes) -> None:
        self._file.seek(start)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _get(self, start: int, num_bytes: int) -> bytes:
        self._file.seek(start)
        parts = []
        while num_bytes and (part := self._file.read(num_bytes)):
            parts.append(part)
            num_bytes -= len(part)
        return b"".join(parts)

    def _read(self, frame: int) -> npt.NDArray[Any]:
        shape = self.geometry.frame_shape
        num_bytes = math.prod(shape) * self._stored_dtype.itemsize
        with self._lock:
            data = self._get(self._start(frame), num_bytes)
        labels = np.frombuffer(data, self._stored_dtype).reshape(shape)
        return labels.astype(self.geometry.dtype)


def _is_ome(path: Path) -> bool:
    return path.stem.lower().endswith(".ome")


def _imagej_metadata(geometry: LabelsGeometry) -> dict[str, Any]:
    """Return what ImageJ keeps in the image description, and tifffile in its own."""
    steps = geometry.steps
    metadata: dict[str, Any] = {
        "axes": "".join(geometry.axes).upper(),
        "unit": _ascii(steps["y"][1]),
    }
    if "z" in steps:
        step, unit = steps["z"]
        metadata |= {"spacing": step, "zunit": _ascii(unit)}
    step, unit = steps.get("t", (1.0, "frame"))
    if step != 1 or unit not in UNKNOWN_UNITS:
        metadata |= {"finterval": step, "tunit": _ascii(unit)}
    return metadata


def _ascii(unit: str) -> str:
    """Return a unit as ImageJ writes it, which knows "micron" and no µ."""
    name = "micron" if unit == "micrometer" else unit
    return name.encode("ascii", "backslashreplace").decode()


def _ome_metadata(geometry: LabelsGeometry) -> dict[str, Any]:
    """Return the attributes of Pixels in OME-XML; unknown sizes are left out."""
    names = {"t": "TimeIncrement"} | {
        axis: f"PhysicalSize{axis.upper()}" for axis in "zyx"
    }
    metadata: dict[str, Any] = {"axes": "".join(geometry.axes).upper()}
    for axis, (size, unit) in geometry.steps.items():
        name = names[axis]
        # OME has no word for an unknown unit of time.
        if unit not in UNKNOWN_UNITS or (size != 1 and name != "TimeIncrement"):
            metadata |= {name: size, f"{name}Unit": _OME_UNITS.get(unit, unit)}
    return metadata
