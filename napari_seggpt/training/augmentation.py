"""Crops, flips, bends and looks, drawn once and applied to any number of pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

ViewKind = Literal["near", "alike", "free"]

SMALLEST_CROP = 0.2  # share of an image's area
WHOLE = 0.4  # how often an image is shown whole
NEAR_SHIFT, NEAR_ZOOM = 0.06, 0.08  # of a neighbouring frame, in shares of a side
BEND_CELLS = 3  # a bend moves the corners of 3 x 3 cells
NEAR_BEND = 0.035  # deviation of a corner, in shares of a side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """A crop of an image, bent, flipped and turned by quarters.

    Attributes
    ----------
    box : tuple of float
        Left, top, right and bottom, in shares of the image's sides.
    bend : NDArray[np.float64], optional
        (cells + 1, cells + 1, 2), by how much the corners of a grid of cells lie to
        the right and below of where they would, in shares of the picture's side.
    """

    box: tuple[float, float, float, float]
    flip: bool = False
    quarter_turns: int = 0
    bend: NDArray[np.float64] | None = None

    def image(self, image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Show (H, W) or (H, W, 3) as a picture (size, size, 3)."""
        height, width = image.shape[:2]
        left, top, right, bottom = self.box
        box = (left * width, top * height, right * width, bottom * height)
        picture = Image.fromarray(image).resize(
            (size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0
        )
        if self.bend is not None:
            picture = _bent(picture, self.bend, Image.Resampling.BILINEAR)
        return self._turn(np.asarray(picture.convert("RGB")))

    def labels(
        self, labels: NDArray[np.integer[Any]], size: int
    ) -> NDArray[np.integer[Any]]:
        """Show labels (H, W) as (size, size), each pixel the nearest one's label."""
        left, top, right, bottom = self.box
        place = (np.arange(size) + 0.5) / size
        rows = ((top + place * (bottom - top)) * labels.shape[0]).astype(np.intp)
        columns = ((left + place * (right - left)) * labels.shape[1]).astype(np.intp)
        shown = labels[rows[:, None], columns]
        return self._turn(shown if self.bend is None else bend_labels(shown, self.bend))

    def _turn(self, picture: NDArray[Any]) -> NDArray[Any]:
        return np.rot90(picture[:, ::-1] if self.flip else picture, self.quarter_turns)


def bend_labels(
    labels: NDArray[np.integer[Any]], bend: NDArray[np.float64]
) -> NDArray[np.integer[Any]]:
    """Bend labels (H, W) as `View.bend` says; each pixel keeps some pixel's label."""
    picture = Image.fromarray(labels.astype(np.int32))
    return np.asarray(_bent(picture, bend, Image.Resampling.NEAREST))


def _bent(
    picture: Image.Image, bend: NDArray[np.float64], resampling: Image.Resampling
) -> Image.Image:
    size = np.array(picture.size)
    cells = len(bend) - 1
    corners = np.stack(np.meshgrid(*[np.linspace(0, 1, cells + 1)] * 2), axis=-1)
    # Beyond its edge a picture has nothing to show.
    moved = np.clip(corners + bend, 0, 1) * size
    edges = np.rint(np.linspace(0, 1, cells + 1)[:, None] * size).astype(int)
    mesh = []
    for row in range(cells):
        for column in range(cells):
            box = (edges[column, 0], edges[row, 1],
                   edges[column + 1, 0], edges[row + 1, 1])  # fmt: skip
            quad = (moved[row, column], moved[row + 1, column],
                    moved[row + 1, column + 1], moved[row, column + 1])  # fmt: skip
            mesh.append((box, tuple(float(x) for x in np.concatenate(quad))))
    return picture.transform(picture.size, Image.Transform.MESH, mesh, resampling)


def draw_bend(rng: np.random.Generator, spread: float) -> NDArray[np.float64]:
    """Draw a bend whose corners have this deviation, in shares of a side."""
    return rng.normal(0, spread, (BEND_CELLS + 1, BEND_CELLS + 1, 2))


def draw_views(count: int, *, kind: ViewKind, rng: np.random.Generator) -> list[View]:
    """Draw views of the pictures of an example.

    Parameters
    ----------
    count : int
        How many.
    kind : {"near", "alike", "free"}
        "near" views are slightly moved and bent copies of each other, as neighbouring
        frames are. "alike" ones show things at about one scale and the same way up, as
        the frames of a stack do, often whole. "free" ones have nothing in common.
    """
    if kind == "near":
        first = _draw_view(rng, _draw_area(rng), turn=_draw_turn(rng))
        return [_move(first, rng) for _ in range(count)]
    if kind == "free":
        return [
            _draw_view(rng, rng.uniform(SMALLEST_CROP, 1.0), turn=_draw_turn(rng))
            for _ in range(count)
        ]
    area, turn = _draw_area(rng), _draw_turn(rng)
    return [
        _draw_view(
            rng, 1.0 if area == 1 else min(1.0, area * rng.uniform(0.8, 1.2)), turn=turn
        )
        for _ in range(count)
    ]


def draw_neighbour(rng: np.random.Generator) -> View:
    """Draw how a neighbouring frame shows what a frame shows whole."""
    return _move(View(box=(0.0, 0.0, 1.0, 1.0)), rng)


def _draw_area(rng: np.random.Generator) -> float:
    """Draw the share of a picture's area that is shown; often it is all of it."""
    return 1.0 if rng.random() < WHOLE else float(rng.uniform(SMALLEST_CROP, 1.0))


def _draw_turn(rng: np.random.Generator) -> tuple[bool, int]:
    """Draw a flip and quarter turns; every other picture stays upright."""
    if rng.random() < 0.5:
        return False, 0
    return bool(rng.random() < 0.5), int(rng.integers(4))


def _draw_view(
    rng: np.random.Generator, area: float, *, turn: tuple[bool, int]
) -> View:
    ratio = np.exp(rng.uniform(-0.25, 0.25)) if area < 1 else 1.0
    width, height = min(1.0, (area * ratio) ** 0.5), min(1.0, (area / ratio) ** 0.5)
    left, top = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
    return View(
        box=(left, top, left + width, top + height),
        flip=turn[0],
        quarter_turns=turn[1],
    )


def _move(view: View, rng: np.random.Generator) -> View:
    left, top, right, bottom = view.box
    width, height = right - left, bottom - top
    zoom = 1 + rng.uniform(-NEAR_ZOOM, 0)
    width, height = width * zoom, height * zoom
    left += rng.uniform(-NEAR_SHIFT, NEAR_SHIFT) * width
    top += rng.uniform(-NEAR_SHIFT, NEAR_SHIFT) * height
    left, top = np.clip(left, 0, 1 - width), np.clip(top, 0, 1 - height)
    bend = draw_bend(rng, rng.uniform(0, NEAR_BEND))
    return replace(view, box=(left, top, left + width, top + height), bend=bend)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a picture's colours are changed: shared by an example, a little varied.

    Attributes
    ----------
    brightness, contrast, log_gamma : float
        Of the grey values from 0 to 1.
    inverted : bool
        Whether bright and dark change places.
    channels : tuple of int
        Order of the colour channels.
    hue, saturation : float
        A turn of the colours about grey in radians, and by what they are scaled.
    noise, blur : float
        Deviation in grey levels, and radius in pixels.
    """

    brightness: float
    contrast: float
    log_gamma: float
    inverted: bool
    channels: tuple[int, int, int]
    hue: float
    saturation: float
    noise: float
    blur: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Look:
        """Draw a look."""
        noisy, blurred, shuffled, coloured = rng.random(4) < (0.2, 0.1, 0.1, 0.5)
        order = rng.permutation(3) if shuffled else np.arange(3)
        return cls(
            brightness=rng.normal(0, 0.08),
            contrast=float(np.exp(rng.normal(0, 0.2))),
            log_gamma=rng.normal(0, 0.25),
            inverted=bool(rng.random() < 0.15),
            channels=(int(order[0]), int(order[1]), int(order[2])),
            hue=rng.normal(0, 0.4) if coloured else 0.0,
            saturation=float(np.exp(rng.normal(0, 0.4))) if coloured else 1.0,
            noise=rng.uniform(2, 16) if noisy else 0.0,
            blur=rng.uniform(0.4, 1.2) if blurred else 0.0,
        )

    def vary(self, rng: np.random.Generator) -> Look:
        """Draw a look near this one, as that of another frame."""
        return replace(
            self,
            brightness=self.brightness + rng.normal(0, 0.03),
            contrast=self.contrast * float(np.exp(rng.normal(0, 0.07))),
            log_gamma=self.log_gamma + rng.normal(0, 0.08),
            hue=self.hue + rng.normal(0, 0.05),
            saturation=self.saturation * float(np.exp(rng.normal(0, 0.07))),
        )

    def matrix(self) -> NDArray[np.float32]:
        """Return what mixes the colours red, green and blue: (3, 3).

        Grey stays grey.
        """
        grey = np.full((3, 3), 1 / 3)
        cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
        turn = (np.eye(3) - grey) * np.cos(self.hue) + cross * np.sin(self.hue)
        mixed = grey + self.saturation * turn
        return mixed[list(self.channels)].astype(np.float32)

    def table(self) -> NDArray[np.uint8]:
        """Return what each of the 256 grey values becomes."""
        grey = np.linspace(0, 1, 256) ** np.exp(self.log_gamma)
        grey = (grey - 0.5) * self.contrast + 0.5 + self.brightness
        table = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
        return 255 - table if self.inverted else table
