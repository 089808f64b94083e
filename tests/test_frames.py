from itertools import pairwise

import numpy as np
import pytest

from napari_seggpt.frames import NUM_CONTRAST_FRAMES, FrameGrid, evenly, sample_frames


@pytest.mark.parametrize(
    ("items", "count", "chosen"),
    [
        ([3, 4], 6, [3, 4]),
        (range(10, 20), 2, [10, 19]),
        (range(6), 3, [0, 2, 5]),
        (range(6), 1, [0]),
        (range(6), 0, []),
        ([], 3, []),
    ],
)
def test_items_are_chosen_evenly_from_the_first_to_the_last(
    items: range, count: int, chosen: list[int]
) -> None:
    assert evenly(items, count) == chosen


class Stack:
    """A stack that notes which of them are read."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.reads: list[int] = []

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return np.full((2, 2), index)


@pytest.mark.parametrize("length", [0, 1, 5, 9, 1000])
def test_a_few_frames_are_sampled_for_the_contrast(length: int) -> None:
    stack = Stack(length)
    values = [int(sampled[0, 0]) for sampled in sample_frames(stack)]
    assert values == stack.reads
    assert len(values) == min(length, NUM_CONTRAST_FRAMES)
    if length > 1:
        assert (values[0], values[-1]) == (0, length - 1)
        gaps = np.diff(values)
        assert gaps.max() - gaps.min() <= 1


FILM = FrameGrid(shape=(3, 4), names=("t", "z"))  # of volumes: 3 times, 4 slices


@pytest.mark.parametrize("axis", [0, 1])
def test_every_frame_has_a_place_in_a_line(axis: int) -> None:
    grid = FILM.along(axis)
    for frame in range(12):
        line, place = grid.line(frame), grid.place(frame)
        assert grid.frame_at(line, place) == frame
        assert grid.frames_of(line)[place] == frame
        assert 0 <= place < grid.line_length
    assert FILM.along(1).line(7) == FILM.along(0).place(7) == 1


def test_frames_of_a_single_axis_lie_in_one_line() -> None:
    grid = FrameGrid.row(5)
    assert [grid.place(frame) for frame in grid.frames_of(0)] == [0, 1, 2, 3, 4]
    assert grid.along(0) == grid
    assert grid.distance(1, 4) == 3
    assert grid.name(4) == "4"


def test_near_are_frames_that_are_near_on_either_axis() -> None:
    assert FILM.distance(1, 9) == 2  # two times on
    assert FILM.distance(3, 4) == 4  # the last slice of a volume, the next first one
    away = FILM.distances_to([5, 6])
    assert [away(frame) for frame in (5, 1, 0, 11)] == [0, 1, 2, 2]


def test_people_call_a_frame_by_its_place_on_both_axes() -> None:
    assert FILM.name(7) == FILM.short_name(7) == "t 1, z 3"
    unnamed = FrameGrid(shape=(3, 4), names=("axis 0", "axis 2"))
    assert unnamed.name(7) == "axis 0 at 1, axis 2 at 3"
    assert unnamed.short_name(7) == "1, 3"
    assert FrameGrid.row(9).short_name(7) == "7"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("step", range(1, 9))
def test_every_so_many_frames_are_evenly_apart_in_their_lines(
    axis: int, step: int
) -> None:
    grid = FrameGrid(shape=(30, 20), names=("t", "z"), axis=axis)
    lines: dict[int, list[int]] = {}
    for frame in range(0, 600, step):
        lines.setdefault(grid.line(frame), []).append(grid.place(frame))
    apart = {b - a for places in lines.values() for a, b in pairwise(places)}
    assert apart == {grid.spacing(step)}
    assert FrameGrid.row(600).spacing(step) == step
