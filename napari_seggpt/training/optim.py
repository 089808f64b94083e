"""Parameter groups, the learning rate's course, and averaged weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.training.recipe import Recipe

UNDECAYED = ("pos_embed", "rel_pos", "log_scale")
LOGARITHM_RATE = 10.0  # of penalties and scales, which have far to go


def build_optimizer(model: SegGPT, recipe: Recipe) -> torch.optim.AdamW:
    """Make AdamW; biases, norms, tokens and positions are not decayed.

    Every group tells the `scale` of its learning rate: `layer_decay` to the power of
    the blocks that follow, as in Painter, times that of the stem or the transformer.
    What does not learn needs no gradient.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        scale = _scale(name, model.config.depth, recipe)
        parameter.requires_grad_(scale > 0)
        if scale == 0:
            continue
        is_kept = parameter.squeeze().ndim < 2 or any(x in name for x in UNDECAYED)
        decay = 0.0 if is_kept else recipe.weight_decay
        groups.setdefault((decay, scale), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "scale": scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )


def _scale(name: str, depth: int, recipe: Recipe) -> float:
    """Return the rate of a parameter in shares of the decoder's."""
    scale = recipe.layer_decay ** _blocks_after(name, depth)
    if name.startswith("stem."):
        return scale * recipe.stem_rate
    if name.rpartition(".")[2].startswith("log_"):
        return scale * LOGARITHM_RATE
    is_decoder = name.startswith(("readout.", "decoder", "neck."))
    return scale if is_decoder else scale * recipe.encoder_rate


def _blocks_after(name: str, depth: int) -> int:
    """Count the steps from a parameter to the decoder: 0 is the decoder itself."""
    if name.startswith("blocks."):
        return depth - int(name.split(".")[1])
    is_embedding = name.startswith(("patch_embed", "mask_embed", "stem", "pos_embed"))
    return depth + 1 if is_embedding else 0


def learning_rate(progress: float, recipe: Recipe) -> float:
    """Return the rate at a share of the run: linear warm-up, then a cosine to zero."""
    if progress < recipe.warmup:
        return recipe.learning_rate * (progress / recipe.warmup)
    rest = (progress - recipe.warmup) / (1 - recipe.warmup) if recipe.warmup < 1 else 0
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, rest)))


@torch.no_grad()
def update_average(
    average: dict[str, torch.Tensor], model: nn.Module, decay: float, step: int
) -> None:
    """Move averaged weights towards the model's; early steps count for more."""
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        average[name].lerp_(value, 1 - decay)
