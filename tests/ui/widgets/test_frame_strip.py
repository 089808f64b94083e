"""The strip of frames: what it shows of how many frames, and where clicks go."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QImage

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.widgets.frame_strip import STATUS_CODES, FrameStrip, cells, legend
from napari_seggpt.ui.widgets.style import tones


@pytest.fixture
def strip(qtbot):
    strip = FrameStrip()
    qtbot.addWidget(strip)
    strip.resize(300, 44)
    strip.set_tones(tones("dark"))
    return strip


def paint(strip):
    """Paint the strip in all colours, whatever the screen has."""
    image = QImage(strip.size(), QImage.Format.Format_RGB32)
    strip.render(image)
    return image


def pixel(strip, x, y=24):
    return paint(strip).pixelColor(x, y).name()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("status", FrameStatus)
def test_a_frame_has_the_colour_of_its_status(strip, theme, status):
    colors = tones(theme)
    strip.set_tones(colors)
    strip.reset(10)
    strip.set_frame(4, status, None)
    assert pixel(strip, 135) == colors.statuses[status].name()
    assert pixel(strip, 15) == colors.statuses[FrameStatus.EMPTY].name()


def test_one_labelled_frame_of_many_is_seen(strip):
    strip.reset(10_000)
    strip.set_frame(5000, FrameStatus.REFERENCE, None)
    wanted = tones("dark").statuses[FrameStatus.REFERENCE].name()
    middle = round(strip.center_of(5000))
    assert wanted in {pixel(strip, x) for x in range(middle - 2, middle + 3)}


def test_ten_thousand_frames_are_painted_quickly(strip):
    strip.reset(10_000)
    for frame in range(10_000):
        strip.set_frame(frame, FrameStatus.PREDICTED, 0.9)
    assert strip.count(FrameStatus.PREDICTED) == 10_000
    paint(strip)


def test_a_click_goes_to_the_frame_under_it(strip, qtbot):
    strip.reset(10)
    with qtbot.waitSignal(strip.frame_clicked) as clicked:
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(299, 20))
    assert clicked.args == [9]
    strip.set_current(9)
    with qtbot.waitSignal(strip.frame_clicked) as stepped:
        qtbot.keyClick(strip, Qt.Key.Key_Left)
    assert stepped.args == [8]
    with qtbot.assertNotEmitted(strip.frame_clicked):
        qtbot.keyClick(strip, Qt.Key.Key_Right)


def test_frames_below_the_limit_are_marked(strip):
    strip.reset(4)
    for frame, confidence in enumerate([0.95, 0.6, None, 0.8]):
        strip.set_frame(frame, FrameStatus.PREDICTED, confidence)
    marked = tones("dark").error.name()

    def marks():
        tops = [round(strip.center_of(frame)) + 10 for frame in range(4)]
        return [pixel(strip, x, y=8) == marked for x in tops]

    assert marks() == [False] * 4
    strip.set_limit(0.7)
    assert marks() == [False, True, False, False]
    assert strip.num_unsure == 1


def test_the_scale_of_the_confidence_stands_beside_it(strip):
    strip.reset(4)
    beside = range(strip.cells_width + 1, strip.width())
    blank = [pixel(strip, x, y) for x in beside for y in (12, 36)]
    strip.set_frame(1, FrameStatus.PREDICTED, 0.8)
    assert [pixel(strip, x, y) for x in beside for y in (12, 36)] != blank


def test_an_empty_strip_has_no_frames(strip, qtbot):
    strip.reset(0)
    paint(strip)
    with qtbot.assertNotEmitted(strip.frame_clicked):
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(5, 20))


def test_what_is_said_of_a_frame(strip):
    strip.reset(3)
    strip.set_frame(1, FrameStatus.CORRECTED, None)
    strip.set_frame(2, FrameStatus.STALE, 0.876)
    assert strip.describe(0) == "Frame 0: empty"
    assert strip.describe(1) == "Frame 1: corrected, no run writes it"
    assert strip.describe(2) == "Frame 2: out of date, confidence 0.88"
    text = legend(strip, tones("dark"), FrameStatus)
    assert "1&nbsp;corrected" in text
    assert "approved" not in text
    strip.set_frame(0, FrameStatus.REFERENCE, None)
    assert "1&nbsp;reference" in legend(strip, tones("dark"), FrameStatus)
    strip.set_frame(1, FrameStatus.REFERENCE, None)
    assert "2&nbsp;references" in legend(strip, tones("dark"), FrameStatus)


@pytest.mark.parametrize(("count", "width"), [(1, 300), (7, 300), (299, 300), (999, 5)])
def test_cells_cover_the_strip_and_every_frame(count, width):
    codes = np.zeros(count, np.uint8)
    codes[count // 2] = STATUS_CODES[FrameStatus.REFERENCE]
    edges, shown = cells(codes, width)
    assert (edges[0], edges[-1]) == (0, width)
    assert len(shown) == len(edges) - 1 == min(count, width)
    assert (np.diff(edges) > 0).all()
    assert (shown == STATUS_CODES[FrameStatus.REFERENCE]).sum() == 1
