"""What a prompt is tuned on: labelled frames as pictures of the model's size.

Axes: Q tiles of the frames, h w pixels of the model's input.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import evenly
from napari_seggpt.inference.tiling import make_tiles, suggest_zoom
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import (
    measure_limits,
    resize_labels,
    resize_rgb,
    to_rgb,
)
from napari_seggpt.training.augmentation import Look, View, draw_neighbour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.settings import (
        PredictionSettings,
        TilingSettings,
        TuningSettings,
    )

ENOUGH_TO_HOLD_BACK = 5  # frames; of fewer, all are needed to learn from
PLAIN = Look(
    brightness=0.0, contrast=1.0, log_gamma=0.0, inverted=False,
    channels=(0, 1, 2), hue=0.0, saturation=1.0, noise=0.0, blur=0.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTile:
    """A tile of a labelled frame, at the model's size.

    Attributes
    ----------
    picture, labels
        (h, w, 3) and (h, w).
    frame : int
        Which of the frames it is cut from.
    place : float
        Where that frame is in its stack, or in the order given.
    center : tuple of float
        Where the tile lies in its frame, in shares of the frame's sides.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    frame: int
    place: float
    center: tuple[float, float]

    @property
    def size(self) -> tuple[int, int]:
        """Its height and width."""
        return self.picture.shape[0], self.picture.shape[1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TuningData:
    """The labelled frames, cut into tiles, and which of them serve for what.

    Attributes
    ----------
    tiles : tuple of FrameTile
        Of all frames.
    palette : Palette
        Of all labels.
    frames : int
        How many frames there are.
    held_back : int or None
        The frame that is no query.
    zoom : float
        How much larger than usual whole frames are, as a predictor shows them.
    """

    tiles: tuple[FrameTile, ...]
    palette: Palette
    frames: int
    held_back: int | None
    zoom: float

    @classmethod
    def of(
        cls,
        examples: Sequence[Prompt],
        config: SegGPTConfig,
        *,
        prediction: PredictionSettings,
        limits: Limits | None,
        hold_back: bool,
    ) -> TuningData:
        """Prepare frames as a predictor would.

        Raises
        ------
        ValueError
            If there are too few labelled frames, or too many labels.
        """
        labelled = [one for one in examples if len(one.ids)]
        if len(labelled) < 2:
            raise ValueError(
                "Expected 2 or more labelled frames to tune a prompt on, "
                f"got {len(labelled)}."
            )
        palette = _palette_of(examples, prediction.labels_per_pass)
        is_tiled = prediction.tiling.enabled
        labels = [one.labels for one in labelled]
        zoom = 1.0 if is_tiled else suggest_zoom(labels, config)
        size = config.seen_size(labels[0].shape, zoom=zoom)  # one for all tensors
        if is_tiled:
            size = config.tile_size
        tiles = _tiles_of(examples, limits, size, prediction.tiling)
        if not any(tile.labels.any() for tile in tiles):
            raise ValueError(
                "Expected labels in the model's pixels, got objects too small: use "
                "tiles."
            )
        may_hold_back = hold_back and len(labelled) >= ENOUGH_TO_HOLD_BACK
        return cls(
            tiles=tuple(tiles),
            palette=palette,
            frames=len(examples),
            held_back=_typical(examples) if may_hold_back else None,
            zoom=zoom,
        )

    def starts(self, count: int, *, held_back: bool = True) -> list[FrameTile]:
        """Choose at most so many tiles to start tensors from.

        Every frame gives its most labelled tile before any gives its second; where
        that is too many, frames are chosen evenly. The held-back frame gives some if
        it is wanted, and never the only one.
        """
        tiles = self.tiles if held_back and count > 1 else self.queries()
        by_frame: list[list[FrameTile]] = [[] for _ in range(self.frames)]
        for tile in sorted(tiles, key=lambda x: -np.count_nonzero(x.labels)):
            by_frame[tile.frame].append(tile)
        chosen: list[FrameTile] = []
        for group in itertools.zip_longest(*by_frame):
            found = [tile for tile in group if tile is not None]
            chosen += evenly(found, count - len(chosen))
        return chosen

    def queries(self) -> list[FrameTile]:
        """Return the tiles to learn from: all but the held-back frame's."""
        return [tile for tile in self.tiles if not self.is_held_back(tile)]

    def is_held_back(self, tile: FrameTile) -> bool:
        """Tell whether a tile is of the held-back frame."""
        return tile.frame == self.held_back


def _palette_of(examples: Sequence[Prompt], most: int) -> Palette:
    """Return the colours of all labels of a tuned prompt, which is one pass."""
    palette = Palette.of({int(i) for one in examples for i in one.ids})
    if len(palette.ids) > most:
        raise ValueError(
            f"Expected at most {most} labels in a tuned prompt, which is one pass, "
            f"got {len(palette.ids)}: raise labels_per_pass or tune on fewer."
        )
    return palette


def _tiles_of(
    examples: Sequence[Prompt],
    limits: Limits | None,
    size: tuple[int, int],
    tiling: TilingSettings,
) -> list[FrameTile]:
    """Cut frames into tiles, each of so many pixels for the network."""
    limits = limits or measure_limits([one.image for one in examples])
    tiles = []
    for number, (one, place) in enumerate(
        zip(examples, _places(examples), strict=True)
    ):
        rgb = to_rgb(one.image, limits)
        tiles += [
            FrameTile(
                picture=tile.picture(rgb, size),
                labels=tile.labels(one.labels, size),
                frame=number,
                place=place,
                center=tile.center,
            )
            for tile in make_tiles(rgb.shape[:2], size, tiling)
        ]
    return tiles


def _places(examples: Sequence[Prompt]) -> list[float]:
    """Say where frames are: by their index, or in the order given if one has none."""
    indices = [one.index for one in examples if one.index is not None]
    if len(indices) == len(examples):
        return [float(i) for i in indices]
    return [float(i) for i in range(len(examples))]


def distance(one: FrameTile, other: FrameTile) -> tuple[float, float]:
    """Say how far tiles are apart: first in frames, then in their frame."""
    shift = np.subtract(one.center, other.center)
    return abs(one.place - other.place), float(np.hypot(*shift))


def _typical(examples: Sequence[Prompt]) -> int:
    """Choose the frame to hold back: of those with the most labels, one off the middle.

    It has neighbours on both sides, as most frames to be predicted have, but in the
    middle of a stack objects are often largest and easiest.
    """
    wanted = (len(examples) - 1) / 4
    order = sorted(range(len(examples)), key=lambda i: (abs(i - wanted), i))
    return max(order, key=lambda i: len(examples[i].ids))


def augment(
    tile: FrameTile, settings: TuningSettings, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]], bool]:
    """Crop and flip a tile and its labels alike, and vary how the picture looks.

    Returns
    -------
    tuple
        Picture (h, w, 3), labels (h, w), and whether they are flipped.
    """
    view = _draw_view(settings, rng)
    picture, labels = _show(tile, view)
    if settings.brightness:
        picture = PLAIN.vary(rng).table()[picture]
    return picture, labels, view.flip


def neighbour(
    tile: FrameTile, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    """Move and bend a tile a little and vary how it looks, as a neighbouring frame.

    Returns
    -------
    tuple
        Picture (h, w, 3) and labels (h, w).
    """
    picture, labels = _show(tile, draw_neighbour(rng))
    return PLAIN.vary(rng).table()[picture], labels


def _draw_view(settings: TuningSettings, rng: np.random.Generator) -> View:
    side = rng.uniform(settings.crop, 1.0)
    left, top = rng.uniform(0, 1 - side, 2)
    flip = settings.flip and bool(rng.random() < 0.5)
    return View(box=(left, top, left + side, top + side), flip=flip)


def _show(
    tile: FrameTile, view: View
) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]]]:
    side = max(tile.size)  # views are square
    picture = resize_rgb(
        np.ascontiguousarray(view.image(tile.picture, side)), tile.size
    )
    return picture, resize_labels(view.labels(tile.labels, side), tile.size)
