"""train(): in-context colouring training as a generator of steps; resumable."""

from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, replace
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from napari_seggpt.inference.device import autocast, pick_dtype
from napari_seggpt.training.batches import (
    Batch,
    BatchSource,
    Pictures,
    nearest_colors,
    render,
)
from napari_seggpt.training.optim import build_optimizer, learning_rate, update_average

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from torch import Tensor

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import Precision
    from napari_seggpt.training.recipe import Recipe
    from napari_seggpt.training.sampler import ExampleSampler


STATE_PARTS = {"model", "optimizer", "average", "recipe", "step"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """What one update did."""

    step: int
    loss: float
    learning_rate: float
    num_prompts: int


def coloring_loss(model: SegGPT, batch: Batch, recipe: Recipe) -> Tensor:
    """Smooth L1 between the query's hidden colours and the predicted (section 3.1)."""
    pictures = render(batch, recipe.foreground_weight)
    predicted = torch.zeros(pictures.colors.shape[:2], dtype=torch.bool)
    predicted = predicted.to(pictures.colors.device)
    if batch.recalls:
        pictures = recall(model, pictures)
        predicted[:, 1:] = True
    prompts = model.encode_prompts(
        pictures.images[:, :-1],
        pictures.colors[:, :-1],
        pictures.seg_type,
        predicted[:, :-1],
    )
    target = pictures.colors[:, -1]
    # Nothing is given where all is hidden, and the patches need not be embedded.
    given = None if batch.hidden.all() else (target, pictures.hidden)
    stages = model.stages(pictures.images[:, -1], prompts, given)
    weight = pictures.weight * _hidden_pixels(pictures)
    losses = [stage_loss(stage, target, weight, recipe.beta) for stage in stages]
    return torch.stack(losses).mean()


@torch.no_grad()
def recall(model: SegGPT, pictures: Pictures) -> Pictures:
    """Recolour all prompts but the first as the network predicts them from it.

    So it learns what frames in memory are worth: its own mistakes are among them.
    """
    count = pictures.colors.shape[1] - 2
    first = model.encode_prompts(
        pictures.images[:, :1], pictures.colors[:, :1], pictures.seg_type
    )
    repeated = first.map(lambda x: x.repeat_interleave(count, dim=0))
    painted = model(pictures.images[:, 1:-1].flatten(0, 1), repeated)
    painted = painted.float().unflatten(0, (-1, count))
    colors = pictures.colors.clone()
    colors[:, 1:-1] = nearest_colors(painted, pictures.palettes)
    return replace(pictures, colors=colors)


def _hidden_pixels(pictures: Pictures) -> Tensor:
    """1 where the query's patch is hidden, else 0: (B, 1, S, S)."""
    side = math.isqrt(pictures.hidden.shape[1])
    hidden = pictures.hidden.unflatten(1, (1, side, side)).float()
    return F.interpolate(hidden, size=pictures.colors.shape[-2:], mode="nearest")


def stage_loss(stage: Tensor, target: Tensor, weight: Tensor, beta: float) -> Tensor:
    """Weighted smooth L1 of colours (B, 3, h, w), which may be coarser than the target.

    `target` is (B, 3, H, W) and `weight` (B, 1, H, W).
    """
    size = (stage.shape[-2], stage.shape[-1])
    if stage.shape != target.shape:
        target = F.adaptive_avg_pool2d(target, size)
        weight = F.adaptive_avg_pool2d(weight, size)
    loss = F.smooth_l1_loss(stage.float(), target, beta=beta, reduction="none")
    return (loss * weight).sum() / (3 * weight.sum())


def train(
    model: SegGPT,
    sampler: ExampleSampler,
    recipe: Recipe,
    *,
    checkpoint: Path,
    precision: Precision = "auto",
    workers: int = 0,
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
    precision : {"auto", "float32", "bfloat16"}
        Of the network's computations; weights and optimiser stay in float32.
    workers : int
        Processes that draw batches ahead. A GPU needs several; on a CPU they take
        from the network what they give.

    Raises
    ------
    ValueError
        At once, if the checkpoint is damaged or of a run with another recipe.
    """
    run = _Run(model, recipe, checkpoint, precision)
    if checkpoint.exists():
        run.resume()
    source = BatchSource(sampler, recipe, patch_size=model.config.patch_size)
    batches = DataLoader(
        source,
        batch_size=None,
        sampler=range(run.step, recipe.steps),
        num_workers=workers,
        pin_memory=run.device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    return _steps(run, batches)


def _steps(run: _Run, batches: DataLoader[Batch]) -> Generator[TrainStep]:
    recipe = run.recipe
    run.model.train()
    try:
        for batch in batches:
            done = run.update(batch.to(run.device))
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

    def __init__(
        self, model: SegGPT, recipe: Recipe, checkpoint: Path, precision: Precision
    ) -> None:
        # Convolutions are a quarter faster so, on CPUs and GPUs.
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = model
        self.recipe = recipe
        self.step = 0
        self.device = next(model.parameters()).device
        self.average = {name: x.clone() for name, x in model.state_dict().items()}
        self._dtype = pick_dtype(precision, self.device)
        self._optimizer = build_optimizer(model, recipe)
        self._checkpoint = checkpoint

    def update(self, batch: Batch) -> TrainStep:
        """Make the next update."""
        step, recipe = self.step, self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + step)  # drop path, also resumed
        rate = learning_rate(step, recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        with autocast(self.device, self._dtype):
            loss = coloring_loss(self.model, batch, recipe)
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
            num_prompts=batch.num_prompts,
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
        state = _read_state(self._checkpoint)
        if state["recipe"] != asdict(self.recipe):
            raise ValueError(
                f"Expected the recipe of the run in {self._checkpoint}, got another "
                "one; give it another folder or delete the run."
            )
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.step = int(state["step"])


def read_average(checkpoint: Path) -> dict[str, Tensor]:
    """Read the averaged weights of a run's state, as they are so far.

    Raises
    ------
    ValueError
        If the file is damaged or something else.
    """
    average: dict[str, Tensor] = _read_state(checkpoint)["average"]
    return average


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
        missing = STATE_PARTS - state.keys()
    except (RuntimeError, EOFError, AttributeError, UnpicklingError) as error:
        raise ValueError(
            f"Expected the state of a run in {path}, got: {error}"
        ) from error
    if missing:
        raise ValueError(
            f"Expected the state of a run in {path}, got one without {sorted(missing)}."
        )
    return dict(state)
