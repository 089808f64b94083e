"""The dock saves what is done, and goes on with it when the image is opened again."""

import json
import re
import shutil
import threading
import time
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import zarr
from filelock import FileLock

from napari_seggpt.session import FrameStatus, autosave
from napari_seggpt.session.frames import labelled_frames
from napari_seggpt.session.store import (
    folder,
    journal,
    saving_thread,
    stored_session,
)
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.places import is_locked
from napari_seggpt.session.store.signature import ImageSignature, LevelSignatures
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.stored_session import StoredSession
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers import image_stack, new_labels
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.layer_choice import LayerChoice, first_choice
from napari_seggpt.ui.work import actions, layer_session, resuming, saved_sessions
from napari_seggpt.ui.work.jobs import Job
from napari_seggpt.ui.work.messages import Tone

LENGTH, SIDE = 8, 24
WAIT_MS = 20_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


@pytest.fixture
def image_file(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (LENGTH, SIDE, SIDE), np.uint8)
    tifffile.imwrite(tmp_path / "stack.tif", images)
    return tmp_path / "stack.tif"


@pytest.fixture
def dock_after(viewer, models, predictor, qtbot):
    """Open a dock, as in a napari just started, once an image was added."""
    docks = []

    def opened(add_image):
        for dock in docks:
            dock.release()
        viewer.layers.clear()
        add_image()
        dock = SegGPTWidget(viewer, models=models)
        qtbot.addWidget(dock)
        docks.append(dock)
        settle(qtbot, dock)
        return dock

    yield opened
    for dock in docks:
        dock.release()


@pytest.fixture
def open_dock(dock_after, viewer):
    """Open a file in a dock as in a napari that was just started."""
    return lambda file: dock_after(lambda: viewer.open(file, plugin="napari"))


def settle(qtbot, dock):
    workspace = dock.workspace
    qtbot.waitUntil(lambda: not dock.saved_sessions.is_busy, timeout=WAIT_MS)
    qtbot.waitUntil(
        lambda: not (workspace.active and workspace.active.is_scanning), timeout=WAIT_MS
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


def test_a_damaged_frame_of_labels_on_disk_keeps_no_other(
    image_file, open_dock, qtbot, monkeypatch
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    array = new_labels.zarr_path(dock.workspace.active.labels.layer.data)
    statuses = dock.workspace.session.frames.statuses
    dock.release()
    damaged = next(each for each in (array / "c").glob("1/*/*"))
    damaged.write_bytes(b"no chunk")
    dock = open_dock(image_file)
    resume(qtbot, dock)
    text = hint(qtbot, dock)
    assert "7 frames are back" in text
    assert "frame 1 could not be brought back" in text.lower()
    session = dock.workspace.session
    others = [frame for frame in range(LENGTH) if frame != 1]
    assert [session.frames.status(frame) for frame in others] == [
        statuses[frame] for frame in others
    ]
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert "Frame 1 is left out: Expected the labels of frame 1" in hint(qtbot, dock)
    assert damaged.read_bytes() == b"no chunk"


def test_a_session_that_ends_while_another_image_is_chosen_can_be_resumed(
    image_file, open_dock, viewer, qtbot
):
    dock = open_dock(image_file)
    first = viewer.layers[0]
    work(qtbot, dock)
    saved(qtbot, dock)
    other = viewer.add_image(np.zeros((LENGTH, SIDE, SIDE), np.uint8), name="other")
    labels = dock.workspace.active.labels.layer
    dock.workspace.choose_image(other, [])
    settle(qtbot, dock)
    viewer.layers.remove(labels)
    settle(qtbot, dock)
    dock.workspace.choose_image(first, [])
    settle(qtbot, dock)
    (found,) = dock.saved_sessions.sessions
    assert not found.is_open
    resume(qtbot, dock)
    assert dock.workspace.session.frames.protected


@pytest.mark.parametrize("damage", [None, "null", '{"zarr_format": 3, "shape": 7}'])
def test_labels_that_cannot_be_opened_are_told(
    image_file, open_dock, qtbot, monkeypatch, damage
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    path = dock.workspace.active.labels.layer.data.store.root
    dock = open_dock(image_file)
    if damage is None:
        path.rename(path.with_name("away.zarr"))
    else:
        (path / "0" / "zarr.json").write_text(damage)
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
    qtbot.addWidget(dock)
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


# -- nothing is lost, and nothing is silent ------------------------------------------


def begun(dock):
    return dock.saved_sessions.autosave.store


def labels_of(dock):
    return dock.workspace.active.labels.layer


def choose_to_resume(qtbot, dock, number):
    """Click on a session in the list."""
    action = dock.sessions_button.menu().actions()[number]
    assert action.isEnabled()
    action.trigger()
    settle(qtbot, dock)


def listed(dock):
    actions = dock.sessions_button.menu().actions()
    return [(action.text(), action.isEnabled()) for action in actions]


def test_all_sessions_are_listed_and_each_can_be_resumed(
    image_file, open_dock, viewer, qtbot
):
    dock = open_dock(image_file)
    assert not dock.sessions_button.isEnabled()
    work(qtbot, dock)
    saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 1)  # a stroke before Resume was clicked
    saved(qtbot, dock)
    settle(qtbot, dock)
    assert dock.saved_sessions.offer is None
    (new, is_on), (old, can_resume) = listed(dock)
    assert ("(open)" in new, "frame" in new, is_on) == (True, False, False)
    assert "8 frames, stack labels, nucleus" in old
    assert can_resume
    choose_to_resume(qtbot, dock, 1)
    assert dock.workspace.session.frames.statuses == statuses
    first = begun(dock).path
    assert first.name == "stack.tif.seggpt"
    viewer.layers.remove(labels_of(dock))  # by mistake
    settle(qtbot, dock)
    assert dock.saved_sessions.offer.stored.path == first
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses


def test_ids_of_any_size_come_back(image_file, open_dock, viewer, qtbot):
    dock = open_dock(image_file)
    data = np.zeros((LENGTH, SIDE, SIDE), np.uint32)
    data[1, 3:9, 3:9] = 70_000
    data[5, 3:9, 3:9] = 3
    viewer.add_labels(data, name="big")
    settle(qtbot, dock)
    paint(dock, 2, 2**31)
    saved(qtbot, dock)
    before = labels_of(dock).data.copy()
    dock = open_dock(image_file)
    resume(qtbot, dock)
    np.testing.assert_array_equal(labels_of(dock).data, before)


def test_one_frame_that_cannot_be_brought_back_keeps_no_other(
    image_file, open_dock, qtbot
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    session = saved(qtbot, dock)
    dock.release()
    odd = session / "frames/000003.tif"
    with tifffile.TiffFile(odd) as tiff:
        record = tiff.pages.first.description
    other = np.full((SIDE - 2, SIDE), 9, np.uint8)  # another shape
    tifffile.imwrite(odd, other, description=record, metadata=None)
    content = odd.read_bytes()
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert "7 frames are back" in hint(qtbot, dock)
    assert 3 in dock.workspace.session.frames.protected
    saved(qtbot, dock)
    assert odd.with_suffix(".kept").read_bytes() == content


def test_a_copied_folder_has_its_own_labels(
    image_file, open_dock, qtbot, monkeypatch, tmp_path
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    original = new_labels.zarr_path(labels_of(dock).data)
    dock.release()
    copy = shutil.copytree(image_file.parent, tmp_path / "copied" / "deep")
    before = zarr.open_array(str(original), mode="r")[:]
    dock = open_dock(copy / image_file.name)
    resume(qtbot, dock)
    place = new_labels.zarr_path(labels_of(dock).data)
    assert place.is_relative_to(copy)
    paint(dock, 0, 7)
    assert saved(qtbot, dock).is_relative_to(copy)
    np.testing.assert_array_equal(zarr.open_array(str(original), mode="r")[:], before)


def test_labels_replaced_by_an_array_are_saved_whole(
    image_file, open_dock, qtbot, monkeypatch
):
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    monkeypatch.setattr(saved_sessions, "RETRY_SECONDS", 0.05)
    dock = open_dock(image_file)
    work(qtbot, dock)
    first = saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    labels_of(dock).data = np.array(labels_of(dock).data)
    paint(dock, 0, 3)
    qtbot.waitUntil(lambda: begun(dock).path != first, timeout=WAIT_MS)
    saved(qtbot, dock)
    labels = labels_of(dock).data.copy()
    dock = open_dock(image_file)
    resume(qtbot, dock)
    np.testing.assert_array_equal(labels_of(dock).data, labels)
    assert dock.workspace.session.frames.statuses[1:] == statuses[1:]


def test_a_frame_that_cannot_be_read_keeps_nothing_from_being_saved(
    image_file, open_dock, qtbot, monkeypatch
):
    read = image_stack.to_numpy

    def broken(block):
        if block.shape == (SIDE, SIDE) and np.array_equal(block, first):
            raise OSError("a bad sector")
        return read(block)

    first = tifffile.imread(image_file)[0]
    monkeypatch.setattr(image_stack, "to_numpy", broken)
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    assert saved(qtbot, dock).name == "stack.tif.seggpt"
    monkeypatch.setattr(image_stack, "to_numpy", read)
    dock = open_dock(image_file)
    assert dock.saved_sessions.offer.num_frames == 1


def refuse_beside(image_file, monkeypatch, is_on=lambda: True, *, everywhere=False):
    """Let no session be written beside an image, or nowhere."""
    write = folder.write_whole

    def refuse(path, data):
        is_beside = path.is_relative_to(image_file.parent) and "data" not in path.parts
        if is_on() and (is_beside or everywhere):
            raise OSError("No space left on device")
        write(path, data)

    monkeypatch.setattr(folder, "write_whole", refuse)


def test_the_data_folder_is_the_second_place(
    image_file, open_dock, qtbot, monkeypatch, tmp_path
):
    refuse_beside(image_file, monkeypatch)
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    assert saved(qtbot, dock).parent == tmp_path / "data/sessions"
    assert "No space left" in hint(qtbot, dock)  # why it is there
    assert dock.saved_sessions.unsaved is None
    assert not list(image_file.parent.glob("*.seggpt"))
    statuses = dock.workspace.session.frames.statuses
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses


def test_work_that_is_not_saved_is_told_until_it_is(
    image_file, open_dock, qtbot, monkeypatch
):
    monkeypatch.setattr(saved_sessions, "RETRY_SECONDS", 0.1)
    is_full = threading.Event()
    is_full.set()
    refuse_beside(image_file, monkeypatch, is_full.is_set, everywhere=True)
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    told = "Your work is not saved:</b> No space left on device"
    qtbot.waitUntil(lambda: told in hint(qtbot, dock), timeout=WAIT_MS)
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    dock.workspace.show_message("something else")
    assert told in hint(qtbot, dock)
    assert "something else" in hint(qtbot, dock)
    is_full.clear()
    assert StoredSession.read(saved(qtbot, dock)).num_frames == LENGTH
    qtbot.waitUntil(lambda: "not saved" not in hint(qtbot, dock), timeout=WAIT_MS)


def test_a_disk_that_is_full_for_long_is_left(
    image_file, open_dock, qtbot, monkeypatch, tmp_path
):
    monkeypatch.setattr(saved_sessions, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(saved_sessions, "MOVE_SECONDS", 0.3)
    monkeypatch.setattr(autosave, "RETRY_SECONDS", 0.05)
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    refuse_beside(image_file, monkeypatch)
    paint(dock, 0, 3)
    away = tmp_path / "data/sessions"
    qtbot.waitUntil(lambda: begun(dock).path.parent == away, timeout=WAIT_MS)
    assert StoredSession.read(saved(qtbot, dock)).num_frames == LENGTH


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_session_that_is_deleted_is_begun_anew(
    image_file, open_dock, qtbot, monkeypatch, on_disk
):
    monkeypatch.setattr(saving_thread, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(saved_sessions, "RETRY_SECONDS", 0.05)
    if on_disk:
        monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    store = begun(dock) or (saved(qtbot, dock) and begun(dock))
    saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    shutil.rmtree(store.path)
    qtbot.waitUntil(lambda: begun(dock) is not store, timeout=WAIT_MS)
    assert "was removed" in hint(qtbot, dock)
    saved(qtbot, dock)
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses


def test_a_session_that_is_deleted_right_before_the_end_is_saved_again(
    image_file, open_dock, qtbot
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    shutil.rmtree(saved(qtbot, dock))
    dock.release()
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("how", ["dock", "layer"])
def test_frames_predicted_last_are_saved_when_all_is_closed(
    image_file, open_dock, viewer, predictor, qtbot, monkeypatch, on_disk, how
):
    if on_disk:
        monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 2)
    saved(qtbot, dock)
    predictor.seconds = 0.05
    actions.start_run(dock.workspace, "all")
    runs, data = dock.workspace.active.runs, labels_of(dock).data
    qtbot.waitUntil(lambda: runs.done >= 2, timeout=WAIT_MS)
    time.sleep(0.3)  # results wait to be taken
    viewer.layers.remove(labels_of(dock)) if how == "layer" else dock.release()
    written = sum(bool(np.any(data[frame])) for frame in range(LENGTH))
    assert written >= 4
    dock = open_dock(image_file)
    resume(qtbot, dock)
    session = dock.workspace.session
    statuses = [status for status in session.frames.statuses if status != "empty"]
    assert len(statuses) == written
    assert statuses.count(FrameStatus.REFERENCE) == 1


def test_a_session_that_can_only_be_read_goes_on_elsewhere(
    image_file, open_dock, qtbot, monkeypatch, tmp_path
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    first = saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    dock.release()
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    acquire = FileLock.acquire

    def refuse(lock, *args, **kwargs):
        if Path(lock.lock_file).is_relative_to(first):
            raise OSError("Read-only file system")
        return acquire(lock, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", refuse)
    dock = open_dock(image_file)
    qtbot.waitUntil(lambda: dock.saved_sessions.offer is not None, timeout=WAIT_MS)
    dock.saved_sessions.resume()
    settle(qtbot, dock)
    assert "saved as a new session" in hint(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses
    assert saved(qtbot, dock) != first
    assert StoredSession.read(begun(dock).path).num_frames == LENGTH
    assert before == {f: f.read_bytes() for f in first.rglob("*") if f.is_file()}


def test_html_from_a_file_is_no_html_in_the_dock(image_file, open_dock, viewer, qtbot):
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    labels_of(dock).name = '<img src="x">'
    name_class(labels_of(dock), 2, "<b>bold</b>&amp;\x1b[31m\nline")
    paint(dock, 2)
    saved(qtbot, dock)
    dock = open_dock(image_file)
    text = hint(qtbot, dock)
    for raw in ("img", "bold", "\x1b", "\n"):  # names are in the menu, as plain text
        assert raw not in text
    ((entry, _),) = listed(dock)
    assert '<img src="x">' in entry
    assert "<b>bold" in entry
    assert "\n" not in entry
    assert "\x1b" not in entry


def test_undo_on_a_frame_that_is_not_shown_goes_there(
    image_file, open_dock, viewer, qtbot
):
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    dock.workspace.active.navigation.go_to(2)
    paint(dock, 2)
    dock.workspace.active.navigation.go_to(6)
    labels_of(dock).undo()
    qtbot.waitUntil(lambda: dock.workspace.current == 2, timeout=WAIT_MS)
    assert "changed frame 2" in hint(qtbot, dock)
    labels_of(dock).redo()
    dock.workspace.active.labels.flush()
    qtbot.wait(50)
    assert dock.workspace.current == 2


def test_a_long_journal_is_read_by_a_worker(image_file, open_dock, qtbot, monkeypatch):
    """The window parses no line and reads no frame, but the one that is shown."""
    monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    path = saved(qtbot, dock)
    statuses = dock.workspace.session.frames.statuses
    dock.release()
    lines = (path / "frames.jsonl").read_bytes().splitlines(keepends=True)
    (path / "frames.jsonl").write_bytes(b"".join(lines * 200))
    parsed, window = [], threading.get_ident()
    decode = journal._decoded

    def decoded(line):
        parsed.append(threading.get_ident())
        return decode(line)

    looks, read = [], LabelsLayer.read

    def looked_at(labels, frame):
        looks.append(threading.get_ident())
        return read(labels, frame)

    monkeypatch.setattr(journal, "_decoded", decoded)
    monkeypatch.setattr(LabelsLayer, "read", looked_at)
    monkeypatch.setattr(labelled_frames, "MAX_PIXELS_READ_AT_ONCE", 0)
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.session.frames.statuses == statuses
    assert len(parsed) > 200 * len(lines)
    assert window not in parsed
    assert len(looks) >= 2 * LENGTH  # to resume them, and to find what is there
    assert looks.count(window) <= 1


def test_the_signature_of_a_pyramid_reads_no_finest_level(
    viewer, models, predictor, qtbot
):
    class Level:
        def __init__(self, side):
            self.data = np.random.default_rng(1).integers(0, 9, (3, side, side), "u1")
            self.shape, self.dtype = self.data.shape, self.data.dtype
            self.ndim, self.reads = 3, []

        def __getitem__(self, place):
            self.reads.append(threading.get_ident())
            return self.data[place]

    levels = [Level(side) for side in (2048, 1024, 512, 256)]
    viewer.add_image([x.data for x in levels], multiscale=True, name="pyramid")
    layer = viewer.layers[0]
    dock = SegGPTWidget(viewer, models=models)
    choice = dock.workspace.choice
    stacks = choice.levels()
    for stack, level in zip(stacks, levels, strict=True):
        stack._data = level
    own = LevelSignatures(stacks, "axis 0").own
    assert [len(level.reads) for level in levels] == [0, 0, 0, 3]
    assert own.frame_shape == (2048, 2048)
    settle(qtbot, dock)
    assert dock.saved_sessions._search.result(choice).found.signature == own
    assert layer.multiscale
    dock.release()


@pytest.fixture
def film_file(tmp_path):
    """A film of volumes: 3 times of 4 slices."""
    shape = (3, 4, SIDE, SIDE)
    images = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    path = tmp_path / "film.ome.tif"
    tifffile.imwrite(path, images, metadata={"axes": "TZYX"})
    return path


@pytest.fixture
def open_film(viewer, open_dock, film_file):
    """Open the film, with the names of its axes, which some readers leave out."""

    def opened():
        dock = open_dock(film_file)
        viewer.layers[0].axis_labels = ("t", "z", "y", "x")
        dock.workspace.choose_image(viewer.layers[0], [])
        return dock

    return opened


def paint_in_film(dock, place, label=2):
    layer = dock.workspace.active.labels.layer
    layer.brush_size = 3
    layer.paint((*place, 10, 10), label)
    dock.workspace.active.labels.flush()


def test_a_film_of_volumes_is_resumed(open_film, qtbot):
    dock = open_film()
    dock.workspace.make_labels()
    settle(qtbot, dock)
    assert dock.workspace.choice.axis == (0, 1)
    paint_in_film(dock, (1, 2))
    actions.start_run(dock.workspace, "all")
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    before = np.array(dock.workspace.choice.labels.data)
    path = saved(qtbot, dock)
    again = open_film()
    settle(qtbot, again)
    offer = hint(qtbot, again)
    assert "You worked on this image before" in offer
    assert "12 frames" in offer
    assert 'or press <a href="new">New</a> to begin anew' in offer
    assert len(re.sub("<.*?>", "", offer)) < 110  # three lines
    resume(qtbot, again)
    session = again.workspace.session
    np.testing.assert_array_equal(again.workspace.choice.labels.data, before)
    assert session.references.used_frames == [6]
    assert session.frames.count(FrameStatus.PREDICTED) == 11
    assert saved(qtbot, again) == path


def test_a_session_along_one_axis_is_found_from_both(open_film, viewer, qtbot):
    dock = open_film()
    workspace = dock.workspace
    viewer.dims.set_point(0, 2)
    dock.data_panel.axis_box.setCurrentIndex(2)  # depth, as before version 0.2
    assert workspace.choice.fixed == ((0, 2),)
    workspace.make_labels()
    settle(qtbot, dock)
    paint_in_film(dock, (2, 1))
    saved(qtbot, dock)
    again = open_film()
    settle(qtbot, again)
    assert again.workspace.choice.axis == (0, 1)
    assert "before: along z, t 2" in hint(qtbot, again)
    assert hint(qtbot, again).endswith("New</a> to begin anew.")
    again.hint_line.link_clicked.emit("part")
    settle(qtbot, again)
    assert (again.workspace.choice.axis, again.workspace.choice.fixed) == (1, ((0, 2),))
    resume(qtbot, again)
    assert again.workspace.session.references.used_frames == [1]
    assert viewer.dims.point[0] == 2


# -- what happens while a session is being resumed ------------------------------------


@pytest.fixture
def slow(monkeypatch):
    """Let a worker read saved frames only as long as this is set."""
    is_open, read = threading.Event(), stored_session.read_frame
    look, looked_at = resuming._looked_at, []

    def read_frame(index, *args):
        if index:
            assert is_open.wait(WAIT_MS / 1000)
        return read(index, *args)

    def slowly_looked_at(labels, frame):
        looked_at.append(frame.index)
        if len(looked_at) > 1:
            assert is_open.wait(WAIT_MS / 1000)
        return look(labels, frame)

    monkeypatch.setattr(stored_session, "read_frame", read_frame)
    monkeypatch.setattr(resuming, "_looked_at", slowly_looked_at)
    monkeypatch.setattr(layer_session, "GROUP_SECONDS", 0)  # each frame is taken alone
    yield is_open
    is_open.set()


def begin_resuming(qtbot, dock):
    """Resume, until the first of the saved frames is there, which is returned."""
    qtbot.waitUntil(lambda: dock.saved_sessions.offer is not None, timeout=WAIT_MS)
    dock.saved_sessions.resume()
    back = dock.saved_sessions._resuming.same
    qtbot.waitUntil(lambda: len(back) == 1, timeout=WAIT_MS)
    assert dock.saved_sessions.is_resuming
    return back


def test_nothing_is_begun_while_a_session_is_being_resumed(
    image_file, open_dock, qtbot, slow
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    paint(dock, 0, 3)
    saved(qtbot, dock)
    labels = dock.workspace.active.labels.layer.data.copy()
    dock = open_dock(image_file)
    begin_resuming(qtbot, dock)
    workspace, reason = dock.workspace, "Your last work is being brought back"
    run, objects, tune = dock.run_panel, dock.objects_panel, dock.tune_panel
    for button in (
        run.run_button, run.frame_button, run.undo_button, run.redo_button,
        objects.carry_button, tune.tune_button,
    ):  # fmt: skip
        assert not button.isEnabled()
    assert reason in run.run_button.toolTip()
    for act in (
        lambda: actions.start_run(workspace, "all"),
        lambda: actions.carry_ids_on(workspace),
        lambda: actions.complete_frame(workspace, 0),
        lambda: actions.undo_run(workspace),
        lambda: actions.redo_run(workspace),
        tune._on_tune,
    ):
        workspace.show_message("")
        act()
        assert reason in workspace.message.text
        assert not workspace.active.is_busy
    slow.set()
    settle(qtbot, dock)
    assert not workspace.is_busy
    np.testing.assert_array_equal(workspace.active.labels.layer.data, labels)
    qtbot.waitUntil(run.run_button.isEnabled, timeout=WAIT_MS)


def test_a_dock_that_is_closed_while_it_resumes_holds_nothing(
    image_file, open_dock, qtbot, slow
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    paint(dock, 0, 3)
    folder = saved(qtbot, dock)
    names = sorted(file.name for file in folder.glob("frames/*"))
    dock = open_dock(image_file)
    begin_resuming(qtbot, dock)
    slow.set()
    dock.release()
    assert dock.workspace.held == ""
    assert sorted(file.name for file in folder.glob("frames/*")) == names


def contents(folder):
    """Read all files but the journal, which is written anew when it is opened."""
    files = {file for file in folder.rglob("*") if file.is_file()}
    return {file: file.read_bytes() for file in files if file.suffix != ".jsonl"}


@pytest.fixture
def worked_on(image_file, open_dock, qtbot, monkeypatch, on_disk):
    """Work on labels in memory or on disk; return the folder that it is saved in."""
    if on_disk:
        monkeypatch.setattr(new_labels, "MEMORY_SHARE", 0)
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    dock.release()
    monkeypatch.setattr(Job, "close", partialmethod(Job.close, 0.0))  # of a slow disk
    return folder


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_dock_that_is_closed_while_it_resumes_begins_no_other_session(
    image_file, open_dock, qtbot, worked_on, slow
):
    before = contents(worked_on)
    dock = open_dock(image_file)
    begin_resuming(qtbot, dock)
    dock.release()
    slow.set()
    assert contents(worked_on) == before
    dock = open_dock(image_file)
    assert [each.stored.path for each in dock.saved_sessions.sessions] == [worked_on]
    resume(qtbot, dock)
    assert "8 frames are back" in dock.workspace.message.text
    counts = dock.workspace.session.frames.count
    assert counts(FrameStatus.PREDICTED) + counts(FrameStatus.STALE) == LENGTH - 3


@pytest.mark.parametrize("on_disk", [False, True])
def test_strokes_made_while_it_resumes_are_saved_where_it_was(
    image_file, open_dock, qtbot, worked_on, slow, on_disk
):
    dock = open_dock(image_file)
    (first,) = begin_resuming(qtbot, dock)
    later = 7 if first == 4 else 4  # that is not back yet
    for frame in (first, later):
        dock.workspace.active.labels.layer.data_setitem(
            (np.array([frame]), np.array([1]), np.array([2])), 9
        )
    dock.workspace.active.labels.flush()
    dock.release()
    slow.set()
    assert len(list(worked_on.glob("frames/*.kept"))) == (0 if on_disk else 1)
    dock = open_dock(image_file)
    assert [each.stored.path for each in dock.saved_sessions.sessions] == [worked_on]
    resume(qtbot, dock)
    labels, frames = labels_of(dock).data, dock.workspace.session.frames
    painted = {frame for frame in range(LENGTH) if labels[frame, 1, 2] == 9}
    assert painted == {first, later}
    kept = f"Of frame {later} other labels were kept before"
    assert (kept in dock.workspace.message.text) == (not on_disk)
    assert {first, later, 2, 5, 6} == frames.protected
    assert all(np.any(labels[frame]) for frame in range(LENGTH))


@pytest.mark.parametrize("on_disk", [False])
@pytest.mark.parametrize("removed", ["labels", "image"])
def test_a_layer_that_is_removed_while_it_resumes_ends_that(
    image_file, open_dock, viewer, qtbot, monkeypatch, worked_on, slow, removed
):
    warnings = []
    monkeypatch.setattr(saved_sessions, "show_warning", warnings.append)
    dock = open_dock(image_file)
    begin_resuming(qtbot, dock)
    choice = dock.workspace.choice
    viewer.layers.remove(choice.labels if removed == "labels" else choice.image)
    assert not dock.saved_sessions.is_resuming
    assert dock.workspace.held == ""
    slow.set()
    settle(qtbot, dock)
    assert warnings == []
    assert "are back" not in hint(qtbot, dock)
    if removed == "labels":
        resume(qtbot, dock)
        assert "8 frames are back" in hint(qtbot, dock)
    assert [file.name for file in image_file.parent.glob("*.seggpt")] == [
        worked_on.name
    ]


def test_labels_that_are_removed_before_any_frame_is_back_are_saved(
    image_file, open_dock, viewer, qtbot, monkeypatch, slow
):
    slow.set()
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    warnings = []
    monkeypatch.setattr(saved_sessions, "show_warning", warnings.append)
    dock = open_dock(image_file)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    slow.clear()
    dock.saved_sessions.resume()
    paint(dock, 1)
    viewer.layers.remove(labels_of(dock))
    slow.set()
    settle(qtbot, dock)
    assert warnings == []
    new, old = dock.saved_sessions.sessions
    assert (new.num_frames, old.stored.path) == (1, folder)


def test_slices_of_a_session_that_is_back_are_a_persons_work(
    image_file, open_dock, qtbot
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    saved(qtbot, dock)
    dock = open_dock(image_file)
    resume(qtbot, dock)
    assert dock.workspace.active.is_touched


def test_a_session_that_is_opened_after_all_is_closed_is_let_go(
    tmp_path, qtbot, monkeypatch
):
    path, signature = tmp_path / "s", ImageSignature.of(np.zeros((2, 8, 8)), "axis 0")
    store = SessionStore(path, signature)
    store.write_state(SessionState(), About())
    store.close()
    opens, may_open, opened = threading.Event(), threading.Event(), threading.Event()

    def late(*args):
        opens.set()
        assert may_open.wait(WAIT_MS / 1000)  # a slow disk
        found = SessionStore(*args)
        opened.set()
        return found

    monkeypatch.setattr(resuming, "SessionStore", late)
    monkeypatch.setattr(Job, "close", partialmethod(Job.close, 0.0))
    workspace = SimpleNamespace(choice=LayerChoice(), active=None)
    stored = StoredSession.read(path)
    resume = resuming.SessionResume(workspace, stored, signature)
    resume.start()
    assert opens.wait(WAIT_MS / 1000)
    resume.close()
    may_open.set()
    assert opened.wait(WAIT_MS / 1000)
    qtbot.waitUntil(lambda: not is_locked(path), timeout=WAIT_MS)
    assert resume.store is None


@pytest.mark.parametrize("other", ["image", "labels"])
def test_layers_that_are_chosen_while_it_resumes_are_left_alone(
    image_file, open_dock, viewer, qtbot, other
):
    dock = open_dock(image_file)
    work(qtbot, dock)
    folder = saved(qtbot, dock)
    dock = open_dock(image_file)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    blank = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
    layer = viewer.add_labels(blank.copy(), name="others")
    image = viewer.layers[0]
    if other == "image":
        image = viewer.add_image(blank.copy(), name="another")
        dock.workspace.choose_image(viewer.layers[0], [])
    settle(qtbot, dock)
    qtbot.waitUntil(lambda: dock.saved_sessions.offer is not None, timeout=WAIT_MS)
    dock.workspace.choose(replace(dock.workspace.choice, labels=None))
    dock.saved_sessions.resume()
    dock.workspace.choose(replace(first_choice(image), labels=layer))
    settle(qtbot, dock)
    message = dock.workspace.message
    assert "not resumed: other layers were chosen meanwhile" in message.text
    assert "Choose stack again" in message.text
    assert dock.workspace.choice.labels is layer
    assert not layer.data.any()
    assert dock.workspace.session.frames.known == ()
    paint(dock, 1)
    assert saved(qtbot, dock) != folder
    assert before == {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
    dock.workspace.choose_image(viewer.layers[0], [])
    settle(qtbot, dock)
    dock.saved_sessions.resume(dock.saved_sessions.sessions[-1])
    settle(qtbot, dock)
    assert "8 frames are back" in dock.workspace.message.text


# -- other data in the image layer ----------------------------------------------------


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 255, (LENGTH, SIDE, SIDE), np.uint8)


@pytest.fixture
def dock_on(dock_after, viewer):
    """Open a dock on pixels that are in no file, as in a napari just started."""
    about = {"name": "made up", "axis_labels": ("t", "y", "x")}
    return lambda images: dock_after(lambda: viewer.add_image(images, **about))


def test_a_session_of_channels_that_a_person_chose_is_pointed_to(
    dock_after, viewer, qtbot
):
    images = pixels(0).reshape(LENGTH // 2, 2, SIDE, SIDE)

    def opened():
        return dock_after(lambda: viewer.add_image(images.copy(), name="made up"))

    dock = opened()
    choice = dock.workspace.choice.with_axis(0).with_channel_axis(1)
    dock.workspace.choose(choice)
    dock.workspace.make_labels()
    settle(qtbot, dock)
    labels_of(dock).paint((1, 0, 10, 10), 2)
    folder = saved(qtbot, dock)
    dock = opened()
    assert dock.saved_sessions.offer is None
    assert "You worked on other frames of this image before" in hint(qtbot, dock)
    dock.hint_line.link_clicked.emit("part")
    settle(qtbot, dock)
    resume(qtbot, dock)
    assert dock.workspace.choice.channel_axis == 1
    assert dock.workspace.session.references.used_frames == [1]
    assert saved(qtbot, dock) == folder


@pytest.fixture
def dock_on_mixed(dock_after, viewer):
    """Open a dock on pixels that are in no file, and others to mix with them."""

    def opened(*names):
        def add():
            for name, seed in zip(("first", *names), range(3), strict=False):
                viewer.add_image(pixels(seed), name=name, axis_labels=("t", "y", "x"))
            viewer.layers.selection.active = viewer.layers["first"]

        return dock_after(add)

    return opened


@pytest.fixture
def mixed_folder(dock_on_mixed, viewer, qtbot):
    """Work on two layers that are mixed; return where that is saved."""
    dock = dock_on_mixed("second")
    workspace = dock.workspace
    workspace.choose(replace(workspace.choice, mixed=(viewer.layers["second"],)))
    work(qtbot, dock)
    actions.start_run(workspace, "all")
    qtbot.waitUntil(lambda: not workspace.is_busy, timeout=WAIT_MS)
    assert workspace.session.frames.count(FrameStatus.PREDICTED) == LENGTH - 3
    return saved(qtbot, dock)


def test_layers_that_were_mixed_are_mixed_again(
    dock_on_mixed, mixed_folder, viewer, qtbot
):
    dock = dock_on_mixed("second")
    resume(qtbot, dock)
    assert dock.workspace.choice.mixed == (viewer.layers["second"],)
    assert dock.workspace.session.frames.count(FrameStatus.PREDICTED) == LENGTH - 3
    assert "out of date" not in dock.workspace.message.text


def test_what_was_predicted_with_layers_that_are_gone_is_out_of_date(
    dock_on_mixed, mixed_folder, qtbot
):
    dock = dock_on_mixed("another")
    resume(qtbot, dock)
    assert dock.workspace.choice.mixed == ()
    assert dock.workspace.session.frames.count(FrameStatus.STALE) == LENGTH - 3
    assert dock.workspace.session.frames.protected == {2, 5, 6}
    assert "it needs second to be mixed with first" in dock.workspace.message.text


def test_layers_are_mixed_as_they_were_not_as_they_are(dock_on_mixed, viewer, qtbot):
    dock = dock_on_mixed("second")
    work(qtbot, dock)
    saved(qtbot, dock)
    dock = dock_on_mixed("second")
    workspace = dock.workspace
    workspace.choose(replace(workspace.choice, mixed=(viewer.layers["second"],)))
    settle(qtbot, dock)
    resume(qtbot, dock)
    assert workspace.choice.mixed == ()


def test_a_session_that_says_nothing_of_mixed_layers_is_resumed(
    dock_on_mixed, mixed_folder, viewer, qtbot
):
    """Earlier versions did not say it."""
    viewer.layers.clear()
    file = mixed_folder / "session.json"
    content = json.loads(file.read_text())
    assert content["about"].pop("mixed") == ["second"]
    file.write_text(json.dumps(content))
    dock = dock_on_mixed("second")
    resume(qtbot, dock)
    assert dock.workspace.choice.mixed == ()
    assert "8 frames are back" in dock.workspace.message.text
    assert dock.workspace.message.tone is Tone.GOOD


def signature_of(folder):
    return StoredSession.read(folder).signature


def test_work_on_other_data_is_another_session(dock_on, viewer, qtbot):
    dock = dock_on(pixels(0))
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 1)
    first = saved(qtbot, dock)
    paint(dock, 5)  # not saved yet when the data are replaced
    viewer.layers["made up"].data = pixels(7)
    assert dock.saved_sessions.autosave.store is None
    assert StoredSession.read(first).num_frames == 2
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    settle(qtbot, dock)
    paint(dock, 3, 4)
    second = saved(qtbot, dock)
    assert second != first
    assert signature_of(second).difference(signature_of(first))
    assert before == {f: f.read_bytes() for f in first.rglob("*") if f.is_file()}
    for seed, path, frames in ((0, first, {1, 5}), (7, second, {1, 3, 5})):
        dock = dock_on(pixels(seed))
        (found,) = dock.saved_sessions.sessions
        assert found.stored.path == path
        resume(qtbot, dock)
        assert dock.workspace.session.frames.protected == frames


def test_other_data_before_anything_was_done_are_signed_anew(dock_on, viewer, qtbot):
    dock = dock_on(pixels(0))
    dock.workspace.make_labels()
    settle(qtbot, dock)
    viewer.layers["made up"].data = pixels(7)
    paint(dock, 3, 4)
    folder = saved(qtbot, dock)
    hashes = signature_of(folder).hashes
    dock = dock_on(pixels(7))
    qtbot.waitUntil(lambda: dock.saved_sessions.offer is not None, timeout=WAIT_MS)
    assert dock.saved_sessions.offer.stored.signature.hashes == hashes


def test_data_that_are_replaced_during_a_search_are_looked_for(dock_on, viewer, qtbot):
    dock = dock_on(pixels(0))
    dock.workspace.make_labels()
    settle(qtbot, dock)
    paint(dock, 1)
    folder = saved(qtbot, dock)
    dock = dock_on(pixels(7))
    assert dock.saved_sessions.offer is None
    viewer.layers["made up"].data = pixels(3)
    assert dock.saved_sessions.is_busy
    viewer.layers["made up"].data = pixels(0)
    settle(qtbot, dock)
    assert dock.saved_sessions.offer.stored.path == folder


def test_data_that_are_replaced_while_it_resumes_end_that(dock_on, viewer, qtbot, slow):
    dock = dock_on(pixels(0))
    work(qtbot, dock)
    paint(dock, 0, 3)
    folder = saved(qtbot, dock)
    dock = dock_on(pixels(0))
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    begin_resuming(qtbot, dock)
    slow.set()
    viewer.layers["made up"].data = pixels(7)
    assert not dock.saved_sessions.is_resuming
    assert "the data of made up were replaced" in dock.workspace.message.text
    settle(qtbot, dock)
    paint(dock, 6)
    assert saved(qtbot, dock) != folder
    assert before == {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
