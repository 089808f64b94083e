import tempfile

import numpy as np
import pytest

from napari_seggpt.session.frames.confidence_maps import (
    MAPS_OF_A_FRAME,
    ConfidenceMaps,
)


@pytest.fixture
def maps():
    maps = ConfidenceMaps()
    yield maps
    maps.close()


def noise(seed, shape=(9, 7)):
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def test_maps_come_back(maps):
    for frame in range(5):
        maps.put(frame, b"%d" % frame, noise(frame))
    for frame in (3, 0, 4):
        np.testing.assert_array_equal(maps.get(frame, b"%d" % frame), noise(frame))
    assert len(maps) == 5


def test_a_map_of_other_labels_is_not_shown(maps):
    maps.put(1, b"old", noise(1))
    assert maps.get(1, b"new") is None
    assert maps.get(2, b"old") is None


def test_maps_of_the_last_runs_are_kept(maps):
    for run in range(MAPS_OF_A_FRAME + 2):
        maps.put(1, b"%d" % run, noise(run))
    assert not maps.has(1, b"1")
    for run in range(2, MAPS_OF_A_FRAME + 2):
        np.testing.assert_array_equal(maps.get(1, b"%d" % run), noise(run))


def test_of_the_same_labels_the_last_map_is_kept(maps):
    maps.put(1, b"a", noise(0))
    maps.share(1, b"a", b"renamed")
    maps.put(1, b"b", noise(1))
    maps.put(1, b"a", noise(2))
    np.testing.assert_array_equal(maps.get(1, b"a"), noise(2))
    np.testing.assert_array_equal(maps.get(1, b"renamed"), noise(0))
    np.testing.assert_array_equal(maps.get(1, b"b"), noise(1))


def test_the_file_does_not_grow_with_every_run(maps):
    runs = 4 * MAPS_OF_A_FRAME
    for run in range(runs):
        for frame in range(3):
            maps.put(frame, b"%d" % run, np.full((50, 50), run, np.uint8))
    size = maps._file._file.seek(0, 2)
    assert size < 3 * MAPS_OF_A_FRAME * 60
    last = b"%d" % (runs - 1)
    for frame in range(3):
        np.testing.assert_array_equal(
            maps.get(frame, last), np.full((50, 50), runs - 1)
        )


def test_larger_maps_find_another_place(maps):
    for frame in range(3):
        maps.put(frame, b"a", np.zeros((60, 60), np.uint8))
    maps.put(1, b"b", noise(1, (60, 60)))
    np.testing.assert_array_equal(maps.get(1, b"b"), noise(1, (60, 60)))
    for frame in (0, 2):
        np.testing.assert_array_equal(maps.get(frame, b"a"), np.zeros((60, 60)))


def test_a_full_disk_costs_the_map_only(maps, monkeypatch, caplog):
    def full(**_):
        raise OSError("no space left")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    maps.put(0, b"a", noise(0))
    assert maps.get(0, b"a") is None
    assert "no space left" in caplog.text


def test_closed_it_has_none(maps):
    maps.put(0, b"a", noise(0))
    maps.close()
    assert maps.get(0, b"a") is None
    assert len(maps) == 0
