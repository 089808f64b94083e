import numpy as np
import pytest

from napari_seggpt.frames import NUM_CONTRAST_FRAMES, evenly, sample_frames


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
