"""Small pictures of references, made in a worker while a person goes on."""

import threading

import numpy as np
import pytest

from napari_seggpt.model.config import VIT_LARGE
from napari_seggpt.session import Reference
from napari_seggpt.ui.work.previews import ReferencePreviews

WAIT_MS = 20_000
SIDE = 12


class SlowLabels:
    """Labels whose reading ends once `gate` is open; `begun` tells that it began."""

    def __init__(self):
        self.data = np.zeros((3, SIDE, SIDE), np.uint8)
        self.gate, self.begun = threading.Event(), threading.Event()

    def __len__(self):
        return len(self.data)

    def read(self, frame):
        labels = self.data[frame].copy()
        self.begun.set()
        assert self.gate.wait(WAIT_MS / 1000)
        return labels


@pytest.fixture
def labels():
    return SlowLabels()


@pytest.fixture
def previews(qapp, labels):
    made = ReferencePreviews(np.zeros((3, SIDE, SIDE), np.uint8), labels)
    yield made
    labels.gate.set()
    made.close()


@pytest.mark.parametrize("frames", [[1], None])
def test_a_reference_painted_on_while_its_picture_is_made_is_made_anew(
    previews, labels, qtbot, frames
):
    reference = Reference(frame=1)
    labels.data[1, 2:6, 2:6] = 1
    previews.request([reference], VIT_LARGE)
    assert labels.begun.wait(WAIT_MS / 1000)
    labels.data[1, 6:9, 6:9] = 2
    previews.forget(frames)
    previews.request([reference], VIT_LARGE)
    labels.gate.set()
    qtbot.waitUntil(
        lambda: getattr(previews.get(reference), "ids", ()) == (1, 2), timeout=WAIT_MS
    )
