"""Uncertainty: a layer that shows where in the current frame the model is unsure."""

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

    from napari_seggpt.ui.work.dock_state import Workbench
    from napari_seggpt.ui.work.layer_session import Desk

OPACITY = 0.8


class Uncertainty:
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

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._desk: Desk | None = None  # that the layer belongs to
        self.layer: Image | None = None
        self.button = button("Show unsure", _TOGGLE, self._on_clicked)
        self.button.setCheckable(True)
        bench.desk_changed.connect(self._on_desk)
        bench.current_changed.connect(self.refresh)
        bench.statuses_changed.connect(self._on_statuses)
        bench.viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Remove the layer, and let go of the viewer."""
        self._bench.viewer.layers.events.removed.disconnect(self._on_removed)
        self._remove()

    def refresh(self, _: object = None) -> None:
        """Show the current frame."""
        layer, desk, session = self.layer, self._desk, self._bench.session
        if layer is None or desk is None or session is None:
            return
        found = session.confidence_map(self._bench.current)
        if found is not None:
            layer.data = _shaped(255 - found, desk)
            layer.translate = _place(desk, self._bench.current)
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
        desk = self._bench.desk
        if desk is None or self.layer is not None:
            return
        self._desk, self.layer = desk, _new_layer(desk, self._bench.current)
        selection = self._bench.viewer.layers.selection
        active = unwrapped(selection.active)
        self._bench.viewer.add_layer(self.layer)
        selection.active = active  # who paints goes on painting
        self.refresh()

    def _remove(self) -> None:
        layer, self.layer, self._desk = self.layer, None, None
        self.button.setChecked(False)
        if layer is not None:
            with suppress(ValueError):  # it is gone already
                self._bench.viewer.layers.remove(layer)

    # -- news ----------------------------------------------------------------------

    def _on_desk(self) -> None:
        self.button.setEnabled(self._bench.desk is not None)
        if self._desk is not self._bench.desk:
            self._remove()

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        if self._bench.current in frames:
            self.refresh()

    def _on_removed(self, event: Event) -> None:
        if self.layer is not None and unwrapped(event.value) is self.layer:
            self.layer = None
            self._remove()


def _new_layer(desk: Desk, frame: int) -> Image:
    labels = desk.labels.layer
    height, width = desk.labels.frame_shape
    step = map_step((height, width))
    empty = np.zeros((-(-height // step), -(-width // step)), np.uint8)
    return Image(
        _shaped(empty, desk),
        name=f"{desk.labels.name} uncertainty",
        metadata={METADATA_KEY: {"uncertainty_of": desk.labels.name}},
        colormap="magenta",
        blending="additive",
        opacity=OPACITY,
        contrast_limits=(0, 255),
        scale=labels.scale * _steps(desk),
        translate=_place(desk, frame),
        rotate=labels.rotate,
        shear=labels.shear,
        affine=labels.affine,
        units=labels.units,
        axis_labels=labels.axis_labels,
    )


def _shaped(values: NDArray[np.uint8], desk: Desk) -> NDArray[np.uint8]:
    """Give a picture (h, w) the axes of the labels, of length 1."""
    sides = iter(values.shape)
    place = desk.labels.axes.index(0)
    return values.reshape([next(sides) if isinstance(x, slice) else 1 for x in place])


def _steps(desk: Desk) -> NDArray[np.float64]:
    """Return, of each axis, the pixels of the labels that one of the layer covers."""
    step = map_step(desk.labels.frame_shape)
    place = desk.labels.axes.index(0)
    return np.array([step if isinstance(x, slice) else 1 for x in place], float)


def _place(desk: Desk, frame: int) -> Any:
    """Return where the first pixel of the layer lies when it shows a frame."""
    middle = (_steps(desk) - 1) / 2  # pixels are counted by their centres
    at = [0 if isinstance(x, slice) else x for x in desk.labels.axes.index(frame)]
    return desk.labels.layer._transforms["data2physical"](middle + at)


_TOGGLE = (
    "Show where in the current frame the model is unsure, in magenta, in a layer that "
    "follows the frame. Frames that you changed or that were not predicted stay clear."
)
