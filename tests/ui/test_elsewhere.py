"""Another computer, from the dock: chosen, paused, lost, and gone on with."""

import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
from distributed import Client

from napari_seggpt.cluster import remote_model
from napari_seggpt.session import ModelCache
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels.model_rows import ELSEWHERE
from napari_seggpt.ui.work import actions

WAIT_MS = 60_000
LENGTH = 12


@pytest.fixture
def dock(make_napari_viewer_proxy, tiny_model):
    values = np.random.default_rng(0).integers(0, 200, (LENGTH, 40, 48))
    for index in range(LENGTH):
        values[index, 5 + index : 20 + index, 10:30] += 600
    labels = np.zeros((LENGTH, 40, 48), np.uint8)
    labels[0, 5:20, 10:30] = 3
    viewer = make_napari_viewer_proxy()
    viewer.add_image(values.astype(np.uint16))
    viewer.add_labels(labels)
    models = ModelCache(lambda name, /, *, progress=None: tiny_model)
    dock = SegGPTWidget(viewer, models=models)
    viewer.window.add_dock_widget(dock)
    settings = dock.workspace.settings
    # With memory a chain of frames would begin anew when the connection breaks.
    alone = replace(settings.propagation, memory=0)
    dock.workspace.settings = replace(settings, propagation=alone)
    yield dock
    dock.release()
    models.leave()


def choose_elsewhere(dock, monkeypatch, address):
    rows = dock.run_panel.model_rows
    monkeypatch.setattr(rows, "_ask_for_address", lambda: address)
    rows.device_box.setCurrentIndex(rows.device_box.findData(ELSEWHERE))
    return rows


def idle(dock):
    return not dock.workspace.is_busy


def predicted(dock):
    return [s.value for s in dock.workspace.session.frames.statuses].count("predicted")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_run_elsewhere_is_paused_and_goes_on_after_its_worker_died(
    dock, scheduler, qtbot, monkeypatch
):
    workspace, panel = dock.workspace, dock.run_panel
    runs, data = workspace.active.runs, workspace.active.labels.layer.data
    actions.run_or_pause(workspace)
    qtbot.waitUntil(lambda: idle(dock), timeout=WAIT_MS)
    here = data.copy()
    actions.undo_run(workspace)
    qtbot.waitUntil(lambda: idle(dock), timeout=WAIT_MS)
    assert not data[1:].any()

    choose_elsewhere(dock, monkeypatch, scheduler)
    assert panel.model_rows.device_box.currentText() == scheduler
    qtbot.waitUntil(panel.run_button.isEnabled, timeout=WAIT_MS)
    panel.run_button.click()
    qtbot.waitUntil(lambda: runs.done >= 1, timeout=WAIT_MS)
    panel.run_button.click()
    qtbot.waitUntil(lambda: runs.is_paused, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: "paused" in panel.bar.text(), timeout=WAIT_MS)
    before = predicted(dock)
    assert 1 <= before < LENGTH - 4

    with Client(scheduler, set_as_default=False) as client:
        os.kill(*client.run(os.getpid).values(), signal.SIGKILL)
    panel.run_button.click()
    qtbot.waitUntil(lambda: idle(dock), timeout=WAIT_MS)
    assert "run again to go on" in workspace.message.text
    kept = predicted(dock)
    assert f"Kept: {kept} frame" in workspace.message.text
    assert before <= kept < LENGTH - 1

    panel.run_button.click()
    qtbot.waitUntil(lambda: idle(dock), timeout=WAIT_MS)
    assert f"{LENGTH - 1 - kept} frame" in workspace.message.text
    np.testing.assert_array_equal(data, here)


def test_the_place_is_remembered_and_left_again(dock, monkeypatch):
    rows = choose_elsewhere(dock, monkeypatch, "tls://gpu.example:8786")
    assert dock.workspace.settings.scheduler == "tls://gpu.example:8786"
    assert dock.preferences.load_settings().scheduler == "tls://gpu.example:8786"
    rows.device_box.setCurrentIndex(rows.device_box.findData("cpu"))
    assert dock.workspace.settings.scheduler is None
    assert dock.workspace.settings.prediction.device == "cpu"
    assert dock.preferences.load_settings().scheduler is None


@pytest.mark.parametrize("given", ["", "http://gpu:80", "gpu"])
def test_what_is_no_address_changes_nothing(dock, monkeypatch, given):
    rows = choose_elsewhere(dock, monkeypatch, given)
    assert dock.workspace.settings.scheduler is None
    assert rows.device_box.currentData() == "auto"
    said = "" if dock.workspace.message is None else dock.workspace.message.text
    assert ("tcp://host:8786" in said) == bool(given)


def test_that_nobody_answers_is_said_in_the_status_line(dock, qtbot, monkeypatch):
    monkeypatch.setattr(remote_model, "CONNECT_SECONDS", 1)
    choose_elsewhere(dock, monkeypatch, "tcp://127.0.0.1:1")
    actions.run_or_pause(dock.workspace)
    qtbot.waitUntil(lambda: idle(dock), timeout=WAIT_MS)
    said = dock.workspace.message.text
    assert "Expected a dask scheduler at tcp://127.0.0.1:1, got no answer" in said
    assert not dock.workspace.active.labels.layer.data[1:].any()
