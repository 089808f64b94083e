"""What every family of simulated images offers, and what they share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.appearance import Appearance
    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.objects import Patch
    from napari_seggpt.training.synthesis.types import Floats, LabelKind, Labels, Scene

Layout = TypeVar("Layout")


class Family(ABC, Generic[Layout]):
    """One look: everything that the images of a pair or a sequence share.

    The generator given at creation decides the look, the one given to `arrange`
    the layout, and the canvas's own the textures and the noise. How many numbers
    `paint` draws depends on the look only, never on the layout: so the textures of
    neighbouring frames are alike.
    """

    kind: ClassVar[str]
    label_kind: LabelKind = "semantic"
    appearance: Appearance

    @abstractmethod
    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""

    @abstractmethod
    def arrange(self, rng: np.random.Generator, size: int) -> Layout:
        """Lay out the objects of one image."""

    @abstractmethod
    def advance(self, layout: Layout, rng: np.random.Generator) -> Layout:
        """The layout one frame later."""

    @abstractmethod
    def paint(self, layout: Layout, canvas: Canvas) -> Scene:
        """Paint picture and labels."""


class Owner:
    """Labels under construction: a pixel belongs to the object it is deepest in."""

    def __init__(self, canvas: Canvas) -> None:
        """Start with background only."""
        self.labels: Labels = np.zeros(canvas.shape, np.uint16)
        self._depth: Floats = np.ones(canvas.shape, np.float32)

    def claim(self, patch: Patch, label: int) -> Floats:
        """Give the pixels where the object wins its label; return them as a mask."""
        depth = self._depth[patch.window]
        won = patch.depth < depth
        depth[won] = patch.depth[won]
        self.labels[patch.window][won] = label
        return won.astype(np.float32)


def edge(depth: Floats, width: float = 0.1) -> Floats:
    """1 inside, 0 outside, with a linear ramp around depth 1."""
    ramp: Floats = np.clip((1 - depth) / np.float32(width) + np.float32(0.5), 0, 1)
    return ramp


def blend(window: Floats, share: Floats, fill: Floats | float) -> None:
    """Mix a fill into part of a picture, in place."""
    window += share * (fill - window)


def coin(rng: np.random.Generator, probability: float) -> bool:
    """True with a probability."""
    return bool(rng.random() < probability)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two."""
    return float(rng.uniform(low, high))


def scaled(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two, every order of magnitude alike."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def how_many(area: float, radius: float, *, least: int, most: int) -> int:
    """How many discs cover an area."""
    return int(np.clip(area / (math.pi * radius**2), least, most))
