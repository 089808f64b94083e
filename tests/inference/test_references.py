"""Which references are held: so few, near the frames, and one with labels."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.references import (
    MAX_HELD,
    MAX_SEARCHED,
    choose_references,
    nearest_references,
    read_references,
)
from napari_seggpt.io.layout import StackError

frames = st.sets(st.integers(0, 60), min_size=1).map(sorted)


@given(references=frames, wanted=frames, limit=st.integers(1, 12))
def test_so_many_references_at_most_the_nearest_among_them(
    references: list[int], wanted: list[int], limit: int
) -> None:
    chosen = nearest_references(references, wanted, limit)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(references)
    assert len(chosen) == min(limit, len(references))
    first, last = wanted[0], wanted[-1]
    near = {r for r in references if first <= r <= last}
    near |= {max((r for r in references if r < first), default=references[0])}
    near |= {min((r for r in references if r > last), default=references[-1])}
    if len(near) <= limit:
        distances = [max(first - r, r - last) for r in references if r not in chosen]
        far = [max(first - r, r - last) for r in chosen if r not in near]
        assert near <= set(chosen)
        assert max(far, default=0) <= min(distances, default=99)


def test_many_references_among_the_frames_are_spread_evenly() -> None:
    chosen = nearest_references(range(0, 100, 2), range(100), 5)
    gaps = np.diff(chosen)
    assert chosen[0] == 0
    assert chosen[-1] == 98
    assert gaps.max() - gaps.min() <= 2


@pytest.mark.parametrize("max_prompts", [8, MAX_HELD + 8])
def test_so_many_are_held_as_a_frame_is_predicted_from(max_prompts: int) -> None:
    chosen = choose_references(
        range(200), range(200), max_prompts=max_prompts, shown=lambda _: {1}
    )
    assert len(chosen) == max(MAX_HELD, max_prompts)


def test_one_that_shows_a_label_is_always_held() -> None:
    chosen = choose_references(
        range(500),
        range(20, 30),
        max_prompts=1,
        shown=lambda frame: {1} if frame == 451 else (),
    )
    assert len(chosen) == MAX_HELD
    assert 451 in chosen
    assert set(range(20, 30)) <= set(chosen)
    nothing = choose_references(
        range(200), range(20, 30), max_prompts=1, shown=lambda _: ()
    )
    assert len(nothing) == MAX_HELD


def choose(shown: Mapping[int, set[int]], frames: Iterable[int]) -> list[int]:
    """Choose from references that show labels."""
    asked = choose_references(
        sorted(shown), sorted(frames), max_prompts=1, shown=lambda frame: shown[frame]
    )
    assert asked == sorted(set(asked))
    return asked


def test_a_label_that_few_references_show_is_among_those_held() -> None:
    shown = {frame: {1} for frame in range(0, 160, 2)}
    shown |= {6: {1, 2}, 122: {2}, 140: {3}}
    chosen = choose(shown, range(160))
    assert len(chosen) == MAX_HELD
    assert {label for frame in chosen for label in shown[frame]} == {1, 2, 3}
    near = choose(shown, range(10, 14))
    assert {6, 140} <= set(near)  # the nearest with 2, and the only one with 3
    assert set(range(0, 40, 2)) <= set(near)


def test_one_reference_in_place_of_another_does_not_lose_its_labels() -> None:
    shown = {frame: {1} for frame in range(100)} | {0: {2}, 1: {3}, 50: {4}, 99: {5}}
    chosen = choose(shown, range(100))
    assert {label for frame in chosen for label in shown[frame]} == {1, 2, 3, 4, 5}
    assert len(chosen) == MAX_HELD


def test_ids_of_objects_do_not_move_the_references() -> None:
    shown = {frame: {10 * frame + n for n in range(1, 9)} for frame in range(60)}
    assert choose(shown, range(60)) == nearest_references(
        range(60), range(60), MAX_HELD
    )


def test_damaged_labels_of_a_far_reference_end_nothing() -> None:
    def shown(frame: int) -> set[int]:
        if frame == 3:
            raise StackError("Expected frame 3 to be readable.")
        return {2} if frame == 7 else {1}

    chosen = choose_references(range(80), [70], max_prompts=1, shown=shown)
    assert 7 in chosen
    assert 3 not in chosen


def test_labels_are_not_asked_for_where_all_are_held() -> None:
    def shown(frame: int) -> set[int]:
        raise AssertionError(frame)

    chosen = choose_references(range(MAX_HELD), range(60), max_prompts=1, shown=shown)
    assert chosen == list(range(MAX_HELD))


class Read(Mapping[int, np.ndarray]):
    """Labels of frames that note when they are read."""

    def __init__(self, frames: range) -> None:
        self.frames, self.read = frames, []

    def __getitem__(self, frame: int) -> np.ndarray:
        self.read.append(frame)
        return np.full((4, 5), frame % 3, np.uint8)

    def __iter__(self) -> Iterator[int]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)


def test_only_what_is_chosen_is_read() -> None:
    labels = Read(range(1, 999, 2))
    images = [np.full((4, 5), frame % 200, np.uint8) for frame in range(999)]
    prompts = read_references(images, labels, range(400, 420), max_prompts=4)
    assert len(prompts) == MAX_HELD
    assert len(labels.read) <= 2 * MAX_HELD + MAX_SEARCHED
    for prompt in prompts:
        assert prompt.index is not None
        assert abs(prompt.index - 410) < 40
        assert (prompt.image == prompt.index % 200).all()
        assert (prompt.labels == prompt.index % 3).all()


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected labels of the image's shape"):
        read_references([np.zeros((4, 4))], {0: np.ones((5, 4), int)}, [0],
                        max_prompts=1)  # fmt: skip


def test_in_a_film_of_volumes_those_near_on_both_axes_are_held() -> None:
    film = FrameGrid(shape=(4, 100), names=("t", "z"))
    references = [*range(0, 90, 10), 150, 153, 199, 250]
    assert nearest_references(references, [252], 3, film) == [150, 153, 250]
    inside = nearest_references(references, range(400), 4, film)
    assert (len(inside), inside[0], inside[-1]) == (4, 0, 250)
