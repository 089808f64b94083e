"""PromptTuning by the dock's buttons, with a tuner that takes no time."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.runs.predictor_cache import PredictorCache
from napari_seggpt.ui.dock import SegGPTWidget

WAIT_MS = 20_000  # a busy machine is slow, not wrong


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot):
    viewer = viewer_model
    image = np.random.default_rng(0).integers(0, 255, (8, 24, 24), np.uint8)
    viewer.add_image(image, name="stack", axis_labels=("t", "y", "x"))
    labels = np.zeros(image.shape, np.uint8)
    labels[1, 2:9, 2:9] = labels[5, 4:12, 4:12] = 1
    viewer.add_labels(labels, name="mine")
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    dock.tune_panel.set_open(True)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    button = dock.tune_panel.tune_button
    qtbot.waitUntil(lambda: button.text() == "Tune on 2 references", timeout=WAIT_MS)
    yield dock
    dock.release()


def click(qtbot, button):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def tune(qtbot, dock):
    click(qtbot, dock.tune_panel.tune_button)
    qtbot.waitUntil(lambda: not dock.workspace.active.tuning.is_on, timeout=WAIT_MS)
    qtbot.wait(80)


def test_tune_look_and_keep(dock, tuner, qtbot):
    panel = dock.tune_panel
    tune(qtbot, dock)
    assert "overlap 0.50 before, 0.80 after" in dock.hint_line.text
    assert not panel.curve.isHidden()
    shown = [each for each in panel.pair_buttons if not each.isHidden()]
    assert len(shown) == 3
    click(qtbot, shown[0])
    assert dock.workspace.current == shown[0].property("frame")
    click(qtbot, panel.keep_button)
    assert dock.workspace.session.references.tuned.figures.steps == 3
    assert not panel.keep_button.isEnabled()
    qtbot.waitUntil(lambda: panel.remove_button.isEnabled(), timeout=WAIT_MS)
    click(qtbot, panel.remove_button)
    assert dock.workspace.session.references.tuned is None
    hint = dock.hint_line
    qtbot.waitUntil(lambda: "used alone again" in hint.text, timeout=WAIT_MS)


def test_what_is_no_better_is_said_and_not_kept(dock, tuner, qtbot):
    tuner.gains = -0.1  # the best step is the first
    tune(qtbot, dock)
    assert "no better than the references" in dock.hint_line.text
    assert dock.workspace.session.references.tuned is None
    assert not dock.tune_panel.keep_button.isEnabled()


def test_references_that_cannot_be_read_are_named(dock, tuner, qtbot, monkeypatch):
    make = PredictorCache._prompt

    def break_one(cache, source, stack):
        if source.frame == 6:
            raise OSError("broken file")
        return make(cache, source, stack)

    monkeypatch.setattr(PredictorCache, "_prompt", break_one)
    layer = dock.workspace.active.labels.layer
    layer.data_setitem((np.array([6]), np.array([5]), np.array([5])), 1)
    button = dock.tune_panel.tune_button
    qtbot.waitUntil(lambda: button.text() == "Tune on 3 references", timeout=WAIT_MS)
    tune(qtbot, dock)
    assert "0.80 after" in dock.hint_line.text
    assert "Frame 6 is left out: broken file" in dock.hint_line.text


def test_stopped_it_offers_the_best_so_far(dock, tuner, qtbot):
    tuner.steps = 1000
    click(qtbot, dock.tune_panel.tune_button)
    control = dock.workspace.active.tuning
    qtbot.waitUntil(lambda: len(control.dices) >= 2, timeout=WAIT_MS)
    assert dock.tune_panel.tune_button.text() == "Stop"
    assert not dock.run_panel.run_button.isEnabled()
    click(qtbot, dock.tune_panel.tune_button)
    qtbot.waitUntil(lambda: not control.is_on, timeout=WAIT_MS)
    assert control.best is not None
    assert len(control.dices) < 900


def test_labels_of_the_references_are_left_alone(dock, tuner, qtbot):
    before = dock.workspace.active.labels.layer.data.copy()
    tune(qtbot, dock)
    np.testing.assert_array_equal(dock.workspace.active.labels.layer.data, before)
    assert dock.workspace.session.frames.status(1) is FrameStatus.REFERENCE


def test_a_file_is_loaded_or_refused_in_words(dock, tmp_path, qtbot, make_tuned):
    panel = dock.tune_panel
    make_tuned().save(tmp_path / "prompt.safetensors")
    panel.load(str(tmp_path / "prompt.safetensors"))
    hint = dock.hint_line
    qtbot.waitUntil(lambda: "used from now on" in hint.text, timeout=WAIT_MS)
    assert dock.workspace.session.references.tuned.class_names == {1: "cell"}
    qtbot.waitUntil(lambda: "cell" in panel.state_label.text(), timeout=WAIT_MS)
    (tmp_path / "other.safetensors").write_bytes(b"no such thing")
    panel.load(str(tmp_path / "other.safetensors"))
    qtbot.wait(80)
    assert "Expected a tuned prompt" in dock.hint_line.text
    assert dock.workspace.session.references.tuned is not None


def test_closing_in_the_middle_ends_it(dock, tuner, qtbot):
    tuner.steps = 1000
    click(qtbot, dock.tune_panel.tune_button)
    control = dock.workspace.active.tuning
    qtbot.waitUntil(lambda: len(control.dices) >= 1, timeout=WAIT_MS)
    dock.release()
    assert not control.is_on
    count = len(control.dices)
    qtbot.wait(200)
    assert len(control.dices) <= count + 2


def test_the_caption_of_the_pictures_is_right_above_them(dock):
    panel = dock.tune_panel
    order = [panel.rows.indexOf(x) for x in (panel.curve, panel.state_label)]
    assert order == sorted(order)
    assert panel.rows.indexOf(panel.pair_buttons[0]) == order[1] + 1
