"""Files that are written whole or not at all, names that files may have, digests."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PART_PATTERN = ".*.part"  # names of files that are being written


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a draft to write, which replaces the file once it was written whole.

    Others see the file as it was or as it is to be. If the writing fails, the draft is
    removed and the file stays as it was. Several may write at once, each a draft of its
    own.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.

    Yields
    ------
    Path
        The draft, beside the file. Its name is short: that of the file may be as long
        as the file system allows.
    """
    draft = path.with_name(f".{uuid.uuid4().hex[:12]}.part")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that others see either as it was or as it is to be."""
    with whole_file(path) as draft:
        draft.write_bytes(data)


def safe_name(name: str) -> str:
    """Return a name without the characters that some file system refuses."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]+', "_", name).strip(". ") or "image"


def array_digest(*arrays: NDArray[Any]) -> bytes:
    """Return the SHA-256 of the types, shapes and values of arrays.

    Parameters
    ----------
    arrays : NDArray
        Any number of any shape, in this order.
    """
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
