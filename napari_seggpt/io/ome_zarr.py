"""Zarr arrays and OME-Zarr images (NGFF up to 0.5) as a source of frames."""

from __future__ import annotations

import itertools
import math
import os
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.storage import LocalStore

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.array_source import ArraySource
from napari_seggpt.io.axes import guess_axes
from napari_seggpt.io.layout import (
    FRAME_AXES,
    UNNAMED,
    ZARR_FILES,
    StackError,
    axis_name,
    choose,
    normalize_unit,
    one_line,
    positive,
)
from napari_seggpt.untrusted import (
    MAX_JSON_BYTES,
    as_type,
    check_fits_memory,
    check_regular,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from napari_seggpt.io.layout import Calibration, Index

METADATA_FILES = (*ZARR_FILES, ".zattrs", ".zmetadata")
CHUNK_NAME = re.compile(r"(c\.)?\d+(\.\d+)*")  # as 0, 0.3.1 or c.0.3.1
MOST_CHUNKS = 100_000  # in a frame
OLD_AXES = ("t", "c", "z", "y", "x")  # NGFF before 0.3 named no axes
AXIS_TYPES = {"time": "t", "channel": "c"}


class FileStore(LocalStore):
    """A folder as a store, in which pipes and devices are no chunks.

    A path as a text would be taken for a URL if it has two colons.
    """

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        """Read a file; reading a pipe or huge metadata may never end."""
        file = self.root / key
        check_regular(file)
        if file.name in METADATA_FILES and file.is_file():
            num_bytes = file.stat().st_size
            if num_bytes > MAX_JSON_BYTES:
                raise ValueError(
                    f"Expected at most {MAX_JSON_BYTES} bytes in {file.name}, got "
                    f"{num_bytes}."
                )
        return await super().get(key, *args, **kwargs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrImage:
    """An array in a zarr store, with what is known of its axes."""

    array: zarr.Array[Any]
    axes: tuple[str, ...]
    calibration: Calibration
    num_levels: int


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """An axis of OME-Zarr metadata."""

    name: str
    type: str | None = None
    unit: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Transformation:
    """A transformation of OME-Zarr metadata, of which only scales are used."""

    scale: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class _Dataset:
    """A resolution level of OME-Zarr metadata."""

    path: str
    coordinateTransformations: list[_Transformation] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Multiscale:
    """An image of OME-Zarr metadata; NGFF 0.3 has names of axes only."""

    datasets: list[_Dataset]
    axes: list[_Axis | str] = field(default_factory=lambda: [*OLD_AXES])
    coordinateTransformations: list[_Transformation] = field(default_factory=list)


class ZarrSource(ArraySource):
    """A zarr array in a folder, which tells what of it is stored."""

    def __init__(self, path: Path, image: ZarrImage) -> None:
        super().__init__(image.array, image.axes, image.calibration)
        self._folder = path / image.array.path
        self._zarr = image.array

    @property
    def chunk_lengths(self) -> tuple[int, ...]:
        """How long a chunk, or a shard of chunks, is along each axis."""
        return tuple(getattr(self._zarr, "shards", None) or self._zarr.chunks)

    def chunk_signs(self, index: Index) -> tuple[tuple[int, int] | None, ...]:
        """Return size and time of each chunk of a block, None where none is stored.

        The index is as of `read`. A chunk that is being written changes them.
        """
        array = self._zarr
        places = [
            range(math.ceil(length / part)) if isinstance(at, slice) else [at // part]
            for at, length, part in zip(
                index, array.shape, self.chunk_lengths, strict=True
            )
        ]
        keys = map(array.metadata.encode_chunk_key, itertools.product(*places))
        return tuple(_sign(self._folder / key) for key in keys)


def _sign(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    is_file = stat.S_ISREG(found.st_mode)
    return (found.st_size, found.st_mtime_ns) if is_file else None


def open_zarr(
    path: Path, *, level: int = 0, series: int = 0, labels: bool = False
) -> ZarrSource:
    """Return a zarr array, or one resolution level of an OME-Zarr image, as a source.

    Parameters
    ----------
    path : Path
        The folder.
    level, series : int
        Resolution level, and which image of several.
    labels : bool
        Whether nothing is stored where nothing was labelled.

    Raises
    ------
    StackError
        If there is no zarr array to be found, no such series or level, or images
        without a single chunk.
    """
    image = find_image(path, level=level, series=series, labels=labels)
    if not labels and not _has_chunks(path / image.array.path):
        raise StackError(
            f"Expected pixels in {path.name}, got none: it was never written, or its "
            "files are lost."
        )
    try:
        return ZarrSource(path, image)
    except StackError as error:
        raise StackError(f"{path.name}: {error}") from None


def _has_chunks(folder: Path) -> bool:
    names = (name for *_, files in os.walk(folder) for name in files)
    return any(CHUNK_NAME.fullmatch(name) for name in names)


def find_image(
    path: Path,
    *,
    level: int = 0,
    series: int = 0,
    mode: Literal["r", "r+"] = "r",
    labels: bool = False,
) -> ZarrImage:
    """Open an array, or find one in a group by the group's OME-Zarr metadata.

    Raises
    ------
    StackError
        If there is no zarr array to be found, or no such series or level.
    """
    try:
        image = _find_image(path, level, series, mode, labels=labels)
        _check_chunks(image.array, image.axes)
    except StackError as error:
        raise StackError(f"{path.name}: {error}") from None
    except DAMAGE as error:
        raise StackError(
            f"Expected a zarr array or an OME-Zarr image, got {path.name}: "
            f"{one_line(error)}"
        ) from error
    return image


def open_array(path: Path, *, mode: Literal["r", "r+"] = "r") -> zarr.Array[Any]:
    """Open an array of which a session tells where it lies.

    Parameters
    ----------
    path : Path
        The folder of the array.
    mode : {"r", "r+"}
        Whether it is to be written, too.

    Raises
    ------
    StackError
        If there is no array, or reading a frame of it would not end.
    """
    try:
        array = zarr.open_array(FileStore(path, read_only=mode == "r"), mode=mode)
        leading = [UNNAMED] * (array.ndim - len(FRAME_AXES))
        _check_chunks(array, [*leading, *FRAME_AXES])
    except StackError as error:
        raise StackError(f"{path.name}: {error}") from None
    except DAMAGE as error:
        raise StackError(
            f"Expected a zarr array, got {path.name}: {one_line(error)}"
        ) from error
    return array


def _check_chunks(array: zarr.Array[Any], axes: Sequence[str]) -> None:
    """Refuse chunks so large, or so many in a frame, that reading one would not end."""
    parts = getattr(array, "shards", None) or array.chunks
    num_bytes = math.prod(parts) * array.dtype.itemsize
    check_fits_memory(num_bytes, f"a chunk {parts}")
    in_frame = [
        math.ceil(length / part)
        for axis, length, part in zip(axes, array.shape, parts, strict=True)
        if axis in FRAME_AXES
    ]
    if math.prod(in_frame) > MOST_CHUNKS:
        raise StackError(
            f"Expected at most {MOST_CHUNKS} chunks a frame, got {in_frame}."
        )


def _find_image(
    path: Path, level: int, series: int, mode: Literal["r", "r+"], *, labels: bool
) -> ZarrImage:
    node = zarr.open(FileStore(path, read_only=mode == "r"), mode=mode)
    if isinstance(node, zarr.Array):
        return _plain_image([node], level, series, labels=labels)
    images = _images(node)
    if images:
        return _multiscale_image(*choose(images, series, "a series"), level)
    _refuse_plate(node, path)
    arrays = [array for _, array in node.arrays()]
    return _plain_image(arrays, level, series, labels=labels)


def _refuse_plate(group: zarr.Group, path: Path) -> None:
    ome = _ome(group)
    if "plate" in ome:
        wells = ", ".join(str(well["path"]) for well in ome["plate"]["wells"][:3])
        raise StackError(
            f"Expected an image, got a plate with wells {wells} ...: open an image in "
            f"one of them, as {path.name}/{ome['plate']['wells'][0]['path']}/0."
        )
    if "well" in ome:
        fields = ", ".join(str(image["path"]) for image in ome["well"]["images"][:3])
        raise StackError(
            f"Expected an image, got a well with images {fields} ...: open one of them."
        )


def _plain_image(
    arrays: Sequence[zarr.Array[Any]], level: int, series: int, *, labels: bool
) -> ZarrImage:
    """Return the only one of `arrays`, which no OME-Zarr metadata describes."""
    if len(arrays) != 1:
        names = ", ".join(sorted(array.basename for array in arrays)) or "none"
        raise StackError(
            f"Expected one array or OME-Zarr metadata, got arrays: {names}."
        )
    choose(arrays, level, "a level")
    array = choose(arrays, series, "a series")
    axes = _dimension_names(array)
    if not {"y", "x"} <= set(axes):
        # Labels of 8 bits may be painted in colours; no frame is 3 or 4 pixels wide.
        is_ids = labels and array.dtype != np.uint8
        axes = guess_axes(array.shape, labels=is_ids)
    return ZarrImage(array=array, axes=axes, calibration={}, num_levels=1)


def _dimension_names(array: zarr.Array[Any]) -> tuple[str, ...]:
    """Return the axes that an array itself names, empty if not all are named."""
    names: Any = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.get("_ARRAY_DIMENSIONS")  # as xarray writes zarr v2
    if not names or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(map(axis_name, names))


def _images(
    group: zarr.Group,
) -> list[tuple[zarr.Group, Mapping[str, Any]]]:
    """Return the OME-Zarr images of a group, each with its "multiscales" entry."""
    own = _ome(group).get("multiscales", [])
    if own:
        return [(group, multiscales) for multiscales in own]
    if "bioformats2raw.layout" not in _ome(group):
        return []
    children = [child for child in group.group_keys() if child.isdecimal()]
    images = [_images(group.require_group(name)) for name in sorted(children, key=int)]
    return [image for found in images for image in found]


def _ome(group: zarr.Group) -> Mapping[str, Any]:
    """Return the OME-Zarr metadata: under "ome" since NGFF 0.5, on their own before."""
    attributes: dict[str, Any] = group.attrs.asdict()
    ome: Mapping[str, Any] = attributes.get("ome", attributes)
    return ome


def _multiscale_image(
    group: zarr.Group, described: Mapping[str, Any], level: int
) -> ZarrImage:
    """Return one resolution level of an OME-Zarr image."""
    image = as_type(described, _Multiscale)
    dataset = choose(image.datasets, level, "a level")
    array = group[dataset.path]
    if not isinstance(array, zarr.Array):
        raise StackError(f"Expected an array at {dataset.path!r}, got a group.")
    axes = [_Axis(name=axis) if isinstance(axis, str) else axis for axis in image.axes]
    names = tuple(
        AXIS_TYPES.get(axis.type or "", axis_name(axis.name)) for axis in axes
    )
    scales = (
        _scale(found.coordinateTransformations, len(axes)) for found in (image, dataset)
    )
    sizes = [positive(outer * inner) for outer, inner in zip(*scales, strict=True)]
    units = [normalize_unit(axis.unit) for axis in axes]
    return ZarrImage(
        array=array,
        axes=names,
        calibration={
            name: (size, unit)
            for name, size, unit in zip(names, sizes, units, strict=True)
            if size is not None
        },
        num_levels=len(image.datasets),
    )


def _scale(transformations: Sequence[_Transformation], ndim: int) -> list[float]:
    """Return the scale of an image or of one of its datasets, ones if it has none."""
    scales: Iterator[list[float]] = (
        found.scale for found in transformations if found.scale is not None
    )
    return next(scales, [1.0] * ndim)
