"""Exporting from the dock, and what the keys do."""

import csv
import threading

import numpy as np
import pytest
import tifffile

from napari_seggpt.inference import voting
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.keys import KEYS, key_text
from napari_seggpt.ui.layers import new_labels
from napari_seggpt.ui.panels.corner_menu import MEANINGS

WAIT_MS = 20_000


@pytest.fixture
def dock(viewer_model, models, predictor, qtbot):
    viewer = viewer_model
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    yield dock
    dock.release()


def open_layers(dock, qtbot):
    labels = np.zeros((3, 20, 24), np.uint16)
    labels[1, 2:5, 3:9] = 4
    labels[1, 10:12, 3:9] = 4
    image = np.zeros(labels.shape, np.uint8)
    scale = (2.0, 0.5, 0.5)
    dock.viewer.add_image(image, scale=scale, units=("um",) * 3)
    layer = dock.viewer.add_labels(labels, scale=scale, units=("um",) * 3)
    qtbot.waitUntil(lambda: dock.workspace.active is not None, timeout=WAIT_MS)
    # References that are found take messages away.
    qtbot.waitUntil(lambda: not dock.workspace.active.is_scanning, timeout=WAIT_MS)
    return layer


def export(dock, path, qtbot):
    exporting = dock.corner_menu.exporting
    exporting.export(path)
    qtbot.waitUntil(lambda: not exporting.is_on, timeout=WAIT_MS)


def test_labels_are_exported_with_their_pixel_size(dock, tmp_path, qtbot):
    layer = open_layers(dock, qtbot)
    path = tmp_path / "out.ome.tif"
    export(dock, path, qtbot)
    assert "Exported 3 frames" in dock.workspace.message.text
    np.testing.assert_array_equal(tifffile.imread(path), layer.data)
    with tifffile.TiffFile(path) as file:
        assert 'PhysicalSizeX="0.5"' in file.ome_metadata


def test_a_table_has_a_row_for_each_object(dock, tmp_path, qtbot):
    open_layers(dock, qtbot)
    path = tmp_path / "objects.csv"
    export(dock, path, qtbot)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["frame"], r["label"], r["pixels"]) for r in rows] == [
        ("1", "4", "18"), ("1", "4", "12")
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["objects.csv", "labels.tif"])
def test_an_export_that_is_stopped_leaves_the_old_file(
    dock, tmp_path, qtbot, monkeypatch, name
):
    layer = open_layers(dock, qtbot)
    path = tmp_path / name
    path.write_text("the old one")
    active = dock.workspace.active
    read, gate, is_read = active.labels.read, threading.Event(), threading.Event()

    def wait(frame):
        if frame == len(layer.data) - 1:
            is_read.set()
            gate.wait(WAIT_MS / 1000)
        return read(frame)

    monkeypatch.setattr(active.labels, "read", wait)
    exporting = dock.corner_menu.exporting
    exporting.export(path)
    qtbot.waitUntil(is_read.is_set, timeout=WAIT_MS)
    exporting._job.stop()
    gate.set()
    qtbot.waitUntil(lambda: not exporting.is_on, timeout=WAIT_MS)
    is_old = path.read_bytes() == b"the old one"
    assert ("was not written" in dock.workspace.message.text) is is_old


def test_what_cannot_be_written_is_said(dock, tmp_path, qtbot):
    open_layers(dock, qtbot)
    export(dock, tmp_path / "no" / "such" / "labels.tif", qtbot)
    assert "which does not exist" in dock.workspace.message.text
    assert not (tmp_path / "no").exists()


def test_labels_layers_are_merged_by_vote(dock, qtbot):
    first = open_layers(dock, qtbot)
    merging = dock.corner_menu.merging
    merging.merge()
    assert "two or more" in dock.workspace.message.text
    for label in (4, 7):
        other = np.zeros(first.data.shape, np.uint8)
        other[1, 2:5, 3:6] = label  # half of the first object
        dock.viewer.add_labels(other, scale=first.scale, units=first.units)
    dock.viewer.add_labels(np.zeros((3, 5, 5), np.uint8), name="of another image")
    before = first.data.copy()
    merging.merge()
    qtbot.waitUntil(lambda: not merging.is_on, timeout=WAIT_MS)
    merged = dock.viewer.layers[-1]
    assert merged.name.endswith("labels merged")
    expected = np.zeros(first.data.shape)
    expected[1, 2:5, 3:6] = 4
    np.testing.assert_array_equal(merged.data, expected)
    np.testing.assert_array_equal(first.data, before)
    assert dock.workspace.choice.labels is first
    assert "most of 3 layers" in dock.workspace.message.text


@pytest.mark.parametrize("how", ["stopped", "failed", "closed"])
def test_of_labels_that_are_not_merged_nothing_stays_on_disk(
    dock, how, tmp_path, qtbot, monkeypatch
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0.0)  # all are on disk
    monkeypatch.setattr(new_labels, "session_folder", lambda: tmp_path / "kept")
    first, merging = open_layers(dock, qtbot), dock.corner_menu.merging
    dock.viewer.add_labels(first.data.copy(), scale=first.scale, units=first.units)
    begun, goes_on = threading.Event(), threading.Event()

    def slow(labels):
        begun.set()
        assert goes_on.wait(WAIT_MS / 1000)
        if how == "failed":
            raise ValueError("no vote")
        return labels[0]

    monkeypatch.setattr(voting, "vote", slow)
    merging.merge()
    qtbot.waitUntil(begun.is_set, timeout=WAIT_MS)
    assert len([*(tmp_path / "kept").iterdir()]) == 1
    if how == "stopped":
        merging._job.stop()
    goes_on.set()
    if how == "closed":
        merging.close()
    qtbot.waitUntil(lambda: not merging.is_on, timeout=WAIT_MS)
    assert [*(tmp_path / "kept").iterdir()] == []
    assert not any(x.name.endswith("merged") for x in dock.viewer.layers)


def test_layers_of_types_that_have_nothing_in_common_are_merged(dock, qtbot):
    first = open_layers(dock, qtbot)
    for dtype in (np.uint64, np.int64):
        data = first.data.astype(dtype)
        dock.viewer.add_labels(data, scale=first.scale, units=first.units)
    merging = dock.corner_menu.merging
    merging.merge()
    qtbot.waitUntil(lambda: not merging.is_on, timeout=WAIT_MS)
    merged = dock.viewer.layers[-1]
    assert (merged.name[-6:], merged.data.dtype) == ("merged", np.int64)
    np.testing.assert_array_equal(merged.data, first.data)


def test_without_labels_there_is_nothing_to_export(dock, qtbot):
    menu = dock.corner_menu
    assert not menu.export_action.isEnabled()
    assert "Choose an image" in menu.table_action.toolTip()
    open_layers(dock, qtbot)
    assert menu.export_action.isEnabled()


def test_the_keys_are_told(dock):
    dock.corner_menu.show_keys()
    assert MEANINGS.keys() == KEYS.keys()
    for name in KEYS:
        assert key_text(name) in dock.workspace.message.text
