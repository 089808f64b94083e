"""Compact objects: where they are, what outline they have, how they move."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_seggpt.training.synthesis.canvas import Canvas
    from napari_seggpt.training.synthesis.types import Floats

Values = NDArray[np.float64]

_WAVES = np.arange(2, 7)  # waves around an outline
_STEEPNESS = (2 / _WAVES) ** 1.5  # the finer the wave the flatter


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Ellipse-like or rod-like objects with bumpy outlines, one entry each."""

    identity: NDArray[np.int64]  # (N,), from 1
    group: NDArray[np.int64]  # (N,), which look an object has
    centre: Values  # (N, 2) rows and columns
    radius: Values  # (N,) of the circle of equal area
    aspect: Values  # (N,) length over width
    angle: Values  # (N,)
    bumps: Values  # (N, 2, K) cosine and sine amplitudes of the outline's waves
    brightness: Values  # (N,)
    velocity: Values  # (N, 2) pixels per frame
    age: Values  # (N,) 0 at birth, 1 at division
    rod: bool = False

    def __len__(self) -> int:
        """How many objects there are."""
        return len(self.identity)

    def _arrays(self) -> dict[str, Any]:
        names = [field.name for field in fields(self) if field.name != "rod"]
        return {name: getattr(self, name) for name in names}

    def pick(self, which: NDArray[Any]) -> Objects:
        """The objects of a boolean mask or an index array, in its order."""
        picked = {name: values[which] for name, values in self._arrays().items()}
        return replace(self, **picked)

    def joined(self, other: Objects) -> Objects:
        """These objects and others after them; identities are kept."""
        mine, theirs = self._arrays(), other._arrays()
        both: dict[str, Any] = {
            name: np.concatenate([mine[name], theirs[name]]) for name in mine
        }
        return replace(self, **both)

    def outline(self, index: int, angles: Values, depth: float = 1.0) -> Values:
        """Points (A, 2) around one object at a depth (1: on its outline)."""
        reach = np.ones_like(angles)
        for wave, (cosine, sine) in zip(_WAVES, self.bumps[index].T, strict=True):
            reach += cosine * np.cos(wave * angles) + sine * np.sin(wave * angles)
        stretch = math.sqrt(self.aspect[index])
        scale = depth * self.radius[index] * np.maximum(reach, 0.35)
        along = scale * np.cos(angles) * stretch
        across = scale * np.sin(angles) / stretch
        cosine, sine = math.cos(self.angle[index]), math.sin(self.angle[index])
        offset = [sine * along + cosine * across, cosine * along - sine * across]
        points: Values = self.centre[index] + np.stack(offset, axis=-1)
        return points


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One object's own window of the canvas."""

    index: int
    window: tuple[slice, slice]
    depth: Floats  # 0 at the centre, 1 on the outline
    along: Floats  # own coordinates: along the long axis, in pixels
    across: Floats

    @property
    def inside(self) -> NDArray[np.bool_]:
        """The object's pixels."""
        return self.depth < 1


def scatter(
    rng: np.random.Generator,
    size: int,
    *,
    count: int,
    radius: tuple[float, float],
    spacing: float = 1.0,
    aspect: tuple[float, float] = (1.0, 1.6),
    bumps: float = 0.06,
    clusters: int = 0,
    margin: float = 0.5,
    aligned: float = 0.0,
    packed: bool = False,
    rod: bool = False,
) -> Objects:
    """Scatter at most `count` objects, dropping those that come too close.

    `spacing` is the least distance between two centres in units of the sum of
    their radii; `clusters` gathers them around so many points; `packed` places the
    large ones first and fills the gaps; `margin` lets centres lie outside the
    canvas, in units of the largest radius.
    """
    tries = (7 if packed else 3) * count
    radii = np.exp(rng.uniform(math.log(radius[0]), math.log(radius[1]), tries))
    if packed:
        radii = -np.sort(-radii)
    border = margin * radius[1]
    centre = rng.uniform(-border, size + border, (tries, 2))
    if clusters:
        points = rng.uniform(0.1 * size, 0.9 * size, (clusters, 2))
        spread = 0.55 * radius[1] * np.sqrt(count / clusters) + radius[1]
        centre = points[rng.integers(clusters, size=tries)]
        centre = centre + spread * rng.normal(0, 1, (tries, 2))
    kept = _apart(centre, radii * spacing, count)
    objects = at_points(rng, centre[kept], radii[kept], aspect=aspect, bumps=bumps)
    turn = np.pi * (1 - aligned) / 2
    angle = rng.uniform(0, np.pi) + rng.uniform(-turn, turn, len(kept))
    identity = 1 + rng.permutation(len(kept))  # tells nothing of the size
    return replace(objects, angle=angle, rod=rod, identity=identity)


def at_points(
    rng: np.random.Generator,
    centre: Values,
    radius: Values,
    *,
    aspect: tuple[float, float] = (1.0, 1.4),
    bumps: float = 0.04,
) -> Objects:
    """Objects at given places, their other properties drawn at random."""
    number = len(centre)
    return Objects(
        identity=np.arange(1, number + 1),
        group=np.zeros(number, np.int64),
        centre=np.asarray(centre, float),
        radius=np.asarray(radius, float),
        aspect=rng.uniform(*aspect, number),
        angle=rng.uniform(0, np.pi, number),
        bumps=bumps * rng.normal(0, 1, (number, 2, len(_WAVES))) * _STEEPNESS,
        brightness=rng.uniform(0, 1, number),
        velocity=rng.normal(0, 1, (number, 2)),
        age=rng.uniform(0, 1, number),
    )


def merged(parts: Sequence[Objects]) -> Objects:
    """Several sets as one, renumbered."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.joined(part)
    return replace(whole, identity=np.arange(1, len(whole) + 1))


def _apart(centre: Values, reach: Values, count: int) -> NDArray[np.int64]:
    """Greedily keep points that no kept one reaches."""
    free = np.ones(len(centre), bool)
    kept: list[int] = []
    for index in range(len(centre)):
        if free[index]:
            kept.append(index)
            if len(kept) == count:
                break
            gap = np.hypot(*(centre - centre[index]).T)
            free &= gap >= reach + reach[index]
    return np.asarray(kept, np.int64)


def patches(objects: Objects, canvas: Canvas, *, reach: float = 1.0) -> Iterator[Patch]:
    """Every object's window, out to `reach` times its outline."""
    for index in range(len(objects)):
        patch = patch_of(objects, index, canvas, reach=reach)
        if patch is not None:
            yield patch


def patch_of(
    objects: Objects, index: int, canvas: Canvas, *, reach: float = 1.0
) -> Patch | None:
    """One object's window, or None if it lies outside the canvas."""
    row, column = objects.centre[index]
    swell = min(1.05 + np.abs(objects.bumps[index]).sum(), 1.6)
    extent = reach * swell * objects.radius[index] * math.sqrt(objects.aspect[index])
    top, bottom = max(int(row - extent - 1), 0), min(int(row + extent) + 3, canvas.size)
    left = max(int(column - extent - 1), 0)
    right = min(int(column + extent) + 3, canvas.size)
    if top >= bottom or left >= right:
        return None
    down = canvas.rows[top:bottom] - np.float32(row)
    sideways = canvas.columns[:, left:right] - np.float32(column)
    cosine = np.float32(math.cos(objects.angle[index]))
    sine = np.float32(math.sin(objects.angle[index]))
    along = cosine * sideways + sine * down
    across = cosine * down - sine * sideways
    depth = _depth(objects, index, along, across)
    window = (slice(top, bottom), slice(left, right))
    return Patch(index=index, window=window, depth=depth, along=along, across=across)


def _depth(objects: Objects, index: int, along: Floats, across: Floats) -> Floats:
    radius, stretch = objects.radius[index], math.sqrt(objects.aspect[index])
    if objects.rod:
        half_width = np.float32(radius / stretch)
        half_core = np.float32(max(radius * stretch - half_width, 0))
        bend = np.float32(objects.bumps[index, 0, 0] * 2 / (radius * stretch))
        bowed = across - bend * along**2
        beyond = np.maximum(np.abs(along) - half_core, 0)
        rod: Floats = np.hypot(beyond, bowed) / half_width
        return rod
    u = along / np.float32(radius * stretch)
    v = across / np.float32(radius / stretch)
    depth: Floats = np.sqrt(u * u + v * v)
    amplitudes = objects.bumps[index].astype(np.float32)
    if np.abs(amplitudes).max(initial=0) < 1e-3:
        return depth
    turn = (u + 1j * v) / np.maximum(depth, np.float32(1e-6))
    outline = np.ones_like(depth)
    wave = turn
    for cosine, sine in amplitudes.T:
        wave = wave * turn
        outline += cosine * wave.real + sine * wave.imag
    return depth / np.maximum(outline, np.float32(0.35))


def drift(
    objects: Objects,
    rng: np.random.Generator,
    *,
    speed: float = 0.6,
    wobble: float = 0.08,
) -> Objects:
    """The objects one frame later: moved, turned, slightly other in outline."""
    number = len(objects)
    velocity = 0.9 * objects.velocity + 0.44 * rng.normal(0, 1, (number, 2))
    rough = np.sqrt(((objects.bumps / _STEEPNESS) ** 2).mean(axis=(1, 2)))
    new = rng.normal(0, 1, objects.bumps.shape) * _STEEPNESS
    new *= rough[:, None, None]
    return replace(
        objects,
        velocity=velocity,
        centre=objects.centre + speed * velocity,
        angle=objects.angle + 0.04 * rng.normal(0, 1, number),
        bumps=math.sqrt(1 - wobble**2) * objects.bumps + wobble * new,
    )


def divide(objects: Objects, rng: np.random.Generator) -> Objects:
    """Objects of age 1 split in two; one half keeps the identity."""
    ripe = objects.age >= 1
    if not ripe.any():
        return objects
    mother = objects.pick(ripe)
    length = 0.55 * mother.radius * np.sqrt(mother.aspect)
    along = np.stack([np.sin(mother.angle), np.cos(mother.angle)], axis=-1)
    halves = []
    for side in (-1, 1):
        half = replace(
            mother,
            centre=mother.centre + side * length[:, None] * along,
            velocity=mother.velocity + side * along * rng.uniform(1.5, 2.5),
            radius=mother.radius * 0.74,
            aspect=rng.uniform(1.1, 1.5, len(mother)),
            angle=mother.angle + np.pi / 2,
            age=np.zeros(len(mother)),
        )
        halves.append(half)
    fresh = objects.identity.max() + 1 + np.arange(len(mother))
    halves[1] = replace(halves[1], identity=fresh)
    return objects.pick(~ripe).joined(halves[0]).joined(halves[1])


def pushed_apart(objects: Objects, spacing: float, strength: float = 0.3) -> Objects:
    """Objects that came too close, a little further from each other."""
    if len(objects) < 2:
        return objects
    away = objects.centre[:, None] - objects.centre[None]  # (N, N, 2)
    gap = np.hypot(away[..., 0], away[..., 1])
    np.fill_diagonal(gap, np.inf)
    least = spacing * (objects.radius[:, None] + objects.radius[None])
    push = strength * np.clip(least - gap, 0, None) / np.maximum(gap, 1)
    shift = (push[..., None] * away).sum(axis=1)
    return replace(objects, centre=objects.centre + shift)
