"""The linear read: a classifier of pixels, solved from the prompts in closed form.

It is ridge regression from features to the colours' indicators. Where textures tell
classes apart, it is better than attention, and it gains more from more prompts. Of a
prompt only sums over its pixels are kept, so that many prompts cost what one costs, and
the solution can be differentiated: penalties and features are learned through it.

Axes: B batch, K prompts, R colours, F features, h w pixels at the finest level, N
sampled pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

GOLDEN_RATIO = 0.6180339887498949
FIRST_PENALTY = 0.1  # of a feature of variance one
PIXELS, TRAINING_PIXELS = 12_000, 6_000  # of a prompt that are looked at
SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelSums:
    """Weighted means over the pixels of a prompt, or of several.

    Covariances are taken about the means, since features may vary little beside them.

    Attributes
    ----------
    mean, share : Tensor
        (..., F) of the features and (..., R) of the colours' shares.
    covariance, together : Tensor
        (..., F, F) of features with features, and (..., F, R) with shares.
    variance : Tensor
        (..., R), of the shares.
    """

    mean: Tensor
    share: Tensor
    covariance: Tensor
    together: Tensor
    variance: Tensor

    def pool(self, weight: Tensor) -> PixelSums:
        """Join prompts (B, K, ...) by weights (B, K) that add up to 1."""
        each = weight[..., None]
        mean, share = (each * self.mean).sum(1), (each * self.share).sum(1)
        aside = self.mean - mean[:, None]  # (B, K, F)
        beside = self.share - share[:, None]
        square = weight[..., None, None]
        covariance = (square * self.covariance).sum(1) + (each * aside).mT @ aside
        together = (square * self.together).sum(1) + (each * aside).mT @ beside
        variance = (each * (self.variance + beside.square())).sum(1)
        return PixelSums(
            mean=mean,
            share=share,
            covariance=covariance,
            together=together,
            variance=variance,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSolution:
    """What was solved for a query's prompts.

    Attributes
    ----------
    weights, bias : Tensor
        (B, F, R) and (B, R).
    error : Tensor
        (B, R), the share of each colour's variance in the prompts that is not
        explained; 1 for a colour that they do not show.
    """

    weights: Tensor
    bias: Tensor
    error: Tensor


class LinearRead(nn.Module):
    """Ridge regression on features of several levels, with a penalty for each.

    Parameters
    ----------
    widths : sequence of int
        Channels of the levels.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = tuple(widths)
        start = torch.full((sum(widths),), math.log(FIRST_PENALTY))
        self.log_penalty = nn.Parameter(start)

    def sums(
        self, levels: Sequence[Tensor], shares: Tensor, known: Tensor | None = None
    ) -> PixelSums:
        """Sum over the pixels of pictures, rare colours weighted up.

        Parameters
        ----------
        levels : sequence of Tensor
            (B, C, ...) each, from the finest; the pixels are those of the first.
        shares : Tensor
            (B, R, h, w), how much of each pixel has which colour.
        known : Tensor, optional
            (B, 1, h, w), 0 where nobody said what a pixel is.
        """
        with torch.autocast(shares.device.type, enabled=False):
            return self._sums(levels, shares.float(), known)

    def _sums(
        self, levels: Sequence[Tensor], shares: Tensor, known: Tensor | None
    ) -> PixelSums:
        count = TRAINING_PIXELS if self.training else PIXELS
        place, weight = sample_pixels(shares, count, known)
        features = gather(levels, place, shares.shape[-2:])  # (B, F, N)
        colors = shares.flatten(2).gather(
            2, place[:, None].expand(-1, shares.shape[1], -1)
        )
        each = weight[:, None]
        mean, share = (each * features).sum(2), (each * colors).sum(2)
        features, colors = features - mean[..., None], colors - share[..., None]
        weighted = each * features
        return PixelSums(
            mean=mean,
            share=share,
            covariance=weighted @ features.mT,
            together=weighted @ colors.mT,
            variance=(each * colors.square()).sum(2),
        )

    def solve(self, sums: PixelSums) -> LinearSolution:
        """Solve for the pooled sums of all prompts (B, ...).

        In double precision, since features differ in scale.
        """
        device = sums.mean.device
        exact = _with_doubles(device)
        mean, share, covariance, together, shown = (
            x.to(exact, torch.float64)
            for x in (sums.mean, sums.share, sums.covariance, sums.together,
                      sums.variance)
        )  # fmt: skip
        with torch.autocast(device.type, enabled=False):
            variance = covariance.diagonal(dim1=1, dim2=2).clamp(min=SMALLEST_VARIANCE)
            penalty = self.log_penalty.to(exact, torch.float64).exp() * variance
            factor = torch.linalg.cholesky(covariance + torch.diag_embed(penalty))
            weights = torch.cholesky_solve(together, factor)
            bias = share - (mean[:, None] @ weights)[:, 0]
            explained = (weights * (together + penalty[..., None] * weights)).sum(1)
            error = 1 - explained / shown.clamp(min=1e-9)
            error = torch.where(shown > 1e-6, error.clamp(0, 1), 1.0)
        weights, bias, error = (
            x.to(device, torch.float32) for x in (weights, bias, error)
        )
        return LinearSolution(weights=weights, bias=bias, error=error)

    def scores(
        self, levels: Sequence[Tensor], solution: LinearSolution, size: tuple[int, int]
    ) -> Tensor:
        """Return what the solution says of queries: (B, R, *size), about 0 to 1.

        Each level is read on its own grid and its scores are enlarged, which is the
        same as enlarging the features, and far cheaper.
        """
        parts: dict[tuple[int, int], Tensor] = {}
        each = solution.weights.split(self.widths, dim=1)
        with torch.autocast(solution.weights.device.type, enabled=False):
            for level, weights in zip(levels, each, strict=True):
                grid = (level.shape[-2], level.shape[-1])
                part = (weights.mT @ level.flatten(2).float()).unflatten(2, grid)
                parts[grid] = parts[grid] + part if grid in parts else part
        enlarged = [
            part
            if grid == size
            else F.interpolate(part, size=size, mode="bilinear", align_corners=False)
            for grid, part in parts.items()
        ]
        return torch.stack(enlarged).sum(0) + solution.bias[..., None, None]


def sample_pixels(
    shares: Tensor, count: int, known: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Choose pixels evenly, more of rare colours, and weigh them.

    The weights of a colour's pixels add up to the square root of how many it has, so
    that rare colours count for more than their number, but for less than common ones.

    Returns
    -------
    tuple of Tensor
        Which pixels, (B, N) places in the flattened picture, and their weights (B, N),
        which add up to 1.
    """
    colors, pixels = shares.flatten(2).shape[1:]
    hard = F.one_hot(shares.flatten(2).argmax(1), colors).float()  # (B, P, R)
    if known is not None:
        hard = hard * known.flatten(1)[..., None]
    number = hard.sum(1)  # (B, R)
    wanted = hard @ number.clamp(min=1).rsqrt()[..., None]  # (B, P, 1)
    # Weighted sampling without replacement; the sequence is even, but not random.
    exact = _with_doubles(shares.device)
    spread = torch.arange(1, pixels + 1, device=exact, dtype=torch.float64)
    spread = ((spread * GOLDEN_RATIO) % 1.0).clamp(min=1e-9).log()
    order = spread.to(shares) / wanted[..., 0].clamp(min=1e-9)
    place = order.topk(min(count, pixels), dim=1).indices
    chosen = hard.gather(1, place[..., None].expand(-1, -1, colors))
    each = number.sqrt() / chosen.sum(1).clamp(min=1)
    weight = (chosen @ each[..., None])[..., 0]
    return place, weight / weight.sum(1, keepdim=True).clamp(min=1e-12)


def _with_doubles(device: torch.device) -> torch.device:
    """Return where to compute in double precision; Apple's graphics has none."""
    return torch.device("cpu") if device.type == "mps" else device


def gather(
    levels: Sequence[Tensor], place: Tensor, size: tuple[int, int] | torch.Size
) -> Tensor:
    """Return the features (B, F, N) of all levels at pixels of a grid of this size."""
    height, width = size
    row, column = place // width, place % width
    x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
    where = torch.stack([x, y], dim=-1)[:, None].float()  # (B, 1, N, 2)
    read = [
        F.grid_sample(level.float(), where, padding_mode="border", align_corners=False)[
            :, :, 0
        ]
        for level in levels
    ]
    return torch.cat(read, dim=1)
