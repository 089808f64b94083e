"""What a stack of frames is, and how a few of its frames are chosen."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")

# What libraries raise, besides their own errors, where a file holds nonsense. Pillow
# tells of a damaged PNG by a SyntaxError.
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError,
    OSError, RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
NUM_CONTRAST_FRAMES = 9  # frames that the contrast of a stack is measured on


class Frames(Protocol):
    """Anything that has a length and gives frames (H, W) or (H, W, C) by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[Any]: ...


def sample_frames(stack: Frames) -> Iterator[NDArray[Any]]:
    """Yield a few frames, evenly spread, from which to measure the contrast.

    Frames that cannot be read are left out; if there are no others, the error of the
    last one is raised.
    """
    found, problem = False, None
    for index in evenly(range(len(stack)), NUM_CONTRAST_FRAMES):
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
