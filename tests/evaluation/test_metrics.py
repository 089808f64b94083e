import numpy as np
import pytest

from napari_seggpt.evaluation.metrics import dice, iou, mean_dice

TRUE = np.array([[1, 1, 0, 0], [2, 2, 2, 0]])
PREDICTED = np.array([[1, 0, 0, 0], [2, 2, 0, 2]])


def test_worked_example():
    # Label 1: 1 pixel in common, 1 + 2 in all. Label 2: 2 in common, 3 + 3 in all.
    assert dice(PREDICTED == 1, TRUE == 1) == pytest.approx(2 / 3)
    assert dice(PREDICTED == 2, TRUE == 2) == pytest.approx(4 / 6)
    assert iou(PREDICTED == 1, TRUE == 1) == pytest.approx(1 / 2)
    assert iou(PREDICTED == 2, TRUE == 2) == pytest.approx(2 / 4)
    assert mean_dice(PREDICTED, TRUE, [1, 2]) == pytest.approx(2 / 3)


def test_dice_and_iou_agree():
    rng = np.random.default_rng(0)
    for _ in range(20):
        one, other = rng.random((2, 8, 8)) < 0.4
        overlap = iou(one, other)
        assert dice(one, other) == pytest.approx(2 * overlap / (1 + overlap))


def test_which_classes_count_is_decided_by_the_truth():
    empty = np.zeros((4, 4), int)
    assert np.isnan(dice(empty > 0, empty > 0))
    assert mean_dice(TRUE, TRUE, [1, 2, 9]) == 1.0
    without_2 = np.where(TRUE == 2, 0, TRUE)
    assert mean_dice(PREDICTED, without_2, [1, 2]) == pytest.approx(2 / 3)
    assert mean_dice(empty, empty, [1]) == 1.0
    assert mean_dice(empty + 9, empty, [9]) == 0.0
    assert mean_dice(empty + 9, empty, [1]) == 1.0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(3, 4\)"):
        dice(np.ones((2, 4), bool), np.ones((3, 4), bool))
