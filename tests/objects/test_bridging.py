"""Labels between two labelled frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_seggpt.objects.bridging import Bridge

SIDE = 64
GRID = np.mgrid[:SIDE, :SIDE]


def disc(row: float, column: float, radius: float, label: int = 1) -> np.ndarray:
    inside = np.hypot(GRID[0] - row, GRID[1] - column) <= radius
    return np.where(inside, label, 0).astype(np.uint8)


def dice(some: np.ndarray, other: np.ndarray) -> float:
    return 2 * np.sum((some > 0) & (other > 0)) / np.sum((some > 0) + 0.0 + (other > 0))


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_a_disc_that_moves_and_grows(share: float) -> None:
    """Even where the two do not overlap."""
    bridge = Bridge(disc(14, 14, 8), disc(46, 40, 14))
    true = disc(14 + 32 * share, 14 + 26 * share, 8 + 6 * share)
    assert dice(bridge.at(share), true) > 0.95


def test_both_ends_are_as_they_were() -> None:
    before = disc(14, 14, 8) + disc(40, 40, 9, label=2)
    after = disc(20, 18, 9) + disc(12, 50, 5, label=3)
    bridge = Bridge(before, after)
    np.testing.assert_array_equal(bridge.at(0), before)
    np.testing.assert_array_equal(bridge.at(1), after)
    assert bridge.at(0.3).dtype == np.uint8


def test_what_only_one_frame_has_is_gone_half_way() -> None:
    bridge = Bridge(disc(30, 30, 10), np.zeros((SIDE, SIDE), np.uint8))
    areas = [int((bridge.at(share) > 0).sum()) for share in (0, 0.2, 0.4, 0.5, 1)]
    assert areas == sorted(areas, reverse=True)
    assert areas[2] > 0
    assert areas[3:] == [0, 0]
    assert not Bridge(*[np.zeros((SIDE, SIDE), int)] * 2).at(0.5).any()


def test_labels_do_not_run_into_each_other() -> None:
    before = disc(32, 18, 10) + disc(32, 46, 10, label=2)
    middle = Bridge(before, before).at(0.5)
    np.testing.assert_array_equal(middle, before)


def test_several_objects_of_one_label_stay_where_they_are() -> None:
    before = disc(16, 16, 8) + disc(46, 46, 9)
    after = disc(18, 17, 8) + disc(44, 46, 7)
    assert dice(Bridge(before, after).at(0.5), disc(17, 16, 8) + disc(45, 46, 8)) > 0.9


@given(
    labels=st.lists(st.integers(0, 3), min_size=32, max_size=32), share=st.floats(0, 1)
)
def test_no_new_label_appears(labels: list[int], share: float) -> None:
    before, after = np.array(labels).reshape(2, 4, 4)
    found = Bridge(before, after).at(share)
    assert {*np.unique(found)} <= {0, *np.unique(before), *np.unique(after)}


def test_shapes_have_to_fit() -> None:
    with pytest.raises(ValueError, match="Expected labels of one shape"):
        Bridge(np.zeros((3, 3), int), np.zeros((3, 4), int))
