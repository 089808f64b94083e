"""Slices through bodies: organs, the chambers of a heart, a spine."""

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
)
from napari_seggpt.training.synthesis.objects import (
    Objects,
    at_points,
    drift,
    patches,
    scatter,
)
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats


def _scanner(rng: np.random.Generator) -> Appearance:
    ultrasound = coin(rng, 0.2)
    return Appearance.draw(
        rng,
        invert=0.08,
        noise=0.06,
        blur=(0.4, 1.2),
        speckle=0.95 if ultrasound else 0.05,
        tint=0.03,
    )


def _another_patient(
    base: Objects, rng: np.random.Generator, *, zoom: float, size: int, vary: float
) -> Objects:
    """The same anatomy, every part a little moved, scaled and reshaped."""
    number = len(base)
    spread = 0.025 * size * vary
    shift = spread * rng.normal(0, 1, 2) + 0.6 * spread * rng.normal(0, 1, (number, 2))
    return replace(
        base,
        centre=base.centre * zoom + shift,
        radius=base.radius * zoom * np.exp(0.12 * vary * rng.normal(0, 1, number)),
        aspect=np.maximum(base.aspect * np.exp(0.1 * rng.normal(0, 1, number)), 1),
        angle=base.angle + 0.12 * vary * rng.normal(0, 1, number),
        bumps=base.bumps * (1 + 0.5 * vary * rng.normal(0, 1, base.bumps.shape)),
    )


class Organs(Family[Objects]):
    """A slice of a body: organs of different grey levels at stable places."""

    kind = "organs"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the anatomy and the scanner."""
        self.appearance = _scanner(rng)
        self.size = size
        self.whole = coin(rng, 0.6)  # the whole body, or a close-up
        self.anatomy = self._anatomy(rng, size)
        number = len(self.anatomy)
        self.levels = rng.permutation(np.linspace(0.12, 0.95, number + 2))
        self.textures = rng.uniform(0.0, 0.1, number + 2)
        self.cells = rng.uniform(2, 9, number + 2)
        classes = int(rng.integers(1, min(4, number) + 1))
        self.labels = np.zeros(number, np.uint16)
        chosen = rng.permutation(number)[:classes]
        self.labels[chosen] = np.arange(1, classes + 1)
        self.soft = between(rng, 0.03, 0.12)
        self.outside = between(rng, 0, 0.12)
        self.vary = between(rng, 0.2, 1.0)
        self.veins = between(rng, 0.1, 0.3) * coin(rng, 0.5)
        self.gut = between(rng, 0.1, 0.3) * coin(rng, 0.5)
        self.bones = coin(rng, 0.5)
        self.flatness = between(rng, 0.7, 1.0)

    def _anatomy(self, rng: np.random.Generator, size: int) -> Objects:
        organs = scatter(
            rng,
            size,
            count=int(rng.integers(3, 9)),
            radius=(0.06 * size, (0.2 if self.whole else 0.3) * size),
            spacing=0.8,
            aspect=(1.0, 1.9),
            bumps=between(rng, 0.03, 0.09),
            margin=0.0,
            packed=True,
        )
        if self.whole:
            middle = size / 2
            centre = middle + (organs.centre - middle) * np.array([0.5, 0.66])
            organs = replace(organs, centre=centre, radius=organs.radius * 0.85)
        return organs

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Another patient with the same anatomy."""
        zoom = size / self.size
        return _another_patient(self.anatomy, rng, zoom=zoom, size=size, vary=self.vary)

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """The next slice: outlines and sizes change slowly."""
        moved = drift(layout, rng, speed=0.3, wobble=0.12)
        return replace(moved, radius=moved.radius * (1 + 0.02 * moved.velocity[:, 0]))

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint the body, then the organs from large to small."""
        picture = self._body(canvas)
        labels = np.zeros(canvas.shape, np.uint16)
        grains = [canvas.fractal(cell, octaves=2) for cell in self.cells[:-2]]
        veins = np.clip(1.4 - np.abs(canvas.noise(13)) / 0.08, 0, 1) * self.veins
        for patch in patches(layout, canvas, reach=1.1):
            organ = int(layout.identity[patch.index]) - 1
            level = self.levels[organ]
            fill = level + self.textures[organ] * grains[organ][patch.window]
            if organ == 0:
                fill = fill + (veins if level < 0.6 else -veins)[patch.window]
            blend(picture[patch.window], edge(patch.depth, self.soft), fill)
            labels[patch.window][patch.inside] = self.labels[organ]
        return Scene(picture=picture.astype(np.float32), labels=labels)

    def _body(self, canvas: Canvas) -> Floats:
        flesh: Floats = self.levels[-1] + self.textures[-1] * canvas.fractal(8)
        loops = np.clip(1.5 - np.abs(canvas.noise(15) - 0.5) / 0.25, 0, 1)
        flesh = flesh + self.gut * loops
        size = canvas.size
        v = (canvas.rows - size / 2) / np.float32(0.46 * size * self.flatness)
        u = (canvas.columns - size / 2) / np.float32(0.48 * size)
        depth = np.sqrt(u * u + v * v) + 0.03 * canvas.noise(size / 2)
        if not self.whole:
            return flesh
        picture = np.full(canvas.shape, self.outside, np.float32)
        blend(picture, edge(depth, 0.05), self.levels[-2])
        blend(picture, edge(depth + 0.1, 0.05), flesh)
        if self.bones:
            ribs = np.clip(np.cos(9 * np.arctan2(v, u)) * 4 - 2, 0, 1)
            blend(picture, ribs * (np.abs(depth - 0.82) < 0.05), 0.98)
        return picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Heart:
    """Left ventricle, its wall, and the crescent of the right ventricle."""

    parts: Objects  # 0 left, 1 right, 2 and further: surroundings
    wall: float  # thickness in units of the left radius


class Chambers(Family[Heart]):
    """A cut heart, or any bright lumen inside a wall beside a crescent."""

    kind = "chambers"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the anatomy and the scanner."""
        self.appearance = _scanner(rng)
        self.size = size
        self.radius = size * between(rng, 0.07, 0.16)
        self.centre = size * rng.uniform(0.38, 0.62, 2)
        self.side = between(rng, 0, 2 * np.pi)
        self.wall = between(rng, 0.25, 0.6)
        self.blood = between(rng, 0.7, 0.95)
        self.muscle = between(rng, 0.2, 0.45)
        if coin(rng, 0.25):
            self.blood, self.muscle = self.muscle, self.blood
        self.texture = between(rng, 0.02, 0.09)
        self.lung = between(rng, 0.02, 0.15)
        self.muscles = between(rng, 0.0, 0.9)  # papillary muscles in the lumen
        self.around = [between(rng, 0.1, 0.9) for _ in range(5)]
        plans = [(1, 2, 3), (1, 0, 0), (0, 1, 0), (1, 0, 2), (1, 1, 0), (0, 0, 1)]
        self.labels = plans[int(rng.integers(len(plans)))]  # lumen, wall, crescent

    def arrange(self, rng: np.random.Generator, size: int) -> Heart:
        """Another patient."""
        zoom = size / self.size
        centre = self.centre * zoom + 0.03 * size * rng.normal(0, 1, 2)
        side = self.side + 0.2 * rng.normal()
        radius = self.radius * zoom * float(np.exp(0.2 * rng.normal()))
        toward = np.array([np.sin(side), np.cos(side)])
        right = centre + 1.35 * radius * (1 + self.wall) * toward
        others = rng.uniform(0, size, (5, 2))
        far = others - centre
        others = centre + far * np.maximum(1, 3.4 * radius / np.hypot(*far.T))[:, None]
        radii = [radius, 1.35 * radius, *(size * rng.uniform(0.05, 0.2, 5))]
        points = np.stack([centre, right, *others])
        parts = at_points(rng, points, np.array(radii), aspect=(1, 1.3), bumps=0.04)
        angle = parts.angle.copy()
        angle[1] = side + np.pi / 2
        aspect = parts.aspect.copy()
        aspect[1] = rng.uniform(1.4, 2.2)
        parts = replace(parts, angle=angle, aspect=aspect)
        return Heart(parts=parts, wall=self.wall * float(np.exp(0.1 * rng.normal())))

    def advance(self, layout: Heart, rng: np.random.Generator) -> Heart:
        """The next slice, or the next moment of the beat."""
        parts = drift(layout.parts, rng, speed=0.15, wobble=0.08)
        beat = 1 + 0.03 * parts.velocity[0, 0]
        return Heart(
            parts=replace(parts, radius=parts.radius * beat),
            wall=float(np.clip(layout.wall / beat**2, 0.2, 0.8)),
        )

    def paint(self, layout: Heart, canvas: Canvas) -> Scene:
        """Paint surroundings, the right chamber, then the left in its wall."""
        grain = self.texture * canvas.fractal(4, octaves=2)
        picture = self.lung + np.clip(canvas.noise(10), 0, 2) * 0.08 + grain
        labels = np.zeros(canvas.shape, np.uint16)
        pillars = canvas.noise(max(0.35 * self.radius, 2.0)) > 1.2
        lumen, wall, crescent = self.labels
        for patch in reversed(list(patches(layout.parts, canvas, reach=2.0))):
            window, own = picture[patch.window], labels[patch.window]
            if patch.index > 1:
                level = self.around[patch.index - 2]
                blend(window, edge(patch.depth, 0.1), level + grain[patch.window])
                continue
            if patch.index == 1:
                sheath = edge(patch.depth / np.float32(1.12), 0.1)
                blend(window, sheath, self.muscle + grain[patch.window])
                blend(window, edge(patch.depth, 0.08), self.blood + grain[patch.window])
                own[patch.inside] = crescent
                continue
            outer = patch.depth / np.float32(1 + layout.wall)
            blend(window, edge(outer, 0.08), self.muscle + grain[patch.window])
            own[outer < 1] = wall
            blood = self.blood + (self.muscle - self.blood) * self.muscles * (
                pillars[patch.window] & (patch.depth > 0.45)
            )
            blend(window, edge(patch.depth, 0.08), blood + grain[patch.window])
            own[patch.inside] = lumen
        return Scene(picture=picture.astype(np.float32), labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Vertebrae along a curved line."""

    line: NDArray[np.float64]  # (V, 2) their centres
    angle: NDArray[np.float64]  # (V,) of the line
    height: float
    width: float


class Spine(Family[Column]):
    """A row of blocks with discs between them and a canal behind: a spine."""

    kind = "spine"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the anatomy and the scanner."""
        self.appearance = _scanner(rng)
        self.size = size
        self.height = size * between(rng, 0.1, 0.2)
        self.width = self.height * between(rng, 1.0, 1.6)
        self.gap = between(rng, 0.2, 0.4)  # share of the disc
        self.tilt = float(rng.normal(0, 0.15)) + np.pi / 2 * coin(rng, 0.15)
        self.bend = between(rng, -0.5, 0.5)
        self.place = between(rng, 0.35, 0.65)
        levels = rng.permutation([0.2, 0.5, 0.65, 0.9]) + rng.normal(0, 0.04, 4)
        self.bone, self.disc, self.canal, self.flesh = levels.tolist()
        self.rim = between(rng, -0.3, 0.3)
        self.texture = between(rng, 0.02, 0.08)
        self.fat = between(rng, 0, 0.4)
        plans = [(1, 0, 0), (1, 2, 0), (1, 2, 3), (0, 1, 0), (0, 0, 1), (1, 0, 2)]
        self.labels = plans[int(rng.integers(len(plans)))]  # bone, disc, canal
        if self.labels == (1, 0, 0) and coin(rng, 0.7):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Column:
        """Another patient: other curve, slightly other sizes."""
        zoom = size / self.size
        height = self.height * zoom * float(np.exp(0.08 * rng.normal()))
        count = int(size / height) + 3
        steps = np.arange(count) - count / 2 + rng.uniform(-0.3, 0.3)
        bend = self.bend + 0.15 * rng.normal()
        angle = (
            self.tilt + 0.08 * rng.normal() + bend * np.sin(steps * height / size * 3)
        )
        along = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        line = np.cumsum(along, axis=0) * height
        middle = size * np.array([0.5, self.place + 0.03 * rng.normal()])
        width = self.width * zoom * float(np.exp(0.08 * rng.normal()))
        line = line - line[count // 2] + middle
        return Column(line=line, angle=angle, height=height, width=width)

    def advance(self, layout: Column, rng: np.random.Generator) -> Column:
        """The next slice: a little wider or narrower."""
        turn = 0.02 * rng.normal(0, 1, len(layout.angle))
        shift = 0.4 * rng.normal(0, 1, layout.line.shape)
        width = layout.width * (1 + 0.02 * rng.normal())
        return replace(
            layout, line=layout.line + shift, angle=layout.angle + turn, width=width
        )

    def paint(self, layout: Column, canvas: Canvas) -> Scene:
        """Paint flesh, canal, discs and vertebrae."""
        grain = self.texture * canvas.fractal(5, octaves=2)
        fat = np.clip(canvas.noise(canvas.size / 5), 0, 2) * self.fat
        picture = self.flesh * (0.6 + 0.2 * canvas.noise(canvas.size / 4)) + fat + grain
        nearest, down, across = self._local(layout, canvas)
        across = across + np.float32(0.015) * canvas.noise(8)
        waist = 0.45 + 0.25 * down**2
        bone = _rounded(down / (0.5 - 0.5 * self.gap), across / waist)
        disc = _rounded((0.5 - np.abs(down)) / (0.42 * self.gap), across / 0.47)
        tube = np.abs(across - 0.78) / 0.15
        labels = np.zeros(canvas.shape, np.uint16)
        bone_label = nearest + 1 if self.label_kind == "instance" else self.labels[0]
        for depth, level, label in (
            (tube, self.canal, self.labels[2]),
            (disc, self.disc, self.labels[1]),
            (bone, self.bone, bone_label),
        ):
            fill = level + self.rim * np.clip(depth, 0, 1) ** 8 + grain
            blend(picture, edge(depth, 0.12), fill)
            labels = np.where(depth < 1, label, labels)
        return Scene(
            picture=picture.astype(np.float32), labels=labels.astype(np.uint16)
        )

    @staticmethod
    def _local(
        layout: Column, canvas: Canvas
    ) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Nearest vertebra, and a pixel's place in it in units of its size."""
        line = layout.line.astype(np.float32)
        rows = canvas.rows[..., None] - line[:, 0]  # (H, 1, V)
        columns = canvas.columns[..., None] - line[:, 1]  # (1, W, V)
        nearest = np.argmin(rows**2 + columns**2, axis=-1)
        cosine = np.cos(layout.angle).astype(np.float32)[nearest]
        sine = np.sin(layout.angle).astype(np.float32)[nearest]
        row = canvas.rows - line[nearest, 0]
        column = canvas.columns - line[nearest, 1]
        down = (cosine * row + sine * column) / np.float32(layout.height)
        across = (cosine * column - sine * row) / np.float32(layout.width)
        return nearest, down, across


def _rounded(down: Floats, across: Floats) -> Floats:
    """Depth in a rectangle with round corners."""
    depth: Floats = (down**4 + across**4) ** np.float32(0.25)
    return depth
