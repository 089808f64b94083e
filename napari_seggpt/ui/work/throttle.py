"""Throttle: calls a function at most once in some time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """Calls a function at once, but not again before some time has passed.

    What is asked for meanwhile is done once, at the end of that time.

    Parameters
    ----------
    function : callable
        What is done.
    interval : int
        Milliseconds.
    parent : QObject, optional
        What the function works on: nothing is done once Qt has deleted it.
    """

    def __init__(
        self,
        function: Callable[[], object],
        interval: int,
        parent: QObject | None = None,
    ) -> None:
        self._function = function
        self._is_wanted = False
        self._timer = QTimer(parent)
        self._timer.setSingleShot(True)
        self._timer.setInterval(interval)
        self._timer.timeout.connect(self._on_timeout)

    def __call__(self, *_: object) -> None:
        """Call the function now, or at the end of the time."""
        if self._timer.isActive():
            self._is_wanted = True
            return
        self._timer.start()
        self._function()

    def stop(self) -> None:
        """Call the function no more."""
        self._timer.stop()
        self._is_wanted = False

    def _on_timeout(self) -> None:
        if self._is_wanted:
            self._is_wanted = False
            self._timer.start()
            self._function()
