"""Which patches of the query's colours are hidden (Painter, section 3)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_BLOCK = 16  # patches
MOST_ELONGATED = 1 / 0.3  # of a block's sides


def half_mask(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Hide every patch of the query, as in prediction; (rows * columns,)."""
    return np.ones(grid[0] * grid[1], dtype=bool)


def block_mask(
    grid: tuple[int, int], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Hide random rectangles until a share of the patches is hidden.

    Returns
    -------
    NDArray[np.bool_]
        (rows * columns,) in raster order; at least the share, 0 to 1, is true.
    """
    rows, columns = grid
    hidden = np.zeros(grid, dtype=bool)
    wanted = math.ceil(share * hidden.size)
    while np.count_nonzero(hidden) < wanted:
        missing = float(wanted - np.count_nonzero(hidden))
        area = rng.uniform(min(LEAST_BLOCK, missing), missing + 1)
        ratio = np.exp(rng.uniform(-1, 1) * math.log(MOST_ELONGATED))
        height = int(np.clip(round((area * ratio) ** 0.5), 1, rows))
        width = int(np.clip(round((area / ratio) ** 0.5), 1, columns))
        top = int(rng.integers(rows - height + 1))
        left = int(rng.integers(columns - width + 1))
        hidden[top : top + height, left : left + width] = True
    return hidden.ravel()
