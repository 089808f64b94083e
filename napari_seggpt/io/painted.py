"""Labels that were saved as colours, or as JPEG: which colour is which label id.

A picture is read in the first of these ways that fits:

- Each colour is a label and pure black is background, if no colour is a blend: blends
  have hardly two equal pixels side by side, and lie between two colours that have.
- Colours that most pixels of about that colour have exactly are labels, as JPEG blurs
  edges and leaves flat areas nearly as they are; other pixels take the nearest of them,
  and dark ones are background.
- Of black and white with edges so soft that there are hardly flat areas, what is
  brighter than half is labelled.

Pictures with objects of no such colour, as photographs, are refused.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import FRAME_AXES, Layout, StackError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_seggpt.io.layout import Index, Source

Color = tuple[int, int, int]

EQUAL_NEIGHBOURS = 3  # of 8, that a pixel of a flat area has at least
# How many levels two colours differ by at most: see `_label_colors`.
EQUAL_LEVELS, ALIKE_LEVELS, NEAR_LEVELS = 8, 16, 24
DARK, BRIGHT = 32, 223  # levels up to which a mask is black, and from which it is white
GREY = 32  # levels by which red, green and blue of a grey differ, at most
SOFT_EDGES = 1.0  # pixels between black and white in a mask, for each white one
CLEAR_OBJECTS = 0.7  # share of the pixels of objects that have a label's colour
FEW_COLORS = 64  # so many are looked at one by one
FEW_PIXELS = 16  # a colour of fewer is no label where others are blurred
MANY_COLORS = 0.25  # with more colours a pixel a picture is noise
AREA_SIDE = 5  # pixels; edges are narrower, or not of one colour
SHOWN = 8  # colours that are named in a note
BACKGROUND: Color = (0, 0, 0)
WHITE: Color = (255, 255, 255)


class ColorIds:
    """Which colour is which label id, for all files that are read together."""

    def __init__(self) -> None:
        self._ids: dict[Color, int] = {}

    @property
    def colors(self) -> tuple[Color, ...]:
        """The colours in the order of their ids, from 1 on."""
        return tuple(self._ids)

    def add(self, colors: set[Color], *, tolerance: int = 0) -> None:
        """Give ids to colours that have none, in the order of red, green and blue."""
        for color in sorted(colors):
            if self.find(color, tolerance=tolerance) is None:
                self._ids[color] = len(self._ids) + 1

    def find(self, color: Color, *, tolerance: int = 0) -> int | None:
        """Return the id of a colour, or of one that differs by no more than so much."""
        if color in self._ids or not tolerance:
            return self._ids.get(color)
        for known, number in self._ids.items():
            if max(abs(a - b) for a, b in zip(known, color, strict=True)) <= tolerance:
                return number
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How one picture is read.

    Attributes
    ----------
    colors : tuple of Color
        Of its labels.
    tolerance : int
        Levels by which the same colour may differ in another picture.
    places : NDArray[np.intp]
        (H, W), 0 for background, else 1 and more: places in `colors`.
    num_edge_pixels : int
        Pixels that took the nearest colour.
    """

    colors: tuple[Color, ...]
    tolerance: int
    places: NDArray[np.intp]
    num_edge_pixels: int = 0


def read_picture(picture: NDArray[np.uint8]) -> Reading:
    """Decide which colours of a picture (H, W, 3) are labels.

    Raises
    ------
    StackError
        If its colours are too noisy to be labels.
    """
    codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, places, counts = np.unique(codes, return_inverse=True, return_counts=True)
    places = places.reshape(codes.shape)
    flat = np.bincount(places[_flat(codes)], minlength=len(found))
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1)
    if _are_all_labels(colors, flat * 2 < counts):
        return _exact(colors, places)
    reading = _nearest(picture, colors, places, counts, flat) or _as_mask(picture)
    if reading is None:
        raise StackError(
            f"Expected labels painted in some flat colours, got {len(colors)} colours "
            "that blend into each other: save labels as ids, in PNG or TIFF."
        )
    return reading


def _flat(codes: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where pixels have equal neighbours."""
    height, width = codes.shape
    padded = np.pad(codes, 1, constant_values=-1)
    equal = np.zeros(codes.shape, np.int8)
    for row, column in itertools.product(range(3), repeat=2):
        equal += padded[row : row + height, column : column + width] == codes
    return equal > EQUAL_NEIGHBOURS  # the pixel itself is one of them


def _are_all_labels(colors: NDArray[np.integer[Any]], is_edge: Any) -> bool:
    """Tell whether no colour is a blend, made where two others meet.

    Lines and dots are not flat either, but their colours lie between no two others.
    """
    if len(colors) > FEW_COLORS:
        return bool(is_edge.mean() < 0.1)
    return not _are_between(colors[is_edge], colors[~is_edge]).any()


def _are_between(
    colors: NDArray[np.integer[Any]], ends: NDArray[np.integer[Any]]
) -> NDArray[np.bool_]:
    """Tell for each colour (N, 3) whether it lies between two of others (M, 3)."""
    between = np.zeros(len(colors), bool)
    for one, other in itertools.combinations(ends.astype(float), 2):
        way = other - one
        at = np.clip((colors - one) @ way / (way @ way), 0, 1)
        nearest = one + at[:, None] * way
        between |= np.abs(colors - nearest).max(axis=1) <= ALIKE_LEVELS
    return between


def _exact(colors: NDArray[np.integer[Any]], places: NDArray[np.intp]) -> Reading:
    names = [_color(color) for color in colors]
    labels = [name for name in names if name != BACKGROUND]
    shift = 1 if len(labels) == len(names) else 0  # black is the first, if there
    return Reading(colors=tuple(labels), tolerance=0, places=places + shift)


def _color(values: Any) -> Color:
    red, green, blue = map(int, values)
    return red, green, blue


def _as_mask(picture: NDArray[np.uint8]) -> Reading | None:
    low, high = picture.min(axis=-1), picture.max(axis=-1)
    num_bright = int((low >= BRIGHT).sum())
    between = (high > DARK) & (low < BRIGHT)
    num_between = int(between.sum())
    is_grey = not (high - low)[between].size or (high - low)[between].max() <= GREY
    if not num_bright or num_between > SOFT_EDGES * num_bright or not is_grey:
        return None
    places = (picture.mean(axis=-1) > 127).astype(np.intp)
    return Reading(
        colors=(WHITE,),
        tolerance=ALIKE_LEVELS,
        places=places,
        num_edge_pixels=num_between,
    )


def _nearest(
    picture: NDArray[np.uint8],
    colors: NDArray[np.integer[Any]],
    places: NDArray[np.intp],
    counts: NDArray[np.intp],
    flat: NDArray[np.intp],
) -> Reading | None:
    known = _label_colors(colors, counts, flat)
    if not len(known):
        return None
    distances = np.abs(colors[:, None] - known[None]).max(axis=-1)  # (colours, M)
    is_clear = distances.min(axis=1) <= ALIKE_LEVELS
    is_object = distances[:, 0] > 2 * ALIKE_LEVELS  # the first is the most frequent
    clear, objects = counts[is_object & is_clear].sum(), counts[is_object].sum()
    if clear < CLEAR_OBJECTS * objects or not objects:
        return None
    if _has_areas(picture, ~is_clear[places]):
        return None
    is_label = known.max(axis=1) > DARK
    labels = tuple(_color(color) for color in known[is_label])
    numbers = np.zeros(len(known), np.intp)
    numbers[is_label] = np.arange(1, len(labels) + 1)
    return Reading(
        colors=labels,
        tolerance=ALIKE_LEVELS,
        places=numbers[distances.argmin(axis=1)][places],
        num_edge_pixels=int(counts[~is_clear].sum()),
    )


def _has_areas(picture: NDArray[np.uint8], is_unclear: NDArray[np.bool_]) -> bool:
    """Tell whether pixels of no label's colour are more than edges: a label is lost.

    Wide edges are no areas, as they lead from one colour to another.
    """
    window = (AREA_SIDE, AREA_SIDE)
    inside = minimum_filter(is_unclear, window)
    if not inside.any():
        return False
    range_of = [
        maximum_filter(channel, window) - minimum_filter(channel, window)
        for channel in np.moveaxis(picture, -1, 0)
    ]
    return bool((inside & (np.max(range_of, axis=0) <= 2 * ALIKE_LEVELS)).any())


def _label_colors(
    colors: NDArray[np.integer[Any]],
    counts: NDArray[np.intp],
    flat: NDArray[np.intp],
) -> NDArray[np.integer[Any]]:
    """Return the colours (M, 3) of labels in a blurred picture, frequent ones first.

    Of the pixels near such a colour most are equal to it, and many are in flat areas.
    """
    found: list[NDArray[np.integer[Any]]] = []
    if len(colors) > MANY_COLORS * counts.sum():
        return np.empty((0, 3), int)
    is_free = np.ones(len(colors), bool)
    for _ in range(FEW_COLORS):
        number = int(np.where(is_free, counts, 0).argmax())
        distances = np.abs(colors - colors[number]).max(axis=1)
        equal, near = distances <= EQUAL_LEVELS, distances <= NEAR_LEVELS
        num_equal = counts[equal].sum()
        if not is_free[number] or num_equal < FEW_PIXELS:
            break
        is_peak = num_equal >= 0.5 * counts[near].sum()
        if is_peak and flat[equal].sum() >= 0.1 * num_equal:
            found.append(colors[number])
        is_free &= ~near
    return np.array(found, int).reshape(-1, 3)


class PaintedSource:
    """Colours, or grey levels that JPEG has blurred, as label ids.

    All frames are looked at once, so that a colour has the same id in each.

    Parameters
    ----------
    source : Source
        8-bit; its last axis may be colours, with alpha or without.
    ids : ColorIds
        The ids of colours that are known from other files; new ones are added.

    Raises
    ------
    StackError
        If the colours of a frame are too noisy to be labels.
    """

    def __init__(self, source: Source, ids: ColorIds) -> None:
        self._source = source
        self._ids = ids
        layout = source.layout
        self._has_colors = layout.axes[-1] == "s"
        kept = slice(-1) if self._has_colors else slice(None)
        axes, shape = layout.axes[kept], layout.shape[kept]
        readings = list(self._scan(axes, shape))
        for tolerance in {tolerance for _, tolerance, _ in readings}:
            colors = {c for each, t, _ in readings if t == tolerance for c in each}
            ids.add(colors, tolerance=tolerance)
        num_edge_pixels = sum(count for _, _, count in readings)
        self.layout = Layout(
            axes=axes,
            shape=shape,
            dtype=np.dtype(np.int32),
            calibration=layout.calibration,
            notes=(*layout.notes, self._note(num_edge_pixels)),
            is_lossy=True,
        )

    def read(self, index: Index) -> NDArray[np.int32]:
        """Return the labels at one integer or full slice per axis."""
        pictures = self._pictures(index)
        flat = pictures.reshape(-1, *pictures.shape[-3:])
        labels = np.stack([self._labels(picture) for picture in flat])
        return labels.reshape(pictures.shape[:-1])

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def _scan(
        self, axes: tuple[str, ...], shape: tuple[int, ...]
    ) -> Iterator[tuple[tuple[Color, ...], int, int]]:
        ranges: list[Iterable[int | slice]] = [
            (slice(None),) if axis in FRAME_AXES else range(length)
            for axis, length in zip(axes, shape, strict=True)
        ]
        for index in itertools.product(*ranges):
            try:
                pictures = self._pictures(index)
            except DAMAGE:
                continue  # it is said when the frame is read
            reading = read_picture(pictures)
            yield reading.colors, reading.tolerance, reading.num_edge_pixels

    def _pictures(self, index: Index) -> NDArray[np.uint8]:
        """Return RGB pictures (..., H, W, 3) on black."""
        if not self._has_colors:
            return np.repeat(self._source.read(index)[..., None], 3, axis=-1)
        pixels = self._source.read((*index, slice(None)))
        if pixels.shape[-1] == 1:
            return np.repeat(pixels, 3, axis=-1)
        if pixels.shape[-1] == 4:
            shown = pixels[..., :3] * (pixels[..., 3:] / 255)
            return np.rint(shown).astype(np.uint8)
        return pixels

    def _labels(self, picture: NDArray[np.uint8]) -> NDArray[np.int32]:
        reading = read_picture(picture)
        numbers = [0]
        for color in reading.colors:
            number = self._ids.find(color, tolerance=reading.tolerance)
            assert number is not None  # all frames were looked at
            numbers.append(number)
        return np.array(numbers, np.int32)[reading.places]

    def _note(self, num_edge_pixels: int) -> str:
        known = self._ids.colors
        named = [f"{i} = #{bytes(c).hex()}" for i, c in enumerate(known, start=1)]
        if len(named) > SHOWN:
            named[SHOWN:] = [f"and {len(named) - SHOWN} more"]
        note = f"colours read as labels ({', '.join(named) or 'none'}), black as none"
        if not num_edge_pixels:
            return note
        return f"{note}; {num_edge_pixels} pixels of soft edges took the nearest"


def is_painted(layout: Layout) -> bool:
    """Tell whether labels of this layout are colours, or blurred by JPEG.

    Raises
    ------
    StackError
        If they are colours of more than 8 bits.
    """
    has_colors = layout.axes[-1] == "s" and layout.shape[-1] in (3, 4)
    if has_colors and layout.dtype != np.uint8:
        raise StackError(
            f"Expected label ids, got {layout.shape[-1]} colours of {layout.dtype}."
        )
    return layout.dtype == np.uint8 and (has_colors or layout.is_lossy)
