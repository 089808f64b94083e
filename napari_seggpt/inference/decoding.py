"""Labels of what was painted: of one pass, and of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.palette import Palette


def read_labels(
    painted: NDArray[np.float32], palette: Palette, *, are_shares: bool
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Return labels, confidence and colours of what a pass painted.

    Parameters
    ----------
    painted : NDArray[np.float32]
        (H, W, 3) colours from 0 to 1, or (H, W, R) how likely black and each colour of
        the palette is, as a readout tells.
    palette : Palette
        Of the pass.
    are_shares : bool
        Which of the two.
    """
    if not are_shares:
        return *palette.decode(painted), painted
    known = np.vstack([np.zeros((1, 3), np.float32), palette.colors])
    ids = np.concatenate([[0], palette.ids])
    two = np.partition(painted, -2, axis=-1)[..., -2:]
    return ids[painted.argmax(-1)], two[..., 1] - two[..., 0], painted @ known


def read_passes(
    painted: Iterable[NDArray[np.float32]],
    palettes: Sequence[Palette],
    *,
    are_shares: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
    """Return labels and confidence of all passes together, and the colours of each.

    Parameters as of `read_labels`, one `painted` and one palette a pass.
    """
    read = [
        read_labels(one, palette, are_shares=are_shares)
        for one, palette in zip(painted, palettes, strict=True)
    ]
    labels, confidence = combine_passes([(one[0], one[1]) for one in read])
    return labels, confidence, tuple(one[2] for one in read)


def combine_passes(
    passes: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Combine passes that each know some of the labels.

    A pixel takes the label of the pass that is surest of it; it is background where
    no pass claims it, as sure as the least sure of them.
    """
    labels, confidence = passes[0]
    for other, other_confidence in passes[1:]:
        claims = (other != 0) & ((labels == 0) | (other_confidence > confidence))
        both_background = (labels == 0) & (other == 0)
        confidence = np.where(claims, other_confidence, confidence)
        confidence = np.where(
            both_background, np.minimum(confidence, other_confidence), confidence
        )
        labels = np.where(claims, other, labels)
    return labels, confidence
