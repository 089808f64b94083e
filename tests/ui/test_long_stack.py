"""A stack of 10,000 frames in the dock: read as asked for, with flat memory."""

import tempfile
import threading

import dask.array as da
import numpy as np
import psutil
import pytest

from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers import new_labels
from napari_seggpt.ui.work import actions

WAIT_MS = 120_000  # a busy machine is slow, not wrong
LENGTH, SIDE, ASKED = 10_000, 384, 200
FRAME_BYTES = SIDE * SIDE


class CountedStack:
    """A dask stack that notes which frames are computed, and on which thread."""

    def __init__(self):
        self.reads, self.on_window = [], []
        chunks = ((1,) * LENGTH, (SIDE,), (SIDE,))
        self.data = da.map_blocks(self._read, chunks=chunks, dtype="uint8")

    def _read(self, block_info=None):
        frame = block_info[None]["chunk-location"][0]
        self.reads.append(frame)
        if threading.current_thread() is threading.main_thread():
            self.on_window.append(frame)
        return np.full((1, SIDE, SIDE), frame % 200, np.uint8)


@pytest.mark.slow
def test_only_what_is_asked_for_is_read_and_memory_is_flat(
    make_napari_viewer_proxy, models, predictor, qtbot, monkeypatch, tmp_path
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)  # labels are kept on disk
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    counted = CountedStack()
    viewer.add_image(counted.data, name="long", contrast_limits=(0, 200))
    viewer.dims.set_current_step(0, 5000)
    dock = SegGPTWidget(viewer, models=models)
    viewer.window.add_dock_widget(dock, name="SegGPT")
    workspace = dock.workspace
    workspace.make_labels()
    qtbot.waitUntil(lambda: not workspace.active.is_scanning, timeout=WAIT_MS)
    layer = workspace.active.labels.layer
    layer.brush_size = 40
    layer.paint((5000, 100, 100), 1)
    qtbot.waitUntil(lambda: bool(workspace.session.references.all), timeout=WAIT_MS)
    panel = dock.run_panel
    panel.scope_box.setCurrentText("a range")
    panel.range.from_spin.setValue(5001)
    panel.range.to_spin.setValue(5000 + ASKED)
    qtbot.wait(500)  # the picture of the reference is made

    counted.reads.clear()
    counted.on_window.clear()
    process, sizes = psutil.Process(), []
    actions.run_or_pause(workspace)
    runs = workspace.active.runs
    runs.changed.connect(lambda: sizes.append(process.memory_info().rss))
    qtbot.waitUntil(lambda: not workspace.is_busy, timeout=WAIT_MS)

    asked = range(5001, 5001 + ASKED)
    assert sorted(predictor.predicted) == list(asked)
    # Beside them the reference, and frames from all over that the contrast is of.
    others = set(counted.reads) - set(asked)
    assert len(others) < 40
    assert max(counted.reads.count(frame) for frame in asked) == 1
    assert not counted.on_window  # nobody has moved through the stack
    growth = sizes[-1] - sizes[len(sizes) // 4]
    held = ASKED * 0.75 * FRAME_BYTES * 3  # if images and 16-bit labels were kept
    assert growth < 0.3 * held
    dock.release()
