"""What the links of the hint line do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.hints import BACK, NEW, PART, PLACE, RESUME, TILES
from napari_seggpt.ui.work.partly_painted import COMPLETE, HINT
from napari_seggpt.ui.work.small_objects import use_tiles

if TYPE_CHECKING:
    from napari_seggpt.ui.work.saved_sessions import SavedSessions
    from napari_seggpt.ui.work.workspace import Workspace

PLUGIN = "napari-seggpt"


class Links:
    """Follows a link that was clicked.

    Parameters
    ----------
    workspace : Workspace
        What is worked on.
    saved_sessions : SavedSessions
        Sessions to resume.
    """

    def __init__(self, workspace: Workspace, saved_sessions: SavedSessions) -> None:
        self._workspace = workspace
        self._saved_sessions = saved_sessions

    def follow(self, link: str) -> None:
        """Do what a link says; one that says nothing else is the name of a sample."""
        if link == RESUME:
            self._saved_sessions.resume()
        elif link == PART:
            self._saved_sessions.show_elsewhere()
        elif link == NEW:
            self._workspace.make_labels()
        elif link == TILES:
            use_tiles(self._workspace)
        elif ":" in link:
            self._answer(*link.split(":"))
        else:
            self._workspace.viewer.open_sample(PLUGIN, link)
            self._show_first_reference()

    def _answer(self, answer: str, about: str) -> None:
        """Do what was answered: about the place, or a frame that is not finished."""
        if answer == PLACE and about == BACK:
            actions.show_place(self._workspace)
        elif answer == PLACE:
            actions.work_at_shown_place(self._workspace)
        elif answer == COMPLETE:
            actions.complete_frame(self._workspace, int(about))
        else:
            actions.use_as_hint(self._workspace, int(about), answer == HINT)

    def _show_first_reference(self) -> None:
        """Go to the labelled frame of a sample, as soon as it is found."""
        active = self._workspace.active
        if active is not None and active.is_scanning:
            active.scanned.connect(self._on_sample)
        else:
            self._on_sample()

    def _on_sample(self) -> None:
        active = self._workspace.active
        used = active.session.references.used_frames if active is not None else []
        if active is not None and used:
            active.scanned.disconnect(self._on_sample, missing_ok=True)
            actions.go_to(self._workspace, used[0])
