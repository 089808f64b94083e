import numpy as np
import pytest

from napari_seggpt.training.masking import block_mask, half_mask


def test_the_half_mask_hides_the_whole_query():
    assert half_mask((3, 5)).shape == (15,)
    assert half_mask((3, 5)).all()


@pytest.mark.parametrize("grid", [(8, 8), (28, 28), (4, 12)])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_blocks_hide_the_share_that_was_asked_for(grid, share):
    rng = np.random.default_rng(0)
    hidden = [block_mask(grid, share, rng) for _ in range(30)]
    assert all(mask.shape == (grid[0] * grid[1],) for mask in hidden)
    shares = np.array([mask.mean() for mask in hidden])
    assert shares.min() >= share
    assert shares.mean() < share + 0.2
    assert any((mask != hidden[0]).any() for mask in hidden)


def test_what_is_hidden_lies_in_blocks():
    rng = np.random.default_rng(0)
    mask = block_mask((28, 28), 0.5, rng).reshape(28, 28)
    # Scattered patches would have a hidden neighbour half of the time.
    assert (mask[:, 1:] == mask[:, :-1]).mean() > 0.8


def test_everything_and_nothing_can_be_hidden():
    rng = np.random.default_rng(0)
    assert block_mask((4, 4), 1.0, rng).all()
    assert not block_mask((4, 4), 0.0, rng).any()
