"""Axes that a TIFF names, of layers as napari's own reader makes them."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image

from napari_seggpt.ui.layers.file_axes import file_axis_names
from napari_seggpt.ui.layers.frame_axes import axis_names, stack_axes


@pytest.fixture
def opened(tmp_path):
    """Write a TIFF, and open it with napari's own reader."""

    def open_file(shape, *, name="film.ome.tif", **options):
        values = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
        tifffile.imwrite(tmp_path / name, values, **options)
        (layer,) = ViewerModel().open(tmp_path / name, plugin="napari")
        return layer

    return open_file


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((5, 8, 9), "TYX", ["t", "y", "x"]),
        ((3, 5, 8, 9), "TZYX", ["t", "z", "y", "x"]),
        ((2, 3, 8, 9), "TCYX", ["t", "c", "y", "x"]),
        ((5, 80, 90, 3), "TYXS", ["t", "y", "x"]),
    ],
)
def test_an_ome_tiff_names_the_axes_of_its_layer(opened, shape, axes, expected):
    options = {"photometric": "rgb"} if axes.endswith("S") else {}
    layer = opened(shape, metadata={"axes": axes}, **options)
    assert layer.axis_labels[0].startswith("-")  # or it needs no reading
    assert axis_names(layer) == expected


def test_a_film_of_imagej_runs_along_time(opened):
    layer = opened((5, 8, 9), name="film.tif", imagej=True, metadata={"axes": "TYX"})
    assert stack_axes(layer) == [(0, "t")]


def test_what_a_file_does_not_name_stays_without_a_name(opened):
    layer = opened((5, 8, 9), name="pages.tif")
    assert file_axis_names(layer) is None
    assert stack_axes(layer) == [(0, "axis 0")]


def test_colours_that_napari_shows_as_a_plane_are_no_frames(opened):
    """The viewer shows 9 x 3 pixels: so does the dock."""
    layer = opened((5, 8, 9, 3), metadata={"axes": "TYXS"}, photometric="rgb")
    assert not layer.rgb
    assert file_axis_names(layer) is None


def test_names_of_the_layer_come_first(opened):
    layer = opened((5, 8, 9), metadata={"axes": "TYX"})
    layer.axis_labels = ("z", "y", "x")
    assert axis_names(layer) == ["z", "y", "x"]


def test_other_data_has_no_names_of_the_file(opened):
    layer = opened((5, 8, 9), metadata={"axes": "TYX"})
    assert file_axis_names(layer) == ["t", "y", "x"]
    layer.data = np.zeros((6, 8, 9), np.uint16)
    assert file_axis_names(layer) is None
    layer.data = np.zeros((5, 1, 8, 9), np.uint16)
    assert file_axis_names(layer) == ["t", "z", "y", "x"]


def test_a_file_that_is_gone_or_no_tiff_names_nothing(opened, tmp_path):
    layer = opened((5, 8, 9), metadata={"axes": "TYX"})
    (tmp_path / "film.ome.tif").unlink()
    assert file_axis_names(layer) is None
    assert file_axis_names(Image(np.zeros((5, 8, 9)))) is None
