import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_seggpt.metrics.objects import (
    Matches,
    average_precision,
    match_objects,
    matched_pairs,
    object_f1,
    panoptic_quality,
)

label_pairs = hnp.arrays(np.int64, (2, 2, 8), elements=st.integers(0, 4))
thresholds = st.sampled_from([0.1, 0.2, 1 / 3, 0.5, 0.6, 0.75, 1.0])
new_ids = st.lists(
    st.integers(-(2**62), 2**62).filter(bool), min_size=4, max_size=4, unique=True
)

#                 IoU 3/4      IoU 1/2          IoU 1/3
TRUE = np.array([[5, 5, 5, 5, 0, 9, 9, 0, 0, 0, 2, 2, 2]])
PREDICTED = np.array([[0, 8, 8, 8, 0, 4, 4, 4, 4, 0, 7, 0, 0]])


def slow_ious(predicted, true):
    """IoU of all objects, as sets of pixels."""

    def objects(labels):
        ids = set(labels.flat) - {0}
        return [{tuple(at) for at in np.argwhere(labels == i)} for i in sorted(ids)]

    return [
        [len(one & other) / len(one | other) for other in objects(true)]
        for one in objects(predicted)
    ], len(objects(true))


def slow_match(predicted, true, is_enough):
    """Try all pairings; return the number of pairs, their IoUs' sum, FP and FN."""
    ious, num_true = slow_ious(predicted, true)
    partners = [*range(num_true), *[None] * len(ious)]
    best = (0, 0.0)
    for choice in set(permutations(partners, len(ious))):
        values = [row[j] for row, j in zip(ious, choice, strict=True) if j is not None]
        values = [value for value in values if is_enough(value)]
        best = max(best, (len(values), sum(values)))
    return *best, len(ious) - best[0], num_true - best[0]


def test_worked_example():
    assert match_objects(PREDICTED, TRUE, 0.5) == Matches(
        true_positives=2, false_positives=1, false_negatives=1, mean_iou=5 / 8
    )
    assert object_f1(PREDICTED, TRUE, 0.5) == pytest.approx(4 / 6)
    assert average_precision(PREDICTED, TRUE, [0.3, 0.5, 0.75, 0.8]) == [1, 0.5, 0.2, 0]
    # An IoU of just 0.5 is no match here.
    assert panoptic_quality(PREDICTED, TRUE) == pytest.approx(3 / 4 * 2 / 6)


def test_as_many_as_possible_are_matched():
    # The best pair (IoU 5/7) would leave the two others without partner.
    true = np.array([[1, 1, 2, 2, 2, 2, 2, 2]])
    predicted = np.array([[0, 4, 4, 4, 4, 4, 4, 5]])
    assert slow_ious(predicted, true)[0] == [[1 / 7, 5 / 7], [0, 1 / 6]]
    found = match_objects(predicted, true, 0.1)
    assert found.true_positives == 2
    assert found.mean_iou == pytest.approx((1 / 7 + 1 / 6) / 2)
    found = match_objects(predicted, true, 0.15)
    assert (found.true_positives, found.mean_iou) == (1, pytest.approx(5 / 7))


def test_a_half_covered_object_is_matched_once():
    true, predicted = np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])
    found = match_objects(predicted, true, 0.5)
    assert (found.true_positives, found.false_positives) == (1, 1)
    assert panoptic_quality(predicted, true) == 0.0


@given(label_pairs, thresholds)
def test_no_pairing_is_better(labels, threshold):
    predicted, true = labels
    pairs, total, spurious, missed = slow_match(
        predicted, true, lambda value: value >= threshold
    )
    found = match_objects(predicted, true, threshold)
    assert found.true_positives == pairs
    assert (found.false_positives, found.false_negatives) == (spurious, missed)
    if pairs:
        assert found.mean_iou == pytest.approx(total / pairs)
    else:
        assert math.isnan(found.mean_iou)
    objects = pairs + spurious + missed
    (precision,) = average_precision(predicted, true, [threshold])
    assert precision == (pairs / objects if objects else 1.0)
    double = 2 * pairs + spurious + missed
    f1 = object_f1(predicted, true, threshold)
    assert f1 == pytest.approx(2 * pairs / double if double else 1.0)


@given(label_pairs)
def test_panoptic_quality_by_its_definition(labels):
    predicted, true = labels
    pairs, total, spurious, missed = slow_match(
        predicted, true, lambda value: value > 0.5
    )
    weight = pairs + (spurious + missed) / 2
    expected = total / weight if weight else 1.0
    assert panoptic_quality(predicted, true) == pytest.approx(expected)


@given(label_pairs, thresholds)
def test_symmetry_and_identity(labels, threshold):
    one, other = labels
    for measure in (
        panoptic_quality,
        lambda p, t: object_f1(p, t, threshold),
        lambda p, t: average_precision(p, t, [threshold])[0],
    ):
        assert measure(one, one) == 1.0
        assert measure(one, other) == pytest.approx(measure(other, one))
        assert 0 <= measure(one, other) <= 1
    there, back = match_objects(one, other, 0.2), match_objects(other, one, 0.2)
    assert there.true_positives == back.true_positives
    assert there.false_positives == back.false_negatives


@given(label_pairs, new_ids, new_ids, thresholds)
def test_numbers_of_objects_play_no_role(labels, ids, other_ids, threshold):
    predicted, true = labels
    renamed = np.array([0, *ids])[predicted], np.array([0, *other_ids])[true]
    before, after = (
        match_objects(*pair, threshold) for pair in ((predicted, true), renamed)
    )
    assert before.true_positives == after.true_positives
    assert before.false_positives == after.false_positives
    assert before.mean_iou == pytest.approx(after.mean_iou, nan_ok=True)
    assert panoptic_quality(predicted, true) == pytest.approx(
        panoptic_quality(*renamed)
    )


def test_no_objects():
    empty, full = np.zeros((3, 3), int), np.ones((3, 3), int)
    for measure in (object_f1, panoptic_quality):
        assert measure(empty, empty) == 1.0
        assert measure(empty, full) == measure(full, empty) == 0.0
    assert average_precision(empty, empty, [0.5, 0.9]) == [1.0, 1.0]
    assert average_precision(empty, full, [0.5]) == [0.0]
    assert math.isnan(match_objects(empty, full).mean_iou)


def test_many_objects_in_a_volume():
    cells = np.arange(1, 1001).reshape(10, 10, 10).repeat(3, axis=2)
    shifted = np.roll(cells, 1, axis=2)  # 2 pixels of each 3 in common: IoU 2/4
    found = match_objects(shifted, cells, 0.5)
    assert (found.true_positives, found.mean_iou) == (1000, 0.5)
    assert panoptic_quality(shifted, cells) == 0.0


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, math.nan])
def test_impossible_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="threshold above 0"):
        match_objects(TRUE, TRUE, threshold)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(1, 13\) and \(13,\)"):
        panoptic_quality(TRUE, TRUE[0])


def test_matched_pairs_are_told_by_their_ids() -> None:
    assert matched_pairs(PREDICTED, TRUE) == [(4, 9), (8, 5)]
    assert matched_pairs(PREDICTED, TRUE, 0.6) == [(8, 5)]
    assert matched_pairs(PREDICTED, TRUE, 1 / 3) == [(4, 9), (7, 2), (8, 5)]
