from dataclasses import replace

import pytest
import torch

from napari_seggpt.model.config import TINY
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.training.optim import (
    LOGARITHM_RATE,
    build_optimizer,
    learning_rate,
    update_average,
)

LOGARITHMS = ("log_penalty", "log_memory", "log_likeness", "log_sharpness", "log_scale")


def test_biases_norms_tokens_and_positions_are_not_decayed(recipe):
    model = SegGPT(TINY)
    recipe = replace(recipe, encoder_rate=1.0)
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
    recipe = replace(recipe, layer_decay=0.5, encoder_rate=1.0)
    by_name = scales_of(SegGPT(TINY), recipe)
    assert by_name["decoder_embed.weight"] == 1
    assert by_name["blocks.3.mlp.fc1.weight"] == 0.5
    assert by_name["blocks.0.mlp.fc1.weight"] == 0.5**4
    assert by_name["patch_embed.proj.weight"] == 0.5**5


def scales_of(model, recipe):
    groups = build_optimizer(model, recipe).param_groups
    scales = {id(p): group["scale"] for group in groups for p in group["params"]}
    return {name: scales.get(id(p), 0.0) for name, p in model.named_parameters()}


def test_stem_transformer_and_readout_learn_at_their_own_rates(recipe, new_model):
    recipe = replace(recipe, stem_rate=0.2, encoder_rate=0.5)
    scales = scales_of(new_model(), recipe)
    assert len(scales) > 50
    for name, scale in scales.items():
        room, last = name.split(".")[0], name.split(".")[-1]
        expected = {"stem": 0.2, "readout": 1.0, "neck": 1.0}.get(room, 0.5)
        if last in LOGARITHMS:
            expected = LOGARITHM_RATE
        assert scale == expected, name


def test_a_rate_of_zero_freezes_the_stem(recipe, new_model):
    model = new_model()
    scales = scales_of(model, replace(recipe, stem_rate=0.0))
    for name, parameter in model.named_parameters():
        is_stem = name.startswith("stem.")
        assert parameter.requires_grad != is_stem
        assert (scales[name] == 0) == is_stem
    scales_of(model, replace(recipe, stem_rate=0.1))  # and it may learn again
    assert all(x.requires_grad for x in model.stem.parameters())


def test_the_rate_warms_up_and_falls_to_zero(recipe):
    recipe = replace(recipe, warmup=0.1)
    rates = [learning_rate(step / 100, recipe) for step in range(101)]
    assert rates[1] == pytest.approx(recipe.learning_rate / 10)
    assert rates[10] == max(rates) == pytest.approx(recipe.learning_rate)
    assert rates[55] == pytest.approx(recipe.learning_rate / 2)
    assert rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert learning_rate(1.3, recipe) == rates[-1]  # of a run that took too long


@pytest.mark.parametrize("warmup", [0.0, 1.0])
def test_a_run_may_begin_at_full_rate_or_warm_up_to_its_end(recipe, warmup):
    recipe = replace(recipe, warmup=warmup)
    full = recipe.learning_rate
    assert learning_rate(0.0, recipe) == pytest.approx(full * (1 - warmup))
    assert learning_rate(0.5, recipe) == pytest.approx(full / 2)


def test_the_average_follows_the_weights():
    model = torch.nn.Linear(2, 2)
    average = {name: torch.zeros_like(x) for name, x in model.state_dict().items()}
    update_average(average, model, 0.9, step=10_000)
    torch.testing.assert_close(average["weight"], 0.1 * model.weight.detach())
