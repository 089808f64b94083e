"""The example of the documentation that opens a window runs as it is."""

import runpy
import sys
from pathlib import Path

import napari
import numpy as np

from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.layers.layer_choice import unwrapped

EXAMPLE = Path(__file__).parents[2] / ".docs" / "examples" / "custom_layer.py"
WAIT_MS = 20_000


def test_custom_layer(make_napari_viewer, monkeypatch, tmp_path, qtbot):
    monkeypatch.setattr(napari, "Viewer", make_napari_viewer)
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, str(tmp_path)])
    example = runpy.run_path(str(EXAMPLE))
    dock, reference = example["dock"], SAMPLES["membranes"].reference
    try:
        qtbot.waitUntil(lambda: dock.workspace.active is not None, timeout=WAIT_MS)
        active = dock.workspace.active
        qtbot.waitUntil(lambda: not active.is_scanning, timeout=WAIT_MS)
        assert unwrapped(active.labels.layer).data is example["array"]
        assert dock.workspace.current == reference
        status = active.session.frames.status(reference)
        assert status is FrameStatus.REFERENCE
        active.labels.layer.paint((0, 20, 20), 1)
        on_disk = np.asarray(example["array"][0])
        assert on_disk[20, 20] == 1
    finally:
        dock.release()
