"""The paper's two ways to use several prompts (section 3.2).

The feature ensemble lives in the network, which averages the query's features over
the prompts it is given. The spatial ensemble is made here: the prompts become one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.preprocessing import resize_labels, resize_rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def spatial_grid(
    pictures: Sequence[NDArray[np.uint8]], labels: Sequence[NDArray[np.integer[Any]]]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Lay prompts out in an n x n grid, subsampled to the size of a single one.

    n is the smallest number whose square holds all K prompts. The paper leaves open
    what fills the grid where K is no square: here the prompts are repeated from the
    first, so that no cell is empty.

    Parameters
    ----------
    pictures : sequence of NDArray
        K pictures (h, w, 3), all of one size.
    labels : sequence of NDArray
        Their labels (h, w).

    Returns
    -------
    tuple of NDArray
        One picture (h, w, 3) and its labels (h, w).
    """
    side = int(np.ceil(np.sqrt(len(pictures))))
    height, width = pictures[0].shape[:2]
    rows = np.linspace(0, height, side + 1).astype(int)
    columns = np.linspace(0, width, side + 1).astype(int)
    picture = np.empty_like(pictures[0])
    grid = np.empty((height, width), dtype=np.int64)  # prompts may differ in dtype
    for cell in range(side * side):
        row, column = divmod(cell, side)
        part = (
            slice(rows[row], rows[row + 1]),
            slice(columns[column], columns[column + 1]),
        )
        size = grid[part].shape
        source = cell % len(pictures)
        picture[part] = resize_rgb(pictures[source], size)
        grid[part] = resize_labels(labels[source], size)
    return picture, grid
