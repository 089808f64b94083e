"""`napari-seggpt predict`: some labelled frames in, a labelled stack out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_seggpt.cli import arguments
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.cli.paths import check_apart, check_new, check_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.io import LabelsWriter, Stack
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.settings import PredictionSettings, PropagationSettings

SHEET_FRAMES, SHEET_REFERENCES = 8, 2


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
        "--labels",
        type=Path,
        help="labels of the stack; its frames with any label are the references",
    )
    parser.add_argument(
        "--frames",
        type=int,
        nargs="+",
        metavar="FRAME",
        help="take only these frames of --labels as references",
    )
    parser.add_argument(
        "--reference",
        type=_reference,
        action="append",
        default=[],
        metavar="FRAME=FILE",
        help="labels of one frame, counted from 0; may be repeated",
    )
    parser.add_argument(
        "--prompt",
        type=Path,
        nargs=2,
        action="append",
        default=[],
        metavar=("IMAGE", "LABELS"),
        help="another labelled image, shown with its own contrast; may be repeated",
    )
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
    parser.add_argument("--axis", help="the axis that frames lie along, as z or t")
    parser.add_argument(
        "--at",
        type=int,
        default=0,
        help="index on the other axis, in data with z and t",
    )
    parser.add_argument("--level", type=int, default=0, help="resolution level")
    arguments.add_range(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def _reference(text: str) -> tuple[int, Path]:
    frame, _, file = text.partition("=")
    if not frame.isdigit() or not file:
        raise argparse.ArgumentTypeError(f"expected FRAME=FILE, got {text!r}")
    return int(frame), Path(file)


def run(args: argparse.Namespace) -> int:
    """Predict the stack; returns the exit code."""
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.propagation import plan, sample_frames
    from napari_seggpt.io import open_stack
    from napari_seggpt.preprocessing import measure_limits

    settings = arguments.prediction_settings(args)
    propagation = arguments.propagation_settings(args)
    _check_paths(args)
    with open_stack(args.stack, axis=args.axis, at=args.at, level=args.level) as stack:
        prompts = [*_references(args, stack), *_other_prompts(args)]
        if not any(len(prompt.ids) for prompt in prompts):
            raise ValueError(
                "Expected references with at least one label (--labels, --reference "
                "or --prompt), got none."
            )
        references = [p.index for p in prompts if p.index is not None]
        if not plan(len(stack), references, propagation):
            raise ValueError("Expected frames to predict in the range, got none.")
        limits = measure_limits(sample_frames(stack), arguments.contrast_settings(args))
        model = arguments.load_named_model(args.model)
        settings = _advise_tiles(args, prompts, settings, model.config.image_size)
        predictor = Predictor(model, prompts, settings=settings, limits=limits)
        with _open_output(args, stack, prompts) as writer:
            done = _finished(args, writer)
            code, predicted = _predict(stack, predictor, propagation, writer, done)
            if args.overlay:
                _draw(args.overlay, stack, writer, predictor, predicted | done)
    return code


def _check_paths(args: argparse.Namespace) -> None:
    read = [args.stack, args.labels, *(file for _, file in args.reference)]
    read += [file for pair in args.prompt for file in pair]
    written = [args.output, args.overlay]
    check_apart(
        (path for path in written if path is not None),
        (path for path in read if path is not None),
    )
    check_new(args.output, overwrite=args.overwrite or args.resume)
    if args.overlay is not None:
        check_picture(args.overlay)
        check_new(args.overlay, overwrite=args.overwrite or args.resume)


def _references(args: argparse.Namespace, stack: Stack) -> list[Prompt]:
    """Make prompts of the labelled frames of the stack."""
    from napari_seggpt.io import read_frame

    labelled = _labelled_frames(args, stack)
    for index, file in args.reference:
        labelled[index] = read_frame(file, labels=True)
    missing = [index for index in labelled if not 0 <= index < len(stack)]
    if missing:
        raise ValueError(
            f"Expected reference frames from 0 to {len(stack) - 1}, got {missing[0]}."
        )
    return [_prompt(stack[i], labelled[i], index=i) for i in sorted(labelled)]


def _prompt(image: Any, labels: Any, *, index: int | None = None) -> Prompt:
    from napari_seggpt.prompts import Prompt

    return Prompt(image=image, labels=labels, index=index)


def _labelled_frames(args: argparse.Namespace, stack: Stack) -> dict[int, Any]:
    if args.labels is None:
        if args.frames:
            raise ValueError("Expected --labels with --frames, got none.")
        return {}
    with _open_labels(args) as labels:
        if len(labels) != len(stack):
            raise ValueError(
                f"Expected labels of all {len(stack)} frames, got {len(labels)} frames "
                f"in {args.labels}. For single frames use --reference FRAME=FILE."
            )
        if args.frames is None:
            frames = ((index, labels[index]) for index in range(len(labels)))
            return {index: frame for index, frame in frames if frame.any()}
        outside = [index for index in args.frames if not 0 <= index < len(labels)]
        if outside:
            raise ValueError(
                f"Expected --frames from 0 to {len(labels) - 1}, got {outside[0]}."
            )
        # A frame that is named and empty is a reference, too: nothing is there.
        return {index: labels[index] for index in args.frames}


def _open_labels(args: argparse.Namespace) -> Stack:
    """Open labels that have only the axis of the frames, or all axes of the stack."""
    from napari_seggpt.io import StackError, open_stack

    try:
        return open_stack(args.labels, labels=True)
    except StackError:
        return open_stack(args.labels, axis=args.axis, at=args.at, labels=True)


def _other_prompts(args: argparse.Namespace) -> list[Prompt]:
    """Make prompts of images that are not in the stack, each with its own contrast."""
    from napari_seggpt.io import read_frame
    from napari_seggpt.preprocessing import measure_limits, to_rgb

    prompts = []
    for image_file, labels_file in args.prompt:
        image = read_frame(image_file)
        rgb = to_rgb(image, measure_limits([image]))
        prompts.append(_prompt(rgb, read_frame(labels_file, labels=True)))
    return prompts


def _advise_tiles(
    args: argparse.Namespace,
    prompts: Sequence[Prompt],
    settings: PredictionSettings,
    size: tuple[int, int],
) -> PredictionSettings:
    """Say how small objects become in the model's input; 'auto' takes the advice."""
    from napari_seggpt.inference.tiling import suggest_scale, with_tiles

    side, scale = suggest_scale([prompt.labels for prompt in prompts], size)
    small = f"The smallest labelled objects are {side:.1f} model pixels wide"
    if scale is None or settings.tiling.enabled:
        print(f"{small} in a whole frame.", file=sys.stderr)
        return settings
    if args.tiles == "auto":
        print(f"{small}: using tiles of scale {scale}.", file=sys.stderr)
        return with_tiles(settings, scale)
    print(f"{small} and may be missed: try --tiles {scale}.", file=sys.stderr)
    return settings


def _open_output(
    args: argparse.Namespace, stack: Stack, prompts: Sequence[Prompt]
) -> LabelsWriter:
    from napari_seggpt.io import create_labels, reopen_labels

    if args.resume and args.output.exists():
        writer = reopen_labels(args.output)
        if (len(writer), writer.geometry.frame_shape) != (
            len(stack),
            stack.frame_shape,
        ):
            writer.close()
            raise ValueError(f"Expected labels of this stack in {args.output}.")
        return writer
    largest = max(int(prompt.labels.max()) for prompt in prompts)
    dtype = np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.uint32
    return create_labels(
        args.output,
        length=len(stack),
        frame_shape=stack.frame_shape,
        dtype=dtype,
        pixel_size=stack.pixel_size,
        units=stack.units,
        axis=stack.axis if stack.axis in ("z", "t") else "z",
        overwrite=args.overwrite,
    )


def _finished(args: argparse.Namespace, writer: LabelsWriter) -> set[int]:
    """Return the frames that an earlier run has labelled, if this one goes on."""
    if not args.resume:
        return set()
    return {index for index in range(len(writer)) if writer[index].any()}


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
    from napari_seggpt.inference.propagation import plan, predict_stack

    references = predictor.references
    for index in references.keys() - finished:
        writer.write(index, references[index].labels)
    chains = plan(len(stack), references, settings, protected=finished)
    total = sum(len(chain) for chain in chains)
    predicted: set[int] = set()
    steps = predict_stack(stack, predictor, settings=settings, protected=finished)
    code = 0
    try:
        for step in tqdm(steps, total=total, unit="frame", desc="Predicting"):
            writer.write(step.index, step.prediction.labels)
            predicted.add(step.index)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        print(
            f"{len(predicted)} of {total} frames predicted from "
            f"{len(predictor.prompts)} references, in {writer.path}"
            + ("" if len(predicted) == total else "; --resume goes on")
        )
    return code, predicted


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

    references = predictor.references
    given = _evenly(sorted(references), SHEET_REFERENCES)
    shown = given + _evenly(
        sorted(predicted - references.keys()), SHEET_FRAMES - len(given)
    )
    panels = []
    for index in sorted(shown):
        frame = stack[index]
        rgb = to_rgb(frame, predictor.limits or measure_limits([frame]))
        kind = "reference" if index in references else "predicted"
        panels.append((f"frame {index} - {kind}", rgb, writer[index]))
    save_sheet(path, panels)
    print(f"Picture of the result: {path}")


def _evenly(frames: list[int], count: int) -> list[int]:
    """Choose at most so many of some frames, from the first to the last."""
    places = np.linspace(0, len(frames) - 1, min(count, len(frames)))
    return [frames[int(place)] for place in places]
