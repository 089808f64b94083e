"""The colour readout: a decoder that copies the colours of matching prompt pixels.

A small network learns to copy colours an order of magnitude sooner than to paint
them. Every fine query pixel attends to the fine pixels of all prompts; the values
are the prompts' colours themselves. What was read is then refined and upsampled
with the query's own features, so that edges follow the image.

What is matched is features, place and trust: the query says of each pixel how much
it matters that the colour comes from the same place, and a prompt says of each pixel
how far it is to be trusted. Both are a few more numbers in the dot product.

Axes: B batch, K prompts, C channels, M fine pixels (stride 4) of one picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from napari_seggpt.model.layers import LayerNorm2d

if TYPE_CHECKING:
    from torch import Tensor

    from napari_seggpt.model.config import SegGPTConfig

STEM_STRIDE = 4
NEIGHBOURS = 9  # a 3 x 3 window
COLOR_DIM, PLACE_DIM, TRUST_DIM = 3, 3, 1
LARGEST_LOG_NEARNESS = 5.0  # then a colour comes from a tenth of a side away at most


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


class ConvStem(nn.Sequential):
    """Fine image features at stride 4: (B, 3, H, W) to (B, C, H/4, W/4)."""

    def __init__(self, channels: int) -> None:
        half = channels // 2
        super().__init__(
            nn.Conv2d(3, half, 3, stride=2, padding=1),
            LayerNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, channels, 3, stride=2, padding=1),
            ResidualConv(channels),
        )


class ReadoutDecoder(nn.Module):
    """Reads the prompts' colours by matching fine features, and refines them."""

    def __init__(self, config: SegGPTConfig) -> None:
        super().__init__()
        channels = config.stem_dim
        self.match_dim = config.match_dim
        self.from_tokens = nn.Linear(config.embed_dim, channels)
        self.fuse = ResidualConv(channels)
        self.norm = LayerNorm2d(channels)
        features = config.match_dim - PLACE_DIM - TRUST_DIM
        self.match = nn.Conv2d(channels, features, 1)
        self.nearness = nn.Conv2d(channels, 1, 1)
        self.trust = nn.Conv2d(channels, 1, 1)
        self.value = nn.Conv2d(channels, config.match_dim - COLOR_DIM, 1)
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())
        self.refine = nn.Sequential(
            nn.Conv2d(channels + config.match_dim, config.decoder_dim, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(config.decoder_dim, config.decoder_dim, 3, padding=1),
            nn.GELU(),
        )
        self.correction = nn.Conv2d(config.decoder_dim, 3, 1)
        self.blend = nn.Conv2d(config.decoder_dim, NEIGHBOURS * STEM_STRIDE**2, 1)
        for last in (self.correction, self.blend, self.nearness, self.trust):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def fine_features(self, stem: Tensor, tokens: Tensor) -> Tensor:
        """Join stem features (B, C, H/4, W/4) and normalised tokens (B, D, h, w)."""
        context = self.from_tokens(tokens.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        size = stem.shape[-2:]
        context = F.interpolate(context, size=size, mode="bilinear")
        return self.norm(self.fuse(stem + context))

    def keys_values(self, fine: Tensor, colors: Tensor) -> tuple[Tensor, Tensor]:
        """Make what a prompt offers to be read.

        Parameters
        ----------
        fine : Tensor
            (B, C, H/4, W/4), the prompt's fine features.
        colors : Tensor
            (B, 3, H, W), its colours.

        Returns
        -------
        tuple of Tensor
            Keys and values, both (B, M, match_dim); the first three of a value are
            the mean colour of the fine pixel.
        """
        coarse = F.avg_pool2d(colors, STEM_STRIDE)
        values = torch.cat([coarse, self.value(fine)], dim=1)
        x, y = _coordinates(fine)
        place = torch.stack([x, y, x**2 + y**2], dim=1).expand(len(fine), -1, -1, -1)
        keys = torch.cat([self._features(fine), place, self.trust(fine)], dim=1)
        return _as_sequence(keys), _as_sequence(values)

    def read(self, fine: Tensor, keys: Tensor, values: Tensor) -> list[Tensor]:
        """Read colours for the query.

        Parameters
        ----------
        fine : Tensor
            (B, C, H/4, W/4), the query's fine features.
        keys, values : Tensor
            (B, K, M, match_dim), of all prompts.

        Returns
        -------
        list of Tensor
            The colours as read (B, 3, H/4, W/4) and as refined (B, 3, H, W).
        """
        query = _as_sequence(self._query(fine))
        read = F.scaled_dot_product_attention(
            query[:, None], keys.flatten(1, 2)[:, None], values.flatten(1, 2)[:, None],
            scale=1.0,
        )[:, 0]  # fmt: skip
        read = read.transpose(1, 2).unflatten(2, fine.shape[-2:])
        hidden = self.refine(torch.cat([fine, read], dim=1))
        colors = read[:, :3] + self.correction(hidden)
        return [read[:, :3], self._upsample(colors, self.blend(hidden))]

    def _features(self, fine: Tensor) -> Tensor:
        return F.normalize(self.match(fine), dim=1)

    def _query(self, fine: Tensor) -> Tensor:
        """Make what the keys are multiplied with.

        With s the nearness and p places, s * (2 p_query p_key - |p_key|^2) is
        -s * |p_query - p_key|^2 but for what all keys have in common.
        """
        scale = self.log_scale.exp().clamp(max=100.0).to(fine.dtype)
        near = self.nearness(fine).clamp(max=LARGEST_LOG_NEARNESS).exp()
        x, y = _coordinates(fine)
        place = [2 * near * x, 2 * near * y, -near]
        return torch.cat(
            [scale * self._features(fine), *place, torch.ones_like(near)], dim=1
        )

    def _upsample(self, colors: Tensor, blend: Tensor) -> Tensor:
        """Blend, for each output pixel, the colours of 3 x 3 fine pixels."""
        height, width = colors.shape[-2:]
        padded = torch.cat([colors[:, :, :1], colors, colors[:, :, -1:]], dim=2)
        padded = torch.cat([padded[..., :1], padded, padded[..., -1:]], dim=3)
        windows = F.unfold(padded, 3).unflatten(1, (3, NEIGHBOURS, 1))
        weights = blend.flatten(2).unflatten(1, (1, NEIGHBOURS, -1)).softmax(dim=2)
        pixels = (windows * weights).sum(2)  # (B, 3, 16, H/4 * W/4)
        pixels = pixels.flatten(1, 2).unflatten(2, (height, width))
        return F.pixel_shuffle(pixels, STEM_STRIDE)


def _coordinates(fine: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (1, H, W) of fine pixels, -1 to 1 across either side."""
    axes = []
    for size in fine.shape[-2:]:
        steps = torch.arange(size, device=fine.device, dtype=fine.dtype)
        axes.append((2 * steps + 1) / size - 1)
    y, x = torch.meshgrid(*axes, indexing="ij")
    return x[None], y[None]


def _as_sequence(pictures: Tensor) -> Tensor:
    """Reshape (B, C, H, W) to (B, M, C).

    The channels lie together in memory, without which attention takes a kernel that
    is five times slower.
    """
    return pictures.flatten(2).transpose(1, 2).contiguous()
