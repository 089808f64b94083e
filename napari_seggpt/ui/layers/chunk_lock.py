"""ChunkLock: keeps two programs from writing chunks that hold several frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.io.chunk_locks import LockedChunksError, lock_chunks
from napari_seggpt.ui.layers.new_labels import zarr_path

if TYPE_CHECKING:
    from typing import Any

    from filelock import FileLock

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer


class ChunkLock:
    """Held while labels in a zarr are worked on whose chunks hold several frames.

    Several sessions of one program may hold it, as they write one after the other; see
    `io.chunk_locks`.

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
        try:
            self._lock = lock_chunks(path)
        except LockedChunksError:
            raise ValueError(
                f"Expected labels that no other program writes, got {labels.name}, "
                f"which is open in another one, and whose chunks hold {count} "
                "frames each, so that strokes would be lost: close the other "
                "window, or make new labels."
            ) from None

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
