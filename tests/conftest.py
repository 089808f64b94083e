"""Small networks whose every weight is random, so that nothing is trivially zero."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, settings

from napari_seggpt.model.config import TINY, SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT

# A busy machine is slow, not wrong.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

MakeModel = Callable[..., SegGPT]


def _random_model(config: SegGPTConfig, seed: int = 0) -> SegGPT:
    generator = torch.Generator().manual_seed(seed)
    model = SegGPT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.15, generator=generator)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight += 1.0
    return model.eval()


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    return _random_model


@pytest.fixture(scope="session")
def tiny_model() -> SegGPT:
    """The published design at 32 px; shared, so never to be changed."""
    return _random_model(TINY)
