"""ZarrLabels: a label stack in an OME-Zarr image, one chunk a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_seggpt.io.labels import UNKNOWN_UNITS, LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError, is_zarr
from napari_seggpt.io.ome_zarr import FileStore, find_image

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


class ZarrLabels(LabelsWriter):
    """Labels in an OME-Zarr image of one resolution, one chunk a frame."""

    def __init__(
        self, path: Path, geometry: LabelsGeometry, array: zarr.Array[Any]
    ) -> None:
        super().__init__(path, geometry)
        self._array = array

    @staticmethod
    def check_dtype(dtype: np.dtype[Any], path: Path) -> None:
        """Do nothing: zarr holds all integers."""

    @staticmethod
    def check_replaceable(path: Path) -> None:
        """Refuse to replace what is no zarr."""
        if not is_zarr(path):
            raise StackError(f"Expected a zarr to replace, got {path}, which is none.")

    @staticmethod
    def create(path: Path, geometry: LabelsGeometry) -> None:
        """Write the metadata; chunks follow with the frames."""
        group = zarr.create_group(
            FileStore(path),
            zarr_format=3,
            attributes={"ome": _ngff_metadata(geometry, name=path.stem)},
        )
        group.create_array(
            "0",
            shape=geometry.shape,
            chunks=(1, *geometry.frame_shape),
            dtype=geometry.dtype,
            fill_value=0,
            dimension_names=(geometry.axis, "y", "x"),
        )

    @classmethod
    def open(cls, path: Path, geometry: LabelsGeometry) -> ZarrLabels:
        """Open the array of an existing image."""
        image = find_image(path, mode="r+", labels=True)
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
