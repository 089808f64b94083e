"""`napari-seggpt tune`: labelled frames in, a tuned prompt out."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_seggpt.cli import arguments, references, tune_dataset
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED, StopAtNextStep
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.cli.reading import open_images
from napari_seggpt.cli.tune_dataset import follow
from napari_seggpt.settings import TuningSettings, TuningStart

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_seggpt.io import Stack
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.training.tuning import TuneStep

TUNING = TuningSettings()
ENDING = ".safetensors"
NO_GAIN = 1  # the exit code where nothing is written because nothing was gained


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "tune",
        help="tune a prompt on some labelled frames",
        description="Tune a prompt on two or more labelled frames, or on a whole data "
        "set: the model stays as it is, the prompt learns. predict --prompt takes the "
        "file, for this stack or another. Stopping (Ctrl-C) keeps the best prompt so "
        "far.",
    )
    parser.add_argument(
        "stack",
        type=Path,
        help="TIFF, OME-TIFF, zarr or a folder; or, without references, the folder of "
        "a data set as it is published, or with images/ and labels/",
    )
    references.add_references(parser)
    parser.add_argument(
        "--output", type=Path, required=True, help=f"file of the prompt ({ENDING})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--names",
        type=_name,
        nargs="+",
        default=[],
        metavar="ID=NAME",
        help="what the labels mean, to be kept with the prompt",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="write the prompt even if it is no better than the frames as they are",
    )
    add_tuning(parser)
    tune_dataset.add_dataset(parser)
    arguments.add_contrast(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def add_tuning(parser: argparse.ArgumentParser) -> None:
    """Add how a prompt is tuned; what is not given is left to `tuning_settings`."""
    group = parser.add_argument_group(
        "tuning", "The defaults are those for frames of a stack."
    )
    group.add_argument(
        "--steps",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help=f"at most N updates (default: {TUNING.steps})",
    )
    group.add_argument(
        "--from",
        dest="start",
        choices=get_args(TuningStart),
        default=argparse.SUPPRESS,
        help="what the pictures of the prompt start from: a labelled image each, one "
        f"grid of all, or noise (default: {TUNING.start})",
    )
    group.add_argument(
        "--num-prompts",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help="at most N pictures in the prompt, or in the grid that it starts from "
        f"(default: {TUNING.num_prompts})",
    )
    for name, what in (
        ("map", "what the prompt offers to be read"),
        ("image", "the prompt's pictures"),
        ("color", "the prompt's colours"),
    ):
        default = getattr(TUNING, f"{name}_rate")
        group.add_argument(
            f"--{name}-rate",
            type=float,
            metavar="RATE",
            default=argparse.SUPPRESS,
            help=f"how fast {what} learn; 0: not at all (default: "
            + ("as the model needs)" if default is None else f"{default})"),
        )
    group.add_argument(
        "--queries-per-step",
        type=int,
        metavar="N",
        default=argparse.SUPPRESS,
        help=f"learn from N images in an update (default: {TUNING.queries_per_step})",
    )
    group.add_argument(
        "--seed",
        type=int,
        default=argparse.SUPPRESS,
        help=f"(default: {TUNING.seed})",
    )


def tuning_settings(
    args: argparse.Namespace, defaults: TuningSettings = TUNING
) -> TuningSettings:
    """Return the settings that the flags of tuning say, and else the defaults."""
    names = {field.name for field in fields(TuningSettings)}
    return replace(defaults, **{k: v for k, v in vars(args).items() if k in names})


def _name(text: str) -> tuple[int, str]:
    number, _, name = text.partition("=")
    if not number.isdigit() or not name:
        raise argparse.ArgumentTypeError(f"expected ID=NAME, got {text!r}")
    return int(number), name


def run(args: argparse.Namespace) -> int:
    """Tune and write; returns the exit code."""
    if args.output.suffix != ENDING:
        raise ValueError(f"Expected an output {ENDING}, got {args.output.name}.")
    if tune_dataset.is_dataset(args):
        settings = tuning_settings(args, tune_dataset.defaults())
        return tune_dataset.run(args, settings)
    settings = tuning_settings(args)
    check_apart([args.output], references.read_files(args))
    check_new(args.output, overwrite=args.overwrite)
    with open_images(args, args.stack) as stack:
        steps = _start(args, stack, settings)
    with StopAtNextStep() as interrupt:
        best = follow(steps, settings.steps, interrupt)
    code = _finish(args, best)
    return INTERRUPTED if interrupt.asked and code == 0 else code


def _start(
    args: argparse.Namespace, stack: Stack, settings: TuningSettings
) -> Generator[TuneStep]:
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.preprocessing import measure_limits
    from napari_seggpt.training.tuning import tune_prompt

    prompts = references.read_prompts(args, stack)
    limits = measure_limits(sample_frames(stack), arguments.contrast_settings(args))
    model = arguments.load_named_model(args.model)
    prediction = references.advise_tiles(
        args, prompts, arguments.prediction_settings(args), model.config
    )
    return tune_prompt(
        model,
        prompts,
        settings=settings,
        prediction=prediction,
        limits=limits,
        class_names=dict(args.names),
    )


def _finish(args: argparse.Namespace, best: TunedPrompt) -> int:
    """Write the prompt if it is worth it, and say so."""
    figures = best.figures
    dice = (
        "Dice of frames predicted from the others "
        f"{figures.dice_before:.3f} before, {figures.dice_after:.3f} after"
    )
    if figures.held_back_before is not None and figures.held_back_after is not None:
        dice += (
            f" (of the one held back {figures.held_back_before:.3f} and "
            f"{figures.held_back_after:.3f})"
        )
    if not (figures.has_gained or args.keep):
        warn(
            f"Tuning gained nothing over the {figures.frames} frames as they are: "
            f"{dice}. Nothing is written. --keep writes it anyway.",
        )
        return NO_GAIN
    best.save(args.output)
    say(
        f"Tuned on {figures.frames} frames: {dice}; {figures.steps} steps, "
        f"{figures.seconds:.0f} s. Prompt: {args.output}"
    )
    return 0
