"""Ids of objects that tell a class."""

import numpy as np
import pytest

from napari_seggpt.objects.class_ids import (
    class_of_id,
    largest_ids,
    told_classes,
)


@pytest.mark.parametrize(
    ("i", "kind"),
    [(7, 0), (999, 0), (1001, 1), (2999, 2), (12_017, 12), (2_000_001, 2)],
)
def test_an_id_tells_its_class(i: int, kind: int) -> None:
    assert class_of_id(i) == kind


@pytest.mark.parametrize("largest", [2017, 65_001, 3_000_001, 2_000_000_001])
@pytest.mark.parametrize("dtype", [np.uint32, np.int64])
def test_the_largest_id_of_each_class_is_found(largest: int, dtype: type) -> None:
    labels = np.array([[0, 5, 3], [1001, 1017, 1003], [largest, 2001, 2002]], dtype)
    found = largest_ids(labels)
    assert found == tuple(sorted({5, 1017, max(largest, 2002), *found}))
    assert {class_of_id(i) for i in found} == {class_of_id(int(i)) for i in labels.flat}
    for i in labels.ravel().tolist():
        assert any(class_of_id(i) == class_of_id(j) and i <= j for j in found)


def test_small_ids_are_of_no_class_and_negative_ones_count_for_nothing() -> None:
    assert largest_ids(np.array([[0, 999]])) == (999,)
    assert largest_ids(np.array([[-5, 0, 1001]])) == (0, 1001)
    assert largest_ids(np.zeros((0, 4), int)) == ()


@pytest.mark.parametrize(
    ("ids", "classes"),
    [
        ([0, 1001, 2001, 2_000_001], {1, 2}),
        ([1001, 1002], set()),
        ([1, 1001, 2001], set()),
        ([0], set()),
    ],
)
def test_ids_tell_classes_if_all_do_and_these_differ(
    ids: list[int], classes: set[int]
) -> None:
    assert told_classes(ids) == classes
