"""Palette: label ids to RGB colours and back.

Black is background. Colours are floats from 0 to 1.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# Ordered so that any first few are well apart. The first three form, with black,
# a regular tetrahedron: no four colours of the cube are further from each other.
CORNERS = (
    (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1),
)  # fmt: skip
DECODE_ROWS = 1 << 15  # pixels decoded at once, few enough for the cache
SOFTNESS = 1e-3  # added to squared distances of colours, so that none is 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Palette:
    """Colours for some label ids.

    Attributes
    ----------
    ids : NDArray[np.int64]
        (L,), the label ids, without 0, each once.
    colors : NDArray[np.float32]
        (L, 3), their colours, none of them black.
    """

    ids: NDArray[np.int64]
    colors: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Refuse ids and colours that could not be told apart."""
        if self.colors.shape != (len(self.ids), 3):
            raise ValueError(
                f"Expected {len(self.ids)} colours, got shape {self.colors.shape}."
            )
        if 0 in self.ids or len(np.unique(self.ids)) != len(self.ids):
            raise ValueError("Expected label ids that are unique and not 0.")
        known = np.vstack([np.zeros((1, 3)), self.colors])
        if len(np.unique(known, axis=0)) != len(known):
            raise ValueError("Expected colours that differ from each other and black.")

    @classmethod
    def of(cls, ids: Iterable[int]) -> Palette:
        """Give well-separated colours to label ids."""
        unique = np.unique(np.fromiter(ids, dtype=np.int64))
        unique = unique[unique != 0]
        colors = separated_colors(len(unique))
        return cls(ids=unique, colors=colors)

    @classmethod
    def painter(cls, ids: Iterable[int], levels: int | None = None) -> Palette:
        """Give label ids, however many, the colours of Painter's published evaluation.

        Its authors are SegGPT's, whose own colours are not published.
        """
        unique = np.unique(np.fromiter(ids, dtype=np.int64))
        unique = unique[unique != 0]
        return cls(ids=unique, colors=painter_colors(len(unique), levels))

    def split(self, size: int) -> list[Palette]:
        """Split into palettes of at most `size` labels, each with fresh colours."""
        parts = max(1, -(-len(self.ids) // size))
        return [Palette.of(ids) for ids in np.array_split(self.ids, parts)]

    def encode(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Colour a label image.

        Parameters
        ----------
        labels : NDArray
            (H, W), any integers. Ids that the palette does not know become black.

        Returns
        -------
        NDArray[np.float32]
            (H, W, 3), 0 to 1.
        """
        order = np.argsort(self.ids)
        table = np.vstack([np.zeros((1, 3), np.float32), self.colors[order]])
        ids = self.ids[order]
        wanted = labels.astype(np.int64, copy=False)  # a mixed search rounds large ids
        place = np.searchsorted(ids, wanted)
        found = ids[np.minimum(place, len(ids) - 1)] == wanted if len(ids) else False
        return np.asarray(table[np.where(found, place + 1, 0)], dtype=np.float32)

    def decode(
        self, colors: NDArray[np.floating[Any]], *, background: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Take the nearest colour's label for every pixel.

        Parameters
        ----------
        colors : NDArray
            (H, W, 3), 0 to 1.
        background : bool
            Whether black is among the colours; without it every pixel gets a label.

        Returns
        -------
        labels : NDArray[np.int64]
            (H, W), ids of the palette or 0.
        confidence : NDArray[np.float32]
            (H, W), the margin between the two nearest colours: 1 on a colour, 0 half
            way to the next one.
        """
        flat = np.ascontiguousarray(colors, dtype=np.float32).reshape(-1, 3)
        known = np.vstack([np.zeros((1, 3), np.float32), self.colors])
        ids = np.concatenate([[0], self.ids])
        if not background:
            known, ids = known[1:], ids[1:]
        labels = np.empty(len(flat), dtype=np.int64)
        confidence = np.empty(len(flat), dtype=np.float32)
        for start in range(0, len(flat), DECODE_ROWS):
            part = slice(start, start + DECODE_ROWS)
            nearest, confidence[part] = _nearest(flat[part], known)
            labels[part] = ids[nearest]
        shape = colors.shape[:2]
        return labels.reshape(shape), confidence.reshape(shape)

    def shares(self, colors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Say how much of each label there is in every pixel's colour.

        Parameters
        ----------
        colors : NDArray
            (H, W, 3), 0 to 1.

        Returns
        -------
        NDArray[np.float32]
            (1 + L, H, W), the background first, then the ids in their order. A pixel's
            shares sum to 1; nearer colours have more, by the square of the distance.
        """
        known = np.vstack([np.zeros((1, 3), np.float32), self.colors])
        pixels = np.asarray(colors, dtype=np.float32)
        own = np.einsum("hwc,hwc->hw", pixels, pixels)
        weights = np.empty((len(known), *own.shape), dtype=np.float32)
        for number, color in enumerate(known):  # |x - c|^2 = |x|^2 - 2xc + |c|^2
            squares = own - 2 * (pixels @ color) + color @ color
            weights[number] = 1.0 / (np.maximum(squares, 0) + np.float32(SOFTNESS))
        weights /= weights.sum(axis=0)
        return weights


def _nearest(
    pixels: NDArray[np.float32], known: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the nearest known colour of each pixel (P, 3), and its margin."""
    if len(known) == 1:
        return np.zeros(len(pixels), np.intp), np.ones(len(pixels), np.float32)
    # |x - c|^2 without |x|^2, which is the same for all c.
    distance = (known**2).sum(1) - 2 * pixels @ known.T
    two = np.argpartition(distance, 1, axis=1)[:, :2]
    first, second = two[:, 0], two[:, 1]
    rows = np.arange(len(pixels))
    gap = distance[rows, second] - distance[rows, first]
    apart = ((known[second] - known[first]) ** 2).sum(1)
    return first, np.clip(gap / apart, 0.0, 1.0)


def separated_colors(count: int) -> NDArray[np.float32]:
    """Return (count, 3) colours far from each other and from black.

    One is white; up to 7 are corners of the colour cube; more are points of the
    coarsest grid that has enough of them.
    """
    if count == 1:
        return np.ones((1, 3), dtype=np.float32)
    if count <= len(CORNERS):
        return np.array(CORNERS[:count], dtype=np.float32).reshape(count, 3)
    levels = 3
    while levels**3 - 1 < count:
        levels += 1
    grid = itertools.product(np.linspace(1.0, 0.0, levels), repeat=3)
    return np.array(list(itertools.islice(grid, count)), dtype=np.float32)


def painter_colors(count: int, levels: int | None = None) -> NDArray[np.float32]:
    """Return (count, 3) colours of Painter: from white down, blue changing fastest.

    Each channel has so many levels; by default the fewest that Painter takes.
    """
    levels = levels or int(count ** (1 / 3)) + 1
    step = 256 // levels
    places = np.stack(np.unravel_index(np.arange(count), (levels,) * 3), axis=-1)
    return ((255 - places * step) / 255).astype(np.float32)


def random_colors(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return (count, 3) random colours apart from each other and from black.

    For training: "the sampling is all about colors" (paper, section 3.1).
    """
    tries = 16
    chosen = np.zeros((1, 3))
    for _ in range(count):
        candidates = rng.random((tries, 3))
        gaps = np.linalg.norm(candidates[:, None] - chosen, axis=2).min(1)
        chosen = np.vstack([chosen, candidates[gaps.argmax()]])
    return chosen[1:].astype(np.float32)
