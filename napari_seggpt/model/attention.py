"""The attention read: colours copied from the prompts' matching pixels.

Every pixel of the query attends to pixels of the prompts; the values are indicators of
the prompts' colours. What is matched is features, place and trust: the query says of
each pixel how much it matters that the colour comes from the same place, and a prompt
says of each pixel how far it is to be trusted. Both are a few more numbers in the dot
product.

Axes: B batch, K prompts, R colours, C channels, M pixels (stride 4) of one picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor

PLACE_DIM, TRUST_DIM = 3, 1
LARGEST_LOG_NEARNESS = 5.0  # then a colour comes from a tenth of a side away at most
UNKNOWN = -1e4  # the trust of a pixel of which nobody said what it is
MAX_PICTURES = 2  # so many prompts are read whole; the keys of more are thinned


class AttentionRead(nn.Module):
    """Matches pixels; `match_dim` is the length of keys and of values."""

    def __init__(self, channels: int, match_dim: int) -> None:
        super().__init__()
        self.match_dim = match_dim
        self.match = nn.Conv2d(channels, match_dim - PLACE_DIM - TRUST_DIM, 1)
        self.nearness = nn.Conv2d(channels, 1, 1)
        self.trust = nn.Conv2d(channels, 1, 1)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        for last in (self.nearness, self.trust):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def keys(self, fine: Tensor, known: Tensor | None = None) -> Tensor:
        """Make the keys (B, M, match_dim) of a prompt with features (B, C, h, w).

        Pixels that are not `known` (B, 1, h, w) are never copied.
        """
        with _exactly(fine):
            fine = fine.float()
            x, y = _coordinates(fine)
            place = torch.stack([x, y, x**2 + y**2], dim=1)
            trust = self.trust(fine)
            if known is not None:
                trust = torch.where(known > 0, trust, UNKNOWN)
            place = place.expand(len(fine), -1, -1, -1)
            return _as_sequence(torch.cat([self._features(fine), place, trust], dim=1))

    def values(self, shares: Tensor) -> Tensor:
        """Make the values (B, M, match_dim) of the colours' shares (B, R, h, w).

        They are padded to the length of the keys, for which attention is fastest.
        """
        missing = self.match_dim - shares.shape[1]
        if missing < 0:
            raise ValueError(
                f"Expected at most {self.match_dim} colours, got {shares.shape[1]}."
            )
        return _as_sequence(F.pad(shares.float(), (0, 0, 0, 0, 0, missing)))

    def read(self, fine: Tensor, keys: Tensor, values: Tensor, colors: int) -> Tensor:
        """Return the colours' shares (B, R, h, w) as they are read for the query.

        Parameters
        ----------
        fine : Tensor
            (B, C, h, w), the query's features.
        keys, values : Tensor
            (B, K, M, match_dim), of all prompts.
        colors : int
            R.
        """
        keys, values = (_thin(x) for x in (keys, values))
        with _exactly(fine):
            read = F.scaled_dot_product_attention(
                _as_sequence(self._query(fine.float()))[:, None],
                keys[:, None],
                values[:, None],
                scale=1.0,
            )[:, 0]
        shares = read[..., :colors].transpose(1, 2)
        return shares.unflatten(2, (fine.shape[-2], fine.shape[-1]))

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


def _exactly(like: Tensor) -> torch.autocast:
    """Compute in float32: half precision cannot tell keys apart that are alike."""
    return torch.autocast(like.device.type, enabled=False)


def _thin(offered: Tensor) -> Tensor:
    """Join what K prompts offer (B, K, M, d), of each an even part if they are many.

    So many prompts cost no more than a few.
    """
    prompts, pixels = offered.shape[1:3]
    if prompts <= MAX_PICTURES:
        return offered.flatten(1, 2)
    kept = MAX_PICTURES * pixels // prompts
    place = torch.arange(kept, device=offered.device) * pixels // kept
    return offered[:, :, place].flatten(1, 2)


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
