"""UncertaintyLayer: an image layer that shows where the model is unsure of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_seggpt.inference.confidence import map_step
from napari_seggpt.sample_data import METADATA_KEY
from napari_seggpt.ui.layers.frame_place import FramePlace

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
        height, width = labels.frame_shape
        step = map_step((height, width))
        self._place = FramePlace(labels, frame, step)
        empty = np.zeros((-(-height // step), -(-width // step)), np.uint8)
        self.layer = Image(
            self._place.with_axes(empty),
            name=f"{labels.name} uncertainty",
            metadata={METADATA_KEY: {"uncertainty_of": labels.name}},
            colormap="magenta",
            blending="additive",
            opacity=OPACITY,
            contrast_limits=(0, 255),
            **self._place.options,
        )

    def show(self, frame: int, confidence: NDArray[np.uint8] | None) -> None:
        """Show how sure the model is of a frame (h, w); nothing where it is unknown."""
        unsure = None if confidence is None else 255 - confidence
        self._place.show(self.layer, frame, unsure)

    def follow(self) -> None:
        """Lie where the labels do, after these were moved."""
        self._place.follow(self.layer)
