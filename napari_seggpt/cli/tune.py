"""`napari-seggpt tune`: labelled frames in, a tuned prompt out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments, references, tune_dataset
from napari_seggpt.cli.arguments import numbered, parsed, with_flags
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED, StopAtNextStep
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.cli.reading import Reading, open_images
from napari_seggpt.cli.tune_dataset import DataSetFlags, follow
from napari_seggpt.settings import SessionSettings, TuningSettings
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator

    from napari_seggpt.io import Stack
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.training.tuning import TuneStep

ENDING = ".safetensors"
NO_GAIN = 1  # the exit code where nothing is written because nothing was gained


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneRequest:
    """What a prompt is tuned on and how, and where it goes.

    Attributes
    ----------
    stack : Path
        The images.
    reading : Reading
        How they are taken.
    files : ReferenceFiles
        Labelled frames and images.
    settings : SessionSettings
        The model, and how it is used.
    auto_tiles : bool
        Whether frames are cut into tiles where objects are small.
    tuning : TuningSettings
        How the prompt is tuned.
    names : tuple of (int, str)
        What labels mean.
    output : Path
        The file of the prompt.
    overwrite, keep : bool
        Whether a file that is there is replaced, and a prompt without a gain written.
    """

    stack: Path
    reading: Reading
    files: references.ReferenceFiles
    settings: SessionSettings
    auto_tiles: bool
    tuning: TuningSettings
    names: tuple[tuple[int, str], ...]
    output: Path
    overwrite: bool
    keep: bool


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
    references.add_references(parser, takes_tuned=False)
    parser.add_argument(
        "--output", type=Path, required=True, help=f"file of the prompt ({ENDING})"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--names",
        type=partial(numbered, form="ID=NAME"),
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
    arguments.add_tuning(parser)
    tune_dataset.add_dataset(parser)
    arguments.add_contrast(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tune and write; returns the exit code."""
    of_dataset = tune_dataset.is_dataset(args)
    defaults = tune_dataset.defaults() if of_dataset else TuningSettings()
    request = parsed(
        TuneRequest,
        args,
        reading=parsed(Reading, args),
        files=parsed(references.ReferenceFiles, args),
        settings=with_flags(args, SessionSettings()),
        tuning=with_flags(args, defaults),
    )
    if request.output.suffix != ENDING:
        raise ValueError(f"Expected an output {ENDING}, got {request.output.name}.")
    if of_dataset:
        return tune_dataset.run(request, parsed(DataSetFlags, args))
    return _tune(request)


def _tune(request: TuneRequest) -> int:
    check_apart([request.output], [request.stack, *request.files.paths])
    check_new(request.output, overwrite=request.overwrite)
    for each in request.files.prompt:
        if len(each) == 1:
            raise ValueError(
                f"Expected --prompt IMAGE LABELS to tune on, got {each[0]}."
            )
    with open_images(request.reading, request.stack) as stack:
        steps = _start(request, stack)
    with StopAtNextStep() as interrupt:
        best = follow(steps, request.tuning.steps, interrupt)
    code = _finish(request, best)
    return INTERRUPTED if interrupt.asked and code == 0 else code


def _start(request: TuneRequest, stack: Stack) -> Generator[TuneStep]:
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.io import ColorIds
    from napari_seggpt.preprocessing import measure_limits
    from napari_seggpt.training.tuning import tune_prompt

    settings, colors = request.settings, ColorIds()
    files, most = request.files, settings.prediction.max_prompts
    prompts = [
        *references.frame_prompts(
            files, stack, request.reading, colors, max_prompts=most
        ),
        *references.other_prompts(files, colors, request.reading),
    ]
    model = arguments.load_named_model(settings.model)
    return tune_prompt(
        model,
        prompts,
        settings=request.tuning,
        prediction=references.advise_tiles(
            prompts, settings.prediction, model.config, auto=request.auto_tiles
        ),
        limits=measure_limits(sample_frames(stack), settings.contrast),
        class_names=dict(request.names),
    )


def _finish(request: TuneRequest, best: TunedPrompt) -> int:
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
    else:
        dice += " (all of them were learned from)"
    if not (figures.has_gained or request.keep):
        warn(
            f"Tuning gained nothing over {count_of(figures.frames, 'frame')} as they "
            f"are: {dice}. Nothing is written. --keep writes it anyway.",
        )
        return NO_GAIN
    best.save(request.output)
    say(
        f"Tuned on {count_of(figures.frames, 'frame')}: {dice}; "
        f"{count_of(figures.steps, 'step')}, "
        f"{figures.seconds:.0f} s. Prompt: {request.output}"
    )
    return 0
