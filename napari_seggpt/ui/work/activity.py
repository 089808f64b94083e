"""What napari shows of a job: a bar in its activity, and a notification of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils import cancelable_progress
from napari.utils.notifications import notification_manager, show_error

from napari_seggpt.untrusted import safe_message

if TYPE_CHECKING:
    from collections.abc import Callable


class ProgressBar(cancelable_progress):
    """A bar in napari's activity whose button stops a job."""

    def __init__(self, *, total: int, desc: str, stop: Callable[[], None]) -> None:
        self._stop = stop
        super().__init__(total=total, desc=desc)

    def cancel(self) -> None:
        """Stop the job; napari calls it when its button is pressed."""
        super().cancel()
        self._stop()


def notify(error: Exception) -> None:
    """Show an error; our own and what is expected of users' data need no traceback."""
    is_own = type(error).__module__.startswith("napari_seggpt.")
    if is_own or isinstance(error, (ValueError, OSError)):
        show_error(safe_message(str(error)))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)
