"""SliderFollower: the work goes along when the viewer's sliders go to another place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.work.actions import work_at_shown_place
from napari_seggpt.ui.work.places_left import place_left

if TYPE_CHECKING:
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.saved_sessions import SavedSessions
    from napari_seggpt.ui.work.workspace import Workspace

REST_MS = 300  # that sliders rest, before the work goes along


class SliderFollower:
    """Works at the place on fixed axes that the viewer shows, once its sliders rest.

    Frames lie at one index of each fixed axis, so that another index is other work. A
    run that is on is not left: the hint line then says what is shown. Nor is a session
    that is being resumed; the work goes along after that.

    Parameters
    ----------
    workspace : Workspace
        What is worked on.
    saved_sessions : SavedSessions
        Resumes sessions.
    """

    def __init__(self, workspace: Workspace, saved_sessions: SavedSessions) -> None:
        self._workspace = workspace
        self._saved_sessions = saved_sessions
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._follow)
        workspace.viewer.dims.events.point.connect(self._on_moved)
        saved_sessions.changed.connect(self._on_moved)

    def close(self) -> None:
        """Follow no longer."""
        self._timer.stop()
        self._workspace.viewer.dims.events.point.disconnect(self._on_moved)
        self._saved_sessions.changed.disconnect(self._on_moved, missing_ok=True)

    def _on_moved(self, event: object = None) -> None:
        active = self._workspace.active
        if active is not None and place_left(active) is not None:
            self._timer.start()

    def _follow(self) -> None:
        active = self._workspace.active
        if active is None or active.is_busy or place_left(active) is None:
            return
        if self._saved_sessions.is_resuming:
            return
        work_at_shown_place(self._workspace)
        if self._workspace.active is not active and _is_untouched(active):
            self._workspace.close_session(active)


def _is_untouched(left: LayerSession) -> bool:
    """Whether nothing is known of a session that would be missed."""
    session = left.session
    is_empty = session.frames.count(FrameStatus.EMPTY) == len(session)
    return is_empty and not session.references.all and session.references.tuned is None
