"""Thin branching structures: vessels, fibres, neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import distance_transform_edt

from napari_seggpt.training.synthesis.appearance import Appearance
from napari_seggpt.training.synthesis.family import (
    Family,
    between,
    blend,
    coin,
    edge,
    scaled,
)
from napari_seggpt.training.synthesis.objects import Objects, drift, patches, scatter
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats

_MOST_TUBES = 45
_THINNEST = 0.6  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Tube:
    """A curve with a thickness."""

    points: NDArray[np.float64]  # (P, 2), a pixel apart
    radius: NDArray[np.float64]  # (P,)

    def waved(self, rng: np.random.Generator) -> Tube:
        """The tube one frame later."""
        phase = rng.uniform(0, 2 * np.pi, 2)
        wave = np.sin(np.arange(len(self.points))[:, None] / 40 + phase)
        return replace(self, points=self.points + 0.5 * wave)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How tubes grow."""

    length: float
    radius: float
    curl: float
    taper: float  # thickness at the end against the start
    branching: float  # branches per pixel

    def grow(
        self, rng: np.random.Generator, start: NDArray[np.float64], heading: float
    ) -> list[Tube]:
        """A tree of tubes from a point."""
        tubes: list[Tube] = []
        buds = [(start, heading, self.radius)]
        while buds and len(tubes) < _MOST_TUBES:
            point, direction, radius = buds.pop(0)
            if radius < _THINNEST:
                continue
            length = self.length * rng.uniform(0.5, 1.3)
            length *= (radius / self.radius) ** 0.5
            tube, angle = self._tube(rng, point, direction, radius, int(length) + 3)
            tubes.append(tube)
            for at in np.flatnonzero(rng.random(len(angle)) < self.branching):
                aside = rng.choice([-1, 1]) * rng.uniform(0.4, 1.2)
                buds.append(
                    (tube.points[at], angle[at] + aside, 0.75 * tube.radius[at])
                )
        return tubes

    def _tube(
        self,
        rng: np.random.Generator,
        start: NDArray[np.float64],
        heading: float,
        radius: float,
        length: int,
    ) -> tuple[Tube, NDArray[np.float64]]:
        turn = np.convolve(rng.normal(0, 1, length + 8), np.ones(9) / 3, "valid")
        angle = heading + np.cumsum(self.curl * turn)
        steps = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        points = start + np.cumsum(steps, axis=0)
        tube = Tube(points=points, radius=radius * np.linspace(1, self.taper, length))
        return tube, angle


def tube_depth(tubes: list[Tube], canvas: Canvas) -> Floats:
    """0 on the centre lines, 1 on the surface, more outside."""
    thickness = np.zeros(canvas.shape, np.float32)
    for tube in tubes:
        pixel = np.rint(tube.points).astype(int)
        on = ((pixel >= 0) & (pixel < canvas.size)).all(axis=1)
        thickness[pixel[on, 0], pixel[on, 1]] = tube.radius[on]
    if not thickness.any():
        return np.full(canvas.shape, 9, np.float32)
    distance, (row, column) = distance_transform_edt(
        thickness == 0, return_indices=True
    )
    depth: Floats = distance / (np.maximum(thickness[row, column], 0.7) + 0.3)
    return depth.astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Tubes of two sorts and round things among them."""

    tubes: tuple[Tube, ...]
    others: tuple[Tube, ...]
    blobs: Objects


class Vessels(Family[Network]):
    """Thin curvy branching tubes or fibres, bright or dark."""

    kind = "vessels"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(
            rng, invert=0.5, noise=0.06, blur=(0.3, 1.0), tint=0.3
        )
        self.trees = int(rng.integers(2, 9))
        self.growth = Growth(
            length=size * between(rng, 0.5, 1.2),
            radius=scaled(rng, 0.8, 4.5),
            curl=between(rng, 0.01, 0.07),
            taper=between(rng, 0.3, 1.0),
            branching=between(rng, 0.004, 0.025) * coin(rng, 0.7),
        )
        self.level = between(rng, 0.55, 0.95)
        self.ground = between(rng, 0.05, 0.35)
        self.texture = between(rng, 0.01, 0.07)
        self.beads = between(rng, 0, 0.3)
        self.hollow = between(rng, 0.2, 0.5) * coin(rng, 0.2)
        self.shadow = between(rng, 0, 0.3) * coin(rng, 0.4)
        self.from_border = coin(rng, 0.4)
        # A second sort of tube: fainter, much thinner or thicker.
        self.mixed = coin(rng, 0.3)
        wide = self.growth.radius > 2
        other = 0.35 * self.growth.radius if wide else 2.5 * self.growth.radius + 1
        self.other = replace(self.growth, radius=max(other, 0.7), branching=0.0)
        self.other_level = self.ground + (self.level - self.ground) * between(
            rng, 0.4, 1
        )
        self.label_other = 2 if coin(rng, 0.5) else 0
        self.blobs = int(rng.integers(2, 12)) if coin(rng, 0.4) else 0
        self.blob_radius = 2 + self.growth.radius * between(rng, 1.5, 3)

    def arrange(self, rng: np.random.Generator, size: int) -> Network:
        """Grow trees from the border or from anywhere."""
        tubes = self._forest(rng, size, self.growth, self.trees)
        others = self._forest(rng, size, self.other, 3) if self.mixed else []
        radius = (0.7 * self.blob_radius, 1.3 * self.blob_radius)
        blobs = scatter(rng, size, count=max(self.blobs, 1), radius=radius)
        blobs = blobs.pick(np.arange(len(blobs)) < self.blobs)
        return Network(tubes=tuple(tubes), others=tuple(others), blobs=blobs)

    def _forest(
        self, rng: np.random.Generator, size: int, growth: Growth, trees: int
    ) -> list[Tube]:
        tubes: list[Tube] = []
        for _ in range(trees):
            start = rng.uniform(0, size, 2)
            if self.from_border:
                start[int(rng.integers(2))] = rng.choice([0, size])
            middle = size / 2 - start
            heading = np.arctan2(middle[0], middle[1]) + rng.normal(0, 0.5)
            if not self.from_border:
                heading = rng.uniform(0, 2 * np.pi)
            tubes += growth.grow(rng, start, heading)
        return tubes[: 2 * _MOST_TUBES]

    def advance(self, layout: Network, rng: np.random.Generator) -> Network:
        """Wave a little."""
        return Network(
            tubes=tuple(tube.waved(rng) for tube in layout.tubes),
            others=tuple(tube.waved(rng) for tube in layout.others),
            blobs=drift(layout.blobs, rng, speed=0.2),
        )

    def paint(self, layout: Network, canvas: Canvas) -> Scene:
        """Paint tubes by their distance from the centre lines."""
        picture = self.ground + self.texture * canvas.fractal(10)
        beads = 1 + self.beads * 0.5 * canvas.noise(6)
        labels = np.zeros(canvas.shape, np.uint16)
        for patch in patches(layout.blobs, canvas, reach=1.2):
            window = picture[patch.window]
            blend(window, edge(patch.depth, 0.3), self.level * 0.9)
        if layout.others:
            depth = tube_depth(list(layout.others), canvas)
            blend(picture, edge(depth, 0.4), self.other_level * beads)
            labels[depth < 1] = self.label_other
        depth = tube_depth(list(layout.tubes), canvas)
        picture = picture * (1 - self.shadow * np.clip(2 - depth, 0, 1))
        round_off = 1 - 0.25 * np.minimum(depth, 1) ** 2
        round_off = round_off - self.hollow * (1 - np.minimum(depth, 1))
        blend(picture, edge(depth, 0.4), self.level * beads * round_off)
        labels[depth < 1] = 1
        return Scene(picture=picture.astype(np.float32), labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neurites:
    """Cell bodies and what grows out of them."""

    somata: Objects
    tubes: tuple[Tube, ...]
    debris: Objects


class Neurons(Family[Neurites]):
    """Cell bodies with branching processes, fluorescent or in transmitted light."""

    kind = "neurons"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.bright_field = coin(rng, 0.4)
        self.appearance = Appearance.draw(
            rng, invert=0.1, noise=0.05, tint=0.6 if self.bright_field else 0.15
        )
        self.count = int(rng.integers(1, 6))
        self.radius = size * between(rng, 0.025, 0.075)
        self.arms = int(rng.integers(2, 6))
        self.growth = Growth(
            length=size * between(rng, 0.15, 0.45),
            radius=max(self.radius * between(rng, 0.15, 0.4), 0.7),
            curl=between(rng, 0.02, 0.07),
            taper=between(rng, 0.25, 0.7),
            branching=between(rng, 0.0, 0.02),
        )
        self.ground = between(rng, 0.05, 0.25)
        self.level = between(rng, 0.6, 0.95)
        if self.bright_field:
            self.ground, self.level = between(rng, 0.5, 0.65), between(rng, 0.3, 0.42)
        self.halo = between(rng, 0.05, 0.25) * self.bright_field
        self.texture = between(rng, 0.02, 0.06)
        self.debris = int(rng.integers(2, 20)) if coin(rng, 0.5) else 0
        plans = [(1, 1), (1, 1), (1, 2), (1, 0), (0, 1)]
        self.labels = plans[int(rng.integers(len(plans)))]  # body, processes

    def arrange(self, rng: np.random.Generator, size: int) -> Neurites:
        """Place cell bodies and grow processes outward."""
        somata = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.8, self.radius * 1.3),
            spacing=1.5,
            aspect=(1.0, 1.7),
            bumps=0.07,
            margin=0,
        )
        tubes: list[Tube] = []
        for index in range(len(somata)):
            turn = rng.uniform(0, 2 * np.pi)
            for arm in range(self.arms):
                heading = turn + 2 * np.pi * arm / self.arms + rng.normal(0, 0.3)
                tubes += self.growth.grow(rng, somata.centre[index], heading)
        debris = scatter(
            rng,
            size,
            count=max(self.debris, 1),
            radius=(0.2 * self.radius, 0.5 * self.radius),
        )
        debris = debris.pick(np.arange(len(debris)) < self.debris)
        return Neurites(somata=somata, tubes=tuple(tubes), debris=debris)

    def advance(self, layout: Neurites, rng: np.random.Generator) -> Neurites:
        """Processes wave, debris drifts."""
        return Neurites(
            somata=drift(layout.somata, rng, speed=0),
            tubes=tuple(tube.waved(rng) for tube in layout.tubes),
            debris=drift(layout.debris, rng),
        )

    def paint(self, layout: Neurites, canvas: Canvas) -> Scene:
        """Paint debris, processes, bodies."""
        picture = self.ground + self.texture * canvas.fractal(14)
        grain = 1 + 0.15 * canvas.fractal(4, octaves=2)
        labels = np.zeros(canvas.shape, np.uint16)
        body_label, process_label = self.labels
        for patch in patches(layout.debris, canvas, reach=1.3):
            window = picture[patch.window]
            blend(window, edge(patch.depth, 0.5), 0.5 * (self.level + self.ground))
        depth = tube_depth(list(layout.tubes), canvas)
        picture += self.halo * np.exp(-((depth - 1.6) ** 2) * 2)
        blend(picture, edge(depth, 0.5), self.level * 0.85 * grain)
        labels[depth < 1] = process_label
        for patch in patches(layout.somata, canvas, reach=1.2):
            own = labels[patch.window]
            nucleus = 0.2 * edge(patch.depth * 2.5, 0.4)
            fill = self.level * (grain[patch.window] - nucleus)
            blend(picture[patch.window], edge(patch.depth, 0.25), fill)
            own[patch.inside] = body_label
        return Scene(picture=picture.astype(np.float32), labels=labels)
