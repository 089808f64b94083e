from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def tzcyx() -> np.ndarray:
    """Every pixel differs, so that no wrong index goes unnoticed: (T, Z, C, Y, X)."""
    shape = (3, 4, 2, 10, 12)
    return np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)


@pytest.fixture
def zyx() -> np.ndarray:
    """Noise, so that compressed files are not all alike: (Z, Y, X)."""
    return np.random.default_rng(0).integers(0, 60000, (6, 20, 30)).astype(np.uint16)
