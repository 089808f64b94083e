import numpy as np
import pytest

from napari_seggpt.inference.suggestion import (
    MAX_SAMPLED_FRAMES,
    sampled_frames,
    suggest,
    thumbnail_vector,
)
from napari_seggpt.preprocessing import measure_limits


def vectors(**values):
    return {int(k[1:]): np.full(4, v, np.float32) for k, v in values.items()}


def test_a_long_stack_is_sampled():
    frames = sampled_frames(100_000, {7, 8, 60_000})
    assert len(frames) == MAX_SAMPLED_FRAMES + 3
    assert {0, 7, 8, 60_000, 99_999} <= {*frames}
    assert frames == sorted(frames)
    assert sampled_frames(4, {1}) == [0, 1, 2, 3]
    assert sampled_frames(0, set()) == []
    assert len(sampled_frames(1000, {*range(500)})) == 2 * MAX_SAMPLED_FRAMES


def test_frames_are_compared_by_small_pictures():
    dark, bright = np.zeros((40, 30), np.uint8), np.full((40, 30), 200, np.uint8)
    limits = measure_limits([dark, bright])
    assert thumbnail_vector(dark, limits).shape == (192,)
    assert (
        thumbnail_vector(bright, limits).mean() > thumbnail_vector(dark, limits).mean()
    )


def test_the_first_frame_is_like_most():
    assert suggest(vectors(f0=0.0, f1=0.5, f2=0.55, f3=1.0), set()) in (1, 2)


def test_then_comes_the_one_least_like_the_labelled():
    assert suggest(vectors(f0=0.0, f1=0.1, f2=0.9, f3=0.5), {0}) == 2
    assert suggest(vectors(f0=0.0, f1=0.1, f2=0.9, f3=0.5), {0, 2}) == 3


@pytest.mark.parametrize("frames", [{}, vectors(f0=0.1)])
def test_nothing_is_left(frames):
    assert suggest(frames, {0}) is None
