"""Navigation: which frame of a stack the viewer shows, and going to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import Dims
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_seggpt.ui.layers.frame_axes import FrameAxes

# Events of a layer that lies elsewhere now, under the same place of the viewer.
PLACING = ("scale", "translate", "rotate", "shear", "affine")


class Navigation:
    """Follows the frame that a viewer shows.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    layer : Layer
        A layer of the stack.
    axes : FrameAxes
        Where the frames lie in its data.

    Attributes
    ----------
    changed : Signal
        Another frame is shown: the viewer or the layer has moved. With the frame.
    """

    changed = Signal(int)

    def __init__(self, viewer: Viewer, layer: Layer, axes: FrameAxes) -> None:
        self._dims = viewer.dims
        self._camera = viewer.scene.camera
        self._layer = layer
        self._axes = axes
        self._told = self.current
        self._events = (
            *(viewer.dims.events[name] for name in ("point", "ndim")),
            *(layer.events[name] for name in PLACING),
        )
        for event in self._events:
            event.connect(self._on_moved)

    @property
    def current(self) -> int:
        """The frame that is shown; the nearest one, if none is."""
        if self._dims.ndim < self._layer.ndim:
            return 0
        place = self._layer.world_to_data(self._dims.point)
        lengths = dict(zip(self._axes.along, self._axes.lengths, strict=True))
        return self._axes.frame_at(
            {
                axis: min(max(0, round(float(place[axis]))), max(0, length - 1))
                for axis, length in lengths.items()
            }
        )

    def go_to(self, frame: int) -> None:
        """Show a frame; camera, layers and selection stay as they are."""
        show_places(self._dims, self._layer, self._axes.places(frame))

    def center_on(self, place: Sequence[int | slice], pixel: Sequence[float]) -> None:
        """Move the camera, so that a pixel is in the middle; its zoom stays.

        Parameters
        ----------
        place : sequence
            Index on each axis of the layer, slices on the two that a frame spans.
        pixel : sequence of float
            Row and column.
        """
        sides = iter(pixel)
        data = [next(sides) if isinstance(x, slice) else x for x in place]
        world = np.asarray(self._layer.data_to_world(data))
        shown = [at - (self._dims.ndim - len(world)) for at in self._dims.displayed]
        if min(shown) >= 0:
            self._camera.center = tuple(world[shown])

    def close(self) -> None:
        """Follow the viewer no longer."""
        for event in self._events:
            event.disconnect(self._on_moved)

    def _on_moved(self, event: object = None) -> None:
        frame = self.current
        if frame != self._told:
            self._told = frame
            self.changed.emit(frame)


def show_places(dims: Dims, layer: Layer, places: Mapping[int, int]) -> None:
    """Move a viewer's sliders to an index on each of some axes of a layer, at once."""
    if not places:
        return
    place = list(layer.world_to_data(dims.point))
    for axis, index in places.items():
        place[axis] = index
    world = layer.data_to_world(place)
    offset = dims.ndim - layer.ndim  # a layer has the last axes
    sliders = [int(offset + axis) for axis in places]
    dims.set_point(sliders, [world[axis] for axis in places])


def show_plane(dims: Dims, layer: Layer, axes: Sequence[int]) -> None:
    """Have a viewer show two axes of a layer, rows first; in 3-D it stays as it is."""
    offset = dims.ndim - layer.ndim  # a layer has the last axes
    wanted = [int(offset + axis) for axis in axes]
    if dims.ndisplay != 2 or len(wanted) != 2 or list(dims.displayed) == wanted:
        return
    dims.order = (*(at for at in range(dims.ndim) if at not in wanted), *wanted)


def place_in(viewer: Viewer, layer: Layer) -> list[float]:
    """Return where on each axis of a layer a viewer is."""
    if viewer.dims.ndim < layer.ndim:
        return [0.0] * int(layer.ndim)
    return [float(x) for x in layer.world_to_data(viewer.dims.point)]
