"""Single cells and nuclei: fluorescence, phase contrast, bacteria."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    divide,
    drift,
    patches,
    pushed_apart,
    scatter,
)
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.objects import Patch
    from napari_seggpt.training.synthesis.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLook:
    """How the cells of one group look."""

    bright: float
    spread: float  # of the brightness between cells
    texture: float
    cell: float  # size of the texture's grains in pixels
    rim: float  # brightness of the rim against the middle
    spots: float  # contrast of the nucleoli or vacuoles
    scale: float = 1.0
    aspect: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> CellLook:
        """Draw a look."""
        return cls(
            bright=between(rng, 0.4, 0.95),
            spread=between(rng, 0.05, 0.5),
            texture=between(rng, 0.03, 0.25),
            cell=between(rng, 2, 7),
            rim=float(rng.normal(-0.2, 0.25)),
            spots=between(rng, -0.7, 0.5) * coin(rng, 0.6),
        )

    def other(self, rng: np.random.Generator) -> CellLook:
        """A look that differs clearly in one respect."""
        respect = rng.choice(["bright", "texture", "rim", "scale", "aspect"])
        if respect == "bright":
            dim = self.bright > 0.6
            level = between(rng, 0.2, 0.3) if dim else between(rng, 0.85, 1.0)
            return replace(self, bright=level, spread=0.1)
        if respect == "texture":
            fine = self.texture > 0.15
            return replace(self, texture=0.02 if fine else 0.45, cell=3.0)
        if respect == "rim":
            return replace(self, rim=1.0 if self.rim < 0.2 else -0.6)
        if respect == "scale":
            return replace(self, scale=between(rng, 0.4, 0.55))
        return replace(self, aspect=between(rng, 2.2, 3.2))


class Nuclei(Family[Objects]):
    """Fluorescent nuclei: bright, textured, touching, of varying brightness."""

    kind = "nuclei"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.12, noise=0.07, tint=0.12)
        self.radius = scaled(rng, 3, 17)
        cover = between(rng, 0.06, 0.5) * size**2
        self.count = how_many(cover, self.radius, least=3, most=70)
        self.spacing = between(rng, 0.72, 1.1)
        self.clusters = int(rng.integers(1, 5)) if coin(rng, 0.35) else 0
        self.bumps = between(rng, 0.01, 0.07)
        self.aspect = between(rng, 1.15, 1.9)
        self.haze = between(rng, 0, 0.2)
        self.cytoplasm = between(rng, 0.04, 0.2) * coin(rng, 0.4)
        self.growth = between(rng, 0.02, 0.08)  # of the age, per frame
        first = CellLook.draw(rng)
        self.looks = (first, first.other(rng))
        self.share = between(rng, 0.25, 0.6) * coin(rng, 0.45)
        self.second_label = 2 if coin(rng, 0.5) else 0
        if not (self.share and self.second_label) and coin(rng, 0.75):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Scatter nuclei of one or two groups."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.8, self.radius * 1.3),
            spacing=self.spacing,
            aspect=(1.0, self.aspect),
            bumps=self.bumps,
            clusters=self.clusters,
        )
        group = (rng.random(len(objects)) < self.share).astype(np.int64)
        scale = np.where(group == 1, self.looks[1].scale, 1.0)
        stretch = np.where(group == 1, self.looks[1].aspect, 1.0)
        return replace(
            objects,
            group=group,
            radius=objects.radius * scale,
            aspect=objects.aspect * stretch,
        )

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Crawl, grow, divide and push each other."""
        moved = drift(layout, rng)
        moved = pushed_apart(divide(moved, rng), self.spacing)
        scale = np.where(moved.group == 1, self.looks[1].scale, 1.0)
        full = self.radius * scale * (0.9 + 0.3 * moved.brightness)
        grown = moved.radius + 0.12 * np.clip(full - moved.radius, 0, None)
        return replace(moved, age=moved.age + self.growth, radius=grown)

    def _label(self, objects: Objects, index: int) -> int:
        if self.label_kind == "instance":
            return 0 if objects.group[index] else int(objects.identity[index])
        return self.second_label if objects.group[index] else 1

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint nuclei as textured blobs on a hazy background."""
        owner = Owner(canvas)
        haze = np.clip(0.5 + 0.35 * canvas.noise(canvas.size / 3), 0, 2)
        picture = 0.04 + self.haze * haze
        if self.cytoplasm:
            halo = self._cytoplasm(layout, canvas)
            picture = picture + halo * (1 + 0.3 * canvas.fractal(5, octaves=2))
        textures = [canvas.fractal(look.cell, octaves=2) for look in self.looks]
        spots = np.clip(canvas.noise(5) - 0.9, 0, 0.6)
        for patch in patches(layout, canvas, reach=1.15):
            owner.claim(patch, self._label(layout, patch.index))
            texture = textures[layout.group[patch.index]][patch.window]
            glow = self._glow(layout, patch, texture, spots[patch.window])
            window = picture[patch.window]
            np.maximum(window, glow + 0.3 * window, out=window)
        return Scene(picture=picture.astype(np.float32), labels=owner.labels)

    def _glow(
        self, objects: Objects, patch: Patch, texture: Floats, spots: Floats
    ) -> Floats:
        look = self.looks[objects.group[patch.index]]
        level = 1 + look.spread * (2 * objects.brightness[patch.index] - 1)
        to_division = (1 - objects.age[patch.index]) / max(self.growth, 1e-6)
        condensed = float(np.exp(-((to_division / 1.5) ** 2)))
        level = look.bright * level * (1 + 0.6 * condensed)
        body = 1 + look.texture * texture + look.spots * 2 * spots
        body = body * (1 + look.rim * (np.minimum(patch.depth, 1) ** 2 - 0.5))
        glow: Floats = np.clip(body, 0.3, 3) * edge(patch.depth, 0.2)
        return np.float32(level) * glow

    def _cytoplasm(self, objects: Objects, canvas: Canvas) -> Floats:
        wide = replace(objects, radius=objects.radius * 1.9)
        halo = np.zeros(canvas.shape, np.float32)
        for patch in patches(wide, canvas):
            window = halo[patch.window]
            np.maximum(window, self.cytoplasm * edge(patch.depth, 0.5), out=window)
        return halo


class PhaseCells(Family[Objects]):
    """Phase-contrast-like cells: grey bodies, dark or bright rims, bright halos."""

    kind = "phase"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.2, noise=0.05, tint=0.15)
        self.radius = scaled(rng, 6, 22)
        cover = between(rng, 0.06, 0.4) * size**2
        self.count = how_many(cover, self.radius, least=2, most=45)
        self.spacing = between(rng, 0.8, 1.15)
        self.bumps = between(rng, 0.03, 0.15)
        self.aspect = between(rng, 1.3, 4)
        self.ground = between(rng, 0.4, 0.6)
        self.body = between(rng, -0.2, 0.08)
        self.rim = between(rng, -0.3, 0.1)
        if abs(self.body + 0.4 * self.rim) < 0.1:
            self.body = -0.15 - 0.4 * self.rim
        self.halo = between(rng, 0.1, 0.5)
        self.halo_width = between(rng, 0.1, 0.3)
        self.texture = between(rng, 0.02, 0.13)
        self.cell = between(rng, 2, 5)
        self.nucleus = between(rng, -0.2, 0.2) * coin(rng, 0.6)
        self.dirt = between(rng, 0, 0.05)
        self.dead = between(rng, 0.1, 0.3) * coin(rng, 0.4)
        self.label_dead = 2 if coin(rng, 0.5) else 0
        if not (self.dead and self.label_dead) and coin(rng, 0.75):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Scatter cells; dead ones are small, round and bright."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.75, self.radius * 1.35),
            spacing=self.spacing,
            aspect=(1.0, self.aspect),
            bumps=self.bumps,
        )
        dead = rng.random(len(objects)) < self.dead
        return replace(
            objects,
            group=dead.astype(np.int64),
            radius=np.where(dead, objects.radius * 0.5, objects.radius),
            aspect=np.where(dead, 1.05, objects.aspect),
            bumps=np.where(dead[:, None, None], 0.2 * objects.bumps, objects.bumps),
        )

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Crawl and change shape."""
        return pushed_apart(drift(layout, rng, wobble=0.15), self.spacing)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint halos first, then bodies over them."""
        owner = Owner(canvas)
        picture = self.ground + self.dirt * canvas.fractal(9, octaves=2)
        grain = canvas.fractal(self.cell, octaves=2)
        drawn = list(patches(layout, canvas, reach=1 + 1.3 * self.halo_width))
        for patch in drawn:
            outward = (patch.depth - 1) / self.halo_width
            halo = self.halo * np.clip(1 - outward, 0, 1)
            window = picture[patch.window]
            np.maximum(window, self.ground + halo, out=window, where=outward < 1)
        for patch in drawn:
            dead = bool(layout.group[patch.index])
            label = self.label_dead if dead else int(layout.identity[patch.index])
            if not dead and self.label_kind == "semantic":
                label = 1
            won = owner.claim(patch, label) * edge(patch.depth, 0.12)
            blend(picture[patch.window], won, self._body(patch, grain, dead=dead))
        return Scene(picture=picture.astype(np.float32), labels=owner.labels)

    def _body(self, patch: Patch, grain: Floats, *, dead: bool) -> Floats:
        rim = np.clip(patch.depth, 0, 1) ** 6
        if dead:
            return np.float32(0.95) - np.float32(0.6) * rim
        body = self.ground + self.body + self.texture * grain[patch.window]
        core = np.clip(1.5 - 4 * patch.depth, 0, 1)
        whole: Floats = body + self.rim * rim + self.nucleus * core
        return whole


class Rods(Family[Objects]):
    """Rod-shaped bacteria: dark or bright, single, in chains or in patches."""

    kind = "rods"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.5, noise=0.06, blur=(0.3, 1.0))
        self.width = scaled(rng, 2.2, 7)
        self.aspect = between(rng, 2.2, 6)
        self.radius = self.width * float(np.sqrt(self.aspect))
        cover = between(rng, 0.05, 0.4) * size**2
        self.count = how_many(cover, self.radius, least=4, most=80)
        self.spacing = between(rng, 0.5, 0.9)
        self.clusters = int(rng.integers(1, 4)) if coin(rng, 0.5) else 0
        self.aligned = between(rng, 0, 0.95)
        self.bend = between(rng, 0, 0.12)
        self.level = between(rng, 0.5, 0.95)
        self.rim = between(rng, -0.4, 0.5)
        self.halo = between(rng, 0, 0.8) * coin(rng, 0.6)
        self.ground = between(rng, 0.05, 0.3)
        self.texture = between(rng, 0.01, 0.06)
        self.cocci = between(rng, 0.2, 0.5) * coin(rng, 0.35)
        self.label_cocci = 2 if coin(rng, 0.5) else 0
        if not (self.cocci and self.label_cocci) and coin(rng, 0.75):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Scatter rods, some of them replaced by cocci."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.8, self.radius * 1.2),
            spacing=self.spacing,
            aspect=(self.aspect * 0.8, self.aspect * 1.2),
            bumps=self.bend,
            clusters=self.clusters,
            aligned=self.aligned,
            rod=True,
        )
        coccus = rng.random(len(objects)) < self.cocci
        return replace(
            objects,
            group=coccus.astype(np.int64),
            radius=np.where(coccus, self.width * 1.3, objects.radius),
            aspect=np.where(coccus, 1.0, objects.aspect),
        )

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Drift."""
        return drift(layout, rng, speed=0.4)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint rods with a rim and a faint halo."""
        owner = Owner(canvas)
        picture = self.ground + self.texture * canvas.fractal(6)
        for patch in patches(layout, canvas, reach=1.6):
            label = int(layout.identity[patch.index])
            if self.label_kind == "semantic":
                label = 1
            won = owner.claim(
                patch, self.label_cocci if layout.group[patch.index] else label
            )
            window = picture[patch.window]
            near = np.clip(1.6 - patch.depth, 0, 0.6) * (
                owner.labels[patch.window] == 0
            )
            window -= self.halo * near * self.ground
            level = self.level * (0.8 + 0.4 * layout.brightness[patch.index])
            body = level * (1 + self.rim * (np.minimum(patch.depth, 1) ** 2 - 0.5))
            blend(window, won * edge(patch.depth, 0.3), body)
        return Scene(picture=picture.astype(np.float32), labels=owner.labels)
