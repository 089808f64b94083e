"""The dock saves what is done, and goes on with it when the image is opened again."""

import time

import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.store.folder import StoredSession
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers import new_labels
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.work import actions

LENGTH, SIDE = 8, 24
WAIT_MS = 20_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(make_napari_viewer_proxy):
    return make_napari_viewer_proxy()


@pytest.fixture
def image_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (LENGTH, SIDE, SIDE), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", images)
    return tmp_path / "stack.tif"


@pytest.fixture
def open_dock(viewer, models, predictor, qtbot):
    """Open a file in a dock as in a napari that was just started."""
    docks = []

    def opened(file):
        for dock in docks:
            dock.release()
        viewer.layers.clear()
        viewer.open(file, plugin="napari")
        dock = SegGPTWidget(viewer, models=models)
        viewer.window.add_dock_widget(dock, name=f"SegGPT {len(docks)}")
        docks.append(dock)
        settle(qtbot, dock)
        return dock

    yield opened
    for dock in docks:
        dock.release()


def settle(qtbot, dock):
    bench = dock.workspace
    qtbot.waitUntil(lambda: not dock.saved_sessions.is_busy, timeout=WAIT_MS)
    qtbot.waitUntil(
        lambda: not (bench.active and bench.active.is_scanning), timeout=WAIT_MS
    )


def paint(dock, frame, label=2):
    layer = dock.workspace.active.labels.layer
    layer.brush_size = 3
    layer.paint((frame, 10, 10), label)
    dock.workspace.active.labels.flush()


def work(qtbot, dock):
    """Paint, run, correct, approve, name and lock."""
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    dock.workspace.session.frames.approve(5)
    paint(dock, 6, 4)
    dock.workspace.session.frames.locks.lock(4)
    name_class(dock.workspace.active.labels.layer, 2, "nucleus")


def saved(qtbot, dock):
    saver = dock.saved_sessions.autosave
    qtbot.waitUntil(lambda: saver.store is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: saver.num_waiting == 0, timeout=WAIT_MS)
    return saver.store.path


def hint(qtbot, dock):
    qtbot.wait(80)
    return dock.hint_line.text


def resume(qtbot, dock):
    qtbot.waitUntil(lambda: 'href="resume"' in hint(qtbot, dock), timeout=WAIT_MS)
    dock.hint_line.link_clicked.emit("resume")
    settle(qtbot, dock)
    assert dock.saved_sessions.offer is None


def test_nothing_is_saved_before_anything_is_done(image_file, open_dock, qtbot):
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    qtbot.wait(400)
    assert dock.saved_sessions.autosave.store is None
    assert [file.name for file in image_file.parent.glob("stack*")] == ["stack.tif"]


def test_saves_as_the_work_goes_on_and_resumes(image_file, open_dock, qtbot):
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    assert folder.name == "stack.tif.seggpt"
    assert StoredSession.read(folder).num_frames == LENGTH
    statuses = dock.workspace.session.frames.statuses
    labels = dock.workspace.active.labels.layer.data.copy()
    settings = dock.workspace.settings
    dock = open_dock(image_file)
    assert dock.workspace.choice.labels is None
    assert "8 frames" in hint(qtbot, dock)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses
    np.testing.assert_array_equal(dock.workspace.active.labels.layer.data, labels)
    assert dock.workspace.session.frames.locks.labels == {4}
    assert class_names(dock.workspace.active.labels.layer) == {2: "nucleus"}
    assert dock.workspace.settings == settings
    assert "8 frames are back" in hint(qtbot, dock)
    paint(dock, 0, 3)
    assert saved(qtbot, dock) == folder
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.status(0) is FrameStatus.CORRECTED
    assert len(list(image_file.parent.glob("*.seggpt"))) == 1


def test_fills_labels_that_were_saved_meanwhile(image_file, open_dock, viewer, qtbot):
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    labels = dock.workspace.active.labels.layer.data.copy()
    dock = open_dock(image_file)
    viewer.add_labels(labels, name="from a file")
    settle(qtbot, dock)
    assert set(dock.workspace.session.frames.statuses) == {FrameStatus.REFERENCE}
    resume(qtbot, dock)
    assert dock.workspace.choice.labels.name == "from a file"
    assert dock.workspace.session.frames.statuses == statuses


def test_labels_that_differ_are_left_alone(image_file, open_dock, viewer, qtbot):
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    dock = open_dock(image_file)
    mine = np.full((LENGTH, SIDE, SIDE), 9, np.uint8)
    layer = viewer.add_labels(mine.copy(), name="mine")
    settle(qtbot, dock)
    resume(qtbot, dock)
    assert dock.workspace.choice.labels.name != "mine"
    assert dock.workspace.session.frames.statuses == statuses
    np.testing.assert_array_equal(layer.data, mine)


def test_whoever_begins_anew_keeps_the_old_session(image_file, open_dock, qtbot):
    dock = open_dock(image_file)
    work(qtbot, dock)
    first = saved(qtbot, dock)
    dock = open_dock(image_file)
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 1)
    assert saved(qtbot, dock).name == "stack.tif.2.seggpt"
    assert dock.saved_sessions.offer is None
    assert "Resume" not in hint(qtbot, dock)
    assert before == {f: f.read_bytes() for f in first.rglob("*") if f.is_file()}


def test_another_image_of_that_name_is_refused(image_file, open_dock, qtbot):
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    dock.release()
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    images = tifffile.imread(image_file)
    images[0, 0, 0] += 1
    tifffile.imwrite(image_file, images)
    dock = open_dock(image_file)
    text = hint(qtbot, dock)
    assert "not of this image: the pixels of frame 0 are others" in text
    assert dock.saved_sessions.offer is None
    work(qtbot, dock)
    assert saved(qtbot, dock).name == "stack.tif.2.seggpt"
    assert before == {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_labels_on_disk_are_opened_again(image_file, open_dock, qtbot, monkeypatch):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    assert not list(folder.glob("frames/*"))
    statuses = dock.workspace.session.frames.statuses
    path = new_labels.zarr_path(dock.workspace.active.labels.layer.data)
    dock = open_dock(image_file)
    resume(qtbot, dock)
    layer = dock.workspace.active.labels.layer
    assert isinstance(layer.data, zarr.Array)
    assert new_labels.zarr_path(layer.data) == path
    assert dock.workspace.session.frames.statuses == statuses
    paint(dock, 0, 3)
    assert saved(qtbot, dock) == folder


def test_labels_that_are_gone_are_told(image_file, open_dock, qtbot, monkeypatch):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    path = dock.workspace.active.labels.layer.data.store.root
    dock = open_dock(image_file)
    path.rename(path.with_name("away.zarr"))
    resume_job = dock.saved_sessions
    qtbot.waitUntil(lambda: resume_job.offer is not None, timeout=WAIT_MS)
    dock.hint_line.link_clicked.emit("resume")
    settle(qtbot, dock)
    assert "Expected the labels of the session in" in hint(qtbot, dock)
    assert dock.saved_sessions.offer is not None


def test_an_image_without_a_file_has_its_session_in_the_data_folder(
    viewer, models, predictor, qtbot, tmp_path
):
    viewer.add_image(np.random.default_rng(1).random((4, 16, 16)), name="made up")
    dock = SegGPTWidget(viewer, models=models)
    viewer.window.add_dock_widget(dock, name="SegGPT")
    settle(qtbot, dock)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 1)
    folder = saved(qtbot, dock)
    assert folder.parent == tmp_path / "data/sessions"
    assert folder.name.startswith("made up-")
    dock.release()


def test_the_window_waits_little_for_saving(image_file, open_dock, qtbot):
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    saved(qtbot, dock)
    dock.saved_sessions.autosave.save()  # what was saved before does not count
    paint(dock, 3)
    began = time.perf_counter()
    dock.saved_sessions.save()
    assert time.perf_counter() - began < 0.05
