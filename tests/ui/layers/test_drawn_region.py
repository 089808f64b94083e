"""Regions drawn as shapes, on images of any scale."""

import numpy as np
import pytest
from napari.layers import Image, Labels, Shapes

from napari_seggpt.ui.layers.drawn_region import drawn_mask
from napari_seggpt.ui.layers.image_stack import ImageStack
from napari_seggpt.ui.layers.labels_layer import LabelsLayer


@pytest.fixture
def labels(qapp):
    scale, translate = (3.0, 0.5, 0.5), (0, 10, 20)
    image = Image(np.zeros((4, 30, 40)), scale=scale, translate=translate)
    layer = Labels(np.zeros((4, 30, 40), int), scale=scale, translate=translate)
    labels = LabelsLayer.of_stack(ImageStack(image, 0), layer)
    yield labels
    labels.close()


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_rectangle_in_world_coordinates(labels, ndim):
    corners = np.array([[12.5, 25], [12.5, 30], [15, 30], [15, 25]])
    if ndim == 3:
        corners = np.column_stack([np.full(4, 6.0), corners])
    mask = drawn_mask(Shapes([corners]), labels)
    rows, columns = np.nonzero(mask)
    assert mask.shape == (30, 40)
    assert abs(rows.min() - 5) <= 1
    assert abs(rows.max() - 10) <= 1
    assert abs(columns.min() - 10) <= 1
    assert abs(columns.max() - 20) <= 1


def test_shapes_of_another_scale_and_several_of_them(labels):
    one = np.array([[11, 22], [11, 24], [13, 24], [13, 22]]) * 10.0
    other = one + np.array([60, 120])
    mask = drawn_mask(Shapes([one, other], scale=(0.1, 0.1)), labels)
    assert mask[4, 6]
    assert mask[16, 30]
    assert not mask[10, 18]


def test_what_lies_beside_the_frames(labels):
    far = np.array([[100, 100], [100, 120], [120, 120]])
    assert not drawn_mask(Shapes([far], shape_type="polygon"), labels).any()
    assert not drawn_mask(Shapes(), labels).any()
