"""Frames lie at one place of the layers, and the viewer shows another."""

import numpy as np
import pytest

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.places_left import channel_left, place_left

WAIT_MS = 20_000
LENGTHS = {"t": 4, "p": 3, "c": 2, "y": 12, "x": 12}


@pytest.fixture
def open_dock(viewer_model, models, predictor, qtbot):
    docks = []

    def opened(axes, make_labels):
        image = np.zeros([LENGTHS[name] for name in axes], np.uint8)
        viewer_model.add_image(image, axis_labels=list(axes))
        viewer_model.dims.point = (0,) * len(axes)
        dock = SegGPTWidget(viewer_model, models=models)
        qtbot.addWidget(dock)
        docks.append(dock)
        dock.workspace.choose(dock.workspace.choice.with_axis(0))
        make_labels(dock)
        qtbot.waitUntil(lambda: dock.workspace.active is not None, timeout=WAIT_MS)
        qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
        return dock

    yield opened
    for dock in docks:
        dock.release()


def by_napari(dock):
    """Make labels as napari's own button does: with as many channels as the image."""
    dock.workspace.viewer._new_labels()


def by_dock(dock):
    dock.workspace.make_labels()


def hint(qtbot, dock):
    qtbot.wait(80)
    return dock.hint_line.text


def test_another_channel_than_that_of_the_labels_is_told_and_left(
    viewer_model, open_dock, qtbot
):
    dock = open_dock("tcyx", by_napari)
    layer = dock.workspace.active.labels.layer
    assert layer.data.shape == (4, 2, 12, 12)
    viewer_model.dims.set_point([0, 1], [2, 1])
    assert channel_left(dock.workspace.active) == {1: 0}
    assert "painting does not count" in hint(qtbot, dock)
    assert "label what is shown" not in hint(qtbot, dock)  # it is shown to the model
    dock.hint_line.link_clicked.emit("place:back")
    assert viewer_model.dims.point[:2] == (2, 0)
    assert "paint the objects" in hint(qtbot, dock)
    layer.paint((2, 0, 6, 6), 1)
    dock.workspace.active.labels.flush()
    assert dock.workspace.session.frames.status(2) is FrameStatus.REFERENCE


def test_a_channel_is_no_place_to_label_as_work_of_its_own(
    viewer_model, open_dock, qtbot
):
    dock = open_dock("tpcyx", by_napari)
    active = dock.workspace.active
    assert active.choice.fixed == ((1, 0),)
    viewer_model.dims.set_point(2, 1)
    assert place_left(active) is None
    assert "count for all channels" in hint(qtbot, dock)
    assert "You label" not in hint(qtbot, dock)
    dock.sliders.close()
    viewer_model.dims.set_point(1, 2)
    assert place_left(active) == "p 0"
    dock.hint_line.link_clicked.emit("place:back")
    assert viewer_model.dims.point[1:3] == (0, 0)


def test_labels_that_span_all_channels_let_the_viewer_show_any(
    viewer_model, open_dock, qtbot
):
    dock = open_dock("tpcyx", by_dock)
    dock.sliders.close()
    viewer_model.dims.set_point(2, 1)
    assert "paint the objects" in hint(qtbot, dock)
    viewer_model.dims.set_point(1, 2)
    assert place_left(dock.workspace.active) == "p 0"
    actions.show_place(dock.workspace)
    assert viewer_model.dims.point[1:3] == (0, 1)


def test_a_frame_beyond_the_last_is_no_other_place(viewer_model, open_dock):
    dock = open_dock("tpyx", by_napari)
    viewer_model.add_image(np.zeros((9, 3, 12, 12), np.uint8), name="longer")
    dock.sliders.close()
    viewer_model.dims.set_point(0, 8)
    assert place_left(dock.workspace.active) is None
    viewer_model.dims.set_point(1, 2)
    assert place_left(dock.workspace.active) == "p 0"
