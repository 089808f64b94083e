"""train(): in-context colouring training as a generator of steps; resumable."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import asdict, dataclass, replace
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from napari_seggpt.files import whole_file
from napari_seggpt.inference.device import autocast, pick_dtype
from napari_seggpt.training.batches import (
    Batch,
    BatchSource,
    Pictures,
    nearest_colors,
    render,
)
from napari_seggpt.training.losses import color_loss, score_loss
from napari_seggpt.training.optim import build_optimizer, learning_rate, update_average
from napari_seggpt.training.processes import Processes
from napari_seggpt.training.recipe import OF_PAINTING, Recipe

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from torch import Tensor

    from napari_seggpt.model.encoding import EncodedPrompts
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import Precision
    from napari_seggpt.training.sampler import ExampleSampler


STATE_PARTS = {"model", "optimizer", "average", "recipe", "step", "seconds"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainStep:
    """What one update did, in all processes together.

    The loss is the mean over the batches of this process; the number of prompts is
    that of the last one.
    """

    step: int
    loss: float
    learning_rate: float
    num_prompts: int
    num_samples: int


def coloring_loss(model: SegGPT, batch: Batch, recipe: Recipe) -> Tensor:
    """How far the query's predicted colours are from the true ones (section 3.1)."""
    pictures = render(batch, recipe.foreground_weight)
    predicted = torch.zeros(pictures.colors.shape[:2], dtype=torch.bool)
    predicted = predicted.to(pictures.colors.device)
    if batch.recalls:
        pictures = recall(model, pictures)
        predicted[:, 1:] = True
    prompts = _encode(model, pictures, slice(0, -1), predicted)
    query, target = pictures.images[:, -1], pictures.colors[:, -1]
    if model.config.decoder == "readout":
        known = pictures.known[:, -1].float()
        return score_loss(model.scores(query, prompts), pictures.regions, known)
    # Nothing is given where all is hidden, and the patches need not be embedded.
    given = None if batch.hidden.all() else (target, pictures.hidden)
    weight = pictures.weight * _hidden_pixels(pictures)
    return color_loss(model.paint(query, prompts, given), target, weight, recipe.beta)


def _encode(
    model: SegGPT, pictures: Pictures, which: slice, predicted: Tensor
) -> EncodedPrompts:
    return model.encode_prompts(
        pictures.images[:, which],
        pictures.colors[:, which],
        pictures.seg_type,
        predicted[:, which],
        palette=pictures.palettes,
        known=pictures.known[:, which],
    )


@torch.no_grad()
def recall(model: SegGPT, pictures: Pictures) -> Pictures:
    """Recolour all prompts but the first as the network predicts them, one by one.

    Each is predicted from those before it, as frames in memory are: so the network
    learns what they are worth, and its own mistakes are among them.
    """
    colors, known = pictures.colors.clone(), pictures.known.clone()
    predicted = torch.ones(colors.shape[:2], dtype=torch.bool, device=colors.device)
    predicted[:, 0] = False
    for number in range(1, colors.shape[1] - 1):
        shown = replace(pictures, colors=colors, known=known)
        prompts = _encode(model, shown, slice(0, number), predicted)
        colors[:, number] = _likeliest(model, pictures, number, prompts)
        known[:, number] = 1
    return replace(pictures, colors=colors, known=known)


def _likeliest(
    model: SegGPT, pictures: Pictures, number: int, prompts: EncodedPrompts
) -> Tensor:
    """Return the colours (B, 3, S, S) of a picture as they would be read."""
    image = pictures.images[:, number]
    if model.config.decoder != "readout":
        painted = model(image, prompts).float()
        return nearest_colors(painted[:, None], pictures.palettes)[:, 0]
    best = model.probabilities(image, prompts).argmax(1)
    row = torch.arange(len(best), device=best.device)[:, None, None]
    return pictures.palettes[row, best].movedim(-1, 1)


def _hidden_pixels(pictures: Pictures) -> Tensor:
    """1 where the query's patch is hidden, else 0: (B, 1, S, S)."""
    side = math.isqrt(pictures.hidden.shape[1])
    hidden = pictures.hidden.unflatten(1, (1, side, side)).float()
    return F.interpolate(hidden, size=pictures.colors.shape[-2:], mode="nearest")


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
    holds the averaged weights. Processes that `torchrun` started and that were joined
    make the same updates, each from batches of its own; the first one writes.

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
        At once, if the checkpoint is damaged or of a run with another recipe, if the
        recipe has settings that such a network does not depend on, or in float16.
    """
    _check_recipe(recipe, model)
    run = _Run(model, recipe, checkpoint, precision)
    if checkpoint.exists():
        run.resume()
    source = BatchSource(
        sampler,
        recipe,
        patch_size=model.config.patch_size,
        few_shapes=run.device.type == "cuda",
    )
    last = recipe.steps if run.progress < 1 else run.step  # its minutes may be over
    rank, count = run.processes.rank, run.processes.count
    first, end = (step * recipe.accumulate * count for step in (run.step, last))
    batches = DataLoader(
        source,
        batch_size=None,
        sampler=range(first + rank, end, count),
        num_workers=workers,
        pin_memory=run.device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    return _steps(run, batches)


def _check_recipe(recipe: Recipe, model: SegGPT) -> None:
    """Refuse settings that would change nothing."""
    if model.config.decoder != "readout":
        return
    usual = Recipe()
    idle = [x for x in OF_PAINTING if getattr(recipe, x) != getattr(usual, x)]
    if idle:
        raise ValueError(
            f"Expected a network that paints for {', '.join(idle)}, got one with a "
            "readout, which does not depend on that."
        )


def _steps(run: _Run, batches: Iterable[Batch]) -> Generator[TrainStep]:
    recipe = run.recipe
    run.model.train()
    try:
        run.start_clock()
        left = iter(batches)
        for first in left:
            more = itertools.islice(left, recipe.accumulate - 1)
            done = run.update(itertools.chain([first], more))
            run.stop_clock()
            ended = run.progress >= 1
            if run.step % recipe.save_every == 0 or ended:
                run.save()
            yield done
            if ended:
                return
            run.start_clock()
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
        self.seconds = 0.0
        self._started = 0.0
        self.device = next(model.parameters()).device
        self.processes = Processes.here()
        self.average = {name: x.clone() for name, x in model.state_dict().items()}
        self._dtype = pick_dtype(precision, self.device)
        if self._dtype == torch.float16:
            raise ValueError(
                "Expected float32 or bfloat16 for training, got float16, in which "
                "gradients vanish."
            )
        self._optimizer = build_optimizer(model, recipe)
        self._checkpoint = checkpoint

    @property
    def progress(self) -> float:
        """How much of the run is done, from 0 to 1: of its steps or of its minutes."""
        if self.recipe.minutes > 0:
            by_time = self.seconds / (60 * self.recipe.minutes)
            return max(by_time, float(self.step >= self.recipe.steps))
        return self.step / self.recipe.steps

    def start_clock(self) -> None:
        """Begin to count the time of an update, drawing its batches included."""
        self._started = time.perf_counter()

    def stop_clock(self) -> None:
        """End it: what is done with an update, as measuring, does not count."""
        self.seconds += time.perf_counter() - self._started
        self.seconds = self.processes.of_first(self.seconds, self.device)

    def update(self, batches: Iterable[Batch]) -> TrainStep:
        """Make the next update from as many batches as the recipe says."""
        step, recipe = self.step, self.recipe
        # The first update is made with the rate of the second: zero teaches nothing.
        rate = learning_rate(max(self.progress, 1 / recipe.steps), recipe)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self._optimizer.zero_grad()
        losses, samples, prompts = [], 0, 0
        for batch in batches:
            losses.append(self._learn(batch.to(self.device)))
            samples += len(batch.images)
            prompts = batch.num_prompts
        self.processes.average_gradients(self.model.parameters())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip_norm)
        self._optimizer.step()
        update_average(self.average, self.model, recipe.average, step)
        self.step += 1
        return TrainStep(
            step=step,
            loss=float(torch.stack(losses).mean()),
            learning_rate=rate,
            num_prompts=prompts,
            num_samples=samples * self.processes.count,
        )

    def _learn(self, batch: Batch) -> Tensor:
        """Add a batch's share to the gradients; return its loss."""
        torch.manual_seed(int(batch.seed))  # drop path, also of a resumed run
        with autocast(self.device, self._dtype):
            loss = coloring_loss(self.model, batch, self.recipe)
        (loss / self.recipe.accumulate).backward()
        return loss.detach()

    def save(self) -> None:
        """Write the state, whole or not at all; the first process does."""
        if not self.processes.is_first:
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self.average,
            "recipe": asdict(self.recipe),
            "step": self.step,
            "seconds": self.seconds,
        }
        self._checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._checkpoint) as draft:
            torch.save(state, draft)

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
        self.seconds = float(state["seconds"])


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
