"""UncertaintyButton: shows a layer with the places where the model is unsure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.layers.uncertainty_layer import UncertaintyLayer
from napari_seggpt.ui.panels.frame_layer_button import FrameLayerButton
from napari_seggpt.ui.panels.panel import NO_SESSION

if TYPE_CHECKING:
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace


class UncertaintyButton(FrameLayerButton):
    """Shows where the model is unsure of the current frame, while it is down.

    Frames that were not predicted, or changed since, are empty in the layer.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, "Show unsure", _TOGGLE)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.navigation.changed, self.refresh
        yield active.session.frames.statuses_changed, self._on_statuses

    def _new_layer(self, active: LayerSession) -> UncertaintyLayer:
        return UncertaintyLayer(active.labels, active.navigation.current)

    def _why_not(self) -> str:
        session = self._workspace.session
        if session is None:
            return NO_SESSION
        return "" if session.runs.has_confidence_maps else _NOTHING

    def refresh(self, _: object = None) -> None:
        """Show the current frame."""
        session, frame = self._workspace.session, self._workspace.current
        if self._shown is not None and session is not None:
            self._shown.show(frame, session.runs.confidence_map(frame))

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        self._allow()
        if self._workspace.current in frames:
            self.refresh()


_NOTHING = (
    "Of no frame it is known where the model is unsure: runs tell it, until they are "
    "undone or napari is closed."
)
_TOGGLE = (
    "Show where in the current frame the model is unsure, in magenta, in a layer that "
    "follows the frame. Frames that you changed or that were not predicted stay clear."
)
