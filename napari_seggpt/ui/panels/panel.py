"""Panel: one step of the work, shown as a section of the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.widgets.controls import FoldingSection

if TYPE_CHECKING:
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

NO_SESSION = "Choose an image and a labels layer first."


class Panel(FoldingSection):
    """A step of the work on the session that is active in a workspace.

    Parameters
    ----------
    title : str
        Of the header.
    workspace : Workspace
        Whose session is shown.
    """

    def __init__(self, title: str, workspace: Workspace) -> None:
        super().__init__(title)
        self._workspace = workspace

    def _listen(self) -> None:
        """Follow the session from now on; called when the panel is built."""
        self._workspace.follow(self._connections)
        self._workspace.active_changed.connect(self.refresh)

    def _connections(self, active: LayerSession) -> Connections:
        """Return the signals of a session to listen to, each with its slot."""
        return ()

    def refresh(self) -> None:
        """Show the session that is active, or that there is none."""

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""

    def release(self) -> None:
        """End work of the panel's own, and let go of viewer and layers."""
