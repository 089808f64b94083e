import numpy as np
import pytest

from napari_seggpt.inference.decoding import combine_passes, read_labels
from napari_seggpt.palette import Palette


@pytest.mark.parametrize(
    ("one", "other", "label", "confidence"),
    [
        ((0, 0.9), (0, 0.4), 0, 0.4),  # background: as sure as the least sure
        ((0, 0.4), (0, 0.9), 0, 0.4),
        ((0, 0.9), (7, 0.1), 7, 0.1),  # no pass but its own knows a label
        ((3, 0.1), (0, 0.9), 3, 0.1),
        ((3, 0.6), (7, 0.5), 3, 0.6),  # both claim it: the surer
        ((3, 0.5), (7, 0.6), 7, 0.6),
        ((3, 0.5), (7, 0.5), 3, 0.5),
    ],
)
def test_two_passes_are_combined(
    one: tuple[int, float], other: tuple[int, float], label: int, confidence: float
) -> None:
    passes = [(np.array([[i]]), np.array([[c]], np.float32)) for i, c in (one, other)]
    labels, confidences = combine_passes(passes)
    assert labels.tolist() == [[label]]
    assert confidences[0, 0] == pytest.approx(confidence)


def test_many_passes_are_combined() -> None:
    labels = np.array([[[0, 0, 1]], [[2, 0, 2]], [[3, 0, 0]], [[0, 0, 4]]])
    sure = (
        np.array([[[9, 9, 3]], [[2, 5, 4]], [[3, 7, 9]], [[9, 6, 2]]], np.float32) / 10
    )
    before = labels.copy(), sure.copy()
    combined, confidence = combine_passes(list(zip(labels, sure, strict=True)))
    assert combined.tolist() == [[3, 0, 2]]
    np.testing.assert_allclose(confidence, [[0.3, 0.5, 0.4]])
    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(sure, before[1])


def test_a_wavering_readout_names_a_colour_that_it_considers() -> None:
    # Grey lies between black and white: in the mixed colour nobody could tell.
    grey, white = np.full(3, 0.5, np.float32), np.ones(3, np.float32)
    palette = Palette(ids=np.array([7, 3]), colors=np.stack([grey, white]))
    shares = np.array([[[0.4, 0.1, 0.5], [0.9, 0.1, 0.0], [0.2, 0.5, 0.3]]], np.float32)
    labels, confidence, colors = read_labels(shares, palette, are_shares=True)
    assert labels.tolist() == [[3, 0, 7]]
    np.testing.assert_allclose(confidence, [[0.1, 0.8, 0.2]], atol=1e-6)
    np.testing.assert_allclose(colors[0, 0], 0.1 * grey + 0.5 * white, atol=1e-6)
    assert read_labels(colors, palette, are_shares=False)[0][0, 0] == 7
