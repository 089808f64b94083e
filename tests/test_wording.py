"""Numbers of things in words."""

from napari_seggpt.wording import count_of


def test_one_thing_is_one_thing():
    counts = [count_of(number, "frame") for number in (0, 1, 2)]
    assert counts == ["0 frames", "1 frame", "2 frames"]
    assert count_of(2, "class") == "2 classes"
