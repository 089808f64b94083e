"""How bright regions are, in the table and in the dock."""

import numpy as np
import pytest

from napari_seggpt.io.table import region_means


def test_means_are_those_of_each_region() -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    regions = np.zeros((20, 30), np.uint8)
    regions[2:5, 3:9], regions[10:, 20:] = 1, 3
    means = region_means(image, regions)
    for number in (0, 1, 3):
        assert means[number] == pytest.approx(image[regions == number].mean())
    assert means[2] == 0


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="of the labels' shape"):
        region_means(np.zeros((2, 3)), np.zeros((3, 2), int))
