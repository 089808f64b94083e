"""The frame that is shown is the one that is acted upon."""

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_seggpt.ui.layers.frame_axes import FrameAxes
from napari_seggpt.ui.layers.labels_watcher import shown_frames
from napari_seggpt.ui.layers.navigation import Navigation


@pytest.mark.parametrize(
    ("change", "frame"),
    [
        ({"scale": (2, 1, 1)}, 4),
        ({"translate": (3, 0, 0)}, 5),
        ({"affine": np.diag([4.0, 1, 1, 1])}, 2),
    ],
)
def test_a_layer_that_is_moved_shows_another_frame(
    change: dict[str, Any], frame: int
) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((12, 8, 8)))  # it stays, and with it the slider
    layer = viewer.add_labels(np.zeros((12, 8, 8), np.uint8))
    axes = FrameAxes.of(layer.data.shape, 0)
    navigation = Navigation(viewer, layer, axes)
    told: list[int] = []
    navigation.changed.connect(told.append)
    viewer.dims.set_point(0, 8)
    assert told == [8]
    for name, value in change.items():
        setattr(layer, name, value)
    assert shown_frames(layer, axes) == {frame}
    assert navigation.current == frame
    assert told == [8, frame]
    navigation.close()
    layer.scale = (1, 1, 1)
    layer.translate = (0, 0, 0)
    viewer.dims.set_point(0, 1)
    assert told == [8, frame]
