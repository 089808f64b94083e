"""PreviewLayer: a labels layer that shows what a run would write on a frame."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels

from napari_seggpt.sample_data import METADATA_KEY
from napari_seggpt.ui.layers.frame_place import FramePlace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer

OPACITY = 0.9
CONTOUR = 2  # pixels: outlines leave the image and the labels below to be seen


class PreviewLayer:
    """A layer of one frame that lies where the frame does, in outlines.

    It holds one frame, whatever the length of the stack. It is not added to a viewer.

    Parameters
    ----------
    labels : LabelsLayer
        The labels of the stack.
    frame : int
        The frame that it lies on at first.

    Attributes
    ----------
    layer : Labels
        The layer.
    """

    def __init__(self, labels: LabelsLayer, frame: int) -> None:
        self._place = FramePlace(labels, frame)
        # A copy: a person may have only one label of the layer shown.
        colormap = copy(labels.layer.colormap)
        colormap.use_selection = False
        self.layer = Labels(
            self._place.with_axes(np.zeros(labels.frame_shape, np.int64)),
            name=f"{labels.name} preview",
            metadata={METADATA_KEY: {"preview_of": labels.name}},
            opacity=OPACITY,
            colormap=colormap,
            **self._place.options,
        )
        self.layer.contour = CONTOUR
        self.layer.editable = False

    def show(self, frame: int, labels: NDArray[np.integer[Any]] | None) -> None:
        """Show labels (H, W) of a frame; nothing if there are none."""
        self._place.show(self.layer, frame, labels)

    def follow(self) -> None:
        """Lie where the labels do, after these were moved."""
        self._place.follow(self.layer)
