"""create_labels and reopen_labels: label stacks as TIFF, OME-Zarr or PNG files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.io.axes import TIME_AND_DEPTH
from napari_seggpt.io.drafts import draft
from napari_seggpt.io.folder import TIFF_SUFFIXES
from napari_seggpt.io.label_values import smallest_dtype
from napari_seggpt.io.labels import LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError, is_zarr
from napari_seggpt.io.png_labels import PngLabels
from napari_seggpt.io.readers import open_stack
from napari_seggpt.io.stacks import checked_steps
from napari_seggpt.io.tiff_labels import TiffLabels
from napari_seggpt.io.zarr_labels import ZarrLabels

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from napari_seggpt.io.labels import StackLike

# Of files that others write labels to; the name of a folder may end otherwise, as .v2.
FILE_ENDINGS = {
    ".csv", ".czi", ".gz", ".h5", ".hdf5", ".ims", ".json", ".klb", ".lif", ".mat",
    ".mrc", ".n5", ".nd2", ".nii", ".npy", ".npz", ".nrrd", ".safetensors", ".svg",
    ".txt", ".zip",
}  # fmt: skip


def create_labels(
    path: str | os.PathLike[str],
    *,
    length: int | None = None,
    frame_shape: tuple[int, int] | None = None,
    dtype: npt.DTypeLike = np.uint16,
    pixel_size: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
    axis: str | None = None,
    times: int | None = None,
    like: StackLike | None = None,
    overwrite: bool = False,
) -> LabelsWriter:
    """Create a label stack of zeros, to be written frame by frame.

    Parameters
    ----------
    path : path-like
        Ends in .tif or .tiff for an ImageJ TIFF, in .ome.tif or .ome.tiff for an
        OME-TIFF, in .zarr for an OME-Zarr 0.5; else it is a folder of PNG files, whose
        name may hold dots but does not end as that of another file.
    length : int
        Number of frames.
    frame_shape : tuple of int
        Height and width of a frame.
    dtype : dtype
        Integer type of the labels; uint8 or uint16 for PNG.
    pixel_size, units : sequences, optional
        Distance of frames, rows and columns, and its units. PNG keeps neither.
    axis : str
        "z", as by default, or "t". PNG does not keep it.
    times : int, optional
        Of how many times, if frames are the slices of volumes, in the order of time.
        PNG does not keep it.
    like : Stack or SessionLabels, optional
        What is labelled. It tells everything above but `dtype`, in place of which none
        of that may be given.
    overwrite : bool
        Whether to replace labels that are there. Only a file, a zarr, or a folder that
        holds nothing but frames written by this function is replaced.

    Raises
    ------
    StackError
        If there is something at `path`, or such labels cannot be written there.
    TypeError
        If neither `like` nor `length` and `frame_shape` are given, or both.
    """
    if like is not None:
        told = (length, frame_shape, pixel_size, units, axis, times)
        if any(each is not None for each in told):
            raise TypeError("Expected either `like` or what it tells, got both.")
        geometry = LabelsGeometry.like(like, dtype)
    elif length is None or frame_shape is None:
        raise TypeError("Expected `like`, or `length` and `frame_shape`, got neither.")
    else:
        height, width = frame_shape
        sizes, names = checked_steps(pixel_size, units)
        geometry = LabelsGeometry(
            length=length,
            frame_shape=(height, width),
            dtype=np.dtype(dtype),
            axis=axis or "z",
            pixel_size=sizes,
            units=names,
            times=times,
        )
    return _create(Path(path), geometry, overwrite=overwrite)


def _create(path: Path, geometry: LabelsGeometry, *, overwrite: bool) -> LabelsWriter:
    kind = _kind(path)
    kind.check_dtype(geometry.dtype, path)
    check_output(path, overwrite=overwrite)
    with draft(path) as new:
        kind.create(new, geometry)
    return kind.open(path, geometry)


def write_labels(
    path: Path,
    read: Callable[[int], npt.NDArray[Any]],
    geometry: LabelsGeometry,
    *,
    overwrite: bool = False,
) -> Iterator[int]:
    """Write labels that are there already, whole or not at all; yields each frame.

    Each frame is read twice: first for the smallest type that holds all labels.

    Parameters
    ----------
    path, overwrite
        As of `create_labels`.
    read : callable
        Returns the labels (H, W) of a frame.
    geometry : LabelsGeometry
        Of the labels, but for their type.

    Raises
    ------
    StackError
        As `create_labels` does.
    """
    check_output(path, overwrite=overwrite)
    limits: set[int] = set()
    for frame in map(read, range(geometry.length)):
        limits |= {int(frame.min()), int(frame.max())}
    geometry = replace(geometry, dtype=smallest_dtype(limits))
    with (
        draft(path) as new,
        _create(new, geometry, overwrite=False) as writer,
    ):
        for index in range(len(writer)):
            writer.write(index, read(index))
            yield index


def check_output(path: Path, *, overwrite: bool = False) -> None:
    """Refuse a place where `create_labels` can write no labels.

    Raises
    ------
    StackError
        If there is something at `path` that may not be replaced, no folder around it,
        or it ends as a file that holds no labels.
    """
    kind = _kind(path)
    if not path.parent.is_dir():
        raise StackError(f"Expected a folder, got {path.parent}, which does not exist.")
    if path.exists() and not overwrite:
        raise StackError(f"Expected a new path, got {path}, which exists.")
    if path.exists():
        kind.check_replaceable(path)


def object_dtype(path: Path) -> np.dtype[Any]:
    """Return the type for labels at a path in which new objects always find an id.

    PNG files hold ids up to 65535 only.
    """
    return np.dtype(np.uint16 if _kind(path) is PngLabels else np.uint32)


def _kind(path: Path) -> type[TiffLabels] | type[ZarrLabels] | type[PngLabels]:
    suffix = path.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        return TiffLabels
    if suffix == ".zarr":
        return ZarrLabels
    is_file = suffix in FILE_ENDINGS or suffix in Image.registered_extensions()
    if is_file and not path.is_dir():
        raise StackError(
            f"Expected a path ending in .tif or .zarr, or a folder, got {path.name}."
        )
    return PngLabels


def reopen_labels(path: str | os.PathLike[str]) -> LabelsWriter:
    """Open labels that `create_labels` made, to write more frames.

    Raises
    ------
    StackError
        If there are no labels at `path` that can be written frame by frame.
    """
    path = Path(path)
    with open_stack(path, axis=TIME_AND_DEPTH, labels=True) as stack:
        if stack.is_lossy:
            raise StackError(f"Expected labels saved as ids, got colours in {path}.")
        # Frames along another axis are not made by `create_labels`: they are refused.
        geometry = replace(
            LabelsGeometry.like(stack, stack.stored_dtype), axis=stack.axis
        )
        # Writers put one frame after the other, and within it row after row.
        if stack.long_axes != geometry.long_axes:
            raise StackError(
                f"Expected labels stored along {', '.join(geometry.long_axes)}, got "
                f"{', '.join(stack.long_axes)} in {path.name}."
            )
    kind = TiffLabels if path.is_file() else ZarrLabels if is_zarr(path) else PngLabels
    return kind.open(path, geometry)
