import numpy as np
import pytest
from sklearn.metrics import jaccard_score, recall_score

from napari_seggpt.metrics.semantic import ClassCounts, count_classes


def test_scores_are_those_of_scikit_learn(random_maps):
    maps = [random_maps(seed) for seed in range(3)]
    total = ClassCounts.sum(count_classes(*pair) for pair in maps)
    predicted, true = np.array(maps).swapaxes(0, 1).reshape(2, -1)
    options = {"labels": np.unique(true), "average": "macro", "zero_division": 0}
    expected = jaccard_score(true, predicted, **options)
    assert total.mean_iou == pytest.approx(expected, rel=1e-12)
    expected = recall_score(true, predicted, **options)
    assert total.mean_accuracy == pytest.approx(expected, rel=1e-12)


def test_what_is_ignored_counts_nowhere():
    predicted = np.array([[1, 2, 2, 1]])
    true = np.array([[1, 1, -1, -1]])
    counts = count_classes(predicted, true)
    assert counts == ClassCounts(common={1: 1}, predicted={1: 1, 2: 1}, true={1: 2})
    assert counts.ious() == {1: 0.5}


def test_a_prediction_of_nothing_is_wrong_without_being_a_class():
    counts = count_classes(np.array([[-1, 3]]), np.array([[3, 3]]))
    assert counts.ious() == {3: 0.5}


def test_a_class_that_never_occurs_is_not_averaged():
    counts = count_classes(np.array([[1, 2]]), np.array([[1, 1]]))
    assert counts.mean_iou == 0.5
    assert np.isnan(ClassCounts().mean_iou)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="of one shape, got"):
        count_classes(np.zeros((2, 2), int), np.zeros((2, 3), int))
