"""All sessions of an image are found, the newest first."""

import os
import shutil

import numpy as np
import pytest

from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.finding import find_sessions
from napari_seggpt.session.store.places import make_session_folder
from napari_seggpt.session.store.signature import LevelSignatures


@pytest.fixture
def image(tmp_path):
    return tmp_path / "stack.tif"


def find(stack, image, name="x", levels=None):
    return find_sessions(LevelSignatures(levels or [stack]), image, name)


def age(folder, seconds):
    """Make all of a session look older."""
    for file in (folder, *folder.rglob("*")):
        stat = file.stat()
        os.utime(file, (stat.st_atime - seconds, stat.st_mtime - seconds))


@pytest.fixture
def worked(make_session, label, blob, begin, image):
    """Three sessions of an image, of one, two and three frames, the last the newest."""
    session = make_session()
    folders = []
    for count in (1, 2, 3):
        folder = make_session_folder(image)
        label(session, count, blob())
        about = About(name="x", classes={1: f"class {count}"}, labels_name="mine")
        saver = begin(session, folder.name, about=about)
        saver.flush()
        saver.end()
        age(folder, 100 * (3 - count))
        folders.append(folder)
    session.folders = folders
    return session


def test_the_newest_comes_first_and_tells_what_it_is(worked, image):
    found = find(worked.stack, image)
    assert [each.stored.path for each in found.sessions] == worked.folders[::-1]
    assert [each.num_frames for each in found.sessions] == [3, 2, 1]
    assert found.sessions[0].classes == ("class 3",)
    assert found.last is found.sessions[0]
    assert found.last.stored.about.labels_name == "mine"
    assert found.refused is None


def test_what_is_being_written_is_told_but_not_the_last(worked, image, begin):
    saver = begin(worked, worked.folders[2].name)
    saver.flush()
    found = find(worked.stack, image)
    assert [each.is_open for each in found.sessions] == [True, False, False]
    assert found.last is found.sessions[1]


def test_others_are_refused_and_left_as_they_are(worked, image, tmp_path):
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    found = find(np.zeros((6, 8, 8), np.uint8), image)
    assert found.last is None
    assert "not of this image: its values are uint8, not uint16" in found.refused
    assert before == {file: file.read_bytes() for file in files}


def test_one_that_is_broken_hides_no_other(worked, image):
    (worked.folders[2] / "session.json").write_text("[" * 100_000)
    (worked.folders[1] / "session.json").write_text("{}")
    found = find(worked.stack, image)
    assert [each.stored.path for each in found.sessions] == worked.folders[:1]
    assert found.refused is None


def test_sessions_in_the_data_folder_are_found_whatever_the_signature_was(
    worked, image, tmp_path
):
    away = tmp_path / "data/sessions"
    away.mkdir(parents=True)
    shutil.move(worked.folders[0], away / "x-0123456789ab.seggpt")
    assert find(worked.stack, None).last.num_frames == 1
    assert len(find(worked.stack, image).sessions) == 3


def test_a_pyramid_finds_what_version_0_1_saved_of_its_finest_level(worked, image):
    coarse = np.zeros((6, 300, 300), np.uint16)
    levels = [_Level(worked.stack), _Level(coarse)]
    found = find(None, image, levels=levels)
    assert len(found.sessions) == 3
    assert found.signature.level == 1  # what is saved next
    other = [_Level(np.zeros_like(worked.stack)), _Level(coarse)]
    assert find(None, image, levels=other).last is None


class _Level:
    def __init__(self, data):
        self.data = np.asarray(data)
        self.frame_shape, self.dtype = self.data.shape[1:], self.data.dtype

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        return self.data[index]
