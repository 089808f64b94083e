import numpy as np
import pytest

from napari_seggpt.inference.confidence import (
    CALIBRATION,
    LOOKED_AT,
    MAP_SIDE,
    agreement,
    confidence_map,
    frame_confidence,
    label_confidence,
    map_step,
)


@pytest.fixture
def labels():
    labels = np.zeros((20, 20), np.int64)
    labels[5:10, 5:15] = 3
    labels[12:16, 5:15] = 90000
    return labels


def test_what_is_surely_painted_is_sure(labels):
    sure = np.ones(labels.shape, np.float32)
    assert frame_confidence(labels, sure) == 1.0
    assert label_confidence(labels, sure) == {3: 1.0, 90000: 1.0}
    assert frame_confidence(np.zeros_like(labels), sure) == 1.0


def test_it_is_the_dice_to_be_expected():
    labels = np.array([[1, 1, 0, 0]])
    margin = np.array([[1.0, 0.5, 1.0, 0.0]])
    # Of two pixels 1.75 are right and 0.25 wrong; half a pixel is missing.
    expected = (3.5 / 4.25) ** CALIBRATION
    assert label_confidence(labels, margin) == pytest.approx({1: expected})


def test_the_label_that_is_unsure_is_told(labels):
    margin = np.ones(labels.shape, np.float32)
    margin[labels == 3] = 0.2
    found = label_confidence(labels, margin)
    assert found[3] < found[90000] < 1
    assert frame_confidence(labels, margin) == pytest.approx(np.mean([*found.values()]))


def test_background_says_little(labels):
    """A doubt about a small object counts, however large the frame around it."""
    wide = np.zeros((400, 400), np.int64)
    wide[:20, :20] = labels
    margin = np.ones(wide.shape, np.float32)
    margin[wide > 0] = 0.2
    assert margin.mean() > 0.99
    assert frame_confidence(wide, margin) < 0.8


def test_a_doubt_in_a_frame_without_labels_counts():
    margin = np.ones((100, 100), np.float32)
    margin[40:45, 40:45] = 0.1
    assert frame_confidence(np.zeros((100, 100), int), margin) < 0.2


def test_large_frames_are_thinned(labels):
    large = np.kron(labels, np.ones((60, 60), np.int64))
    assert large.size > LOOKED_AT
    margin = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    found = frame_confidence(large, np.kron(margin, np.ones((60, 60), np.float32)))
    assert found == pytest.approx(frame_confidence(labels, margin), abs=0.02)


def test_small_labels_of_a_large_frame_count():
    """They lie between the pixels of which the background is looked at."""
    frames = {}
    for side in (512, 4096):
        labels = np.zeros((side, side), np.uint8)
        margin = np.ones(labels.shape, np.float32)
        for at in (101, 201, 301):
            labels[at : at + 5, at : at + 5] = 1
        margin[labels > 0] = 0.01
        frames[side] = frame_confidence(labels, margin)
    assert frames[4096] == pytest.approx(frames[512], abs=0.01)
    assert frames[512] < 0.6


def test_frames_without_pixels():
    nothing = np.zeros((0, 5))
    assert frame_confidence(nothing.astype(int), nothing) == 1.0
    assert confidence_map(nothing).shape == (0, 5)


def test_agreement(labels):
    assert agreement(labels, labels) == 1.0
    assert agreement(labels, np.where(labels == 3, 3, 0)) == 0.5
    assert agreement(np.zeros_like(labels), np.zeros_like(labels)) == 1.0


def test_a_map_keeps_the_least_sure_pixel():
    margin = np.ones((MAP_SIDE * 2 + 1, 700), np.float32)
    margin[5, 7] = 0.0
    step = map_step(margin.shape)
    assert step == 3
    found = confidence_map(margin)
    assert (found.dtype, found.shape) == (np.uint8, (342, 234))
    assert np.argwhere(found < 255).tolist() == [[5 // 3, 7 // 3]]
    small = np.array([[0.0, 0.5], [1.0, 1.2]])
    np.testing.assert_array_equal(confidence_map(small), [[0, 128], [255, 255]])
