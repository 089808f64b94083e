import builtins
import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.datasets.coco import (
    open_instances,
    open_paco,
    open_panoptic,
    open_stuff,
    pack_ids,
    unpack_ids,
)


def test_masks_are_those_of_pycocotools(published):
    folder = published("coco-instances")
    with contextlib.redirect_stdout(io.StringIO()):
        official = COCO(folder / "annotations" / "instances_val2017.json")
    dataset = open_instances(folder, "val2017")
    assert len(dataset) == len(official.imgs) == 2
    for sample, image_id in zip(dataset.samples, official.imgs, strict=True):
        annotations = official.loadAnns(official.getAnnIds(image_id))
        objects = list(sample.objects())
        assert len(objects) == len(annotations) == 3
        for ours, theirs in zip(objects, annotations, strict=True):
            np.testing.assert_array_equal(ours.mask, official.annToMask(theirs))
            assert ours.class_id == theirs["category_id"]
            assert ours.is_crowd == bool(theirs["iscrowd"])


def test_the_map_of_classes_is_what_was_drawn(published, miniatures):
    labels = open_instances(published("coco-instances"), "val2017")[0].labels()
    truth = miniatures.scene([1, 18], 1)
    truth[-3:, :5] = 1  # the crowd
    np.testing.assert_array_equal(labels, truth)


def test_small_objects_lie_over_large_ones(published):
    labels = open_paco(published("paco"), "val")[0].labels()
    assert 0 < (labels == 76).sum() < (labels == 1).sum()


def test_paco_takes_images_from_another_subset(published):
    sample = open_paco(published("paco"), "val")[0]
    assert sample.image_file.parent.name == "train2017"
    assert sample.image().shape == (36, 48, 3)


def test_stuff_is_numbered_from_one(published, miniatures):
    dataset = open_stuff(published("coco-stuff"), "val2017")
    assert len(dataset.classes) == 182
    truth = miniatures.scene([1, 149], 1)
    np.testing.assert_array_equal(dataset[0].labels(), np.where(truth == 0, -1, truth))


def test_panoptic_segments_and_classes(published):
    dataset = open_panoptic(published("coco-panoptic"), "val2017")
    assert dataset.things == {1, 18}
    assert dataset.classes[149] == "grass"
    sample = dataset[1]
    ids = sample.segment_map()
    assert set(np.unique(ids)) == {0, *sample.segments}
    assert 65536 * 2 + 18 in sample.segments  # all three bytes count
    labels = sample.labels()
    assert (labels[ids == 0] == -1).all()
    for number, segment in sample.segments.items():
        assert (labels[ids == number] == segment.class_id).all()


def test_ids_are_packed_as_colours():
    ids = np.array([[0, 255, 256, 65536, 16777215]])
    colors = pack_ids(ids)
    assert colors.dtype == np.uint8
    assert colors[0, 2].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(unpack_ids(colors), ids)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("no json", "Expected annotations in"),
        ("[]", "Expected images, annotations, categories"),
        (
            json.dumps({"images": [{}], "annotations": [], "categories": []}),
            "Expected objects in .*, got: no 'file_name'",
        ),
    ],
)
def test_a_damaged_file_is_said(tmp_path, content, said):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_val2017.json").write_text(content)
    with pytest.raises(DatasetError, match=said):
        open_instances(tmp_path, "val2017")


def test_missing_pngs_are_said(miniatures, tmp_path):
    folder = miniatures.write("coco-panoptic", tmp_path)
    maps = folder / "annotations" / "panoptic_val2017"
    maps.rename(folder / "elsewhere")
    with pytest.raises(DatasetError, match=r"Expected the PNG files of panoptic_val"):
        open_panoptic(folder, "val2017")
    (folder / "elsewhere").rename(folder / "panoptic_val2017")
    assert open_panoptic(folder, "val2017")[0].labels().shape == (36, 48)


def test_without_pycocotools_it_is_said_what_to_install(published, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args):
        if name.startswith("pycocotools"):
            raise ImportError(name)
        return real(name, *args)

    sample = open_instances(published("coco-instances"), "val2017")[0]
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DatasetError, match=r"napari-seggpt\[paper\]"):
        sample.labels()
