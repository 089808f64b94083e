"""What runs have replaced, so that it can be brought back."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_seggpt.session.frames.array_file import ArrayFile, StoredArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.array_file import PackedArray
    from napari_seggpt.session.frames.status import FrameRecord

UNDO_RUNS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedFrame:
    """What a run has replaced in a frame.

    Attributes
    ----------
    record : FrameRecord
        What was known of the frame.
    left : FrameRecord
        What was known of it after that.
    labels : StoredArray
        Where the labels are that were there.
    """

    record: FrameRecord
    left: FrameRecord
    labels: StoredArray

    def is_still_there(self, present: FrameRecord) -> bool:
        """Whether what the run left is as it was, by the present record.

        Undoing a run may leave a person's labels, which redoing it finds again.
        """
        is_same = present.checksum == self.left.checksum
        return present == self.left or (is_same and present.is_untouched)


class UndoStep:
    """What one run has replaced, in a temporary file."""

    def __init__(self) -> None:
        self._frames: dict[int, ReplacedFrame] = {}
        self._file = ArrayFile("undo")

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, frame: int) -> ReplacedFrame:
        return self._frames[frame]

    def __contains__(self, frame: object) -> bool:
        return frame in self._frames

    @property
    def last(self) -> int | None:
        """The frame that was written last, of those remembered."""
        return next(reversed(self._frames), None)

    @contextmanager
    def saving(
        self,
        frame: int,
        labels: PackedArray,
        record: FrameRecord,
        left: FrameRecord,
    ) -> Iterator[None]:
        """Remember a frame while a run writes it; forget it if that fails.

        If a run writes a frame twice, what was there first is what is remembered.

        Parameters
        ----------
        frame : int
            The frame.
        labels : PackedArray
            What was there.
        record : FrameRecord
            What was known of that.
        left : FrameRecord
            What is known of what is written instead.

        Raises
        ------
        OSError
            If it cannot be stored; nothing is written then.
        """
        known = self._frames.get(frame)
        if known is None:
            stored = self._file.write(labels)
            self._frames[frame] = ReplacedFrame(record=record, left=left, labels=stored)
        else:
            self._frames[frame] = replace(known, left=left)
        try:
            yield
        except BaseException:
            if known is None:
                del self._frames[frame]
            else:
                self._frames[frame] = known
            raise

    def load(self, frame: int) -> NDArray[np.integer[Any]]:
        """Return the labels that were there before the run."""
        return self._file.read(self._frames[frame].labels)

    def forget(self, frame: int) -> None:
        """Drop what is remembered of a frame."""
        del self._frames[frame]

    def close(self) -> None:
        """Drop everything."""
        self._frames.clear()
        self._file.close()


class UndoHistory:
    """The steps of the last runs."""

    def __init__(self, size: int = UNDO_RUNS) -> None:
        self._steps: deque[UndoStep] = deque()
        self._size = size

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def last(self) -> UndoStep | None:
        """The step of the last run, if there is one."""
        return self._steps[-1] if self._steps else None

    def add(self, step: UndoStep) -> None:
        """Add the step of a run, unless it replaced nothing; the oldest may go."""
        if not len(step):
            step.close()
            return
        self._steps.append(step)
        while len(self._steps) > self._size:
            self._steps.popleft().close()

    def remove(self, step: UndoStep) -> None:
        """Drop a step."""
        if step in self._steps:
            self._steps.remove(step)
        step.close()

    def close(self) -> None:
        """Drop all steps."""
        while self._steps:
            self._steps.pop().close()
