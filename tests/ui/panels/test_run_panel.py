"""The range of frames, as the dock shows it and as runs take it."""

from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.ui.dock import SegGPTWidget

LENGTH, SIDE = 10, 24
WAIT_MS = 20_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


@pytest.fixture
def dock(viewer, models, predictor, qtbot):
    image = np.random.default_rng(0).integers(0, 255, (2, LENGTH, SIDE, SIDE), np.uint8)
    viewer.add_image(image, name="stack", axis_labels=("c", "t", "y", "x"))
    labels = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
    labels[3, 4:14, 5:15] = 1
    viewer.add_labels(labels, name="mine", axis_labels=("t", "y", "x"))
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    dock.run_panel.scope_box.setCurrentText("a range")
    dock.run_panel.range.from_spin.setValue(5)
    dock.run_panel.range.to_spin.setValue(7)
    yield dock
    dock.release()


def ranges(dock):
    """Return the range that is shown, and that of the settings."""
    propagation = dock.workspace.settings.propagation
    return dock.run_panel.range.frames, (propagation.start, propagation.stop)


def test_the_range_stays_with_other_channels(dock):
    assert ranges(dock) == ((5, 8), (5, 8))
    dock.data_panel._on_channels([1])
    assert dock.workspace.choice.channels == (1,)
    assert ranges(dock) == ((5, 8), (5, 8))


def test_the_range_of_a_session_is_shown(dock):
    settings = dock.workspace.settings
    ranged = replace(settings.propagation, start=1, stop=4)
    dock.workspace.settings = replace(settings, propagation=ranged)
    assert ranges(dock) == ((1, 4), (1, 4))


def test_the_range_stays_when_a_task_is_opened(dock, tmp_path, qtbot):
    files = dock.references_panel.examples.task_files
    files.save(tmp_path / "task.zip")
    qtbot.waitUntil((tmp_path / "task.zip").exists, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    files.open(tmp_path / "task.zip")
    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    assert ranges(dock) == ((5, 8), (5, 8))


def test_another_stack_has_another_range(viewer, dock):
    other = viewer.add_image(np.zeros((4, SIDE, SIDE), np.uint8), name="other")
    dock.workspace.choose_image(other, [])
    dock.workspace.make_labels()
    assert ranges(dock) == ((0, 4), (0, 4))


def test_a_range_is_no_setting_of_a_kind_of_image(viewer, dock):
    """Going to another image with a range in force keeps what that kind had."""
    workspace = dock.workspace
    grey, fine = viewer.layers["stack"], np.zeros((4, SIDE, SIDE), np.uint16)
    fine = viewer.add_image(fine, name="fine")
    fine_labels = viewer.add_labels(np.zeros(fine.data.shape, np.uint8), name="its")
    workspace.choose_image(fine, [fine_labels])
    tiling = replace(workspace.settings.prediction.tiling, enabled=True)
    prediction = replace(workspace.settings.prediction, tiling=tiling)
    workspace.settings = replace(workspace.settings, prediction=prediction)
    workspace.choose_image(grey, [viewer.layers["mine"]])
    tiling = replace(tiling, enabled=False)
    prediction = replace(workspace.settings.prediction, tiling=tiling)
    workspace.settings = replace(workspace.settings, prediction=prediction)
    workspace.choose_image(fine, [fine_labels])
    assert workspace.settings.prediction.tiling.enabled
