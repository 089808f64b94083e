"""Materials: particles, two-phase alloys, layers, regions told by texture."""

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
    how_many,
    scaled,
)
from napari_seggpt.training.synthesis.objects import Objects, drift, patches, scatter
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats


class Particles(Family[Objects]):
    """Overlapping discs or grains lit from one side, like an electron micrograph."""

    kind = "particles"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.15, noise=0.06, tint=0.05)
        self.radius = scaled(rng, 4, 26)
        cover = between(rng, 0.15, 0.8) * size**2
        self.count = how_many(cover, self.radius, least=3, most=60)
        self.spacing = between(rng, 0.45, 0.9)
        self.bumps = between(rng, 0, 0.08)
        self.aspect = between(rng, 1.05, 1.8)
        self.light = between(rng, 0, 2 * np.pi)
        self.relief = between(rng, 0, 0.35)
        self.rim = between(rng, 0, 0.5)
        self.shade = between(rng, 0, 0.25)  # shadow around a particle
        self.facets = int(rng.integers(4, 8)) if coin(rng, 0.3) else 0
        self.level = between(rng, 0.4, 0.75)
        self.ground = between(rng, 0.02, 0.25)
        self.texture = between(rng, 0.01, 0.08)
        self.fines = between(rng, 0.2, 0.5) * coin(rng, 0.4)
        self.label_fines = 2 if coin(rng, 0.5) else 0
        if not (self.fines and self.label_fines) and coin(rng, 0.75):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Scatter particles over each other."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.7, self.radius * 1.4),
            spacing=self.spacing,
            aspect=(1.0, self.aspect),
            bumps=self.bumps,
        )
        fine = rng.random(len(objects)) < self.fines
        radius = np.where(fine, objects.radius * 0.35, objects.radius)
        return replace(objects, group=fine.astype(np.int64), radius=radius)

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Drift."""
        return drift(layout, rng)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint particles one over another."""
        picture = self.ground + self.texture * canvas.fractal(12)
        surface = self.texture * canvas.fractal(4, octaves=2)
        labels = np.zeros(canvas.shape, np.uint16)
        for patch in patches(layout, canvas, reach=1.3):
            index, depth = patch.index, patch.depth
            if self.facets:
                depth = _faceted(patch.along, patch.across, depth, self.facets)
            side = self.light - layout.angle[index]
            slope = np.cos(side) * patch.along + np.sin(side) * patch.across
            fill = self.level + 0.2 * (layout.brightness[index] - 0.5)
            fill = fill + self.relief * slope / layout.radius[index]
            fill = fill + surface[patch.window] + self.rim * np.clip(depth, 0, 1) ** 8
            window = picture[patch.window]
            window *= 1 - self.shade * np.clip((1.3 - depth) / 0.3, 0, 1)
            blend(window, edge(depth, 0.1), fill)
            fine = bool(layout.group[index])
            whole = 1 if self.label_kind == "semantic" else int(layout.identity[index])
            labels[patch.window][depth < 1] = self.label_fines if fine else whole
        return Scene(picture=picture.astype(np.float32), labels=labels)


def _faceted(along: Floats, across: Floats, depth: Floats, sides: int) -> Floats:
    """The depth of a polygon instead of a circle."""
    sector = 2 * np.pi / sides
    angle = np.arctan2(across, along) % sector - sector / 2
    polygon: Floats = depth * np.cos(angle) / np.cos(sector / 2) * np.float32(0.85)
    return polygon.astype(np.float32)


class Phases(Family[float]):
    """Two phases of an alloy, foam or rock; labelled is one, or its small grains."""

    kind = "phases"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.3, noise=0.07, tint=0.1)
        self.cell = scaled(rng, 7, 35)
        self.share = float(rng.normal(0, 0.45))  # threshold in units of the spread
        self.folded = coin(rng, 0.4)
        self.step = between(rng, 0.15, 0.55) * rng.choice([-1, 1])
        self.ground = 0.5 - self.step / 2
        self.texture = between(rng, 0.01, 0.08)
        self.rim = between(rng, 0.05, 0.3) * coin(rng, 0.4) * rng.choice([-1, 1])
        self.soft = between(rng, 0.02, 0.15)
        self.fine = coin(rng, 0.4)
        self.fine_cell = between(rng, 4, 6)
        plans = [(1, 0)] if not self.fine else [(1, 0), (1, 2), (0, 1)]
        self.labels = plans[int(rng.integers(len(plans)))]

    def arrange(self, rng: np.random.Generator, size: int) -> float:
        """The threshold is all the layout there is."""
        return self.share + 0.08 * float(rng.normal())

    def advance(self, layout: float, rng: np.random.Generator) -> float:
        """One phase grows or shrinks a little."""
        return layout + 0.02 * float(rng.normal())

    def paint(self, layout: float, canvas: Canvas) -> Scene:
        """Cut smooth noise at a level."""
        field = canvas.noise(self.cell) + 0.25 * canvas.noise(self.cell / 2)
        if self.folded:
            field = 1.2 * np.sin(np.abs(field) * 2.2) - 0.3
        else:
            field = field + 0.1 * canvas.noise(max(self.cell / 5, 2))
        above = field - np.float32(layout)
        large = np.clip(above / np.float32(self.soft) + 0.5, 0, 1)
        picture = self.ground + self.step * large
        picture += self.rim * np.clip(1 - np.abs(above) / 0.25, 0, 1)
        labels = np.where(above > 0, self.labels[0], 0)
        grains = canvas.noise(self.fine_cell) - 1.0
        if self.fine:
            small = np.clip(grains / 0.3 + 0.5, 0, 1) * (above < -0.35)
            picture += 1.1 * self.step * small
            labels = np.where(small > 0.5, self.labels[1], labels)
        picture += self.texture * canvas.fractal(3, octaves=2)
        return Scene(
            picture=picture.astype(np.float32), labels=labels.astype(np.uint16)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weave:
    """A texture of mean 0 and spread 1."""

    sort: str
    cell: float
    angle: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Weave:
        """Draw a texture."""
        sorts = ["noise", "stripes", "ridges", "spots", "lengthwise", "crosswise"]
        return cls(
            sort=str(rng.choice(sorts)),
            cell=scaled(rng, 1.8, 4.5),
            angle=between(rng, 0, np.pi),
        )

    def differs(self, other: Weave) -> bool:
        """Whether the eye can tell the two."""
        return self.sort != other.sort or not 0.6 < self.cell / other.cell < 1.7

    def field(self, canvas: Canvas) -> Floats:
        """The texture on a canvas."""
        warp, noise = canvas.noise(18), canvas.noise(self.cell)
        if self.sort == "stripes":
            down, right = np.float32(np.sin(self.angle)), np.float32(np.cos(self.angle))
            across = down * canvas.rows + right * canvas.columns + 3 * warp
            return _normal(np.sin(across * np.float32(2.2 / self.cell)))
        if self.sort == "lengthwise":
            return canvas.noise(self.cell, 4 * self.cell)
        if self.sort == "crosswise":
            return canvas.noise(4 * self.cell, self.cell)
        if self.sort == "ridges":
            return _normal(np.exp(-((noise / np.float32(0.3)) ** 2)))
        if self.sort == "spots":
            return _normal(np.clip(noise - np.float32(0.5), 0, np.float32(0.6)))
        return noise


def _normal(field: Floats) -> Floats:
    normal: Floats = (field - field.mean()) / max(float(field.std()), 1e-3)
    return normal


class Textures(Family[Objects]):
    """Regions of the same mean grey, told apart by their texture alone."""

    kind = "textures"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw three textures."""
        self.appearance = Appearance.draw(
            rng, invert=0.3, noise=0.03, blur=(0.2, 0.7), speckle=0.0, tint=0.2
        )
        weaves = [Weave.draw(rng)]
        while len(weaves) < 3:
            weave = Weave.draw(rng)
            if all(weave.differs(other) for other in weaves):
                weaves.append(weave)
        self.weaves = weaves
        self.contrast = between(rng, 0.12, 0.25)
        self.step = between(rng, -0.06, 0.06)
        self.count = int(rng.integers(1, 7))
        self.radius = size * between(rng, 0.1, 0.26)
        self.mixed = coin(rng, 0.5)
        self.label_second = 2 if coin(rng, 0.6) else 0

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Place regions."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.7, self.radius * 1.3),
            spacing=0.9,
            aspect=(1.0, 2.0),
            bumps=0.08,
            margin=-0.2,
        )
        second = np.arange(len(objects)) % 2 * self.mixed
        return replace(objects, group=second)

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """Regions creep."""
        return drift(layout, rng, wobble=0.12)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Fill every region with its texture."""
        ground, *fills = (weave.field(canvas) for weave in self.weaves)
        field = ground.copy()
        labels = np.zeros(canvas.shape, np.uint16)
        step = np.zeros(canvas.shape, np.float32)
        for patch in patches(layout, canvas, reach=1.05):
            group = int(layout.group[patch.index])
            inside = edge(patch.depth, 0.05)
            blend(field[patch.window], inside, fills[group][patch.window])
            blend(step[patch.window], inside, self.step)
            labels[patch.window][patch.inside] = self.label_second if group else 1
        picture = 0.5 + step + self.contrast * field
        return Scene(picture=picture.astype(np.float32), labels=labels)


class Layers(Family["NDArray[np.float64]"]):
    """Stacked bands: a seismic section, a retina, the strata of a skin."""

    kind = "layers"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw thicknesses, grey levels and reflectors."""
        self.appearance = Appearance.draw(
            rng, invert=0.2, noise=0.06, speckle=0.4, tint=0.1
        )
        self.seismic = coin(rng, 0.4)
        self.count = int(rng.integers(3, 9))
        self.thickness = rng.dirichlet(np.full(self.count, 3.0)) * size
        self.size = size
        self.levels = self._levels(rng)
        self.frequency = rng.uniform(0.25, 1.3, self.count)
        self.amplitude = rng.uniform(0.02, 0.3 if self.seismic else 0.06, self.count)
        self.texture = between(rng, 0.02, 0.08)
        self.wave = size * between(rng, 0.01, 0.06)
        self.wave_cell = size * between(rng, 0.2, 0.8)
        self.own_wave = between(rng, 0.05, 0.3)
        self.pit = size * between(rng, 0.05, 0.15) * coin(rng, 0.3)
        self.faults = coin(rng, 0.3)
        self.cysts = coin(rng, 0.3)
        self.labels = self._plan(rng)

    def _levels(self, rng: np.random.Generator) -> NDArray[np.float64]:
        levels = np.zeros(self.count)
        levels[0] = rng.uniform(0.05, 0.9)
        for index in range(1, self.count):
            step = rng.uniform(0.12, 0.5) * rng.choice([-1, 1])
            level = levels[index - 1] + step
            levels[index] = level if 0.05 < level < 0.95 else levels[index - 1] - step
        return np.clip(levels, 0.03, 0.97)

    def _plan(self, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Labels of the layers and, last, of the cysts."""
        labels = np.zeros(self.count + 1, np.uint16)
        chosen = np.sort(rng.permutation(self.count)[: int(rng.integers(1, 6))])
        labels[chosen] = np.arange(1, len(chosen) + 1)
        if self.cysts and coin(rng, 0.6):
            labels[-1] = len(chosen) + 1
        return labels

    def arrange(self, rng: np.random.Generator, size: int) -> NDArray[np.float64]:
        """Shift the stack and vary the thicknesses."""
        zoom = size / self.size
        thickness = self.thickness * zoom * np.exp(0.15 * rng.normal(0, 1, self.count))
        top = thickness[0] + 0.04 * size * rng.normal()
        return np.array([top, *thickness[1:-1], 0.12 * rng.normal(), rng.uniform(0, 1)])

    def advance(
        self, layout: NDArray[np.float64], rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """The next section: slightly other depths."""
        change = 1 + 0.02 * rng.normal(0, 1, len(layout))
        change[-1] = 1
        return layout * change

    def paint(self, layout: NDArray[np.float64], canvas: Canvas) -> Scene:
        """Fill the bands between boundaries, each with reflectors of its own."""
        *steps, tilt, place = layout.tolist()
        top = self._top(canvas, tilt, place)
        boundaries, level = [], top
        for index, step in enumerate(steps):
            thick = step * (1 + self.own_wave * canvas.curve(self.wave_cell))
            level = level + (step if index == 0 else np.maximum(thick, 0))
            boundaries.append(level)
        bands = np.zeros(canvas.shape, np.int64)
        start = np.broadcast_to(top, canvas.shape).copy()
        for index, boundary in enumerate(boundaries):
            below = canvas.rows > boundary
            bands[below] = index + 1
            start = np.where(below, boundary, start)
        picture = self.levels[bands] + self._reflectors(canvas, bands, start)
        labels = self.labels[:-1][bands]
        if self.cysts:
            hole = (canvas.noise(self.size / 12) > 1.5) & (bands > 0)
            picture = np.where(hole, 0.04, picture)
            labels = np.where(hole, self.labels[-1], labels)
        return Scene(
            picture=picture.astype(np.float32), labels=labels.astype(np.uint16)
        )

    def _top(self, canvas: Canvas, tilt: float, place: float) -> Floats:
        column = canvas.columns[0]
        top = self.wave * canvas.curve(self.wave_cell) + tilt * (
            column - canvas.size / 2
        )
        away = (column / canvas.size - place) / 0.12
        top = top + self.pit * np.exp(-(away**2))
        if self.faults:
            throw = 0.06 * canvas.size
            top = top + throw * (column > place * canvas.size)
        shape: Floats = top.astype(np.float32)
        return shape

    def _reflectors(
        self, canvas: Canvas, bands: NDArray[np.int64], start: Floats
    ) -> Floats:
        down = canvas.rows - start
        ripple = 1.2 * canvas.noise(6.0, 24.0)
        line = np.sin(down * self.frequency[bands] + ripple)
        strength = 1 + 0.5 * canvas.noise(8.0, 30.0)
        grain = self.texture * canvas.noise(2.0, 5.0)
        reflectors: Floats = self.amplitude[bands] * line * strength + grain
        return reflectors
