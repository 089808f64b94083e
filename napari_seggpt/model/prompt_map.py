"""PromptMap: a small learned change of what prompts offer to be read.

A network with a readout matches the query's pixels with those of the prompts. Tuning
learns by which features they are matched and how far they are trusted: a linear map of
a few thousand numbers, the same for all pixels of all tensors. So it holds for frames
that it was not learned from, where every pixel by itself would not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from napari_seggpt.model.attention import PLACE_DIM, TRUST_DIM

if TYPE_CHECKING:
    from torch import Tensor

    from napari_seggpt.model.encoding import EncodedPrompts

TRUST_SCALE = 10.0  # features have length 1, trust is a logarithm


class PromptMap(nn.Module):
    """Changes the keys of encoded prompts; nothing until it has learned.

    Parameters
    ----------
    match_dim : int
        That of the network's config.
    """

    def __init__(self, match_dim: int) -> None:
        super().__init__()
        features = match_dim - PLACE_DIM - TRUST_DIM
        self.features = features
        self.key_weight = nn.Parameter(torch.zeros(features, features))
        self.key_bias = nn.Parameter(torch.zeros(features))
        self.trust_weight = nn.Parameter(torch.zeros(features))

    def forward(self, encoded: EncodedPrompts) -> EncodedPrompts:
        """Return the prompts with mapped keys; colours and places stay."""
        assert encoded.reads is not None  # of every network with a readout
        keys = self._keys(encoded.reads.keys)
        return replace(encoded, reads=replace(encoded.reads, keys=keys))

    def _keys(self, keys: Tensor) -> Tensor:
        features, place, trust = keys.split(
            [self.features, PLACE_DIM, TRUST_DIM], dim=-1
        )
        gain = TRUST_SCALE * (features @ self.trust_weight)
        mapped = features + features @ self.key_weight + self.key_bias
        return torch.cat([mapped, place, trust + gain[..., None]], dim=-1)
