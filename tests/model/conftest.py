"""Pictures and configs for the network's tests."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_seggpt.model.config import TINY, SegGPTConfig

Pictures = Callable[..., Tensor]

READOUT = SegGPTConfig(
    image_size=(32, 32),
    patch_size=8,
    embed_dim=32,
    depth=3,
    num_heads=4,
    merge_index=0,
    tap_indices=(2,),
    decoder="readout",
    decoder_dim=16,
    pretrain_grid=4,
    isolated_prompts=True,
    stem_dim=16,
    match_dim=16,
)


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Make random pictures (*batch, 3, H, W), always the same for a seed."""

    def make(*batch: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(*batch, 3, *size, generator=generator)

    return make


@pytest.fixture(
    params=[READOUT, replace(TINY, isolated_prompts=True)], ids=["readout", "paint"]
)
def isolated_config(request: pytest.FixtureRequest) -> SegGPTConfig:
    return request.param


@pytest.fixture
def readout_config() -> SegGPTConfig:
    return READOUT
