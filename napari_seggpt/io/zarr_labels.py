"""ZarrLabels: a label stack in an OME-Zarr image, one chunk a frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_seggpt.frames import frame_index
from napari_seggpt.io.chunk_locks import LockedChunksError, lock_chunks
from napari_seggpt.io.labels import UNKNOWN_UNITS, LabelsGeometry, LabelsWriter
from napari_seggpt.io.layout import StackError, is_zarr
from napari_seggpt.io.ome_zarr import FileStore, find_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from filelock import FileLock

AXIS_TYPES = {"t": "time", "c": "channel"}  # of OME-Zarr; all others are of space


class ZarrLabels(LabelsWriter):
    """Labels in an OME-Zarr image of one resolution, one chunk a frame.

    Those of other programs, whose chunks hold several frames, are locked.
    """

    def __init__(
        self, path: Path, geometry: LabelsGeometry, array: zarr.Array[Any]
    ) -> None:
        super().__init__(path, geometry)
        self._array = array
        self._lock: FileLock | None = None
        if (array.shards or array.chunks)[0] > 1:
            try:
                self._lock = lock_chunks(path / array.path)
            except LockedChunksError:
                raise StackError(
                    f"Expected labels that no other program writes, got {path.name}, "
                    "which is open in another one, and whose chunks hold several "
                    "frames, so that labels would be lost."
                ) from None

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
            attributes={"ome": ngff_metadata(geometry, name=path.stem)},
        )
        group.create_array(
            "0",
            shape=geometry.shape,
            chunks=(*(1 for _ in geometry.place(0)), *geometry.frame_shape),
            dtype=geometry.dtype,
            fill_value=0,
            dimension_names=geometry.axes,
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

    def close(self) -> None:
        """Release the labels; frames can no longer be written."""
        super().close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    @property
    def has_frame_chunks(self) -> bool:
        """Whether each frame is one chunk of its own, as in what `create` makes."""
        is_sharded = getattr(self._array, "shards", None) is not None
        whole_frame = (*(1 for _ in self.geometry.place(0)), *self.geometry.frame_shape)
        return not is_sharded and tuple(self._array.chunks) == whole_frame

    def finish(self, index: int, labels: npt.ArrayLike) -> None:
        """Write a frame so that `is_finished` tells it, also where it shows no label.

        The chunk is replaced in one act: who reads it meanwhile, or after this process
        was killed, finds the frame as it was before or as it is now.
        """
        array = self._array.with_config({"write_empty_chunks": True})
        place = self.geometry.place(frame_index(index, len(self)))
        array[place] = self._checked(np.asarray(labels))

    def is_finished(self, index: int) -> bool:
        """Whether a frame is stored, be it empty; see `has_frame_chunks`."""
        place = self.geometry.place(frame_index(index, len(self)))
        key = self._array.metadata.encode_chunk_key((*place, 0, 0))
        return (self.path / self._array.path / key).is_file()

    def extend(self, length: int) -> None:
        """Make room for more frames; those that are there stay."""
        if length > len(self):
            self._array.resize((length, *self.geometry.frame_shape))
            self.geometry = replace(self.geometry, length=length)

    def remove_drafts(self) -> None:
        """Remove what processes left that were killed while they wrote a frame.

        Nobody else may be writing.
        """
        for draft in (self.path / self._array.path).rglob("*.partial"):
            draft.unlink(missing_ok=True)

    def _write(self, frame: int, labels: npt.NDArray[Any]) -> None:
        self._array[self.geometry.place(frame)] = labels

    def _read(self, frame: int) -> npt.NDArray[Any]:
        return np.asarray(self._array[self.geometry.place(frame)])


def ngff_metadata(
    geometry: LabelsGeometry, *, name: str, num_levels: int = 1
) -> dict[str, Any]:
    """Return the OME-Zarr 0.5 metadata of labels; see `label_metadata`."""
    steps = geometry.steps.values()
    return label_metadata(
        geometry.axes,
        units=[unit for _, unit in steps],
        scale=[size for size, _ in steps],
        name=name,
        num_levels=num_levels,
    )


def label_metadata(
    axes: Sequence[str],
    *,
    units: Sequence[str],
    scale: Sequence[float],
    name: str,
    num_levels: int = 1,
) -> dict[str, Any]:
    """Return the OME-Zarr 0.5 metadata of a label image.

    Parameters
    ----------
    axes : sequence of str
        Names, such as "tzyx"; rows and columns are the last.
    units, scale : sequence
        Of each axis, at the finest level.
    name : str
        Of the image.
    num_levels : int
        Each level has every second row and column of the one before.
    """
    described = [
        {"name": axis, "type": AXIS_TYPES.get(axis, "space")}
        | ({} if unit in UNKNOWN_UNITS else {"unit": unit})
        for axis, unit in zip(axes, units, strict=True)
    ]
    *steps, row, column = scale
    datasets = []
    for level in range(num_levels):
        sizes = [*steps, row * 2**level, column * 2**level]
        transformation = {"type": "scale", "scale": sizes}
        datasets.append(
            {"path": str(level), "coordinateTransformations": [transformation]}
        )
    return {
        "version": "0.5",
        "multiscales": [{"name": name, "axes": described, "datasets": datasets}],
        "image-label": {},
    }
