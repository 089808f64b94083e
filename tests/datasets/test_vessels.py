import numpy as np
import pytest

from napari_seggpt.datasets.base import IGNORED, DatasetError
from napari_seggpt.datasets.vessels import open_chase_db1, open_drive, open_stare


def test_what_the_camera_did_not_see_is_ignored(published, miniatures):
    dataset = open_drive(published("drive"), "test")
    expected = miniatures.scene([1], 1)
    expected[:2] = IGNORED
    np.testing.assert_array_equal(dataset[0].labels(), expected)
    assert dataset[0].image().shape == (*miniatures.SHAPE, 3)


def test_packed_files_are_read_as_they_are(published, miniatures):
    sample = open_stare(published("stare"), "all")[1]
    assert sample.name == "im0002"
    np.testing.assert_array_equal(sample.labels(), miniatures.scene([1], 2))


def test_an_image_without_vessels_is_left_out(miniatures, tmp_path):
    folder = miniatures.write("chase-db1", tmp_path)
    (folder / "Image_01L_1stHO.png").unlink()
    (sample,) = open_chase_db1(folder, "all")
    assert sample.name == "Image_01R"
    (folder / "Image_01R_1stHO.png").unlink()
    with pytest.raises(DatasetError, match="Expected images with labels"):
        open_chase_db1(folder, "all")
