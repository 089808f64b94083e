"""The labelled frames that a command is given, as prompts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.console import warn
from napari_seggpt.cli.reading import add_reading, open_labels, read_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.io import ColorIds, Stack
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings


def add_references(parser: argparse.ArgumentParser) -> None:
    """Add where labelled frames come from, and along which axis frames lie."""
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
        nargs="+",
        action="append",
        default=[],
        metavar=("IMAGE", "LABELS"),
        help="another labelled image, shown with its own contrast, or (one file) a "
        "prompt that tune made; may be repeated",
    )
    add_reading(parser)


def _reference(text: str) -> tuple[int, Path]:
    frame, _, file = text.partition("=")
    if not frame.isdigit() or not file:
        raise argparse.ArgumentTypeError(f"expected FRAME=FILE, got {text!r}")
    return int(frame), Path(file)


def read_prompts(args: argparse.Namespace, stack: Stack) -> list[Prompt]:
    """Make prompts of labelled frames of the stack and of other labelled images."""
    from napari_seggpt.io import ColorIds

    colors = ColorIds()  # the same colour is the same label in all of them
    return [*references_of(args, stack, colors), *other_prompts(args, colors)]


def read_tuned(args: argparse.Namespace) -> list[TunedPrompt]:
    """Read the tuned prompts: single files given to --prompt."""
    from napari_seggpt.prompts import TunedPrompt

    return [TunedPrompt.load(files[0]) for files in args.prompt if len(files) == 1]


def read_files(args: argparse.Namespace) -> list[Path]:
    """Return every file that is read, so that none of them is written over."""
    files = [file for _, file in args.reference]
    files += [file for each in args.prompt for file in each]
    others = (args.labels, getattr(args, "task", None))
    return [args.stack, *files, *(file for file in others if file is not None)]


def references_of(
    args: argparse.Namespace, stack: Stack, colors: ColorIds
) -> list[Prompt]:
    """Make prompts of the labelled frames of the stack."""
    labelled = _labelled_frames(args, stack, colors)
    for index, file in args.reference:
        labelled[index] = read_labels(file, colors)
    missing = [index for index in labelled if not 0 <= index < len(stack)]
    if missing:
        raise ValueError(
            f"Expected reference frames from 0 to {len(stack) - 1}, got {missing[0]}."
        )
    images = _readable(stack, sorted(labelled), "Reference")
    return [_prompt(image, labelled[i], index=i) for i, image in images]


def _prompt(image: Any, labels: Any, *, index: int | None = None) -> Prompt:
    from napari_seggpt.prompts import Prompt

    return Prompt(image=image, labels=labels, index=index)


def _labelled_frames(
    args: argparse.Namespace, stack: Stack, colors: ColorIds
) -> dict[int, Any]:
    if args.labels is None:
        if args.frames:
            raise ValueError("Expected --labels with --frames, got none.")
        return {}
    with open_labels(args, args.labels, colors) as labels:
        if len(labels) != len(stack):
            raise ValueError(
                f"Expected labels of all {len(stack)} frames, got {len(labels)} frames "
                f"in {args.labels}. For single frames use --reference FRAME=FILE."
            )
        if args.frames is None:
            frames = _readable(labels, range(len(labels)), "Label frame")
            return {index: frame for index, frame in frames if frame.any()}
        outside = [index for index in args.frames if not 0 <= index < len(labels)]
        if outside:
            raise ValueError(
                f"Expected --frames from 0 to {len(labels) - 1}, got {outside[0]}."
            )
        # A frame that is named and empty is a reference, too: nothing is there.
        return dict(_readable(labels, args.frames, "Label frame"))


def _readable(
    stack: Stack, frames: Iterable[int], what: str
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield frames that can be read; tells of the others."""
    for index in frames:
        try:
            yield index, stack[index]
        except ValueError as error:
            warn(f"{what} {index} is left out: {error}")


def other_prompts(args: argparse.Namespace, colors: ColorIds) -> list[Prompt]:
    """Make prompts of images that are not in the stack, each with its own contrast."""
    from napari_seggpt.io import read_frame
    from napari_seggpt.preprocessing import measure_limits, to_rgb

    prompts = []
    for files in args.prompt:
        if len(files) == 1:  # a tuned prompt
            continue
        if len(files) > 2:
            raise ValueError(
                "Expected --prompt IMAGE LABELS or a file that tune made, "
                f"got {len(files)} files."
            )
        image_file, labels_file = files
        image = read_frame(image_file)
        rgb = to_rgb(image, measure_limits([image]))
        prompts.append(_prompt(rgb, read_labels(labels_file, colors)))
    return prompts


def advise_tiles(
    args: argparse.Namespace,
    prompts: Sequence[Prompt],
    settings: PredictionSettings,
    config: SegGPTConfig,
) -> PredictionSettings:
    """Say how small objects become in the model's input; 'auto' takes the advice."""
    from napari_seggpt.inference.tiling import suggest_scale, with_tiles

    if not prompts:
        return settings
    side, scale = suggest_scale([prompt.labels for prompt in prompts], config)
    small = f"The smallest labelled objects are {side:.1f} model pixels wide"
    if scale is None or settings.tiling.enabled:
        warn(f"{small} in a whole frame.")
        return settings
    if args.tiles == "auto":
        warn(f"{small}: using tiles of scale {scale}.")
        return with_tiles(settings, scale)
    warn(f"{small} and may be missed: try --tiles {scale}.")
    return settings
