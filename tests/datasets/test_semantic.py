import numpy as np
import pytest

from napari_seggpt.datasets.base import IGNORED, DatasetError
from napari_seggpt.datasets.plain import open_plain
from napari_seggpt.datasets.semantic import (
    open_ade20k,
    open_cityscapes,
    open_isaid,
    open_loveda,
)


def test_ade20k_has_150_named_classes_and_ignores_the_rest(published, miniatures):
    dataset = open_ade20k(published("ade20k"), "validation")
    assert len(dataset.classes) == 150
    assert dataset.classes[7] == "class 7"
    truth = miniatures.scene([1, 2], 1)
    expected = np.where(truth == 0, IGNORED, truth)
    np.testing.assert_array_equal(dataset[0].labels(), expected)


def test_damaged_classes_are_said(miniatures, tmp_path):
    folder = miniatures.write("ade20k", tmp_path)
    (folder / "objectInfo150.txt").write_text("Idx\tName\nx\ty\n")
    with pytest.raises(DatasetError, match=r"the classes of ADE20K in .*Info150\.txt"):
        open_ade20k(folder, "validation")


def test_cityscapes_scores_19_label_ids(published):
    dataset = open_cityscapes(published("cityscapes"), "val")
    assert len(dataset.classes) == 19
    # 4, "static", and 0, "unlabelled", are not scored.
    assert set(np.unique(dataset[0].labels())) == {IGNORED, 7, 26}


def test_loveda_has_background_and_missing_data(published, miniatures):
    labels = open_loveda(published("loveda"), "Val")[0].labels()
    truth = miniatures.scene([1, 2, 7], 0)
    np.testing.assert_array_equal(labels, truth - 1)


def test_isaid_has_colours_for_classes(published, miniatures):
    dataset = open_isaid(published("isaid"), "val")
    truth = np.array([0, 1, 15])[miniatures.scene([1, 2], 0)]
    np.testing.assert_array_equal(dataset[0].labels(), truth)
    assert (dataset.classes[1], dataset.classes[15]) == ("ship", "harbor")


def test_a_folder_without_pairs_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(DatasetError, match="Expected images with labels in"):
        open_plain(tmp_path, "all")
