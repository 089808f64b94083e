"""UncertaintyButton: a layer that shows where the model is unsure of a frame."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_seggpt.inference.confidence import map_step
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.layers.new_labels import METADATA_KEY
from napari_seggpt.ui.widgets.controls import button

if TYPE_CHECKING:
    from napari.utils.events import Event
    from numpy.typing import NDArray

    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace

OPACITY = 0.8


class UncertaintyButton:
    """A button, and while it is down a layer of the current frame.

    The layer holds one frame, whatever the length of the stack, and lies where the
    frame does. Frames that were not predicted, or changed since, are empty in it.

    Attributes
    ----------
    button : QPushButton
        Shows and removes the layer.
    layer : Image or None
        The layer, while it is shown.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._layer_session: LayerSession | None = None  # that the layer belongs to
        self.layer: Image | None = None
        self.button = button("Show unsure", _TOGGLE, self._on_clicked)
        self.button.setCheckable(True)
        workspace.active_changed.connect(self._on_active)
        workspace.current_changed.connect(self.refresh)
        workspace.statuses_changed.connect(self._on_statuses)
        workspace.viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Remove the layer, and let go of the viewer."""
        self._workspace.viewer.layers.events.removed.disconnect(self._on_removed)
        self._remove()

    def refresh(self, _: object = None) -> None:
        """Show the current frame."""
        layer, layer_session, session = (
            self.layer,
            self._layer_session,
            self._workspace.session,
        )
        if layer is None or layer_session is None or session is None:
            return
        found = session.confidence_map(self._workspace.current)
        if found is not None:
            layer.data = _shaped(255 - found, layer_session)
            layer.translate = _place(layer_session, self._workspace.current)
        elif layer.data.any():
            layer.data = np.zeros_like(layer.data)
        layer.editable = False  # napari switches it on with new data

    # -- the layer -----------------------------------------------------------------

    def _on_clicked(self) -> None:
        if self.button.isChecked():
            self._add()
        else:
            self._remove()

    def _add(self) -> None:
        layer_session = self._workspace.active
        if layer_session is None or self.layer is not None:
            return
        self._layer_session, self.layer = (
            layer_session,
            _new_layer(layer_session, self._workspace.current),
        )
        selection = self._workspace.viewer.layers.selection
        active = unwrapped(selection.active)
        self._workspace.viewer.add_layer(self.layer)
        selection.active = active  # who paints goes on painting
        self.refresh()

    def _remove(self) -> None:
        layer, self.layer, self._layer_session = self.layer, None, None
        self.button.setChecked(False)
        if layer is not None:
            with suppress(ValueError):  # it is gone already
                self._workspace.viewer.layers.remove(layer)

    # -- news ----------------------------------------------------------------------

    def _on_active(self) -> None:
        self.button.setEnabled(self._workspace.active is not None)
        if self._layer_session is not self._workspace.active:
            self._remove()

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        if self._workspace.current in frames:
            self.refresh()

    def _on_removed(self, event: Event) -> None:
        if self.layer is not None and unwrapped(event.value) is self.layer:
            self.layer = None
            self._remove()


def _new_layer(layer_session: LayerSession, frame: int) -> Image:
    labels = layer_session.labels.layer
    height, width = layer_session.labels.frame_shape
    step = map_step((height, width))
    empty = np.zeros((-(-height // step), -(-width // step)), np.uint8)
    return Image(
        _shaped(empty, layer_session),
        name=f"{layer_session.labels.name} uncertainty",
        metadata={METADATA_KEY: {"uncertainty_of": layer_session.labels.name}},
        colormap="magenta",
        blending="additive",
        opacity=OPACITY,
        contrast_limits=(0, 255),
        scale=labels.scale * _steps(layer_session),
        translate=_place(layer_session, frame),
        rotate=labels.rotate,
        shear=labels.shear,
        affine=labels.affine,
        units=labels.units,
        axis_labels=labels.axis_labels,
    )


def _shaped(
    values: NDArray[np.uint8], layer_session: LayerSession
) -> NDArray[np.uint8]:
    """Give a picture (h, w) the axes of the labels, of length 1."""
    sides = iter(values.shape)
    place = layer_session.labels.axes.index(0)
    return values.reshape([next(sides) if isinstance(x, slice) else 1 for x in place])


def _steps(layer_session: LayerSession) -> NDArray[np.float64]:
    """Return, of each axis, the pixels of the labels that one of the layer covers."""
    step = map_step(layer_session.labels.frame_shape)
    place = layer_session.labels.axes.index(0)
    return np.array([step if isinstance(x, slice) else 1 for x in place], float)


def _place(layer_session: LayerSession, frame: int) -> Any:
    """Return where the first pixel of the layer lies when it shows a frame."""
    middle = (_steps(layer_session) - 1) / 2  # pixels are counted by their centres
    at = [
        0 if isinstance(x, slice) else x for x in layer_session.labels.axes.index(frame)
    ]
    return layer_session.labels.layer._transforms["data2physical"](middle + at)


_TOGGLE = (
    "Show where in the current frame the model is unsure, in magenta, in a layer that "
    "follows the frame. Frames that you changed or that were not predicted stay clear."
)
