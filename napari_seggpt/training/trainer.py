"""train(): in-context colouring training as a generator of steps; resumable."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pickle import UnpicklingError
from typing import TYPE_CHECKING

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
    """Train a model; the generator that is returned yields after every update.

    A run that was stopped goes on where it was, with the same losses as one that was
    not: closing the generator writes its state. When it ends or is closed, the model
    holds the averaged weights.

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
        At once, if the checkpoint is damaged or of a run with another recipe.
    """
    run = _Run(model, recipe, checkpoint)
    if checkpoint.exists():
        run.resume()
    return _steps(run, sampler)


def _steps(run: _Run, sampler: ExampleSampler) -> Generator[TrainStep]:
    recipe = run.recipe
    device = next(run.model.parameters()).device
    run.model.train()
    try:
        while run.step < recipe.steps:
            batch = _to(draw_batch(sampler, recipe, run.step), device)
            done = run.update(batch)
            if run.step % recipe.save_every == 0 or run.step == recipe.steps:
                run.save()
            yield done
    except GeneratorExit:
        run.save()
        raise
    finally:
        run.model.load_state_dict(run.average)
        run.model.eval()


class _Run:
    """The state of a run: model, optimiser, averaged weights and steps done."""

    def __init__(self, model: SegGPT, recipe: Recipe, checkpoint: Path) -> None:
        self.model = model
        self.recipe = recipe
        self.step = 0
        self.average = {name: x.clone() for name, x in model.state_dict().items()}
        self._optimizer = build_optimizer(model, recipe)
        self._checkpoint = checkpoint

    def update(self, batch: Batch) -> TrainStep:
        """Make the next update."""
        step, recipe = self.step, self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + step)  # drop path, also resumed
        rate = learning_rate(step, recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss = coloring_loss(self.model, batch, recipe.beta)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self._optimizer.step()
        update_average(self.average, self.model, recipe.average, step)
        self.step += 1
        return TrainStep(
            step=step,
            loss=loss.item(),
            learning_rate=rate,
            num_prompts=batch.images.shape[1] - 1,
        )

    def save(self) -> None:
        """Write the state, whole or not at all."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self.average,
            "recipe": asdict(self.recipe),
            "step": self.step,
        }
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._checkpoint.with_name(self._checkpoint.name + ".part")
        torch.save(state, temporary)
        os.replace(temporary, self._checkpoint)

    def resume(self) -> None:
        """Read the state of a run with the same recipe."""
        path = self._checkpoint
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            recipe, step = state["recipe"], int(state["step"])
        except (RuntimeError, EOFError, KeyError, TypeError, UnpicklingError) as error:
            raise ValueError(
                f"Expected the state of a run in {path}, got: {error}"
            ) from error
        if recipe != asdict(self.recipe):
            raise ValueError(
                f"Expected the recipe of the run in {path}, got another one; "
                "give it another folder or delete the run."
            )
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step = step


def _to(batch: Batch, device: torch.device) -> Batch:
    fields = {name: getattr(batch, name).to(device) for name in Batch.__slots__}
    return Batch(**fields)
