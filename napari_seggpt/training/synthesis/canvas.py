"""The canvas that simulated images are painted on, and its smooth random fields."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.types import Floats

# Cubic B-spline interpolation of white noise shrinks its spread to this, per axis.
_SPLINE_SPREAD = 0.479**0.5


@lru_cache(maxsize=512)
def _spline_weights(size: int, knots: int, cell: float, shift: float) -> Floats:
    """Weights (size, knots) that turn coarse noise into a smooth curve."""
    position = np.arange(size) / cell + shift
    distance = np.abs(position[:, None] + 1 - np.arange(knots)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def _weights(rng: np.random.Generator, size: int, cell: float) -> Floats:
    cell = max(round(cell * 4) / 4, 1.0)
    knots = math.ceil((size - 1) / cell) + 5
    return _spline_weights(size, knots, cell, int(rng.integers(8)) / 8)


@dataclass(slots=True, kw_only=True)
class Canvas:
    """A square to paint on, with the random numbers of one image.

    `phase` moves every random field slowly into another one: neighbouring frames
    of a sequence share their generator's seed and differ a little in phase.
    """

    rng: np.random.Generator
    size: int
    phase: float = 0.0
    rows: Floats = field(init=False)  # (size, 1)
    columns: Floats = field(init=False)  # (1, size)

    def __post_init__(self) -> None:
        """Lay out the pixel coordinates."""
        line = np.arange(self.size, dtype=np.float32)
        self.rows, self.columns = line[:, None], line[None, :]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.size, self.size

    def _knots(self, shape: tuple[int, ...]) -> Floats:
        first = self.rng.standard_normal(shape, dtype=np.float32)
        second = self.rng.standard_normal(shape, dtype=np.float32)
        turned: Floats = first * np.float32(math.cos(self.phase))
        turned += second * np.float32(math.sin(self.phase))
        return turned

    def noise(self, cell: float, across: float | None = None) -> Floats:
        """Smooth noise of spread 1; `cell` pixels per knot (rows, and columns)."""
        down = _weights(self.rng, self.size, cell)
        right = _weights(self.rng, self.size, cell if across is None else across)
        knots = self._knots((down.shape[1], right.shape[1]))
        smooth: Floats = (down @ knots @ right.T) / np.float32(_SPLINE_SPREAD**2)
        return smooth

    def curve(self, cell: float) -> Floats:
        """A smooth random curve of spread 1, one value per column."""
        weights = _weights(self.rng, self.size, cell)
        knots = self._knots((weights.shape[1],))
        smooth: Floats = (weights @ knots) / np.float32(_SPLINE_SPREAD)
        return smooth

    def fractal(self, cell: float, *, octaves: int = 3, decay: float = 0.6) -> Floats:
        """Noise with detail at several scales, spread 1."""
        total = np.zeros(self.shape, np.float32)
        power = 0.0
        for octave in range(octaves):
            weight = decay**octave
            total += np.float32(weight) * self.noise(max(cell / 2**octave, 1.0))
            power += weight**2
        return total / np.float32(math.sqrt(power))

    def grain(self) -> Floats:
        """White noise, new in every frame whatever the phase."""
        return self.rng.standard_normal(self.shape, dtype=np.float32)
