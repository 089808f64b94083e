"""A lesion in tissue: a blob of faint contrast or of another texture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.training.synthesis.appearance import Appearance
from napari_seggpt.training.synthesis.family import (
    Family,
    between,
    blend,
    coin,
    edge,
)
from napari_seggpt.training.synthesis.objects import Objects, drift, patch_of, scatter
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats


class Lesion(Family[Objects]):
    """A polyp, mole or tumour in tissue, grey or coloured, among decoys."""

    kind = "lesion"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw tissue and lesion."""
        self.coloured = coin(rng, 0.55)
        self.by_texture = coin(rng, 0.3)
        speckle = 0.0 if self.coloured or self.by_texture else 0.5
        self.appearance = Appearance.draw(
            rng, invert=0.1, noise=0.03, blur=(0.3, 1.0), speckle=speckle, tint=0
        )
        if self.by_texture:
            self.appearance = replace(self.appearance, blur=0.4, photons=0, noise=0.01)
        self.radius = size * between(rng, 0.08, 0.28)
        self.bumps = between(rng, 0.03, 0.13)
        self.aspect = between(rng, 1.1, 1.8)
        self.soft = between(rng, 0.08, 0.35)
        self._draw_surfaces(rng, size)
        self.highlights = coin(rng, 0.5)
        self.hairs = coin(rng, 0.25)
        self.decoys = int(rng.integers(1, 4)) if coin(rng, 0.4) else 0
        self.vignette = between(rng, 0, 0.6)
        self.beam = coin(rng, 0.5) and not self.coloured  # layers, as in ultrasound

    def _draw_surfaces(self, rng: np.random.Generator, size: int) -> None:
        sign = -1 if coin(rng, 0.6) else 1
        step = between(rng, 0, 0.05) if self.by_texture else between(rng, 0.12, 0.32)
        self.contrast = sign * step
        self.ground = between(rng, 0.4, 0.65)
        self.texture = between(rng, 0.02, 0.06)
        self.cell = between(rng, 5, 14)
        self.own_texture = between(rng, 0.02, 0.08)
        self.own_cell = self.cell
        if self.by_texture:
            self.own_texture, self.own_cell = between(rng, 0.1, 0.2), between(rng, 2, 4)
        self.rim = between(rng, -0.12, 0.12) * coin(rng, 0.4)
        self.dome = between(rng, 0, 0.15) * coin(rng, 0.5)
        self.hue = rng.normal(0, 0.05, 3) + np.array([0.2, -0.12, -0.15])
        if coin(rng, 0.3):
            self.hue = rng.normal(0, 0.12, 3)
        self.own_hue = rng.normal(0, 0.07, 3)
        self.folds = between(rng, 0, 0.2) * coin(rng, 0.6)
        self.fold_cell = size * between(rng, 0.15, 0.4)
        self.veins = between(rng, 0, 0.15) * coin(rng, 0.5)

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Place the lesion, and decoys of opposite contrast."""
        objects = scatter(
            rng,
            size,
            count=1 + self.decoys,
            radius=(self.radius * 0.75, self.radius * 1.3),
            spacing=0.95,
            aspect=(1.0, self.aspect),
            bumps=self.bumps,
            margin=-0.6,
        )
        decoy = np.arange(len(objects)) > 0
        radius = np.where(decoy, objects.radius * 0.6, objects.radius)
        return replace(objects, group=decoy.astype(np.int64), radius=radius)

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Move with the camera."""
        return drift(layout, rng, speed=1.0)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint tissue, decoys, lesion, then what lies before them."""
        tissue = self._tissue(canvas)
        labels = np.zeros(canvas.shape, np.uint16)
        tone = np.zeros((*canvas.shape, 3), np.float32)
        own = self.own_texture * canvas.fractal(self.own_cell, octaves=2)
        for index in reversed(range(len(layout))):
            patch = patch_of(layout, index, canvas, reach=1.3)
            if patch is None:
                continue
            inside = edge(patch.depth, self.soft)
            window = tissue[patch.window]
            if layout.group[index]:
                window -= inside * np.float32(0.7 * self.contrast)
                continue
            depth = np.clip(patch.depth, 0, 1)
            change = self.contrast + self.rim * depth**8 + self.dome * (0.5 - depth**2)
            keep = 0.2 if self.by_texture else 0.6
            calm = self.ground + keep * (window - self.ground)
            blend(window, inside, calm + change + own[patch.window])
            tone[patch.window] += inside[..., None] * self.own_hue.astype(np.float32)
            labels[patch.window][patch.inside] = 1
        return Scene(picture=self._finish(tissue, tone, canvas), labels=labels)

    def _tissue(self, canvas: Canvas) -> Floats:
        tissue = self.ground + self.texture * canvas.fractal(self.cell)
        fold = np.clip(1 - np.abs(canvas.noise(self.fold_cell)) / 0.25, 0, 1)
        tissue -= self.folds * fold
        vein = np.abs(canvas.noise(self.fold_cell / 2))
        tissue -= self.veins * np.clip(1 - vein / 0.08, 0, 1)
        layers = canvas.noise(4.0, 40.0)
        if self.beam:
            tissue += 0.1 * layers
        return tissue.astype(np.float32)

    def _finish(self, tissue: Floats, tone: Floats, canvas: Canvas) -> Floats:
        half = canvas.size / 2
        away = np.hypot(canvas.rows - half, canvas.columns - half) / half
        tissue = tissue * (1 - self.vignette * np.clip(away - 0.3, 0, 1) ** 2)
        hair = np.clip(1.3 - np.abs(canvas.noise(canvas.size / 3)) / 0.02, 0, 1)
        if self.hairs:
            tissue = tissue * (1 - 0.5 * hair)
        if not self.coloured:
            return tissue.astype(np.float32)
        shine = np.clip(canvas.noise(6) - 2.2, 0, 0.25) * (4 * self.highlights)
        colours = tissue[..., None] * (1 + self.hue.astype(np.float32) + tone)
        shown: Floats = (colours + shine[..., None]).astype(np.float32)
        return shown
