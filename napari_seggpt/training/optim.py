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


def build_optimizer(model: SegGPT, recipe: Recipe) -> torch.optim.AdamW:
    """Make AdamW; biases, norms, tokens and positions are not decayed.

    Every group tells the `scale` of its learning rate: `layer_decay` to the power of
    the blocks that follow, as in Painter.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        is_kept = parameter.squeeze().ndim < 2 or any(x in name for x in UNDECAYED)
        decay = 0.0 if is_kept else recipe.weight_decay
        scale = recipe.layer_decay ** _blocks_after(name, model.config.depth)
        groups.setdefault((decay, scale), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "weight_decay": decay, "scale": scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )


def _blocks_after(name: str, depth: int) -> int:
    """Count the steps from a parameter to the decoder: 0 is the decoder itself."""
    if name.startswith("blocks."):
        return depth - int(name.split(".")[1])
    is_embedding = name.startswith(("patch_embed", "mask_embed", "stem", "pos_embed"))
    return depth + 1 if is_embedding else 0


def learning_rate(step: int, recipe: Recipe) -> float:
    """Return the rate at a step: linear warm-up, then a cosine to zero."""
    warmup = max(1, round(recipe.warmup * recipe.steps))
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, recipe.steps - warmup)
    return recipe.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def update_average(
    average: dict[str, torch.Tensor], model: nn.Module, decay: float, step: int
) -> None:
    """Move averaged weights towards the model's; early steps count for more."""
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        average[name].lerp_(value, 1 - decay)
