"""`napari-seggpt info`: what is installed, which models there are, what a stack is."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.arguments import parsed
from napari_seggpt.cli.reading import Reading, add_reading, open_images

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "info",
        help="show versions, models, or what a stack file holds",
        description="Without a stack: versions, devices and models. With one: its "
        "frames, axes and pixel size.",
    )
    parser.add_argument("stack", type=Path, nargs="?")
    add_reading(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was asked for; returns the exit code."""
    reading = parsed(Reading, args)
    print(
        _describe_stack(reading, args.stack) if args.stack else _describe_installation()
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
                f"{stack.name}: {len(stack)} frames along {stack.axis}",
                (
                    f"frame: {height} x {width} px, {stack.num_channels} channel(s), "
                    f"{stack.dtype}"
                ),
                f"pixel size ({stack.axis}, y, x): {', '.join(sizes)}",
            ]
        )


def _describe_installation() -> str:
    from napari_seggpt.inference.device import pick_device
    from napari_seggpt.model.zoo import MODELS, describe

    versions = ", ".join(
        f"{x} {metadata.version(x)}" for x in ("napari-seggpt", "torch")
    )
    lines = [f"{versions}, computing on {pick_device('auto').type}", "models:"]
    return "\n".join([*lines, *(f"  {describe(name)}" for name in MODELS)])
