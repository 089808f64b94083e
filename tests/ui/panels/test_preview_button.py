"""The layer that shows what a run would write."""

from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions

WAIT_MS = 20_000
SHAPE = LENGTH, HEIGHT, WIDTH = 6, 40, 50


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot):
    image = np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8)
    place = {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3)}
    viewer_model.add_image(image, name="stack", **place)
    labels = np.zeros(SHAPE, np.uint8)
    labels[3, 10:20, 10:20] = 1
    labels[3, 30:33, 30:33] = 1  # a speck, if that is wanted
    viewer_model.add_labels(labels, name="mine", **place)
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    actions.go_to(dock.workspace, 1)
    yield dock
    dock.release()


def press(qtbot, dock):
    assert dock.preview.button.isEnabled()
    qtbot.mouseClick(dock.preview.button, Qt.MouseButton.LeftButton)


def count(dock):
    return np.count_nonzero(dock.preview.layer.data)


def until(qtbot, dock, pixels):
    qtbot.waitUntil(lambda: count(dock) == pixels, timeout=WAIT_MS)


def clean_up(dock, **changes):
    editor = dock.form.editor("cleanup.smallest")
    editor.switch.value = True
    editor.edit.value = changes["smallest"]


def test_it_follows_frame_and_settings_and_writes_nothing(viewer_model, dock, qtbot):
    written = viewer_model.layers["mine"].data.copy()
    press(qtbot, dock)
    layer = dock.preview.layer
    assert (layer.name, layer.data.shape) == ("mine preview", (1, HEIGHT, WIDTH))
    assert not layer.editable
    until(qtbot, dock, 100 + 9)
    assert layer.translate[0] == 1 + 2 * 1
    clean_up(dock, smallest=20)
    until(qtbot, dock, 100)
    actions.go_to(dock.workspace, 5)
    qtbot.waitUntil(lambda: layer.translate[0] == 1 + 2 * 5, timeout=WAIT_MS)
    assert count(dock) == 100
    actions.go_to(dock.workspace, 3)  # the reference, which no run writes
    until(qtbot, dock, 0)
    np.testing.assert_array_equal(viewer_model.layers["mine"].data, written)


def test_it_lies_where_the_labels_do(viewer_model, dock, qtbot):
    press(qtbot, dock)
    until(qtbot, dock, 109)
    labels, layer = viewer_model.layers["mine"], dock.preview.layer
    labels.scale = labels.scale * (1, 3, 3)
    labels.translate = np.add(labels.translate, (0, 2, 0))
    np.testing.assert_array_equal(layer.extent.world[:, 1:], labels.extent.world[:, 1:])


def test_it_shows_what_a_run_then_writes(viewer_model, dock, qtbot):
    press(qtbot, dock)
    until(qtbot, dock, 109)
    shown = dock.preview.layer.data[0].copy()
    actions.start_run(dock.workspace, "frame")
    assert not dock.workspace.is_busy or dock.preview._job is None
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    np.testing.assert_array_equal(viewer_model.layers["mine"].data[1], shown)
    until(qtbot, dock, 109)  # a predicted frame may be predicted anew


def test_a_reference_that_changes_changes_it(viewer_model, dock, qtbot):
    press(qtbot, dock)
    until(qtbot, dock, 109)
    layer = viewer_model.layers["mine"]
    actions.go_to(dock.workspace, 3)
    layer.fill((3, 35, 2), 2)
    actions.go_to(dock.workspace, 1)
    until(qtbot, dock, HEIGHT * WIDTH)


def test_it_is_said_why_nothing_is_shown_of_a_reference(dock, qtbot):
    actions.go_to(dock.workspace, 3)
    press(qtbot, dock)
    assert "no run writes" in dock.workspace.message.text
    press(qtbot, dock)
    dock.workspace.show_message("")
    actions.go_to(dock.workspace, 1)
    press(qtbot, dock)
    assert dock.workspace.message is None


def test_it_is_never_worked_on_and_goes_as_it_came(viewer_model, dock, qtbot):
    names = [layer.name for layer in viewer_model.layers]
    press(qtbot, dock)
    until(qtbot, dock, 109)
    boxes = dock.data_panel.labels_box
    assert "mine preview" not in [boxes.itemText(i) for i in range(boxes.count())]
    viewer_model.layers.remove("mine")
    assert [layer.name for layer in viewer_model.layers] == ["stack"]
    assert not dock.preview.button.isChecked()
    assert names == ["stack", "mine"]


def test_it_is_off_without_a_reference(viewer_model, models, predictor, qtbot):
    viewer_model.add_image(np.zeros(SHAPE, np.uint8), name="stack")
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    assert not dock.preview.button.isEnabled()
    viewer_model.add_labels(np.zeros(SHAPE, np.uint8))
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    assert not dock.preview.button.isEnabled()
    assert "no reference" in dock.preview.button.toolTip()
    layer = dock.workspace.active.labels.layer
    layer.fill((2, 5, 5), 1)
    qtbot.waitUntil(dock.preview.button.isEnabled, timeout=WAIT_MS)
    assert isinstance(layer, Labels)
    dock.release()


def test_it_shows_what_other_channels_give(viewer_model, dock, predictor, qtbot):
    """With another image mixed in, the same session has other pictures."""
    workspace = dock.workspace
    stack = viewer_model.layers["stack"]
    other = viewer_model.add_image(
        np.asarray(stack.data), name="2", scale=stack.scale, translate=stack.translate
    )
    press(qtbot, dock)
    until(qtbot, dock, 109)
    active, before = workspace.active, len(predictor.predicted)
    workspace.choose(replace(workspace.choice, mixed=(other,)))
    assert workspace.active is active
    qtbot.waitUntil(lambda: len(predictor.predicted) > before, timeout=WAIT_MS)


def test_it_is_of_the_region_that_runs_are_limited_to(viewer_model, dock, qtbot):
    press(qtbot, dock)
    until(qtbot, dock, 109)
    # Rows and columns from 10 to 15, half of the object.
    place = {"scale": (0.5, 0.5), "translate": (2, 3)}
    corners = [[9.5, 9.5], [9.5, 14.5], [20.5, 14.5], [20.5, 9.5]]
    shapes = viewer_model.add_shapes([corners], name="here", **place)
    box = dock.run_panel.region_box
    qtbot.waitUntil(lambda: not box.isHidden(), timeout=WAIT_MS)
    box.setCurrentText("inside here")
    until(qtbot, dock, 50)
    viewer_model.layers.remove(shapes)
    until(qtbot, dock, 109)


def test_only_the_last_frame_is_waited_for(
    viewer_model, dock, models, predictor, qtbot
):
    """Who moves on while a frame is predicted need not wait for that one."""
    with models.lock:  # as if a frame was predicted
        press(qtbot, dock)
        for frame in (2, 4, 5):
            actions.go_to(dock.workspace, frame)
            qtbot.waitUntil(lambda: dock.preview._job is not None, timeout=WAIT_MS)
            qtbot.wait(100)  # its worker is at the lock
    until(qtbot, dock, 109)
    assert dock.preview.layer.translate[0] == 1 + 2 * 5
    assert predictor.predicted == [5]


def test_it_shows_all_labels_while_the_layer_shows_one(viewer_model, dock, qtbot):
    layer = viewer_model.layers["mine"]
    layer.show_selected_label = True
    layer.selected_label = 2
    press(qtbot, dock)
    until(qtbot, dock, 109)
    assert not dock.preview.layer.colormap.use_selection
    assert layer.colormap.use_selection
    layer.show_selected_label = False
    np.testing.assert_array_equal(dock.preview.layer.get_color(1), layer.get_color(1))


def test_what_was_shown_goes_if_predicting_fails(viewer_model, dock, predictor, qtbot):
    press(qtbot, dock)
    until(qtbot, dock, 109)
    predictor.fails_at = 1
    clean_up(dock, smallest=20)
    until(qtbot, dock, 0)


def test_it_waits_for_tuning_and_goes_on_after_it(viewer_model, dock, tuner, qtbot):
    layer = viewer_model.layers["mine"]
    actions.go_to(dock.workspace, 4)
    layer.fill((4, 35, 2), 2)
    actions.go_to(dock.workspace, 1)
    tuning = dock.workspace.active.tuning
    tuner.gate.clear()
    tuning.start()
    assert not dock.preview.button.isEnabled()
    tuning.stop()
    tuner.gate.set()
    qtbot.waitUntil(dock.preview.button.isEnabled, timeout=WAIT_MS)
