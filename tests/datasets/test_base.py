import gzip

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.datasets.base import (
    IGNORED,
    DatasetError,
    class_table,
    lookup,
    read_grey,
    read_lines,
    read_rgb,
    read_values,
    understood,
)


def test_images_of_any_kind_are_rgb(tmp_path):
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    picture = read_rgb(tmp_path / "grey.png")
    np.testing.assert_array_equal(picture, np.stack([grey] * 3, -1))
    (tmp_path / "grey.png.gz").write_bytes(
        gzip.compress((tmp_path / "grey.png").read_bytes())
    )
    np.testing.assert_array_equal(read_rgb(tmp_path / "grey.png.gz"), picture)


def test_of_a_palette_image_the_indices_are_read(tmp_path):
    indices = np.array([[0, 3], [255, 1]], np.uint8)
    image = Image.fromarray(indices)
    image.putpalette([7, 8, 9] * 256)
    image.save(tmp_path / "labels.png")
    np.testing.assert_array_equal(read_values(tmp_path / "labels.png"), indices)


def test_grey_is_pillows(tmp_path):
    colors = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "a.png")
    expected = np.asarray(Image.fromarray(colors).convert("L"))
    np.testing.assert_array_equal(read_grey(tmp_path / "a.png"), expected)


def test_what_is_no_image_is_said(tmp_path):
    with pytest.raises(DatasetError, match=r"Expected an image at .*none\.png"):
        read_rgb(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(DatasetError, match=r"Expected an image at .*text\.png"):
        read_values(tmp_path / "text.png")
    with pytest.raises(DatasetError, match="Expected a list of samples"):
        read_lines(tmp_path / "none.txt")


def test_a_table_gives_every_value_a_class():
    table = class_table({0: 0, 7: 2})
    values = np.array([[0, 7, 9, 255]], np.uint8)
    np.testing.assert_array_equal(lookup(table, values), [[0, 2, IGNORED, IGNORED]])


@pytest.mark.parametrize(
    ("error", "said"), [(KeyError("id"), "no 'id'"), (TypeError("odd"), "odd")]
)
def test_which_file_makes_no_sense_is_said(tmp_path, error, said):
    with (
        pytest.raises(DatasetError, match=rf"Expected lists in .*a\.json, got: {said}"),
        understood("lists", tmp_path / "a.json"),
    ):
        raise error
