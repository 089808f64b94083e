import json

import numpy as np
import pytest

from napari_seggpt.training.dataset import DataError, read_datasets
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


def test_a_pack_is_never_written_over(data_folder, tmp_path):
    (tmp_path / "pack").mkdir()
    with pytest.raises(DataError, match="a folder that does not exist"):
        write_pack(read_datasets(data_folder), tmp_path / "pack")


def test_sets_of_one_name_are_refused(data_folder, tmp_path):
    datasets = read_datasets(data_folder)
    with pytest.raises(DataError, match="different names, got classes"):
        write_pack([datasets[0], datasets[0]], tmp_path / "pack")
