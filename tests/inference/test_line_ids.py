"""Ids of the chains of a line, of which those of the same object become one."""

import pytest

from napari_seggpt.inference.line_ids import LineIds

NEW = (100, 101, 102, 103)


@pytest.fixture
def ids() -> LineIds:
    """Two chains: 1 and 2 are a person's, and of each chain two ids are new."""
    ids = LineIds(NEW)
    ids.begin_chain()
    ids.note([0, 1])
    ids.note_written(1, [0, 1, 100])
    ids.note_written(2, [0, 1, 100, 101])
    ids.begin_chain()
    ids.note([0, 1, 2])
    ids.note_written(4, [0, 1, 2, 102])
    ids.note_written(3, [0, 1, 2, 102, 103])
    return ids


def test_of_two_new_ids_that_of_the_chain_before_stays(ids: LineIds) -> None:
    assert ids.join({1: 1, 102: 101}) == {3: {102: 101}, 4: {102: 101}}


def test_a_persons_id_takes_the_place_of_a_new_one_on_either_side(
    ids: LineIds,
) -> None:
    assert ids.join({2: 100}) == {1: {100: 2}, 2: {100: 2}}
    assert ids.join({103: 7}) == {3: {103: 7}}


def test_no_chain_gets_an_id_that_it_has_already(ids: LineIds) -> None:
    assert ids.join({102: 1, 1: 100, 103: 2}) == {}


def test_ids_of_persons_are_never_joined(ids: LineIds) -> None:
    assert ids.join({2: 7}) == {}


def test_what_was_joined_is_one_id_from_then_on(ids: LineIds) -> None:
    ids.join({102: 101})
    ids.begin_chain()
    ids.note_written(6, [0, 1, 5])
    assert ids.join({5: 101}) == {2: {101: 5}, 3: {101: 5}, 4: {101: 5}}


def test_an_id_that_a_chain_took_over_is_joined_in_all_of_its_chains(
    ids: LineIds,
) -> None:
    """The third chain begins beside the second, and leads to the first."""
    ids.begin_chain()
    ids.note([102])
    ids.note_written(5, [102])
    assert ids.join({102: 101}) == {frame: {102: 101} for frame in (3, 4, 5)}
