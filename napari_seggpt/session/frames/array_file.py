"""ArrayFile: arrays in a temporary file, so that memory does not grow with them."""

from __future__ import annotations

import os
import tempfile
import threading
import zlib
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZLIB_LEVEL = 1  # the fastest: labels and confidence are smooth, and shrink well


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """Where an array is in an `ArrayFile`.

    Attributes
    ----------
    shape, dtype
        Of the array.
    start, size : int
        First byte and number of bytes; an array of zeros takes none.
    room : int
        Bytes that may be used again for an array that replaces it.
    """

    shape: tuple[int, ...]
    dtype: str
    start: int = 0
    size: int = 0
    room: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedArray:
    """An array as it is stored.

    Attributes
    ----------
    shape, dtype
        Of the array.
    data : bytes
        Its compressed values; nothing for an array of zeros.
    """

    shape: tuple[int, ...]
    dtype: str
    data: bytes


def pack(array: NDArray[Any]) -> PackedArray:
    """Compress an array; may be done on any thread."""
    data = b""
    if array.any():
        data = zlib.compress(np.ascontiguousarray(array).data, ZLIB_LEVEL)
    return PackedArray(shape=array.shape, dtype=array.dtype.str, data=data)


class ArrayFile:
    """Compressed arrays in a temporary file that is gone when it is closed.

    It may be used by several threads at once.

    Parameters
    ----------
    name : str
        What the name of the file tells of its content.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._file: IO[bytes] | None = None
        self._is_closed = False
        self._lock = threading.Lock()  # to seek and to read or write belong together

    def write(
        self, packed: PackedArray, instead: StoredArray | None = None
    ) -> StoredArray:
        """Store a packed array, in the place of another one if it fits there.

        Raises
        ------
        OSError
            If the disk is full, say, or the file was closed.
        """
        shape, dtype, data = packed.shape, packed.dtype, packed.data
        if not data:
            empty = StoredArray(shape=shape, dtype=dtype)
            return (
                empty
                if instead is None
                else replace(empty, start=instead.start, room=instead.room)
            )
        with self._lock:
            file = self._opened()
            if instead is not None and len(data) <= instead.room:
                start, room = file.seek(instead.start), instead.room
            else:
                start, room = file.seek(0, os.SEEK_END), len(data)
            file.write(data)
            file.flush()  # so that a full disk is noticed now
        return StoredArray(
            shape=shape, dtype=dtype, start=start, size=len(data), room=room
        )

    def _opened(self) -> IO[bytes]:
        if self._is_closed:  # a new file would hold none of the arrays
            raise OSError(f"Expected an open file of {self._name}, got a closed one.")
        if self._file is None:
            self._file = tempfile.TemporaryFile(  # noqa: SIM115 (see `close`)
                prefix=f"napari-seggpt-{self._name}-"
            )
        return self._file

    def read(self, stored: StoredArray) -> NDArray[Any]:
        """Return an array that was stored.

        Raises
        ------
        OSError
            If the file was closed.
        """
        if not stored.size:
            return np.zeros(stored.shape, stored.dtype)
        with self._lock:
            file = self._opened()
            file.seek(stored.start)
            read = file.read(stored.size)
        data = zlib.decompress(read)
        return np.frombuffer(data, stored.dtype).reshape(stored.shape)

    def close(self) -> None:
        """Delete the file; nothing can be read or written any more."""
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()
                self._file = None
