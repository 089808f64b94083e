import numpy as np
import pytest

from napari_seggpt.datasets.base import DatasetError, ImageDataset
from napari_seggpt.datasets.layouts import (
    LAYOUTS,
    find_folders,
    matching,
    needs_of,
    open_dataset,
)
from napari_seggpt.datasets.videos import VideoDataset

# Layout, the subset that is opened first, samples, and which classes its first has.
OPENED = {
    "ade20k": ("validation", 2, {-1, 1, 2}),
    "chase-db1": ("all", 2, {0, 1}),
    "cityscapes": ("val", 2, {-1, 7, 26}),
    "coco-instances": ("val2017", 2, {0, 1, 18}),
    "coco-panoptic": ("val2017", 2, {-1, 1, 18, 149}),
    "coco-stuff": ("val2017", 2, {-1, 1, 149}),
    "drive": ("test", 2, {-1, 0, 1}),
    "fss-1000": ("all", 30, {0, 1}),
    "hrf": ("all", 2, {-1, 0, 1}),
    "isaid": ("val", 2, {0, 1, 15}),
    "lip": ("val", 2, {0, 2, 13, 19}),
    "loveda": ("Val", 4, {-1, 0, 1, 6}),
    "paco": ("val", 2, {0, 1, 76}),
    "plain": ("all", 4, {0, 1, 3}),
    "sbd": ("val", 2, {0, 3, 7}),
    "stare": ("all", 2, {0, 1}),
    "voc": ("val", 40, {-1, 0, 1, 2}),
}
VIDEOS = {
    "cell-tracking": ("gold", 1),
    "davis2016": ("val", 1),
    "davis2017": ("val", 2),
    "mose": ("valid", 1),
    "youtube-vos": ("valid", 2),
}


def test_every_layout_is_tested():
    assert {layout.name for layout in LAYOUTS} == {*OPENED, *VIDEOS}


@pytest.mark.parametrize("name", OPENED)
def test_images_are_found_by_their_folder(published, name):
    subset, count, classes = OPENED[name]
    dataset = open_dataset(published(name))
    assert isinstance(dataset, ImageDataset)
    assert (dataset.subset, len(dataset)) == (subset, count)
    sample = dataset[0]
    labels = sample.labels()
    assert sample.image().shape[:2] == labels.shape
    assert {int(i) for i in np.unique(labels)} == classes
    assert classes - {-1, 0} <= set(dataset.classes) or name == "plain"


@pytest.mark.parametrize("name", VIDEOS)
def test_videos_are_found_by_their_folder(published, name):
    dataset = open_dataset(published(name))
    assert isinstance(dataset, VideoDataset)
    assert (dataset.subset, len(dataset)) == VIDEOS[name]
    assert dataset[0][0].shape[:2] == (36, 48)


def test_another_subset_may_be_asked_for(published):
    dataset = open_dataset(published("ade20k"), subset="training")
    assert (dataset.subset, len(dataset)) == ("training", 3)
    expected = "Expected one of validation, training of ADE20K .*, got 'test'"
    with pytest.raises(DatasetError, match=expected):
        open_dataset(published("ade20k"), subset="test")


def test_what_is_scored_is_not_learned_from(miniatures, tmp_path):
    folder = miniatures.write("coco-instances", tmp_path)
    assert open_dataset(folder, to_learn_from=True).subset == "train2017"
    for file in (folder / "annotations").glob("*train*"):
        file.unlink()
    with pytest.raises(DatasetError, match="train2017 or train2014 of COCO instances"):
        open_dataset(folder, to_learn_from=True)
    told = open_dataset(folder, subset="val2017", to_learn_from=True)
    assert told.subset == "val2017"
    plain = miniatures.write("plain", tmp_path / "plain")
    assert open_dataset(plain, to_learn_from=True).subset == "all"


def test_another_folder_is_told_what_is_known(tmp_path):
    with pytest.raises(DatasetError, match="as it is published") as error:
        open_dataset(tmp_path)
    for layout in LAYOUTS:
        assert layout.title in str(error.value)
    with pytest.raises(DatasetError, match=r"Expected one of ade20k, .*, got 'mnist'"):
        open_dataset(tmp_path, layout="mnist")


def test_a_folder_that_holds_several_needs_to_be_told_which(miniatures, tmp_path):
    for name in ("coco-instances", "coco-panoptic"):
        miniatures.write(name, tmp_path)
    expected = "told which of coco-instances, coco-panoptic"
    with pytest.raises(DatasetError, match=expected):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, layout="coco-panoptic").title == "COCO panoptic"


def test_a_special_case_hides_the_general_one(published):
    assert [x.name for x in matching(published("davis2017"))] == ["davis2017"]
    assert [x.name for x in matching(published("youtube-vos"))] == ["youtube-vos"]
    folder = published("davis2017")
    assert len(open_dataset(folder, layout="davis2016")) == 2


def test_folders_are_found_below_the_one_that_is_named(miniatures, tmp_path):
    miniatures.write("voc", tmp_path / "VOCdevkit" / "VOC2012")
    miniatures.write("mose", tmp_path / "MOSE")
    found = find_folders(tmp_path, needs_of("voc", "mose", "ade20k"))
    assert found == {
        "voc": tmp_path / "VOCdevkit" / "VOC2012",
        "mose": tmp_path / "MOSE",
    }


def test_a_folder_that_only_looks_like_another_is_not_found(published):
    folder = published("youtube-vos")
    assert set(find_folders(folder, needs_of("youtube-vos", "mose"))) == {"youtube-vos"}
    assert find_folders(folder, needs_of("mose")) == {}
    both = find_folders(published("davis2017"), needs_of("davis2016", "davis2017"))
    assert len(both) == 2
