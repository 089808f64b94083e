"""ArrayLabels: labels of a stack in an array of NumPy, a frame at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import frame_index
from napari_seggpt.io.label_values import checked_labels
from napari_seggpt.io.layout import StackError

if TYPE_CHECKING:
    import numpy.typing as npt


class ArrayLabels:
    """Labels in an array, read and written as a file of labels is.

    It serves as the output of `label_stack` and as the labels of a `Session`.

    Parameters
    ----------
    array : NDArray
        (N, H, W), integers; it is written in place.

    Attributes
    ----------
    array : NDArray
        The array itself.

    Raises
    ------
    StackError
        If the array has other axes, holds no integers, or is read-only.
    """

    def __init__(self, array: npt.NDArray[np.integer[Any]]) -> None:
        if array.ndim != 3 or array.dtype.kind not in "iu":
            raise StackError(
                "Expected an array (N, H, W) of integers for labels, got "
                f"{array.shape} of {array.dtype}."
            )
        if not array.flags.writeable:
            raise StackError("Expected an array that can be written, got one to read.")
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: int) -> npt.NDArray[np.integer[Any]]:
        return self.read(index)

    def read(self, frame: int, /) -> npt.NDArray[np.integer[Any]]:
        """Return a copy of the labels (H, W) of a frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        """
        return self.array[frame_index(frame, len(self))].copy()

    def write(self, frame: int, labels: npt.ArrayLike, /) -> None:
        """Replace the labels (H, W) of a frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If the labels have another shape, are no integers or do not fit the type of
            the array; nothing is written.
        """
        index = frame_index(frame, len(self))
        self.array[index] = checked_labels(
            np.asarray(labels), self.array.shape[1:], self.array.dtype
        )
