"""`napari-seggpt train`: train a model by in-context colouring."""

from __future__ import annotations

import copy
import json
import os
import time
from collections import deque
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED, StopAtNextStep
from napari_seggpt.cli.runlog import RunLog
from napari_seggpt.settings import Device, Precision, PredictionSettings
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.untrusted import as_type, check_fits_memory, read_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.training.dataset import DataSet
    from napari_seggpt.training.sampler import ExampleSampler
    from napari_seggpt.training.trainer import TrainStep

MOST_IN_GROUP = 8  # simulated images, in a sequence
SAMPLE_BYTES = 24  # of a pixel of a sample: image and colours as float32
PIXEL_BYTES = 2  # of an image and its labels, at least
PACE_STEPS = 50  # over which the pace is measured
STATE, WEIGHTS, RECIPE = "state.pt", "weights.safetensors", "recipe.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What a model is trained on, and how.

    Attributes
    ----------
    data : tuple of Path
        Folders with labelled images.
    recipe : Recipe
        The hyper-parameters.
    start : str, optional
        The name or file of a model to go on from.
    device, precision : str
        Where and how precisely the network computes.
    validate : Path, optional
        Data sets that the mean Dice is measured on.
    workers : int, optional
        Processes that draw batches.
    output : Path
        The folder of the run.
    """

    data: tuple[Path, ...]
    recipe: Recipe
    start: str | None
    device: Device
    precision: Precision
    validate: Path | None
    workers: int | None
    output: Path


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a model on labelled images",
        description="Train a model by in-context colouring on folders of labelled "
        "images and on simulated ones. A stopped run goes on where it was.",
    )
    parser.add_argument(
        "data",
        type=Path,
        nargs="*",
        help="folders with images/ and labels/, or of the paper's data sets",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--recipe", type=Path, help="JSON file with settings other than the default"
    )
    arguments.add_settings(parser, Recipe, ["steps"])
    parser.add_argument(
        "--start", metavar="MODEL", help="go on from these weights instead of none"
    )
    arguments.add_settings(parser, PredictionSettings, ["device"])
    parser.add_argument(
        "--precision",
        choices=["auto", "float32", "bfloat16"],
        default="auto",
        help="of the network's computations (default: bfloat16 on GPUs that have it)",
    )
    parser.add_argument(
        "--validate",
        type=Path,
        metavar="FOLDER",
        help="measure the mean Dice there whenever the state is saved, from one "
        "reference a sequence, and draw it with the loss",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that draw batches ahead (default: none on a CPU, which they "
        "would slow down; on a GPU all cores but two)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    recipe = Recipe() if args.recipe is None else _read_recipe(args.recipe)
    request = parsed(
        TrainRequest,
        args,
        recipe=with_flags(args, recipe),
        device=with_flags(args, PredictionSettings()).device,
    )
    return _train(request)


def _train(request: TrainRequest) -> int:
    from napari_seggpt.inference.device import pick_device
    from napari_seggpt.training.processes import join_processes
    from napari_seggpt.training.trainer import train

    recipe, output = request.recipe, request.output
    device = pick_device(request.device)
    processes = join_processes(device)
    sampler = _make_sampler(request.data, recipe)
    model = _start_model(request.start, recipe).to(device)
    output.mkdir(parents=True, exist_ok=True)
    state = output / STATE
    averaged = _Averaged(model=copy.deepcopy(model), output=output)
    validate = _validation(request.validate, averaged, request.device)
    steps = train(
        model,
        sampler,
        recipe,
        checkpoint=state,
        precision=request.precision,
        workers=_workers(request.workers, device.type),
    )
    with StopAtNextStep() as interrupt:

        def is_stopped() -> bool:  # all stop at one step, when the first one does
            return processes.of_first(float(interrupt.asked), device) > 0

        if not processes.is_first:  # the first one writes and shows
            _run_along(steps, is_stopped)
            return INTERRUPTED if interrupt.asked else 0
        (output / RECIPE).write_text(json.dumps(asdict(recipe), indent=2) + "\n")
        log = RunLog(output)
        _follow(steps, recipe, log, averaged, validate, is_stopped)
    steps.close()
    log.draw_if_possible()
    averaged.update()
    say(f"Weights: {output / WEIGHTS}")
    if interrupt.asked:
        warn(f"Stopped: the same command goes on from {output}.")
        return INTERRUPTED
    return 0


def _run_along(steps: Iterator[TrainStep], is_stopped: Callable[[], bool]) -> None:
    for _ in steps:
        if is_stopped():
            return


def _workers(asked: int | None, device: str) -> int:
    if asked is not None:
        if asked < 0:
            raise ValueError(f"Expected 0 or more workers, got {asked}.")
        return asked
    return 0 if device == "cpu" else max(1, (os.cpu_count() or 1) - 2)


def _make_sampler(folders: Sequence[Path], recipe: Recipe) -> ExampleSampler:
    from tqdm import tqdm

    from napari_seggpt.training.dataset import simulated_datasets
    from napari_seggpt.training.sampler import ExampleSampler

    count = recipe.simulated_groups if recipe.simulated > 0 else 0
    _check_memory(recipe, count)
    real = [one for folder in tqdm(folders, desc="Reading") for one in _read(folder)]
    groups = simulated_datasets(recipe)
    simulated = tqdm(groups, total=count, unit="group", desc="Simulating")
    return ExampleSampler(real, simulated, recipe)


def _check_memory(recipe: Recipe, num_groups: int) -> None:
    """Refuse a recipe whose pictures no memory holds, before the first is made."""
    num_bytes = num_groups * MOST_IN_GROUP * recipe.simulated_size**2 * PIXEL_BYTES
    check_fits_memory(num_bytes, "the simulated images")
    small, large = min(recipe.image_sizes), max(recipe.image_sizes)
    # A batch has at least one sample, of a query and its prompts.
    num_pixels = max(
        recipe.batch_size * 2 * small**2, (1 + recipe.max_prompts) * large**2
    )
    check_fits_memory(num_pixels * SAMPLE_BYTES, "a batch")


def _read(folder: Path) -> list[DataSet]:
    """Read folders with images/ and labels/, or open published data sets."""
    from napari_seggpt.datasets.base import DatasetError
    from napari_seggpt.training.dataset import DataError, read_datasets
    from napari_seggpt.training.published import read_mixture

    try:
        return read_datasets(folder)
    except DataError as error:
        try:
            datasets, missing = read_mixture(folder)
        except DatasetError as other:
            raise DataError(f"{error} {other}") from None
    warn(f"Learning from {'; '.join(one.name for one in datasets)}.")
    if missing:
        warn(f"Not there, of the paper's mixture: {', '.join(missing)}.")
    return datasets


def _read_recipe(path: Path) -> Recipe:
    """Read a recipe from JSON."""
    values = read_json(path, dict[str, Any])
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"Expected settings out of {', '.join(sorted(known))}, got {unknown[0]!r}."
        )
    return as_type(values, Recipe)


def _start_model(start: str | None, recipe: Recipe) -> SegGPT:
    import torch

    from napari_seggpt.model.config import NAMED_CONFIGS
    from napari_seggpt.model.seggpt import SegGPT

    if start is not None:
        return arguments.load_named_model(start)
    if recipe.config not in NAMED_CONFIGS:
        known = ", ".join(NAMED_CONFIGS)
        raise ValueError(f"Expected a config out of {known}, got {recipe.config!r}.")
    torch.manual_seed(recipe.seed)
    model = SegGPT(NAMED_CONFIGS[recipe.config])
    if model.config.stem_widths:
        _start_stem(model)
    return model


def _start_stem(model: SegGPT) -> None:
    """Give the stem its pretrained weights, or say that it starts at random."""
    from napari_seggpt.training.pretrained import load_lite0

    try:
        load_lite0(model.stem)
    except ValueError as error:
        warn(f"The stem starts at random. {error}")


@dataclass(frozen=True, kw_only=True)
class _Averaged:
    """The averaged weights in a run's state, as they were when it was read last.

    Attributes
    ----------
    model : SegGPT
        A network of the same geometry, into which they are read.
    output : Path
        The folder of the run.
    """

    model: SegGPT
    output: Path

    def update(self) -> None:
        """Read the state, and write the weights, to be used while training goes on."""
        from napari_seggpt.model.checkpoint import save_checkpoint
        from napari_seggpt.training.trainer import read_average

        self.model.load_state_dict(read_average(self.output / STATE))
        save_checkpoint(self.model.eval(), self.output / WEIGHTS)


def _follow(
    steps: Iterator[TrainStep],
    recipe: Recipe,
    log: RunLog,
    averaged: _Averaged,
    validate: Callable[[], float] | None,
    is_stopped: Callable[[], bool],
) -> None:
    """Show the progress and log every step.

    Whenever the state is saved, the averaged weights are written and measured.
    """
    from tqdm import tqdm

    pace = _Pace()
    dice = ""
    last = -1
    with tqdm(total=recipe.steps, unit="step", desc="Training") as bar:
        for step in steps:
            if bar.n == 0:
                log.start(step.step)
            log.add(step)
            last = step.step
            if (last + 1) % recipe.save_every == 0:
                averaged.update()
                dice = _measure(last, log, validate)
            bar.update(last + 1 - bar.n)
            bar.set_postfix_str(f"loss {step.loss:.3f}, {pace.of(step)}{dice}")
            if is_stopped():
                return
        if last >= 0 and (last + 1) % recipe.save_every:  # it ended in between
            averaged.update()
            _measure(last, log, validate)


def _measure(step: int, log: RunLog, validate: Callable[[], float] | None) -> str:
    """Measure the averaged weights after a step, if asked for; return what to show."""
    if validate is None:
        return ""
    dice = validate()
    log.add_dice(step, dice)
    log.draw()
    return f", dice {dice:.3f}"


class _Pace:
    """How many samples a second the run trains on, over its last steps."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque(maxlen=PACE_STEPS)

    def of(self, step: TrainStep) -> str:
        """Count a step; return the pace."""
        self._seen.append((time.perf_counter(), step.num_samples))
        seconds = self._seen[-1][0] - self._seen[0][0]
        samples = sum(count for _, count in self._seen) - self._seen[0][1]
        return f"{samples / seconds:.1f} samples/s" if seconds > 0 else ""


def _validation(
    folder: Path | None, averaged: _Averaged, device: Device
) -> Callable[[], float] | None:
    """Return what measures the averaged weights in a run's state, if asked for."""
    if folder is None:
        return None
    from napari_seggpt.evaluation.datasets import find_sequences
    from napari_seggpt.evaluation.figures import check_matplotlib
    from napari_seggpt.evaluation.protocol import quick_dice

    check_matplotlib()
    sequences = find_sequences(folder)
    return lambda: quick_dice(averaged.model, sequences, device=device)
