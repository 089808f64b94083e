import json

import numpy as np
import pytest

from napari_seggpt.training.dataset import (
    DataError,
    DataSet,
    LabelledImage,
    read_datasets,
)
from napari_seggpt.training.pack import write_pack


def test_a_pack_is_read_as_what_was_packed(data_folder, tmp_path):
    (data_folder / "datasets.json").write_text(
        json.dumps({"classes": {"sequences": {"one": ["2.png", "0.png"]}, "weight": 7}})
    )
    before = read_datasets(data_folder)
    num_bytes = write_pack(before, tmp_path / "pack")
    after = read_datasets(tmp_path / "pack")
    assert [one.name for one in after] == [one.name for one in before]
    for old, new in zip(before, after, strict=True):
        assert (new.label_kind, new.weight) == (old.label_kind, old.weight)
        assert new.sequences == old.sequences
        for one, other in zip(old.images, new.images, strict=True):
            np.testing.assert_array_equal(one.labels, other.labels)
            apart = one.image.astype(int) - other.image
            assert np.abs(apart).mean() < 5  # JPEG
    files = [path for path in (tmp_path / "pack").rglob("*") if path.is_file()]
    assert num_bytes == sum(path.stat().st_size for path in files)


@pytest.mark.parametrize("largest", [3, 255, 65534])
def test_what_is_unknown_stays_so(largest, tmp_path):
    labels = np.array([[-1, 0, 1, largest]], np.int32)
    image = np.zeros((1, 4), np.uint8)
    images = [LabelledImage(image=image, labels=x) for x in (labels, labels * 0)]
    write_pack(
        [DataSet(name="a", label_kind="semantic", images=images)], tmp_path / "p"
    )
    (read,) = read_datasets(tmp_path / "p")
    for one, other in zip(read.images, images, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
    assert read.shown(0) == {1, largest}


def test_unknown_pixels_need_a_number_of_their_own(tmp_path):
    images = [
        LabelledImage(image=np.zeros((1, 2), np.uint8), labels=np.array([[-1, 65535]]))
    ]
    with pytest.raises(DataError, match="ids up to 65534, got 65535"):
        write_pack(
            [DataSet(name="a", label_kind="semantic", images=images)], tmp_path / "p"
        )


def test_a_pack_is_never_written_over(data_folder, tmp_path):
    (tmp_path / "pack").mkdir()
    with pytest.raises(DataError, match="a folder that does not exist"):
        write_pack(read_datasets(data_folder), tmp_path / "pack")


def test_sets_of_one_name_are_refused(data_folder, tmp_path):
    datasets = read_datasets(data_folder)
    with pytest.raises(DataError, match="different names, got classes"):
        write_pack([datasets[0], datasets[0]], tmp_path / "pack")
