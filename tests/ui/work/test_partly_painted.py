"""A reference frame on which few of the objects are painted yet."""

import numpy as np
import pytest

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.partly_painted import partly_painted

WAIT_MS = 20_000


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot):
    viewer = viewer_model
    viewer.add_image(np.zeros((5, 40, 40), np.uint8), name="stack")
    labels = np.zeros((5, 40, 40), np.uint8)
    labels[0, 2:38:4, 2:38:4] = 1  # 81 dots
    labels[3, 2:7:4, 2] = 1  # 2
    viewer.add_labels(labels, name="mine")
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(
        lambda: (
            dock.workspace.active and partly_painted(dock.workspace.active) is not None
        ),
        timeout=WAIT_MS,
    )
    yield dock
    predictor.gate.set()
    dock.release()


def hint(qtbot, dock):
    qtbot.wait(80)
    return dock.hint_line.text


def test_it_is_asked_before_a_run(dock, qtbot):
    assert "Frame 3 has 2 objects, frame 0 has 81" in hint(qtbot, dock)
    actions.run_or_pause(dock.workspace)
    assert not dock.workspace.is_running
    assert "is it finished?" in hint(qtbot, dock)
    actions.run_or_pause(dock.workspace)  # asked once: who insists is obeyed
    assert dock.workspace.is_running
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


def test_it_can_be_used_as_a_hint(dock, predictor, qtbot):
    dock.hint_line.link_clicked.emit("hint:3")
    assert "finished" not in hint(qtbot, dock)
    thumbnails = dock.references_panel.thumbnails
    qtbot.waitUntil(lambda: thumbnails.item(1).text() == "3 hint", timeout=WAIT_MS)
    actions.run_or_pause(dock.workspace)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    prompts = predictor.shown[-1]
    assert [(p.index, p.is_hint) for p in prompts] == [(0, False), (3, True)]
    menu = dock.references_panel.menu_of(3)
    assert menu.actions()[0].isChecked()
    menu.actions()[0].trigger()
    assert not dock.workspace.session.references.all[1].is_hint
    assert partly_painted(dock.workspace.active) is None  # the person has said so


def test_it_can_be_completed_and_undone(dock, qtbot):
    layer = dock.workspace.active.labels.layer
    before = layer.data.copy()
    dock.hint_line.link_clicked.emit("complete:3")
    assert dock.workspace.current == 3
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    np.testing.assert_array_equal(layer.data[3] != 0, before[0] | before[3] != 0)
    assert dock.workspace.session.frames.status(3) is FrameStatus.CORRECTED
    actions.undo_run(dock.workspace)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    np.testing.assert_array_equal(layer.data, before)
    assert dock.workspace.session.frames.status(3) is FrameStatus.REFERENCE


def test_who_has_finished_is_asked_no_more(dock, qtbot):
    dock.hint_line.link_clicked.emit("whole:3")
    assert "finished" not in hint(qtbot, dock)
    actions.run_or_pause(dock.workspace)
    assert dock.workspace.is_running
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)


@pytest.mark.parametrize("answer", ["hint", "whole", "complete"])
def test_an_answer_about_a_frame_without_labels_by_now_is_refused(dock, qtbot, answer):
    dock.workspace.active.labels.layer.data[3] = 0  # nobody is told
    dock.hint_line.link_clicked.emit(f"{answer}:3")
    assert "Expected" in hint(qtbot, dock)
    assert "frame 3" in hint(qtbot, dock)
    assert not dock.workspace.active.finished
    assert dock.workspace.session.frames.status(3) is FrameStatus.EMPTY
