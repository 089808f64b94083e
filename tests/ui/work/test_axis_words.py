"""What the dock calls axes: by their names, or as napari's sliders do."""

import numpy as np
import pytest
from napari.layers import Image

from napari_seggpt.ui.work.axis_words import axes_in_words, in_words, places_in_words


def image(names):
    return Image(np.zeros((4, 5, 6, 7), np.uint8), axis_labels=names)


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (("t", "z", "y", "x"), "t 3, z 2"),
        (("t", "", "y", "x"), "t 3, slider -3 at 2"),
        (("t", "angle", "y", "x"), "t 3, angle at 2"),
        (None, "slider -4 at 3, slider -3 at 2"),
    ],
)
def test_places(names, places):
    assert places_in_words(image(names), ((0, 3), (1, 2))) == places


def test_axes():
    assert axes_in_words(image(None), (0, 1)) == "slider -4 and slider -3"
    assert axes_in_words(image(("t", "z", "y", "x")), 1) == "z"
    assert axes_in_words(image(None), None) == ""


def test_a_name_that_looks_like_a_number_of_an_axis_stays():
    layer = image(("t", "my axis 1", "y", "x"))
    assert in_words(layer, "my axis 1: 5") == "my axis 1: 5"


def test_colours_are_no_axis():
    layer = Image(np.zeros((4, 8, 9, 3), np.uint8), rgb=True)
    assert in_words(layer, "axis 0: 4") == "frames: 4"
