"""The whole loop in a viewer with the built-in model, as a person goes through it."""

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions

WAIT_MS = 120_000  # a busy machine is slow, not wrong
LAST = 4  # frame of the range that is predicted

pytestmark = pytest.mark.slow


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def dock(viewer, qtbot):
    _, dock = viewer.window.add_plugin_dock_widget("napari-seggpt")
    assert isinstance(dock, SegGPTWidget)
    dock.hint_line.link_clicked.emit("cells")
    qtbot.waitUntil(lambda: dock.workspace.active is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    panel = dock.run_panel
    panel.scope_box.setCurrentText("a range")
    panel.range.to_spin.setValue(LAST)
    qtbot.waitUntil(lambda: f"({LAST})" in panel.run_button.text(), timeout=WAIT_MS)
    yield dock
    dock.release()


def click(qtbot, button):
    assert button.isEnabled(), button.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def wait_for_end(qtbot, dock):
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def statuses(dock):
    return [dock.workspace.session.frames.status(frame) for frame in range(LAST + 1)]


def test_paint_run_correct_update_undo_approve(dock, qtbot):
    layer = dock.workspace.active.labels.layer
    reference = layer.data[0].copy()
    click(qtbot, dock.run_panel.run_button)
    wait_for_end(qtbot, dock)
    assert statuses(dock) == [FrameStatus.REFERENCE] + [FrameStatus.PREDICTED] * LAST
    assert overlap(layer.data[1], reference) > 0.6  # cells move little in a frame
    predicted = layer.data[: LAST + 1].copy()

    actions.go_to(dock.workspace, 2)
    layer.brush_size = 12
    layer.paint((2, 20, 20), 1)
    corrected = layer.data[2].copy()
    wanted = [FrameStatus.STALE, FrameStatus.CORRECTED, FrameStatus.STALE]
    qtbot.waitUntil(lambda: statuses(dock)[1:4] == wanted, timeout=WAIT_MS)
    qtbot.waitUntil(dock.run_panel.update_button.isEnabled, timeout=WAIT_MS)
    click(qtbot, dock.run_panel.update_button)
    wait_for_end(qtbot, dock)
    assert statuses(dock)[3] is FrameStatus.PREDICTED
    np.testing.assert_array_equal(layer.data[2], corrected)

    click(qtbot, dock.run_panel.undo_button)
    wait_for_end(qtbot, dock)
    predicted[2] = corrected
    np.testing.assert_array_equal(layer.data[: LAST + 1], predicted)
    assert statuses(dock)[1:4] == wanted

    actions.go_to(dock.workspace, 3)
    click(qtbot, dock.review_panel.approve_button)
    assert statuses(dock)[3] is FrameStatus.APPROVED
    np.testing.assert_array_equal(layer.data[0], reference)


def test_pause_resume_and_close_in_the_middle(viewer, dock, qtbot):
    layer = dock.workspace.active.labels.layer
    reference = layer.data[0].copy()
    runs = dock.workspace.active.runs
    click(qtbot, dock.run_panel.run_button)
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: runs.is_paused, timeout=WAIT_MS)
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: runs.done >= 1, timeout=WAIT_MS)
    viewer.close()
    assert not runs.is_running
    assert layer.data[1].any()
    np.testing.assert_array_equal(layer.data[0], reference)


def overlap(one, other):
    """Dice of what is labelled."""
    both = ((one > 0) & (other > 0)).sum()
    return 2 * both / ((one > 0).sum() + (other > 0).sum())
