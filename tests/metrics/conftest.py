import numpy as np
import pytest


@pytest.fixture(scope="session")
def random_maps():
    """Make a predicted and a true label map (36, 40) with labels 0 to 5."""

    def make(seed):
        rng = np.random.default_rng(seed)
        true = np.kron(rng.integers(0, 6, (4, 5)), np.ones((9, 8), int))
        predicted = np.roll(true, (1, 2), (0, 1))
        predicted[rng.random(true.shape) < 0.1] = 0
        return predicted, true

    return make
