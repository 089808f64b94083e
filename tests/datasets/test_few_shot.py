"""Episodes; the golden ones were drawn once by HSNet's own code from the same lists."""

import pickle

import numpy as np
import pytest

from napari_seggpt.datasets.base import IGNORED, DatasetError
from napari_seggpt.datasets.coco20i import coco_fold
from napari_seggpt.datasets.fss1000 import fss_fold
from napari_seggpt.datasets.pascal5i import pascal_fold

GOLDEN = {
    "pascal": [
        (6, "4001", ["5001"]),
        (6, "4002", ["4001"]),
        (6, "5001", ["5002"]),
        (7, "5001", ["5002"]),
    ],
    "pascal, 5 shots": [(6, "4001", ["5001", "5002", "4002", "4002", "4002"])],
    "coco": [
        (76, "0152", ["0153"]),
        (20, "0039", ["0038"]),
        (80, "0161", ["0160"]),
        (32, "0062", ["0065"]),
    ],
    "fss": [
        ("abacus/1", "abacus/3"),
        ("abacus/10", "abacus/4"),
        ("abacus/2", "abacus/3"),
        ("abacus/3", "abacus/7"),
    ],
}


def drawn(fold, shots, count=4):
    return [
        (one.class_id, one.query.name[-4:], [x.name[-4:] for x in one.supports])
        for one in fold.episodes(shots, 0, count)
    ]


# -- PASCAL-5i ---------------------------------------------------------------------


def test_pascal_folds_are_five_classes_in_turn(published):
    folder, splits = published("voc"), published("hsnet-splits")
    folds = [pascal_fold(folder, i, splits) for i in range(4)]
    assert [fold.classes for fold in folds] == [
        (1, 2, 3, 4, 5), (6, 7, 8, 9, 10), (11, 12, 13, 14, 15), (16, 17, 18, 19, 20),
    ]  # fmt: skip
    assert len(list(folds[0].episodes(1, 0))) == 1000


def test_pascal_episodes_are_hsnets(published):
    fold = pascal_fold(published("voc"), 1, published("hsnet-splits"))
    assert drawn(fold, 1) == GOLDEN["pascal"]
    assert drawn(fold, 5, 1) == GOLDEN["pascal, 5 shots"]


def test_labels_of_an_episode_are_its_class(published):
    fold = pascal_fold(published("voc"), 0, published("hsnet-splits"))
    episode = next(fold.episodes(1, 0))
    whole = episode.query.sample.labels()
    labels = episode.query.labels()
    np.testing.assert_array_equal(labels == 1, whole == episode.class_id)
    np.testing.assert_array_equal(labels == IGNORED, whole == IGNORED)
    assert episode.query.image().shape == (90, 110, 3)


def test_without_lists_images_that_show_enough_are_taken(published):
    fold = pascal_fold(published("voc"), 2)
    for name, class_id in fold.listed:
        labels = next(
            one for one in fold.episodes(1, 0, len(fold.listed))
            if one.query.name == name and one.class_id == class_id
        ).query.labels()  # fmt: skip
        assert (labels == 1).sum() >= 2048
    assert {class_id for _, class_id in fold.listed} <= set(fold.classes)


def test_other_seeds_give_other_supports(published):
    fold = fss_fold(published("fss-1000"))
    supports = [
        [x.supports[0].name for x in fold.episodes(1, seed, 10)] for seed in (0, 0, 1)
    ]
    assert supports[0] == supports[1] != supports[2]


# -- COCO-20i ----------------------------------------------------------------------


def test_coco_episodes_are_hsnets(published):
    fold = coco_fold(published("coco-20i"), 3, published("hsnet-splits"))
    assert fold.classes == tuple(range(4, 81, 4))
    assert drawn(fold, 1) == GOLDEN["coco"]


def test_coco_lists_can_be_made_of_maps(published):
    fold = coco_fold(published("coco-20i"), 0)
    assert set(fold.classes) <= set(range(1, 81, 4))
    episode = next(fold.episodes(1, 0))
    assert (episode.query.labels() == 1).sum() >= 2048


def instances_of_2014(miniatures, folder):
    miniatures.write("coco-instances", folder)
    (folder / "val2017").rename(folder / "val2014")
    annotations = folder / "annotations"
    (annotations / "instances_val2017.json").rename(
        annotations / "instances_val2014.json"
    )
    return folder


def write_lists(folder, lists):
    file = folder / "coco" / "val" / "fold1.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps(lists))
    return folder


def test_lists_are_read_beside_instances(miniatures, tmp_path):
    folder = instances_of_2014(miniatures, tmp_path / "coco")
    names = sorted(file.name for file in (folder / "val2014").iterdir())
    listed = [f"val2014/{name}" for name in names[:2]]
    splits = write_lists(tmp_path / "splits", {1: listed})
    fold = coco_fold(folder, 1, splits)
    assert [f"val2014/{one.name}.jpg" for one in fold.by_class[2]] == listed
    other = write_lists(tmp_path / "other", {1: ["val2014/COCO_val2014_7.jpg"]})
    with pytest.raises(DatasetError, match=r"Expected val2014/COCO_val2014_7\.jpg in"):
        coco_fold(folder, 1, other)
    with pytest.raises(DatasetError, match="Expected lists of images in"):
        coco_fold(folder, 1, tmp_path / "nothing")


def test_coco_lists_can_be_made_of_instances(miniatures, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_seggpt.datasets.coco20i.FEWEST_PIXELS", 100)
    folder = instances_of_2014(miniatures, tmp_path)
    fold = coco_fold(folder, 1)  # the dog is the second class of this file
    assert fold.classes == (2,)
    episode = next(fold.episodes(1, 0))
    whole = episode.query.sample.sample.labels()
    np.testing.assert_array_equal(episode.query.labels() == 1, whole == 18)


def test_lists_cannot_run_code(published, tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("code ran",)

    file = tmp_path / "coco" / "val" / "fold0.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(pickle.dumps({0: Evil()}))
    with pytest.raises(DatasetError, match=r"builtins\.print instead of lists"):
        coco_fold(published("coco-20i"), 0, tmp_path)


# -- FSS-1000 ----------------------------------------------------------------------


def test_fss_episodes_are_hsnets(published):
    fold = fss_fold(published("fss-1000"), published("hsnet-splits"))
    assert fold.names == ("abacus", "bus")
    assert len(list(fold.episodes(1, 0, None))) == 20
    assert [
        (one.query.name, one.supports[0].name) for one in fold.episodes(1, 0, 4)
    ] == GOLDEN["fss"]


def test_without_a_list_all_categories_are_tested(published):
    assert fss_fold(published("fss-1000")).names == ("abacus", "bus", "hotel_slipper")


def test_a_category_with_one_image_is_refused(tmp_path, miniatures):
    folder = miniatures.write("voc", tmp_path)
    lists = tmp_path / "lists" / "pascal" / "val"
    lists.mkdir(parents=True)
    (lists / "fold0.txt").write_text("2007_000001__01\n")
    fold = pascal_fold(folder, 0, tmp_path / "lists")
    with pytest.raises(DatasetError, match="Expected several images of the class"):
        next(fold.episodes(1, 0))
