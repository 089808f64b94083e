from typing import Any, get_args

import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.session import FrameStatus, Scope
from napari_seggpt.session.runs.planning import (
    between,
    direction_of,
    frames_in_scope,
    line_axis,
    neighbours,
    reachable,
    refusal,
    step_of,
)
from napari_seggpt.settings import PropagationSettings

SCOPES = get_args(Scope)
ROW = FrameGrid.row(6)
FILM = FrameGrid(shape=(3, 4), names=("t", "z"))  # of volumes: 3 times, 4 slices


@pytest.mark.parametrize(
    ("scope", "frames"),
    [
        ("frame", [3]),
        ("forward", [3, 4, 5]),
        ("backward", [0, 1, 2, 3]),
        ("all", [0, 1, 2, 3, 4, 5]),
        ("stale", [0, 1, 2, 3, 4, 5]),
        ("range", [1, 3]),
    ],
)
def test_scopes(scope: Any, frames: list[int]) -> None:
    settings = PropagationSettings(start=1, stop=5, step=2)
    assert list(frames_in_scope(scope, 3, ROW, settings)) == frames


@pytest.mark.parametrize("scope", SCOPES)
def test_only_a_range_leaves_frames_out_by_design(scope: Any) -> None:
    settings = PropagationSettings(step=3)
    assert step_of(scope, settings, ROW) == (3 if scope == "range" else 1)


@pytest.mark.parametrize(
    ("start", "stop", "frames"),
    [(4, None, [4, 5]), (4, 99, [4, 5]), (4, 4, []), (9, None, []), (5, 2, [])],
)
def test_ranges_end_with_the_stack(
    start: int, stop: int | None, frames: list[int]
) -> None:
    settings = PropagationSettings(start=start, stop=stop)
    assert list(frames_in_scope("range", 0, ROW, settings)) == frames


@pytest.mark.parametrize("current", [-1, 6])
@pytest.mark.parametrize("scope", SCOPES)
def test_a_frame_that_is_not_there(scope: Any, current: int) -> None:
    with pytest.raises(ValueError, match=f"a frame from 0 to 5, got {current}"):
        frames_in_scope(scope, current, ROW, PropagationSettings())


def test_a_scope_that_is_not_there() -> None:
    scope: Any = "some"
    with pytest.raises(ValueError, match=r"one of frame, range, .*, got 'some'"):
        frames_in_scope(scope, 0, ROW, PropagationSettings())


@pytest.mark.parametrize("scope", SCOPES)
def test_the_direction_is_as_set_where_nobody_has_said_which_frames(
    scope: Any,
) -> None:
    settings = PropagationSettings(direction="forward")
    expected = "forward" if scope in ("range", "all") else "both"
    assert direction_of(scope, settings) == expected


@pytest.mark.parametrize(
    ("direction", "frames"),
    [
        ("both", [0, 1, 3, 5]),
        ("forward", [3, 5]),  # 2 is a reference
        ("backward", [0, 1, 3]),  # and so is 4
    ],
)
def test_frames_are_reached_from_a_reference(direction: Any, frames: list[int]) -> None:
    assert reachable([0, 1, 3, 5], [2, 4], direction, ROW) == frames
    assert reachable([0, 1, 3, 5], [], direction, ROW) == [0, 1, 3, 5]  # from examples


def test_why_nothing_is_predicted() -> None:
    assert "up to date" in refusal("stale", "3", FrameStatus.PREDICTED)
    approved = refusal("frame", "3", FrameStatus.APPROVED)
    assert "got frame 3" in approved
    assert "approved" in approved
    for scope, status in [("all", FrameStatus.APPROVED), ("frame", FrameStatus.EMPTY)]:
        assert "no reference lies on the side" in refusal(scope, "3", status)


@pytest.mark.parametrize(
    ("scope", "frames"),
    [("row", [4, 5, 6, 7]), ("column", [1, 5, 9]), ("all", [*range(12)])],
)
def test_scopes_of_a_film_of_volumes(scope: Any, frames: list[int]) -> None:
    assert list(frames_in_scope(scope, 5, FILM, PropagationSettings())) == frames


def test_a_direction_is_that_in_a_line() -> None:
    through_z, through_t = FILM.along(1), FILM.along(0)
    others = [frame for frame in range(12) if frame != 5]
    assert reachable(others, [5], "forward", through_z) == [1, 2, 3, 6, 7, 9, 10, 11]
    assert reachable(others, [5], "backward", through_z) == [0, 1, 4, 8, 9]
    assert reachable(others, [5], "forward", through_t) == [4, 6, 7, 8, 9, 10, 11]


def test_only_frames_of_one_line_lie_between_references() -> None:
    references = [3, 4, 6, 11]
    free = [frame for frame in range(12) if frame not in references]
    assert between(free, references, FILM) == [5]
    assert neighbours(5, references, FILM) == (4, 6)
    assert neighbours(0, references, FILM) is None  # 3 is after it, none before
    assert between(free, references, FILM.along(0)) == [7]
    assert neighbours(7, references, FILM.along(0)) == (3, 11)


@pytest.mark.parametrize(
    ("names", "axis", "own", "along"),
    [
        (("t", "z"), "z", "z", 1),
        (("t", "z"), "t", "z", 0),
        (("position", "z"), "z", "z", 1),
        (("position", "z"), "t", "z", 1),  # said to be time, but never positions
        (("z", "position"), "z", "z", 0),
        (("t", "position"), "t", "t", 0),
        (("t", "position"), "z", "t", 0),
        (("t", "slider -3"), "z", "z", 1),
        (("slider -4", "slider -3"), "z", "z", 1),
        (("slider -4", "slider -3"), "t", "z", 0),
    ],
)
def test_lines_run_along_time_or_depth(
    names: tuple[str, str], axis: Any, own: Any, along: int
) -> None:
    assert line_axis(FrameGrid(shape=(3, 4), names=names), axis, own) == along
