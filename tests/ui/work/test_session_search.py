"""Where the frames of a saved session lie, told by its place."""

import numpy as np
import pytest
from napari.layers import Image

from napari_seggpt.ui.layers.layer_choice import first_choice
from napari_seggpt.ui.work.session_search import choice_at

UNNAMED, NAMED = None, ("t", "c", "y", "x")


def choice_of(names, shape=(8, 2, 12, 14), **kwargs):
    return first_choice(Image(np.zeros(shape, np.uint8), axis_labels=names, **kwargs))


@pytest.mark.parametrize(
    ("names", "place", "channel_axis", "fixed"),
    [
        (UNNAMED, "axis 0, 1 at 1", None, ((1, 1),)),
        (UNNAMED, "axis 0", 1, ()),  # somebody took the axis for that of channels
        (NAMED, "axis 0", 1, ()),
        (NAMED, "axis 0, 1 at 1", None, ((1, 1),)),  # or that of channels for no such
    ],
)
def test_channels_that_a_person_chose_are_found(names, place, channel_axis, fixed):
    there = choice_at(choice_of(names), place)
    assert (there.axis, there.channel_axis, there.fixed) == (0, channel_axis, fixed)
    assert len(there.stack()) == 8


def test_another_axis_of_channels_is_found():
    choice = choice_of(("t", "c", "angle", "y", "x"), (8, 2, 3, 12, 14))
    there = choice_at(choice, "axis 0, 1 at 1")
    assert (there.channel_axis, there.fixed) == (2, ((1, 1),))


@pytest.mark.parametrize(
    "place", ["axis 0, 2 at 1", "axis 0, 1 at 5", "axis 7", "axis None", "nonsense"]
)
def test_frames_that_there_are_not_are_not_found(place):
    assert choice_at(choice_of(UNNAMED), place) is None


def test_two_more_fixed_axes_cannot_both_have_channels():
    choice = choice_of(("t", "a", "b", "y", "x"), (8, 2, 3, 12, 14))
    assert choice_at(choice, "axis 0") is None


def test_colours_have_no_channels_beside():
    choice = choice_of(("t", "z", "y", "x"), (8, 2, 12, 14, 3), rgb=True)
    assert choice_at(choice, "axis 0") is None
