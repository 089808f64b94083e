"""UncertaintyButton: shows a layer with the places where the model is unsure."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.uncertainty_layer import UncertaintyLayer
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.widgets.controls import allow, button

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.utils.events import Event

    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace


class UncertaintyButton:
    """A button, and while it is down a layer that follows the current frame.

    Frames that were not predicted, or changed since, are empty in the layer.

    Attributes
    ----------
    button : QPushButton
        Shows and removes the layer.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._shown: UncertaintyLayer | None = None
        self._layer_session: LayerSession | None = None  # that the layer belongs to
        self.button = button("Show unsure", _TOGGLE, self._on_clicked)
        self.button.setCheckable(True)
        workspace.active_changed.connect(self._on_active)
        workspace.follow(self._connections)
        workspace.viewer.layers.events.removed.connect(self._on_removed)
        self._on_active()

    @property
    def layer(self) -> Image | None:
        """The layer, while it is shown."""
        return self._shown.layer if self._shown is not None else None

    def _connections(self, active: LayerSession) -> Connections:
        yield active.navigation.changed, self.refresh
        yield active.session.frames.statuses_changed, self._on_statuses

    def close(self) -> None:
        """Remove the layer, and let go of the viewer."""
        self._workspace.viewer.layers.events.removed.disconnect(self._on_removed)
        self._remove()

    def refresh(self, _: object = None) -> None:
        """Show the current frame."""
        session, frame = self._workspace.session, self._workspace.current
        if self._shown is not None and session is not None:
            self._shown.show(frame, session.runs.confidence_map(frame))

    # -- the layer -----------------------------------------------------------------

    def _on_clicked(self) -> None:
        if self.button.isChecked():
            self._add()
        else:
            self._remove()

    def _add(self) -> None:
        active = self._workspace.active
        if active is None or self._shown is not None:
            return
        self._layer_session = active
        self._shown = UncertaintyLayer(active.labels, active.navigation.current)
        selection = self._workspace.viewer.layers.selection
        selected = unwrapped(selection.active)
        self._workspace.viewer.add_layer(self._shown.layer)
        selection.active = selected  # who paints goes on painting
        self.refresh()

    def _remove(self) -> None:
        layer, self._shown, self._layer_session = self.layer, None, None
        self.button.setChecked(False)
        self._allow()
        if layer is not None:
            with suppress(ValueError):  # it is gone already
                self._workspace.viewer.layers.remove(layer)

    # -- what happens to session and layers ----------------------------------------

    def _on_active(self) -> None:
        if self._layer_session is not self._workspace.active:
            self._remove()
        self._allow()

    def _allow(self) -> None:
        """Let it be pressed where there is something to show, or to take away."""
        session, why_not = self._workspace.session, ""
        if session is None:
            why_not = NO_SESSION
        elif self._shown is None and not session.runs.has_confidence_maps:
            why_not = _NOTHING
        allow(self.button, why_not)

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        self._allow()
        if self._workspace.current in frames:
            self.refresh()

    def _on_removed(self, event: Event) -> None:
        if self._shown is not None and unwrapped(event.value) is self._shown.layer:
            self._shown = None
            self._remove()


_NOTHING = (
    "Of no frame it is known where the model is unsure: runs tell it, until they are "
    "undone or napari is closed."
)
_TOGGLE = (
    "Show where in the current frame the model is unsure, in magenta, in a layer that "
    "follows the frame. Frames that you changed or that were not predicted stay clear."
)
