"""ChunkLock: keeps two programs from writing chunks that hold several frames."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_seggpt.ui.layers.new_labels import zarr_path

if TYPE_CHECKING:
    from typing import Any

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer

LOCK_NAME = ".napari-seggpt.lock"


class ChunkLock:
    """Held while labels in a zarr are worked on whose chunks hold several frames.

    To change one frame of such a chunk, a program reads all of it and writes it back:
    what another one has painted meanwhile on the other frames is lost. Several sessions
    of one program may hold it, as they write one after the other.

    Parameters
    ----------
    labels : LabelsLayer
        The labels; nothing is locked where each chunk holds one frame.

    Raises
    ------
    ValueError
        If another program holds it.
    """

    def __init__(self, labels: LabelsLayer) -> None:
        self._lock: FileLock | None = None
        path = zarr_path(labels.layer.data)
        count = frames_in_chunk(labels)
        if path is None or count == 1:
            return
        lock = FileLock(
            path / LOCK_NAME, timeout=0, thread_local=False, is_singleton=True
        )
        with suppress(OSError, NotImplementedError):  # nobody can lock it there
            try:
                lock.acquire()
            except Timeout:
                raise ValueError(
                    f"Expected labels that no other window writes, got {labels.name}, "
                    f"which is open in another one, and whose chunks hold {count} "
                    "frames each, so that strokes would be lost: close the other "
                    "window, or make new labels."
                ) from None
            self._lock = lock

    def release(self) -> None:
        """Let others write the labels."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


def frames_in_chunk(labels: LabelsLayer) -> int:
    """Return how many images are written together, 1 for labels that are in memory."""
    data: Any = labels.layer.data
    unit = getattr(data, "shards", None) or getattr(data, "chunks", None)
    if zarr_path(data) is None or unit is None:
        return 1
    count = 1
    for at, each in enumerate(labels.axes.index(0)):
        if not isinstance(each, slice):
            count *= min(int(unit[at]), labels.axes.shape[at])
    return count
