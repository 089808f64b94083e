"""How commands open images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from napari_seggpt.io import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the axes of a file are taken.

    Attributes
    ----------
    axis : str, optional
        The axis that frames lie along.
    at : int
        Index on the other axis.
    level : int
        Resolution level.
    """

    axis: str | None
    at: int
    level: int


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how the axes of a file are taken."""
    parser.add_argument("--axis", help="the axis that frames lie along, as z or t")
    parser.add_argument(
        "--at",
        type=int,
        default=0,
        help="index on the other axis, in data with z and t",
    )
    parser.add_argument("--level", type=int, default=0, help="resolution level")


def open_images(reading: Reading, path: Path) -> Stack:
    """Open a stack as the flags say."""
    from napari_seggpt.io import open_stack

    return open_stack(path, axis=reading.axis, at=reading.at, level=reading.level)


def open_labels(reading: Reading, path: Path) -> Stack:
    """Open labels that have only the axis of the frames, or all axes of the stack."""
    from napari_seggpt.io import StackError, open_stack

    try:
        return open_stack(path, labels=True)
    except StackError:
        return open_stack(path, axis=reading.axis, at=reading.at, labels=True)
