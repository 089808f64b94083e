"""The order of frames: each is predicted once, away from its nearest reference."""

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.chains import plan
from napari_seggpt.settings import PropagationSettings

ALL = PropagationSettings()
DIRECTIONS = ["both", "forward", "backward"]


def allowed_sources(
    frame: int, references: Collection[int], direction: str
) -> set[int]:
    before = {r for r in references if r < frame and direction != "backward"}
    return before | {r for r in references if r > frame and direction != "forward"}


def check_plan(
    chains: list[list[int]],
    length: int,
    references: Collection[int],
    settings: PropagationSettings,
    protected: Collection[int],
) -> None:
    stop = length if settings.stop is None else settings.stop
    wanted = {
        i
        for i in range(settings.start, stop, settings.step)
        if i < length and i not in references and i not in protected
    }
    if references:
        wanted = {
            i for i in wanted if allowed_sources(i, references, settings.direction)
        }
    planned = [frame for chain in chains for frame in chain]
    assert sorted(planned) == sorted(wanted)  # each once, no reference, none protected
    assert all(chains)
    if not references:
        assert len(chains) <= 1
        backward = settings.direction == "backward"
        assert planned == sorted(planned, reverse=backward)
        return
    for chain in chains:
        sources = [allowed_sources(i, references, settings.direction) for i in chain]
        gaps = [min(abs(r - i) for r in s) for i, s in zip(chain, sources, strict=True)]
        forward = chain == sorted(chain)
        assert forward or chain == sorted(chain, reverse=True)
        # One nearest reference for all, which the chain leads away from.
        common = [
            {r for r in s if abs(r - i) == gap}
            for i, s, gap in zip(chain, sources, gaps, strict=True)
        ]
        (source, *_) = set.intersection(*common)
        assert gaps == sorted(gaps)
        assert all((i > source) == (chain[0] > source) for i in chain)


def test_all_small_plans() -> None:
    length = 5
    subsets = [
        set(chosen)
        for count in range(3)
        for chosen in itertools.combinations(range(length), count)
    ]
    ranges = [(0, None), (1, 4), (2, 2), (4, 99), (7, None)]
    for references, protected, (start, stop), step, direction in itertools.product(
        subsets, subsets, ranges, (1, 2), DIRECTIONS
    ):
        settings = PropagationSettings(
            start=start, stop=stop, step=step, direction=direction
        )
        chains = plan(length, references, settings, protected=protected)
        check_plan(chains, length, references, settings, protected)


@given(
    length=st.integers(0, 60),
    references=st.sets(st.integers(-5, 70), max_size=6),
    protected=st.sets(st.integers(0, 60), max_size=6),
    settings=st.builds(
        PropagationSettings,
        start=st.integers(0, 70),
        stop=st.none() | st.integers(0, 70),
        step=st.integers(1, 9),
        direction=st.sampled_from(DIRECTIONS),
    ),
)
@hypothesis_settings(deadline=None)
def test_any_plan(
    length: int,
    references: set[int],
    protected: set[int],
    settings: PropagationSettings,
) -> None:
    chains = plan(length, references, settings, protected=protected)
    check_plan(chains, length, references, settings, protected)


def test_chains_lead_outward_from_their_references() -> None:
    assert plan(8, [2], ALL) == [[1, 0], [3, 4, 5, 6, 7]]
    assert plan(9, [1, 7], ALL) == [[0], [2, 3, 4], [6, 5], [8]]


def test_a_direction_leaves_out_what_no_reference_leads_to() -> None:
    forward, backward = (replace(ALL, direction=d) for d in ("forward", "backward"))
    assert plan(7, {2, 4}, forward) == [[3], [5, 6]]
    assert plan(7, {2, 4}, backward) == [[1, 0], [3]]


def test_a_reference_outside_the_range_leads_into_it() -> None:
    settings = replace(ALL, start=5, stop=9)
    assert plan(20, [2], settings) == [[5, 6, 7, 8]]
    assert plan(20, [15], settings) == [[8, 7, 6, 5]]


def test_steps_are_counted_from_the_start() -> None:
    assert plan(10, [4], replace(ALL, start=1, step=3)) == [[1], [7]]
    assert plan(10, [5], replace(ALL, step=5)) == [[0]]


def test_protected_frames_do_not_stop_a_chain() -> None:
    assert plan(6, [0], ALL, protected={2, 3}) == [[1, 4, 5]]


def test_without_references_there_is_one_chain() -> None:
    assert plan(4, [], ALL) == [[0, 1, 2, 3]]
    assert plan(4, [], replace(ALL, direction="backward")) == [[3, 2, 1, 0]]
    assert plan(4, [], ALL, protected=range(4)) == []
    assert plan(0, [], ALL) == []


FILM = FrameGrid(shape=(3, 4), names=("t", "z"))  # of volumes: 3 times, 4 slices


def test_chains_keep_to_a_volume_and_lead_away_from_the_place_of_the_reference() -> (
    None
):
    through_z = [[4], [6, 7], [1, 2, 3], [0], [9, 10, 11], [8]]
    assert plan(12, [5], ALL, grid=FILM) == through_z
    through_t = [[1], [9], [4, 8], [0], [6, 10], [2], [7, 11], [3]]
    assert plan(12, [5], ALL, grid=FILM.along(0)) == through_t


def test_the_last_slice_of_a_volume_is_no_neighbour_of_the_next_first_one() -> None:
    # 3 is the last slice at time 0, and 4 the first at time 1.
    chains = plan(12, [3, 5], ALL, grid=FILM)
    assert [2] in chains
    assert [4] in chains
    assert all(len({frame // 4 for frame in chain}) == 1 for chain in chains)


def test_a_film_without_references_has_a_chain_in_each_line() -> None:
    assert plan(12, [], ALL, grid=FILM) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    backward = PropagationSettings(direction="backward")
    assert plan(12, [], backward, grid=FILM.along(0))[0] == [8, 4, 0]


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    axis=st.integers(0, 1),
    references=st.sets(st.integers(0, 24), max_size=4),
    direction=st.sampled_from(DIRECTIONS),
)
def test_any_plan_of_two_axes(
    shape: tuple[int, int], axis: int, references: set[int], direction: Any
) -> None:
    length = shape[0] * shape[1]
    references = {frame for frame in references if frame < length}
    grid = FrameGrid(shape=shape).along(axis)
    settings = PropagationSettings(direction=direction)
    chains = plan(length, references, settings, grid=grid)
    planned = [frame for chain in chains for frame in chain]
    assert len(planned) == len({*planned})
    assert not references & {*planned}
    if direction == "both":
        assert references | {*planned} == {*range(length)}
    lines = [grid.line(chain[0]) for chain in chains]
    assert len([*itertools.groupby(lines)]) == len({*lines})  # one after the other
    for chain in chains:
        assert len({grid.line(frame) for frame in chain}) == 1
        steps = {b > a for a, b in itertools.pairwise(map(grid.place, chain))}
        assert len(steps) <= 1
