"""ArraySource: pixels of an array-like, such as one of numpy, zarr or dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_seggpt.io.layout import Layout, StackError, axis_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_seggpt.io.layout import Calibration, Index


class LazyArray(Protocol):
    """Anything indexed like a numpy array: numpy, zarr, dask."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""

    @property
    def dtype(self) -> Any:
        """Data type of the elements."""

    def __getitem__(self, index: Any) -> Any:
        """Return a block as something that `numpy.asarray` takes."""


class ArraySource:
    """An array-like, of which only the blocks asked for are turned into numpy."""

    def __init__(
        self, array: LazyArray, axes: Sequence[str], calibration: Calibration
    ) -> None:
        if len(axes) != len(array.shape):
            raise StackError(
                f"Expected one axis per dimension of {tuple(array.shape)}, "
                f"got {tuple(axes)}."
            )
        self._array = array
        self.layout = Layout(
            axes=tuple(axis_name(axis) for axis in axes),
            shape=tuple(array.shape),
            dtype=np.dtype(array.dtype),
            calibration=calibration,
        )

    def read(self, index: Index) -> npt.NDArray[Any]:
        """Return the block at one integer or full slice per axis."""
        return np.asarray(self._array[index])

    def close(self) -> None:
        """Do nothing: the array belongs to the caller."""
