import pytest

from napari_seggpt.ui.widgets.frame_range import FrameRange


@pytest.fixture
def frames(qtbot):
    widget = FrameRange()
    qtbot.addWidget(widget)
    widget.offer(12)
    return widget


def test_all_frames_are_offered(frames):
    assert frames.frames == (0, 12)
    frames.from_spin.setValue(50)
    assert frames.frames == (11, 12)
    frames.offer(5)
    assert frames.frames == (0, 5)
    frames.offer(0)
    assert frames.frames == (0, 1)


def test_the_last_frame_is_not_before_the_first(frames):
    frames.to_spin.setValue(3)
    frames.from_spin.setValue(7)
    assert frames.frames == (7, 8)
    frames.show_frames(7, 8)  # what it already means: both boxes stay as typed
    assert frames.to_spin.value() == 3


def test_what_others_choose_is_shown_without_a_word(frames, qtbot):
    with qtbot.assertNotEmitted(frames.changed):
        frames.show_frames(2, 6)
        assert frames.frames == (2, 6)
        frames.show_frames(4, None)
        assert frames.frames == (4, 12)
        frames.show_frames(0, 99)
        assert frames.frames == (0, 12)
    with qtbot.waitSignal(frames.changed):
        frames.to_spin.setValue(5)
