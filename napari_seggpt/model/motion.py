"""Motion: the colours of a similar prompt, carried along by a smooth displacement.

Where organs are known by their place rather than by their look, and in films that move
little, what was labelled nearby and moved with the picture is the best guess. The
displacement is an optical flow: TV-L1 by the duality of Zach, Pock and Bischof (2007),
coarse to fine, on small grey pictures. Nothing in it is learned.

Axes: B pairs of pictures, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from napari_seggpt.preprocessing import MEAN, STD

if TYPE_CHECKING:
    from torch import Tensor

LEVELS = 4
WARPS = 3
ITERATIONS = 8
DATA_WEIGHT = 15.0  # of brightness that stays, against smoothness
COUPLING = 0.3
STEP = 0.25
GREY_SPREAD, GREY_CENTRE = float(STD.mean()), float(MEAN.mean())


def small_grey(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the grey values, 0 to 1, of normalised pictures (B, 3, H, W), small.

    The sides are about half of `size`, in multiples of 8: (B, 1, h, w).
    """
    grey = image.mean(1, keepdim=True) * GREY_SPREAD + GREY_CENTRE
    small = [max(8, side // 16 * 8) for side in size]
    return F.interpolate(grey, size=small, mode="bilinear", antialias=True)


@torch.no_grad()
def optical_flow(still: Tensor, moving: Tensor) -> Tensor:
    """Return where in `moving` each pixel of `still` lies.

    Parameters
    ----------
    still, moving : Tensor
        (B, 1, H, W), grey values of about 0 to 1; H and W are multiples of 8.

    Returns
    -------
    Tensor
        (B, 2, H, W), displacements to the right and below in pixels.
    """
    pyramid = [(still.float(), moving.float())]
    for _ in range(LEVELS - 1):
        pyramid.append(
            (F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2))
        )
    height, width = pyramid[-1][0].shape[-2:]
    flow = still.new_zeros((len(still), 2, height, width), dtype=torch.float32)
    for first, second in reversed(pyramid):
        if flow.shape[-2:] != first.shape[-2:]:
            size = (first.shape[-2], first.shape[-1])
            flow = 2 * F.interpolate(flow, size=size, mode="bilinear")
        flow = _refine(flow, first, second)
    return flow


def _refine(flow: Tensor, still: Tensor, moving: Tensor) -> Tensor:
    """Improve a flow on one level of the pyramid."""
    slopes = torch.cat(_central_slopes(moving), dim=1)
    dual = flow.new_zeros((len(flow), 2, 2, *flow.shape[-2:]))
    for _ in range(WARPS):
        moved = warp(torch.cat([moving, slopes], dim=1), flow)
        slope = moved[:, 1:]
        steepness = slope.square().sum(1, keepdim=True) + 1e-9
        constant = moved[:, :1] - still - (slope * flow).sum(1, keepdim=True)
        reach = DATA_WEIGHT * COUPLING
        for _ in range(ITERATIONS):
            residual = constant + (slope * flow).sum(1, keepdim=True)
            step = (-residual / steepness).clamp(-reach, reach)
            flow = flow + step * slope + COUPLING * _divergence(dual)
            dual = dual + STEP / COUPLING * torch.stack(_forward_slopes(flow), dim=1)
            dual = dual / dual.square().sum(1, keepdim=True).sqrt().clamp(min=1.0)
    return F.avg_pool2d(F.pad(flow, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """Show pictures (B, C, H, W) as a flow (B, 2, H, W) of the same size moves them."""
    height, width = pictures.shape[-2:]
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype)[:, None]
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype)
    x = (2 * (columns + flow[:, 0]) + 1) / width - 1
    y = (2 * (rows + flow[:, 1]) + 1) / height - 1
    where = torch.stack([x, y], dim=-1)
    return F.grid_sample(pictures, where, padding_mode="border", align_corners=False)


def _forward_slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    across = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    down = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return across, down


def _central_slopes(x: Tensor) -> tuple[Tensor, Tensor]:
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return across, down


def _divergence(dual: Tensor) -> Tensor:
    """Return the divergence (B, 2, H, W) of (B, 2 directions, 2, H, W)."""
    across, down = dual[:, 0], dual[:, 1]
    return (
        across
        - F.pad(across[..., :-1], (1, 0))
        + down
        - F.pad(down[..., :-1, :], (0, 0, 1, 0))
    )
