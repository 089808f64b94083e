"""What is noticed of the frames of a stack while they are predicted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import one_line
from napari_seggpt.preprocessing import check_frame, is_flat
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid, Frames

MOST_LINES = 10  # about single frames; a stack may have thousands


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableFrame:
    """A frame of a stack that was left out, and why, in one line.

    Attributes
    ----------
    index : int
        The frame.
    reason : str
        What a person reads.
    error : Exception, optional
        What was raised; not known of a frame that another process has read.
    """

    index: int
    reason: str
    error: Exception | None = field(default=None, compare=False, repr=False)


def read_frame(frames: Frames, index: int) -> NDArray[Any] | UnreadableFrame:
    """Read a frame that is to be predicted; one that cannot be is told of."""
    try:
        frame = frames[index]
        check_frame(frame)
    except DAMAGE as error:
        return UnreadableFrame(index=index, reason=one_line(error), error=error)
    return frame


class WatchedFrames:
    """The frames of a stack, of which those are noted that show nothing.

    Parameters
    ----------
    stack : Frames
        Where frames are read from.
    name : callable, optional
        Returns what people call a frame, if that is not its number.

    Attributes
    ----------
    unreadable : list of UnreadableFrame
        Frames that could not be read, added by whoever is told of them.
    """

    def __init__(self, stack: Frames, name: Callable[[int], str] = str) -> None:
        self._stack = stack
        self._name = name
        self._flat: set[int] = set()
        self.unreadable: list[UnreadableFrame] = []

    @property
    def axis(self) -> str | None:
        """What frames lie along."""
        return getattr(self._stack, "axis", None)

    @property
    def grid(self) -> FrameGrid | None:
        """How frames lie, if the stack tells."""
        return getattr(self._stack, "grid", None)

    @property
    def flat(self) -> list[int]:
        """The frames that show nothing, of those that were read, in order."""
        return sorted(self._flat)

    def __len__(self) -> int:
        return len(self._stack)

    def __getitem__(self, index: int) -> NDArray[Any]:
        frame = self._stack[index]
        if is_flat(frame):
            self._flat.add(index)
        return frame

    def add_flat(self, indices: Iterable[int]) -> None:
        """Note frames that show nothing, which another process has read."""
        self._flat.update(indices)

    def lines(self, most: int = MOST_LINES) -> list[str]:
        """Return what a person should know of these frames, a sentence each.

        Parameters
        ----------
        most : int
            At most so many sentences are about single frames.
        """
        lines = unreadable_lines(self.unreadable, most, self._name)
        if self._flat:
            count = len(self._flat)
            lines.append(
                f"{count} of {count_of(len(self), 'frame')} "
                f"{'shows' if count == 1 else 'show'} nothing, but one value "
                f"everywhere (NaN left out): the first is frame "
                f"{self._name(min(self._flat))}."
            )
        return lines


def unreadable_lines(
    frames: Sequence[UnreadableFrame], most: int, name: Callable[[int], str] = str
) -> list[str]:
    """Say of frames that they are left out, of at most so many one by one."""
    lines = [
        f"Frame {name(each.index)} is left out: {each.reason}" for each in frames[:most]
    ]
    if len(frames) > most:
        lines.append(f"{len(frames)} frames are left out in all.")
    return lines
