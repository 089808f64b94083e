"""EncodedPrompts: all that the network keeps of prompts.

Axes: B batch of queries, K prompts of each, S streams, N tokens of one picture,
D width, M pixels that are matched, R colours.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from napari_seggpt.model.linear import PixelSums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


HINT_SHARE = 0.9  # of the pixels are known of a prompt that is more than a hint
LAST = 10.0  # added to a difference of pictures, which is at most 1
NEVER = -1e6  # a score beside which those of pictures are nothing
COARSE, LABEL_SIDE = 16, 64  # pixels a side, by which pictures and labels are compared
LEAST_GUIDANCE = 0.3  # of likeness, where it says nothing of labels
FULL_GAIN = 0.14  # of Dice by likeness; with it, likeness is followed all the way


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadPrompts:
    """What prompts offer to be read by a readout; every tensor begins with (B, K).

    Attributes
    ----------
    keys, values : Tensor
        (B, K, M, match_dim), for attention.
    fine, whole : PixelSums
        For the two linear reads: of pictures at full resolution, and at a glance.
    grey, shares : Tensor
        (B, K, 1, h, w) and (B, K, R, h, w), small pictures and their colours' shares,
        for motion.
    predicted : Tensor
        (B, K), 1 where the colours are the network's own.
    known : Tensor
        (B, K), the share of the pixels of which somebody said what they are.
    """

    keys: Tensor
    values: Tensor
    fine: PixelSums
    whole: PixelSums
    grey: Tensor
    shares: Tensor
    predicted: Tensor
    known: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> ReadPrompts:
        """Apply a function to every tensor."""
        return _join(self, [self], lambda xs: function(xs[0]))

    def nearest(self, grey: Tensor, count: int) -> tuple[ReadPrompts, Tensor]:
        """Return the prompts most like queries `grey` (B, 1, h, w), and their places.

        The most alike comes first; at most `count` are kept. Where there are others,
        at most half of them are hints: these hardly show what is background.
        """
        apart = self._apart(grey)
        apart = apart + LAST * self._is_hint_too_many(apart, count // 2)
        place = apart.argsort(dim=1, stable=True)[:, :count]
        return self.map(lambda x: take(x, place)), place

    def likeness(self, grey: Tensor, sharpness: Tensor) -> Tensor:
        """Weigh prompts (B, K) by how like they are to queries `grey` (B, 1, h, w).

        Of references, of hints and of predicted frames each, those that are most alike
        count most; what each of these kinds counts together is left as it is, so that a
        neighbour with a few strokes does not outweigh what was labelled whole. The
        weights of a kind have a mean of one, and fall with the `sharpness`, as far as
        the references show that likeness matters.
        """
        sharpness = (sharpness * self._guidance(sharpness))[:, None]
        score = -sharpness * self._apart(grey)
        weight = torch.zeros_like(score)
        for of_kind in self._kinds():
            share = score.masked_fill(~of_kind, NEVER).softmax(1)
            number = of_kind.sum(1, keepdim=True)
            weight = torch.where(of_kind, share * number, weight)
        return weight

    def _guidance(self, sharpness: Tensor) -> Tensor:
        """Return how far (B,) likeness is followed, from what references say.

        Slices of an organ that look alike have their labels at the same place; images
        of cells that look alike do not, and there all teach more than the most alike.
        So it counts how much better a reference agrees with those like it than with
        all. Where there is no difference, likeness still counts a little.
        """
        whole, _, _ = self._kinds()
        is_pair = whole[:, :, None] & whole[:, None]
        is_pair = is_pair & ~torch.eye(whole.shape[1], dtype=torch.bool).to(whole)
        small = _coarse(self.grey)
        apart = (small[:, :, None] - small[:, None]).abs().mean(3)
        like = (-sharpness * apart).masked_fill(~is_pair, NEVER).softmax(2)
        even = is_pair / is_pair.sum(2, keepdim=True).clamp(min=1)
        better = ((like - even) * self._agreement() * is_pair).sum(2)
        counted = is_pair.any(2)
        gain = (better * counted).sum(1) / counted.sum(1).clamp(min=1)
        return (LEAST_GUIDANCE + gain / FULL_GAIN).clamp(LEAST_GUIDANCE, 1.0)

    def _agreement(self) -> Tensor:
        """Return the Dice (B, K, K) of labels with those of each other prompt."""
        shares = F.adaptive_avg_pool2d(self.shares.flatten(0, 1), LABEL_SIDE)
        shares = shares.unflatten(0, self.shares.shape[:2])[:, :, 1:].flatten(3)
        size = shares.square().sum(3).mT  # (B, R, K)
        together = torch.einsum("bkrp,blrp->brkl", shares, shares)
        total = size[..., None] + size[:, :, None]
        is_shown = total > 0
        dice = 2 * together / total.clamp(min=1e-6)
        return (dice * is_shown).sum(1) / is_shown.sum(1).clamp(min=1)

    def _apart(self, grey: Tensor) -> Tensor:
        """Return how far (B, K) the pictures are from queries `grey` (B, 1, h, w).

        The mean difference of coarse grey values, which are 0 to 1.
        """
        return (_coarse(self.grey) - _coarse(grey[:, None])).abs().mean(2)

    def _kinds(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return which prompts (B, K) are references, hints and predicted frames."""
        is_predicted, is_hint = self.predicted > 0, self.known < HINT_SHARE
        whole = ~is_predicted & ~is_hint
        return whole, ~is_predicted & is_hint, is_predicted

    def _is_hint_too_many(self, apart: Tensor, most: int) -> Tensor:
        """Return which prompts (B, K) are hints, and so many hints are more alike."""
        is_hint = self.known < HINT_SHARE
        closer = apart[:, None] < apart[:, :, None]  # (B, K, K): j than i
        return is_hint & ((closer & is_hint[:, None]).sum(2) >= most)


def _coarse(grey: Tensor) -> Tensor:
    """Return coarse grey values (B, K, n) of pictures (B, K, 1, h, w)."""
    small = F.adaptive_avg_pool2d(grey.flatten(0, 1), COARSE)
    return small.flatten(1).unflatten(0, grey.shape[:2])


def take(x: Tensor, place: Tensor) -> Tensor:
    """Take of (B, K, ...) the prompts at places (B, k)."""
    index = place.view(*place.shape, *[1] * (x.ndim - 2))
    return torch.take_along_dim(x, index, dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompts:
    """All that the network keeps of prompts, ready for any number of queries.

    Every tensor begins with (B, K). Which of them exist depends on the config:
    with isolated prompts the keys and values of all blocks, else the embeddings.

    Attributes
    ----------
    grid : tuple of int
        Rows and columns of patches of each prompt.
    seg_type : Tensor
        (B, K), 0 for semantic and 1 for instance.
    tokens : Tensor or None
        (B, K, S, N, D), embeddings of prompts that attend to the query.
    keys, values : tuple of Tensor
        Of each block, (B, K, S, heads, N, d), of isolated prompts.
    seam : Tensor or None
        (B, K, w, taps * D), the taps of the lowest patch row of isolated prompts.
    palette : Tensor or None
        (B, K, R, 3), the colours that a readout chooses from, normalised; NaN where a
        query has fewer.
    reads : ReadPrompts or None
        What a readout reads.
    """

    grid: tuple[int, int]
    seg_type: Tensor
    tokens: Tensor | None = None
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()
    seam: Tensor | None = None
    palette: Tensor | None = None
    reads: ReadPrompts | None = None

    @property
    def num_prompts(self) -> int:
        """K, the number of prompts of each query."""
        return self.seg_type.shape[1]

    def check(self, *, batch: int, grid: tuple[int, int]) -> None:
        """Raise ValueError unless these prompts belong to such queries."""
        if self.grid != grid:
            raise ValueError(
                f"Expected prompts of the query's {grid[0]} x {grid[1]} patches, "
                f"got {self.grid[0]} x {self.grid[1]}."
            )
        if self.seg_type.shape[0] != batch:
            raise ValueError(
                f"Expected prompts for {batch} queries, got {self.seg_type.shape[0]}."
            )

    def select(self, prompts: Sequence[int]) -> EncodedPrompts:
        """Keep the prompts with these indices, in this order."""
        chosen = list(prompts)
        return self.map(lambda x: x[:, chosen])

    def attended(self, place: Tensor) -> EncodedPrompts:
        """Keep the keys and values of the prompts at places (B, k)."""
        if place.shape[1] == 1 == self.num_prompts:
            return self
        return replace(
            self,
            keys=tuple(take(x, place) for x in self.keys),
            values=tuple(take(x, place) for x in self.values),
        )

    def expand(self, batch: int) -> EncodedPrompts:
        """Offer the same prompts (B is 1) to a batch of queries, without a copy."""
        return self.map(lambda x: x.expand(batch, *x.shape[1:]))

    @staticmethod
    def join(parts: Sequence[EncodedPrompts], *, dim: int = 1) -> EncodedPrompts:
        """Join prompts: of one query (dim 1), or those of several queries (dim 0)."""
        return _combine(parts, lambda xs: torch.cat(xs, dim=dim))

    def map(self, function: Callable[[Tensor], Tensor]) -> EncodedPrompts:
        """Apply a function to every tensor there is."""
        return _combine([self], lambda xs: function(xs[0]))


def _combine(
    parts: Sequence[EncodedPrompts], function: Callable[[list[Tensor]], Tensor]
) -> EncodedPrompts:
    grids = {part.grid for part in parts}
    if len(grids) != 1:
        raise ValueError(f"Expected prompts of one size, got grids {sorted(grids)}.")
    return _join(parts[0], parts, function)


def _join(
    first: Any, parts: Sequence[Any], function: Callable[[list[Tensor]], Tensor]
) -> Any:
    """Apply a function to the tensors of equal place, and rebuild what holds them."""
    if isinstance(first, torch.Tensor):
        return function(list(parts))
    if isinstance(first, (EncodedPrompts, ReadPrompts, PixelSums)):
        joined = {
            name: _join(
                getattr(first, name), [getattr(x, name) for x in parts], function
            )
            for name in (field.name for field in fields(first))
        }
        return type(first)(**joined)
    if isinstance(first, tuple) and first and isinstance(first[0], torch.Tensor):
        return tuple(function(list(xs)) for xs in zip(*parts, strict=True))
    return first  # the grid, or nothing
