"""The panel of references, of which there may be more than are shown."""

import numpy as np
import pytest

from napari_seggpt.prompts import Prompt
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels import references_panel
from napari_seggpt.ui.work import actions, previews

WAIT_MS = 20_000
LENGTH, SHOWN, LABELLED = 9, 4, 7


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot, monkeypatch):
    monkeypatch.setattr(previews, "MAX_PREVIEWS", SHOWN)
    monkeypatch.setattr(references_panel, "MAX_PREVIEWS", SHOWN, raising=False)
    viewer_model.add_image(np.zeros((LENGTH, 12, 12), np.uint8), name="stack")
    labels = np.zeros((LENGTH, 12, 12), np.uint8)
    labels[:LABELLED, 2:6, 2:6] = 1
    viewer_model.add_labels(labels, name="mine")
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    panel = dock.references_panel
    qtbot.waitUntil(lambda: panel.thumbnails.count() == SHOWN, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    yield dock
    dock.release()


def test_a_reference_that_is_not_shown_is_one(dock, qtbot):
    panel = dock.references_panel
    for frame, text in ((LABELLED - 1, "Drop"), (LABELLED, "Add"), (0, "Drop")):
        actions.go_to(dock.workspace, frame)
        assert panel.toggle_button.text().startswith(text)
    actions.go_to(dock.workspace, LABELLED - 1)
    qtbot.waitUntil(lambda: panel._summary.text() == f"{LABELLED} in use")
    actions.toggle_reference(dock.workspace)
    qtbot.waitUntil(lambda: panel.toggle_button.text().startswith("Add"))
    assert panel._summary.text() == f"{LABELLED - 1} in use"


def test_examples_are_shown_beside_many_frames(dock, qtbot):
    panel, references = dock.references_panel, dock.workspace.session.references
    labels = np.full((8, 8), 3, np.uint8)
    references.add_example(Prompt(image=labels, labels=labels), "elsewhere")
    shown = [*range(SHOWN), "elsewhere"]
    qtbot.waitUntil(lambda: panel.thumbnails.keys() == shown, timeout=WAIT_MS)
    made = dock.workspace.active.previews
    qtbot.waitUntil(lambda: made.get(references.all[-1]) is not None, timeout=WAIT_MS)
    panel.thumbnails.ticked.emit("elsewhere", False)
    assert not references.all[-1].enabled
    panel.thumbnails.removed.emit("elsewhere")
    assert not references.examples
