"""SegGPT: prompts and query go through one ViT as separate tensors.

The published network stitches prompt and query into one picture and repeats the query
for every prompt. Here the query's tokens exist once, which is the same function: in the
feature ensemble they are equal for all prompts after every layer.

Axes: B batch of queries, K prompts of each, S streams (image and mask; one after the
merge), N tokens of one picture, D width, H W pixels, h w patches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.layers import (
    LAYER_NORM_EPS,
    Block,
    LayerNorm2d,
    PatchEmbed,
    Rows,
)
from napari_seggpt.model.painter import paint
from napari_seggpt.model.readout import STEM_STRIDE, ConvStem, ReadoutDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from napari_seggpt.model.config import SegGPTConfig

SEMANTIC, INSTANCE = 0, 1  # the paper's two type embeddings, by number
SEG_TYPES = {"semantic": SEMANTIC, "instance": INSTANCE}


class SegGPT(nn.Module):
    """The network of the paper, and with other configs our own of the same kind.

    Parameter names are those of the official checkpoint.
    """

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embed_dim
        self._build_embedding(config)
        self.blocks = nn.ModuleList(
            Block(dim, config.num_heads, config.mlp_ratio, self._table_size(), rate)
            for rate in np.linspace(0.0, config.drop_path, config.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        if config.decoder == "readout":
            self.readout = ReadoutDecoder(config)
        else:
            self._build_painter(config)
        self._initialise()

    def _build_embedding(self, config: SegGPTConfig) -> None:
        dim, patch = config.embed_dim, config.patch_size
        if config.stem_dim:
            self.stem = ConvStem(config.stem_dim)
            self.patch_embed = PatchEmbed(patch // STEM_STRIDE, config.stem_dim, dim)
            self.mask_embed = PatchEmbed(patch, 3, dim)
        else:
            self.patch_embed = PatchEmbed(patch, 3, dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_x = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.segment_token_y = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_cls = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.type_token_ins = nn.Parameter(torch.zeros(1, 1, 1, dim))
        if config.decoder == "readout":
            self.memory_token = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, config.pretrain_grid**2 + 1, dim))

    def _build_painter(self, config: SegGPTConfig) -> None:
        taps, width = len(config.tap_indices), config.decoder_dim
        self.decoder_embed = nn.Linear(
            taps * config.embed_dim, config.patch_size**2 * width
        )
        self.decoder_pred = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            LayerNorm2d(width),
            nn.GELU(),
            nn.Conv2d(width, 3, 1),
        )

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if "_token" in name:
                nn.init.normal_(parameter, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    # -- geometry ----------------------------------------------------------------

    def _table_size(self) -> tuple[int, int]:
        rows, columns = self.config.grid
        return (rows if self.config.isolated_prompts else 2 * rows), columns

    def _rows(self, rows: int) -> tuple[Rows, Rows]:
        """Where a prompt's rows and the query's rows lie.

        Stitched as published, the query lies below the prompt. Isolated prompts lie
        where the query lies, so that equal places have equal positions.
        """
        if self.config.isolated_prompts:
            return Rows(rows, range(rows)), Rows(rows, range(rows))
        top, bottom = range(rows), range(rows, 2 * rows)
        return Rows(2 * rows, top), Rows(2 * rows, bottom)

    def _positions(self, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Absolute positions (N, D) of prompt tokens and of query tokens."""
        rows, columns = grid
        side = self.config.pretrain_grid
        table = self.pos_embed[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        height = rows if self.config.isolated_prompts else 2 * rows
        if (height, columns) != (side, side):
            table = F.interpolate(table, size=(height, columns), mode="bicubic")
        table = table[0].permute(1, 2, 0)  # (height, columns, D)
        return table[:rows].flatten(0, 1), table[-rows:].flatten(0, 1)

    # -- embedding ---------------------------------------------------------------

    def _embed(
        self,
        image: Tensor,
        colors: Tensor | None,
        seg_type: Tensor,
        position: Tensor,
        hidden: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Embed pictures (B, 3, H, W) as tokens (B, S, N, D), and their stem.

        In the mask stream, patches without colours and those that are `hidden` (B, N)
        are the mask token.
        """
        stem = self.stem(image) if self.config.stem_dim else None
        x = self.patch_embed(image if stem is None else stem)
        if colors is None:
            y = self.mask_token[0].expand_as(x)
        else:
            embed = self.mask_embed if self.config.stem_dim else self.patch_embed
            y = embed(colors)
        if hidden is not None:
            y = torch.where(hidden[..., None], self.mask_token[0], y)
        types = torch.cat([self.type_token_cls, self.type_token_ins])[:, 0, 0]
        common = position + types[seg_type][:, None]  # (B, N, D)
        x = x + self.segment_token_x[0] + common
        y = y + self.segment_token_y[0] + common
        streams = torch.stack([x, y], dim=1)
        if self.config.merge_index < 0:
            streams = streams.mean(1, keepdim=True)
        return streams, stem

    # -- prompts -----------------------------------------------------------------

    def encode_prompts(
        self,
        images: Tensor,
        colors: Tensor,
        seg_type: Tensor,
        predicted: Tensor | None = None,
    ) -> EncodedPrompts:
        """Encode K prompts for each of B queries.

        Parameters
        ----------
        images, colors : Tensor
            (B, K, 3, H, W), normalised; H and W are multiples of the patch size.
        seg_type : Tensor
            (B,), 0 for semantic and 1 for instance.
        predicted : Tensor, optional
            (B, K), true where the colours are the network's own prediction. A network
            with a readout has learned to trust those less; others see no difference.

        Returns
        -------
        EncodedPrompts
            To be given to `forward` with any queries of the same H and W.

        Raises
        ------
        ValueError
            If shapes do not belong together, or sides are no multiples of the patch.
        """
        if images.shape != colors.shape or 0 in images.shape:
            raise ValueError(
                "Expected images and colours (B, K, 3, H, W) of one shape, "
                f"got {tuple(images.shape)} and {tuple(colors.shape)}."
            )
        batch = images.shape[:2]
        grid = self._grid(images)
        position, _ = self._positions(grid)
        types = seg_type[:, None].expand(batch).flatten()
        flat_colors = colors.flatten(0, 1)
        if predicted is not None and self.config.decoder == "readout":
            marks = predicted.flatten()[:, None, None] * self.memory_token[0]
            position = position + marks  # (B * K, N, D)
        tokens, stem = self._embed(images.flatten(0, 1), flat_colors, types, position)
        if self.config.isolated_prompts:
            encoded = self._encode_isolated(tokens, stem, flat_colors, types, grid)
        else:
            encoded = EncodedPrompts(grid=grid, seg_type=types, tokens=tokens)
        return encoded.map(lambda x: x.unflatten(0, batch))

    def _encode_isolated(
        self,
        tokens: Tensor,
        stem: Tensor | None,
        colors: Tensor,
        seg_type: Tensor,
        grid: tuple[int, int],
    ) -> EncodedPrompts:
        """Run prompts (B, S, N, D) through the blocks by themselves.

        The tensors of the result begin with B alone.
        """
        rows, _ = self._rows(grid[0])
        keys, values, taps = [], [], []
        for index, block in self._numbered_blocks():
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
        if self.config.decoder == "paint":
            return replace(encoded, seam=torch.cat(taps, dim=-1)[:, -grid[1] :])
        fine = self._fine(stem, taps[-1], grid)
        match_keys, match_values = self.readout.keys_values(fine, colors)
        return replace(encoded, match_keys=match_keys, match_values=match_values)

    # -- query -------------------------------------------------------------------

    def forward(self, query: Tensor, prompts: EncodedPrompts) -> Tensor:
        """Predict the colours of queries (B, 3, H, W); the result has their shape.

        Several prompts make the paper's feature ensemble (section 3.2).

        Raises
        ------
        ValueError
            If the prompts are of other sides, or for another number of queries.
        """
        return self.stages(query, prompts)[-1]

    def stages(
        self,
        query: Tensor,
        prompts: EncodedPrompts,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> list[Tensor]:
        """Predict as `forward` does, and keep the coarser colours before the last.

        The loss of the readout is taken on each of them. For training with block
        masks, part of the query's colours may be `given`: colours (B, 3, H, W), and
        which patches (B, N) are hidden nevertheless.
        """
        grid = self._grid(query)
        prompts.check(batch=query.shape[0], grid=grid)
        _, position = self._positions(grid)
        colors, hidden = given or (None, None)
        tokens, stem = self._embed(
            query, colors, prompts.seg_type[:, 0], position, hidden
        )
        taps, seam = self._run(tokens, prompts, grid)
        if self.config.decoder == "paint":
            assert seam is not None  # every painting network encodes it
            read = torch.cat(taps, dim=-1)
            return [paint(self.decoder_embed, self.decoder_pred, read, seam, grid)]
        assert prompts.match_keys is not None  # every readout encodes them
        assert prompts.match_values is not None
        fine = self._fine(stem, taps[-1], grid)
        return self.readout.read(fine, prompts.match_keys, prompts.match_values)

    def _run(
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
        for index, block in self._numbered_blocks():
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

    # -- decoding ----------------------------------------------------------------

    def _fine(
        self, stem: Tensor | None, tokens: Tensor, grid: tuple[int, int]
    ) -> Tensor:
        assert stem is not None  # the config demands a stem of every readout
        return self.readout.fine_features(
            stem, tokens.transpose(1, 2).unflatten(2, grid)
        )

    def _numbered_blocks(self) -> Iterator[tuple[int, Block]]:
        # A ModuleList does not tell the type of what it holds.
        yield from enumerate(cast("Iterable[Block]", self.blocks))

    def _grid(self, pictures: Tensor) -> tuple[int, int]:
        height, width = pictures.shape[-2:]
        patch = self.config.patch_size
        if height % patch or width % patch:
            raise ValueError(
                f"Expected sides that are multiples of {patch} px, "
                f"got {height} x {width}."
            )
        return height // patch, width // patch


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
