"""Label ids as 64-bit integers: which numbers of a file are ids, and which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.io.layout import StackError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LIMITS = np.iinfo(np.int64)
DTYPES = (np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.int32, np.int64)


def labels_dtype(stored: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integer type in which labels of a file are read.

    Raises
    ------
    StackError
        If the file holds no numbers.
    """
    if stored.kind == "b":
        return np.dtype(np.uint8)
    if stored.kind not in "iuf":
        raise StackError(f"Expected label ids, got {stored}.")
    is_wide = stored.kind == "f" or stored == np.uint64
    return np.dtype(np.int64) if is_wide else stored


def as_labels(values: NDArray[Any]) -> NDArray[np.integer[Any]]:
    """Return what a file holds as label ids, exactly.

    Parameters
    ----------
    values : NDArray
        Integers, booleans, or floats that are whole numbers, of any shape.

    Raises
    ------
    StackError
        If a value is no whole number, or needs more than 63 bits.
    """
    dtype = labels_dtype(values.dtype)
    if values.dtype.kind == "f":
        wrong = ~np.isfinite(values) | (values != np.rint(values))
        if wrong.any():
            raise StackError(
                f"Expected whole numbers as labels, got {values[wrong][0]}."
            )
    if dtype == np.int64 and values.size:
        low, high = values.min(), values.max()
        # As a float the largest id would be rounded up to one that does not fit.
        if int(low) < LIMITS.min or int(high) > LIMITS.max:
            raise StackError(
                f"Expected label ids from {LIMITS.min} to {LIMITS.max}, "
                f"got {int(low if int(low) < LIMITS.min else high)}."
            )
    return values.astype(dtype, copy=False)


def checked_labels(
    labels: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return labels of a frame in the type that they are stored in.

    Raises
    ------
    StackError
        If they have another shape, are no integers or do not fit the type.
    """
    if labels.shape != shape:
        raise StackError(f"Expected labels of shape {shape}, got {labels.shape}.")
    if labels.dtype.kind not in "biu":
        raise StackError(f"Expected integer labels, got {labels.dtype}.")
    limits = np.iinfo(dtype)
    for label in (int(labels.max()), int(labels.min())) if labels.size else ():
        if not limits.min <= label <= limits.max:
            raise StackError(
                f"Expected label ids from {limits.min} to {limits.max} "
                f"({limits.dtype}), got {label}."
            )
    return labels.astype(dtype)


def smallest_dtype(ids: Iterable[int]) -> np.dtype[Any]:
    """Return the smallest integer type that holds all ids, unsigned where it can be.

    Raises
    ------
    StackError
        If an id needs more than 63 bits.
    """
    known = [0, *ids]
    for dtype in DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= min(known) and max(known) <= limits.max:
            return np.dtype(dtype)
    raise StackError(
        f"Expected label ids from {LIMITS.min} to {LIMITS.max}, "
        f"got {min(known)} to {max(known)}."
    )
