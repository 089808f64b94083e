"""create_labels and reopen_labels: label stacks as TIFF, OME-Zarr or PNG files."""

from __future__ import annotations

import math
import re
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr
from PIL import Image

from napari_seggpt.io.folder import TIFF_SUFFIXES, image_files
from napari_seggpt.io.labels import LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError
from napari_seggpt.io.ome_zarr import find_image, is_zarr
from napari_seggpt.io.readers import open_stack
from napari_seggpt.io.stacks import checked_steps
from napari_seggpt.io.tiff import TiffSource

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

# Classic TIFF counts bytes up to 4 GiB; some of them are for the pages' headers.
MAX_CLASSIC_TIFF_BYTES = 2**32 - 2**25
IMAGEJ_DTYPES = ("uint8", "uint16")
UNKNOWN_UNITS = ("pixel", "frame")

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
_FRAME_NAME = re.compile(r"frame_\d+\.png")


def create_labels(
    path: str | os.PathLike[str],
    *,
    length: int,
    frame_shape: tuple[int, int],
    dtype: npt.DTypeLike = np.uint16,
    pixel_size: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
    axis: str = "z",
    overwrite: bool = False,
) -> LabelsWriter:
    """Create a label stack of zeros, to be written frame by frame.

    Parameters
    ----------
    path : path-like
        Ends in .tif or .tiff for an ImageJ TIFF, in .ome.tif or .ome.tiff for an
        OME-TIFF, in .zarr for an OME-Zarr 0.5; else it is a folder of PNG files.
    length : int
        Number of frames.
    frame_shape : tuple of int
        Height and width of a frame.
    dtype : dtype
        Integer type of the labels; uint8 or uint16 for PNG.
    pixel_size, units : sequences, optional
        Distance of frames, rows and columns, and its units. PNG keeps neither.
    axis : str
        "z" or "t". PNG does not keep it.
    overwrite : bool
        Whether to replace labels that are there. Only a file, a zarr, or a folder that
        holds nothing but frames written by this function is replaced.

    Raises
    ------
    StackError
        If there is something at `path`, or such labels cannot be written there.
    """
    path = Path(path)
    height, width = frame_shape
    sizes, names = checked_steps(pixel_size, units)
    geometry = LabelsGeometry(
        length=length,
        frame_shape=(height, width),
        dtype=np.dtype(dtype),
        axis=axis,
        pixel_size=sizes,
        units=names,
    )
    suffix = path.suffix.lower()
    if suffix not in (*TIFF_SUFFIXES, ".zarr", ""):
        raise StackError(
            f"Expected a path ending in .tif or .zarr, or a folder, got {path.name}."
        )
    if not path.parent.is_dir():
        raise StackError(f"Expected a folder, got {path.parent}, which does not exist.")
    if path.exists() and not overwrite:
        raise StackError(f"Expected a new path, got {path}, which exists.")
    if suffix in TIFF_SUFFIXES:
        return TiffLabels.create(path, geometry)
    return (ZarrLabels if suffix == ".zarr" else PngLabels).create(path, geometry)


def reopen_labels(path: str | os.PathLike[str]) -> LabelsWriter:
    """Open labels that `create_labels` made, to write more frames.

    Raises
    ------
    StackError
        If there are no labels at `path` that can be written frame by frame.
    """
    path = Path(path)
    with open_stack(path, labels=True) as stack:
        if stack.num_channels != 1:
            raise StackError(
                f"Expected labels of one channel, got {stack.num_channels} in "
                f"{path.name}."
            )
        geometry = LabelsGeometry(
            length=len(stack),
            frame_shape=stack.frame_shape,
            dtype=stack.dtype,
            axis=stack.axis,
            pixel_size=stack.pixel_size,
            units=stack.units,
        )
    if path.is_file():
        return TiffLabels.reopen(path, geometry)
    return (ZarrLabels if is_zarr(path) else PngLabels).reopen(path, geometry)


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
        self._file = path.open("r+b")

    @classmethod
    def create(cls, path: Path, geometry: LabelsGeometry) -> TiffLabels:
        """Lay out a file of zeros, which takes no space until frames are written."""
        if path.is_dir():
            raise StackError(f"Expected a file to replace, got the folder {path}.")
        # Whoever has the old file open keeps it whole, and nobody sees half a file.
        part = path.with_name(f".{path.name}.part")
        num_bytes = math.prod(geometry.shape) * geometry.dtype.itemsize
        bigtiff = num_bytes > MAX_CLASSIC_TIFF_BYTES
        is_ome = path.stem.lower().endswith(".ome")
        # ImageJ knows neither BigTIFF nor wider integers; tifffile's own description
        # holds the same entries.
        is_imagej = not (is_ome or bigtiff) and geometry.dtype.name in IMAGEJ_DTYPES
        metadata = _ome_metadata(geometry) if is_ome else _imagej_metadata(geometry)
        with tifffile.TiffWriter(
            part, bigtiff=bigtiff, byteorder="<", imagej=is_imagej, ome=is_ome
        ) as file:
            file.write(
                shape=geometry.shape,
                dtype=geometry.dtype,
                photometric="minisblack",
                resolution=(1 / geometry.pixel_size[2], 1 / geometry.pixel_size[1]),
                resolutionunit="NONE",
                metadata=metadata,
            )
        part.replace(path)
        return cls.reopen(path, geometry)

    @classmethod
    def reopen(cls, path: Path, geometry: LabelsGeometry) -> TiffLabels:
        """Find the place of the frames in an existing file."""
        source = TiffSource(path)
        source.close()
        offset, shape = source.offset, source.layout.shape
        if offset is None or math.prod(shape) != math.prod(geometry.shape):
            raise StackError(
                "Expected an uncompressed TIFF of one stack in one piece, "
                f"got {path.name} of shape {shape}."
            )
        return cls(path, geometry, offset, source.stored_dtype)

    def close(self) -> None:
        """Close the file."""
        super().close()
        with self._lock:
            self._file.close()

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        data = labels.astype(self._stored_dtype).tobytes()
        with self._lock:
            self._file.seek(self._offset + frame * len(data))
            self._file.write(data)
            self._file.flush()

    def _read(self, frame: int) -> npt.NDArray[Any]:
        shape = self.geometry.frame_shape
        num_bytes = math.prod(shape) * self._stored_dtype.itemsize
        with self._lock:
            self._file.seek(self._offset + frame * num_bytes)
            data = self._file.read(num_bytes)
        labels = np.frombuffer(data, self._stored_dtype).reshape(shape)
        return labels.astype(self.geometry.dtype)


class ZarrLabels(LabelsWriter):
    """Labels in an OME-Zarr image of one resolution, one chunk a frame."""

    def __init__(
        self, path: Path, geometry: LabelsGeometry, array: zarr.Array[Any]
    ) -> None:
        super().__init__(path, geometry)
        self._array = array

    @classmethod
    def create(cls, path: Path, geometry: LabelsGeometry) -> ZarrLabels:
        """Write the metadata; chunks follow with the frames."""
        if path.exists() and not is_zarr(path):
            raise StackError(f"Expected a zarr to replace, got {path}, which is none.")
        group = zarr.create_group(
            str(path),
            zarr_format=3,
            overwrite=True,
            attributes={"ome": _ngff_metadata(geometry, name=path.stem)},
        )
        array = group.create_array(
            "0",
            shape=geometry.shape,
            chunks=(1, *geometry.frame_shape),
            dtype=geometry.dtype,
            fill_value=0,
            dimension_names=(geometry.axis, "y", "x"),
        )
        return cls(path, geometry, array)

    @classmethod
    def reopen(cls, path: Path, geometry: LabelsGeometry) -> ZarrLabels:
        """Open the array of an existing image."""
        image = find_image(path, mode="r+")
        shape = tuple(image.array.shape)
        if shape != geometry.shape or image.num_levels != 1:
            raise StackError(
                f"Expected labels of shape {geometry.shape} in one resolution, "
                f"got {shape} in {image.num_levels} in {path.name}."
            )
        return cls(path, geometry, image.array)

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        self._array[frame] = labels

    def _read(self, frame: int) -> npt.NDArray[Any]:
        return np.asarray(self._array[frame])


class PngLabels(LabelsWriter):
    """Labels in a folder of PNG files."""

    def __init__(
        self, path: Path, geometry: LabelsGeometry, frames: Sequence[Path]
    ) -> None:
        super().__init__(path, geometry)
        self._frames = tuple(frames)

    @classmethod
    def create(cls, path: Path, geometry: LabelsGeometry) -> PngLabels:
        """Write a file of zeros for every frame."""
        _check_png_dtype(geometry.dtype)
        if path.exists():
            _clear_frames(path)
        path.mkdir(exist_ok=True)
        digits = max(4, len(str(geometry.length - 1)))
        frames = [path / f"frame_{i:0{digits}}.png" for i in range(geometry.length)]
        _save_png(frames[0], np.zeros(geometry.frame_shape, geometry.dtype))
        for frame in frames[1:]:
            shutil.copyfile(frames[0], frame)
        return cls(path, geometry, frames)

    @classmethod
    def reopen(cls, path: Path, geometry: LabelsGeometry) -> PngLabels:
        """List the files of an existing folder."""
        _check_png_dtype(geometry.dtype)
        frames = image_files(path)
        if any(frame.suffix.lower() != ".png" for frame in frames):
            raise StackError(f"Expected a folder of PNG files, got {path.name}.")
        return cls(path, geometry, frames)

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        _save_png(self._frames[frame], labels)

    def _read(self, frame: int) -> npt.NDArray[Any]:
        with Image.open(self._frames[frame]) as image:
            return np.asarray(image).astype(self.geometry.dtype)


def _check_png_dtype(dtype: np.dtype[Any]) -> None:
    if dtype.name not in ("uint8", "uint16"):
        raise StackError(f"Expected uint8 or uint16 for PNG files, got {dtype}.")


def _save_png(path: Path, labels: npt.NDArray[Any]) -> None:
    """Write a PNG file that others see either as it was or whole."""
    part = path.with_name(f".{path.name}.part")
    Image.fromarray(labels).save(part, format="PNG")
    part.replace(path)


def _clear_frames(folder: Path) -> None:
    """Remove the frames that `create_labels` wrote, if there is nothing else."""
    if not folder.is_dir():
        raise StackError(f"Expected a folder to replace, got the file {folder}.")
    files = sorted(folder.iterdir())
    for file in files:
        if not _FRAME_NAME.fullmatch(file.name.removeprefix(".").removesuffix(".part")):
            raise StackError(
                f"Expected a folder of nothing but label frames to replace, got "
                f"{file.name} in {folder}."
            )
    for file in files:
        file.unlink()


def _imagej_metadata(geometry: LabelsGeometry) -> dict[str, Any]:
    """Return what ImageJ keeps in the image description, and tifffile in its own."""
    step, unit = geometry.pixel_size[0], geometry.units[0]
    metadata: dict[str, Any] = {
        "axes": f"{geometry.axis.upper()}YX",
        "unit": _ascii(geometry.units[1]),
    }
    if geometry.axis == "z":
        return metadata | {"spacing": step, "zunit": _ascii(unit)}
    if unit in UNKNOWN_UNITS and step == 1:
        return metadata
    return metadata | {"finterval": step, "tunit": _ascii(unit)}


def _ascii(unit: str) -> str:
    """Return a unit as ImageJ writes it, which knows "micron" and no µ."""
    name = "micron" if unit == "micrometer" else unit
    return name.encode("ascii", "backslashreplace").decode()


def _ome_metadata(geometry: LabelsGeometry) -> dict[str, Any]:
    """Return the attributes of Pixels in OME-XML; unknown sizes are left out."""
    names = {"z": "PhysicalSizeZ", "t": "TimeIncrement"}
    attributes = (names[geometry.axis], "PhysicalSizeY", "PhysicalSizeX")
    metadata: dict[str, Any] = {"axes": f"{geometry.axis.upper()}YX"}
    for name, size, unit in zip(
        attributes, geometry.pixel_size, geometry.units, strict=True
    ):
        # OME has no word for an unknown unit of time.
        if unit not in UNKNOWN_UNITS or (size != 1 and name != "TimeIncrement"):
            metadata |= {name: size, f"{name}Unit": _OME_UNITS.get(unit, unit)}
    return metadata


def _ngff_metadata(geometry: LabelsGeometry, *, name: str) -> dict[str, Any]:
    """Return the OME-Zarr 0.5 metadata of a label image of one resolution."""
    types = {"t": "time"}
    axes = [
        {"name": axis, "type": types.get(axis, "space")}
        | ({} if unit in UNKNOWN_UNITS else {"unit": unit})
        for axis, unit in zip((geometry.axis, "y", "x"), geometry.units, strict=True)
    ]
    scale = {"type": "scale", "scale": list(geometry.pixel_size)}
    dataset = {"path": "0", "coordinateTransformations": [scale]}
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": axes, "datasets": [dataset]}],
        "image-label": {},
    }
