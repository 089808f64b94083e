"""The line with what to do next: how much of it is seen at once."""

import pytest
from qtpy.QtWidgets import QPushButton

from napari_seggpt.session import CheckedReference
from napari_seggpt.ui.panels.advice_buttons import verdict
from napari_seggpt.ui.widgets.hint_line import HintLine
from napari_seggpt.ui.widgets.style import tones
from napari_seggpt.ui.work.messages import Message

NARROW, CORNER = 350, 40  # pixels that the dock has at least, and its menu


@pytest.fixture
def line(qtbot):
    line = HintLine()
    qtbot.addWidget(line)
    line.set_tones(tones("dark"))
    line.add_corner(corner := QPushButton())
    corner.setFixedWidth(CORNER)
    line.resize(NARROW, line.height())
    line.show()
    return line


def show(line, qtbot, text):
    line.show_message(Message(text=text))
    qtbot.wait(10)


def test_a_long_text_scrolls(line, qtbot):
    show(line, qtbot, "word " * 100)
    assert line._area.verticalScrollBar().maximum() > 0


def test_a_check_and_what_to_do_next_are_seen_whole(line, qtbot):
    found = [
        CheckedReference(key=i, dice={1: x}, score=x) for i, x in enumerate((0.9, 0.8))
    ]
    text, _ = verdict(found)
    stale = (
        "<b>20 frames</b> are out of date. Press <b>Update</b> when you are done "
        "painting."
    )
    show(line, qtbot, f"{text} {stale}")
    assert line._area.verticalScrollBar().maximum() == 0
