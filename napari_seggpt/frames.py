"""What a stack of frames is, how frames lie in it, and how a few are chosen."""

from __future__ import annotations

import operator
import struct
import zlib
from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from numpy.typing import NDArray

T = TypeVar("T")

# What libraries raise, besides their own errors, where a file holds nonsense. Pillow
# tells of a damaged PNG by a SyntaxError, and a codec of a negative length by a
# SystemError.
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError,
    OSError, RuntimeError, SyntaxError, SystemError, TypeError, ValueError,
    struct.error, zlib.error,
)  # fmt: skip
NUM_CONTRAST_FRAMES = 9  # frames that the contrast of a stack is measured on


class Frames(Protocol):
    """Anything that has a length and gives frames (H, W) or (H, W, C) by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGrid:
    """How the frames of a stack lie along two axes, such as time and depth.

    Frames are numbered row by row. In a run they follow each other along one of the
    axes, in lines: the last slice of a volume and the first one of the next are no
    neighbours. A stack of one axis is a single row.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns.
    names : tuple of str
        Of the axis from row to row and that from column to column.
    axis : int
        The axis that lines run along: 1 if rows are lines, 0 if columns are.
    """

    shape: tuple[int, int]
    names: tuple[str, str] = ("", "")
    axis: int = 1

    @classmethod
    def row(cls, length: int) -> Self:
        """Return how frames lie along a single axis."""
        return cls(shape=(1, length))

    def along(self, axis: int) -> Self:
        """Return the same frames with lines along an axis, 0 or 1."""
        return replace(self, axis=axis if self.has_two_axes else 1)

    @property
    def has_two_axes(self) -> bool:
        """Whether there is more than one row."""
        return self.shape[0] > 1

    @property
    def line_length(self) -> int:
        """Number of frames in a line."""
        return self.shape[self.axis]

    def line(self, frame: int) -> int:
        """Return the line that a frame lies in."""
        return self._spot(frame)[1 - self.axis]

    def place(self, frame: int) -> int:
        """Return the place of a frame in its line."""
        return self._spot(frame)[self.axis]

    def spacing(self, step: int) -> int:
        """Return how many places apart frames of a line are, if every so many count.

        Parameters
        ----------
        step : int
            Every how many frames of the stack one is meant, row by row.
        """
        return step if self.axis == 1 else step // gcd(step, self.shape[1])

    def frame_at(self, line: int, place: int) -> int:
        """Return the frame at a place of a line."""
        row, column = (line, place) if self.axis == 1 else (place, line)
        return row * self.shape[1] + column

    def frames_of(self, line: int) -> range:
        """Return the frames of a line, in ascending order."""
        if self.axis == 1:
            return range(line * self.shape[1], (line + 1) * self.shape[1])
        return range(line, self.shape[0] * self.shape[1], self.shape[1])

    def distance(self, frame: int, other: int) -> int:
        """Return how many steps along the axes lead from one frame to another."""
        pairs = zip(self._spot(frame), self._spot(other), strict=True)
        return sum(abs(one - two) for one, two in pairs)

    def distances_to(self, frames: Sequence[int]) -> Callable[[int], int]:
        """Return what tells how far a frame is from the reach of others on both axes.

        Parameters
        ----------
        frames : sequence of int
            At least one.
        """
        spots = [self._spot(frame) for frame in frames]
        reach = [(min(places), max(places)) for places in zip(*spots, strict=True)]

        def distance(frame: int) -> int:
            pairs = zip(self._spot(frame), reach, strict=True)
            return sum(max(low - at, at - high, 0) for at, (low, high) in pairs)

        return distance

    def name(self, frame: int) -> str:
        """Return what people call a frame: "12" or, of two axes, "t 3, z 12"."""
        if not self.has_two_axes:
            return str(frame)
        return ", ".join(
            f"{name} {place}" if len(name) == 1 else f"{name} at {place}"
            for name, place in zip(self.names, self._spot(frame), strict=True)
        )

    def short_name(self, frame: int) -> str:
        """Return the name of a frame, or of axes with long names the places only."""
        is_long = self.has_two_axes and max(map(len, self.names)) > 1
        return ", ".join(map(str, self._spot(frame))) if is_long else self.name(frame)

    def _spot(self, frame: int) -> tuple[int, int]:
        """Return row and column of a frame; a single row may be longer than it says."""
        return divmod(frame, self.shape[1]) if self.has_two_axes else (0, frame)


def sample_frames(
    stack: Frames, among: Sequence[int] | None = None
) -> Iterator[NDArray[Any]]:
    """Yield a few frames, evenly spread, from which to measure the contrast.

    Frames that cannot be read are left out; if there are no others, the error of the
    last one is raised.

    Parameters
    ----------
    stack : Frames
        The images.
    among : sequence of int, optional
        The frames to choose from; all by default.
    """
    found, problem = False, None
    indices = range(len(stack)) if among is None else among
    for index in evenly(indices, NUM_CONTRAST_FRAMES):
        try:
            frame = stack[index]
        except DAMAGE as error:
            problem = error
            continue
        found = True
        yield frame
    if problem is not None and not found:
        raise problem


def evenly(items: Sequence[T], count: int) -> list[T]:
    """Choose at most `count` of some items, evenly spread from the first to the last.

    Parameters
    ----------
    items : sequence
        All that there are, in order.
    count : int
        How many are wanted; of a single one the first item is chosen.
    """
    if len(items) <= count:
        return list(items)
    if count < 2:
        return list(items[: max(0, count)])
    last = len(items) - 1
    return [items[place * last // (count - 1)] for place in range(count)]


def frame_index(index: int, length: int) -> int:
    """Return `index` counted from the start.

    Raises
    ------
    IndexError
        If it lies outside of `length`.
    """
    number = operator.index(index)
    if not -length <= number < length:
        raise IndexError(f"Expected a frame from 0 to {length - 1}, got {number}.")
    return number % length
