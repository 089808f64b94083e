"""BlockLabels: labels of frames too large for memory, written in square blocks."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_seggpt.io.drafts import draft
from napari_seggpt.io.layout import StackError
from napari_seggpt.io.ome_zarr import FileStore, find_image
from napari_seggpt.io.zarr_labels import ngff_metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from napari_seggpt.io.labels import LabelsGeometry

SMALLEST_CHUNK = 64  # pixels; smaller ones would make too many files
SHOWN_SIDE = 1024  # pixels of a frame that a viewer shows at once


class BlockLabels:
    """Labels in an OME-Zarr of several resolutions, one chunk a block.

    Parameters
    ----------
    path : Path
        An OME-Zarr that `create` made.

    Attributes
    ----------
    path : Path
        The folder.
    shape : tuple of int
        (frames, H, W).
    block : int
        The side of a block, in pixels; those at the end of a frame are smaller.

    Raises
    ------
    StackError
        If it is none.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        first = find_image(path, mode="r+", labels=True)
        self._levels = [
            find_image(path, level=level, mode="r+", labels=True).array.with_config(
                {"write_empty_chunks": True}
            )
            for level in range(first.num_levels)
        ]
        self._folder = path / self._levels[0].path
        self.block = int(self._levels[0].chunks[-1])
        expected = [
            (1, side, side)
            for side in (self.block >> i for i in range(len(self._levels)))
        ]
        if [tuple(array.chunks) for array in self._levels] != expected:
            raise StackError(f"Expected labels in blocks, got other ones in {path}.")
        num_frames, height, width = self._levels[0].shape
        self.shape = (int(num_frames), int(height), int(width))

    @classmethod
    def create(cls, path: Path, geometry: LabelsGeometry, *, block: int) -> BlockLabels:
        """Create labels of zeros, in blocks of so many pixels (a power of 2)."""
        if block < SMALLEST_CHUNK or block & (block - 1):
            raise StackError(
                f"Expected blocks of a power of 2, {SMALLEST_CHUNK} or more, "
                f"got {block}."
            )
        num_levels = _num_levels(geometry.frame_shape, block)
        with draft(path) as new:
            group = zarr.create_group(
                FileStore(new),
                zarr_format=3,
                attributes={
                    "ome": ngff_metadata(
                        geometry, name=path.stem, num_levels=num_levels
                    )
                },
            )
            for level in range(num_levels):
                group.create_array(
                    str(level),
                    shape=(
                        geometry.length,
                        *(-(-side >> level) for side in geometry.frame_shape),
                    ),
                    chunks=(1, block >> level, block >> level),
                    dtype=geometry.dtype,
                    fill_value=0,
                    dimension_names=(geometry.axis, "y", "x"),
                )
        return cls(path)

    def corners(self) -> Iterator[tuple[int, int]]:
        """Yield the upper left corner of every block of a frame, row by row."""
        _, height, width = self.shape
        return product(range(0, height, self.block), range(0, width, self.block))

    def is_finished(self, frame: int, corner: tuple[int, int]) -> bool:
        """Whether a block is stored, be it empty."""
        row, column = (at // self.block for at in corner)
        key = self._levels[0].metadata.encode_chunk_key((frame, row, column))
        return (self._folder / key).is_file()

    def finish(
        self, frame: int, corner: tuple[int, int], labels: npt.NDArray[Any]
    ) -> None:
        """Write a block (h, w); the finest level comes last, so that it tells of all.

        Raises
        ------
        StackError
            If ids do not fit the dtype.
        """
        kind = self._levels[0].dtype
        limits = np.iinfo(kind)
        if labels.max() > limits.max or labels.min() < limits.min:
            raise StackError(f"Expected ids that fit {kind}, got {labels.max()}.")
        for level in reversed(range(len(self._levels))):
            part = labels[:: 2**level, :: 2**level].astype(kind)
            top, left = (at >> level for at in corner)
            rows = slice(top, top + part.shape[0])
            columns = slice(left, left + part.shape[1])
            self._levels[level][frame, rows, columns] = part


def _num_levels(frame_shape: tuple[int, int], block: int) -> int:
    """Return so many levels that the coarsest is shown at once, if blocks allow it."""
    levels = 1
    while max(frame_shape) >> (levels - 1) > SHOWN_SIDE and (
        block >> levels >= SMALLEST_CHUNK
    ):
        levels += 1
    return levels
