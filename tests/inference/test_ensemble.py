import numpy as np
import pytest

from napari_seggpt.inference.ensemble import spatial_grid
from napari_seggpt.preprocessing import resize_labels, resize_rgb

SIDES = {1: 1, 2: 2, 3: 2, 4: 2, 5: 3, 9: 3}


def flat_prompts(count: int, size: tuple[int, int]) -> tuple[list, list]:
    """Prompt k is flat: its picture has the value 10 k and its labels are k, from 1."""
    pictures = [np.full((*size, 3), 10 * k, np.uint8) for k in range(1, count + 1)]
    return pictures, [np.full(size, k) for k in range(1, count + 1)]


@pytest.mark.parametrize(("count", "side"), SIDES.items())
@pytest.mark.parametrize("size", [(36, 48), (32, 32)])
def test_the_grid_holds_every_prompt_and_repeats_from_the_first(
    count: int, side: int, size: tuple[int, int]
) -> None:
    picture, labels = spatial_grid(*flat_prompts(count, size))
    assert picture.shape == (*size, 3)
    assert picture.dtype == np.uint8
    assert labels.shape == size
    np.testing.assert_array_equal(picture[..., 0], labels * 10)
    middles = [((2 * np.arange(side) + 1) * extent) // (2 * side) for extent in size]
    expected = np.arange(side * side).reshape(side, side) % count + 1
    np.testing.assert_array_equal(labels[np.ix_(*middles)], expected)
    shares = np.bincount(labels.ravel())[1:] / labels.size
    np.testing.assert_allclose(
        shares, np.bincount(expected.ravel())[1:] / side**2, atol=0.05
    )


def test_a_single_prompt_is_not_changed() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 24, 3)).astype(np.uint8)
    labels = rng.integers(0, 9, (16, 24))
    grid = spatial_grid([picture], [labels])
    np.testing.assert_array_equal(grid[0], picture)
    np.testing.assert_array_equal(grid[1], labels)


def test_prompts_are_subsampled_not_cropped() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (4, 16, 24, 3)).astype(np.uint8)
    labels = rng.integers(0, 9, (4, 16, 24))
    picture, grid = spatial_grid(list(pictures), list(labels))
    np.testing.assert_array_equal(picture[8:, :12], resize_rgb(pictures[2], (8, 12)))
    np.testing.assert_array_equal(grid[8:, :12], resize_labels(labels[2], (8, 12)))


def test_labels_of_other_dtypes_keep_their_ids() -> None:
    pictures, _ = flat_prompts(2, (8, 8))
    small = np.full((8, 8), 7, dtype=np.uint8)
    large = np.full((8, 8), 70_000, dtype=np.int64)
    _, grid = spatial_grid(pictures, [small, large])
    assert set(np.unique(grid)) == {7, 70_000}
    _, grid = spatial_grid(pictures, [small.astype(bool), large])
    assert set(np.unique(grid)) == {1, 70_000}
