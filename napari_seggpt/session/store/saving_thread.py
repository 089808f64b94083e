"""The thread that writes a session into its folder while a person works on it."""

from __future__ import annotations

import threading
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_seggpt.session.frames.frame_labels import checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.store.contents import About
    from napari_seggpt.session.store.folder import SessionStore
    from napari_seggpt.session.store.state import SessionState

    Waiting = tuple[NDArray[np.integer[Any]], FrameRecord]

CHECK_SECONDS = 2.0  # between looks at whether the folder is still there


class SavingThread:
    """Writes copies of frames on a thread of its own, the newest frame first.

    It never calls the session, which is used on another thread: whoever saves asks what
    has failed.

    Parameters
    ----------
    store : SessionStore
        Where all is written.

    Attributes
    ----------
    is_gone : bool
        Whether somebody has removed the folder that was there.
    """

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self._state: tuple[SessionState, About] | None = None
        self._waiting: dict[int, Waiting] = {}
        self._failures: deque[tuple[int | None, str]] = deque()
        self._unheard: list[int] = []
        self._is_writing = False
        self._has_ended = False
        self._was_there = store.is_there  # a new one is not, until its state is written
        self.is_gone = False
        self._condition = threading.Condition()
        self._thread = threading.Thread(
            target=self._work, name="napari-seggpt autosave", daemon=True
        )
        self._thread.start()

    def __len__(self) -> int:
        with self._condition:
            waiting = len(self._waiting) + (self._state is not None)
            problems = len(self._failures) + len(self._unheard)
            return waiting + self._is_writing + problems

    @property
    def num_bytes(self) -> int:
        """How much memory the copies take that wait."""
        with self._condition:
            return sum(labels.nbytes for labels, _ in self._waiting.values())

    def add_state(self, state: SessionState, about: About) -> None:
        """Have written what is known beside the frames, before them."""
        with self._condition:
            self._state = (state, about)
            self._condition.notify_all()

    def add(
        self, frame: int, labels: NDArray[np.integer[Any]], record: FrameRecord
    ) -> None:
        """Have a frame written; the last copy of it that waits is dropped."""
        with self._condition:
            self._waiting.pop(frame, None)
            self._waiting[frame] = (labels, record)
            self._condition.notify_all()

    def take_failures(self) -> Iterable[tuple[int | None, str]]:
        """Return the frames that could not be written, None for the head, and why."""
        with self._condition:
            failures, self._failures = self._failures, deque()
        return failures

    def take_unheard(self) -> list[int]:
        """Return the frames whose labels were others than their records tell."""
        with self._condition:
            frames, self._unheard = self._unheard, []
        return frames

    def wait(self, seconds: float) -> None:
        """Wait until nothing waits to be written."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_busy, seconds)

    @property
    def _is_busy(self) -> bool:
        return bool(self._waiting) or self._state is not None or self._is_writing

    def stop(self, seconds: float) -> None:
        """End after the present frame, and wait for that so long."""
        with self._condition:
            self._has_ended = True
            self._condition.notify_all()
        self._thread.join(seconds)

    def _work(self) -> None:
        while (task := self._next()) is not None:
            frame, write = task
            try:
                write()
                self._was_there = self._was_there or frame is None
            except Exception as error:  # noqa: BLE001 (told on the other thread)
                self._failures.append((frame, str(error) or type(error).__name__))
                self.look_for_folder()
            finally:
                with self._condition:
                    self._is_writing = False
                    self._condition.notify_all()

    def look_for_folder(self) -> None:
        """Notice that somebody has removed the folder."""
        self.is_gone = self._was_there and not self._store.is_there

    def _wait_for_work(self) -> bool:
        """Wait a while; return whether there is something to write, or the end."""
        with self._condition:
            return bool(
                self._condition.wait_for(
                    lambda: self._waiting or self._state is not None or self._has_ended,
                    CHECK_SECONDS,
                )
            )

    def _next(self) -> tuple[int | None, Callable[[], None]] | None:
        """Wait for something to write; None at the end."""
        while not self._wait_for_work():
            self.look_for_folder()
        with self._condition:
            if self._has_ended:
                return None
            self._is_writing = True
            state, self._state = self._state, None
            if state is not None:
                return None, partial(self._store.write_state, *state)
            frame = next(reversed(self._waiting))
            copy = self._waiting.pop(frame)
            return frame, partial(self._write_frame, frame, *copy)

    def _write_frame(
        self, frame: int, labels: NDArray[np.integer[Any]], record: FrameRecord
    ) -> None:
        self._store.write_frame(frame, labels, record)
        if checksum(labels) != record.checksum:  # somebody wrote and told nobody
            with self._condition:
                self._unheard.append(frame)
