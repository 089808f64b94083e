"""The published decoder, which paints colours from the blocks' outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor, nn


def paint(
    embed: nn.Linear,
    pred: nn.Sequential,
    taps: Tensor,
    seam: Tensor,
    grid: tuple[int, int],
) -> Tensor:
    """Regress the query's colours, as the published decoder does of the stitched pair.

    It convolves the stitched picture, so the query's first pixel row sees the last
    pixel row of the prompt above it: the seam.

    Parameters
    ----------
    embed, pred
        `decoder_embed` and `decoder_pred` of the network.
    taps : Tensor
        (B, N, taps * D), what the decoder reads of the query.
    seam : Tensor
        (B, w, taps * D), the same of the prompt's lowest patch row.
    grid : tuple of int
        Rows h and columns w of patches.

    Returns
    -------
    Tensor
        (B, 3, H, W).
    """
    conv, *rest = pred
    width = cast("nn.Conv2d", conv).in_channels
    patch = round((embed.out_features // width) ** 0.5)
    pixels = embed(taps).unflatten(-1, (patch, patch, width))
    pixels = pixels.unflatten(1, grid).permute(0, 5, 1, 3, 2, 4)  # (B, c, h p w p)
    pixels = pixels.flatten(4, 5).flatten(2, 3)
    last = patch * width  # the outputs of a patch's last pixel row
    above = F.linear(seam, embed.weight[-last:], embed.bias[-last:])
    above = above.unflatten(-1, (patch, width)).permute(0, 3, 1, 2).flatten(2, 3)
    hidden = conv(torch.cat([above[:, :, None], pixels], dim=2))[:, :, 1:]
    for layer in rest:
        hidden = layer(hidden)
    return hidden
