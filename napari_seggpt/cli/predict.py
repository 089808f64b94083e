"""`napari-seggpt predict`: some labelled frames in, a labelled stack out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_seggpt.cli import arguments, references
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.batch import each_stack
from napari_seggpt.cli.blocks import add_blocks, check_blocks, label_in_blocks
from napari_seggpt.cli.cluster import add_cluster, check_place, opened_cluster
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.drawing import draw_result
from napari_seggpt.cli.follow import add_follow, check_follow
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.cli.paths import check_apart, check_new, check_picture
from napari_seggpt.cli.reading import Reading, open_images
from napari_seggpt.cli.steps import check_axes, check_objects, label_steps, stack_at_end
from napari_seggpt.cli.track import check_tracks, write_tracks
from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames
from napari_seggpt.settings import SessionSettings
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from distributed import Client

    from napari_seggpt.inference.labelling import LabelledFrame
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.io import LabelsWriter, Stack
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.session.store.task_file import Task

INCOMPLETE = 1  # the exit code if a frame could not be read and the others are done


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """What is to be labelled from what, and where the labels go.

    Attributes
    ----------
    stack : Path
        The images.
    reading : Reading
        How they are taken.
    files : ReferenceFiles
        Labelled frames and images.
    task : Path, optional
        A file with further references and settings.
    settings : SessionSettings
        Those of the task, but for the flags that were given.
    auto_tiles : bool
        Whether frames are cut into tiles where objects are small.
    output : Path
        Where the labels go.
    overlay : Path, optional
        Where a picture of the result goes.
    tracks : Path, optional
        Where the tracks of objects go.
    overwrite, resume : bool
        Whether what is there is replaced, or gone on with.
    follow : float, optional
        Frames are waited for, until none has come for so many seconds.
    blocks : int, optional
        Frames are read and written in blocks of so many pixels.
    skip_flat : float, optional
        Blocks are left empty whose grey levels differ by no more than this share.
    """

    stack: Path
    reading: Reading
    files: references.ReferenceFiles
    task: Path | None
    settings: SessionSettings
    auto_tiles: bool
    output: Path
    overlay: Path | None
    tracks: Path | None
    overwrite: bool
    resume: bool
    follow: float | None
    blocks: int | None
    skip_flat: float | None

    @property
    def may_replace(self) -> bool:
        """Whether files that are there may be written."""
        return self.overwrite or self.resume

    @property
    def is_growing(self) -> bool:
        """Whether frames are waited for."""
        return self.follow is not None


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
        help="go on with an output that was stopped: its labelled frames stay; with "
        "memory, the rest may differ slightly from a run in one go",
    )
    parser.add_argument(
        "--overlay", type=Path, help="also draw a picture of the result"
    )
    parser.add_argument(
        "--tracks",
        type=Path,
        metavar="PATH",
        help="also write where each object is on each frame, and which divided: .csv, "
        ".geff, or a folder in the layout of the Cell Tracking Challenge",
    )
    add_follow(parser)
    arguments.add_objects(parser)
    arguments.add_cleanup(parser)
    arguments.add_range(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    add_cluster(parser)
    add_blocks(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict the stack, or each stack of a folder; returns the exit code."""
    from napari_seggpt.session.store.task_file import Task

    task = None if args.task is None else Task.load(args.task)
    settings = SessionSettings() if task is None else task.settings
    request = parsed(
        PredictRequest,
        args,
        reading=parsed(Reading, args),
        files=parsed(references.ReferenceFiles, args),
        settings=with_flags(args, settings),
    )
    load = cache(arguments.load_named_model)
    label = _label_each if args.each else _label
    check_place(args)
    check_follow(args)
    check_blocks(args)
    with opened_cluster(args) as client:
        return label(request, task, load, client)


def _label_each(
    request: PredictRequest,
    task: Task | None,
    load: Callable[[str], SegGPT],
    client: Client | None,
) -> int:
    """Label each stack of a folder, in a folder; returns the exit code."""
    files = {"overlay": request.overlay, "tracks": request.tracks}
    of_one = [name for name, path in files.items() if path]
    if not request.files.is_for_each:
        of_one += request.files.of_frames
    if of_one:
        raise ValueError(
            "Expected --task, --prompt or --labels with {name} with --each, got "
            f"--{of_one[0]}."
        )

    def label(stack: Path, output: Path) -> int:
        files = request.files.of_stack(output.stem)
        one = replace(request, stack=stack, output=output, files=files)
        return _label(one, task, load, client)

    suffix = ".tif" if client is None else ".zarr"
    return each_stack(
        request.stack,
        request.output,
        label,
        suffix=suffix,
        labels_of=lambda name: request.files.of_stack(name).labels,
    )


def _label(
    request: PredictRequest,
    task: Task | None,
    load: Callable[[str], SegGPT],
    client: Client | None,
) -> int:
    """Label one stack, here or on the workers of a cluster; returns the exit code."""
    from napari_seggpt.inference.labelling import labelled_frames
    from napari_seggpt.inference.linking import frames_lie_along
    from napari_seggpt.io import ColorIds

    _check_paths(request)
    if request.blocks is not None:
        return label_in_blocks(request, task, load)
    files, reading, colors = request.files, request.reading, ColorIds()
    with (
        open_images(reading, request.stack, growing=request.is_growing) as stack,
        references.open_references(files, stack, reading, colors) as labelled,
    ):
        check_axes(request, client, stack)
        others = references.other_prompts(files, colors, reading)
        predictor = _make_predictor(request, task, load, stack, labelled, others)
        check_objects(request, client, predictor)
        with _open_output(request, stack, predictor, labelled) as output:
            frames = WatchedFrames(stack, stack.grid.name)
            steps = label_steps(request, client, predictor, frames, labelled, output)
            source = f"{_source(predictor, labelled)}, in {request.output}"
            code, predicted = _show(steps, frames, source)
            if request.tracks:
                write_tracks(
                    request.tracks,
                    output,
                    frames_lie_along(
                        stack.axis, request.settings.objects.linking.along
                    ),
                    overwrite=request.may_replace,
                )
            if request.overlay:
                shown = predicted | labelled_frames(output)
                with stack_at_end(request, stack) as whole:
                    draw_result(
                        request.overlay, whole, output, predictor, labelled, shown
                    )
    return INCOMPLETE if code == 0 and labelled.num_unreadable else code


def _make_predictor(
    request: PredictRequest,
    task: Task | None,
    load: Callable[[str], SegGPT],
    stack: Stack,
    labelled: references.LabelledFrames,
    others: list[Prompt],
) -> TaskPredictor:
    """Read what is shown to the model, and load it; nothing is written yet."""
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.inference.chains import plan
    from napari_seggpt.inference.labelling import frame_lines, frames_in_range
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.references import read_references
    from napari_seggpt.inference.task_predictors import task_predictor
    from napari_seggpt.io.growing import written_frames
    from napari_seggpt.preprocessing import measure_limits

    settings, propagation = request.settings, request.settings.propagation
    lines = frame_lines(stack, None, settings)
    prompts = read_references(
        stack,
        labelled,
        frames_in_range(len(stack), labelled, propagation) or [0],
        max_prompts=settings.prediction.max_prompts,
        grid=lines,
    )
    chosen = [prompt.index for prompt in prompts if prompt.index is not None]
    flags = "--labels, --reference, --prompt or --task"
    prompts, tuned = references.with_task(request.files, prompts + others, task, flags)
    found = plan(len(stack), chosen, propagation, protected=labelled, grid=lines)
    if not found and not request.is_growing:  # else frames are still to come
        raise ValueError("Expected frames to predict in the range, got none.")
    among = written_frames(stack) if request.is_growing else None
    limits = measure_limits(sample_frames(stack, among), settings.contrast)
    model, auto = load(settings.model), request.auto_tiles
    prediction = references.advise_tiles(
        prompts, settings.prediction, model.config, auto=auto
    )
    prediction = references.tiles_of_tuned(tuned, prediction, auto=auto)
    return task_predictor(
        Predictor(model, prompts, tuned=tuned, settings=prediction, limits=limits),
        settings,
    )


def _check_paths(request: PredictRequest) -> None:
    written = [request.output, request.overlay, request.tracks]
    read = [request.stack, request.task, *request.files.paths]
    check_apart(
        (path for path in written if path is not None),
        (path for path in read if path is not None),
    )
    may_exist = request.may_replace
    check_new(request.output, overwrite=may_exist)
    if request.tracks is not None:
        check_tracks(request.tracks, overwrite=may_exist)
        if not request.settings.objects.linking.enabled:
            raise ValueError("Expected linked objects for --tracks, got --no-link.")
    if request.overlay is not None:
        check_picture(request.overlay)
        check_new(request.overlay, overwrite=may_exist)


def _open_output(
    request: PredictRequest,
    stack: Stack,
    predictor: TaskPredictor,
    labelled: references.LabelledFrames,
) -> LabelsWriter:
    from napari_seggpt.io import (
        create_labels,
        object_dtype,
        reopen_labels,
        smallest_dtype,
    )

    if request.resume and request.output.exists():
        writer = reopen_labels(request.output)
        is_growing = request.is_growing and len(writer) < len(stack)
        has_length = is_growing or len(writer) == len(stack)
        if not has_length or writer.geometry.frame_shape != stack.frame_shape:
            writer.close()
            raise ValueError(f"Expected labels of this stack in {request.output}.")
        return writer
    known = {int(each) for palette in predictor.palettes for each in palette.ids}
    known |= labelled.extremes
    if predictor.are_objects:  # there may be many new ones
        known.add(int(np.iinfo(object_dtype(request.output)).max))
    dtype = smallest_dtype(known)
    return create_labels(
        request.output, like=stack, dtype=dtype, overwrite=request.overwrite
    )


def _show(
    steps: Iterator[LabelledFrame | UnreadableFrame],
    frames: WatchedFrames,
    source: str,
) -> tuple[int, set[int]]:
    """Show the progress, and at the end what was done.

    Returns the exit code and the frames that were predicted.
    """
    predicted: set[int] = set()
    code, total = 0, 0
    with tqdm(unit="frame", desc="Predicting") as bar:
        try:
            for step in steps:
                if isinstance(step, UnreadableFrame):
                    frames.unreadable.append(step)
                    total = max(total, len(predicted) + len(frames.unreadable))
                    continue
                total = bar.total = step.total
                if step.done:
                    predicted.add(step.index)
                bar.update(step.done - bar.n)
            code = INCOMPLETE if frames.unreadable else 0
        except KeyboardInterrupt:
            code = INTERRUPTED
        finally:
            bar.close()
            for line in frames.lines():
                warn(line)
            is_done = code == 0 and len(predicted) == total
            say(
                f"{len(predicted)} of {count_of(total, 'frame')} predicted from "
                f"{source}" + ("" if is_done else "; --resume goes on")
            )
    return code, predicted


def _source(predictor: TaskPredictor, labelled: references.LabelledFrames) -> str:
    """Say what a stack was predicted from."""
    parts = []
    if predictor.prompts:
        left_out = len(labelled) - len(predictor.references)
        used = f"{len(predictor.prompts)} of " if left_out else ""
        parts.append(used + count_of(len(predictor.prompts) + left_out, "reference"))
    if predictor.tuned:
        parts.append(count_of(len(predictor.tuned), "tuned prompt"))
    return " and ".join(parts)
