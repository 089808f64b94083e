"""How commands open images and labels, and say what they were taken for."""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.console import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.io import ColorIds, Stack
    from napari_seggpt.session.store.results import SessionLabels

CHANNELS = {"yes": True, "no": False}
MOST_CHANNELS = 3  # the model sees no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the axes and images of a file are taken.

    Attributes
    ----------
    axis : str, optional
        The axis that frames lie along.
    at : int
        Index on the other axis.
    level : int
        Resolution level.
    series : int, optional
        Which image of a file that holds several.
    channels : bool or tuple of int, optional
        Whether what may be channels is that, or which channels are read.
    """

    axis: str | None
    at: int
    level: int
    series: int | None
    channels: bool | tuple[int, ...] | None

    def shown(self, image: NDArray[Any], path: Path) -> NDArray[Any]:
        """Return an image (H, W) or (H, W, C) with the channels that are read.

        Raises
        ------
        ValueError
            If it has other channels than these.
        """
        if not isinstance(self.channels, tuple) or image.ndim == 2:
            return image
        if max(self.channels) >= image.shape[2]:
            raise ValueError(
                f"Expected channel {max(self.channels)} in {path.name}, got "
                f"{image.shape[2]} channels."
            )
        return image[..., list(self.channels)]


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how the axes and images of a file are taken."""
    group = parser.add_argument_group("reading")
    group.add_argument(
        "--axis",
        help="the axis that frames lie along, as z, t or c; tz for both (predict, "
        "export): frames are then counted volume after volume",
    )
    group.add_argument(
        "--at",
        type=int,
        default=0,
        metavar="INDEX",
        help="index on the other axis, in data with z and t",
    )
    group.add_argument(
        "--level", type=int, default=0, metavar="N", help="resolution level, 0 the best"
    )
    group.add_argument(
        "--series",
        type=int,
        metavar="N",
        help="which image of a file that holds several (default: all pages that are "
        "alike, or the first image)",
    )
    group.add_argument(
        "--channels",
        type=_channels,
        metavar="{yes,no,N[,N[,N]]}",
        help="is what may be channels or colours that (yes), or frames (no)? Or which "
        "channels the model sees, counted from 0: at most three, shown to it as red, "
        "green and blue (default: as napari shows it, and it is said)",
    )


def _channels(text: str) -> bool | list[int]:
    if text in CHANNELS:
        return CHANNELS[text]
    numbers = text.split(",")
    if not all(map(str.isdecimal, numbers)) or len(numbers) > MOST_CHANNELS:
        raise argparse.ArgumentTypeError(
            f"expected yes, no, or one to {MOST_CHANNELS} channels as 0,2, got {text!r}"
        )
    return [int(number) for number in numbers]


def open_images(
    reading: Reading, path: Path, *, labels: bool = False, growing: bool = False
) -> Stack:
    """Open a stack as the flags say; tells what a person should know of the reading.

    `growing` is as of `open_stack`.
    """
    stack = opener(reading, path, labels=labels, growing=growing)()
    _tell_notes(stack)
    return stack


def opener(
    reading: Reading, path: Path, *, labels: bool = False, growing: bool = False
) -> Callable[[], Stack]:
    """Return what opens a stack as the flags say, also in another process.

    `growing` is as of `open_stack`.
    """
    from napari_seggpt.io import open_stack

    return partial(
        open_stack,
        path.resolve(),
        axis=reading.axis,
        at=reading.at,
        level=reading.level,
        series=reading.series,
        channels=reading.channels,
        labels=labels,
        growing=growing,
    )


def open_labels(reading: Reading, path: Path, colors: ColorIds) -> Stack:
    """Open labels that have only the axis of the frames, or all axes of the stack.

    `colors` are those of all labels that the command reads.
    """
    from napari_seggpt.io import StackError, open_stack

    try:
        stack = open_stack(path, labels=True, colors=colors)
    except StackError:
        stack = open_stack(
            path, axis=reading.axis, at=reading.at, labels=True, colors=colors
        )
    _tell_notes(stack)
    return stack


@contextmanager
def opened_result(
    reading: Reading, path: Path, images: Stack | None = None
) -> Iterator[Stack | SessionLabels]:
    """Open labels of all frames: a file, or a session that the dock has saved.

    With `images` the flags say how these are read; see `_open_labels_of`.
    """
    from napari_seggpt.session.store.results import SessionLabels, is_session

    if is_session(path):
        yield SessionLabels(path)
        return
    if images is None:
        stack = open_images(reading, path, labels=True)
    else:
        stack = _open_labels_of(images, reading, path)
    with stack:
        yield stack


def _open_labels_of(images: Stack, reading: Reading, path: Path) -> Stack:
    """Open labels by those flags of their images with which they fit the frames.

    They may have all axes and levels of the images, as the flags choose from these, or
    those of the frames only, as what is predicted has. If nothing fits, they are opened
    by the fewest flags that can be.
    """
    from napari_seggpt.io import StackError

    plain = replace(reading, level=0, series=None, channels=None)
    own = replace(plain, axis=None, at=0)
    found = None
    for flags in dict.fromkeys((replace(reading, channels=None), plain, own)):
        try:
            stack = opener(flags, path, labels=True)()
        except StackError as error:
            reason = error
            continue
        if found is not None:
            found.close()
        found = stack
        if (len(stack), stack.frame_shape) == (len(images), images.frame_shape):
            break
    if found is None:
        raise reason
    _tell_notes(found)
    return found


def read_labels(
    path: Path, colors: ColorIds, told: set[str] | None = None
) -> NDArray[np.integer[Any]]:
    """Read the labels of a single frame; `colors` as of `open_labels`.

    `told` are the lines that were printed about it when it was read before.
    """
    from napari_seggpt.io import open_stack

    with open_stack(path, labels=True, colors=colors) as stack:
        _tell_notes(stack, told)
        if len(stack) != 1:
            raise ValueError(f"Expected one frame in {path}, got {len(stack)}.")
        return stack[0]


def _tell_notes(stack: Stack, told: set[str] | None = None) -> None:
    """Print what a person should know of how a stack is read, and was not told."""
    told = set() if told is None else told
    for line in [f"{stack.name}: {note}." for note in stack.notes]:
        if line not in told:
            told.add(line)
            warn(line)
