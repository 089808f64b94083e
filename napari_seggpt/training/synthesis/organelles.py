"""Cells in the electron microscope: mitochondria, vesicles, membranes, nuclei."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.training.synthesis.appearance import Appearance
from napari_seggpt.training.synthesis.family import (
    Family,
    Owner,
    between,
    blend,
    coin,
    edge,
    how_many,
    scaled,
)
from napari_seggpt.training.synthesis.objects import (
    Objects,
    drift,
    merged,
    patches,
    scatter,
)
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.objects import Patch
    from napari_seggpt.training.synthesis.types import Floats

MITOCHONDRION, VESICLE, LYSOSOME, NUCLEUS = range(4)


class Organelles(Family[Objects]):
    """Textured cytoplasm with dark-rimmed mitochondria, vesicles and membranes."""

    kind = "organelles"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(
            rng, invert=0.15, noise=0.07, blur=(0.3, 0.9), tint=0
        )
        self.radius = scaled(rng, 6, 20)
        self.ground = between(rng, 0.55, 0.8)
        self.texture = between(rng, 0.04, 0.11)
        self.cell = between(rng, 2, 4)
        self.dark = between(rng, 0.08, 0.28)
        self.rim = between(rng, 0.1, 0.35)
        self.cristae = between(rng, 0.05, 0.25)
        self.stripe = between(rng, 1.0, 2.2)
        self.aspect = between(rng, 1.2, 3.0)
        self.bumps = between(rng, 0.02, 0.09)
        cover = between(rng, 0.06, 0.25) * size**2
        self.count = how_many(cover, self.radius, least=2, most=25)
        self.vesicles = int(rng.integers(5, 40)) if coin(rng, 0.6) else 0
        self.vesicle_radius = between(rng, 1.8, 4)
        self.lysosomes = int(rng.integers(1, 7)) if coin(rng, 0.5) else 0
        self.nucleus = coin(rng, 0.3)
        self.sheets = between(rng, 0.03, 0.07)  # how thick membranes are cut
        self.sheet_cell = between(rng, 18, 45)
        self.sheet_level = between(rng, 0.2, 0.45)
        self.reticulum = coin(rng, 0.5)
        self.labels = self._plan(rng)

    def _plan(self, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """Labels of mitochondria, vesicles, lysosomes and nuclei."""
        plans = [(1, 0, 0, 0)] * 3
        if self.vesicles:
            plans += [(1, 2, 0, 0), (0, 1, 0, 0)]
        if self.lysosomes:
            plans += [(1, 0, 2, 0), (0, 0, 1, 0)]
        if self.nucleus:
            plans += [(0, 0, 0, 1), (2, 0, 0, 1)]
        plan = plans[int(rng.integers(len(plans)))]
        if sum(plan) == 1 and coin(rng, 0.5):
            self.label_kind = "instance"
        return plan

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Scatter organelles of every sort."""
        radius = self.radius
        parts = [
            self._sort(rng, size, NUCLEUS, int(self.nucleus), size * 0.28, 0.03, 1.3),
            self._sort(
                rng, size, MITOCHONDRION, self.count, radius, self.bumps, self.aspect
            ),
            self._sort(rng, size, LYSOSOME, self.lysosomes, 0.6 * radius, 0.06, 1.3),
            self._sort(
                rng, size, VESICLE, self.vesicles, self.vesicle_radius, 0.02, 1.2
            ),
        ]
        return merged([part for part in parts if len(part)])

    @staticmethod
    def _sort(
        rng: np.random.Generator,
        size: int,
        group: int,
        count: int,
        radius: float,
        bumps: float,
        aspect: float,
    ) -> Objects:
        objects = scatter(
            rng,
            size,
            count=max(count, 1),
            radius=(radius * 0.7, radius * 1.3),
            spacing=1.1,
            aspect=(1.0, aspect),
            bumps=bumps,
            clusters=2 if group == VESICLE else 0,
        )
        objects = objects.pick(np.arange(len(objects)) < count)
        return replace(objects, group=np.full(len(objects), group))

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """The next section."""
        return drift(layout, rng, speed=0.5, wobble=0.12)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint cytoplasm, then nuclei, mitochondria, lysosomes and vesicles."""
        owner = Owner(canvas)
        grain = self.texture * canvas.fractal(self.cell, octaves=2)
        picture = self._cytoplasm(canvas) + grain
        folds = canvas.noise(7)
        for patch in patches(layout, canvas, reach=1.15):
            group = int(layout.group[patch.index])
            label = self.labels[group]
            if self.label_kind == "instance":
                label *= int(layout.identity[patch.index])
            won = owner.claim(patch, label)
            fill = self._fill(group, patch, folds[patch.window])
            fill = fill + (0.6 if group == LYSOSOME else 1.0) * grain[patch.window]
            blend(picture[patch.window], won * edge(patch.depth, 0.1), fill)
        return Scene(picture=picture.astype(np.float32), labels=owner.labels)

    def _cytoplasm(self, canvas: Canvas) -> Floats:
        picture = self.ground + 0.05 * canvas.noise(30)
        sheet = np.abs(canvas.noise(self.sheet_cell)) / self.sheets
        picture -= (self.ground - self.sheet_level) * np.clip(1.5 - sheet, 0, 1)
        net = np.abs(canvas.noise(9)) / 0.12
        patchy = np.clip(canvas.noise(40), 0, 1)
        if self.reticulum:
            picture -= 0.25 * np.clip(1.5 - net, 0, 1) * patchy
        return picture

    def _fill(self, group: int, patch: Patch, folds: Floats) -> Floats:
        depth = np.minimum(patch.depth, 1)
        if group == VESICLE:
            return self.ground + 0.08 - (0.4 * (depth > 0.6)).astype(np.float32)
        if group == LYSOSOME:
            return np.float32(self.ground - 0.42) + 0.1 * folds
        if group == NUCLEUS:
            envelope = 0.25 * (depth > 0.96)
            chromatin = 0.12 * (folds > 0.7) + 0.1 * (depth > 0.88)
            nucleus: Floats = self.ground + 0.06 - envelope - chromatin
            return nucleus
        wave = np.sin(patch.along / np.float32(self.stripe) + 1.5 * folds)
        body = self.ground - self.dark - self.cristae * np.clip(wave, 0, 1)
        mitochondrion: Floats = np.where(
            depth > 0.86, self.ground - self.dark - self.rim, body
        )
        return mitochondrion
