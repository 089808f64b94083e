"""`napari-seggpt pack`: make training data small enough to travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.console import say

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "pack",
        help="make training data small enough to travel",
        description="Write labelled images as small as `train` takes them into a "
        "folder that `train` reads: to carry them to a machine with a GPU.",
    )
    parser.add_argument(
        "data", type=Path, nargs="+", help="folders with images/ and labels/"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pack; returns the exit code."""
    from napari_seggpt.training.dataset import read_datasets
    from napari_seggpt.training.pack import write_pack

    datasets = [one for folder in args.data for one in read_datasets(folder)]
    num_bytes = write_pack(datasets, args.output)
    say(f"{len(datasets)} data sets, {num_bytes / 2**20:.1f} MiB: {args.output}")
    return 0
