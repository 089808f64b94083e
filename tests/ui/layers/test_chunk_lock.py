"""Two programs do not write chunks that hold several frames."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from napari.layers import Labels

from napari_seggpt.io.chunk_locks import LOCK_NAME
from napari_seggpt.ui.layers.chunk_lock import ChunkLock, frames_in_chunk
from napari_seggpt.ui.layers.labels_layer import LabelsLayer

pytestmark = pytest.mark.usefixtures("qapp")

SHAPE = (6, 8, 8)


@pytest.fixture
def make(tmp_path: Path):
    """Make labels in a zarr of so many frames a chunk."""
    made = []

    def act(chunks: tuple[int, ...], shape=SHAPE, fixed=None, **options):
        data = zarr.create_array(
            str(tmp_path / f"labels {len(made)}.zarr"),
            shape=shape, chunks=chunks, dtype="uint8", **options,
        )  # fmt: skip
        labels = LabelsLayer(Labels(data), 0, fixed)
        made.append(labels)
        return labels

    yield act
    for labels in made:
        labels.close()


def test_how_many_images_are_written_together(make):
    assert frames_in_chunk(make((1, 4, 4))) == 1
    assert frames_in_chunk(make((4, 8, 8))) == 4
    assert frames_in_chunk(make((1, 8, 8), shards=(3, 8, 8))) == 3
    along_t = make((1, 2, 8, 8), shape=(6, 4, 8, 8), fixed={1: 0})
    assert frames_in_chunk(along_t) == 2
    assert frames_in_chunk(LabelsLayer(Labels(np.zeros(SHAPE, int)), 0)) == 1


OTHER_WINDOW = """
import sys
from filelock import FileLock
lock = FileLock(sys.argv[1])
with lock:
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_window():
    """Another program that works on labels."""
    windows = []

    def opened(labels: LabelsLayer) -> None:
        file = Path(str(labels.layer.data.store.root)) / LOCK_NAME
        command = [sys.executable, "-c", OTHER_WINDOW, str(file)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        window = subprocess.Popen(command, **pipes)
        windows.append(window)
        assert window.stdout.readline() == b"locked\n"

    yield opened
    for window in windows:
        window.communicate()


def test_labels_of_another_window_are_refused_if_chunks_are_shared(make, other_window):
    shared, alone = make((4, 8, 8)), make((1, 8, 8))
    other_window(shared)
    other_window(alone)
    with pytest.raises(
        ValueError, match="open in another one, and whose chunks hold 4"
    ):
        ChunkLock(shared)
    ChunkLock(alone).release()


def test_sessions_of_one_window_share_them(make):
    labels = make((4, 8, 8))
    file = labels.layer.data.store.root / LOCK_NAME
    first, second = ChunkLock(labels), ChunkLock(labels)
    first.release()
    script = OTHER_WINDOW.replace("FileLock(sys.argv[1])", "FileLock(sys.argv[1], 0)")
    command = [sys.executable, "-c", script, str(file)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    second.release()
    second.release()
    subprocess.run(command, input=b"", capture_output=True, check=True)
