"""BaseRun: frames that are being labelled, in whatever way."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from napari_seggpt.inference.watching import UnreadableFrame, unreadable_lines
from napari_seggpt.io.layout import one_line
from napari_seggpt.session.runs.models import Stoppable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.prepared_frame import PreparedFrame
    from napari_seggpt.session.runs.run import FrameResult, RenamedResult

    Prepare = Callable[[int, NDArray[np.integer[Any]]], PreparedFrame | None]


class BaseRun(Stoppable):
    """Some frames of a stack that are to be labelled.

    Attributes
    ----------
    number : int
        Of the runs of a session, counted from 1.
    frames : tuple of int
        What will be labelled, in ascending order.
    key : bytes
        The references and settings that the frames are labelled with.
    num_written : int
        Frames that `Runs.commit` has written by now.
    num_damaged : int
        Frames that it has left out because their labels cannot be read.
    seconds : list of float
        What each frame took that was handed to `Runs.commit`.
    unreadable : list of UnreadableFrame
        What is left out since it cannot be read: images, and labels.
    is_loaded : bool
        Whether nothing has to be loaded any more.
    num_parts : int
        How many enlarged parts of a frame the model is shown, as objects are small.
    name : callable
        Returns what people call a frame.
    begun : dict of int to NDArray
        Labels (H, W) of frames that a person has begun and asked to be completed.

    Parameters
    ----------
    frames, number, key, begun
        See the attributes.
    prepare : callable, optional
        Computes, in the worker, what is needed to write a frame; see `FrameWriter`.
    """

    def __init__(
        self,
        frames: tuple[int, ...],
        *,
        number: int = 1,
        key: bytes = b"",
        prepare: Prepare | None = None,
        begun: Mapping[int, NDArray[np.integer[Any]]] | None = None,
    ) -> None:
        super().__init__()
        self.number = number
        self.frames = frames
        self.key = key
        self.num_written = self.num_damaged = 0
        self.seconds: list[float] = []
        self.unreadable: list[UnreadableFrame] = []
        self.is_loaded = False
        self.num_parts = 1
        self.name: Callable[[int], str] = str
        self.begun = dict(begun or {})
        self._prepare = prepare
        self._members = frozenset(frames)

    def __contains__(self, frame: object) -> bool:
        return frame in self._members

    def leave_out(self, frame: int, error: Exception) -> None:
        """Note that a frame is left out, and why."""
        self.unreadable.append(UnreadableFrame(index=frame, reason=one_line(error)))

    def lines(self, most: int) -> list[str]:
        """Say what was noticed, of at most so many frames one by one."""
        return unreadable_lines(self.unreadable, most, self.name)

    @abstractmethod
    def results(self) -> Iterator[FrameResult | RenamedResult]:
        """Label the frames, in a worker."""
