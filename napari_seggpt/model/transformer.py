"""The course of prompts and query through the transformer's blocks.

Axes: B batch of queries, K prompts of each, S streams (image and mask; one after the
merge), N tokens of one picture, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.layers import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.model.layers import Block


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformer:
    """The blocks of a network and their last norm; the network owns both.

    Attributes
    ----------
    config : SegGPTConfig
        Tells where streams merge, which blocks are read, and what attends to what.
    blocks : sequence of Block
        All of them.
    norm : LayerNorm
        Of what is read.
    """

    config: SegGPTConfig
    blocks: Sequence[Block]
    norm: nn.LayerNorm

    def encode_isolated(
        self, tokens: Tensor, seg_type: Tensor, grid: tuple[int, int]
    ) -> tuple[EncodedPrompts, list[Tensor]]:
        """Run prompts (B, S, N, D) through the blocks by themselves.

        The tensors of the result begin with B alone; the taps come with it.
        """
        rows, _ = self._rows(grid[0])
        keys, values, taps = [], [], []
        for index, block in enumerate(self.blocks):
            streams = tokens.shape[:2]
            flat = tokens.flatten(0, 1)
            q, k, v = block.project(flat)
            # Copies: as views of the whole projection they would keep the queries.
            keys.append(k.contiguous().unflatten(0, streams))
            values.append(v.contiguous().unflatten(0, streams))
            flat = block(flat, q, k[:, None], v[:, None], rows, rows)
            tokens = self._merge(flat.unflatten(0, streams), index)
            if index in self.config.tap_indices:
                taps.append(self.norm(tokens[:, 0]))
        encoded = EncodedPrompts(
            grid=grid, seg_type=seg_type, keys=tuple(keys), values=tuple(values)
        )
        return encoded, taps

    def run(
        self, query: Tensor, prompts: EncodedPrompts, grid: tuple[int, int]
    ) -> tuple[list[Tensor], Tensor | None]:
        """Run queries (B, S, N, D) through the blocks; return taps and seam.

        Isolated prompts offer the keys and values they were encoded to. Others are
        run along, since they attend to the query.
        """
        prompt_rows, query_rows = self._rows(grid[0])
        key_rows = Rows(query_rows.height, *prompt_rows.ranges, *query_rows.ranges)
        joint = None if prompts.tokens is None else prompts.tokens.transpose(1, 2)
        taps, seam = [], []
        for index, block in enumerate(self.blocks):
            streams = query.shape[:2]
            flat = query.flatten(0, 1)
            q, own_k, own_v = block.project(flat)
            if joint is None:
                k, v = (
                    x[index].transpose(1, 2) for x in (prompts.keys, prompts.values)
                )
            else:
                joint_q, k, v = _project_all(block, joint)
            k, v = _append(k.flatten(0, 1), own_k), _append(v.flatten(0, 1), own_v)
            query = block(flat, q, k, v, query_rows, key_rows).unflatten(0, streams)
            query = self._merge(query, index)
            if joint is not None:
                if index == self.config.depth - 1:
                    # Of the prompts, only the seam row of the first is still needed.
                    prompt_rows, joint, joint_q, k, v = (
                        prompt_rows.lowest(),
                        joint[:, :, :1, -grid[1] :],
                        joint_q[:, :, :1, :, -grid[1] :],
                        k[:, :1],
                        v[:, :1],
                    )
                joint = _update_all(block, joint, joint_q, k, v, prompt_rows, key_rows)
                joint = self._merge(joint, index)
            if index in self.config.tap_indices:
                taps.append(self.norm(query[:, 0]))
                if joint is not None:
                    seam.append(self.norm(joint[:, 0, 0, -grid[1] :]))
        if joint is None:
            return taps, None if prompts.seam is None else prompts.seam[:, 0]
        return taps, torch.cat(seam, dim=-1)

    def _merge(self, tokens: Tensor, index: int) -> Tensor:
        """Average the streams (B, S, ...) after the merge block."""
        if index != self.config.merge_index:
            return tokens
        return tokens.mean(1, keepdim=True)

    def _rows(self, rows: int) -> tuple[Rows, Rows]:
        """Where a prompt's rows and the query's rows lie.

        Stitched as published, the query lies below the prompt. Isolated prompts lie
        where the query lies, so that equal places have equal positions.
        """
        if self.config.isolated_prompts:
            return Rows(rows, range(rows)), Rows(rows, range(rows))
        top, bottom = range(rows), range(rows, 2 * rows)
        return Rows(2 * rows, top), Rows(2 * rows, bottom)


def _project_all(block: Block, prompt: Tensor) -> list[Tensor]:
    """Project prompts (B, S, K, N, D) to q, k and v (B, S, K, heads, N, d)."""
    parts = block.project(prompt.flatten(0, 2))
    return [part.unflatten(0, prompt.shape[:3]) for part in parts]


def _update_all(
    block: Block,
    prompt: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    rows: Rows,
    key_rows: Rows,
) -> Tensor:
    """Update prompts (B, S, K, N, D) from their keys (B * S, K, heads, M, d)."""
    own_k, own_v = k.flatten(0, 1)[:, None], v.flatten(0, 1)[:, None]
    updated = block(prompt.flatten(0, 2), q.flatten(0, 2), own_k, own_v, rows, key_rows)
    return updated.unflatten(0, prompt.shape[:3])


def _append(x: Tensor, own: Tensor) -> Tensor:
    """Append the query's own keys (B, heads, N, d) to those of each of K prompts."""
    shape = (-1, x.shape[1], -1, -1, -1)
    return torch.cat([x, own[:, None].expand(shape)], dim=3)
