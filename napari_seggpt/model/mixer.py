"""The mixer: weighs what the reads say of each colour, pixel by pixel.

It looks at one colour at a time, with the same weights for all: what the reads say of
it, the most they say of any other, how far each read can be trusted here, and features
of the picture. So it need not know the colours, and any number of them will do. A small
U-Net at stride 4 decides; a last step at stride 2 follows the edges of the picture.

Axes: B batch, R colours, C channels, h w pixels at stride 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.model.layers import LayerNorm2d

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

NEVER = -1e4  # the score of a colour that is not there
PICTURE_DIM, EDGE_DIM = 24, 8  # features of the picture, at stride 4 and at stride 2


class ResidualConv(nn.Module):
    """A residual pair of 3 x 3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        return x + self.conv2(F.gelu(self.conv1(self.norm(x))))


class LevelSum(nn.Module):
    """Projects levels of a picture to the same channels and adds them on one grid."""

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Conv2d(n, channels, 1) for n in widths)

    def forward(self, levels: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Map levels (B, C, ...) to (B, channels, *size)."""
        total = torch.zeros((), device=levels[0].device)
        for level, projection in zip(levels, self.projections, strict=True):
            total = total + resize(projection(level), size)
        return total


class Mixer(nn.Module):
    """Weighs reads; see the module.

    Parameters
    ----------
    reads : int
        How many there are.
    facts : int
        How many further numbers there are of each pixel and colour.
    channels : int
        Width of the U-Net at stride 4.
    """

    def __init__(self, *, reads: int, facts: int, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.reads = reads
        self.skip = nn.Parameter(torch.full((reads,), 2.0))
        self.enter = nn.Conv2d(2 * reads + facts + PICTURE_DIM, channels, 3, padding=1)
        self.fine = ResidualConv(channels)
        self.down1 = nn.Conv2d(channels, wide, 3, stride=2, padding=1)
        self.middle = ResidualConv(wide)
        self.down2 = nn.Conv2d(wide, wide, 3, stride=2, padding=1)
        self.coarse = ResidualConv(wide)
        self.whole = nn.Linear(wide, wide)
        self.up2 = nn.Conv2d(wide, wide, 1)
        self.up1 = nn.Conv2d(wide, channels, 1)
        self.leave = ResidualConv(channels)
        self.score = nn.Conv2d(channels, 1, 1)
        self.to_edge = nn.Conv2d(channels, EDGE_DIM, 1)
        self.edge1 = nn.Conv2d(2 * EDGE_DIM + 2, 2 * EDGE_DIM, 3, padding=1)
        self.edge2 = nn.Conv2d(2 * EDGE_DIM, 1, 3, padding=1)
        for last in (self.score, self.edge2, self.whole):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self,
        reads: Sequence[Tensor],
        facts: Tensor,
        picture: Tensor,
        edge_read: Tensor,
        edges: Tensor,
        exists: Tensor,
    ) -> list[Tensor]:
        """Return the scores of colours at stride 4 and at stride 2.

        Parameters
        ----------
        reads : sequence of Tensor
            (B, R, h, w) each, about 0 to 1.
        facts : Tensor
            (B, R, facts, h, w).
        picture : Tensor
            (B, PICTURE_DIM, h, w).
        edge_read : Tensor
            (B, R, 2 h, 2 w), the read that is finest.
        edges : Tensor
            (B, EDGE_DIM, 2 h, 2 w).
        exists : Tensor
            (B, R), whether the palette has the colour.

        Returns
        -------
        list of Tensor
            (B, R, h, w) and (B, R, 2 h, 2 w), logarithms up to a constant.
        """
        said = torch.stack(list(reads), dim=2)  # (B, R, reads, h, w)
        others = _most_of_others(said, exists)
        # Colours that the palette lacks would only cost time.
        row, color = exists.nonzero(as_tuple=True)
        place = row * exists.shape[1] + color

        def chosen(x: Tensor) -> Tensor:
            """Of (B, R, ...) the colours that exist."""
            return x.flatten(0, 1).index_select(0, place)

        known = chosen(torch.cat([said, others, facts], dim=2))
        hidden = self._decide(torch.cat([known, picture.index_select(0, row)], dim=1))
        skip = (chosen(said) * self.skip[:, None, None]).sum(1, keepdim=True)
        scores = skip + self.score(hidden)  # (colours that exist, 1, h, w)
        near = edges.index_select(0, row)
        sharp = self._sharpen(scores, hidden, chosen(edge_read), near)
        return [_scatter(x[:, 0], exists) for x in (scores, sharp)]

    def _decide(self, x: Tensor) -> Tensor:
        """Run the U-Net on (n, C, h, w) of n colours that exist."""
        fine = self.fine(F.gelu(self.enter(x)))
        middle = self.middle(F.gelu(self.down1(fine)))
        coarse = self.coarse(F.gelu(self.down2(middle)))
        whole = self.whole(coarse.mean((2, 3)))[..., None, None]
        middle = middle + resize(self.up2(coarse + whole), _size(middle))
        return self.leave(fine + resize(self.up1(middle), _size(fine)))

    def _sharpen(
        self, scores: Tensor, hidden: Tensor, edge_read: Tensor, edges: Tensor
    ) -> Tensor:
        """Return scores (n, 1, 2 h, 2 w) at stride 2 of n colours that exist."""
        size = _size(edge_read)
        enlarged = resize(scores, size)
        local = [
            resize(self.to_edge(hidden), size),
            enlarged,
            edge_read[:, None],
            edges,
        ]
        return enlarged + self.edge2(F.gelu(self.edge1(torch.cat(local, dim=1))))


def _scatter(scores: Tensor, exists: Tensor) -> Tensor:
    """Put scores (n, h, w) where colours exist (B, R); the others never fit."""
    every = scores.new_full((*exists.shape, *_size(scores)), NEVER)
    return every.masked_scatter(exists[..., None, None], scores)


def _most_of_others(said: Tensor, exists: Tensor) -> Tensor:
    """Return, of each colour (dim 1), the most that is said of any other that exists.

    Nothing, which is 0, is said of others where a colour is alone.
    """
    if said.shape[1] == 1:
        return torch.zeros_like(said)
    missing = ~exists[..., None, None, None]
    two = said.masked_fill(missing, NEVER).topk(2, dim=1).values
    most = torch.where(said == two[:, :1], two[:, 1:2], two[:, :1])
    return most.masked_fill(most == NEVER, 0.0)


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (B, C, H, W) smoothly."""
    if _size(x) == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
