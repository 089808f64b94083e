"""What is saved while a person works, when that fails, and when the folder is gone."""

import shutil
import threading
import time

import numpy as np
import pytest

from napari_seggpt.prompts import Prompt
from napari_seggpt.session.store import saving_thread
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.stored_session import StoredSession


def test_a_full_disk_is_told_and_tried_again(
    make_session, label, blob, begin, tmp_path, monkeypatch
):
    session = make_session()
    saver = begin(session)
    write, is_full = SessionStore.write_frame, threading.Event()
    is_full.set()

    def write_frame(self, *args):
        if is_full.is_set():
            raise OSError("No space left on device")
        write(self, *args)

    monkeypatch.setattr(SessionStore, "write_frame", write_frame)
    label(session, 1, blob())
    assert not saver.flush()
    assert "No space" in saver.error
    is_full.clear()
    assert saver.flush()
    assert saver.flush()
    assert saver.error is None
    assert StoredSession.read(tmp_path / "s").num_frames == 1


def test_the_newest_frame_is_copied_first_and_read_once(
    make_session, label, blob, begin, monkeypatch
):
    session = make_session(length=50)
    session.frames.labels.data[:] = blob()
    session.frames.take_scan(*session.frames.scan())
    saver = begin(session)
    read, copied = [], []
    labels, writer = session.frames.labels, session.frames.writer
    original, latest = labels.read, writer.latest
    monkeypatch.setattr(labels, "read", lambda f: (read.append(f), original(f))[1])
    monkeypatch.setattr(writer, "latest", lambda f: (copied.append(f), latest(f))[1])
    session.frames.labels.data[7] = blob(2)
    session.frames.labels_changed([7])
    saver.save(0.0)
    assert copied[0] == 7
    assert read == [7]


def test_what_is_there_already_is_not_noted_again(make_session, blob, begin, tmp_path):
    session = make_session()
    session.frames.labels.data[:] = blob()
    session.frames.take_scan(*session.frames.scan())
    saver = begin(session, labels_path="labels.zarr")
    saver.end()
    journal = tmp_path / "s" / "frames.jsonl"
    size = journal.stat().st_size
    store = SessionStore(
        tmp_path / "s", ImageSignature.of(session.stack), "labels.zarr"
    )
    saver.begin(store, {frame: session.frames.record(frame) for frame in range(5)})
    saver.flush()
    assert journal.stat().st_size < size * 1.3  # the line of one frame of six


@pytest.mark.parametrize("labels_path", [None, "labels.zarr"])
def test_a_folder_that_is_removed_is_noticed(
    make_session, label, blob, begin, tmp_path, monkeypatch, labels_path
):
    monkeypatch.setattr(saving_thread, "CHECK_SECONDS", 0.02)
    session = make_session()
    saver = begin(session, labels_path=labels_path)
    label(session, 1, blob())
    saver.flush()
    assert not saver.is_gone
    shutil.rmtree(tmp_path / "s")
    for _ in range(500):
        if saver.is_gone:
            break
        time.sleep(0.02)
    assert saver.is_gone
    if labels_path is not None:
        session.frames.approve(2)
        assert "was removed" in saver.error


def test_a_folder_that_is_removed_is_noticed_by_a_write_and_when_asked(
    make_session, label, blob, begin, tmp_path, monkeypatch
):
    monkeypatch.setattr(saving_thread, "CHECK_SECONDS", 100.0)
    session = make_session()
    for number, act in enumerate(("flush", "look_for_folder")):
        begin(session).close()
        saver = begin(session)  # one that is resumed: nothing was written yet
        remove(tmp_path / "s")
        label(session, 1, blob(number + 1))
        getattr(saver, act)()
        assert saver.is_gone
        saver.abandon()


def remove(folder):
    """Remove a folder into which something may be written meanwhile."""
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)


def test_another_example_of_the_same_name_is_saved(
    make_session, blob, begin, monkeypatch
):
    session = make_session()
    saver, written = begin(session), []

    def add_state(self, state, about):
        written.extend(int(each.prompt.image[0, 0]) for each in state.examples)

    monkeypatch.setattr(saving_thread.SavingThread, "add_state", add_state)
    for value in range(100):  # the one before is gone, and its place in memory free
        image = np.full((8, 8), value, np.uint8)
        session.references.add_example(Prompt(image=image, labels=blob()), "mine")
        saver.save()
        session.references.remove_example("mine")
    assert written == [*range(100)]
