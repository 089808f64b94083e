"""Prediction: what a frame was predicted to show, read from what the model painted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_seggpt.inference.decoding import read_passes
from napari_seggpt.inference.tiling import blend

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.inference.memory import QueryTile
    from napari_seggpt.palette import Palette


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prediction:
    """What was predicted for one frame.

    Attributes
    ----------
    labels : NDArray[np.int64]
        (H, W), ids that occur in the prompts, or 0.
    confidence : NDArray[np.float32]
        (H, W), from 0 (between two labels) to 1.
    colors : tuple of NDArray[np.float32]
        (H, W, 3) from 0 to 1, what the model painted, of each pass. Where objects of a
        large frame were told apart, as the model saw it.
    seen : NDArray[np.int64] or None
        (h, w), the labels on the model's own grid, to be remembered. None if nothing
        is, or if the frame was cut into tiles.
    """

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    colors: tuple[NDArray[np.float32], ...]
    seen: NDArray[np.int64] | None = None


def read_prediction(
    painted: Sequence[Sequence[NDArray[np.float32]]],
    queries: Sequence[QueryTile],
    shape: tuple[int, int],
    palettes: Sequence[Palette],
    *,
    are_shares: bool,
    remember: bool,
) -> Prediction:
    """Join the tiles of a frame and read their labels.

    Parameters
    ----------
    painted : sequence of sequence of NDArray[np.float32]
        (h, w, C) of each pass, of each tile.
    queries : sequence of QueryTile
        The tiles.
    shape : tuple of int
        Of the frame.
    palettes : sequence of Palette
        Of each pass.
    are_shares : bool
        What was painted, as of `read_labels`.
    remember : bool
        Whether the frame may be shown to the model later.
    """
    tiles = [query.tile for query in queries]
    joined = (
        blend((tile[i] for tile in painted), tiles, shape) for i in range(len(palettes))
    )
    read = partial(read_passes, palettes=palettes, are_shares=are_shares)
    labels, confidence, colors = read(joined)
    seen = None
    if remember and len(tiles) == 1:
        is_same = queries[0].picture.shape[:2] == shape
        seen = labels if is_same else read(painted[0])[0]
    return Prediction(labels=labels, confidence=confidence, colors=colors, seen=seen)
