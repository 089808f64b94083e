"""lock_chunks(): keeps two programs from writing chunks that hold several frames."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

if TYPE_CHECKING:
    from pathlib import Path

LOCK_NAME = ".napari-seggpt.lock"


class LockedChunksError(ValueError):
    """Another program writes an array whose chunks hold several frames."""


def lock_chunks(array: Path) -> FileLock | None:
    """Lock a zarr array on disk, until it is released or this program ends.

    To change one frame of a chunk that holds several, a program reads all of it and
    writes it back: what another one has written meanwhile on the other frames is lost.
    Within one program the lock may be taken several times.

    Parameters
    ----------
    array : Path
        The folder of the array.

    Returns
    -------
    FileLock or None
        None where nobody can lock it.

    Raises
    ------
    LockedChunksError
        If another program holds it.
    """
    file = array / LOCK_NAME
    lock = FileLock(file, timeout=0, thread_local=False, is_singleton=True)
    with suppress(OSError, NotImplementedError):
        try:
            lock.acquire()
        except Timeout:
            raise LockedChunksError(
                f"{array.name} is written by another program"
            ) from None
        return lock
    return None
