"""The layer that shows where a frame is unsure."""

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt

from napari_seggpt.prompts import Prompt
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions

WAIT_MS = 20_000
LENGTH, HEIGHT, WIDTH = 6, 12, 14


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


def open_dock(viewer, models):
    image = np.random.default_rng(0).integers(0, 255, (LENGTH, HEIGHT, WIDTH), np.uint8)
    place = {"scale": (2, 0.5, 0.5), "translate": (1, 2, 3)}
    viewer.add_image(image, name="stack", **place)
    labels = np.zeros(image.shape, np.uint8)
    labels[3, 4:9, 5:9] = 1
    viewer.add_labels(labels, name="mine", **place)
    return SegGPTWidget(viewer, models=models)


@pytest.fixture
def dock(viewer, models, predictor, qtbot):
    dock = open_dock(viewer, models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    yield dock
    dock.release()


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run(qtbot, dock):
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def shown(dock):
    return dock.review_panel.uncertainty.layer


def unsure(frame):
    return 255 - round(255 * (0.9 - 0.01 * frame))


def test_it_follows_the_frame(viewer, dock, qtbot):
    run(qtbot, dock)
    viewer.layers.selection.active = viewer.layers["mine"]
    press(qtbot, dock.review_panel.uncertainty.button)
    layer = shown(dock)
    assert (layer.name, layer.data.shape) == ("mine uncertainty", (1, HEIGHT, WIDTH))
    assert viewer.layers.selection.active.name == "mine"
    assert not layer.editable
    for frame in (5, 0):
        actions.go_to(dock.workspace, frame)
        assert (layer.data == unsure(frame)).all()
        np.testing.assert_array_equal(layer.translate, (1 + 2 * frame, 2, 3))
        lows, highs = layer.extent.world
        np.testing.assert_array_equal(lows, (1 + 2 * frame, 2, 3))
        assert highs[1:].tolist() == viewer.layers["mine"].extent.world[1, 1:].tolist()
    actions.go_to(dock.workspace, 3)  # the reference
    assert not layer.data.any()


def test_it_lies_where_the_labels_do(viewer, dock, qtbot):
    run(qtbot, dock)
    press(qtbot, dock.review_panel.uncertainty.button)
    layer, labels = shown(dock), viewer.layers["mine"]
    labels.scale = (3, 0.25, 0.75)
    labels.translate = (-1, 4, 0)
    labels.rotate = 90
    labels.affine = np.diag([1, 2, 1, 1])
    for frame in (dock.workspace.current, 4):
        actions.go_to(dock.workspace, frame)
        for place in ((0, 0), (HEIGHT - 1, WIDTH - 1)):
            np.testing.assert_allclose(
                layer.data_to_world((0, *place)), labels.data_to_world((frame, *place))
            )


def test_it_is_off_until_something_is_predicted(viewer, dock, qtbot):
    button = dock.review_panel.uncertainty.button
    assert not button.isEnabled()
    assert "Of no frame it is known" in button.toolTip()
    run(qtbot, dock)
    press(qtbot, button)
    actions.undo_run(dock.workspace)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert not shown(dock).data.any()
    press(qtbot, button)  # it can be taken away, but not shown again
    assert not button.isEnabled()


def test_it_follows_the_work(viewer, dock, qtbot):
    actions.go_to(dock.workspace, 1)
    run(qtbot, dock)
    press(qtbot, dock.review_panel.uncertainty.button)
    layer = shown(dock)
    actions.undo_run(dock.workspace)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert not layer.data.any()
    run(qtbot, dock)
    assert (layer.data == unsure(1)).all()
    dock.workspace.session.frames.labels.layer.paint((1, 2, 2), 1)
    qtbot.waitUntil(lambda: not layer.data.any(), timeout=WAIT_MS)


def test_it_goes_as_it_came(viewer, dock, qtbot):
    run(qtbot, dock)
    names = [layer.name for layer in viewer.layers]
    button = dock.review_panel.uncertainty.button
    press(qtbot, button)
    press(qtbot, button)
    assert [layer.name for layer in viewer.layers] == names
    press(qtbot, button)
    viewer.layers.remove("mine uncertainty")
    assert not button.isChecked()
    assert shown(dock) is None
    press(qtbot, button)
    dock.release()
    assert [layer.name for layer in viewer.layers] == names


def test_it_goes_with_its_stack_and_is_never_worked_on(viewer, dock, qtbot):
    run(qtbot, dock)
    press(qtbot, dock.review_panel.uncertainty.button)
    box = dock.data_panel.image_box
    assert [box.itemText(i) for i in range(box.count())] == ["stack"]
    viewer.layers.remove("stack")
    assert dock.workspace.choice.image is None
    assert shown(dock) is None
    assert not any(isinstance(layer, Image) for layer in viewer.layers)
    assert not dock.review_panel.uncertainty.button.isEnabled()


def test_a_large_frame_has_a_small_layer(viewer, dock, qtbot):
    image = np.zeros((2, 1100, 520), np.uint8)
    viewer.add_image(image, name="large")
    labels = np.zeros(image.shape, np.uint8)
    labels[0, 100:400, 100:400] = 1
    viewer.add_labels(labels, name="large labels")
    dock.data_panel.image_box.setCurrentText("large")
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    run(qtbot, dock)
    actions.go_to(dock.workspace, 1)
    press(qtbot, dock.review_panel.uncertainty.button)
    layer = shown(dock)
    assert layer.data.shape == (1, 367, 174)
    np.testing.assert_array_equal(layer.scale, (1, 3, 3))
    np.testing.assert_array_equal(layer.translate, (1, 1, 1))


@pytest.mark.parametrize("how", ["remove dock", "close viewer"])
def test_closing_while_it_is_shown(
    make_napari_viewer_proxy, models, predictor, how, qtbot
):
    viewer = make_napari_viewer_proxy()
    dock = open_dock(viewer, models)
    viewer.window.add_dock_widget(dock, name="SegGPT")
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    run(qtbot, dock)
    press(qtbot, dock.review_panel.uncertainty.button)
    if how == "remove dock":
        viewer.window.remove_dock_widget(dock)
        assert [layer.name for layer in viewer.layers] == ["stack", "mine"]
    else:
        viewer.close()
    assert shown(dock) is None


def test_a_lone_frame_has_one_too(viewer, dock, qtbot):
    viewer.add_image(np.zeros((10, 12), np.uint8), name="lone")
    viewer.add_labels(np.zeros((10, 12), np.uint8), name="lone labels")
    example = Prompt(
        image=np.zeros((10, 12), np.uint8), labels=np.eye(10, 12, dtype=int)
    )
    dock.data_panel.image_box.setCurrentText("lone")
    dock.workspace.session.references.add_example(example, "eye")
    run(qtbot, dock)
    press(qtbot, dock.review_panel.uncertainty.button)
    assert shown(dock).data.shape == (10, 12)
    assert (shown(dock).data == unsure(0)).all()
