"""Label images of touching cells and of tissue without background."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_seggpt.training.synthesis import simulate

Labels = NDArray[np.int64]
SIDE = 128


@pytest.fixture(scope="session")
def cells() -> Callable[..., Labels]:
    """Make round or long cells of one size, many of which touch."""

    def make(seed: int = 0, kind: str = "nuclei", least: int = 8) -> Labels:
        for number in range(100):
            rng = np.random.default_rng((seed, number))
            image = simulate(rng, size=SIDE, kind=kind)
            if image.label_kind == "instance" and len(np.unique(image.labels)) > least:
                return image.labels.astype(np.int64)
        raise AssertionError("no such cells")

    return make


@pytest.fixture(scope="session")
def tissue() -> Callable[..., Labels]:
    """Make cells that fill the frame: the nearest of some points."""

    def make(seed: int = 0, count: int = 20) -> Labels:
        rng = np.random.default_rng(seed)
        points = rng.uniform(0, SIDE, (count, 2))
        rows, columns = np.indices((SIDE, SIDE))
        squares = (rows[..., None] - points[:, 0]) ** 2
        squares = squares + (columns[..., None] - points[:, 1]) ** 2
        return np.argmin(squares, axis=2).astype(np.int64) + 1

    return make


def disc(row: float, column: float, radius: float, side: int = SIDE) -> NDArray:
    """A disc as a mask (side, side)."""
    rows, columns = np.indices((side, side))
    return np.hypot(rows - row, columns - column) <= radius


@pytest.fixture(scope="session")
def discs() -> Callable[..., Labels]:
    """Draw discs, given as (row, column, radius), numbered in their order."""

    def make(*places: tuple[float, float, float], side: int = SIDE) -> Labels:
        labels = np.zeros((side, side), dtype=np.int64)
        for number, place in enumerate(places, start=1):
            labels[disc(*place, side=side) & (labels == 0)] = number
        return labels

    return make
