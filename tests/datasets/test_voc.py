import numpy as np
import pytest

from napari_seggpt.datasets.base import IGNORED, DatasetError
from napari_seggpt.datasets.voc import open_sbd, open_voc


def test_borders_are_ignored(published, miniatures):
    dataset = open_voc(published("voc"), "val")
    labels = dataset[0].labels()
    assert (labels[:, 0] == IGNORED).all()
    truth = miniatures.scene([1, 2], 1, (90, 110))
    np.testing.assert_array_equal(labels[:, 1:], truth[:, 1:])


def test_objects_are_of_the_class_of_their_pixels(published):
    sample = open_voc(published("voc"), "val")[4]
    labels = sample.labels()
    objects = list(sample.objects())
    assert [one.class_id for one in objects] == [3, 4]
    for one in objects:
        np.testing.assert_array_equal(one.mask, labels == one.class_id)


def test_sbd_is_read_from_matlab_files(published, miniatures):
    sample = open_sbd(published("sbd"), "train")[1]
    truth = miniatures.scene([3, 7], 1)
    np.testing.assert_array_equal(sample.labels(), truth)
    assert [one.class_id for one in sample.objects()] == [3, 7]


def test_a_damaged_matlab_file_is_said(miniatures, tmp_path):
    folder = miniatures.write("sbd", tmp_path)
    sample = open_sbd(folder, "val")[0]
    sample.label_file.write_bytes(b"text")
    with pytest.raises(DatasetError, match="Expected GTcls of SBD in"):
        sample.labels()


def test_objects_may_be_missing(miniatures, tmp_path):
    folder = miniatures.write("voc", tmp_path)
    sample = open_voc(folder, "val")[0]
    sample.object_file.unlink()
    with pytest.raises(DatasetError, match="Expected objects of 2007_000001"):
        next(sample.objects())
