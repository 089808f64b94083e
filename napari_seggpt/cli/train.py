"""`napari-seggpt train`: train a model by in-context colouring."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.settings import Recipe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.training.trainer import TrainStep

STATE, WEIGHTS, LOG, RECIPE = (
    "state.pt",
    "weights.safetensors",
    "log.csv",
    "recipe.json",
)
SIMULATED_SIZE = 160


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a model on labelled images",
        description="Train a model by in-context colouring on folders of labelled "
        "images and on simulated ones. A stopped run goes on where it was.",
    )
    parser.add_argument(
        "data", type=Path, nargs="*", help="folders with images/ and labels/"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the run")
    parser.add_argument("--recipe", type=Path, help="JSON file of settings")
    parser.add_argument("--steps", type=int, help="how many updates")
    parser.add_argument(
        "--start", metavar="MODEL", help="go on from these weights instead of none"
    )
    parser.add_argument("--device", default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    from tqdm import tqdm

    from napari_seggpt.inference.device import pick_device
    from napari_seggpt.model.checkpoint import save_checkpoint
    from napari_seggpt.training.dataset import (
        ExampleSampler,
        read_datasets,
        simulated_datasets,
    )
    from napari_seggpt.training.trainer import train

    recipe = _read_recipe(args)
    real = [one for folder in args.data for one in read_datasets(folder)]
    count = recipe.simulated_groups if recipe.simulated > 0 else 0
    simulated = simulated_datasets(count, size=SIMULATED_SIZE, seed=recipe.seed)
    sampler = ExampleSampler(
        real, tqdm(simulated, total=count, unit="pair", desc="Simulating"), recipe
    )
    model = _start_model(args.start, recipe).to(pick_device(args.device))
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / RECIPE).write_text(json.dumps(asdict(recipe), indent=2) + "\n")
    steps = train(model, sampler, recipe, checkpoint=args.output / STATE)
    try:
        _follow(steps, recipe, args.output / LOG)
    except KeyboardInterrupt:
        print(f"Stopped: the same command goes on from {args.output}.", file=sys.stderr)
        return 130
    finally:
        steps.close()
        save_checkpoint(model, args.output / WEIGHTS)
    print(f"Weights: {args.output / WEIGHTS}")
    return 0


def _read_recipe(args: argparse.Namespace) -> Recipe:
    values: dict[str, Any] = {}
    if args.recipe is not None:
        values = json.loads(args.recipe.read_text())
    if args.steps is not None:
        values["steps"] = args.steps
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"Expected settings out of {', '.join(sorted(known))}, got {unknown[0]!r}."
        )
    return Recipe(**values)


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
    return SegGPT(NAMED_CONFIGS[recipe.config])


def _follow(steps: Iterator[TrainStep], recipe: Recipe, log: Path) -> None:
    """Show the progress and write every step's loss to the log."""
    from tqdm import tqdm

    is_new = not log.exists()
    with (
        log.open("a", newline="") as file,
        tqdm(total=recipe.steps, unit="step", desc="Training") as bar,
    ):
        writer = csv.writer(file)
        if is_new:
            writer.writerow(["step", "loss", "learning_rate", "prompts"])
        for step in steps:
            writer.writerow(
                [step.step, f"{step.loss:.6f}", step.learning_rate, step.num_prompts]
            )
            file.flush()
            bar.update(step.step + 1 - bar.n)
            bar.set_postfix(loss=f"{step.loss:.3f}")
