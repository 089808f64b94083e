import numpy as np
import pytest

from napari_seggpt.objects.class_ids import class_of_id
from napari_seggpt.objects.kinds import object_classes
from napari_seggpt.objects.new_ids import NewIds, numbered_beside


def test_new_ids_are_above_all_that_there_are() -> None:
    ids = NewIds(8)
    assert [ids.take(3), ids.take(3)] == [8, 9]
    ids.note([2, 40, 7])
    assert ids.take(1) == 41


def test_thousands_tell_the_class() -> None:
    ids = NewIds(2018, kinds=(1, 2), taken=(1001, 1002, 2017))
    assert [ids.take(1000), ids.take(2000), ids.take(1500)] == [1003, 2018, 1004]
    ids.note([1900])
    assert ids.take(1000) == 1901


def test_a_class_whose_thousands_are_taken_goes_on_with_its_millions() -> None:
    ids = NewIds(1, kinds=(1, 2), taken=(1998,))
    given = [ids.take(1000) for _ in range(3)]
    assert given == [1999, 1_000_001, 1_000_002]
    assert ids.take(2000) == 2001
    assert {*object_classes([*given, 2001]).values()} == {1, 2}
    assert [class_of_id(i) for i in given] == [1, 1, 1]
    again = NewIds(1, kinds=(1, 2), taken=given)
    assert again.take(1_000_001) == 1_000_003


def test_no_id_of_another_class_is_given_when_all_are_taken() -> None:
    ids = NewIds(1, kinds=(1, 2), taken=(1_999_999,))
    with pytest.raises(ValueError, match=r"objects of class 1 .* up to 1999999"):
        ids.take(1000)
    assert ids.take(2000) == 2001


def test_objects_get_free_numbers_where_theirs_are_taken() -> None:
    labels = np.array([[0, 1, 2], [2, 3, 0]])
    found = numbered_beside(labels, {2, 4, 40})
    assert found.tolist() == [[0, 1, 5], [5, 3, 0]]
    np.testing.assert_array_equal(numbered_beside(labels, ()), labels)
    np.testing.assert_array_equal(numbered_beside(labels, {0, 255}), labels)


def test_all_numbers_may_be_taken() -> None:
    labels = np.arange(1, 2001).reshape(40, 50)
    found = numbered_beside(labels, range(1, 2001))
    np.testing.assert_array_equal(found, labels + 2000)


def test_free_numbers_tell_the_class() -> None:
    labels = np.array([[0, 1001, 2001], [2002, 1002, 7]])
    found = numbered_beside(labels, {7, 1002, 1003, 2001}, (1, 2))
    assert found.tolist() == [[0, 1001, 2003], [2002, 1004, 1]]
    full = range(1001, 2000)
    assert numbered_beside(labels, full, (1, 2))[0, 1] == 1_000_001
