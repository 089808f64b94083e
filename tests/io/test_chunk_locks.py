"""Two programs do not write chunks that hold several frames."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_seggpt.io import StackError, reopen_labels
from napari_seggpt.io.chunk_locks import LockedChunksError, lock_chunks

OTHER_PROGRAM = """
import sys
from pathlib import Path
from napari_seggpt.io.chunk_locks import lock_chunks
lock = lock_chunks(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def make_array(tmp_path: Path):
    def make(name: str, chunks: tuple[int, ...], **options: object) -> Path:
        labels = np.zeros((6, 8, 8), np.uint8)
        zarr.create_array(str(tmp_path / name), data=labels, chunks=chunks, **options)
        return tmp_path / name

    return make


@pytest.fixture
def other_program() -> Iterator:
    """Another program that locks an array."""
    programs = []

    def opened(array: Path) -> subprocess.Popen:
        command = [sys.executable, "-c", OTHER_PROGRAM, str(array)]
        program = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        programs.append(program)
        assert program.stdout.readline() == b"locked\n"
        return program

    yield opened
    for program in programs:
        program.communicate()


def test_the_lock_ends_with_the_program(make_array, other_program) -> None:
    array = make_array("a.zarr", (4, 8, 8))
    program = other_program(array)
    with pytest.raises(LockedChunksError, match=r"a\.zarr is written"):
        lock_chunks(array)
    program.kill()
    program.wait()
    first, second = lock_chunks(array), lock_chunks(array)  # in one program
    assert first is second is not None
    first.release()
    second.release()


def test_a_folder_that_nobody_can_lock(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert lock_chunks(tmp_path / "file") is None


def test_labels_whose_chunks_are_shared_are_not_written_by_two(
    make_array, other_program
) -> None:
    shared = make_array("shared.zarr", (4, 8, 8))
    shards = make_array("shards.zarr", (1, 8, 8), shards=(3, 8, 8))
    for path in (shared, shards):
        program = other_program(path)
        with pytest.raises(StackError, match="no other program writes"):
            reopen_labels(path)
        program.communicate()
        for _ in range(2):
            with reopen_labels(path) as labels:
                labels[5] = np.ones((8, 8), np.uint8)
    alone = make_array("alone.zarr", (1, 8, 8))
    other_program(alone)
    reopen_labels(alone).close()
