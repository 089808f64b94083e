"""Choosing a model, and fetching one that is not here."""

import math
import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.session import ModelCache
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.panels import model_rows
from napari_seggpt.ui.work import actions

NAME = "seggpt-vit-large"
WAIT_MS = 20_000


class Download:
    """Fetches 100 bytes, one each time it is let go on; can be stopped."""

    def __init__(self):
        self.tick = threading.Semaphore(0)
        self.fetched = 0

    def __call__(self, name, /, *, progress=None):
        while self.fetched < 100:
            self.tick.acquire(timeout=WAIT_MS / 1000)
            self.fetched += 1
            progress(self.fetched, 100)
        return object()


@pytest.fixture
def download():
    return Download()


@pytest.fixture
def dock(viewer_model, download, predictor, monkeypatch, qtbot):
    monkeypatch.setattr(model_rows, "locate", lambda name: None)
    viewer = viewer_model
    viewer.add_image(np.zeros((4, 16, 16), np.uint8))
    labels = np.zeros((4, 16, 16), np.uint8)
    labels[0, 3:9, 3:9] = 1
    viewer.add_labels(labels)
    dock = SegGPTWidget(viewer, models=ModelCache(download))
    qtbot.addWidget(dock)
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    yield dock
    download.tick.release(200)
    dock.release()


def choose(dock, qtbot, name=NAME):
    rows = dock.run_panel.model_rows
    rows.model_box.setCurrentIndex(rows.model_box.findData(name))
    return rows


def test_licence_and_size_are_said_before_anything_is_fetched(dock, download, qtbot):
    rows = choose(dock, qtbot)
    qtbot.waitUntil(lambda: not rows.fetch_button.isHidden(), timeout=WAIT_MS)
    assert dock.workspace.settings.model == NAME
    assert "1.48 GB" in rows.about_label.text()
    assert "MIT licence" in rows.about_label.text()
    assert "to be fetched" in rows.about_label.text()
    assert download.fetched == 0


def test_fetching_shows_progress_and_can_be_stopped(dock, download, qtbot):
    rows = choose(dock, qtbot)
    qtbot.waitUntil(lambda: not rows.fetch_button.isHidden(), timeout=WAIT_MS)
    rows.fetch_button.click()
    download.tick.release(30)
    qtbot.waitUntil(lambda: rows.about_label.text() == "30 B of 100 B", timeout=WAIT_MS)
    assert rows.fetch_button.text() == "Stop"
    rows.fetch_button.click()
    download.tick.release(1)
    qtbot.waitUntil(lambda: rows.fetch_button.text() == "Fetch", timeout=WAIT_MS)
    assert "stopped" in dock.workspace.message.text
    assert download.fetched < 100


def test_a_run_fetches_the_model_and_stop_ends_that(dock, download, qtbot):
    choose(dock, qtbot)
    panel = dock.run_panel
    qtbot.waitUntil(panel.run_button.isEnabled, timeout=WAIT_MS)
    panel.run_button.click()
    download.tick.release(40)
    qtbot.waitUntil(
        lambda: panel.bar.format() == "Fetching 40 B of 100 B", timeout=WAIT_MS
    )
    panel.stop_button.click()
    download.tick.release(1)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    panel.run_button.click()
    download.tick.release(100)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert dock.workspace.active.labels.layer.data.any(axis=(1, 2)).all()


def test_a_file_of_ones_own(dock, qtbot, tmp_path, monkeypatch):
    path = str(tmp_path / "mine.safetensors")
    rows = dock.run_panel.model_rows
    monkeypatch.setattr(rows, "_ask_for_file", lambda: path)
    choose(dock, qtbot, model_rows.OWN_FILE)
    assert dock.workspace.settings.model == path
    assert rows.model_box.currentText() == "mine.safetensors"
    monkeypatch.setattr(rows, "_ask_for_file", lambda: "")  # nothing was chosen
    choose(dock, qtbot, model_rows.OWN_FILE)
    assert rows.model_box.currentText() == "mine.safetensors"


def test_the_measured_time_is_said(dock, download, predictor, qtbot):
    rows = dock.run_panel.model_rows
    download.tick.release(200)
    assert rows.time_label.text() == "time unknown"
    predictor.seconds = 0.05
    actions.run_or_pause(dock.workspace)
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert rows.time_label.text().endswith("a frame")
    assert not rows.time_label.text().startswith("about")
    assert "1 reference," in rows.time_label.toolTip()
    summary = dock.run_panel._summary
    qtbot.waitUntil(lambda: summary.text().startswith("about"), timeout=WAIT_MS)
    dock.workspace.active.labels.layer.paint((3, 5, 5), 1)  # another reference
    qtbot.waitUntil(lambda: rows.time_label.text().startswith("about"), timeout=WAIT_MS)
    with_more_passes(dock)
    assert rows.time_label.text() == "time unknown"


def with_more_passes(dock):
    settings = dock.workspace.settings
    prediction = replace(settings.prediction, ensemble="spatial")
    dock.workspace.settings = replace(settings, prediction=prediction)


def test_loading_counts_for_no_frame(dock, download, predictor, qtbot):
    """What is said while the model is loaded, and afterwards."""
    panel, runs = dock.run_panel, dock.workspace.active.runs
    predictor.gate.clear()
    actions.run_or_pause(dock.workspace)
    qtbot.waitUntil(lambda: runs.is_loading, timeout=WAIT_MS)
    download.tick.release(200)
    qtbot.waitUntil(
        lambda: panel.bar.text() == "Predicting the first frame", timeout=WAIT_MS
    )
    assert not runs.is_loading
    predictor.gate.set()
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert runs.seconds_a_frame < 1.0  # not what loading or waiting took


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.234, "0.23 s"),
        (42, "42 s"),
        (125, "2:05 min"),
        (7500, "2 h 05 min"),
        (1e300, "over 1000 h"),
        (math.inf, "over 1000 h"),
        (math.nan, "over 1000 h"),
    ],
)
def test_times_for_people(seconds, text):
    assert model_rows.duration(seconds) == text
