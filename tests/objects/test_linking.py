import numpy as np
import pytest

from napari_seggpt.object_settings import LinkingSettings
from napari_seggpt.objects.linking import Linker
from napari_seggpt.objects.new_ids import NewIds
from napari_seggpt.objects.tracks import trace


@pytest.fixture
def linker():
    return Linker(LinkingSettings(), NewIds(100))


def shuffled(labels, seed):
    """Give objects numbers that say nothing."""
    numbers = np.random.default_rng(seed).permutation(int(labels.max())) + 1
    return np.concatenate([[0], numbers])[labels]


def follow(frames, linker, start=0):
    """Link frames outward from one whose ids are known."""
    linked = {start: frames[start]}
    for chain in (range(start + 1, len(frames)), range(start - 1, -1, -1)):
        linker.start()
        linker.fix(start, frames[start])
        for at in chain:
            linked[at] = linker.link(at, shuffled(frames[at], at))
    return [linked[at] for at in range(len(frames))]


def moving(discs, *objects, count=6):
    """Draw frames of objects (row, column, radius, rows a frame, columns a frame)."""
    return [
        discs(*((r + i * dr, c + i * dc, radius) for r, c, radius, dr, dc in objects))
        for i in range(count)
    ]


def test_objects_that_overlap_their_last_place_keep_their_ids(discs, linker) -> None:
    frames = moving(discs, (20, 20, 8, 3, 2), (60, 60, 8, -2, 3), (100, 30, 8, 0, 0))
    for linked, true in zip(follow(frames, linker), frames, strict=True):
        assert np.array_equal(linked, true)


def test_fast_objects_are_followed_by_their_motion(discs, linker) -> None:
    steps = np.cumsum([10, 5, 10, 14, 16, 17, 18])  # beyond its own width in the end
    frames = [discs((20, x, 5), (34, 128 - x, 5)) for x in steps.tolist()]
    for linked, true in zip(follow(frames, linker), frames, strict=True):
        assert np.array_equal(linked, true)


def test_the_way_back_in_time_works_alike(discs, linker) -> None:
    frames = moving(discs, (20, 20, 8, 3, 2), (60, 60, 8, -2, 3))
    for linked, true in zip(follow(frames, linker, start=5), frames, strict=True):
        assert np.array_equal(linked, true)


def test_touching_objects_are_not_mixed_up(discs, linker) -> None:
    frames = moving(discs, (60, 30, 9, 0, 4), (60, 49, 9, 0, 4), (60, 68, 9, 0, 4))
    for linked, true in zip(follow(frames, linker), frames, strict=True):
        assert np.array_equal(linked, true)


def test_objects_seen_less_than_a_frame_ago_are_not_mixed_up(discs, linker) -> None:
    frames = moving(discs, (60, 30, 9, 0, -7), (60, 49, 9, 0, -7), (60, 68, 9, 0, -7))
    linker.fix(0, frames[0])
    assert np.array_equal(linker.link(1 / 6, frames[1]), frames[1])


@pytest.mark.parametrize(("lost", "kept"), [(1, True), (2, True), (3, False)])
def test_gaps_are_closed(discs, linker, lost, kept) -> None:
    frames = moving(discs, (20, 20, 8, 3, 2), (90, 60, 8, 0, 0), count=8)
    for at in range(2, 2 + lost):
        frames[at] = np.where(frames[at] == 1, 0, frames[at])
        frames[at] = np.where(frames[at] == 2, 1, frames[at])  # numbers without gaps
    linked = follow(frames, linker)
    assert {2} < set(np.unique(linked[7]))
    assert (1 in linked[7]) is kept
    assert (100 in linked[7]) is not kept


def test_a_new_object_gets_a_new_id_and_never_an_old_one(discs, linker) -> None:
    one, two = discs((20, 20, 8)), discs((20, 20, 8), (90, 90, 8))
    linked = follow([one, two, one, one, one, one, two], linker)
    assert set(np.unique(linked[1])) == {0, 1, 100}
    assert set(np.unique(linked[6])) == {0, 1, 101}


def test_a_division_ends_a_track_and_begins_two(discs, linker) -> None:
    mother = discs((60, 60, 12), (100, 100, 8))
    early = discs((60, 52, 8), (60, 69, 8), (100, 100, 8))
    late = discs((60, 47, 8), (60, 74, 8), (100, 100, 8))
    linked = follow([mother, mother, early, late], linker)
    assert set(np.unique(linked[2])) == {0, 2, 100, 101}
    assert set(np.unique(linked[3])) == {0, 2, 100, 101}
    assert linked[2][60, 52] == linked[3][60, 47]
    assert trace(enumerate(linked)).graph == {100: [1], 101: [1]}


def test_backward_in_time_two_objects_meet_in_their_mother(discs, linker) -> None:
    mother = discs((60, 60, 12))
    early, late = discs((60, 52, 8), (60, 69, 8)), discs((60, 47, 8), (60, 74, 8))
    linked = follow([mother, mother, early, late], linker, start=3)
    assert set(np.unique(linked[1])) == {0, 100}
    assert trace(enumerate(linked)).graph == {1: [100], 2: [100]}


def test_through_z_nothing_divides(discs) -> None:
    linker = Linker(LinkingSettings(along="z"), NewIds(100))
    whole, apart = discs((60, 60, 12)), discs((60, 52, 8), (60, 69, 8))
    linked = follow([whole, apart], linker)
    assert set(np.unique(linked[1])) == {0, 1, 100}


def test_an_object_cut_in_two_by_mistake_goes_on(discs, linker) -> None:
    whole, cut = discs((60, 60, 12)), discs((60, 52, 8), (60, 69, 8))
    linked = follow([whole, cut, whole, whole], linker)
    assert set(np.unique(linked[2])) == {0, 1}
    assert trace(enumerate(linked)).graph == {}


def test_a_fixed_frame_wins_and_is_carried_on(discs, linker) -> None:
    frames = moving(discs, (20, 20, 8, 3, 2), (60, 60, 8, -2, 3))
    linker.fix(0, frames[0])
    linker.link(1, frames[1])
    swapped = np.array([0, 2, 55])[frames[2]]
    linker.fix(2, swapped)
    assert np.array_equal(linker.link(3, frames[3]), np.array([0, 2, 55])[frames[3]])
    linker.fix(4, np.where(frames[4] > 0, 500 + frames[4], 0))
    linker.link(5, frames[5])
    assert linker.link(1, discs((100, 100, 8))).max() == 503


def test_objects_of_another_chain_are_matched(discs, linker) -> None:
    """A new object was seen from both sides, and so was one that a person named."""
    frames = moving(discs, (20, 20, 8, 3, 2), (60, 60, 8, -2, 3), (100, 40, 8, 0, 2))
    only = [np.array([0, 1, 0, 0])[frame] for frame in frames]
    named = [np.array([0, 1, 2, 0])[frame] for frame in frames]
    linker.fix(0, only[0])
    linked = [linker.link(at, frames[at]) for at in (1, 2)]
    assert set(np.unique(linked[1])) == {0, 1, 100, 101}
    linker.start()
    linker.fix(5, named[5])
    for at in (4, 3):
        last = linker.link(at, frames[at])
    assert set(np.unique(last)) == {0, 1, 2, 102}
    assert linker.matches(2, linked[1]) == {1: 1, 2: 100, 102: 101}
    assert linker.new == {100, 101, 102}


def test_the_same_frames_give_the_same_ids(cells) -> None:
    frames = [cells(seed) for seed in range(3)]
    runs = [follow(frames, Linker(LinkingSettings(), NewIds(100))) for _ in range(2)]
    for one, other in zip(*runs, strict=True):
        assert np.array_equal(one, other)


def test_what_is_kept_does_not_grow_with_the_stack(discs, linker) -> None:
    for at in range(30):
        linker.link(at, discs((20 + 3 * (at % 7), 20 + 15 * (at % 7), 6)))
    assert len(linker._tracks) <= 1 + linker.settings.gap


def test_ids_below_0_are_no_objects(discs, linker) -> None:
    hidden = discs((40, 40, 8), (90, 90, 8))
    linker.fix(0, np.where(hidden == 2, -1, hidden))
    hidden[:40, 32:49] = -1  # a part of it is to be ignored
    linked = linker.link(1, hidden)
    assert linked[44, 40] == 1
    assert linked[90, 90] == 100
    assert linked.min() == 0


def test_frames_without_objects(linker, discs) -> None:
    empty = np.zeros((128, 128), int)
    assert not linker.link(0, empty).any()
    assert set(np.unique(linker.link(1, discs((20, 20, 8))))) == {0, 100}
    assert not linker.link(2, empty).any()


def test_frames_may_be_of_several_sizes(discs, linker) -> None:
    whole, cut = discs((60, 60, 12)), discs((60, 52, 8), (60, 69, 8))
    linker.fix(0, whole)
    linker.link(1, cut)
    assert linker.link(2, whole[:62, :62]).shape == (62, 62)
    assert not linker.link(3, whole[:4, :4]).any()
