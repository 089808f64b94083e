import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_seggpt.objects.regions import with_names
from napari_seggpt.session.frames.frame_labels import (
    NO_LABELS,
    checksum,
    compact,
    keep_locked,
    names_beside_locked,
    with_labels,
)

SHAPE = (4, 5)

small = hnp.arrays(np.int64, SHAPE, elements=st.integers(0, 3))
ids = st.sets(st.integers(1, 4))


@pytest.mark.parametrize(
    ("high", "dtype"),
    [(0, "u1"), (255, "u1"), (256, "u2"), (65_536, "u4"), (2**32, "u8"), (-1, "i8")],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_labels_take_the_smallest_type_that_holds_their_ids(
    high: int, dtype: str, order: str
) -> None:
    labels = np.zeros(SHAPE, np.int64, order=order)
    labels[1, 2] = high
    small = compact(labels)
    assert small.dtype == dtype
    assert small.flags.c_contiguous
    assert (small == labels).all()


def test_the_type_and_memory_of_labels_do_not_change_their_checksum() -> None:
    labels = np.arange(20).reshape(SHAPE)
    others = [
        labels.astype(np.uint8),
        labels.astype(">i4"),
        np.asfortranarray(labels),
        np.repeat(labels, 2, axis=1)[:, ::2],
    ]
    assert {checksum(other) for other in others} == {checksum(labels)}


def test_a_checksum_tells_pixels_ids_and_shapes_apart() -> None:
    labels = np.zeros(SHAPE, np.int64)
    labels[0, 0] = 1
    others = [labels, labels[::-1], labels * 2, labels * -1, labels * 300, labels.T]
    others.append(labels.reshape(2, 10))
    pair = np.zeros((1, 2), np.uint8)
    pair[:] = 1
    others += [pair, np.full((1, 1), 257)]  # the same bytes
    assert len({checksum(other) for other in others}) == len(others)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64])
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (3, 7)])
def test_all_frames_without_labels_are_the_same(
    shape: tuple[int, int], dtype: type
) -> None:
    assert checksum(np.zeros(shape, dtype)) == NO_LABELS
    if 0 not in shape:
        assert checksum(np.ones(shape, dtype)) != NO_LABELS


@given(old=small, new=small, locked=ids)
def test_locked_ids_keep_their_pixels_and_get_no_new_ones(
    old: np.ndarray, new: np.ndarray, locked: set[int]
) -> None:
    before = old.copy(), new.copy()
    merged = keep_locked(old, new, locked)
    for label in locked:
        assert ((merged == label) == (old == label)).all()
    free = ~np.isin(old, list(locked))
    expected = np.where(np.isin(new, list(locked)), 0, new)
    assert (merged[free] == expected[free]).all()
    assert (old == before[0]).all()
    assert (new == before[1]).all()


@pytest.mark.parametrize("high", [200, 60_000, 2**40, 2**63 + 5])
def test_locked_ids_of_any_size_are_kept(high: int) -> None:
    old = np.zeros(SHAPE, np.uint64)
    old[0] = high
    new = np.ones(SHAPE, np.uint8)
    merged = keep_locked(old, new, {high})
    assert (merged[0] == np.uint64(high)).all()
    assert (merged[1:] == 1).all()


@pytest.mark.parametrize("high", [200, 2**53 + 1, 2**63 + 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_labels_of_any_size_are_put_together(high: int, dtype: type) -> None:
    large, small = np.full(SHAPE, high, np.uint64), np.ones(SHAPE, dtype)
    mask = np.zeros(SHAPE, bool)
    mask[0] = True
    merged = with_labels(small, large, mask)
    assert merged.dtype.kind in "iu"
    assert (merged[0] == np.uint64(high)).all()
    assert (merged[1:] == 1).all()
    assert (with_labels(large, small, mask)[1:] == np.uint64(high)).all()
    assert (small == 1).all()


def test_negative_ids_can_be_locked() -> None:
    old, new = np.full(SHAPE, -3), np.full(SHAPE, 200, np.uint8)
    old[1] = 0
    merged = keep_locked(old, new, {-3})
    assert (merged[0] == -3).all()
    assert (merged[1] == 200).all()


@pytest.mark.parametrize(
    ("names", "locked", "left"),
    [
        ({5: 7, 8: 9}, (), {5: 7, 8: 9}),
        ({5: 7, 8: 9}, {7}, {8: 9}),
        ({5: 7, 7: 5, 8: 9}, {7}, {8: 9}),
        ({7: 9, 5: 7, 6: 5, 4: 6, 8: 10}, {7}, {8: 10}),
    ],
)
def test_names_that_meet_locked_ids_are_left_out(names, locked, left) -> None:
    assert names_beside_locked(names, locked) == left


@given(
    labels=small,
    targets=st.permutations(range(1, 5)),
    locked=ids,
)
def test_no_names_beside_locked_ids_remove_or_join_objects(
    labels: np.ndarray, targets: list[int], locked: set[int]
) -> None:
    names = names_beside_locked(dict(zip(range(1, 5), targets, strict=True)), locked)
    new = keep_locked(labels, with_names(labels, names), locked)
    np.testing.assert_array_equal(new != 0, labels != 0)
    assert len(np.unique(new)) == len(np.unique(labels))
