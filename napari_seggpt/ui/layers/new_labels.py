"""new_labels_layer: an empty Labels layer like an image, in memory or on disk."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from napari.layers import Labels

from napari_seggpt.files import safe_name
from napari_seggpt.io.layout import is_zarr, normalize_unit
from napari_seggpt.sample_data import METADATA_KEY
from napari_seggpt.session.store.places import session_folder
from napari_seggpt.ui.layers.frame_axes import FrameAxes, axis_names, checked_axis
from napari_seggpt.ui.layers.image_stack import level_data

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import zarr
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.frame_axes import Along

MEMORY_SHARE = 0.25  # of the free memory, that labels may take
DEFAULT_DTYPE = np.dtype(np.uint16)
MAX_NAME_BYTES = 200  # of the name of an image, in that of its labels
MAX_CHUNK_SIDE = 512  # pixels; painting rewrites whole chunks
OME_AXES = ("t", "c", "z", "y", "x")  # the order that OME-Zarr asks for


def new_labels_layer(
    layer: Image,
    axis: Along,
    *,
    channel_axis: int | None = None,
    level: int = 0,
    fixed: Mapping[int, int] | None = None,
    dtype: np.dtype[Any] | type[np.integer[Any]] = DEFAULT_DTYPE,
    on_disk: bool | None = None,
    kept: zarr.Array[Any] | None = None,
) -> Labels:
    """Make an empty Labels layer that lies on an image: scale, units, names and all.

    It has the image's axes; that of channels has length 1, but spans all channels.
    It is not added to a viewer.

    Parameters
    ----------
    layer : Image
        The image.
    axis : int, tuple of int or None
        The axis that frames run along, or two.
    channel_axis, level, fixed
        As of `ImageStack`.
    dtype : dtype
        An integer type that the ids fit.
    on_disk : bool, optional
        Whether labels are kept in a zarr: beside the image, where it is a file that
        new files can be made beside, or else where sessions are kept in the user's data
        folder. By default if they would take more than a quarter of the free memory.
        Its path is in the layer's metadata.
    kept : zarr.Array, optional
        Labels that were made so before, which the layer is to show.

    Raises
    ------
    ValueError
        If axes or level do not fit the layer, or `kept` has another shape.
    """
    full = level_data(layer, 0).shape[: layer.ndim]
    shape = list(level_data(layer, level).shape[: layer.ndim])
    if channel_axis is not None:
        channel_axis = checked_axis(channel_axis, full)
        shape[channel_axis] = 1
    places = dict.fromkeys(fixed or {}, 0)
    if channel_axis is not None:
        places[channel_axis] = 0
    axes = FrameAxes.of(shape, axis, places)
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if on_disk is None:
        on_disk = num_bytes > MEMORY_SHARE * psutil.virtual_memory().available
    metadata: dict[str, Any] = {"labels_of": layer.name}
    data: NDArray[Any] | zarr.Array[Any]
    if kept is not None:
        if tuple(kept.shape) != tuple(shape):
            raise ValueError(f"Expected labels of shape {shape}, got {kept.shape}.")
        data = kept
        metadata["path"] = str(zarr_path(kept))
    elif on_disk:
        path, data = _create_on_disk(axes, dtype, layer)
        metadata["path"] = str(path)
    else:
        data = np.zeros(shape, dtype)
    steps = np.divide(full, shape)  # of one pixel of the labels, in those of the image
    return Labels(
        data,
        name=f"{layer.name} labels",
        metadata={METADATA_KEY: metadata},
        scale=layer.scale * steps,
        # Pixels are counted by their centres.
        translate=layer._transforms["data2physical"]((steps - 1) / 2),
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine,
        units=layer.units,
        axis_labels=layer.axis_labels,
    )


def _create_on_disk(
    axes: FrameAxes, dtype: Any, layer: Image
) -> tuple[Path, zarr.Array[Any]]:
    """Create zeros in a new zarr, at the first place where that can be done.

    Raises
    ------
    OSError
        If there is none.
    """
    image = image_path(layer)
    folders = [session_folder()] if image is None else [image.parent, session_folder()]
    reasons = []
    for folder in folders:
        path = _new_path(folder, str(layer.name))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return path, _create_zarr(path, axes, dtype, layer)
        except OSError as error:
            shutil.rmtree(path, ignore_errors=True)
            reasons.append(str(error))
    raise OSError(f"Expected to make labels on disk, got: {'; '.join(reasons)}")


def _new_path(folder: Path, image_name: str) -> Path:
    """Return a path in a folder that is not taken."""
    short = safe_name(image_name).encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    path, count = folder / f"{short} labels.zarr", 1
    while path.exists():
        count += 1
        path = folder / f"{short} labels {count}.zarr"
    return path


def image_path(layer: Image) -> Path | None:
    """Return the file that an image was read from, or the zarr, if it is there."""
    if layer.source.path is None:
        return None
    path = Path(layer.source.path)
    if not path.exists():
        return None
    for parent in (path, *path.parents):  # the path may lead into a zarr
        if is_zarr(parent):
            path = parent
    return path


def zarr_path(data: object) -> Path | None:
    """Return where on disk an array lies; None for one that is no zarr there."""
    root = getattr(getattr(data, "store", None), "root", None)
    if not isinstance(root, Path):
        return None
    import zarr  # it is loaded already, if the array is a zarr

    return root / data.path if isinstance(data, zarr.Array) else None


def discard(layer: Labels) -> None:
    """Remove what `new_labels_layer` has made on disk for a layer, if it did."""
    path = layer.metadata[METADATA_KEY].get("path")
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)


def _create_zarr(
    path: Path, axes: FrameAxes, dtype: Any, layer: Image
) -> zarr.Array[Any]:
    """Create zeros in tiles of a frame, as an OME-Zarr where the axes have names."""
    import zarr
    from zarr.codecs import ZstdCodec

    names = axis_names(layer)
    group = zarr.create_group(
        str(path), zarr_format=3, attributes=_attributes(path, names, layer)
    )
    tile = iter(min(length, MAX_CHUNK_SIDE) for length in axes.frame_shape)
    return group.create_array(
        "0",
        shape=axes.shape,
        chunks=tuple(
            next(tile) if isinstance(place, slice) else 1 for place in axes.index(0)
        ),
        dtype=dtype,
        compressors=ZstdCodec(level=1),
        fill_value=0,
        dimension_names=names if None not in names else None,
    )


def _attributes(
    path: Path, names: Sequence[str | None], layer: Image
) -> dict[str, Any]:
    """Return OME-Zarr 0.5 metadata, none if it has no word for the axes."""
    if [name for name in OME_AXES if name in names] != list(names):
        return {}
    from napari_seggpt.io.zarr_labels import label_metadata  # it loads zarr

    ome = label_metadata(
        [str(name) for name in names],
        units=[normalize_unit(str(unit)) for unit in layer.units],
        scale=[abs(float(step)) for step in layer.scale],
        name=path.stem,
    )
    return {"ome": ome}
