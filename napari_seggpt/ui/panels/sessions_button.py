"""SessionsButton: the sessions that were saved of an image, to go on with one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu, QToolButton

from napari_seggpt.ui.widgets.controls import allow
from napari_seggpt.ui.work.hints import description

if TYPE_CHECKING:
    from napari_seggpt.session.store.finding import SavedWork
    from napari_seggpt.ui.work.saved_sessions import SavedSessions


class SessionsButton(QToolButton):
    """Lists the sessions of the image, the newest first; it is off without any.

    Parameters
    ----------
    saved_sessions : SavedSessions
        Which sessions there are.
    """

    def __init__(self, saved_sessions: SavedSessions) -> None:
        super().__init__()
        self._saved_sessions = saved_sessions
        self._menu = QMenu(self)
        self.setText("Resume")
        self.setToolTip(_TOOLTIP)
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setMenu(self._menu)
        saved_sessions.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the sessions that there are."""
        sessions = self._saved_sessions.sessions
        self._menu.clear()
        for work in sessions:
            text = description(work) + (" (open)" if work.is_open else "")
            action = self._menu.addAction(
                text.replace("&", "&&")
            )  # no underlined letter
            action.setEnabled(not work.is_open)
            action.triggered.connect(partial(self._resume, work))
        allow(self, "" if sessions else _NO_SESSIONS)

    def _resume(self, work: SavedWork, _: bool = False) -> None:
        self._saved_sessions.resume(work)


_NO_SESSIONS = "No work on this image was saved before."
_TOOLTIP = (
    "Go on with work on this image that was saved, the newest first. What is open now "
    "stays saved, as another session."
)
