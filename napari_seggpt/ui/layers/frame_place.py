"""FramePlace: where a layer of a single frame lies, so that it covers that frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer


class FramePlace:
    """Gives pictures of a frame the axes of a labels layer, and the place of a frame.

    Parameters
    ----------
    labels : LabelsLayer
        The labels of the stack.
    frame : int
        The frame that the layer lies on at first.
    step : int
        How many pixels of the labels one of the pictures covers along a side.
    """

    def __init__(self, labels: LabelsLayer, frame: int, step: int = 1) -> None:
        self._labels = labels
        self._frame = frame
        place = labels.axes.index(0)
        self._steps = np.array([step if isinstance(x, slice) else 1 for x in place])

    def with_axes(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give a picture (h, w) the axes of the labels, of length 1."""
        sides = iter(values.shape)
        place = self._labels.axes.index(0)
        shape = [next(sides) if isinstance(x, slice) else 1 for x in place]
        return values.reshape(shape)

    def show(self, layer: Layer, frame: int, values: NDArray[Any] | None) -> None:
        """Show a picture (h, w) of a frame in a layer; nothing if there is none."""
        if values is not None:
            self._frame = frame
            layer.data = self.with_axes(values)
            layer.translate = self._translation
        elif layer.data.any():
            layer.data = np.zeros_like(layer.data)
        layer.editable = False  # napari switches it on with new data

    def follow(self, layer: Layer) -> None:
        """Have a layer lie on its frame where the labels lie elsewhere now."""
        for name, value in self.options.items():
            setattr(layer, name, value)

    @property
    def options(self) -> dict[str, Any]:
        """What a layer is made with that lies on the frame."""
        layer = self._labels.layer
        return {
            "scale": layer.scale * self._steps,
            "translate": self._translation,
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine,
            "units": layer.units,
            "axis_labels": layer.axis_labels,
        }

    @property
    def _translation(self) -> Any:
        """Where the first pixel of the layer lies."""
        middle = (self._steps - 1) / 2  # pixels are counted by their centres
        place = self._labels.axes.index(self._frame)
        first = [0 if isinstance(x, slice) else x for x in place]
        return self._labels.layer._transforms["data2physical"](middle + first)
