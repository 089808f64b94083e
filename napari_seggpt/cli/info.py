"""`napari-seggpt info`: what is installed, which models there are, what a stack is."""

from __future__ import annotations

import textwrap
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import parsed
from napari_seggpt.cli.console import say
from napari_seggpt.cli.reading import Reading, add_reading, open_images
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse

WIDTH = 88  # characters
GOOD_FOR = {
    "builtin": (
        "Cells, nuclei, bacteria, polyps and membranes, on a laptop without a GPU. "
        "Organs that are known by their place rather than their look are better "
        "followed by other means. The documentation has figures, set by set."
    ),
    "seggpt-vit-large": (
        "Photographs and videos of everyday things, as in the paper, whose tables "
        "`paper` measures. Large: made for GPUs, some 13 s a frame on 2 CPU cores. "
        "float32 is exact; with bfloat16 0.16 to 0.27 % of a mask's pixels were "
        "others, where that was measured."
    ),
}
GOOD_FOR["seggpt-vit-large-hf"] = f"The same network. {GOOD_FOR['seggpt-vit-large']}"


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info",
        help="show versions, models, or what a stack file holds",
        description="Without a stack: versions, devices and models, and what each is "
        "good for. With one: its frames, axes and pixel size.",
    )
    parser.add_argument("stack", type=Path, nargs="?")
    add_reading(parser)
    parser.add_argument(
        "--speed",
        action="store_true",
        help="measure how long the models on this computer take for a frame",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was asked for; returns the exit code."""
    reading = parsed(Reading, args)
    say(
        _describe_stack(reading, args.stack)
        if args.stack
        else _describe_installation(speed=args.speed)
    )
    return 0


def _describe_stack(reading: Reading, path: Path) -> str:
    with open_images(reading, path) as stack:
        height, width = stack.frame_shape
        sizes = (
            f"{size:g} {unit}"
            for size, unit in zip(stack.pixel_size, stack.units, strict=True)
        )
        return "\n".join(
            [
                f"{stack.name}: {count_of(len(stack), 'frame')} along {stack.axis}",
                (
                    f"frame: {height} x {width} px, "
                    f"{count_of(stack.num_channels, 'channel')}, "
                    f"{stack.dtype}"
                ),
                f"pixel size ({stack.axis}, y, x): {', '.join(sizes)}",
            ]
        )


def _describe_installation(*, speed: bool) -> str:
    from napari_seggpt.inference.device import pick_device
    from napari_seggpt.inference.seg_type import choose_seg_type
    from napari_seggpt.model.config import SMALL, VIT_LARGE
    from napari_seggpt.model.zoo import MODELS, describe

    versions = ", ".join(
        f"{x} {metadata.version(x)}" for x in ("napari-seggpt", "torch")
    )
    lines = [f"{versions}, computing on {pick_device('auto').type}", "models:"]
    for name, card in MODELS.items():
        config = SMALL if card.repo is None else VIT_LARGE
        facts = (
            f"good for: {GOOD_FOR[name]}",
            f"type embedding: {choose_seg_type('auto', config)}, unless told otherwise",
            f"speed here: {_speed(name) if speed else 'info --speed measures it'}",
        )
        lines.append(f"  {describe(name)}")
        for fact in facts:
            lines += textwrap.wrap(
                fact, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6
            )
    return "\n".join(lines)


def _speed(name: str) -> str:
    from napari_seggpt.evaluation.benchmarks.speed import SIDE, seconds_a_frame
    from napari_seggpt.model.zoo import locate

    if locate(name) is None:
        return "not on this computer yet"
    seconds, device = seconds_a_frame(arguments.load_named_model(name))
    return f"{seconds:.2g} s a frame of {SIDE} x {SIDE} px with one prompt ({device})"
