"""Regions that are drawn in a Shapes layer of napari."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from skimage.draw import polygon2mask

if TYPE_CHECKING:
    from napari.layers import Shapes
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.labels_layer import LabelsLayer


def drawn_mask(shapes: Shapes, labels: LabelsLayer) -> NDArray[np.bool_]:
    """Return which pixels (H, W) of frames lie in any of the shapes.

    Each shape is taken as the polygon of its corners, on whichever frame it was drawn.

    Parameters
    ----------
    shapes : Shapes
        Where the shapes are.
    labels : LabelsLayer
        The frames.
    """
    mask = np.zeros(labels.frame_shape, dtype=bool)
    axes = [i for i, x in enumerate(labels.axes.index(0)) if isinstance(x, slice)]
    for corners in shapes.data:
        places = [_in_layer(shapes, corner, labels) for corner in np.asarray(corners)]
        mask |= polygon2mask(mask.shape, np.array(places)[:, axes])
    return mask


def _in_layer(
    shapes: Shapes, corner: NDArray[np.floating], labels: LabelsLayer
) -> NDArray[np.floating]:
    """Return a corner in the pixels of the labels layer; layers share the last axes."""
    world = np.zeros(labels.layer.ndim)
    here = np.asarray(shapes.data_to_world(corner))[-labels.layer.ndim :]
    world[labels.layer.ndim - len(here) :] = here
    return np.asarray(labels.layer.world_to_data(world))
