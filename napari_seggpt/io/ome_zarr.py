"""Zarr arrays and OME-Zarr images (NGFF up to 0.5) as a source of frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zarr

from napari_seggpt.io.layout import (
    StackError,
    axis_name,
    choose,
    guess_axes,
    normalize_unit,
    one_line,
    positive,
)
from napari_seggpt.io.stacks import ArraySource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from napari_seggpt.io.layout import Calibration

ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
OLD_AXES = ("t", "c", "z", "y", "x")  # NGFF before 0.3 named no axes
AXIS_TYPES = {"time": "t", "channel": "c"}


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr array or group."""
    return any((path / name).is_file() for name in ZARR_FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZarrImage:
    """An array in a zarr store, with what is known of its axes."""

    array: zarr.Array[Any]
    axes: tuple[str, ...]
    calibration: Calibration
    num_levels: int


def open_zarr(path: Path, *, level: int = 0, series: int = 0) -> ArraySource:
    """Return a zarr array, or one resolution level of an OME-Zarr image, as a source.

    Raises
    ------
    StackError
        If there is no zarr array to be found, or no such series or level.
    """
    image = find_image(path, level=level, series=series)
    return ArraySource(image.array, image.axes, image.calibration)


def find_image(
    path: Path, *, level: int = 0, series: int = 0, mode: Literal["r", "r+"] = "r"
) -> ZarrImage:
    """Open an array, or find one in a group by the group's OME-Zarr metadata.

    Raises
    ------
    StackError
        If there is no zarr array to be found, or no such series or level.
    """
    try:
        node = zarr.open(str(path), mode=mode)
        if isinstance(node, zarr.Array):
            return _plain_image([node], level, series)
        images = _images(node)
        if not images:
            return _plain_image([array for _, array in node.arrays()], level, series)
        group, multiscales = choose(images, series, "a series")
        return _multiscale_image(group, multiscales, level)
    except StackError as error:
        raise StackError(f"{path.name}: {error}") from None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StackError(
            f"Expected a zarr array or an OME-Zarr image, got {path.name}: "
            f"{one_line(error)}"
        ) from error


def _plain_image(
    arrays: Sequence[zarr.Array[Any]], level: int, series: int
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
        axes = guess_axes(array.shape)
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
    group: zarr.Group, multiscales: Mapping[str, Any], level: int
) -> ZarrImage:
    """Return one resolution level of an OME-Zarr image."""
    dataset = choose(multiscales["datasets"], level, "a level")
    array = group[dataset["path"]]
    if not isinstance(array, zarr.Array):
        raise StackError(f"Expected an array at {dataset['path']!r}, got a group.")
    axes = [
        axis if isinstance(axis, dict) else {"name": axis}  # NGFF 0.3 has names only
        for axis in multiscales.get("axes", OLD_AXES)
    ]
    names = tuple(
        AXIS_TYPES.get(axis.get("type", ""), axis_name(axis["name"])) for axis in axes
    )
    scales = _scale(multiscales, len(axes)), _scale(dataset, len(axes))
    sizes = [positive(outer * inner) for outer, inner in zip(*scales, strict=True)]
    units = [normalize_unit(axis.get("unit")) for axis in axes]
    return ZarrImage(
        array=array,
        axes=names,
        calibration={
            name: (size, unit)
            for name, size, unit in zip(names, sizes, units, strict=True)
            if size is not None
        },
        num_levels=len(multiscales["datasets"]),
    )


def _scale(described: Mapping[str, Any], ndim: int) -> list[float]:
    """Return the scale of an image or of one of its datasets, ones if it has none."""
    for transformation in described.get("coordinateTransformations", ()):
        if "scale" in transformation:
            return list(transformation["scale"])
    return [1.0] * ndim
