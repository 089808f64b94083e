"""The whole loop by the dock's own buttons, in a viewer without a screen."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from qtpy.QtCore import Qt, QTimer

from napari_seggpt.object_settings import LinkingSettings
from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.saved_sessions import SavedSessions

LENGTH, SIDE = 12, 24
WAIT_MS = 20_000  # a busy machine is slow, not wrong


in_a_window = pytest.mark.parametrize("viewer", ["in a window"], indirect=True)


@pytest.fixture
def viewer(request):
    """A viewer without a window, unless a test is marked as one in a window."""
    if hasattr(request, "param"):
        return request.getfixturevalue("make_napari_viewer_proxy")()
    return request.getfixturevalue("viewer_model")


@pytest.fixture
def open_dock(viewer, models, predictor, qtbot):
    docks = []

    def opened():
        dock = SegGPTWidget(viewer, models=models)
        if hasattr(viewer, "window"):
            viewer.window.add_dock_widget(dock, name="SegGPT")
        else:
            qtbot.addWidget(dock)
        docks.append(dock)
        return dock

    yield opened
    predictor.gate.set()
    for dock in docks:
        dock.release()


@pytest.fixture
def stack(viewer):
    image = np.random.default_rng(0).integers(0, 255, (LENGTH, SIDE, SIDE), np.uint8)
    viewer.add_image(image, name="stack", axis_labels=("t", "y", "x"))
    labels = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
    labels[3, 4:14, 5:15] = 1
    return viewer.add_labels(labels, name="mine", axis_labels=("t", "y", "x"))


@pytest.fixture
def dock(open_dock, stack, qtbot):
    dock = open_dock()
    settle(qtbot, dock)
    return dock


def settle(qtbot, dock):
    """Wait until the labels were looked at."""
    qtbot.waitUntil(lambda: dock.workspace.active is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)


def click(qtbot, button):
    """Press a button, once what it depends on was counted."""
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run_to_end(qtbot, dock, button=None):
    click(qtbot, button or dock.run_panel.run_button)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def hint(qtbot, dock):
    qtbot.wait(80)
    return dock.hint_line.text


def statuses(dock):
    return list(dock.workspace.session.frames.statuses)


def paint(dock, frame, label=2):
    layer = dock.workspace.active.labels.layer
    layer.brush_size = 3
    layer.paint((frame, 20, 20), label)


# -- the loop -------------------------------------------------------------------------


@in_a_window
def test_from_a_sample_to_a_stack_that_is_approved(viewer, open_dock, qtbot):
    dock = open_dock()
    assert "sample" in hint(qtbot, dock)
    dock.hint_line.link_clicked.emit("cells")
    settle(qtbot, dock)
    assert dock.workspace.choice.labels.name == "cells labels"
    assert statuses(dock)[0] is FrameStatus.REFERENCE
    qtbot.waitUntil(lambda: dock.workspace.current == 0, timeout=WAIT_MS)
    assert "Shift+D" in hint(qtbot, dock)
    run_to_end(qtbot, dock)
    assert set(statuses(dock)[1:]) == {FrameStatus.PREDICTED}
    assert "Look through" in hint(qtbot, dock)
    first, seen = dock.workspace.current + 1, []
    while dock.workspace.session.frames.next_to_review(-1) is not None:
        click(qtbot, dock.review_panel.next_button)
        seen.append(dock.workspace.current)
        click(qtbot, dock.review_panel.approve_button)
    assert seen == [*range(first, 24), *range(1, first)]  # all of them, in a circle
    button = dock.run_panel.run_button
    qtbot.waitUntil(lambda: not button.isEnabled(), timeout=WAIT_MS)
    assert "Save" in hint(qtbot, dock)


def test_a_correction_makes_the_others_stale_until_they_are_updated(dock, qtbot):
    run_to_end(qtbot, dock)
    actions.go_to(dock.workspace, 8)
    paint(dock, 8)
    qtbot.waitUntil(lambda: statuses(dock)[8] is FrameStatus.CORRECTED, timeout=WAIT_MS)
    assert statuses(dock).count(FrameStatus.STALE) == LENGTH - 2
    corrected = dock.workspace.active.labels.read(8)
    update = dock.run_panel.update_button
    qtbot.waitUntil(lambda: update.text() == "Update 10", timeout=WAIT_MS)
    run_to_end(qtbot, dock, update)
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 2
    qtbot.waitUntil(lambda: not update.isEnabled(), timeout=WAIT_MS)
    assert "out of date" in update.toolTip()
    np.testing.assert_array_equal(dock.workspace.active.labels.read(8), corrected)
    assert 2 in dock.workspace.active.labels.read(11)
    qtbot.waitUntil(
        lambda: dock.references_panel.thumbnails.keys() == [3, 8], timeout=WAIT_MS
    )


def test_a_run_is_undone_exactly(dock, stack, qtbot):
    before = stack.data.copy()
    run_to_end(qtbot, dock)
    assert stack.data[0].any()
    run_to_end(qtbot, dock, dock.run_panel.undo_button)
    np.testing.assert_array_equal(stack.data, before)
    assert statuses(dock).count(FrameStatus.EMPTY) == LENGTH - 1
    assert not dock.run_panel.undo_button.isEnabled()
    run_to_end(qtbot, dock, dock.run_panel.redo_button)
    assert stack.data[0].any()
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 1
    assert "done again: 11 frames" in hint(qtbot, dock)
    assert dock.run_panel.undo_button.isEnabled()
    assert not dock.run_panel.redo_button.isEnabled()


def test_pause_and_go_on(dock, predictor, qtbot):
    predictor.seconds = 0.05
    button = dock.run_panel.run_button
    click(qtbot, button)
    runs = dock.workspace.active.runs
    qtbot.waitUntil(lambda: runs.done >= 2, timeout=WAIT_MS)
    assert button.text().startswith("Pause")
    click(qtbot, button)
    qtbot.waitUntil(lambda: button.text().startswith("Go on"), timeout=WAIT_MS)
    qtbot.wait(400)
    done = runs.done
    qtbot.wait(300)
    assert runs.done == done < LENGTH - 1
    assert "paused" in dock.run_panel.bar.format().lower()
    assert "Paused" in hint(qtbot, dock)
    click(qtbot, button)
    qtbot.waitUntil(lambda: not runs.is_running, timeout=WAIT_MS)
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 1


def test_a_frame_of_ones_own_is_refused_in_words(dock, predictor, qtbot):
    button = dock.run_panel.frame_button
    actions.go_to(dock.workspace, 3)
    qtbot.waitUntil(
        lambda: "You vouch for this frame" in button.toolTip(), timeout=WAIT_MS
    )
    assert not button.isEnabled()
    actions.start_run(dock.workspace, "frame")
    assert "Frame 3 is yours (reference)" in hint(qtbot, dock)
    assert not predictor.predicted
    actions.go_to(dock.workspace, 4)
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)


def test_stop_keeps_what_was_predicted(dock, predictor, qtbot):
    predictor.seconds = 0.05
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: dock.workspace.active.runs.done >= 2, timeout=WAIT_MS)
    click(qtbot, dock.run_panel.stop_button)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    kept = statuses(dock).count(FrameStatus.PREDICTED)
    assert 2 <= kept < LENGTH - 1
    assert f"{kept} frames of {LENGTH - 1} labelled" in hint(qtbot, dock)
    # The button goes on from there, and then says that it would do all again.
    left, button = LENGTH - 1 - kept, dock.run_panel.run_button
    qtbot.waitUntil(
        lambda: f"Label the rest ({left})" in button.text(), timeout=WAIT_MS
    )
    assert "left out" in button.toolTip()
    run_to_end(qtbot, dock)
    assert f"{left} frame" in dock.workspace.message.text
    again = f"Label all frames again ({LENGTH - 1})"
    qtbot.waitUntil(lambda: again in button.text(), timeout=WAIT_MS)
    paint(dock, 8)  # the others are out of date
    fresh = f"Label all frames ({LENGTH - 2})"
    qtbot.waitUntil(lambda: fresh in button.text(), timeout=WAIT_MS)


def test_the_time_that_is_left_is_said_once(dock, predictor, qtbot):
    panel = dock.run_panel
    predictor.gate.clear()
    click(qtbot, panel.run_button)
    qtbot.waitUntil(lambda: panel.bar.text() != "", timeout=WAIT_MS)
    assert panel._summary.text() == ""
    assert "Wait after the present frame" in panel.run_button.toolTip()
    panel.set_open(False)
    assert panel._summary.text() == panel.bar.text()
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    panel.set_open(True)
    assert "Predict the frames" in panel.run_button.toolTip()


@pytest.fixture
def broken_image(viewer, tmp_path):
    """A zarr on disk whose frame 9 is damaged; frame 7 shows nothing."""
    image = np.random.default_rng(0).integers(1, 255, (LENGTH, SIDE, SIDE), np.uint8)
    image[7] = 9
    array = zarr.create_array(
        tmp_path / "image.zarr", shape=image.shape, chunks=(1, SIDE, SIDE), dtype="u1"
    )
    array[:] = image
    (tmp_path / "image.zarr" / "c" / "9" / "0" / "0").write_bytes(b"no chunk")
    layer = viewer.add_image(
        zarr.open_array(tmp_path / "image.zarr", mode="r"),
        name="broken",
        axis_labels=("t", "y", "x"),
        contrast_limits=(0, 255),
    )
    labels = np.zeros(image.shape, np.uint8)
    labels[3, 4:14, 5:15] = 1
    viewer.add_labels(labels, name="mine", axis_labels=("t", "y", "x"))
    return layer


def test_frames_that_cannot_be_read_or_show_nothing_are_said(
    open_dock, broken_image, qtbot
):
    dock = open_dock()
    settle(qtbot, dock)
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    text = hint(qtbot, dock)
    assert f"{LENGTH - 2} frames labelled" in text
    assert "Frame 9 is left out: Expected frame 9 of broken to be readable" in text
    assert f"1 of {LENGTH} frames shows nothing" in text
    assert "the first is frame 7" in text
    assert dock.workspace.message.tone is Tone.WARNING
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 2
    assert statuses(dock)[9] is FrameStatus.EMPTY


def test_a_reference_that_cannot_be_read_is_said(open_dock, broken_image, qtbot):
    dock = open_dock()
    settle(qtbot, dock)
    paint(dock, 9)
    qtbot.waitUntil(lambda: statuses(dock)[9] is FrameStatus.REFERENCE)
    previews = dock.workspace.active.previews
    first, broken = dock.workspace.session.references.all
    qtbot.waitUntil(lambda: previews.get(first) is not None, timeout=WAIT_MS)
    assert previews.get(broken) is None
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert "Frame 9 is left out" in hint(qtbot, dock)
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 2
    assert statuses(dock)[9] is FrameStatus.REFERENCE


@in_a_window
def test_a_first_stroke_handles_no_event_of_the_window(dock, qtbot):
    """Else the next movement of the mouse paints within the event of this one."""
    handled = []
    dock.workspace.active.labels.layer.brush_size = 3
    QTimer.singleShot(0, lambda: handled.append("another stroke"))
    paint(dock, 6)
    assert dock.workspace.session.frames.status(6) is FrameStatus.REFERENCE
    assert not handled
    qtbot.waitUntil(lambda: bool(handled), timeout=WAIT_MS)


def test_painting_during_a_run_protects_the_frame(dock, predictor, qtbot):
    predictor.gate.clear()
    click(qtbot, dock.run_panel.run_button)
    paint(dock, 9)
    painted = dock.workspace.active.labels.read(9)
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    np.testing.assert_array_equal(dock.workspace.active.labels.read(9), painted)
    assert statuses(dock)[9] is FrameStatus.REFERENCE
    assert "1 left as you made them" in hint(qtbot, dock)


def test_an_error_is_said_and_the_dock_is_ready_again(dock, predictor, qtbot):
    predictor.fails_at = 7
    with qtbot.capture_exceptions():
        run_to_end(qtbot, dock)
    assert "the network broke" in hint(qtbot, dock)
    predictor.fails_at = None
    run_to_end(qtbot, dock)
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 1


@in_a_window
@pytest.mark.parametrize("how", ["remove dock", "close viewer", "release"])
def test_closing_in_the_middle_of_a_run(viewer, dock, stack, predictor, how, qtbot):
    predictor.seconds = 0.05
    click(qtbot, dock.run_panel.run_button)
    runs = dock.workspace.active.runs
    qtbot.waitUntil(lambda: runs.done >= 2, timeout=WAIT_MS)
    if how == "remove dock":
        viewer.window.remove_dock_widget(dock)
    elif how == "close viewer":
        viewer.close()
    else:
        dock.release()
    assert not runs.is_running
    assert sum(frame.any() for frame in stack.data) >= 3
    assert not getattr(stack, "keymap", {})
    count = len(predictor.predicted)
    qtbot.wait(200)
    assert len(predictor.predicted) <= count + 1


# -- what happens to layers ---------------------------------------------------------


def test_removing_the_labels_during_a_run_ends_it(viewer, dock, predictor, qtbot):
    predictor.seconds = 0.05
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: dock.workspace.active.runs.done >= 1, timeout=WAIT_MS)
    viewer.layers.remove("mine")
    assert dock.workspace.active is None
    assert "New" in hint(qtbot, dock)
    assert not dock.run_panel.run_button.isEnabled()


def test_nothing_is_said_of_an_image_that_is_gone(viewer, dock, qtbot):
    run_to_end(qtbot, dock)
    run_to_end(qtbot, dock, dock.run_panel.undo_button)
    assert "was undone" in hint(qtbot, dock)
    run_to_end(qtbot, dock)
    assert "labelled" in hint(qtbot, dock)
    viewer.add_image(np.zeros((5, 9, 9), np.uint8), name="next")
    dock.data_panel.image_box.setCurrentText("next")
    qtbot.waitUntil(lambda: ">New</a>" in hint(qtbot, dock), timeout=WAIT_MS)
    panels = (dock.references_panel, dock.run_panel, dock.review_panel)
    assert [panel._summary.text() for panel in panels] == ["", "", ""]
    assert "predicted" not in dock.review_panel.legend.text()
    assert dock.references_panel.classes.topLevelItemCount() == 0
    assert dock.references_panel.thumbnails.count() == 0
    viewer.layers.clear()
    qtbot.waitUntil(lambda: "sample" in hint(qtbot, dock), timeout=WAIT_MS)
    assert dock.data_panel._summary.text() == ""


def test_the_hint_makes_the_labels_that_it_asks_for(viewer, dock, qtbot):
    viewer.add_image(np.zeros((5, 9, 9), np.uint8), name="next")
    dock.data_panel.image_box.setCurrentText("next")
    qtbot.waitUntil(lambda: ">New</a>" in hint(qtbot, dock), timeout=WAIT_MS)
    dock.hint_line.link_clicked.emit("new")
    assert dock.workspace.choice.labels.data.shape == (5, 9, 9)


def test_renaming_and_reordering_change_nothing(viewer, dock, qtbot):
    session = dock.workspace.session
    viewer.layers["mine"].name = "ours"
    viewer.layers.move(0, 2)
    assert dock.workspace.session is session
    assert dock.data_panel.labels_box.currentText() == "ours"
    run_to_end(qtbot, dock)


def test_other_data_of_the_image_are_taken(viewer, dock, qtbot):
    run_to_end(qtbot, dock)
    session = dock.workspace.session
    viewer.layers["stack"].data = viewer.layers["stack"].data[::-1]
    assert dock.workspace.session is session
    assert FrameStatus.STALE in statuses(dock)
    viewer.layers["stack"].data = np.zeros((3, 5, 5), np.uint8)
    assert dock.workspace.active is None
    assert "another shape" in hint(qtbot, dock)


def test_a_run_ends_when_the_data_of_its_image_are_replaced(
    viewer, dock, qtbot, predictor
):
    predictor.gate.clear()
    click(qtbot, dock.run_panel.run_button)
    viewer.layers["stack"].data = viewer.layers["stack"].data[::-1]
    assert dock.workspace.active.runs.is_stopping
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert dock.workspace.message.text.startswith("Stopped")
    assert statuses(dock).count(FrameStatus.EMPTY) >= LENGTH - 2


def test_new_makes_labels_like_the_image(viewer, open_dock, qtbot):
    image = np.zeros((5, 8, 9), np.uint8)
    viewer.add_image(image, scale=(2, 0.5, 0.5), translate=(1, 2, 3), name="scan")
    dock = open_dock()
    assert "New" in hint(qtbot, dock)
    click(qtbot, dock.data_panel.new_button)
    layer = dock.workspace.choice.labels
    assert layer.name == "scan labels"
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))
    np.testing.assert_array_equal(layer.translate, (1, 2, 3))
    assert viewer.layers.selection.active.name == layer.name
    assert layer.mode == "paint"
    settle(qtbot, dock)
    assert "paint" in hint(qtbot, dock)


def test_labels_that_do_not_fit_are_named(viewer, dock, qtbot):
    viewer.add_labels(np.zeros((3, 4, 5), np.uint8), name="small")
    dock.data_panel.labels_box.setCurrentText("small")
    assert dock.workspace.active is None
    assert "small of shape (3, 4, 5)" in hint(qtbot, dock)
    dock.data_panel.labels_box.setCurrentText("mine")
    settle(qtbot, dock)
    assert statuses(dock)[3] is FrameStatus.REFERENCE


def test_statuses_are_there_again_when_one_comes_back(viewer, dock, stack, qtbot):
    run_to_end(qtbot, dock)
    click(qtbot, dock.data_panel.new_button)
    assert dock.workspace.choice.labels is not stack
    dock.data_panel.labels_box.setCurrentText("mine")
    assert statuses(dock).count(FrameStatus.PREDICTED) == LENGTH - 1


def test_axes_channels_and_a_fixed_index(viewer, open_dock, qtbot):
    data = np.zeros((4, 3, 2, 8, 9), np.uint8)
    viewer.add_image(data, name="5d", axis_labels=("t", "z", "c", "y", "x"))
    dock = open_dock()
    panel = dock.data_panel
    choice = dock.workspace.choice
    assert (choice.axis, choice.channel_axis, choice.channels) == ((0, 1), 2, (0, 1))
    assert choice.fixed == ()
    assert panel.axis_box.currentText() == "time and z: 4 x 3"
    assert panel.channels_button.text() == "0, 1"
    panel.axis_box.setCurrentIndex(1)
    assert dock.workspace.choice.axis == 0
    panel.axis_box.setCurrentIndex(2)
    assert dock.workspace.choice.axis == 1
    click(qtbot, panel.new_button)
    assert dock.workspace.choice.labels.data.shape == (4, 3, 1, 8, 9)
    assert len(dock.workspace.session) == 3
    panel._other_axes[0][1].spin.setValue(2)
    assert dict(dock.workspace.choice.fixed) == {0: 2}
    assert dock.workspace.active.labels.axes.fixed == ((0, 2), (2, 0))
    assert panel.num_further_rows == 2  # time, and the channels in one row
    panel.channels_check.click()
    assert dock.workspace.choice.channel_axis is None
    assert dict(dock.workspace.choice.fixed) == {0: 2, 2: 0}
    assert panel._channels_row.field.isHidden()
    (_, channels) = panel._other_axes[1]
    channels.check.click()
    assert dock.workspace.choice.channel_axis == 2
    assert panel.channels_check.isChecked()
    assert panel.num_further_rows == 2


def test_a_view_beside_the_frames_is_said(viewer, open_dock, qtbot):
    image = np.zeros((4, 6, 8, 8), np.uint8)
    viewer.add_image(image, axis_labels=("t", "z", "y", "x"), name="a" * 60)
    viewer.dims.set_point(1, 2)
    dock = open_dock()
    dock.data_panel.axis_box.setCurrentIndex(1)  # time
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    assert "paint" in hint(qtbot, dock)
    assert "a" * 30 not in hint(qtbot, dock)  # would not fit
    dock.sliders.close()
    viewer.dims.set_point(1, 5)
    assert "z 2" in hint(qtbot, dock)
    dock.hint_line.link_clicked.emit("place:back")
    assert viewer.dims.point[1] == 2
    assert "z 2" not in hint(qtbot, dock)
    viewer.dims.set_point(1, 5)
    first = dock.workspace.active
    dock.hint_line.link_clicked.emit("place:here")
    settle(qtbot, dock)
    assert dock.workspace.active is not first
    assert dict(dock.workspace.choice.fixed) == {1: 5}
    assert "paint" in hint(qtbot, dock)
    (_, z), *_ = dock.data_panel._other_axes
    z.spin.setValue(3)  # the viewer follows the dock
    settle(qtbot, dock)
    assert viewer.dims.point[1] == 3
    assert "paint" in hint(qtbot, dock)


def test_the_dock_follows_the_sliders_of_fixed_axes(viewer, open_dock, qtbot):
    image = np.zeros((4, 6, 8, 8), np.uint8)
    viewer.add_image(image, axis_labels=("t", "z", "y", "x"), name="film")
    viewer.dims.set_point(1, 2)
    dock = open_dock()
    dock.data_panel.axis_box.setCurrentIndex(1)  # time
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    first = dock.workspace.active
    dock.workspace.active.labels.layer.paint((0, 2, 4, 4), 1)
    dock.workspace.active.labels.flush()
    viewer.dims.set_point(1, 5)
    qtbot.waitUntil(
        lambda: dict(dock.workspace.choice.fixed) == {1: 5}, timeout=WAIT_MS
    )
    (_, z), *_ = dock.data_panel._other_axes
    assert z.spin.value() == 5
    assert dock.workspace.active is not first
    viewer.dims.set_point(1, 2)
    qtbot.waitUntil(lambda: dock.workspace.active is first, timeout=WAIT_MS)
    assert statuses(dock)[0] is FrameStatus.REFERENCE


def test_a_run_is_not_left_when_sliders_move(viewer, open_dock, predictor, qtbot):
    image = np.zeros((4, 6, 8, 8), np.uint8)
    viewer.add_image(image, axis_labels=("t", "z", "y", "x"), name="film")
    dock = open_dock()
    dock.data_panel.axis_box.setCurrentIndex(1)  # time
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    first = dock.workspace.active
    first.labels.layer.paint((0, first.choice.fixed[0][1], 4, 4), 1)
    first.labels.flush()
    predictor.gate.clear()
    click(qtbot, dock.run_panel.run_button)
    viewer.dims.set_point(1, 5 if first.choice.fixed[0][1] != 5 else 0)
    qtbot.wait(500)
    assert dock.workspace.active is first
    assert "the viewer shows another place" in hint(qtbot, dock)
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def test_a_session_is_not_left_while_it_is_resumed(
    viewer, open_dock, qtbot, monkeypatch
):
    image = np.zeros((4, 6, 8, 8), np.uint8)
    viewer.add_image(image, axis_labels=("t", "z", "y", "x"), name="film")
    viewer.dims.set_point(1, 2)
    dock = open_dock()
    dock.data_panel.axis_box.setCurrentIndex(1)  # time
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    first, saved = dock.workspace.active, dock.saved_sessions
    monkeypatch.setattr(SavedSessions, "is_resuming", True)
    viewer.dims.set_point(1, 5)
    qtbot.wait(500)
    assert dock.workspace.active is first  # untouched, so that it would be closed
    monkeypatch.setattr(SavedSessions, "is_resuming", False)
    saved.changed.emit()
    qtbot.waitUntil(
        lambda: dict(dock.workspace.choice.fixed) == {1: 5}, timeout=WAIT_MS
    )
    assert dock.workspace.active is not first


def test_it_is_said_why_small_objects_take_long(dock, predictor, qtbot):
    predictor.gate.clear()
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: not dock.workspace.active.runs.is_loading, timeout=WAIT_MS)
    assert "enlarged" not in hint(qtbot, dock)
    dock.workspace.active.runs.run.num_parts = 9
    qtbot.waitUntil(lambda: "9 enlarged parts" in hint(qtbot, dock), timeout=WAIT_MS)
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def test_the_time_of_objects_does_not_depend_on_their_number(dock, qtbot):
    settings = dock.workspace.settings
    task = replace(settings.objects, task="objects")
    dock.workspace.settings = replace(settings, objects=task)
    active = dock.workspace.active
    qtbot.waitUntil(lambda: active.task == "objects", timeout=WAIT_MS)
    active.labels.layer.data[3] = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 20
    active.labels.layer.refresh()
    qtbot.waitUntil(lambda: len(previewed_ids(active)) > 20, timeout=WAIT_MS)
    assert dock.workspace.conditions.passes == 1
    task = replace(settings.objects, task="classes")
    dock.workspace.settings = replace(settings, objects=task)
    qtbot.waitUntil(lambda: dock.workspace.conditions.passes > 1, timeout=WAIT_MS)


def previewed_ids(active):
    found = map(active.previews.get, active.session.references.all)
    return {i for each in found if each is not None for i in each.ids}


# -- time and depth -------------------------------------------------------------------


@pytest.fixture
def film(viewer, open_dock, qtbot):
    """A film of volumes, 3 times of 4 slices, in a dock with new labels."""
    image = np.random.default_rng(0).integers(0, 255, (3, 4, 2, 24, 24), np.uint8)
    viewer.add_image(image, name="film", axis_labels=("t", "z", "c", "y", "x"))
    dock = open_dock()
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    return dock


def paint_at(dock, t, z, label=2):
    labels = dock.workspace.active.labels
    labels.layer.brush_size = 3
    labels.layer.paint((t, z, 0, 12, 12), label)
    labels.flush()


def test_references_at_any_time_and_depth_count_for_all(film, viewer, qtbot):
    paint_at(film, 0, 1)
    paint_at(film, 2, 3)
    session = film.workspace.session
    assert session.references.used_frames == [1, 11]
    assert film.data_panel._summary.text() == "12 frames (3 x 4), 24 x 24"
    run_to_end(qtbot, film)
    assert statuses(film).count(FrameStatus.PREDICTED) == 10
    labels = film.workspace.choice.labels.data
    assert labels.any(axis=(2, 3, 4)).all()
    click(qtbot, film.run_panel.undo_button)
    qtbot.waitUntil(lambda: statuses(film).count(FrameStatus.EMPTY) == 10)


def test_a_run_leads_along_time_or_along_depth(film, viewer, qtbot):
    paint_at(film, 1, 1)
    actions.go_to(film.workspace, 5)
    assert tuple(viewer.dims.point[:2]) == (1, 1)
    box = film.run_panel.scope_box
    box.setCurrentText("along z, at this t")
    assert "Label along z (3)" in film.run_panel.run_button.text()
    run_to_end(qtbot, film)
    predicted = FrameStatus.PREDICTED
    assert [i for i, x in enumerate(statuses(film)) if x is predicted] == [4, 6, 7]
    box.setCurrentText("along t, at this z")
    run_to_end(qtbot, film)
    found = [i for i, x in enumerate(statuses(film)) if x is predicted]
    assert found == [1, 4, 6, 7, 9]


def test_what_was_predicted_along_both_is_no_example_along_one(film, viewer, qtbot):
    paint_at(film, 1, 1)
    run_to_end(qtbot, film)
    both = film.workspace.active
    actions.go_to(film.workspace, 5)
    film.data_panel.axis_box.setCurrentIndex(1)  # time
    settle(qtbot, film)
    stale, reference = FrameStatus.STALE, FrameStatus.REFERENCE
    assert statuses(film) == [stale, reference, stale]
    assert film.workspace.session.references.used_frames == [1]
    film.workspace.active.labels.layer.paint((2, 1, 0, 3, 3), 2)
    film.workspace.active.labels.flush()
    assert statuses(film)[2] is FrameStatus.CORRECTED
    run_to_end(qtbot, film, film.run_panel.update_button)
    assert statuses(film)[0] is FrameStatus.PREDICTED
    film.data_panel.axis_box.setCurrentIndex(0)
    settle(qtbot, film)
    assert film.workspace.active is both
    assert statuses(film)[9] is FrameStatus.CORRECTED  # t 2, z 1
    assert statuses(film)[5] is reference
    assert (
        statuses(film).count(FrameStatus.PREDICTED) + statuses(film).count(stale) == 10
    )


def test_frames_are_called_by_time_and_depth(film, viewer, qtbot):
    viewer.dims.set_point((0, 1), (2, 3))
    assert film.workspace.current == 11
    assert film.review_panel.strip.describe(11).startswith("Frame t 2, z 3: empty")
    click(qtbot, film.references_panel.toggle_button)
    assert "Frame t 2, z 3 is a reference without labels" in hint(qtbot, film)
    thumbnails = film.references_panel.thumbnails
    qtbot.waitUntil(lambda: thumbnails.keys() == [11], timeout=WAIT_MS)
    assert thumbnails.item(0).text() == "t 2, z 3"
    film.review_panel.strip.frame_clicked.emit(4)
    assert tuple(viewer.dims.point[:2]) == (1, 0)


def test_objects_of_a_film_are_listed_by_time_and_depth(film, qtbot):
    paint_at(film, 1, 2, label=5)
    panel = film.objects_panel
    assert not panel.tracks_button.isEnabled()
    assert "one axis" in panel.tracks_button.toolTip()
    click(qtbot, panel.list_button)
    qtbot.waitUntil(lambda: panel._survey is not None, timeout=WAIT_MS)
    model = panel.table.model()
    head = (model.headerData(i, Qt.Orientation.Horizontal) for i in range(3))
    assert list(head) == ["t", "z", "id"]
    assert [panel.table.cell_text(0, i) for i in range(3)] == ["1", "2", "5"]


def test_nothing_divides_from_slice_to_slice_of_a_volume(film, qtbot):
    objects = replace(
        film.workspace.settings.objects, linking=LinkingSettings(along="t")
    )
    film.workspace.settings = replace(film.workspace.settings, objects=objects)
    labels = film.workspace.choice.labels.data
    labels[0, 1, 0, 6:18, 4:20] = 1
    labels[0, 2, 0, 6:18, 4:11] = 2
    labels[0, 2, 0, 6:18, 13:20] = 3
    panel = film.objects_panel
    panel.list_objects()
    qtbot.waitUntil(lambda: panel._survey is not None, timeout=WAIT_MS)
    assert panel.about_label.text().startswith("3 ")
    assert not panel._survey.tracks.graph


def test_the_scopes_of_two_axes_go_with_these(film, qtbot):
    film.run_panel.scope_box.setCurrentText("along t, at this z")
    assert film.workspace.scope == "column"
    film.data_panel.axis_box.setCurrentIndex(1)  # time
    assert film.workspace.scope == "all"
    assert film.run_panel.scope_box.findText("along t, at this z") < 0


def test_a_level_and_layers_that_are_mixed(viewer, open_dock, qtbot):
    levels = [np.zeros((4, 16, 16), np.uint8), np.zeros((4, 8, 8), np.uint8)]
    viewer.add_image(levels, multiscale=True, name="pyramid")
    dock = open_dock()
    dock.data_panel.level_box.setCurrentIndex(1)
    click(qtbot, dock.data_panel.new_button)
    assert dock.workspace.choice.labels.data.shape == (4, 8, 8)
    for name in ("red", "green"):
        viewer.add_image(np.zeros((4, 8, 8), np.uint8), name=name)
    dock.workspace.choose_image(viewer.layers["red"], [])
    green = viewer.layers["green"]
    dock.data_panel._on_mixed([green])
    assert dock.data_panel.mix_button.text() == "green"
    assert dock.workspace.choice.stack()[0].shape == (8, 8, 2)


def test_the_largest_ids_are_locked(viewer, open_dock, qtbot):
    large = 2**63 + 5
    viewer.add_image(np.zeros((3, SIDE, SIDE), np.uint8), name="stack")
    labels = np.zeros((3, SIDE, SIDE), np.uint64)
    labels[1, 4:14, 5:15], labels[1, 18:, 18:] = large, 1
    viewer.add_labels(labels, name="mine")
    dock = open_dock()
    settle(qtbot, dock)
    classes = dock.references_panel.classes
    classes.locked.emit(large, True)
    qtbot.waitUntil(lambda: classes.topLevelItemCount() == 2, timeout=WAIT_MS)
    assert classes.topLevelItem(1).text(0) == str(large)
    assert dock.workspace.session.frames.locks.labels == {large}
    run_to_end(qtbot, dock)
    assert "Expected label ids below 2**63" in dock.workspace.message.text


@pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning")  # napari's own
def test_an_image_without_frames_is_a_problem_until_it_has_some(
    viewer, open_dock, qtbot
):
    image = viewer.add_image(np.zeros((0, 24, 24), np.uint8), name="stack")
    labels = viewer.add_labels(np.zeros((0, 24, 24), np.uint8), name="mine")
    dock = open_dock()
    assert dock.workspace.active is None
    assert "at least one frame" in dock.workspace.problem
    assert "at least one frame" in hint(qtbot, dock)
    image.data, labels.data = (np.zeros((3, 24, 24), np.uint8) for _ in range(2))
    settle(qtbot, dock)
    assert len(dock.workspace.session) == 3


def test_layers_that_are_mixed_are_followed(viewer, dock, qtbot):
    shape = (LENGTH, SIDE, SIDE)
    green = viewer.add_image(np.zeros(shape, np.uint8), name="green")
    workspace = dock.workspace
    dock.data_panel._on_mixed([green])
    run_to_end(qtbot, dock)
    assert statuses(dock)[5] is FrameStatus.PREDICTED
    green.data = np.ones(shape, np.uint8)
    assert statuses(dock)[5] is FrameStatus.STALE  # of another picture
    assert workspace.active.stack[0][..., 1].all()
    viewer.layers.remove(green)
    assert workspace.choice.mixed == ()
    assert workspace.active.stack[0].shape == (SIDE, SIDE)
    blue = viewer.add_image(np.zeros(shape, np.uint8), name="blue")
    dock.data_panel._on_mixed([blue])
    blue.data = np.zeros((2, 3, 3), np.uint8)
    assert workspace.active is None
    assert "data of blue have another shape" in workspace.problem


def test_a_volume_is_cut_along_another_axis(viewer, open_dock, qtbot):
    volume = np.zeros((6, 10, 14), np.uint8)
    viewer.add_image(volume, name="volume", axis_labels=("z", "y", "x"))
    dock = open_dock()
    box = dock.data_panel.axis_box
    offered = [box.itemText(i) for i in range(box.count())]
    assert offered == ["depth (z): 6", "x-z slices: 10", "y-z slices: 14"]
    box.setCurrentText("x-z slices: 10")
    click(qtbot, dock.data_panel.new_button)
    settle(qtbot, dock)
    assert tuple(viewer.dims.displayed) == (0, 2)
    assert all(field.isHidden() for _, field in dock.data_panel._other_axes)
    labels = dock.workspace.active.labels
    assert (len(labels), labels.frame_shape) == (10, (6, 14))
    actions.go_to(dock.workspace, 7)
    assert viewer.dims.point[1] == 7
    labels.layer.brush_size = 3
    labels.layer.paint((3, 7, 8), 2)
    labels.flush()
    assert dock.workspace.session.references.used_frames == [7]
    run_to_end(qtbot, dock)
    assert (np.asarray(labels.layer.data) == 2).any(axis=(0, 2)).all()
    box.setCurrentText("depth (z): 6")
    assert tuple(viewer.dims.displayed) == (1, 2)


def test_only_a_volume_is_cut_along_another_axis(viewer, open_dock):
    viewer.add_image(np.zeros((6, 10, 14)), name="film", axis_labels=("t", "y", "x"))
    dock = open_dock()
    assert dock.data_panel.axis_box.count() == 1


# -- references -----------------------------------------------------------------------


def test_references_are_ticked_removed_and_gone_to(dock, qtbot):
    thumbnails = dock.references_panel.thumbnails
    session = dock.workspace.session
    qtbot.waitUntil(lambda: thumbnails.keys() == [3], timeout=WAIT_MS)
    actions.go_to(dock.workspace, 0)
    thumbnails.chosen.emit(3)
    assert dock.workspace.current == 3
    thumbnails.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert not session.references.all[0].enabled
    assert "Tick" in hint(qtbot, dock)
    thumbnails.item(0).setCheckState(Qt.CheckState.Checked)
    click(qtbot, dock.references_panel.toggle_button)
    qtbot.waitUntil(lambda: thumbnails.keys() == [], timeout=WAIT_MS)
    assert session.frames.status(3) is FrameStatus.CORRECTED
    click(qtbot, dock.references_panel.toggle_button)
    qtbot.waitUntil(lambda: thumbnails.keys() == [3], timeout=WAIT_MS)


def test_pictures_names_and_locks(dock, stack, qtbot):
    panel = dock.references_panel
    qtbot.waitUntil(lambda: panel.classes.topLevelItemCount() == 1, timeout=WAIT_MS)
    row = panel.classes.topLevelItem(0)
    picture = panel.thumbnails.item(0).data(Qt.ItemDataRole.DecorationRole)
    assert not picture.isNull()
    row.setText(1, "nucleus")
    assert stack.metadata["napari-seggpt"]["names"] == {1: "nucleus"}
    row.setCheckState(2, Qt.CheckState.Checked)
    assert dock.workspace.session.frames.locks.labels == {1}
    run_to_end(qtbot, dock)
    assert not stack.data[0].any()  # the only label is locked
    panel.classes.itemClicked.emit(panel.classes.topLevelItem(0), 0)
    assert stack.selected_label == 1


def test_small_objects_are_said_with_the_fix(viewer, open_dock, qtbot):
    viewer.add_image(np.zeros((2, 1300, 1200), np.uint8), name="large")
    labels = np.zeros((2, 1300, 1200), np.uint8)
    labels[0, ::30, ::30] = 1
    viewer.add_labels(labels, name="dots")
    dock = open_dock()
    qtbot.waitUntil(lambda: "Tiles" in hint(qtbot, dock), timeout=WAIT_MS)
    assert "12 times as long" in hint(qtbot, dock)
    dock.hint_line.link_clicked.emit("tiles")
    tiling = dock.workspace.settings.prediction.tiling
    assert tiling.enabled
    assert tiling.scale == 1
    dock.workspace.show_message("")
    assert "Tiles" not in hint(qtbot, dock)
    assert dock.form.settings.prediction.tiling == tiling


def test_no_tiles_are_offered_where_the_model_sees_frames_whole(
    viewer, open_dock, qtbot
):
    viewer.add_image(np.zeros((2, 900, 900), np.uint8), name="small")
    labels = np.zeros((2, 900, 900), np.uint8)
    labels[0, ::30, ::30] = 1
    viewer.add_labels(labels, name="dots")
    dock = open_dock()
    settle(qtbot, dock)
    previews = dock.workspace.active.previews
    (reference,) = dock.workspace.session.references.all
    qtbot.waitUntil(lambda: previews.get(reference) is not None, timeout=WAIT_MS)
    assert previews.get(reference).side < 3
    assert "Tiles" not in hint(qtbot, dock)


def test_references_from_other_layers(viewer, dock, qtbot):
    viewer.add_image(np.ones((10, 11), np.uint8), name="other")
    labels = np.zeros((10, 11), np.uint8)
    labels[2:5, 2:5] = 4
    viewer.add_labels(labels, name="other labels")
    panel = dock.references_panel
    click(qtbot, panel.others_button)
    assert panel.examples.image_box.currentText() == "other"
    click(qtbot, panel.examples.add_button)
    qtbot.waitUntil(panel.examples.isHidden, timeout=WAIT_MS)
    thumbnails = panel.thumbnails
    qtbot.waitUntil(lambda: thumbnails.keys() == [3, "other labels"], timeout=WAIT_MS)
    thumbnails.removed.emit("other labels")
    qtbot.waitUntil(lambda: thumbnails.keys() == [3], timeout=WAIT_MS)


# -- settings, keys, theme ------------------------------------------------------------


def test_settings_are_there_in_the_next_session(open_dock, stack, qtbot):
    first = open_dock()
    first.form.editor("propagation.memory").value = 4
    first.run_panel.scope_box.setCurrentText("a range")
    first.form.editor("prediction.max_prompts").value = 3
    first.advanced_panel.set_open(True)
    first.release()
    second = open_dock()
    assert second.workspace.settings.propagation.memory == 4
    assert second.workspace.settings.propagation.stop is None
    assert second.workspace.settings.prediction.max_prompts == 3
    assert second.form.editor("propagation.memory").value == 4
    assert second.advanced_panel.is_open


def test_only_the_range_is_predicted(dock, predictor, qtbot):
    panel = dock.run_panel
    panel.scope_box.setCurrentText("a range")
    panel.range.from_spin.setValue(5)
    panel.range.to_spin.setValue(7)
    qtbot.waitUntil(lambda: "(3)" in panel.run_button.text(), timeout=WAIT_MS)
    run_to_end(qtbot, dock)
    assert sorted(predictor.predicted) == [5, 6, 7]


def test_the_confidence_has_a_number_and_a_limit(open_dock, stack, qtbot):
    dock = open_dock()
    settle(qtbot, dock)
    run_to_end(qtbot, dock)
    panel = dock.review_panel
    actions.go_to(dock.workspace, 9)
    qtbot.waitUntil(lambda: "confidence" in panel._summary.text(), timeout=WAIT_MS)
    shown = dock.workspace.session.frames.confidence(9)
    assert f"confidence {shown:.2f}" in panel._summary.text()
    assert panel.strip.num_unsure == 0
    panel.limit_spin.setValue(1.0)
    assert panel.strip.num_unsure == LENGTH - 1
    assert f"{LENGTH - 1} marked" in panel._summary.text()
    dock.release()
    assert open_dock().review_panel.strip.limit == 1.0


def test_a_run_is_limited_to_a_drawn_region(viewer, dock, qtbot):
    panel = dock.run_panel
    assert panel.region_box.isHidden()
    corners = np.array([[4, 4], [4, 8], [14, 8], [14, 4]])
    viewer.add_shapes([corners], name="here")
    qtbot.waitUntil(lambda: not panel.region_box.isHidden(), timeout=WAIT_MS)
    panel.region_box.setCurrentText("inside here")
    run_to_end(qtbot, dock)
    columns = np.nonzero(dock.workspace.active.labels.read(8))[1]
    assert columns.max() <= 8  # of the object, which reaches to 14
    for button in (
        dock.review_panel.least_button,
        dock.references_panel.advice.suggest_button,
    ):
        click(qtbot, button)
        qtbot.waitUntil(lambda: "region" in hint(qtbot, dock), timeout=WAIT_MS)
        qtbot.waitUntil(lambda b=button: b.text() != "Stop", timeout=WAIT_MS)
        dock.workspace.show_message("")
    viewer.layers["here"].data = []
    actions.start_run(dock.workspace, "all")
    assert "region that lies on the frames" in hint(qtbot, dock)
    viewer.layers.remove("here")
    qtbot.waitUntil(panel.region_box.isHidden, timeout=WAIT_MS)
    run_to_end(qtbot, dock)
    assert np.nonzero(dock.workspace.active.labels.read(8))[1].max() == 14


def test_the_button_knows_of_a_region_and_that_it_is_gone(viewer, dock, qtbot):
    panel = dock.run_panel
    text = panel.run_button.text
    run_to_end(qtbot, dock)
    qtbot.waitUntil(lambda: "again" in text(), timeout=WAIT_MS)
    viewer.add_shapes([np.array([[4, 4], [4, 8], [14, 8], [14, 4]])], name="here")
    qtbot.waitUntil(lambda: not panel.region_box.isHidden(), timeout=WAIT_MS)
    panel.region_box.setCurrentText("inside here")
    qtbot.waitUntil(lambda: "again" not in text(), timeout=WAIT_MS)
    viewer.layers.remove("here")
    qtbot.waitUntil(lambda: "again" in text(), timeout=WAIT_MS)


def test_bridging_by_shape_takes_no_region(viewer, dock, qtbot):
    panel = dock.run_panel
    viewer.add_shapes([np.array([[4, 4], [4, 8], [14, 8], [14, 4]])], name="here")
    qtbot.waitUntil(lambda: not panel.region_box.isHidden(), timeout=WAIT_MS)
    assert panel.region_box.isEnabled()
    panel.scope_box.setCurrentText("between references, by shape")
    assert not panel.region_box.isEnabled()
    assert "not limited" in panel.region_box.toolTip()
    panel.scope_box.setCurrentText("all frames")
    assert panel.region_box.isEnabled()
    assert "inside the rectangles" in panel.region_box.toolTip()


def test_frames_are_bridged_by_shape(dock, predictor, qtbot):
    panel = dock.run_panel
    panel.scope_box.setCurrentText("between references, by shape")
    qtbot.waitUntil(lambda: not panel.run_button.isEnabled(), timeout=WAIT_MS)
    actions.go_to(dock.workspace, 6)
    layer = dock.workspace.active.labels.layer
    layer.data[6] = layer.data[3]
    layer.refresh()
    dock.workspace.session.frames.labels_changed([6])
    qtbot.waitUntil(panel.run_button.isEnabled, timeout=WAIT_MS)
    assert panel.run_button.text().startswith("Bridge by shape (2)")
    run_to_end(qtbot, dock)
    np.testing.assert_array_equal(layer.data[4], layer.data[3])
    assert not layer.data[2].any()
    assert not predictor.predicted


@in_a_window
def test_keys_work_on_the_viewer_and_on_the_labels(viewer, dock, stack, qtbot):
    actions.go_to(dock.workspace, 5)
    wrapped = viewer.__wrapped__
    handler = wrapped.window._qt_viewer._key_map_handler
    for active in (stack, None):
        viewer.layers.selection.active = active
        assert handler.press_key("Shift-K")
        expected = FrameStatus.APPROVED if active is stack else FrameStatus.EMPTY
        assert statuses(dock)[5] is expected
    dock.release()
    assert not handler.press_key("Shift-K")


@in_a_window
def test_the_view_and_selection_stay_as_they_are(viewer, dock, qtbot):
    viewer.layers.selection.active = viewer.layers["stack"]
    actions.go_to(dock.workspace, 6)
    place = viewer.dims.current_step
    run_to_end(qtbot, dock)
    assert viewer.dims.current_step == place
    assert viewer.layers.selection.active == viewer.layers["stack"]


@in_a_window
def test_both_themes(viewer, dock, qtbot):
    viewer.theme = "light"
    light = dock.styleSheet()
    viewer.theme = "dark"
    assert dock.styleSheet() != light


@pytest.mark.slow
def test_opening_needs_no_torch_and_the_model_is_loaded_once():
    import subprocess

    script = (
        "import napari_seggpt.ui.dock, napari_seggpt.ui.commands, sys; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@in_a_window
def test_the_window_answers_during_a_run(dock, predictor, qtbot):
    predictor.seconds = 0.08
    gaps, last = [], [time.perf_counter()]

    def tick():
        now = time.perf_counter()
        gaps.append(now - last[0])
        last[0] = now

    timer = QTimer()
    timer.timeout.connect(tick)
    click(qtbot, dock.run_panel.run_button)
    qtbot.waitUntil(lambda: dock.workspace.active.runs.done >= 1, timeout=WAIT_MS)
    last[0] = time.perf_counter()
    timer.start(2)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    timer.stop()
    assert np.percentile(gaps, 95) < 0.05


def test_layers_of_the_wrong_kind_are_left_alone(viewer, open_dock, qtbot):
    viewer.add_points(np.zeros((1, 2)))
    dock = open_dock()
    assert not dock.data_panel.image_box.isEnabled()
    viewer.add_image(np.zeros((6, 7), np.uint8), name="one")
    assert isinstance(dock.workspace.choice.image, Image)
    click(qtbot, dock.data_panel.new_button)
    assert isinstance(dock.workspace.choice.labels, Labels)
    assert len(dock.workspace.session) == 1
