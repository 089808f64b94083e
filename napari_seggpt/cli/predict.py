"""`napari-seggpt predict`: some labelled frames in, a labelled stack out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_seggpt.cli import arguments, references
from napari_seggpt.cli.batch import each_stack
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.cli.paths import check_apart, check_new, check_picture
from napari_seggpt.cli.reading import open_images
from napari_seggpt.cli.watching import WatchedFrames
from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.io import LabelsWriter, Stack
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings, PropagationSettings

SHEET_FRAMES, SHEET_REFERENCES = 8, 2
INCOMPLETE = 1  # the exit code if frames could not be read and the others are done


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "predict",
        help="label a stack from some labelled frames",
        description="Label a stack from some labelled frames of it, or from other "
        "labelled images. Labels are written frame by frame: stopping loses nothing.",
    )
    parser.add_argument("stack", type=Path, help="TIFF, OME-TIFF, zarr or a folder")
    parser.add_argument(
        "--each",
        action="store_true",
        help="STACK is a folder of stacks: label each, in a folder --output",
    )
    parser.add_argument(
        "--task",
        type=Path,
        metavar="FILE",
        help="references and settings that `task` wrote; flags count more",
    )
    references.add_references(parser)
    parser.add_argument(
        "--output", type=Path, required=True, help=".tif, .ome.tif, .zarr or a folder"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an output that was stopped: its labelled frames stay",
    )
    parser.add_argument(
        "--overlay", type=Path, help="also draw a picture of the result"
    )
    arguments.add_range(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict the stack, or each stack of a folder; returns the exit code."""
    task = _load_task(args)
    load = cache(arguments.load_named_model)
    if not args.each:
        return _run_one(args, *task, load)
    return each_stack(args, lambda one: _run_one(one, *task, load))


def _load_task(
    args: argparse.Namespace,
) -> tuple[tuple[Prompt, ...], tuple[TunedPrompt, ...]]:
    """Return what a task shows the model, and take its settings for the flags."""
    from napari_seggpt.session.store.task_file import Task

    if args.task is None:
        return (), ()
    task = Task.load(args.task)
    arguments.take_settings(args, task.settings)
    return task.prompts, () if task.tuned is None else (task.tuned,)


def _run_one(
    args: argparse.Namespace,
    task: tuple[Prompt, ...],
    tuned_of_task: tuple[TunedPrompt, ...],
    load: Callable[[str], SegGPT],
) -> int:
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.propagation import plan
    from napari_seggpt.preprocessing import measure_limits

    settings = arguments.prediction_settings(args)
    propagation = arguments.propagation_settings(args)
    _check_paths(args)
    with open_images(args, args.stack) as stack:
        prompts = [*references.read_prompts(args, stack), *task]
        tuned = [*references.read_tuned(args), *tuned_of_task]
        if not tuned and not any(len(prompt.ids) for prompt in prompts):
            raise ValueError(
                "Expected references with at least one label (--labels, --reference, "
                "--prompt or --task), got none."
            )
        given = [p.index for p in prompts if p.index is not None]
        if not plan(len(stack), given, propagation):
            raise ValueError("Expected frames to predict in the range, got none.")
        limits = measure_limits(sample_frames(stack), arguments.contrast_settings(args))
        model = load(args.model)
        settings = references.advise_tiles(args, prompts, settings, model.config)
        settings = _tiles_of_tuned(args, tuned, settings)
        predictor = Predictor(
            model, prompts, tuned=tuned, settings=settings, limits=limits
        )
        with _open_output(args, stack, predictor) as writer:
            done = _finished(args, writer)
            code, predicted = _predict(stack, predictor, propagation, writer, done)
            if args.overlay:
                _draw(args.overlay, stack, writer, predictor, predicted | done)
    return code


def _check_paths(args: argparse.Namespace) -> None:
    written = [args.output, args.overlay]
    check_apart(
        (path for path in written if path is not None), references.read_files(args)
    )
    check_new(args.output, overwrite=args.overwrite or args.resume)
    if args.overlay is not None:
        check_picture(args.overlay)
        check_new(args.overlay, overwrite=args.overwrite or args.resume)


def _tiles_of_tuned(
    args: argparse.Namespace,
    tuned: Sequence[TunedPrompt],
    settings: PredictionSettings,
) -> PredictionSettings:
    """Say if tuned prompts show tiles of another scale; 'auto' takes theirs."""
    from napari_seggpt.inference.tiling import with_tiles

    for prompt in tuned:
        own = settings.tiling.scale if settings.tiling.enabled else None
        scale = prompt.tile_scale
        if scale == own:
            continue
        if args.tiles == "auto" and not settings.tiling.enabled:
            warn(f"Using tiles of scale {scale}, as in tuning.")
            settings = with_tiles(settings, scale)
        else:
            advice = "off" if scale is None else f"{scale:g}"
            warn(f"The prompt was tuned with --tiles {advice}.")
    return settings


def _open_output(
    args: argparse.Namespace, stack: Stack, predictor: Predictor
) -> LabelsWriter:
    from napari_seggpt.io import create_labels, reopen_labels, smallest_dtype

    if args.resume and args.output.exists():
        writer = reopen_labels(args.output)
        if (len(writer), writer.geometry.frame_shape) != (
            len(stack),
            stack.frame_shape,
        ):
            writer.close()
            raise ValueError(f"Expected labels of this stack in {args.output}.")
        return writer
    ids = {int(each) for palette in predictor.palettes for each in palette.ids}
    return create_labels(
        args.output,
        length=len(stack),
        frame_shape=stack.frame_shape,
        dtype=smallest_dtype(ids),
        pixel_size=stack.pixel_size,
        units=stack.units,
        axis=stack.axis if stack.axis in ("z", "t") else "z",
        overwrite=args.overwrite,
    )


def _finished(args: argparse.Namespace, writer: LabelsWriter) -> set[int]:
    """Return the frames that an earlier run has labelled, if this one goes on."""
    if not args.resume:
        return set()
    return {index for index in range(len(writer)) if _is_labelled(writer, index)}


def _is_labelled(writer: LabelsWriter, index: int) -> bool:
    """Tell whether a frame of the output stays as it is, as one does that is damaged.

    There may be a person's labels in it.
    """
    try:
        return bool(writer[index].any())
    except DAMAGE as error:
        warn(f"Frame {index} of the output is left as it is: {one_line(error)}")
        return True


def _predict(
    stack: Stack,
    predictor: Predictor,
    settings: PropagationSettings,
    writer: LabelsWriter,
    finished: set[int],
) -> tuple[int, set[int]]:
    """Write references and predictions as they come.

    Returns the exit code and the frames that were predicted.
    """
    from napari_seggpt.inference.propagation import (
        UnreadableFrame,
        plan,
        predict_stack,
    )

    given = predictor.references
    for index in given.keys() - finished:
        writer.write(index, given[index].labels)
    chains = plan(len(stack), given, settings, protected=finished)
    total = sum(len(chain) for chain in chains)
    predicted: set[int] = set()
    frames = WatchedFrames(stack)
    steps = predict_stack(
        frames, predictor, settings=settings, protected=finished, skip_unreadable=True
    )
    code = 0
    try:
        for step in tqdm(steps, total=total, unit="frame", desc="Predicting"):
            if isinstance(step, UnreadableFrame):
                frames.unreadable.append(step)
                continue
            writer.write(step.index, step.prediction.labels)
            predicted.add(step.index)
        code = INCOMPLETE if frames.unreadable else 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        frames.tell()
        say(
            f"{len(predicted)} of {total} frames predicted from "
            f"{_source(predictor)}, in {writer.path}"
            + ("" if len(predicted) == total else "; --resume goes on")
        )
    return code, predicted


def _source(predictor: Predictor) -> str:
    """Say what a stack was predicted from."""
    parts = [f"{len(predictor.prompts)} references"] if predictor.prompts else []
    parts += [f"{len(predictor.tuned)} tuned prompts"] if predictor.tuned else []
    return " and ".join(parts)


def _draw(
    path: Path,
    stack: Stack,
    writer: LabelsWriter,
    predictor: Predictor,
    predicted: set[int],
) -> None:
    """Draw some references and some predicted frames, both evenly chosen."""
    from napari_seggpt.overlay import save_sheet
    from napari_seggpt.preprocessing import measure_limits, to_rgb

    given = predictor.references
    first = _evenly(sorted(given), SHEET_REFERENCES)
    shown = first + _evenly(sorted(predicted - given.keys()), SHEET_FRAMES - len(first))
    panels = []
    for index in sorted(shown):
        frame = stack[index]
        rgb = to_rgb(frame, predictor.limits or measure_limits([frame]))
        kind = "reference" if index in given else "predicted"
        panels.append((f"frame {index} - {kind}", rgb, writer[index]))
    save_sheet(path, panels)
    say(f"Picture of the result: {path}")


def _evenly(frames: list[int], count: int) -> list[int]:
    """Choose at most so many of some frames, from the first to the last."""
    places = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    return [frames[int(place)] for place in places]
