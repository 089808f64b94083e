"""train(): in-context colouring training as a generator of steps; resumable."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from napari_seggpt.preprocessing import normalise
from napari_seggpt.training.optim import build_optimizer, learning_rate, update_average

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import Tensor

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import Recipe
    from napari_seggpt.training.dataset import Example, ExampleSampler


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """What one update did."""

    step: int
    loss: float
    learning_rate: float
    num_prompts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples as tensors: images and colours (B, K + 1, 3, S, S), normalised."""

    images: Tensor
    colors: Tensor
    weight: Tensor  # (B, 1, S, S)
    seg_type: Tensor  # (B,)


def draw_batch(sampler: ExampleSampler, recipe: Recipe, step: int) -> Batch:
    """Draw the batch of a step; a function of the recipe's seed and the step."""
    rng = np.random.default_rng((recipe.seed, step))
    several = recipe.max_prompts > 1 and rng.random() < 0.25
    prompts = int(rng.integers(2, recipe.max_prompts + 1)) if several else 1
    # As many pictures in every batch, so that memory does not depend on prompts.
    size = max(1, recipe.batch_size * 2 // (prompts + 1))
    examples = [sampler.draw(rng, prompts=prompts) for _ in range(size)]
    return _collate(examples, recipe)


def _collate(examples: list[Example], recipe: Recipe) -> Batch:
    images = np.stack([normalise(one.images) for one in examples])
    colors = np.stack([normalise(one.colors) for one in examples])
    shown = np.stack([one.foreground for one in examples])
    return Batch(
        images=torch.from_numpy(images),
        colors=torch.from_numpy(colors),
        weight=torch.from_numpy(pixel_weights(shown, recipe.foreground_weight)),
        seg_type=torch.tensor([int(one.is_instance) for one in examples]),
    )


def pixel_weights(shown: np.ndarray, most: float) -> np.ndarray:
    """Weigh coloured pixels (B, S, S) up where they are few; the mean stays 1."""
    share = shown.mean((1, 2), keepdims=True)
    factor = np.clip((1 - share) / np.maximum(share, 1e-6), 1.0, most)
    weight = np.where(shown, factor, 1.0)
    weight /= weight.mean((1, 2), keepdims=True)
    return weight[:, None].astype(np.float32)


def coloring_loss(model: SegGPT, batch: Batch, beta: float) -> Tensor:
    """Smooth L1 between the query's colours and those predicted (section 3.1)."""
    prompts = model.encode_prompts(
        batch.images[:, :-1], batch.colors[:, :-1], batch.seg_type
    )
    stages = model.stages(batch.images[:, -1], prompts)
    target = batch.colors[:, -1]
    losses = [_stage_loss(stage, target, batch.weight, beta) for stage in stages]
    return torch.stack(losses).mean()


def _stage_loss(stage: Tensor, target: Tensor, weight: Tensor, beta: float) -> Tensor:
    size = (stage.shape[-2], stage.shape[-1])
    if stage.shape != target.shape:
        target = F.adaptive_avg_pool2d(target, size)
        weight = F.adaptive_avg_pool2d(weight, size)
    loss = F.smooth_l1_loss(stage.float(), target, beta=beta, reduction="none")
    return (loss * weight).mean()


def train(
    model: SegGPT, sampler: ExampleSampler, recipe: Recipe, *, checkpoint: Path
) -> Generator[TrainStep]:
    """Train a model and yield after every update.

    A run that was stopped goes on where its checkpoint was written, with the same
    losses as one that was not. When the generator ends or is closed, the model holds
    the averaged weights.

    Parameters
    ----------
    model : SegGPT
        Changed in place; it stays on its device.
    sampler : ExampleSampler
        Where the examples come from.
    recipe : Recipe
        The hyper-parameters.
    checkpoint : Path
        File of the run's state; resumed from if it exists.

    Raises
    ------
    ValueError
        If the checkpoint belongs to a run with another recipe.
    """
    optimizer = build_optimizer(model, recipe)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    first = 0
    if checkpoint.exists():
        first = _resume(checkpoint, model, optimizer, average, recipe)
    device = next(model.parameters()).device
    model.train()
    try:
        for step in range(first, recipe.steps):
            batch = _to(draw_batch(sampler, recipe, step), device)
            yield _update(model, batch, optimizer, recipe, step)
            update_average(average, model, recipe.average, step)
            if (step + 1) % recipe.save_every == 0 or step + 1 == recipe.steps:
                _save(checkpoint, model, optimizer, average, recipe, step + 1)
    finally:
        model.load_state_dict(average)
        model.eval()


def _to(batch: Batch, device: torch.device) -> Batch:
    fields = {name: getattr(batch, name).to(device) for name in Batch.__slots__}
    return Batch(**fields)


def _update(
    model: SegGPT,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    step: int,
) -> TrainStep:
    torch.manual_seed(recipe.seed * 1_000_003 + step)  # drop path, also when resumed
    rate = learning_rate(step, recipe)
    for group in optimizer.param_groups:
        group["lr"] = rate
    loss = coloring_loss(model, batch, recipe.beta)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    prompts = batch.images.shape[1] - 1
    return TrainStep(
        step=step, loss=loss.item(), learning_rate=rate, num_prompts=prompts
    )


def _save(
    path: Path,
    model: SegGPT,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    recipe: Recipe,
    step: int,
) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "average": average,
        "recipe": asdict(recipe),
        "step": step,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _resume(
    path: Path,
    model: SegGPT,
    optimizer: torch.optim.Optimizer,
    average: dict[str, Tensor],
    recipe: Recipe,
) -> int:
    state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    if state["recipe"] != asdict(recipe):
        raise ValueError(
            f"Expected the recipe of the run in {path}, got another one; "
            "give it another folder or delete the run."
        )
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for name, value in state["average"].items():
        average[name].copy_(value)
    return int(state["step"])
