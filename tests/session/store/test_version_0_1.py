"""Sessions that version 0.1 wrote open in every later version.

They are kept as that version wrote them, on seven frames of 16 x 16: one with its
labels in the folder, one with labels in a zarr beside it. Each has a reference, a frame
predicted with the last references and one with others, two corrected frames, an
approved one, a reference without labels that is switched off, an example from
elsewhere, a locked label and a tuned prompt.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from numpy.testing import assert_array_equal

from napari_seggpt.session import FrameStatus, ModelCache, Session
from napari_seggpt.session.frames.status import TO_REVIEW
from napari_seggpt.session.store.finding import find_sessions
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.results import SessionLabels
from napari_seggpt.session.store.signature import LevelSignatures
from napari_seggpt.session.store.stored_session import StoredSession

DATA = Path(__file__).parent / "data" / "version_0_1"
LENGTH, SIDE = 7, 16
PROTECTED = {
    0: FrameStatus.REFERENCE,
    2: FrameStatus.CORRECTED,
    4: FrameStatus.APPROVED,
    5: FrameStatus.REFERENCE,
    6: FrameStatus.CORRECTED,
}


class ArrayLabels:
    """Labels (T, H, W) in an array."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return LENGTH

    def read(self, frame):
        return np.array(self.data[frame])

    def write(self, frame, labels):
        self.data[frame] = labels


@pytest.fixture
def images():
    """The stack of which the sessions are."""
    return (
        np.arange(LENGTH * SIDE * SIDE, dtype=np.uint16).reshape(-1, SIDE, SIDE) % 251
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the sessions: opening may write."""
    monkeypatch.setenv("NAPARI_SEGGPT_DATA", str(tmp_path / "data"))
    return Path(shutil.copytree(DATA, tmp_path / "sessions"))


@pytest.fixture(params=["memory", "disk"])
def stored(request, folder):
    return StoredSession.read(folder / f"{request.param}.seggpt")


@pytest.fixture
def session(stored, images):
    """A session that goes on with one of 0.1."""
    if stored.labels_path is None:
        data = np.zeros((LENGTH, SIDE, SIDE), np.uint16)
    else:
        data = zarr.open_array(str(stored.labels), mode="r+")
    session = Session(images, ArrayLabels(data), models=ModelCache(lambda *_, **__: ""))
    session.frames.take_scan(*session.frames.scan())
    session.restore_state(stored.state)
    for frame in stored.frames():
        assert session.frames.restore(frame.index, frame.records, frame.labels), (
            frame.index
        )
    yield session
    session.close()


def test_statuses_and_labels_are_as_they_were(session):
    for frame, status in PROTECTED.items():
        assert session.frames.status(frame) is status
    assert {session.frames.status(1), session.frames.status(3)} <= TO_REVIEW
    assert session.frames.confidence(1) == pytest.approx(0.7704, abs=1e-4)
    labels = np.zeros((SIDE, SIDE), np.uint16)
    labels[3:8, 3:8] = 1
    assert_array_equal(session.frames.labels.read(2), labels)


def test_settings_references_and_locks_are_as_they_were(session):
    assert session.settings.prediction.max_prompts == 5
    assert session.settings.contrast.percentiles == (1.0, 99.0)
    assert not session.settings.corrections_become_references
    assert session.frames.locks.labels == {3}
    assert session.references.tuned.class_names == {1: "cell"}
    (example,) = [each for each in session.references.all if each.name]
    assert (example.name, example.enabled) == ("another cell", False)
    assert_array_equal(np.unique(example.prompt.labels), [0, 2])
    frames = {each.frame: each for each in session.references.all if each.name is None}
    assert (frames[0].enabled, frames[5].enabled) == (True, False)


def test_a_run_leaves_the_protected_frames_alone(session, predictor):
    before = {frame: session.frames.labels.read(frame) for frame in PROTECTED}
    for result in session.start("all", 0).results():
        session.runs.commit(result)
    session.runs.finish()
    assert session.frames.status(1) is session.frames.status(3) is FrameStatus.PREDICTED
    for frame, labels in before.items():
        assert_array_equal(session.frames.labels.read(frame), labels)


def test_they_are_found_beside_the_image_and_go_on(folder, images):
    image = folder / "memory"  # that the folder is called after
    found = find_sessions(LevelSignatures([images], "axis 0"), image, "cells")
    stored = found.last.stored
    assert found.last.num_frames == LENGTH
    assert found.last.classes == ("nucleus",)
    store = SessionStore(stored.path, found.signature)
    store.write_state(stored.state, stored.about)
    store.close()
    again = StoredSession.read(stored.path)
    assert again.state.settings == stored.state.settings
    assert len(list(again.path.glob("examples/*"))) == 1


def test_their_labels_can_be_exported(stored):
    labels = SessionLabels(stored.path)
    assert labels.whole_references() == [0]
    assert labels.axis == "t"
    assert labels.pixel_size == (1.0, 0.5, 0.5)
    assert labels.classes == {1: "nucleus"}
    assert [labels.facts(frame)["status"] for frame in PROTECTED] == [
        status.value for status in PROTECTED.values()
    ]
