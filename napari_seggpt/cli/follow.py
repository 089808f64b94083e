"""`predict --follow`: the frames of a stack that a microscope is still writing."""

from __future__ import annotations

import argparse
import math
import time
from typing import TYPE_CHECKING

from napari_seggpt.cli.arguments import given
from napari_seggpt.cli.reading import opener
from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_seggpt.cli.reading import Reading
    from napari_seggpt.cli.references import LabelledFrames
    from napari_seggpt.inference.labelling import LabelledFrame
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.io import LabelsWriter, Stack
    from napari_seggpt.settings import PropagationSettings


def add_follow(parser: argparse.ArgumentParser) -> None:
    """Add whether frames are waited for."""
    parser.add_argument(
        "--follow",
        type=_seconds,
        nargs="?",
        const=math.inf,
        metavar="SECONDS",
        help="STACK is a folder or zarr to which frames are still added: label each as "
        "it arrives, until none has come for so many seconds (default: until Ctrl-C); "
        "--output is then a .zarr",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return seconds


def check_follow(args: argparse.Namespace) -> None:
    """Refuse flags, and a stack, that do not go with frames that are waited for."""
    from napari_seggpt.io.growing import check_can_grow

    if args.follow is None:
        return
    for flag in ("each", "workers", "scheduler", "labels"):
        if getattr(args, flag):
            raise ValueError(
                f"Expected --reference, --prompt or --task with --follow, got --{flag}."
            )
    for flag, order in given(args, SessionSettings, ("propagation.direction",)).items():
        if order != "forward":
            raise ValueError(f"Expected {flag} forward with --follow, got {order}.")
    if args.output.suffix.lower() != ".zarr":
        raise ValueError(
            f"Expected an --output ending in .zarr with --follow, got {args.output}."
        )
    check_can_grow(args.stack)


def follow(
    path: Path,
    reading: Reading,
    predictor: TaskPredictor,
    output: LabelsWriter,
    labelled: LabelledFrames,
    settings: PropagationSettings,
    patience: float,
) -> Iterator[LabelledFrame | UnreadableFrame]:
    """Label frames as they arrive; `patience` in seconds, as of `follow_stack`."""
    from napari_seggpt.inference.following import follow_stack
    from napari_seggpt.inference.labelling import LabelledFrame, frames_in_range
    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.io.growing import open_growing
    from napari_seggpt.io.zarr_labels import ZarrLabels

    if not isinstance(output, ZarrLabels) or not output.has_frame_chunks:
        raise ValueError(f"Expected an OME-Zarr with one chunk a frame, got {output}.")

    def open_again(found: Path) -> Stack:
        return opener(reading, found, growing=True)()

    frames = open_growing(path, open_again)
    done, last = 0, -1
    for step in follow_stack(
        frames,
        predictor,
        output,
        references=labelled,
        settings=settings,
        patience=None if math.isinf(patience) else patience,
        pause=time.sleep,
    ):
        if isinstance(step, UnreadableFrame):
            yield step
            continue
        done, last = done + 1, max(last, step.index)
        wanted = frames_in_range(len(frames), labelled, settings)
        later = sum(index > last for index in wanted)
        yield LabelledFrame(
            index=step.index, prediction=step.prediction, done=done, total=done + later
        )
