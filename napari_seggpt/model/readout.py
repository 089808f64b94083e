"""The readout: a decoder that reads the prompts in several ways and weighs the reads.

A small network learns to copy colours an order of magnitude sooner than to paint them.
There are four reads: attention copies the colours of pixels that look alike; two linear
reads, of the frame at its own resolution and of the whole at a glance, tell textures
apart; motion carries the labels of a similar prompt along. Each is best at something
else, and a mixer learns where to trust which.

Axes: B batch, K prompts, R colours, C channels, H W pixels of the fine picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.model.attention import AttentionRead
from napari_seggpt.model.encoding import ReadPrompts
from napari_seggpt.model.layers import LayerNorm2d
from napari_seggpt.model.linear import LinearRead
from napari_seggpt.model.mixer import (
    EDGE_DIM,
    NEVER,
    PICTURE_DIM,
    LevelSum,
    Mixer,
    ResidualConv,
    resize,
)
from napari_seggpt.model.motion import optical_flow, warp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from napari_seggpt.model.config import SegGPTConfig

# By how much a prompt counts less whose grey values, 0 to 1, differ more (a logarithm).
FIRST_LIKENESS = 100.0
MOTION_PROMPTS = 2  # the labels of so many prompts are carried along
READS = 4
FACTS = 8
# What weighs the reads: nothing of an encoded prompt depends on it.
WEIGHING = (
    "linear_fine", "linear_whole", "log_memory", "log_likeness", "log_sharpness",
    "picture", "picture_norm", "edges", "edge_norm", "mixer",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """A picture as the reads see it.

    Attributes
    ----------
    fine : list of Tensor
        Levels of the stem, of the picture at its own resolution.
    whole : list of Tensor
        Levels of the stem, of the picture squeezed to the transformer's size.
    matched : Tensor
        (B, C, h, w), features with context at stride 4 of the squeezed picture.
    grey : Tensor
        (B, 1, h, w), small.
    """

    fine: list[Tensor]
    whole: list[Tensor]
    matched: Tensor
    grey: Tensor

    @property
    def learned(self) -> list[Tensor]:
        """What the linear read of the whole reads."""
        return [*self.whole, self.matched]


class Readout(nn.Module):
    """Reads prompts for queries; see the module."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        widths, channels = config.stem_widths, config.stem_dim
        self.from_tokens = nn.Linear(config.embed_dim, channels)
        self.fuse = ResidualConv(channels)
        self.norm = LayerNorm2d(channels)
        self.attention = AttentionRead(channels, config.match_dim)
        self.linear_fine = LinearRead(widths)
        self.linear_whole = LinearRead((*widths, channels))
        self.log_memory = nn.Parameter(torch.tensor(math.log(0.5)))
        self.log_likeness = nn.Parameter(torch.tensor(math.log(FIRST_LIKENESS)))
        self.log_sharpness = nn.Parameter(torch.full((2,), math.log(4.0)))
        self.picture = LevelSum((*widths[2:], channels), PICTURE_DIM)
        self.picture_norm = LayerNorm2d(PICTURE_DIM)
        self.edges = LevelSum(widths[:3], EDGE_DIM)
        self.edge_norm = LayerNorm2d(EDGE_DIM)
        self.mixer = Mixer(reads=READS, facts=FACTS, channels=config.decoder_dim)

    def matched(self, stem: Tensor, tokens: Tensor) -> Tensor:
        """Join features (B, C, h, w) and normalised tokens (B, D, rows, columns)."""
        context = self.from_tokens(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        size = (stem.shape[-2], stem.shape[-1])
        return self.norm(self.fuse(stem + resize(context, size)))

    def weighing(self) -> dict[str, nn.Parameter]:
        """Return what weighs the reads, by name: tuning a prompt may change it."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name.partition(".")[0] in WEIGHING
        }

    # -- prompts -------------------------------------------------------------------

    def encode(
        self,
        views: Views,
        shares: Tensor,
        known: Tensor | None,
        predicted: Tensor,
    ) -> ReadPrompts:
        """Keep what prompts offer to be read; its tensors begin with B alone.

        Parameters
        ----------
        views : Views
            Of the prompts' pictures.
        shares : Tensor
            (B, R, H, W), 1 where a pixel has that colour.
        known : Tensor, optional
            (B, 1, H, W), 0 where nobody said what a pixel is.
        predicted : Tensor
            (B,), 1 where the colours are the network's own.
        """

        def pooled(x: Tensor, like: Tensor) -> Tensor:
            return F.adaptive_avg_pool2d(x, (like.shape[-2], like.shape[-1]))

        def is_known(like: Tensor) -> Tensor | None:
            return None if known is None else (pooled(known, like) > 0.5).float()

        matched, fine, whole = views.matched, views.fine[0], views.whole[0]
        sums_fine = self.linear_fine.sums(
            views.fine, pooled(shares, fine), is_known(fine)
        )
        sums_whole = self.linear_whole.sums(
            views.learned, pooled(shares, whole), is_known(whole)
        )
        return ReadPrompts(
            keys=self.attention.keys(matched, is_known(matched)),
            values=self.attention.values(pooled(shares, matched)),
            fine=sums_fine,
            whole=sums_whole,
            grey=views.grey,
            shares=pooled(shares, views.grey),
            predicted=predicted.to(matched.dtype),
            known=_share_of(known, predicted).to(matched.dtype),
        )

    # -- query ---------------------------------------------------------------------

    def read(
        self,
        views: Views,
        near: ReadPrompts,
        every: ReadPrompts,
        seg_type: Tensor,
        exists: Tensor,
    ) -> list[Tensor]:
        """Return the scores of the colours, of each read that learns and as weighed.

        Parameters
        ----------
        views : Views
            Of the queries.
        near, every : ReadPrompts
            The prompts that are most like the query, the most alike first, and all.
        seg_type : Tensor
            (B,).
        exists : Tensor
            (B, R), whether the palette has the colour.

        Returns
        -------
        list of Tensor
            Logarithms up to a constant, (B, R, h, w): of the attention read, the two
            linear reads, and as weighed at stride 4 and at stride 2 of the picture.
        """
        colors = near.shares.shape[2]
        attended = self.attention.read(views.matched, near.keys, near.values, colors)
        trust = self._trust(views.grey, every)
        solved_fine = self.linear_fine.solve(every.fine.pool(trust))
        solved_whole = self.linear_whole.solve(every.whole.pool(trust))
        finest, glance = _size(views.fine[0]), _size(views.matched)
        fine = self.linear_fine.scores(views.fine, solved_fine, finest)
        whole = self.linear_whole.scores(views.learned, solved_whole, glance)
        moved, mismatch, from_predicted = carry_along(views.grey, near)
        size = _size(views.fine[2])
        shown = every.shares.mean((1, 3, 4))  # (B, R), the share of the pixels
        facts = [
            resize(mismatch, size),
            shown.sqrt(),
            solved_fine.error,
            solved_whole.error,
            seg_type[:, None].to(shown.dtype),
            from_predicted[:, None],
            every.predicted.mean(1, keepdim=True),
            torch.arange(colors, device=shown.device)[None] == 0,
        ]
        reads = [resize(x, size) for x in (attended, fine, whole, moved)]
        weighed = self.mixer(
            reads,
            _spread(facts, reads[0]),
            self.picture_norm(self.picture([*views.fine[2:], views.matched], size)),
            fine,
            self.edge_norm(self.edges(views.fine[:3], finest)),
            exists,
        )
        sharpness = self.log_sharpness.exp()
        missing = ~exists[..., None, None]
        said = [
            attended.clamp(min=1e-4).log(),
            fine * sharpness[0],
            whole * sharpness[1],
        ]
        return [*(x.masked_fill(missing, NEVER) for x in said), *weighed]

    def _trust(self, grey: Tensor, prompts: ReadPrompts) -> Tensor:
        """Return how much each prompt counts in the linear reads: (B, K), sum 1."""
        memory = torch.where(prompts.predicted > 0, self.log_memory.exp(), 1.0)
        trust = memory * prompts.likeness(grey, self.log_likeness.exp())
        return trust / trust.sum(1, keepdim=True)


def carry_along(grey: Tensor, near: ReadPrompts) -> tuple[Tensor, Tensor, Tensor]:
    """Carry the colours of the most similar prompts along.

    Returns
    -------
    tuple of Tensor
        Shares (B, R, h, w) and by how much the moved picture differs (B, 1, h, w), both
        on the grid of `grey`, and whether what was carried was predicted (B,). Where
        two prompts were carried, the one whose picture fits better counts more.
    """
    count = min(MOTION_PROMPTS, near.grey.shape[1])
    still = grey.repeat(count, 1, 1, 1)  # all pairs at once, the first prompts' first
    moving, labels = (
        x[:, :count].transpose(0, 1).flatten(0, 1) for x in (near.grey, near.shares)
    )
    flow = optical_flow(still, moving)
    moved = warp(torch.cat([moving, labels], dim=1).float(), flow)
    apart = (moved[:, :1] - still).abs()
    apart = F.avg_pool2d(F.pad(apart, (4, 4, 4, 4), mode="replicate"), 9, 1)
    misfit, shares = (x.unflatten(0, (count, -1)) for x in (apart, moved[:, 1:]))
    weight = (-30.0 * misfit).softmax(0)
    predicted = (weight.mean((2, 3, 4)) * near.predicted[:, :count].mT).sum(0)
    return (
        (weight * shares).sum(0),
        (weight * misfit).sum(0),
        predicted,
    )


def color_shares(colors: Tensor, palettes: Tensor) -> Tensor:
    """Tell which colour of its palette each pixel has.

    Parameters
    ----------
    colors : Tensor
        (B, 3, H, W).
    palettes : Tensor
        (B, R, 3), NaN where there are fewer.

    Returns
    -------
    Tensor
        (B, R, H, W), 1 for the nearest colour and 0 for the others.
    """
    known = torch.nan_to_num(palettes, nan=1e4)
    apart = torch.stack(
        [
            (colors - known[:, number, :, None, None]).square().sum(1)
            for number in range(known.shape[1])
        ],
        dim=1,
    )
    nearest = apart.argmin(1, keepdim=True)
    return torch.zeros_like(apart).scatter_(1, nearest, 1.0)


def _share_of(known: Tensor | None, like: Tensor) -> Tensor:
    """Return the share (B,) of the pixels that are known: all, if nothing is said."""
    return torch.ones_like(like) if known is None else known.mean((1, 2, 3))


def _spread(facts: Sequence[Tensor], like: Tensor) -> Tensor:
    """Spread facts (B, R), (B, 1) or (B, 1, h, w) over (B, R, facts, h, w)."""
    batch, colors, height, width = like.shape
    spread = []
    for fact in facts:
        each = fact if fact.ndim == 4 else fact[..., None, None]
        spread.append(each.to(like.dtype).expand(batch, colors, height, width))
    return torch.stack(spread, dim=2)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
