"""The three stacks of sample_data/, made with the simulator: reproducible."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.training.synthesis.anatomy import Organs
from napari_seggpt.training.synthesis.appearance import Appearance
from napari_seggpt.training.synthesis.canvas import Canvas
from napari_seggpt.training.synthesis.cells import CellLook, Nuclei
from napari_seggpt.training.synthesis.objects import Objects, at_points
from napari_seggpt.training.synthesis.tissue import Membranes, Tiling

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_seggpt.training.synthesis.family import Family
    from napari_seggpt.training.synthesis.types import Floats

_SEED = 20240517


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack and its true labels, both (frames, H, W)."""

    image: NDArray[np.unsignedinteger[Any]]
    labels: NDArray[np.uint8]


def make_sample_data(folder: Path) -> None:
    """Write the sample stacks and their labels to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in STACKS.items():
        stack = make()
        _write(folder / f"{name}.tif", name, stack.image)
        _write(folder / f"{name}_labels.tif", name, stack.labels)


def cells() -> Stack:
    """Make nuclei that crawl, grow and divide, photographed by a 12-bit camera."""
    rng = np.random.default_rng(_SEED)
    size, length = 320, 24
    family = Nuclei(rng, size)
    family.appearance = Appearance(
        low=0.0, high=1.0, light=0.22, blur=1.0, photons=420, noise=0.006
    )
    family.label_kind, family.second_label = "semantic", 0
    family.radius, family.count, family.clusters = 10.5, 46, 5
    family.spacing, family.bumps, family.aspect = 0.86, 0.035, 1.7
    family.haze, family.cytoplasm, family.growth = 0.16, 0.035, 0.032
    nucleus = CellLook(
        bright=0.36, spread=0.62, texture=0.17, cell=4, rim=-0.25, spots=0.35
    )
    debris = replace(nucleus, bright=0.5, spread=0.4, rim=-0.8, scale=0.26)
    family.looks, family.share = (nucleus, debris), 0.14
    layout = family.arrange(rng, size)
    dead = layout.group == 1
    layout = replace(layout, age=np.where(dead, -np.inf, layout.age))
    exposed, labels = _film(family, layout, rng, size=size, length=length, pace=0.1)
    bleached = exposed * np.exp(-0.018 * np.arange(length))[:, None, None]
    counts = np.clip(np.rint(104 + 1100 * bleached), 0, 4095)
    return Stack(image=counts.astype(np.uint16), labels=labels)


class Neuropil(Membranes):
    """Tightly packed cells of very unequal size, cut thin."""

    def arrange(self, rng: np.random.Generator, size: int) -> Tiling:
        """Leave out a third of a lattice's seeds."""
        tiling = super().arrange(rng, size)
        kept = rng.random(len(tiling.seeds)) < 0.68
        return Tiling(seeds=tiling.seeds[kept], velocity=tiling.velocity[kept])


def membranes() -> Stack:
    """Make dark membranes around grainy cells with dark organelles."""
    rng = np.random.default_rng(_SEED + 1)
    size, length = 288, 20
    family = Neuropil(rng, size)
    family.appearance = Appearance(
        invert=True, low=0.08, high=0.86, light=0.12, blur=0.75, noise=0.045, gamma=0.9
    )
    family.label_kind, family.label_nuclei = "semantic", False
    family.spacing, family.jitter, family.wobble = 25.0, 1.5, 4.2
    family.half_width, family.level, family.ground = 1.45, 0.74, 0.24
    family.texture, family.cell, family.tones = 0.05, 3.0, 0.035
    family.fading, family.double, family.spots = 0.3, False, 0.35
    family.nuclei, family.dark = 0.0, 0.24
    layout = family.arrange(rng, size)
    exposed, labels = _film(family, layout, rng, size=size, length=length, pace=0.09)
    grey = np.rint(255 * np.clip(exposed, 0, 1))
    return Stack(image=grey.astype(np.uint8), labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Organ:
    """An ellipsoid of the abdomen, in shares of the frame's size and frames."""

    row: float
    column: float
    radius: float
    aspect: float
    angle: float
    level: float
    label: int = 0
    middle: float = 12.0  # the frame where it is largest
    reach: float = 60.0  # how many frames on either side it spans


_ABDOMEN = (
    _Organ(row=0.45, column=0.32, radius=0.2, aspect=1.35, angle=2.2, level=0.58,
           label=1, middle=9, reach=17),
    _Organ(row=0.56, column=0.74, radius=0.1, aspect=1.9, angle=1.25, level=0.55,
           label=2, middle=12, reach=10.5),
    _Organ(row=0.36, column=0.64, radius=0.12, aspect=1.5, angle=0.4, level=0.46,
           middle=6, reach=13),
    _Organ(row=0.33, column=0.66, radius=0.05, aspect=2.2, angle=0.1, level=0.05,
           middle=6, reach=8),
    _Organ(row=0.66, column=0.32, radius=0.062, aspect=1.3, angle=1.4, level=0.67,
           middle=19, reach=9),
    _Organ(row=0.67, column=0.69, radius=0.06, aspect=1.35, angle=1.8, level=0.66,
           middle=18, reach=9),
    _Organ(row=0.72, column=0.505, radius=0.062, aspect=1.25, angle=0.0, level=0.9),
    _Organ(row=0.6, column=0.535, radius=0.026, aspect=1.05, angle=0.0, level=0.72),
    _Organ(row=0.56, column=0.46, radius=0.028, aspect=1.4, angle=0.2, level=0.66),
    _Organ(row=0.41, column=0.3, radius=0.045, aspect=1.2, angle=0.3, level=0.47,
           label=1, middle=13, reach=4.5),
)  # fmt: skip


class Abdomen(Organs):
    """Liver, spleen and their neighbours through the slices of one patient."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        """Set the organs, with outlines drawn at random."""
        super().__init__(rng, size)
        self.appearance = Appearance(
            low=0.03, high=0.9, blur=0.9, noise=0.035, noise_grain=0.6
        )
        self.whole, self.bones, self.flatness = True, False, 0.74
        self.outside, self.soft = 0.0, 0.07
        self.veins, self.gut = 0.11, 0.13
        flesh, fat = 0.42, 0.2
        self.levels = np.array([*(organ.level for organ in _ABDOMEN), fat, flesh])
        self.textures = np.full(len(self.levels), 0.012)
        self.cells = np.full(len(self.levels), 4.0)
        self.labels = np.array([organ.label for organ in _ABDOMEN], np.uint16)
        self.shapes = [self._shapes(rng, size) for _ in range(3)]

    @staticmethod
    def _shapes(rng: np.random.Generator, size: int) -> Objects:
        centre = np.array([[organ.row, organ.column] for organ in _ABDOMEN]) * size
        radius = np.array([organ.radius for organ in _ABDOMEN]) * size
        shapes = at_points(rng, centre, radius, bumps=0.075)
        aspect = np.array([organ.aspect for organ in _ABDOMEN])
        angle = np.array([organ.angle for organ in _ABDOMEN])
        return replace(shapes, aspect=aspect, angle=angle)

    def at(self, frame: int) -> Objects:
        """The organs in one slice."""
        shape, first, second = self.shapes
        turn = 0.11 * frame
        bumps = 0.6 * shape.bumps
        bumps = bumps + 0.8 * (np.cos(turn) * first.bumps + np.sin(turn) * second.bumps)
        middle = np.array([organ.middle for organ in _ABDOMEN])
        reach = np.array([organ.reach for organ in _ABDOMEN])
        section = np.sqrt(np.clip(1 - ((frame - middle) / reach) ** 2, 0, 1))
        shift = 0.22 * (frame - middle)[:, None] * first.velocity
        slices = replace(
            shape,
            bumps=bumps,
            radius=shape.radius * section,
            centre=shape.centre + shift,
            angle=shape.angle + 0.012 * (frame - middle) * second.velocity[:, 0],
        )
        return slices.pick(slices.radius > 1)


def organs() -> Stack:
    """Make slices through an abdomen; a tumour of the liver comes and goes."""
    rng = np.random.default_rng(_SEED + 2)
    size, length = 256, 24
    family = Abdomen(rng, size)
    seed = int(rng.integers(2**63))
    exposed, labels = [], []
    for frame in range(length):
        picture = _Picture.of(family, family.at(frame), seed, size, frame, pace=0.12)
        exposed.append(picture.exposed)
        labels.append(picture.labels)
    grey = np.rint(255 * np.clip(np.stack(exposed), 0, 1))
    return Stack(image=grey.astype(np.uint8), labels=np.stack(labels))


STACKS: dict[str, Callable[[], Stack]] = {
    "cells": cells,
    "membranes": membranes,
    "organs": organs,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """One frame before it is digitised, and its labels."""

    exposed: Floats
    labels: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        family: Family[Any],
        layout: Any,
        seed: int,
        size: int,
        frame: int,
        *,
        pace: float,
    ) -> _Picture:
        """Paint and expose a frame."""
        canvas = Canvas(rng=np.random.default_rng(seed), size=size, phase=pace * frame)
        scene = family.paint(layout, canvas)
        canvas.rng = np.random.default_rng((seed, frame))
        exposed = family.appearance.expose(scene.picture, canvas)
        return cls(exposed=exposed, labels=scene.labels.astype(np.uint8))


def _film(
    family: Family[Any],
    layout: Any,
    rng: np.random.Generator,
    *,
    size: int,
    length: int,
    pace: float,
) -> tuple[Floats, NDArray[np.uint8]]:
    seed = int(rng.integers(2**63))
    pictures = []
    for frame in range(length):
        picture = _Picture.of(family, layout, seed, size, frame, pace=pace)
        pictures.append(picture)
        layout = family.advance(layout, rng)
    exposed = np.stack([picture.exposed for picture in pictures])
    return exposed, np.stack([picture.labels for picture in pictures])


def _write(path: Path, name: str, stack: NDArray[np.unsignedinteger[Any]]) -> None:
    import tifffile

    sample = SAMPLES[name]
    step, _, pixel = sample.scale
    metadata: dict[str, Any] = {"axes": f"{sample.axis.upper()}YX"}
    metadata["unit"] = sample.units[2].replace("µ", "\\u00B5")  # as ImageJ writes it
    if sample.axis == "z":
        metadata["spacing"] = step
    else:
        metadata["finterval"] = step
    tifffile.imwrite(
        path,
        stack,
        imagej=True,
        compression="zlib",
        compressionargs={"level": 9},
        resolution=(1 / pixel, 1 / pixel),
        metadata=metadata,
    )


if __name__ == "__main__":
    make_sample_data(Path(sys.argv[1] if len(sys.argv) > 1 else "sample_data"))
