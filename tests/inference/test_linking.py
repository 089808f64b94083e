"""Ids along a stack, in the order in which frames are predicted."""

from typing import Any

import numpy as np
import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.chains import plan
from napari_seggpt.inference.linking import (
    RenamedFrame,
    StackLinker,
    frames_lie_along,
)
from napari_seggpt.inference.predictor import Prediction
from napari_seggpt.inference.propagation import FramePrediction, UnreadableFrame
from napari_seggpt.object_settings import LinkingSettings
from napari_seggpt.objects.new_ids import NewIds
from napari_seggpt.settings import PropagationSettings

PLACES = {1: (2, 2), 2: (2, 14), 3: (14, 2)}


def picture(*ids: int, shift: int = 0) -> np.ndarray:
    """Draw squares of 6 pixels, each at its own place."""
    labels = np.zeros((24, 40), int)
    for number, i in enumerate(ids, start=1):
        if i:
            row, column = PLACES[number]
            labels[row : row + 6, column + shift : column + shift + 6] = i
    return labels


def predicted(index: int, labels: np.ndarray) -> FramePrediction:
    confidence = np.ones(labels.shape, np.float32)
    return FramePrediction(
        index=index,
        prediction=Prediction(labels=labels, confidence=confidence, colors=()),
    )


def run(
    references: dict[int, np.ndarray],
    found: dict[int, np.ndarray],
    *,
    length: int,
    others: dict[int, np.ndarray] | None = None,
    next_id: int = 100,
    vouched: Any = lambda _: None,
    grid: FrameGrid | None = None,
    step: int = 1,
    reads_written: bool = True,
) -> dict[int, np.ndarray]:
    """Link what is found, and return the labels of all frames as they are in the end.

    `others` are frames that are not predicted. What was yielded may not be written yet
    when it is read again.
    """
    known = references | (others or {})
    settings = PropagationSettings(step=step)
    chains = plan(length, references, settings, protected=known, grid=grid)
    order = [index for chain in chains for index in chain if index in found]
    written = dict(known)
    linker = StackLinker(
        LinkingSettings(along="t"),
        references=references,
        frames=order,
        length=length,
        read=written.get if reads_written else known.get,
        new_ids=NewIds(next_id),
        vouched=vouched,
        grid=grid,
        step=step,
    )
    for step in linker.link(predicted(i, found[i]) for i in order):
        if isinstance(step, RenamedFrame):
            written[step.index] = step.applied(written[step.index])
        else:
            written[step.index] = step.prediction.labels
    return written


def ids_at(labels: np.ndarray) -> list[int]:
    """Return the ids at the three places."""
    return [int(labels[row + 3, column + 3]) for row, column in PLACES.values()]


def test_objects_keep_the_ids_of_the_reference_both_ways() -> None:
    shuffled = {0: picture(2, 1), 1: picture(1, 2), 3: picture(2, 1), 4: picture(1, 2)}
    written = run({2: picture(7, 9)}, shuffled, length=5)
    assert all(ids_at(written[index]) == [7, 9, 0] for index in range(5))


def test_a_new_object_gets_a_new_id_and_keeps_it() -> None:
    found = {1: picture(1, 2), 2: picture(2, 1, 3), 3: picture(3, 2, 1)}
    written = run({0: picture(7, 9)}, found, length=4)
    assert [ids_at(written[index])[2] for index in range(4)] == [0, 0, 100, 100]


def test_where_two_chains_meet_a_new_object_gets_one_id() -> None:
    # The third object is on no reference; both chains see it.
    found = {index: picture(1, 2, 3) for index in range(1, 7)}
    references = {0: picture(7, 9), 7: picture(7, 9)}
    written = run(references, found, length=8)
    thirds = {ids_at(written[index])[2] for index in range(1, 7)}
    assert len(thirds) == 1
    assert thirds.pop() >= 100


def test_an_id_of_a_reference_takes_the_place_of_new_ones() -> None:
    found = {index: picture(1, 2, 3) for index in range(1, 7)}
    references = {0: picture(7, 9), 7: picture(7, 9, 5)}
    written = run(references, found, length=8)
    assert all(ids_at(written[index]) == [7, 9, 5] for index in range(1, 7))


@pytest.mark.parametrize(("step", "second"), [(2, 3), (3, 5)])
def test_a_reference_between_two_steps_gives_its_id(step: int, second: int) -> None:
    references = {1: picture(7, 9), second: picture(7, 9, 5)}
    found = {step: picture(1, 2, 3)}  # it is as near to one as to the other
    written = run(references, found, length=second + 1, step=step)
    assert ids_at(written[step]) == [7, 9, 5]


def test_a_frame_in_between_is_taken_as_it_is_and_carried_on() -> None:
    found = {index: picture(1, 2) for index in (1, 3, 4)}
    mine = picture(9, 7)  # a person has exchanged the ids on frame 2
    written = run({0: picture(7, 9)}, found, length=5, others={2: mine})
    assert [ids_at(written[i])[:2] for i in (1, 3, 4)] == [[7, 9], [9, 7], [9, 7]]


def test_a_frame_that_is_vouched_for_by_now_is_carried_on() -> None:
    mine = picture(55, 9)
    written = run(
        {0: picture(7, 9)},
        {index: picture(1, 2) for index in range(1, 5)},
        length=5,
        vouched=lambda index: mine if index == 2 else None,
    )
    assert ids_at(written[1]) == [7, 9, 0]
    assert ids_at(written[3]) == ids_at(written[4]) == [55, 9, 0]


def test_one_frame_between_others_takes_the_ids_of_both_sides() -> None:
    others = {3: picture(7, 9), 5: picture(7, 9, 31)}
    written = run(
        {0: picture(7, 9)}, {4: picture(3, 1, 2)}, length=6, others=others, next_id=32
    )
    assert ids_at(written[4]) == [7, 9, 31]


def test_without_a_reference_in_the_stack_objects_are_linked_all_the_same() -> None:
    found = {index: picture(index % 2 + 1, 2 - index % 2) for index in range(4)}
    written = run({}, found, length=4, next_id=1)
    assert {tuple(ids_at(written[index])) for index in range(4)} == {(1, 2, 0)}


def test_a_frame_that_cannot_be_read_is_passed_on() -> None:
    linker = StackLinker(
        LinkingSettings(along="t"),
        references=[0],
        frames=[1, 2],
        length=3,
        read={0: picture(7)}.get,
        new_ids=NewIds(8),
    )
    bad = UnreadableFrame(index=1, reason="gone")
    first, second = linker.link([bad, predicted(2, picture(3))])
    assert first is bad
    assert isinstance(second, FramePrediction)
    assert ids_at(second.prediction.labels) == [7, 0, 0]


@pytest.mark.parametrize(
    ("axis", "chosen", "expected"),
    [("z", "auto", "z"), ("t", "auto", "t"), (None, "auto", "z"), ("z", "t", "t")],
)
def test_what_frames_lie_along(axis: Any, chosen: Any, expected: str) -> None:
    assert frames_lie_along(axis, chosen) == expected


FILM = FrameGrid(shape=(2, 3), names=("t", "z"))


@pytest.mark.parametrize("axis", [0, 1])
def test_objects_of_a_film_of_volumes_keep_the_ids_of_the_only_reference(
    axis: int,
) -> None:
    found = {i: picture(*((2, 1), (1, 2))[i % 2]) for i in range(6) if i != 1}
    written = run({1: picture(7, 9)}, found, length=6, grid=FILM.along(axis))
    assert [ids_at(written[i]) for i in range(6)] == [[7, 9, 0]] * 6


def test_a_new_object_of_another_volume_has_one_id_on_both_sides_of_the_reference() -> (
    None
):
    # A third object is at the second time only, in all of its slices.
    found = {0: picture(1), 2: picture(1)} | {i: picture(1, 0, 2) for i in (3, 4, 5)}
    written = run({1: picture(7)}, found, length=6, grid=FILM)
    third = {ids_at(written[i])[2] for i in (3, 4, 5)}
    assert third == {100}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("others", [[5], [4, 5], [4], [7], [6, 7], [2]])
def test_a_frame_that_is_known_in_another_volume_is_nearer_than_the_reference(
    axis: int, others: list[int]
) -> None:
    """Frames of the second volume were written before; object 9 was renamed there."""
    grid = FrameGrid(shape=(2, 4), names=("t", "z")).along(axis)
    known = {i: picture(7, 31) for i in others}
    found = {i: picture(2, 1) for i in range(8) if i not in (1, *others)}
    written = run({1: picture(7, 9)}, found, length=8, grid=grid, others=known)
    ids = {tuple(ids_at(written[i])) for i in range(8)}
    assert ids == {(7, 9, 0), (7, 31, 0)}
    after = {5: 6, 4: 5, 6: 7}
    for frame in others:
        beside = after.get(frame)
        if axis == 1 and beside is not None:
            assert ids_at(written[beside]) == [7, 31, 0]


@pytest.mark.parametrize("reads_written", [True, False])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("ends", [(0, 13), (3, 10)])
def test_chains_that_meet_in_any_line_join_their_ids(
    ends: tuple[int, int], axis: int, reads_written: bool
) -> None:
    """A third object is on no reference; both are in the first of three lines."""
    grid = FrameGrid(shape=(14, 3) if axis == 0 else (3, 14), names=("t", "z"))
    grid = grid.along(axis)
    references = {grid.frame_at(0, place): picture(7, 9) for place in ends}
    found = {i: picture(1, 2, 3) for i in range(42) if i not in references}
    written = run(references, found, length=42, grid=grid, reads_written=reads_written)
    for line in range(3):
        frames = [grid.frame_at(line, place) for place in range(*ends)]
        thirds = {ids_at(written[i])[2] for i in frames if i in found}
        assert len(thirds) == 1
        assert thirds.pop() >= 100


@pytest.mark.parametrize("axis", [0, 1])
def test_the_id_of_a_reference_takes_the_place_of_new_ones_in_any_line(
    axis: int,
) -> None:
    grid = FrameGrid(shape=(8, 3) if axis == 0 else (3, 8), names=("t", "z"))
    grid = grid.along(axis)
    ends = [grid.frame_at(0, place) for place in (0, 7)]
    references = dict(zip(ends, (picture(7, 9), picture(7, 9, 5)), strict=True))
    found = {i: picture(1, 2, 3) for i in range(24) if i not in references}
    written = run(references, found, length=24, grid=grid)
    assert {tuple(ids_at(written[i])) for i in found} == {(7, 9, 5)}


def test_an_object_does_not_go_on_from_the_last_slice_to_the_next_first_one() -> None:
    # Where the last slice of the first volume has an object, the first slice of the
    # next one has another, which nothing in between leads to.
    found = {1: picture(0), 2: picture(0, 0, 1), 3: picture(0, 0, 1), 4: picture(0)}
    found[5] = picture(0)
    written = run({0: picture(7)}, found, length=6, grid=FILM)
    assert ids_at(written[2])[2] != ids_at(written[3])[2]


def test_no_object_of_a_full_class_becomes_one_of_another() -> None:
    linker = StackLinker(
        LinkingSettings(along="t"),
        references=[0],
        frames=[1],
        length=2,
        read={0: picture(1999, 2005)}.get,
        new_ids=NewIds(1, kinds=(1, 2)),
    )
    (step,) = linker.link([predicted(1, picture(1001, 2001, 1002))])
    assert isinstance(step, FramePrediction)
    assert ids_at(step.prediction.labels) == [1999, 2005, 1_000_001]
