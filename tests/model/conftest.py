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
    decoder_dim=8,
    pretrain_grid=4,
    isolated_prompts=True,
    stem_widths=(4,) * 6,
    stem_dim=16,
    match_dim=16,
    fine_sides=(32, 64),
)


@pytest.fixture(scope="session")
def pictures() -> Pictures:
    """Make random pictures (*batch, 3, H, W), always the same for a seed."""

    def make(*batch: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(*batch, 3, *size, generator=generator)

    return make


@pytest.fixture(scope="session")
def palette() -> Tensor:
    """The colours (1, 3, 3) that pictures are painted with, the background's first."""
    return torch.tensor([[[-2.0, -2, -2], [2, 2, -2], [-2, 2, 2]]])


@pytest.fixture(scope="session")
def painted(palette: Tensor) -> Pictures:
    """Make pictures (*batch, 3, H, W) of 4 px blocks in random colours."""

    def make(*batch: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        blocks = (*batch, -(-size[0] // 4), -(-size[1] // 4))
        number = torch.randint(palette.shape[1], blocks, generator=generator)
        number = number.repeat_interleave(4, -2).repeat_interleave(4, -1)
        colors = palette[0, number[..., : size[0], : size[1]]]
        return colors.movedim(-1, -3).contiguous()

    return make


@pytest.fixture(
    params=[READOUT, replace(TINY, isolated_prompts=True)], ids=["readout", "paint"]
)
def isolated_config(request: pytest.FixtureRequest) -> SegGPTConfig:
    return request.param


@pytest.fixture
def readout_config() -> SegGPTConfig:
    return READOUT
