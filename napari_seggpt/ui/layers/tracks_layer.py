"""tracks_layer: napari's Tracks layer of objects, where their labels layer lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Tracks as TracksLayer

from napari_seggpt.sample_data import METADATA_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.objects.tracks import Tracks
    from napari_seggpt.ui.layers.labels_layer import LabelsLayer


def tracks_layer(labels: LabelsLayer, tracks: Tracks) -> TracksLayer:
    """Make a layer of tracks with their graph; it is not added to a viewer.

    Parameters
    ----------
    labels : LabelsLayer
        The labels of the objects.
    tracks : Tracks
        At least one row.
    """
    layer = labels.layer
    return TracksLayer(
        _placed(labels, tracks),
        graph={child: list(parents) for child, parents in tracks.graph.items()},
        name=f"{labels.name} tracks",
        metadata={METADATA_KEY: {"tracks_of": labels.name}},
        scale=layer.scale,
        translate=layer.translate,
        rotate=layer.rotate,
        shear=layer.shear,
        affine=layer.affine,
        units=layer.units,
        axis_labels=layer.axis_labels,
    )


def _placed(labels: LabelsLayer, tracks: Tracks) -> NDArray[np.float64]:
    """Return ids and places (P, 1 + D) on all axes of the labels layer."""
    frames, which = np.unique(tracks.rows[:, 1].astype(int), return_inverse=True)
    places = [labels.axes.places(frame) for frame in frames.tolist()]
    sides = iter((tracks.rows[:, 2], tracks.rows[:, 3]))
    columns = [tracks.rows[:, 0]]
    for axis, at in enumerate(labels.axes.index(0)):
        if isinstance(at, slice):
            columns.append(next(sides))
        elif axis in labels.axes.along:
            columns.append(np.array([x[axis] for x in places], float)[which])
        else:
            columns.append(np.full(len(tracks.rows), float(at)))
    return np.column_stack(columns)
