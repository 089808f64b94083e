"""Objects in the dock: what labels stand for, ids, tracks and the table."""

import csv

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions

WAIT_MS = 20_000
LENGTH, SHAPE = 5, (40, 80)


def row(*ids, shift=0):
    """Draw squares of 12 pixels that touch each other in a row."""
    labels = np.zeros(SHAPE, np.uint16)
    for number, label in enumerate(ids):
        left = 4 + 12 * number + shift
        labels[10:22, left : left + 12] = label
    return labels


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


@pytest.fixture
def dock(viewer, models, predictor, qtbot):
    image = np.random.default_rng(0).integers(0, 255, (LENGTH, *SHAPE), np.uint8)
    place = {"scale": (2, 0.5, 0.5), "axis_labels": ("t", "y", "x")}
    viewer.add_image(image, name="stack", **place)
    labels = np.zeros(image.shape, np.uint16)
    labels[0] = row(5, 90, 7)
    viewer.add_labels(labels, name="mine", **place)
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    dock.objects_panel.set_open(True)
    yield dock
    dock.release()


def click(qtbot, button):
    """Press a button, once what it depends on is known."""
    qtbot.waitUntil(button.isEnabled, timeout=WAIT_MS)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run_to_end(qtbot, dock, button=None):
    click(qtbot, button or dock.run_panel.run_button)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def read(dock, frame):
    return dock.workspace.active.labels.read(frame)


def reason(dock):
    return dock.objects_panel.task_row.reason.text()


# -- what labels stand for -------------------------------------------------------------


def test_the_dock_says_what_labels_stand_for_and_lets_it_be_changed(dock, qtbot):
    row_ = dock.objects_panel.task_row
    qtbot.waitUntil(lambda: reason(dock).startswith("Objects. "), timeout=WAIT_MS)
    assert "touch and look alike" in reason(dock)
    row_.box.setCurrentIndex(row_.box.findData("classes"))
    assert dock.workspace.settings.objects.task == "classes"
    qtbot.waitUntil(lambda: reason(dock).startswith("Classes. "), timeout=WAIT_MS)
    dock.workspace.settings = type(dock.workspace.settings)()
    assert row_.box.currentData() == "auto"
    qtbot.waitUntil(lambda: reason(dock).startswith("Objects. "), timeout=WAIT_MS)


def test_what_is_painted_is_looked_at_again(dock, qtbot):
    qtbot.waitUntil(lambda: reason(dock).startswith("Objects. "), timeout=WAIT_MS)
    layer = dock.workspace.active.labels.layer
    layer.data[0] = (layer.data[0] > 0) * 3
    layer.refresh()
    qtbot.waitUntil(lambda: reason(dock).startswith("Classes. "), timeout=WAIT_MS)
    layer.data[0] = 0
    layer.refresh()
    qtbot.waitUntil(lambda: reason(dock) == "", timeout=WAIT_MS)


# -- ids -------------------------------------------------------------------------------


def test_objects_have_the_same_ids_on_all_frames(dock, qtbot):
    run_to_end(qtbot, dock)
    for frame in range(LENGTH):
        np.testing.assert_array_equal(read(dock, frame), row(5, 90, 7))
    run_to_end(qtbot, dock, dock.run_panel.undo_button)
    assert not read(dock, 3).any()


def test_ids_are_carried_on_from_a_correction_with_one_undo(dock, qtbot, predictor):
    run_to_end(qtbot, dock)
    actions.go_to(dock.workspace, 2)
    layer = dock.workspace.active.labels.layer
    layer.data_setitem(np.nonzero(layer.data == 90), 41)  # on all frames
    layer.undo()
    place = tuple(np.nonzero(layer.data[2] == 90))
    layer.data_setitem((np.full(len(place[0]), 2), *place), 41)
    session = dock.workspace.session
    qtbot.waitUntil(
        lambda: session.frames.status(2) is FrameStatus.CORRECTED, timeout=WAIT_MS
    )
    predictor.predicted.clear()
    carry = dock.objects_panel.carry_button
    qtbot.waitUntil(carry.isEnabled, timeout=WAIT_MS)
    run_to_end(qtbot, dock, carry)
    assert dock.workspace.message.text == "Ids carried on to 2 frames."
    assert predictor.predicted == []
    np.testing.assert_array_equal(read(dock, 1), row(5, 90, 7))
    for frame in (2, 3, 4):
        np.testing.assert_array_equal(read(dock, frame), row(5, 41, 7))
    run_to_end(qtbot, dock, dock.run_panel.undo_button)
    np.testing.assert_array_equal(read(dock, 2), row(5, 41, 7))
    np.testing.assert_array_equal(read(dock, 3), row(5, 90, 7))


def test_there_is_nothing_to_carry_on_to_at_the_end(dock, qtbot):
    assert not dock.objects_panel.carry_button.isEnabled()
    run_to_end(qtbot, dock)
    actions.go_to(dock.workspace, LENGTH - 1)
    carry = dock.objects_panel.carry_button
    qtbot.waitUntil(carry.isEnabled, timeout=WAIT_MS)
    click(qtbot, carry)
    assert "predicted frames to carry the ids on to" in dock.workspace.message.text


def test_ids_of_classes_are_not_carried_on(dock, qtbot):
    run_to_end(qtbot, dock)
    carry = dock.objects_panel.carry_button
    qtbot.waitUntil(carry.isEnabled, timeout=WAIT_MS)
    box = dock.objects_panel.task_row.box
    box.setCurrentIndex(box.findData("classes"))
    qtbot.waitUntil(lambda: not carry.isEnabled(), timeout=WAIT_MS)


# -- tracks and the table --------------------------------------------------------------


def done(dock):
    return dock.objects_panel.list_button.isEnabled()


def test_a_list_of_classes_says_so(dock, qtbot):
    run_to_end(qtbot, dock)
    panel = dock.objects_panel
    panel.task_row.box.setCurrentIndex(panel.task_row.box.findData("classes"))
    qtbot.waitUntil(lambda: reason(dock).startswith("Classes. "), timeout=WAIT_MS)
    click(qtbot, panel.list_button)
    qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    assert "3 classes in 15 rows" in panel.about_label.text()


def test_the_table_leads_to_each_object(dock, viewer, qtbot):
    run_to_end(qtbot, dock)
    panel = dock.objects_panel
    click(qtbot, panel.list_button)
    qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    assert panel.table.model().rowCount() == 3 * LENGTH
    assert "3 objects in 15 rows" in panel.about_label.text()
    last = panel.table.model().index(3 * LENGTH - 1, 0)
    cells = [panel.table.cell_text(last.row(), column) for column in range(6)]
    assert cells[:3] == [str(LENGTH - 1), "90", "144"]
    image = viewer.layers["stack"].data[LENGTH - 1]
    bright = image[row(5, 90, 7) == 90].mean()
    assert float(cells[5]) == pytest.approx(bright, abs=0.1)
    panel.table.clicked.emit(last)
    assert dock.workspace.current == LENGTH - 1
    assert viewer.layers["mine"].selected_label == 90
    center = viewer.scene.camera.center[-2:]
    assert center == pytest.approx((15.5 * 0.5, 21.5 * 0.5))


def test_tracks_are_shown_where_the_labels_lie(dock, viewer, qtbot):
    run_to_end(qtbot, dock)
    viewer.layers.selection.active = viewer.layers["mine"]
    for _ in range(2):  # the second takes the place of the first
        click(qtbot, dock.objects_panel.tracks_button)
        qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    assert [layer.name for layer in viewer.layers] == ["stack", "mine", "mine tracks"]
    layer = viewer.layers["mine tracks"]
    assert set(layer.data[:, 0]) == {5, 90, 7}
    assert len(layer.data) == 3 * LENGTH
    np.testing.assert_array_equal(layer.scale, (2, 0.5, 0.5))
    assert viewer.layers.selection.active.name == "mine"


def test_divisions_are_in_the_graph(dock, viewer, qtbot):
    layer = viewer.layers["mine"]
    layer.data[:] = 0
    for frame in range(LENGTH):
        if frame < 2:
            layer.data[frame, 8:24, 10:26] = 1
        else:
            layer.data[frame, 8:24, 8 - frame : 16 - frame] = 2
            layer.data[frame, 8:24, 18 + frame : 26 + frame] = 3
    layer.refresh()
    click(qtbot, dock.objects_panel.tracks_button)
    qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    assert viewer.layers["mine tracks"].graph == {2: [1], 3: [1]}
    assert "1 divided" in dock.objects_panel.about_label.text()


def test_tracks_are_saved(dock, qtbot, tmp_path):
    run_to_end(qtbot, dock)
    for name in ("tracks.csv", "result"):
        dock.objects_panel.save(tmp_path / name)
        qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
        qtbot.waitUntil((tmp_path / name).exists, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    with (tmp_path / "tracks.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3 * LENGTH
    lines = (tmp_path / "result" / "res_track.txt").read_text().splitlines()
    assert sorted(lines) == ["5 0 4 0", "7 0 4 0", "90 0 4 0"]
    dock.objects_panel.save(tmp_path / "tracks.xyz")
    assert "Expected tracks as" in dock.workspace.message.text


def test_tracks_that_were_saved_are_replaced(dock, qtbot, tmp_path):
    run_to_end(qtbot, dock)
    path, other = tmp_path / "tracks.csv", tmp_path / "file"
    path.write_text("old")
    other.write_text("mine")
    dock.objects_panel.save(path)
    qtbot.waitUntil(lambda: path.read_text() != "old", timeout=WAIT_MS)
    qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    dock.objects_panel.save(other)
    assert "Expected a new path" in dock.workspace.message.text
    assert other.read_text() == "mine"


def test_without_objects_it_is_said(dock, viewer, qtbot):
    viewer.layers["mine"].data[:] = 0
    viewer.layers["mine"].refresh()
    click(qtbot, dock.objects_panel.tracks_button)
    qtbot.waitUntil(lambda: done(dock), timeout=WAIT_MS)
    assert "no objects yet" in dock.workspace.message.text
    assert "mine tracks" not in viewer.layers


def test_objects_of_layers_that_were_left_are_not_shown(dock, viewer, qtbot):
    image = viewer.add_image(np.zeros((3, 30, 30), np.uint8), name="other")
    panel, workspace = dock.objects_panel, dock.workspace
    panel.show_tracks()
    workspace.choose_image(image, [])
    workspace.make_labels()
    names = {layer.name for layer in viewer.layers}
    qtbot.waitUntil(lambda: panel._job is None, timeout=WAIT_MS)
    assert not panel.table.isVisibleTo(panel)
    assert {layer.name for layer in viewer.layers} == names
    assert "the objects of stack were dropped" in workspace.message.text
