import numpy as np
import pytest

from napari_seggpt.metrics.panoptic import (
    PanopticScore,
    SegmentCounts,
    count_segments,
    score_segments,
    sum_segments,
)

CLASSES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 2}

# What panopticapi gives for the four maps, segment 5 being a crowd: sum of IoU, true
# and false positives, false negatives.
GOLDEN = {
    1: (2.4243324543315166, 4, 3, 3),
    2: (1.7411291507493387, 3, 1, 1),
    3: (1.1876541997569627, 2, 2, 2),
}
GOLDEN_SCORE = (0.3595096817960735, 0.5934288656814911, 0.6071428571428571)


def present(labels):
    return {i: CLASSES[i] for i in np.unique(labels).tolist() if i}


def count(predicted, true):
    return count_segments(predicted, present(predicted), true, present(true), {5})


def test_scores_are_those_of_panopticapi(random_maps):
    total = sum_segments(count(*random_maps(seed)) for seed in range(4))
    for class_id, (iou, matched, wrong, missed) in GOLDEN.items():
        one = total[class_id]
        assert one.iou == pytest.approx(iou, rel=1e-15)
        assert (one.matched, one.wrong, one.missed) == (matched, wrong, missed)
    score = score_segments(total, [1, 2, 3])
    assert (score.pq, score.sq, score.rq) == pytest.approx(GOLDEN_SCORE, rel=1e-15)
    assert score.classes == 3


def test_what_lies_on_void_or_a_crowd_is_not_wrong():
    true = np.array([[0, 0, 0, 5, 5, 5, 1, 1]])
    for left, right, wrong in ((0, 2, 0), (3, 6, 0), (2, 4, 0), (5, 8, 1)):
        predicted = np.zeros_like(true)
        predicted[:, left:right] = 7
        counts = count_segments(predicted, {7: 2}, true, {5: 2, 1: 1}, {5})
        assert counts.get(2, SegmentCounts()).wrong == wrong, (left, right)


def test_void_pixels_do_not_lower_the_iou():
    true = np.array([[1, 1, 0, 0]])
    predicted = np.array([[9, 9, 9, 9]])
    counts = count_segments(predicted, {9: 1}, true, {1: 1})
    assert counts == {1: SegmentCounts(iou=1.0, matched=1)}


def test_classes_must_agree():
    same = np.array([[1, 1]])
    counts = count_segments(same, {1: 2}, same, {1: 1})
    assert counts == {1: SegmentCounts(missed=1), 2: SegmentCounts(wrong=1)}


def test_classes_without_segments_are_not_averaged():
    counts = {1: SegmentCounts(iou=0.75, matched=1, missed=1)}
    score = score_segments(counts, [1, 2])
    assert score == PanopticScore(pq=0.5, sq=0.75, rq=2 / 3, classes=1)
    assert np.isnan(score_segments({}, [1, 2]).pq)
