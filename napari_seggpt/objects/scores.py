"""How much a prediction speaks for each class label, at every pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.palette import Palette


def class_scores(
    labels: NDArray[np.integer[Any]],
    confidence: NDArray[np.floating[Any]],
    count: int,
    *,
    colors: Sequence[NDArray[np.floating[Any]]] = (),
    palettes: Sequence[Palette] = (),
) -> NDArray[np.float32]:
    """Turn a prediction of the class labels 0 to `count` into scores.

    Parameters
    ----------
    labels, confidence : NDArray
        (H, W), as of `Prediction`.
    count : int
        The largest class label.
    colors, palettes : sequence, optional
        (H, W, 3) what was painted in each pass, and the palette of that pass. They say
        more than labels and confidence do, and count alone where there are some.

    Returns
    -------
    NDArray[np.float32]
        (1 + count, H, W); the scores of a pixel sum to 1.
    """
    if colors and len(colors) == len(palettes):
        return _of_passes(colors, palettes, count)
    scores = np.zeros((1 + count, *labels.shape), dtype=np.float32)
    # A margin of 0 is half way to another label, which is not known.
    chance = (1 + np.asarray(confidence, dtype=np.float32)) / 2
    scores[:] = (1 - chance) / max(1, count)
    rows, columns = np.indices(labels.shape)
    scores[np.asarray(labels, dtype=np.int64), rows, columns] = chance
    return scores


def weigh_background(scores: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Return scores (1 + labels, H, W) in which background counts so many times."""
    weighted = scores.copy()
    weighted[0] *= weight
    shares: NDArray[np.float32] = weighted / weighted.sum(axis=0)
    return shares


def _of_passes(
    colors: Sequence[NDArray[np.floating[Any]]],
    palettes: Sequence[Palette],
    count: int,
) -> NDArray[np.float32]:
    """Join passes that each know some labels; each speaks against the others'."""
    scores = np.zeros((1 + count, *colors[0].shape[:2]), dtype=np.float32)
    background = np.ones(colors[0].shape[:2], dtype=np.float32)
    for picture, palette in zip(colors, palettes, strict=True):
        shares = palette.shares(picture)
        background = np.minimum(background, shares[0])
        for place, label in enumerate(palette.ids.tolist(), start=1):
            scores[label] = np.maximum(scores[label], shares[place])
    scores[0] = background
    return scores / scores.sum(axis=0)
