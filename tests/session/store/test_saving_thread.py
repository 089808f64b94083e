"""The thread that saves: in which order, how often, and what it says of failures."""

import threading

import numpy as np
import pytest

from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.saving_thread import SavingThread
from napari_seggpt.session.store.state import SessionState

WAIT_SECONDS = 30.0  # a busy machine is slow, not wrong


class SlowStore:
    """Tells what is written into it, each time once it `may_go_on`.

    Attributes
    ----------
    written : list
        The frames and the pixel values of their labels; "state" for what is beside.
    refused : dict
        What writing a frame raises.
    """

    def __init__(self):
        self.written, self.refused = [], {}
        self.is_there = True
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()

    def write_state(self, state, about):
        self.has_begun.set()
        assert self.may_go_on.wait(WAIT_SECONDS)
        self.written.append("state")

    def write_frame(self, frame, labels, record):
        if frame in self.refused:
            raise self.refused[frame]
        self.written.append((frame, int(labels.max())))


@pytest.fixture
def store():
    return SlowStore()


@pytest.fixture
def thread(store):
    """A thread that is at writing what is beside the frames."""
    thread = SavingThread(store)
    thread.add_state(SessionState(), About())
    assert store.has_begun.wait(WAIT_SECONDS)
    yield thread
    store.may_go_on.set()
    thread.stop(WAIT_SECONDS)


def add(thread, frame, label, told=None):
    labels = np.full((4, 5), label, np.uint8)
    thread.add(frame, labels, FrameRecord(checksum=told or checksum(labels)))


def finish(thread, store):
    store.may_go_on.set()
    thread.wait(WAIT_SECONDS)


def test_the_newest_copy_of_the_newest_frame_is_written_first(thread, store):
    for frame, label in ((3, 1), (5, 1), (3, 2), (4, 1)):
        add(thread, frame, label)
    assert thread.num_bytes == 3 * 20
    assert len(thread) == 4  # with what is being written
    finish(thread, store)
    assert store.written == ["state", (4, 1), (3, 2), (5, 1)]
    assert (len(thread), thread.num_bytes) == (0, 0)


def test_what_is_beside_the_frames_comes_before_them(thread, store):
    add(thread, 3, 1)
    thread.add_state(SessionState(), About())
    thread.add_state(SessionState(), About())  # the one before is dropped
    finish(thread, store)
    assert store.written == ["state", "state", (3, 1)]


def test_failures_are_told_once_and_keep_nothing_else_from_being_written(thread, store):
    store.refused = {4: OSError("No space left on device"), 5: MemoryError()}
    for frame in (3, 4, 5):
        add(thread, frame, 1)
    finish(thread, store)
    assert store.written == ["state", (3, 1)]
    assert len(thread) == 2
    told = list(thread.take_failures())
    assert told == [(5, "MemoryError"), (4, "No space left on device")]
    assert not list(thread.take_failures())
    assert len(thread) == 0
    assert not thread.is_gone


def test_labels_of_which_nobody_told_are_written_and_named(thread, store):
    add(thread, 3, 1)
    add(thread, 4, 1, told=b"others")
    finish(thread, store)
    assert store.written == ["state", (4, 1), (3, 1)]
    assert thread.take_unheard() == [4]
    assert thread.take_unheard() == []


def test_a_folder_is_gone_only_if_it_was_there():
    store = SlowStore()
    store.is_there = False  # a new one: its state was not written yet
    store.refused = {3: OSError("No such file")}
    store.may_go_on.set()
    thread = SavingThread(store)
    add(thread, 3, 1)
    finish(thread, store)
    assert not thread.is_gone
    thread.add_state(SessionState(), About())
    finish(thread, store)
    add(thread, 3, 1)
    finish(thread, store)
    assert thread.is_gone
    thread.stop(WAIT_SECONDS)


def test_it_stops_after_what_it_is_writing(thread, store):
    add(thread, 3, 1)
    thread.stop(0.0)
    store.may_go_on.set()
    thread.stop(WAIT_SECONDS)
    assert store.written == ["state"]
    assert thread.num_bytes == 20  # of the frame that was left out
