from napari_seggpt.objects.new_ids import NewIds


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


def test_a_class_whose_thousands_are_taken_gets_ids_above_all() -> None:
    ids = NewIds(1, kinds=(1, 2), taken=(1998,))
    assert [ids.take(1000) for _ in range(3)] == [1999, 3000, 3001]
    assert ids.take(2000) == 2001
