"""Overlapping tiles of a frame, blended without seams.

A frame without tiles is one tile: the whole frame, squeezed to the model's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.preprocessing import (
    label_widths,
    object_side,
    resize_colors,
    resize_labels,
    resize_rgb,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.settings import PredictionSettings, TilingSettings

LARGEST_SCALE = 4.0  # enlarging further shows the model nothing new
# Pixels of a line, in a picture of the size of a tile: the built-in model hardly paints
# what is thinner than the first, and from the second on it gains no more.
LEAST_WIDTH, CLEAR_WIDTH = 3.5, 6.0
# Pixels of a label, in a picture of a whole frame: with 6 mitochondria and synapses
# gained nothing, and 8 cost nothing elsewhere.
SHOWN_WIDTH, ZOOM_STEP = 8.0, 0.25
MOST_TILES = 8  # along a side of a frame: more would take minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A box of a frame, in pixels; it may reach beyond the frame's lower end.

    Attributes
    ----------
    top, left, height, width : int
        The box.
    center : tuple of float
        The middle of what it shows of the frame, in shares of the frame's sides.
    """

    top: int
    left: int
    height: int
    width: int
    center: tuple[float, float]

    def picture(
        self, rgb: NDArray[np.uint8], size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        """Cut from a picture (H, W, 3) and resize to (h, w, 3)."""
        return resize_rgb(self._cut(rgb), size)

    def labels(
        self, labels: NDArray[np.integer[Any]], size: tuple[int, int]
    ) -> NDArray[np.integer[Any]]:
        """Cut from labels (H, W) and resize to (h, w)."""
        return resize_labels(self._cut(labels), size)

    def _cut(self, array: NDArray[Any]) -> NDArray[Any]:
        rows = slice(self.top, self.top + self.height)
        columns = slice(self.left, self.left + self.width)
        part = array[rows, columns]
        missing = (self.height - part.shape[0], self.width - part.shape[1])
        if missing == (0, 0):
            return np.ascontiguousarray(part)
        pads = [(0, missing[0]), (0, missing[1]), (0, 0)][: array.ndim]
        return np.pad(part, pads, mode="edge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of a frame, in pixels, wholly inside it."""

    top: int
    left: int
    height: int
    width: int

    def meets(self, tile: Tile) -> bool:
        """Whether a tile has pixels of the box."""
        return (
            tile.top < self.top + self.height
            and tile.left < self.left + self.width
            and tile.top + tile.height > self.top
            and tile.left + tile.width > self.left
        )


def make_tiles(
    shape: tuple[int, int], size: tuple[int, int], settings: TilingSettings
) -> list[Tile]:
    """Cover a frame (H, W) with tiles for a model of input (h, w).

    Where frames are cut, a smaller one is one tile of the same size, so that prompts
    and queries of any sizes are shown at one scale.
    """
    sides = [max(1, round(side / settings.scale)) for side in size]
    if not settings.enabled:
        return [Tile(top=0, left=0, height=shape[0], width=shape[1], center=(0.5, 0.5))]
    shown = [min(side, extent) for side, extent in zip(sides, shape, strict=True)]
    tops, lefts = (
        _starts(extent, side, settings.overlap)
        for extent, side in zip(shape, sides, strict=True)
    )
    return [
        Tile(
            top=top,
            left=left,
            height=sides[0],
            width=sides[1],
            center=((top + shown[0] / 2) / shape[0], (left + shown[1] / 2) / shape[1]),
        )
        for top in tops
        for left in lefts
    ]


def _starts(extent: int, side: int, overlap: float) -> list[int]:
    """Space tiles evenly so that neighbours share at least `overlap` of a side."""
    room = extent - side
    if room <= 0:
        return [0]
    step = max(1, int(side * (1 - overlap)))
    count = -(-room // step) + 1
    return [int(x) for x in np.rint(np.linspace(0, room, count))]


def blend(
    colors: Iterable[NDArray[np.float32]], tiles: list[Tile], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Join the colours (h, w, C) of tiles on the frame's grid.

    Returns
    -------
    NDArray[np.float32]
        (H, W, C). Where tiles overlap, each counts by its distance from its edge.
    """
    if len(tiles) == 1:
        whole = resize_colors(next(iter(colors)), (tiles[0].height, tiles[0].width))
        return whole[: shape[0], : shape[1]]  # a tile may be larger than the frame
    weights = np.zeros((*shape, 1), dtype=np.float32)
    total = weights
    for number, (picture, tile) in enumerate(zip(colors, tiles, strict=True)):
        if number == 0:
            total = np.zeros((*shape, picture.shape[2]), dtype=np.float32)
        resized = resize_colors(picture, (tile.height, tile.width))
        window = _window(tile)
        part = (
            slice(tile.top, tile.top + tile.height),
            slice(tile.left, tile.left + tile.width),
        )
        height, width = total[part].shape[:2]
        total[part] += (resized * window)[:height, :width]
        weights[part] += window[:height, :width]
    return total / weights


def blend_box(
    colors: Iterable[NDArray[np.float32]], tiles: list[Tile], box: Box
) -> NDArray[np.float32]:
    """Join the colours (h, w, C) of those tiles that reach into a part of a frame.

    Returns
    -------
    NDArray[np.float32]
        (height, width, C) of the box, as `blend` makes them of the whole frame.
    """
    weights = np.zeros((box.height, box.width, 1), dtype=np.float32)
    total = weights
    for number, (picture, tile) in enumerate(zip(colors, tiles, strict=True)):
        if number == 0:
            channels = picture.shape[2]
            total = np.zeros((box.height, box.width, channels), dtype=np.float32)
        top, left = max(tile.top, box.top), max(tile.left, box.left)
        bottom = min(tile.top + tile.height, box.top + box.height)
        right = min(tile.left + tile.width, box.left + box.width)
        inside = np.s_[
            top - tile.top : bottom - tile.top, left - tile.left : right - tile.left
        ]
        part = np.s_[
            top - box.top : bottom - box.top, left - box.left : right - box.left
        ]
        window = _window(tile)[inside]
        resized = resize_colors(picture, (tile.height, tile.width))[inside]
        total[part] += resized * window
        weights[part] += window
    return total / weights


def _window(tile: Tile) -> NDArray[np.float32]:
    """Weights (height, width, 1) that fall to, but never reach, zero at the edge."""
    rows, columns = (
        np.minimum(np.arange(side) + 0.5, side - np.arange(side) - 0.5) / side
        for side in (tile.height, tile.width)
    )
    return (rows[:, None] * columns)[..., None].astype(np.float32)


def suggest_scale(
    labels: Sequence[NDArray[np.integer[Any]]], config: SegGPTConfig
) -> tuple[float, float | None]:
    """Say how small the smallest labelled object becomes, and which tiles would help.

    Parameters
    ----------
    labels : sequence of NDArray
        Label images (H, W) of the references.
    config : SegGPTConfig
        Of the model.

    Returns
    -------
    side : float
        Side in model pixels of the smallest object in a whole frame; infinity
        without objects.
    scale : float or None
        The scale of tiles to suggest, or None where the frame does as it is.
    """
    smallest, scale = float("inf"), None
    zoom = suggest_zoom(labels, config)
    for image in labels:
        original = object_side(image)
        squeeze = _squeeze(image.shape, config, zoom)
        if original * squeeze < smallest:
            smallest = original * squeeze
            wanted = min(2 * config.smallest_object / original, LARGEST_SCALE)
            helps = smallest < config.smallest_object and wanted > squeeze
            scale = round(wanted, 2) if helps else None
    return smallest, scale


def suggest_zoom(
    labels: Sequence[NDArray[np.integer[Any]]], config: SegGPTConfig
) -> float:
    """Return how many times larger than usual whole frames are to be shown.

    Of a label that is thin, as vessels and walls are, more is found in larger pictures,
    and of a wide one less: of what lies around, less is seen at once.

    Parameters
    ----------
    labels : sequence of NDArray
        Label images (H, W) of the references.
    config : SegGPTConfig
        Of the model; only a readout sees pictures of any size.

    Returns
    -------
    float
        1 or more, in steps, so that one more reference seldom changes it.
    """
    zooms = [
        _zoom(image, config)
        for image in labels
        if config.seen_size(image.shape, zoom=2) != config.seen_size(image.shape)
    ]
    return float(np.median(zooms)) if zooms else 1.0


def _zoom(labels: NDArray[np.integer[Any]], config: SegGPTConfig) -> float:
    """Return what serves the labels of a frame on average, since each counts alike."""
    widths = label_widths(labels) * _squeeze(labels.shape, config)
    if not widths.size:
        return 1.0
    usual, largest = (config.seen_size(labels.shape, zoom=x) for x in (1, math.inf))
    most = max(largest) / max(usual)
    wanted = float(np.mean(np.clip(SHOWN_WIDTH / widths, 1.0, most)))
    return round(wanted / ZOOM_STEP) * ZOOM_STEP


def _squeeze(shape: tuple[int, ...], config: SegGPTConfig, zoom: float = 1.0) -> float:
    """Return how many pixels of what is seen stand for one of a frame (H, W)."""
    return math.sqrt(math.prod(config.seen_size(shape, zoom=zoom)) / math.prod(shape))


def enlarged(
    settings: TilingSettings,
    finest: float,
    shapes: Iterable[tuple[int, ...]],
    config: SegGPTConfig,
) -> TilingSettings:
    """Return settings with enlarged tiles, if whole frames hide what has to be seen.

    Parameters
    ----------
    settings : TilingSettings
        Where they have tiles, these stay.
    finest : float
        How wide the finest thing is, in pixels of a frame.
    shapes : iterable of tuple of int
        (H, W, ...) of the references.
    config : SegGPTConfig
        Of the model.
    """
    height, width = config.tile_size
    squeezes = [(height / shape[0], width / shape[1]) for shape in shapes]
    squeeze = min(math.sqrt(high * wide) for high, wide in squeezes)
    if settings.enabled or finest * squeeze >= LEAST_WIDTH:
        return settings
    tiles_in_a_row = 1 + (1 - settings.overlap) * (MOST_TILES - 1)
    most = tiles_in_a_row * min(min(pair) for pair in squeezes)
    scale = min(CLEAR_WIDTH / finest, LARGEST_SCALE, most)
    return replace(settings, enabled=True, scale=round(scale, 2))


def with_tiles(settings: PredictionSettings, scale: float | None) -> PredictionSettings:
    """Return the settings with tiles of the scale that `suggest_scale` advised."""
    if scale is None:
        return settings
    return replace(settings, tiling=replace(settings.tiling, enabled=True, scale=scale))
