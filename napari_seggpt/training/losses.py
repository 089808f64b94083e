"""Losses: how far what the network says is from the truth (section 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

READ_WEIGHT = 0.2  # of what each read says by itself


def color_loss(colors: Tensor, target: Tensor, weight: Tensor, beta: float) -> Tensor:
    """Weighted smooth L1 of colours (B, 3, H, W); the weights are (B, 1, H, W)."""
    loss = F.smooth_l1_loss(colors.float(), target, beta=beta, reduction="none")
    return (loss * weight).sum() / (3 * weight.sum()).clamp(min=1)


def score_loss(
    stages: Sequence[Tensor], regions: Tensor, known: Tensor | None = None
) -> Tensor:
    """Cross entropy and soft Dice of the scores of a readout.

    Parameters
    ----------
    stages : sequence of Tensor
        (B, R, h, w) each: what the reads say by themselves, and the two stages as
        weighed, which count more.
    regions : Tensor
        (B, H, W), which colour each pixel has.
    known : Tensor, optional
        (B, H, W), 0 where a pixel does not count, else 1.
    """
    *reads, coarse, finest = stages
    truth = F.one_hot(regions, finest.shape[1]).movedim(-1, 1).float()
    known = torch.ones_like(truth[:, :1]) if known is None else known[:, None]
    whole = F.interpolate(finest.float(), size=truth.shape[-2:], mode="bilinear")
    dice = soft_dice_loss(whole.softmax(1), truth, known)
    losses = [_entropy(whole, truth, known) + dice]
    smaller, few = (_pooled(x, coarse) for x in (truth, known))
    coarse = coarse.float()
    dice = soft_dice_loss(coarse.softmax(1), smaller, few)
    losses.append(_entropy(coarse, smaller, few) + dice)
    losses += [
        _entropy(read.float(), *(_pooled(x, read) for x in (truth, known)))
        for read in reads
    ]
    weights = (1.0, 0.4, *[READ_WEIGHT] * len(reads))
    return sum(
        (weight * loss for weight, loss in zip(weights, losses, strict=True)),
        start=torch.zeros((), device=finest.device),
    )


def _pooled(truth: Tensor, like: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(truth, (like.shape[-2], like.shape[-1]))


def _entropy(scores: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Cross entropy of scores and shares (B, R, h, w), over what is known."""
    each = -(truth * scores.log_softmax(1)).sum(1, keepdim=True)
    return (known * each).sum() / known.sum().clamp(min=1)


def soft_dice_loss(
    claimed: Tensor, truth: Tensor, known: Tensor | None = None
) -> Tensor:
    """One minus the soft Dice of shares (B, R, h, w), of colours that occur.

    Of the background's colour, the first, nothing is asked, and what is not known
    (B, 1, h, w) does not count.
    """
    claimed, truth = claimed[:, 1:], truth[:, 1:]
    if known is not None:
        claimed, truth = known * claimed, known * truth
    common = (claimed * truth).sum((2, 3))
    total = claimed.sum((2, 3)) + truth.sum((2, 3))
    occurs = (truth.sum((2, 3)) > 0).float()
    loss = (1 - (2 * common + 1) / (total + 1)) * occurs
    return loss.sum() / occurs.sum().clamp(min=1)
