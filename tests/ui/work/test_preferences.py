"""What the dock remembers, and what others may have made of the file."""

import json

import numpy as np
import pytest

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work.frame_times import SEPARATOR, FrameTimes
from napari_seggpt.ui.work.preferences import TIMES, Preferences

WAIT_MS = 20_000
NONSENSE = ["1e999", "-1e999", "NaN", "-3", "1" + "0" * 400, "true", "null", '"1"']


@pytest.fixture
def store(qapp):
    """Write a text where preferences are kept."""
    preferences = Preferences()

    def write(key, text):
        preferences._store.setValue(key, text)
        preferences._store.sync()

    return write


def test_what_was_remembered_is_read():
    preferences = Preferences()
    preferences.save_times({"a": 1.5, "b": 0})
    preferences.save_limit(0.25)
    assert preferences.load_times() == {"a": 1.5, "b": 0.0}
    assert preferences.load_limit() == 0.25


@pytest.mark.parametrize("number", NONSENSE)
def test_numbers_that_make_no_sense_are_left_out(store, number):
    store(TIMES, f'{{"a": {number}, "b": 2}}')
    store("review", f'{{"limit": {number}}}')
    assert Preferences().load_times() == {"b": 2.0}
    assert Preferences().load_limit() == 0.0


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5000, '{"a": ' + "1" * 5000])
def test_a_text_that_cannot_be_read_is_left_out(store, text):
    store(TIMES, text)
    assert Preferences().load_times() == {}


@pytest.mark.parametrize("number", [*NONSENSE, "1e308"])
def test_the_dock_opens_whatever_is_remembered(
    store, viewer_model, models, predictor, qtbot, number
):
    images = np.zeros((3, 12, 12), np.uint8)
    labels = images.copy()
    labels[1, 2:6, 2:6] = 1
    viewer_model.add_image(images, name="stack", axis_labels=("t", "y", "x"))
    viewer_model.add_labels(labels, name="mine", axis_labels=("t", "y", "x"))
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    workspace = dock.workspace
    qtbot.waitUntil(lambda: not workspace.active.is_scanning, timeout=WAIT_MS)
    text = workspace.conditions.text
    dock.release()
    times = json.dumps({f"{text}{SEPARATOR}{n}": 0 for n in ("1", "9" * 5000)})
    store(TIMES, times.replace(": 0", f": {number}"))
    store("review", f'{{"limit": {number}}}')
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    workspace = dock.workspace
    qtbot.waitUntil(lambda: not workspace.active.is_scanning, timeout=WAIT_MS)
    dock.run_panel.model_rows._show_time()
    dock.run_panel.refresh_run()
    assert dock.review_panel.limit_spin.value() <= 1
    known = FrameTimes(Preferences()).get(workspace.conditions)
    assert (known is None) == (number != "1e308")
    dock.release()
