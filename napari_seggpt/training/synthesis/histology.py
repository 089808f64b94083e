"""Stained sections: pink tissue, purple nuclei, glands around white lumens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.training.synthesis.appearance import Appearance
from napari_seggpt.training.synthesis.family import (
    Family,
    between,
    blend,
    coin,
    edge,
    scaled,
)
from napari_seggpt.training.synthesis.objects import (
    Objects,
    at_points,
    drift,
    merged,
    patches,
    scatter,
)
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.objects import Patch
    from napari_seggpt.training.synthesis.types import Floats, Labels

# Optical density of haematoxylin and eosin in red, green and blue.
_HAEMATOXYLIN = np.array([0.65, 0.70, 0.29], np.float32)
_EOSIN = np.array([0.07, 0.99, 0.11], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Glands and nuclei of a section."""

    glands: Objects
    nuclei: Objects  # group 0 stroma, 1 lymphocytes, 2 lining of a gland


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slide:
    """A section under construction, painted in place."""

    pink: Floats  # density of the two stains
    purple: Floats
    grain: Floats
    labels: Labels


class Histology(Family[Section]):
    """A section stained with haematoxylin and eosin, or with another pair."""

    kind = "histology"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the stain and the tissue."""
        self.appearance = Appearance.draw(
            rng, invert=0, noise=0.03, blur=(0.3, 1.0), speckle=0, tint=0
        )
        self.first = _HAEMATOXYLIN * between(rng, 1.0, 1.8)
        self.first = np.abs(self.first + rng.normal(0, 0.08, 3)).astype(np.float32)
        self.second = _EOSIN * between(rng, 0.35, 0.8)
        self.second = np.abs(self.second + rng.normal(0, 0.06, 3)).astype(np.float32)
        if coin(rng, 0.15):  # brown on blue
            self.first, self.second = self.first[::-1].copy(), self.second[[1, 2, 0]]
        self.radius = scaled(rng, 2.5, 7)
        self.elongated = between(rng, 1.2, 3)
        self.cellular = between(rng, 0.03, 0.16)
        self.immune = between(rng, 0, 0.5) * coin(rng, 0.6)
        self.glands = int(rng.integers(1, 5)) if coin(rng, 0.65) else 0
        self.gland_radius = size * between(rng, 0.12, 0.24)
        self.lumen = between(rng, 0.25, 0.6)
        self.fibres = between(rng, 0.05, 0.35)
        self.fibre_cell = between(rng, 4, 10)
        self.depth = between(rng, 0.6, 1.0)  # of the nuclear stain
        self.fat = between(rng, 1.2, 1.7) * coin(rng, 0.3)
        self.mode = str(rng.choice(["gland", "lumen"] if self.glands else ["nuclei"]))
        if coin(rng, 0.4):
            self.mode = "nuclei"
        if self.glands and coin(rng, 0.2):
            self.mode = "both"
        if self.mode == "nuclei" and coin(rng, 0.7):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Section:
        """Place glands, nuclei along their lining, and nuclei between them."""
        glands = scatter(
            rng,
            size,
            count=max(self.glands, 1),
            radius=(self.gland_radius * 0.8, self.gland_radius * 1.25),
            spacing=1.05,
            aspect=(1.0, 1.7),
            bumps=0.07,
            margin=0.2,
        )
        glands = glands.pick(np.arange(len(glands)) < self.glands)
        count = int(self.cellular * size**2 / (3.1 * self.radius**2))
        stroma = scatter(
            rng,
            size,
            count=int(np.clip(count, 4, 60)),
            radius=(self.radius * 0.75, self.radius * 1.25),
            spacing=0.95,
            aspect=(1.0, self.elongated),
            bumps=0.05,
            aligned=0.7,
        )
        stroma = stroma.pick(~self._inside(stroma, glands))
        immune = rng.random(len(stroma)) < self.immune
        stroma = replace(
            stroma,
            group=immune.astype(np.int64),
            aspect=np.where(immune, 1.05, stroma.aspect),
            radius=np.where(immune, 0.85 * self.radius, stroma.radius),
        )
        linings = [self._lining(rng, glands, index) for index in range(len(glands))]
        return Section(glands=glands, nuclei=merged([stroma, *linings]))

    @staticmethod
    def _inside(nuclei: Objects, glands: Objects) -> NDArray[np.bool_]:
        gap = nuclei.centre[:, None] - glands.centre[None]
        away = np.hypot(gap[..., 0], gap[..., 1])
        inside: NDArray[np.bool_] = np.any(away < 1.15 * glands.radius, axis=1)
        return inside

    def _lining(self, rng: np.random.Generator, glands: Objects, index: int) -> Objects:
        around = 2 * np.pi * glands.radius[index] * 0.85
        count = max(int(around / (2.0 * self.radius)), 3)
        angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
        angles = angles + rng.normal(0, 0.15 / count, count)
        depth = min(0.92 - self.radius / glands.radius[index] * 0.6, 0.88)
        points = glands.outline(index, angles, depth)
        inward = glands.centre[index] - points
        radii = self.radius * rng.uniform(0.75, 1.1, count)
        nuclei = at_points(rng, points, radii, aspect=(1.1, 1.9))
        angle = np.arctan2(inward[:, 0], inward[:, 1]) + rng.normal(0, 0.2, count)
        return replace(nuclei, angle=angle, group=np.full(count, 2))

    def advance(self, layout: Section, rng: np.random.Generator) -> Section:
        """The next section of the block."""
        shift = rng.normal(0, 0.5, 2)
        glands = drift(layout.glands, rng, speed=0)
        nuclei = drift(layout.nuclei, rng, speed=0.15)
        glands = replace(glands, centre=glands.centre + shift)
        nuclei = replace(nuclei, centre=nuclei.centre + shift)
        return Section(glands=glands, nuclei=nuclei)

    def paint(self, layout: Section, canvas: Canvas) -> Scene:
        """Paint the densities of two stains and let light through them."""
        slide = _Slide(
            pink=self._stroma(canvas),
            purple=np.clip(0.06 + 0.04 * canvas.noise(9), 0, 1),
            grain=canvas.fractal(3, octaves=2),
            labels=np.zeros(canvas.shape, np.uint16),
        )
        for patch in patches(layout.glands, canvas, reach=1.1):
            self._paint_gland(patch, slide)
        for patch in patches(layout.nuclei, canvas, reach=1.1):
            self._paint_nucleus(layout.nuclei, patch, slide)
        density = slide.purple[..., None] * self.first
        density += slide.pink[..., None] * self.second
        light = np.float32(0.95) * np.exp(-np.float32(1.6) * density)
        return Scene(picture=light.astype(np.float32), labels=slide.labels)

    def _stroma(self, canvas: Canvas) -> Floats:
        warp = canvas.noise(25) * 8
        fibre = np.sin(
            (canvas.rows + 0.6 * canvas.columns + 3 * warp) / self.fibre_cell
        )
        fibre = fibre * canvas.noise(12)
        pink = 0.55 + 0.1 * canvas.fractal(10) + self.fibres * fibre
        holes = canvas.noise(14)
        if self.fat:
            pink = np.where(holes > self.fat, 0.03, pink)
        stroma: Floats = np.clip(pink, 0.03, 1.6).astype(np.float32)
        return stroma

    def _paint_gland(self, patch: Patch, slide: _Slide) -> None:
        inside = edge(patch.depth, 0.05)
        lumen = edge(patch.depth / np.float32(self.lumen), 0.1)
        grain = slide.grain[patch.window]
        blend(slide.pink[patch.window], inside, 0.45 + 0.08 * grain)
        blend(slide.purple[patch.window], inside, 0.22 + 0.05 * grain)
        blend(slide.pink[patch.window], lumen, 0.04)
        blend(slide.purple[patch.window], lumen, 0.01)
        labels = slide.labels[patch.window]
        if self.mode in ("gland", "both"):
            labels[patch.inside] = 1
        if self.mode == "lumen":
            labels[patch.depth < self.lumen] = 1

    def _paint_nucleus(self, nuclei: Objects, patch: Patch, slide: _Slide) -> None:
        immune = nuclei.group[patch.index] == 1
        level = self.depth * (0.75 + 0.35 * nuclei.brightness[patch.index])
        level = level * (1.25 if immune else 1)
        body = level * (0.85 + 0.2 * slide.grain[patch.window])
        body = body + 0.2 * np.clip(patch.depth, 0, 1) ** 4
        blend(slide.purple[patch.window], edge(patch.depth, 0.25), body)
        labels = slide.labels[patch.window]
        if self.mode == "both":
            labels[patch.inside] = 2
        elif self.mode == "nuclei":
            each = self.label_kind == "instance"
            identity = int(nuclei.identity[patch.index])
            labels[patch.inside] = identity if each else 1
