import numpy as np
import pytest

from napari_seggpt.objects.scores import class_scores, weigh_background
from napari_seggpt.palette import Palette

LABELS = np.array([[0, 1], [2, 2]])
SURE = np.ones((2, 2), np.float32)


def test_colours_say_how_much_there_is_of_each_label() -> None:
    palette = Palette.of([1, 2])
    colors = palette.encode(LABELS)
    colors[1, 1] = (palette.colors[0] + palette.colors[1]) / 2
    scores = class_scores(LABELS, SURE, 2, colors=[colors], palettes=[palette])
    assert scores.shape == (3, 2, 2)
    np.testing.assert_allclose(scores.sum(axis=0), 1, rtol=1e-5)
    assert scores[0, 0, 0] > 0.99
    assert scores[1, 0, 1] > 0.99
    assert scores[1, 1, 1] == pytest.approx(scores[2, 1, 1], rel=1e-4)


def test_passes_are_joined() -> None:
    palettes = [Palette.of([1]), Palette.of([2])]
    colors = [palette.encode(LABELS) for palette in palettes]
    scores = class_scores(LABELS, SURE, 2, colors=colors, palettes=palettes)
    assert np.array_equal(scores.argmax(axis=0), LABELS)
    np.testing.assert_allclose(scores.sum(axis=0), 1, rtol=1e-5)


def test_without_colours_labels_and_confidence_count() -> None:
    confidence = np.array([[1.0, 0.0], [0.5, 1.0]])
    scores = class_scores(LABELS, confidence, 2)
    np.testing.assert_allclose(scores.sum(axis=0), 1)
    assert scores[0, 0, 0] == 1
    assert scores[1, 0, 1] == 0.5
    assert scores[2, 1, 0] == 0.75
    assert scores[0, 1, 0] == scores[1, 1, 0] == 0.125


def test_background_that_counts_more_takes_what_is_nearly_its_own() -> None:
    scores = np.array([0.4, 0.6, 0.0], np.float32).reshape(3, 1, 1)
    weighed = weigh_background(scores, 1.8)
    np.testing.assert_allclose(weighed.ravel(), [6 / 11, 5 / 11, 0], rtol=1e-6)
    assert scores[0] == np.float32(0.4)  # what is given stays
