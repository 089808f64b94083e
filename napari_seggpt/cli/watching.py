"""What is noticed of the frames of a stack while they are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.console import warn
from napari_seggpt.preprocessing import is_flat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_seggpt.inference.propagation import UnreadableFrame
    from napari_seggpt.io import Stack

MOST_LINES = 10  # about single frames; a stack may have thousands


class WatchedFrames:
    """The frames of a stack, of which those are noted that show nothing.

    Parameters
    ----------
    stack : Stack
        Where frames are read from.

    Attributes
    ----------
    unreadable : list of UnreadableFrame
        Frames that could not be read, added by whoever is told of them.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._flat: set[int] = set()
        self.unreadable: list[UnreadableFrame] = []

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

    def tell(self) -> None:
        """Print what a person should know of these frames."""
        for frame in self.unreadable[:MOST_LINES]:
            warn(f"Frame {frame.index} is left out: {frame.reason}")
        if len(self.unreadable) > MOST_LINES:
            warn(f"{len(self.unreadable)} frames are left out in all.")
        if self._flat:
            first = min(self._flat)
            warn(
                f"{len(self._flat)} of {len(self)} frames show nothing, but one value "
                f"everywhere (NaN left out): the first is frame {first}."
            )
