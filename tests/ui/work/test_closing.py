from napari_seggpt.ui.work.closing import Closing


def test_all_is_done_once_in_order():
    done = []
    closing = Closing()
    closing.add(lambda: done.append(1))
    closing.add(lambda: done.append(2))
    assert not closing.is_done
    closing()
    closing()
    assert closing.is_done
    assert done == [1, 2]


def test_what_python_has_emptied_has_nothing_left_to_do():
    closing = Closing()
    closing.add(lambda: 1 / 0)
    vars(closing).clear()  # as the collector does to what only holds itself
    closing()
