"""The parts of the ViT: patch embedding, attention with relative position, blocks.

Axes: B batch, K alternative sets of keys (one a prompt), N queries, M keys, D width,
C channels, h w rows and columns of the patch grid. "heads" and "d" split D.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

LAYER_NORM_EPS = 1e-6
# A bias of this many numbers stays in a processor's cache between being written
# and being read by the attention kernel: 1.6 times faster than all heads at once.
CPU_BIAS_NUMEL = 2_500_000
GPU_BIAS_NUMEL = 500_000_000


class PatchEmbed(nn.Module):
    """Embeds patches by one strided convolution."""

    def __init__(self, patch_size: int, in_channels: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dim, patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (B, C, H, W) to tokens (B, N, D) in raster order."""
        return self.proj(x).flatten(2).transpose(1, 2)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel over its channels."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Mlp(nn.Module):
    """The two-layer perceptron of a block, with exact GELU."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., D) to (..., D)."""
        return self.fc2(self.act(self.fc1(x)))


class DropPath(nn.Module):
    """Stochastic depth: in training, a sample's residual branch is left out."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """Zero (B, ...) for some of B and scale up the rest; identity in evaluation."""
        if not self.training or self.rate == 0.0:
            return x
        kept = 1.0 - self.rate
        shape = (x.shape[0],) + (1,) * (x.ndim - 1)
        return x * x.new_empty(shape).bernoulli_(kept) / kept


class Attention(nn.Module):
    """Multi-head attention with decomposed relative position.

    Queries may be given several alternative sets of keys. The results are averaged:
    this is the paper's feature ensemble (section 3.2). The mean is taken before the
    output projection, which is linear, so it is computed once and not K times.
    """

    def __init__(self, dim: int, num_heads: int, table_size: tuple[int, int]) -> None:
        super().__init__()
        self.num_heads = num_heads
        head_dim = dim // num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * table_size[0] - 1, head_dim))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * table_size[1] - 1, head_dim))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Project tokens (B, N, D) to queries, keys and values (B, heads, N, d)."""
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self._split_heads(q), self._split_heads(k), self._split_heads(v)

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, rows: Rows, key_rows: Rows
    ) -> Tensor:
        """Attend to each of K sets of keys, and average.

        Parameters
        ----------
        q : Tensor
            (B, heads, N, d); N is len(rows) * w.
        k, v : Tensor
            (B, K, heads, M, d); M is len(key_rows) * w.
        rows, key_rows : Rows
            Where the rows of queries and keys lie in the stitched picture.

        Returns
        -------
        Tensor
            (B, N, D), after the output projection.
        """
        bias_h, bias_w = self._relative_position(q, rows, key_rows)
        return self.proj(_attend(q, k, v, bias_h, bias_w))

    def _split_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def _relative_position(
        self, q: Tensor, rows: Rows, key_rows: Rows
    ) -> tuple[Tensor, Tensor]:
        # The bias uses the unscaled queries, as in MViTv2 and the official code.
        grid = q.unflatten(2, (len(rows), -1))  # (B, heads, rows, w, d)
        width = grid.shape[3]
        table_h = _resize_table(self.rel_pos_h, 2 * rows.height - 1)
        table_w = _resize_table(self.rel_pos_w, 2 * width - 1)
        columns = torch.arange(width, device=q.device)
        vertical = rows.index(q.device)[:, None] - key_rows.index(q.device)
        horizontal = columns[:, None] - columns
        bias_h = torch.einsum(
            "bnrcd,rkd->bnrck", grid, table_h[vertical + rows.height - 1]
        )
        bias_w = torch.einsum("bnrcd,ckd->bnrck", grid, table_w[horizontal + width - 1])
        return bias_h.flatten(2, 3), bias_w.flatten(2, 3)  # (B, heads, N, rows | w)


class Rows:
    """Which rows of a picture of `height` patch rows some tokens lie in."""

    def __init__(self, height: int, *ranges: range) -> None:
        self.height = height
        self.ranges = ranges

    def __len__(self) -> int:
        return sum(len(part) for part in self.ranges)

    def lowest(self) -> Rows:
        """Return the last row alone."""
        last = self.ranges[-1][-1]
        return Rows(self.height, range(last, last + 1))

    def index(self, device: torch.device) -> Tensor:
        """Return the rows as a tensor of integers."""
        return torch.cat([torch.tensor(list(r), device=device) for r in self.ranges])


def _resize_table(table: Tensor, length: int) -> Tensor:
    """Interpolate a table of relative positions (L, d) for another grid."""
    if table.shape[0] == length:
        return table
    resized = F.interpolate(table.T[None].float(), size=length, mode="linear")
    return resized[0].T.to(table.dtype)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias_h: Tensor, bias_w: Tensor) -> Tensor:
    """Attend from q (B, heads, N, d) to k, v (B, K, heads, M, d) and average over K.

    The bias of a query does not depend on the keys, so all K sets share it. It is
    made for a few heads at a time: written whole it would be 157 MB a picture.

    Returns
    -------
    Tensor
        (B, N, heads * d).
    """
    batch, heads, count = q.shape[:3]
    pairs = count * k.shape[3]
    limit = CPU_BIAS_NUMEL if q.device.type == "cpu" else GPU_BIAS_NUMEL
    if torch.is_grad_enabled() or batch * heads * pairs <= limit:
        return _attend_heads(q, k, v, bias_h, bias_w).transpose(1, 2).flatten(2)
    step = max(1, limit // pairs)
    out = q.new_empty(batch, count, heads, q.shape[3])
    for b in range(batch):
        one = slice(b, b + 1)
        for first in range(0, heads, step):
            part = slice(first, first + step)
            out[one, :, part] = _attend_heads(
                q[one, part], k[one, :, part], v[one, :, part],
                bias_h[one, part], bias_w[one, part],
            ).transpose(1, 2)  # fmt: skip
    return out.flatten(2)


def _attend_heads(
    q: Tensor, k: Tensor, v: Tensor, bias_h: Tensor, bias_w: Tensor
) -> Tensor:
    bias = (bias_h[..., :, None] + bias_w[..., None, :]).flatten(3).to(q.dtype)
    total = F.scaled_dot_product_attention(q, k[:, 0], v[:, 0], attn_mask=bias)
    for i in range(1, k.shape[1]):
        total = total + F.scaled_dot_product_attention(
            q, k[:, i], v[:, i], attn_mask=bias
        )
    return total / k.shape[1] if k.shape[1] > 1 else total


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float,
        table_size: tuple[int, int],
        drop_path: float,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = Attention(dim, num_heads, table_size)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values (B, heads, N, d) of tokens (B, N, D)."""
        return self.attn.project(self.norm1(x))

    def forward(
        self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, rows: Rows, key_rows: Rows
    ) -> Tensor:
        """Update tokens (B, N, D) by their queries; see `Attention.forward`."""
        x = x + self.drop_path(self.attn(q, k, v, rows, key_rows))
        return x + self.drop_path(self.mlp(self.norm2(x)))
