"""Labelled frames of other layers as references."""

import numpy as np
import pytest

from napari_seggpt.io.layout import StackError
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels.examples_form import MAX_EXAMPLES, labelled_frames

WAIT_MS = 20_000


class Frames:
    """Frames and labels at once; some frames cannot be read."""

    def __init__(self, length, *broken):
        self.length, self.broken = length, broken

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index in self.broken:
            raise StackError(f"Expected frame {index} to be readable")
        return np.full((4, 4), index, np.uint8)

    def read(self, index):
        return self[index]


def test_labelled_frames_are_taken_with_their_names():
    frames = Frames(3)
    found = list(labelled_frames(frames, frames, "cells"))
    assert [name for name, _ in found] == ["cells 1", "cells 2"]  # 0 has no labels
    many = Frames(MAX_EXAMPLES + 5)
    assert len(list(labelled_frames(many, many, "cells"))) == MAX_EXAMPLES


def test_a_frame_that_cannot_be_read_is_named_after_the_others_were_taken():
    steps = labelled_frames(Frames(4, 2), Frames(4), "cells")
    assert [next(steps)[0], next(steps)[0]] == ["cells 1", "cells 3"]
    with pytest.raises(StackError, match="Expected frame 2 to be readable"):
        next(steps)


def test_labels_that_cannot_be_read_keep_no_other_frame_from_being_taken():
    steps = labelled_frames(Frames(4), Frames(4, 1), "cells")
    assert [next(steps)[0], next(steps)[0]] == ["cells 2", "cells 3"]
    with pytest.raises(StackError, match="Expected frame 1 to be readable"):
        next(steps)


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot):
    viewer_model.add_image(np.zeros((5, 8, 8), np.uint8), name="stack")
    viewer_model.add_labels(np.zeros((5, 8, 8), np.uint8), name="mine")
    dock = SegGPTWidget(viewer_model, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    yield dock
    dock.release()


def test_what_was_labelled_since_is_added(viewer_model, dock, qtbot):
    viewer_model.add_image(np.zeros((3, 6, 6), np.uint8), name="other")
    layer = viewer_model.add_labels(np.zeros((3, 6, 6), np.uint8), name="theirs")
    panel = dock.references_panel
    references = dock.workspace.session.references

    def add():
        if panel.examples.isHidden():
            panel.others_button.click()
        panel.examples.add()
        qtbot.waitUntil(lambda: panel.examples._job is None, timeout=WAIT_MS)
        return [each.name for each in references.all]

    layer.data[0, :2] = 1
    assert add() == ["theirs 0"]
    assert panel.examples.isHidden()
    assert add() == ["theirs 0"]
    assert not panel.examples.isHidden()
    assert "1 reference from theirs is there already" in dock.workspace.message.text
    layer.data[2, :2] = 1
    assert add() == ["theirs 0", "theirs 2"]
    layer.data[0, :3] = 2
    assert add() == ["theirs 0", "theirs 2", "theirs 0 (2)"]
