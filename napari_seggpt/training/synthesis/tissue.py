"""Tiled tissue: membranes of epithelia, and nerve fibres in their myelin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

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
from napari_seggpt.training.synthesis.objects import Objects, drift, patches, scatter
from napari_seggpt.training.synthesis.types import Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.objects import Patch
    from napari_seggpt.training.synthesis.types import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """Seeds of the tiles of a plane."""

    seeds: NDArray[np.float64]  # (N, 2)
    velocity: NDArray[np.float64]  # (N, 2)

    @classmethod
    def lattice(
        cls, rng: np.random.Generator, size: int, *, step: float, jitter: float
    ) -> Tiling:
        """A jittered hexagonal lattice that covers the canvas and a margin."""
        reach = int(size / step) + 5
        rows, columns = np.meshgrid(np.arange(reach), np.arange(reach), indexing="ij")
        seeds = np.stack([rows * 0.87, columns + 0.5 * (rows % 2)], axis=-1) * step
        seeds = seeds.reshape(-1, 2) - 2 * step + rng.uniform(0, step, 2)
        seeds += 0.45 * jitter * step * rng.uniform(-1, 1, seeds.shape)
        seeds = rng.permutation(seeds)  # the order tells nothing of the place
        return cls(seeds=seeds, velocity=rng.normal(0, 1, seeds.shape))

    def drifted(self, rng: np.random.Generator, speed: float) -> Tiling:
        """The tiling one frame later."""
        velocity = 0.9 * self.velocity + 0.44 * rng.normal(0, 1, self.seeds.shape)
        return replace(self, seeds=self.seeds + speed * velocity, velocity=velocity)

    def tiles(
        self, canvas: Canvas, *, wobble: float, cell: float
    ) -> tuple[NDArray[np.int64], Floats]:
        """Nearest seed of every pixel, and its distance to the border in pixels."""
        rows = canvas.rows + wobble * canvas.noise(cell)
        columns = canvas.columns + wobble * canvas.noise(cell)
        grid = np.stack([rows, columns], axis=-1).reshape(-1, 2)
        distance, index = cKDTree(self.seeds).query(grid, k=2)
        gap = np.hypot(*(self.seeds[index[:, 0]] - self.seeds[index[:, 1]]).T)
        border = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * gap)
        nearest: NDArray[np.int64] = index[:, 0].reshape(canvas.shape)
        return nearest, border.reshape(canvas.shape).astype(np.float32)


class Membranes(Family[Tiling]):
    """Tightly tiled cells: labelled are the membranes, or the cells."""

    kind = "membranes"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.5, noise=0.09, blur=(0.3, 1.1))
        self.spacing = scaled(rng, 12, 48)
        self.jitter = between(rng, 0.4, 1.5)
        self.wobble = between(rng, 0, 0.16) * self.spacing
        self.half_width = between(rng, 0.8, 1.1 + 0.05 * self.spacing)
        self.level = between(rng, 0.55, 0.95)
        self.ground = between(rng, 0.05, 0.35)
        self.texture = between(rng, 0.01, 0.11)
        self.cell = between(rng, 2, 7)
        self.tones = between(rng, 0, 0.12)
        self.fading = between(rng, 0, 0.4)
        self.double = coin(rng, 0.2)  # two leaflets and a gap between them
        self.spots = between(rng, 0.2, 0.6) * coin(rng, 0.4)
        self.dark = between(rng, 0.1, 0.3) * coin(rng, 0.3)  # organelles
        self.nuclei = between(rng, 0.15, 0.4) * coin(rng, 0.35)
        self.nucleus = between(rng, 0.18, 0.3) * self.spacing
        self.label_nuclei = self.nuclei > 0 and coin(rng, 0.4)
        if not self.label_nuclei and coin(rng, 0.4):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Tiling:
        """Jitter a lattice of seeds."""
        return Tiling.lattice(rng, size, step=self.spacing, jitter=self.jitter)

    def advance(self, layout: Tiling, rng: np.random.Generator) -> Tiling:
        """Shift the seeds a little."""
        return layout.drifted(rng, 0.03 * self.spacing)

    def paint(self, layout: Tiling, canvas: Canvas) -> Scene:
        """Paint membranes of uneven brightness around faintly textured cells."""
        nearest, border = layout.tiles(
            canvas, wobble=self.wobble, cell=self.spacing * 0.6
        )
        inside = border > self.half_width
        labels = (nearest + 1) * inside if self.label_kind == "instance" else ~inside
        tones = self.tones * canvas.rng.normal(0, 1, len(layout.seeds))
        body = self.ground + tones[nearest] + self.texture * canvas.fractal(self.cell)
        spots = np.clip(canvas.noise(4.5) - 1.3, 0, 0.5)
        body = body + self.spots * spots * (border > self.half_width + 2)
        folds = np.sin(canvas.rows * 1.4 + 2 * canvas.noise(6))
        organelle = np.clip(4 * (canvas.noise(8) - 1.35), 0, 1) * (
            border > self.half_width + 1.5
        )
        if self.dark:
            body = body + self.dark * organelle * (1 + 0.3 * folds)
        if self.nuclei:
            core = self._nuclei(layout, nearest, canvas)
            body = body + self.nuclei * core * inside
            if self.label_nuclei:
                labels = labels + 2 * ((core > 0.5) & inside)
        level = self.level * (1 - self.fading * np.clip(canvas.noise(20), 0, 1.5))
        sheet = np.clip(self.half_width + 0.5 - border, 0, 1)
        if self.double:
            sheet = sheet * (1 - 0.6 * (border < 0.4 * self.half_width))
        picture = body + sheet * (level - body)
        return Scene(
            picture=picture.astype(np.float32), labels=labels.astype(np.uint16)
        )

    def _nuclei(
        self, layout: Tiling, nearest: NDArray[np.int64], canvas: Canvas
    ) -> Floats:
        rows, columns = np.moveaxis(layout.seeds[nearest], -1, 0)
        away = np.hypot(canvas.rows - rows, canvas.columns - columns)
        away = away + 0.15 * self.nucleus * canvas.noise(max(self.nucleus, 2))
        return edge((away / self.nucleus).astype(np.float32), 0.3)


class Rings(Family[Objects]):
    """Nerve fibres cut across: axons, each in a ring of myelin."""

    kind = "rings"

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Draw the look."""
        self.appearance = Appearance.draw(rng, invert=0.4, noise=0.06, blur=(0.3, 1.0))
        self.radius = scaled(rng, 6, 22)
        self.count = how_many(0.9 * size**2, self.radius, least=4, most=90)
        self.spacing = between(rng, 0.8, 1.0)
        self.bumps = between(rng, 0.03, 0.11)
        self.aspect = between(rng, 1.2, 1.8)
        self.inner = between(rng, 0.5, 0.82)
        levels = rng.permutation([0.1, 0.5, 0.85]) + rng.normal(0, 0.05, 3)
        self.sheath, self.axon, self.ground = (float(level) for level in levels)
        if abs(self.axon - self.ground) > 0.5 and coin(rng, 0.6):
            self.ground = 0.7 * self.axon + 0.3 * self.ground
        self.texture = between(rng, 0.03, 0.13)
        self.cell = between(rng, 2.5, 7)
        self.bare = between(rng, 0.1, 0.5) * coin(rng, 0.5)  # without myelin
        self.dots = coin(rng, 0.5)
        plans = [(1, 2, 0), (1, 2, 3), (1, 0, 0), (0, 1, 0), (1, 1, 0)]
        self.labels = plans[int(rng.integers(len(plans)))]  # axon, myelin, bare
        if self.labels[1] != 2 and self.labels[0] and coin(rng, 0.6):
            self.label_kind = "instance"

    def arrange(self, rng: np.random.Generator, size: int) -> Objects:
        """Pack fibres of unequal size."""
        objects = scatter(
            rng,
            size,
            count=self.count,
            radius=(self.radius * 0.4, self.radius * 1.5),
            spacing=self.spacing,
            aspect=(1.0, self.aspect),
            bumps=self.bumps,
            packed=True,
        )
        small = objects.radius < np.quantile(objects.radius, 0.6)
        bare = small & (rng.random(len(objects)) < self.bare / 0.6)
        return replace(objects, group=bare.astype(np.int64))

    def advance(self, layout: Objects, rng: np.random.Generator) -> Objects:
        """The next section: everything shifts slightly."""
        return drift(layout, rng, speed=0.4)

    def paint(self, layout: Objects, canvas: Canvas) -> Scene:
        """Paint sheaths and axons on a grainy ground."""
        owner = Owner(canvas)
        grain = self.texture * canvas.fractal(self.cell)
        waver = canvas.noise(max(self.radius * 0.5, 2))
        specks = np.clip(canvas.noise(4) - 1.2, 0, 0.7) * (0.6 * self.dots)
        picture = self.ground + 1.4 * grain
        for patch in patches(layout, canvas, reach=1.1):
            bare = bool(layout.group[patch.index])
            thick = (1 - self.inner) * (0.6 + 0.8 * layout.brightness[patch.index])
            start = 0.93 if bare else 1 - thick
            core = patch.depth + np.float32(0.05) * waver[patch.window] < start
            won = owner.claim(patch, 1) > 0
            labels = self._labels(layout, patch, core, bare=bare)
            owner.labels[patch.window][won] = labels[won]
            fill = np.where(core, self.axon, self.sheath) + grain[patch.window] * 0.7
            fill = fill - np.sign(self.axon - self.sheath) * specks[patch.window] * core
            blend(picture[patch.window], won * edge(patch.depth, 0.1), fill)
        return Scene(picture=picture.astype(np.float32), labels=owner.labels)

    def _labels(
        self, objects: Objects, patch: Patch, core: NDArray[np.bool_], *, bare: bool
    ) -> NDArray[np.int64]:
        axon, myelin, naked = self.labels
        if bare:
            axon, myelin = naked, naked
        labels = np.where(core, axon, myelin)
        if self.label_kind == "instance":
            labels = labels * objects.identity[patch.index]
        return labels
