import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score, jaccard_score

from napari_seggpt.metrics.pixels import (
    ClassOverlap,
    boundary_f,
    contingency,
    dice,
    iou,
    j_and_f,
    mean_dice,
    region_similarity,
)

TRUE = np.array([[1, 1, 0, 0], [2, 2, 2, 0]])
PREDICTED = np.array([[1, 0, 0, 0], [2, 2, 0, 2]])

label_pairs = hnp.arrays(np.int64, (2, 3, 5), elements=st.integers(0, 3))
mask_pairs = hnp.arrays(np.bool_, (2, 4, 6))
new_ids = st.lists(
    st.integers(-(2**62), 2**62).filter(bool), min_size=3, max_size=3, unique=True
)


# -- masks -------------------------------------------------------------------------


def test_worked_example():
    # Label 1: 1 pixel in common, 1 + 2 in all. Label 2: 2 in common, 3 + 3 in all.
    assert dice(PREDICTED == 1, TRUE == 1) == pytest.approx(2 / 3)
    assert dice(PREDICTED == 2, TRUE == 2) == pytest.approx(4 / 6)
    assert iou(PREDICTED == 1, TRUE == 1) == pytest.approx(1 / 2)
    assert iou(PREDICTED == 2, TRUE == 2) == pytest.approx(2 / 4)
    assert mean_dice(PREDICTED, TRUE, [1, 2]) == pytest.approx(2 / 3)


@given(mask_pairs)
def test_dice_and_iou_are_those_of_scikit_learn(masks):
    one, other = masks
    if not masks.any():
        assert math.isnan(dice(one, other))
        assert math.isnan(iou(one, other))
        return
    flat = other.ravel(), one.ravel()
    assert dice(one, other) == pytest.approx(f1_score(*flat))
    assert iou(one, other) == pytest.approx(jaccard_score(*flat))


def test_which_classes_count_is_decided_by_the_truth():
    empty = np.zeros((4, 4), int)
    assert np.isnan(dice(empty > 0, empty > 0))
    assert mean_dice(TRUE, TRUE, [1, 2, 9]) == 1.0
    without_2 = np.where(TRUE == 2, 0, TRUE)
    assert mean_dice(PREDICTED, without_2, [1, 2]) == pytest.approx(2 / 3)
    assert mean_dice(empty, empty, [1]) == 1.0
    assert mean_dice(empty + 9, empty, [9]) == 0.0
    assert mean_dice(empty + 9, empty, [1]) == 1.0


@pytest.mark.parametrize(
    "measure", [dice, iou, region_similarity, boundary_f, contingency]
)
def test_shapes_must_agree(measure):
    with pytest.raises(ValueError, match=r"\(2, 4\) and \(3, 4\)"):
        measure(np.ones((2, 4), bool), np.ones((3, 4), bool))


# -- classes over many frames ------------------------------------------------------


@given(label_pairs)
def test_contingency_counts_pairs(labels):
    predicted, true = labels
    predicted_ids, true_ids, pixels = contingency(predicted, true)
    assert predicted_ids.tolist() == sorted(set(predicted.flat))
    assert true_ids.tolist() == sorted(set(true.flat))
    expected = [
        [np.sum((predicted == p) & (true == t)) for t in true_ids]
        for p in predicted_ids
    ]
    np.testing.assert_array_equal(pixels.toarray(), expected)


@pytest.mark.parametrize("shape", [(0,), (0, 4), (1,), (3, 1, 2)])
def test_contingency_of_any_shape(shape):
    labels = np.full(shape, 7, np.uint8)
    assert contingency(labels, labels).pixels.sum() == labels.size


def test_overlaps_are_summed_before_they_are_divided():
    overlap = ClassOverlap()
    overlap.add(np.array([[1, 0, 0, 0]]), np.array([[1, 1, 1, 1]]))
    overlap.add(np.array([[1, 1, 3, 0]]), np.array([[1, 1, 2, 0]]))
    # Class 1: 1 + 2 of 4 + 2. Class 2 is missed. Class 3 does not truly occur.
    assert overlap.class_ious() == {1: 3 / 6, 2: 0.0}
    assert overlap.mean_iou() == 1 / 4
    # Foreground: 1 + 3 of 4 + 3; background: 0 + 1 of 3 + 1.
    assert overlap.foreground_background_iou() == pytest.approx((4 / 7 + 1 / 4) / 2)


@given(st.lists(label_pairs, min_size=1, max_size=3))
def test_class_overlap_is_that_of_scikit_learn(frames):
    overlap = ClassOverlap()
    for predicted, true in frames:
        overlap.add(predicted, true)
    predicted, true = np.concatenate([frame.reshape(2, -1) for frame in frames], axis=1)
    classes = np.unique(true[true != 0])
    if len(classes):
        expected = jaccard_score(true, predicted, labels=classes, average="macro")
        assert overlap.mean_iou() == pytest.approx(expected)
    expected = jaccard_score(
        true > 0, predicted > 0, labels=[False, True], average="macro", zero_division=1
    )
    assert overlap.foreground_background_iou() == pytest.approx(expected)


@given(label_pairs, new_ids)
def test_numbers_of_classes_play_no_role(labels, ids):
    renamed = np.array([0, *ids])[labels]
    overlaps = []
    for predicted, true in (labels, renamed):
        overlaps.append(ClassOverlap())
        overlaps[-1].add(predicted, true)
    one, other = overlaps
    assert one.mean_iou() == pytest.approx(other.mean_iou(), nan_ok=True)
    assert one.foreground_background_iou() == other.foreground_background_iou()


def test_nothing_to_compare():
    overlap = ClassOverlap()
    assert math.isnan(overlap.mean_iou())
    assert math.isnan(overlap.foreground_background_iou())
    overlap.add(np.zeros((2, 2), int), np.zeros((2, 2), int))
    assert math.isnan(overlap.mean_iou())
    assert overlap.foreground_background_iou() == 1.0


# -- video objects -----------------------------------------------------------------


def slow_boundary(mask):
    """seg2bmap, a pixel at a time."""
    height, width = mask.shape
    points = [
        (y, x)
        for y, x in np.ndindex(mask.shape)
        for below, right in ((0, 1), (1, 0), (1, 1))
        if mask[y, x] != mask[min(y + below, height - 1), min(x + right, width - 1)]
    ]
    return np.array(sorted(set(points))).reshape(-1, 2)


def slow_f(predicted, true):
    found, expected = slow_boundary(predicted), slow_boundary(true)
    if not len(found) or not len(expected):
        return float(len(found) == len(expected))
    radius = np.ceil(0.008 * np.hypot(*true.shape))
    near = cdist(found, expected, "sqeuclidean") <= radius**2
    precision, recall = near.any(axis=1).mean(), near.any(axis=0).mean()
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def test_boundaries_match_within_the_tolerance():
    rows = np.arange(100)[:, None].repeat(100, axis=1)  # tolerance: 1.13, so 2
    assert boundary_f(rows < 12, rows < 10) == 1.0
    assert boundary_f(rows < 13, rows < 10) == 0.0
    # All of the true boundary is found, and half of what is found is true.
    assert boundary_f((rows < 10) | (rows >= 50), rows < 10) == pytest.approx(2 / 3)


@given(mask_pairs)
def test_boundary_f_of_small_masks(masks):
    assert boundary_f(*masks) == pytest.approx(slow_f(*masks))


@pytest.mark.parametrize("shape", [(60, 80), (5, 400), (1, 90), (130, 3)])
@pytest.mark.parametrize("smooth", [0, 2, 6])
def test_boundary_f_of_larger_masks(shape, smooth):
    fields = np.random.default_rng(0).standard_normal((2, *shape))
    one, other = (gaussian_filter(field, smooth) > 0 for field in fields)
    assert boundary_f(one, other) == pytest.approx(slow_f(one, other))
    moved = np.roll(one, 2, axis=1)
    assert boundary_f(moved, one) == pytest.approx(slow_f(moved, one))


@given(mask_pairs)
def test_mask_measures_are_symmetric_and_know_identity(masks):
    one, other = masks
    for measure in (region_similarity, boundary_f):
        assert measure(one, one) == 1.0
        assert measure(one, other) == pytest.approx(measure(other, one))
        assert 0 <= measure(one, other) <= 1


def test_empty_masks_of_davis():
    empty, spot = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    spot[2, 2] = True
    for measure in (region_similarity, boundary_f):
        assert measure(empty, empty) == 1.0
        assert measure(empty, spot) == measure(spot, empty) == 0.0
    assert boundary_f(~empty, empty) == 1.0  # neither has a boundary


def test_j_and_f_are_means_over_objects():
    j, f, both = j_and_f(PREDICTED, TRUE, [1, 2, 9])
    assert j == pytest.approx((1 / 2 + 2 / 4 + 1) / 3)
    expected = [slow_f(*(labels == i for labels in (PREDICTED, TRUE))) for i in (1, 2)]
    assert f == pytest.approx((sum(expected) + 1) / 3)
    assert both == pytest.approx((j + f) / 2)
    with pytest.raises(ValueError, match="ids"):
        j_and_f(PREDICTED, TRUE, [])


@given(label_pairs, st.none() | st.lists(st.integers(-1, 5)))
def test_mean_dice_is_that_of_each_mask(labels, ids):
    predicted, true = labels - 1
    counted = [i for i in range(-1, 3) if i] if ids is None else ids
    present = [i for i in counted if (true == i).any()]
    if present:
        dices = [dice(predicted == i, true == i) for i in present]
        assert mean_dice(predicted, true, ids) == np.mean(dices)
    else:
        is_wrong = np.isin(predicted, counted).any()
        assert mean_dice(predicted, true, ids) == (0.0 if is_wrong else 1.0)


def test_mean_dice_looks_at_the_pixels_a_few_times_whatever_the_number_of_ids():
    class Compared(np.ndarray):
        def __eq__(self, other):
            times.append(1)
            return super().__eq__(other)

        __hash__ = None

    times = []
    labels = np.kron(np.arange(1, 101).reshape(10, 10), np.ones((2, 2), int))
    assert mean_dice(labels.view(Compared), labels.view(Compared)) == 1.0
    assert len(times) < 10


def test_mean_dice_counts_the_classes_that_truly_occur() -> None:
    true = np.array([[1, 1, 0, 0]])
    assert mean_dice(np.array([[1, 2, 0, 0]]), true) == pytest.approx(2 / 3)
    assert mean_dice(true * 0, true * 0) == 1
    assert mean_dice(true, true * 0) == 0
