"""Arrays in a temporary file."""

import threading

import numpy as np
import pytest

from napari_seggpt.session.frames.array_file import ArrayFile, pack


@pytest.fixture
def file():
    file = ArrayFile("test")
    yield file
    file.close()


def noise(seed, shape=(9, 7), dtype=np.uint8):
    return np.random.default_rng(seed).integers(1, 255, shape).astype(dtype)


def test_arrays_of_any_type_come_back(file):
    arrays = [noise(0), noise(1, (3, 4, 5), np.int64), noise(2, dtype=np.float32)]
    stored = [file.write(pack(array)) for array in arrays]
    for array, where in zip(arrays, stored, strict=True):
        np.testing.assert_array_equal(file.read(where), array)
        assert file.read(where).dtype == array.dtype


def test_zeros_need_no_file(file):
    stored = file.write(pack(np.zeros((4, 5), np.uint16)))
    assert file._file is None
    np.testing.assert_array_equal(file.read(stored), np.zeros((4, 5)))


def test_an_array_takes_the_place_of_another_where_it_fits(file):
    first, kept = file.write(pack(noise(0))), file.write(pack(noise(1)))
    empty = file.write(pack(np.zeros((9, 7), np.uint8)), instead=first)
    second = file.write(pack(noise(2)), instead=empty)
    assert (second.start, second.room) == (first.start, first.room)
    larger = file.write(pack(noise(3, (90, 70))), instead=second)
    assert larger.start > kept.start
    np.testing.assert_array_equal(file.read(kept), noise(1))
    np.testing.assert_array_equal(file.read(larger), noise(3, (90, 70)))


def test_what_was_closed_makes_no_new_file(file):
    stored = file.write(pack(noise(0)))
    file.close()
    with pytest.raises(OSError, match="Expected an open file of test"):
        file.read(stored)
    with pytest.raises(OSError, match="Expected an open file of test"):
        file.write(pack(noise(1)))
    assert file._file is None


def test_closing_waits_for_a_thread_that_reads(file):
    """The lock is held while a file is moved to a place and read there."""
    stored = file.write(pack(noise(0)))
    closing = threading.Thread(target=file.close)
    with file._lock:
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        assert file._file is not None
    closing.join()
    assert stored.size
    assert file._file is None
