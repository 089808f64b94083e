"""Ctrl-C as a wish: what is being done is finished first."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType, TracebackType

INTERRUPTED = 130  # the exit code of a command that was stopped


class StopAtNextStep:
    """Within it, the first Ctrl-C sets `asked`; a second one stops at once."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> StopAtNextStep:
        # Only the main thread may take signals; elsewhere nobody presses Ctrl-C.
        self._is_main = threading.current_thread() is threading.main_thread()
        if self._is_main:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_main:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
