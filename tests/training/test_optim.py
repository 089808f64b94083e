from dataclasses import replace

import pytest
import torch

from napari_seggpt.model.config import TINY
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.training.optim import (
    build_optimizer,
    learning_rate,
    update_average,
)


def test_biases_norms_tokens_and_positions_are_not_decayed(recipe):
    model = SegGPT(TINY)
    groups = build_optimizer(model, recipe).param_groups
    decayed, kept = sorted(groups, key=lambda group: -group["weight_decay"])
    names = {id(p): name for name, p in model.named_parameters()}
    assert decayed["weight_decay"] == recipe.weight_decay
    assert kept["weight_decay"] == 0
    assert len(decayed["params"]) + len(kept["params"]) == len(names)
    kept_names = {names[id(p)] for p in kept["params"]}
    assert {"pos_embed", "mask_token", "norm.bias"} <= kept_names
    assert "blocks.0.attn.rel_pos_h" in kept_names
    assert "blocks.0.attn.qkv.weight" not in kept_names


def test_earlier_blocks_learn_more_slowly_where_asked_for(recipe):
    model = SegGPT(TINY)
    groups = build_optimizer(model, replace(recipe, layer_decay=0.5)).param_groups
    scales = {id(p): group["scale"] for group in groups for p in group["params"]}
    by_name = {name: scales[id(p)] for name, p in model.named_parameters()}
    assert by_name["decoder_embed.weight"] == 1
    assert by_name["blocks.3.mlp.fc1.weight"] == 0.5
    assert by_name["blocks.0.mlp.fc1.weight"] == 0.5**4
    assert by_name["patch_embed.proj.weight"] == 0.5**5


def test_the_rate_warms_up_and_falls_to_zero(recipe):
    recipe = replace(recipe, steps=100, warmup=0.1)
    rates = [learning_rate(step, recipe) for step in range(100)]
    assert rates[0] == pytest.approx(recipe.learning_rate / 10)
    assert max(rates) == pytest.approx(recipe.learning_rate)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[-1] < recipe.learning_rate / 100
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_the_average_follows_the_weights():
    model = torch.nn.Linear(2, 2)
    average = {name: torch.zeros_like(x) for name, x in model.state_dict().items()}
    update_average(average, model, 0.9, step=10_000)
    torch.testing.assert_close(average["weight"], 0.1 * model.weight.detach())
