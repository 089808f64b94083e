"""EncodedPrompts: all that the network keeps of prompts.

Axes: B batch of queries, K prompts of each, S streams, N tokens of one picture,
D width, M fine pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


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
    match_keys, match_values : Tensor or None
        (B, K, M, match_dim), for the colour readout.
    """

    grid: tuple[int, int]
    seg_type: Tensor
    tokens: Tensor | None = None
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()
    seam: Tensor | None = None
    match_keys: Tensor | None = None
    match_values: Tensor | None = None

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

    def combine(values: list[Any]) -> Any:
        if isinstance(values[0], tuple):
            return tuple(function(list(xs)) for xs in zip(*values, strict=True))
        return None if values[0] is None else function(values)

    names = [field.name for field in fields(EncodedPrompts) if field.name != "grid"]
    combined = {
        name: combine([getattr(part, name) for part in parts]) for name in names
    }
    return EncodedPrompts(grid=grids.pop(), **combined)
