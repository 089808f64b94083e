"""FrameLayerButton: while it is down, a layer shows something of the current frame."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.navigation import PLACING
from napari_seggpt.ui.widgets.controls import allow, button

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event

    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace


class FrameLayer(Protocol):
    """What shows something of one frame in a layer of its own."""

    @property
    def layer(self) -> Layer:
        """The layer."""

    def show(self, frame: int, found: Any) -> None:
        """Show what was found of a frame; None for nothing."""

    def follow(self) -> None:
        """Lie where the labels do, after these were moved."""


class FrameLayerButton:
    """A button, and while it is down a layer that follows the current frame.

    Parameters
    ----------
    workspace : Workspace
        Whose frames are shown.
    text, tooltip : str
        Of the button.

    Attributes
    ----------
    button : QPushButton
        Shows and removes the layer.
    """

    def __init__(self, workspace: Workspace, text: str, tooltip: str) -> None:
        self._workspace = workspace
        self._shown: FrameLayer | None = None
        self._layer_session: LayerSession | None = None  # that the layer belongs to
        self.button = button(text, tooltip, self._on_clicked)
        self.button.setCheckable(True)
        workspace.active_changed.connect(self._on_active)
        workspace.follow(self._connections)
        workspace.follow(self._placing)
        workspace.viewer.layers.events.removed.connect(self._on_removed)
        self._on_active()

    @property
    def layer(self) -> Layer | None:
        """The layer, while it is shown."""
        return self._shown.layer if self._shown is not None else None

    # -- what there is to show -------------------------------------------------------

    def _connections(self, active: LayerSession) -> Connections:
        """Return what is followed in a session."""
        raise NotImplementedError

    def _new_layer(self, active: LayerSession) -> FrameLayer:
        """Make the layer, on the current frame."""
        raise NotImplementedError

    def _why_not(self) -> str:
        """Say why nothing can be shown; empty if it can."""
        raise NotImplementedError

    def refresh(self, _: object = None) -> None:
        """Show the current frame."""
        raise NotImplementedError

    # -- the layer -------------------------------------------------------------------

    def close(self) -> None:
        """Remove the layer, and let go of the viewer."""
        self._workspace.viewer.layers.events.removed.disconnect(self._on_removed)
        self._remove()

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
        self._shown = self._new_layer(active)
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

    def _placing(self, active: LayerSession) -> Connections:
        """Return what tells that the labels of a session lie elsewhere."""
        for name in PLACING:
            yield active.labels.layer.events[name], self._on_placed

    def _on_placed(self, _: object = None) -> None:
        if self._shown is not None:
            self._shown.follow()

    def _allow(self, _: object = None) -> None:
        """Let it be pressed where there is something to show, or to take away."""
        allow(self.button, "" if self._shown is not None else self._why_not())

    def _on_active(self) -> None:
        if self._layer_session is not self._workspace.active:
            self._remove()
        self._allow()

    def _on_removed(self, event: Event) -> None:
        if self._shown is not None and unwrapped(event.value) is self._shown.layer:
            self._shown = None
            self._remove()
