"""The buttons Check and Suggest, and what they say."""

from dataclasses import replace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_seggpt.session import CheckedReference
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels.advice_buttons import described, verdict
from napari_seggpt.ui.widgets.thumbnails import SCORE_ROLE
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.messages import Tone

WAIT_MS = 20_000
LENGTH, SIDE = 8, 16


def checked(*scores):
    return [
        CheckedReference(key=i, dice={} if x is None else {1: x}, score=x)
        for i, x in enumerate(scores)
    ]


# -- what is said ---------------------------------------------------------------------


def test_references_that_fit():
    text, tone = verdict(checked(0.9, 0.8, None))
    assert "The references fit" in text
    assert "0.80 to 0.90" in text
    assert tone is Tone.GOOD


def test_one_that_does_not_is_named():
    found = checked(0.5, 0.1, 0.7)
    found[1] = replace(found[1], gain=0.25)
    text, tone = verdict(found)
    assert text.startswith("Frame 1 does not fit: the other references predict each")
    assert "with an overlap of 0.60, without it with 0.85" in text
    assert tone is Tone.WARNING
    found[1] = replace(found[1], key="my Scan")
    assert verdict(found)[0].startswith("My Scan does not fit")


def test_one_that_is_hard_is_named():
    text, tone = verdict(checked(0.9, 0.1, 0.8))
    assert text.startswith("Frame 1 is predicted poorly from the others (overlap 0.10")
    assert tone is Tone.WARNING


def test_all_are_poor():
    text, tone = verdict(checked(0.4, 0.3))
    assert "poorly (overlap 0.30 to 0.40)" in text
    assert tone is Tone.WARNING


def test_nothing_can_be_compared():
    assert "nothing to compare" in verdict(checked(None, None))[0]


def test_one_that_cannot_be_read_is_named():
    found = checked(0.9, None, 0.8)
    found[1] = replace(found[1], left_out="it is cut short")
    text, tone = verdict(found)
    assert text == (
        "The references fit (overlap 0.80 to 0.90). Frame 1 is left out: unreadable."
    )
    assert tone is Tone.WARNING
    assert described(found[1], {}) == "It was left out: it is cut short "


def test_the_labels_are_named():
    each = CheckedReference(key=0, dice={1: 0.5, 2: 0.75}, score=0.625)
    assert described(each, {2: "nucleus"}) == (
        "Predicted from the others: overlap 0.62 (label 1 0.50, nucleus 0.75). "
    )
    assert "cannot be checked" in described(checked(None)[0], {})


# -- in the dock ----------------------------------------------------------------------


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


@pytest.fixture
def dock(viewer, models, predictor, qtbot):
    image = np.arange(LENGTH, dtype=np.uint8)[:, None, None] * np.uint8(30)
    viewer.add_image(np.tile(image, (1, SIDE, SIDE)), name="stack")
    labels = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
    labels[0, 4:9, 5:9] = 1
    viewer.add_labels(labels, name="mine")
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    yield dock
    predictor.gate.set()
    dock.release()


def label(dock, frame, rows):
    layer = dock.workspace.active.labels.layer
    layer.data[frame, rows, 5:9] = 1
    layer.refresh()
    dock.workspace.session.frames.labels_changed([frame])


def press(qtbot, dock, button):
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: button.text() != "Stop", timeout=WAIT_MS)


def scores(items):
    return [item.data(SCORE_ROLE) for item in items]


def test_a_check_is_shown_on_the_references(dock, qtbot):
    panel = dock.references_panel
    assert not panel.advice.check_button.isEnabled()
    for frame in (6, 7):
        label(dock, frame, slice(4, 9))
    label(dock, 1, slice(12, 15))
    qtbot.waitUntil(lambda: panel.thumbnails.count() == 4, timeout=WAIT_MS)
    press(qtbot, dock, panel.advice.check_button)
    items = [panel.thumbnails.item(row) for row in range(4)]
    assert [item.text() for item in items] == ["0", "1", "6", "7"]
    assert scores(items) == ["0.00", "0.00", "1.00", "1.00"]
    assert "label 1 0.00" in items[1].toolTip()
    assert dock.workspace.message.text.startswith("Frame 1 does not fit")
    assert dock.workspace.current == 1  # it is shown
    assert dock.workspace.message.tone is Tone.WARNING
    label(dock, 6, slice(4, 10))  # what was found is no longer so
    qtbot.waitUntil(lambda: scores(items) == [""] * 4, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: "overlap" not in items[1].toolTip(), timeout=WAIT_MS)


def test_the_next_frame_is_suggested(dock, qtbot):
    button = dock.references_panel.advice.suggest_button
    press(qtbot, dock, button)
    assert dock.workspace.current == LENGTH - 1
    assert "frame 7 next: it looks least like" in dock.workspace.message.text
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    actions.go_to(dock.workspace, 2)
    press(qtbot, dock, button)
    assert dock.workspace.current == LENGTH - 1
    assert "the model is least sure" in dock.workspace.message.text
    for frame in range(LENGTH):
        dock.workspace.session.frames.approve(frame)
    press(qtbot, dock, button)
    assert "Every frame is yours" in dock.workspace.message.text


def test_a_check_tells_how_far_it_is_and_can_be_stopped(dock, predictor, qtbot):
    for frame in (6, 7):
        label(dock, frame, slice(4, 9))
    advice = dock.references_panel.advice
    qtbot.waitUntil(advice.check_button.isEnabled, timeout=WAIT_MS)
    predictor.seconds = 0.3
    qtbot.mouseClick(advice.check_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(
        lambda: "others: 1 of 3" in dock.workspace.message.text, timeout=WAIT_MS
    )
    assert advice.check_button.text() == "Stop"
    assert not advice.suggest_button.isEnabled()
    qtbot.mouseClick(advice.check_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: advice.check_button.text() == "Check", timeout=WAIT_MS)
    assert len(advice.found) < 3
    assert dock.workspace.message is None
    assert advice.suggest_button.isEnabled()


def test_closing_ends_a_check(dock, predictor, qtbot):
    label(dock, 1, slice(4, 9))
    advice = dock.references_panel.advice
    qtbot.waitUntil(advice.check_button.isEnabled, timeout=WAIT_MS)
    predictor.gate.clear()
    qtbot.mouseClick(advice.check_button, Qt.MouseButton.LeftButton)
    assert advice.check_button.text() == "Stop"
    predictor.gate.set()
    dock.release()
    assert advice._job is None
