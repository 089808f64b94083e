from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from napari_seggpt.model.config import SegGPTConfig
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.prompt_map import PromptMap
from napari_seggpt.model.seggpt import SegGPT

PLACE_AND_TRUST = 4


@pytest.fixture
def encoded(
    make_model: Callable[..., SegGPT],
    readout_config: SegGPTConfig,
    pictures: Callable[..., Tensor],
    painted: Callable[..., Tensor],
    palette: Tensor,
) -> EncodedPrompts:
    """Two prompts."""
    model = make_model(readout_config).requires_grad_(False)
    return model.encode_prompts(
        pictures(1, 2), painted(1, 2), torch.zeros(1).long(), palette=palette
    )


@pytest.fixture
def prompt_map(readout_config: SegGPTConfig) -> PromptMap:
    """A map that has learned something."""
    torch.manual_seed(0)
    made = PromptMap(readout_config.match_dim).requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_()
    return made


def tensors(encoded: EncodedPrompts) -> list[Tensor]:
    held: list[Tensor] = []
    encoded.map(lambda x: held.append(x) or x)
    return held


def keys(encoded: EncodedPrompts) -> Tensor:
    assert encoded.reads is not None
    return encoded.reads.keys


def test_a_new_map_changes_nothing(
    encoded: EncodedPrompts, readout_config: SegGPTConfig
) -> None:
    mapped = PromptMap(readout_config.match_dim)(encoded)
    for before, after in zip(tensors(encoded), tensors(mapped), strict=True):
        torch.testing.assert_close(after, before)


def test_features_and_trust_are_mapped_and_nothing_else(
    encoded: EncodedPrompts, prompt_map: PromptMap, readout_config: SegGPTConfig
) -> None:
    mapped = prompt_map(encoded)
    moved = (keys(mapped) != keys(encoded)).any((0, 1, 2))
    features = readout_config.match_dim - PLACE_AND_TRUST
    assert moved.tolist() == [True] * features + [False] * 3 + [True]
    changed = [
        not torch.equal(before, after)
        for before, after in zip(tensors(encoded), tensors(mapped), strict=True)
    ]
    assert changed.count(True) == 1  # the keys


def test_all_pixels_of_all_prompts_are_mapped_alike(
    encoded: EncodedPrompts, prompt_map: PromptMap
) -> None:
    whole = keys(prompt_map(encoded))
    second = keys(prompt_map(encoded.select([1])))
    torch.testing.assert_close(second, whole[:, 1:])
