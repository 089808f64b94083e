"""SegGPT: prompts and query go through one ViT as separate tensors.

The published network stitches prompt and query into one picture and repeats the query
for every prompt. Here the query's tokens exist once, which is the same function: in the
feature ensemble they are equal for all prompts after every layer.

Axes: B batch of queries, K prompts of each, S streams (image and mask; one after the
merge), N tokens of one picture, D width, H W pixels, h w patches.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.model.config import STEM_STRIDE
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.layers import (
    LAYER_NORM_EPS,
    Block,
    LayerNorm2d,
    PatchEmbed,
)
from napari_seggpt.model.mixer import LevelSum, resize
from napari_seggpt.model.motion import small_grey
from napari_seggpt.model.painter import paint
from napari_seggpt.model.readout import Readout, Views, color_shares
from napari_seggpt.model.stem import PretrainedStem
from napari_seggpt.model.transformer import Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
            self.readout = Readout(config)
        else:
            self._build_painter(config)
        self._initialise()

    def _build_embedding(self, config: SegGPTConfig) -> None:
        dim, patch = config.embed_dim, config.patch_size
        if config.stem_widths:
            self.stem = PretrainedStem(config.stem_widths)
            self.neck = LevelSum(config.stem_widths, config.stem_dim)
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
        if self.pos_embed.is_meta:  # weights follow; there, torch loads its compiler
            return
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        for name, parameter in self.named_parameters():
            if "_token" in name:
                nn.init.normal_(parameter, std=0.02)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def with_weighing(self, weights: Mapping[str, Tensor] | None = None) -> Self:
        """Return this network with a weighing of its own in its readout.

        All else is shared, and prompts that one encoded the other can read.

        Parameters
        ----------
        weights : mapping of str to Tensor, optional
            By the names of `Readout.weighing`; without them those of this network.

        Raises
        ------
        ValueError
            If they are those of another readout.
        """
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other.readout = copy.deepcopy(self.readout)
        if weights is not None:
            own = {name: x.shape for name, x in self.readout.weighing().items()}
            if own != {name: x.shape for name, x in weights.items()}:
                raise ValueError(
                    "Expected the weighing of this network's readout, got another."
                )
            other.readout.load_state_dict(weights, strict=False)
        return other

    # -- geometry ----------------------------------------------------------------

    def _table_size(self) -> tuple[int, int]:
        rows, columns = self.config.grid
        return (rows if self.config.isolated_prompts else 2 * rows), columns

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

    @property
    def _transformer(self) -> Transformer:
        # A ModuleList does not tell the type of what it holds.
        blocks = cast("Sequence[Block]", self.blocks)
        return Transformer(config=self.config, blocks=blocks, norm=self.norm)

    # -- embedding ---------------------------------------------------------------

    def _embed(
        self,
        image: Tensor,
        colors: Tensor | None,
        seg_type: Tensor,
        position: Tensor,
        hidden: Tensor | None = None,
    ) -> Tensor:
        """Embed pictures (B, 3, H, W), or their stem's features, as (B, S, N, D).

        In the mask stream, patches without colours and those that are `hidden` (B, N)
        are the mask token.
        """
        x = self.patch_embed(image)
        if colors is None:
            y = self.mask_token[0].expand_as(x)
        else:
            embed = self.mask_embed if self.config.stem_widths else self.patch_embed
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
        return streams

    # -- what a readout sees -------------------------------------------------------

    def _stem_levels(self, image: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return the stem's levels of pictures, of them squeezed, and the joined."""
        size = self.config.view_size(image.shape[-2:])
        squeezed = F.interpolate(image, size=size, mode="bilinear", antialias=True)
        fine, whole = self.stem(image), self.stem(squeezed)
        grid = (size[0] // STEM_STRIDE, size[1] // STEM_STRIDE)
        return fine, whole, self.neck(whole, grid)

    def _views(
        self,
        image: Tensor,
        levels: tuple[list[Tensor], list[Tensor], Tensor],
        tokens: Tensor,
        grid: tuple[int, int],
    ) -> Views:
        fine, whole, stem = levels
        squares = tokens.transpose(1, 2).unflatten(2, grid)
        return Views(
            fine=fine,
            whole=whole,
            matched=self.readout.matched(stem, squares),
            grey=self._small_grey(image),
        )

    def _small_grey(self, image: Tensor) -> Tensor:
        return small_grey(image, self.config.view_size(image.shape[-2:]))

    # -- prompts -----------------------------------------------------------------

    def encode_prompts(
        self,
        images: Tensor,
        colors: Tensor,
        seg_type: Tensor,
        predicted: Tensor | None = None,
        *,
        palette: Tensor | None = None,
        known: Tensor | None = None,
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
        palette : Tensor, optional
            (B, R, 3), the normalised colours that the prompts are painted with, the
            background's first; NaN where a query has fewer. A readout needs it.
        known : Tensor, optional
            (B, K, H, W), 0 where the colours say nothing. Only a readout looks at it.

        Returns
        -------
        EncodedPrompts
            To be given to `forward` with any queries of the same H and W, or, with a
            readout, of any.

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
        types = seg_type[:, None].expand(images.shape[:2])
        if self.config.decoder == "readout":
            if palette is None:
                raise ValueError("Expected the colours of the prompts, got none.")
            return self._encode_reads(images, colors, types, predicted, palette, known)
        batch, grid = images.shape[:2], self._grid(images)
        position, _ = self._positions(grid)
        tokens = self._embed(
            images.flatten(0, 1), colors.flatten(0, 1), types.flatten(), position
        )
        if self.config.isolated_prompts:
            encoded, taps = self._transformer.encode_isolated(
                tokens, types.flatten(), grid
            )
            seam = torch.cat(taps, dim=-1)[:, -grid[1] :]
            encoded = replace(encoded, seam=seam)
        else:
            encoded = EncodedPrompts(grid=grid, seg_type=types.flatten(), tokens=tokens)
        return encoded.map(lambda x: x.unflatten(0, batch))

    def _encode_reads(
        self,
        images: Tensor,
        colors: Tensor,
        types: Tensor,
        predicted: Tensor | None,
        palette: Tensor,
        known: Tensor | None,
    ) -> EncodedPrompts:
        """Encode prompts for a readout; types and `predicted` are (B, K)."""
        batch = images.shape[:2]
        if predicted is None:
            predicted = torch.zeros(batch, dtype=torch.bool, device=images.device)
        image, painted = images.flatten(0, 1), colors.flatten(0, 1)
        palettes = palette[:, None].expand(-1, batch[1], -1, -1)
        shares = color_shares(painted, palettes.flatten(0, 1))
        levels = self._stem_levels(image)
        size = self.config.view_size(image.shape[-2:])
        grid = (size[0] // self.config.patch_size, size[1] // self.config.patch_size)
        position, _ = self._positions(grid)
        marks = predicted.flatten()[:, None, None] * self.memory_token[0]
        squeezed = F.interpolate(painted, size=size, mode="nearest-exact")
        tokens = self._embed(levels[2], squeezed, types.flatten(), position + marks)
        encoded, taps = self._transformer.encode_isolated(tokens, types.flatten(), grid)
        reads = self.readout.encode(
            self._views(image, levels, taps[-1], grid),
            shares,
            None if known is None else known.flatten(0, 1)[:, None].to(shares.dtype),
            predicted.flatten(),
        )
        encoded = replace(encoded, reads=reads, palette=palettes.flatten(0, 1))
        return encoded.map(lambda x: x.unflatten(0, batch))

    # -- query -------------------------------------------------------------------

    def forward(self, query: Tensor, prompts: EncodedPrompts) -> Tensor:
        """Predict the colours of queries (B, 3, H, W); the result has their shape.

        Several prompts make the paper's feature ensemble (section 3.2).

        Raises
        ------
        ValueError
            If the prompts are of other sides, or for another number of queries.
        """
        if self.config.decoder == "readout":
            shares = self.probabilities(query, prompts)
            assert prompts.palette is not None  # every readout keeps it
            colors = torch.nan_to_num(prompts.palette[:, 0])
            return torch.einsum("brhw,brc->bchw", shares, colors)
        return self.paint(query, prompts)

    def probabilities(self, query: Tensor, prompts: EncodedPrompts) -> Tensor:
        """Predict how likely each colour is, with a readout.

        Parameters
        ----------
        query : Tensor
            (B, 3, H, W).

        Returns
        -------
        Tensor
            (B, R, H, W), in the order of the prompts' palette.
        """
        scores = self.scores(query, prompts)[-1]
        return resize(scores, (query.shape[-2], query.shape[-1])).softmax(1)

    def paint(
        self,
        query: Tensor,
        prompts: EncodedPrompts,
        given: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Predict colours (B, 3, H, W) as published.

        For training with block masks, part of the query's colours may be `given`:
        colours (B, 3, H, W), and which patches (B, N) are hidden nevertheless.
        """
        grid = self._grid(query)
        prompts.check(batch=query.shape[0], grid=grid)
        _, position = self._positions(grid)
        colors, hidden = given or (None, None)
        tokens = self._embed(query, colors, prompts.seg_type[:, 0], position, hidden)
        taps, seam = self._transformer.run(tokens, prompts, grid)
        assert seam is not None  # every painting network encodes it
        read = torch.cat(taps, dim=-1)
        return paint(self.decoder_embed, self.decoder_pred, read, seam, grid)

    def scores(self, query: Tensor, prompts: EncodedPrompts) -> list[Tensor]:
        """Predict how well each colour fits queries (B, 3, H, W), with a readout.

        Returns
        -------
        list of Tensor
            Logarithms up to a constant, (B, R, h, w): of the reads that learn, and as
            weighed; the last is the finest. Colours that the palette lacks never fit.
        """
        assert prompts.reads is not None  # every readout encodes them
        assert prompts.palette is not None
        levels, size = self._stem_levels(query), self.config.view_size(query.shape[-2:])
        grid = (size[0] // self.config.patch_size, size[1] // self.config.patch_size)
        prompts.check(batch=query.shape[0], grid=grid)
        _, position = self._positions(grid)
        seg_type = prompts.seg_type[:, 0]
        tokens = self._embed(levels[2], None, seg_type, position)
        near, place = prompts.reads.nearest(
            self._small_grey(query), self.config.attended_prompts
        )
        taps, _ = self._transformer.run(tokens, prompts.attended(place), grid)
        views = self._views(query, levels, taps[-1], grid)
        exists = ~torch.isnan(prompts.palette[:, 0, :, 0])
        return self.readout.read(views, near, prompts.reads, seg_type, exists)

    def _grid(self, pictures: Tensor) -> tuple[int, int]:
        height, width = pictures.shape[-2:]
        patch = self.config.patch_size
        if height % patch or width % patch:
            raise ValueError(
                f"Expected sides that are multiples of {patch} px, "
                f"got {height} x {width}."
            )
        return height // patch, width // patch
