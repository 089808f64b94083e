"""UncertaintyLayer: an image layer that shows where the model is unsure of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_seggpt.inference.confidence import map_step
from napari_seggpt.ui.layers.new_labels import METADATA_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer

OPACITY = 0.8


class UncertaintyLayer:
    """A layer of one frame that lies where the frame does.

    It holds one frame, whatever the length of the stack. It is not added to a viewer.

    Parameters
    ----------
    labels : LabelsLayer
        The labels of the stack.
    frame : int
        The frame that it lies on at first.

    Attributes
    ----------
    layer : Image
        The layer.
    """

    def __init__(self, labels: LabelsLayer, frame: int) -> None:
        self._labels = labels
        layer, (height, width) = labels.layer, labels.frame_shape
        step = map_step((height, width))
        empty = np.zeros((-(-height // step), -(-width // step)), np.uint8)
        self.layer = Image(
            self._with_axes(empty),
            name=f"{labels.name} uncertainty",
            metadata={METADATA_KEY: {"uncertainty_of": labels.name}},
            colormap="magenta",
            blending="additive",
            opacity=OPACITY,
            contrast_limits=(0, 255),
            scale=layer.scale * self._steps,
            translate=self._translation(frame),
            rotate=layer.rotate,
            shear=layer.shear,
            affine=layer.affine,
            units=layer.units,
            axis_labels=layer.axis_labels,
        )

    def show(self, frame: int, confidence: NDArray[np.uint8] | None) -> None:
        """Show how sure the model is of a frame (h, w); nothing where it is unknown."""
        if confidence is not None:
            self.layer.data = self._with_axes(255 - confidence)
            self.layer.translate = self._translation(frame)
        elif self.layer.data.any():
            self.layer.data = np.zeros_like(self.layer.data)
        self.layer.editable = False  # napari switches it on with new data

    def _with_axes(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give a picture (h, w) the axes of the labels, of length 1."""
        sides = iter(values.shape)
        place = self._labels.axes.index(0)
        shape = [next(sides) if isinstance(x, slice) else 1 for x in place]
        return values.reshape(shape)

    @property
    def _steps(self) -> NDArray[np.float64]:
        """How many pixels of the labels one of the layer covers, on each axis."""
        step = map_step(self._labels.frame_shape)
        place = self._labels.axes.index(0)
        return np.array([step if isinstance(x, slice) else 1 for x in place], float)

    def _translation(self, frame: int) -> Any:
        """Return where the first pixel of the layer lies when it shows a frame."""
        middle = (self._steps - 1) / 2  # pixels are counted by their centres
        place = self._labels.axes.index(frame)
        first = [0 if isinstance(x, slice) else x for x in place]
        return self._labels.layer._transforms["data2physical"](middle + first)
