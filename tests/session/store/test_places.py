"""Where sessions lie, who writes them, and where their labels are."""

import errno
import fcntl
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import platformdirs
import pytest
import zarr

from napari_seggpt.session.store.places import (
    FolderLock,
    LockedError,
    data_folder,
    is_locked,
    kept_path,
    locate,
    make_session_folder,
    session_bases,
    sessions_of,
    way_to,
)


def make_session(folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "session.json").touch()
    return folder


def test_the_data_folder_is_the_users_own(monkeypatch, tmp_path):
    assert data_folder() == tmp_path / "data"
    monkeypatch.delenv("NAPARI_SEGGPT_DATA")
    assert data_folder() == platformdirs.user_data_path("napari-seggpt", False)
    if sys.platform == "linux":  # as in version 0.1
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
        assert data_folder() == tmp_path / "own" / "napari-seggpt"


def test_one_window_at_a_time(tmp_path):
    lock = FolderLock(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(LockedError, match="open in another window"):
        FolderLock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)


def test_version_0_1_and_we_see_each_others_locks(tmp_path):
    with (tmp_path / "lock").open("ab") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert is_locked(tmp_path)
    lock = FolderLock(tmp_path)
    with (tmp_path / "lock").open("ab") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_locked_by_a_file(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    for _ in range(2):
        lock = FolderLock(tmp_path)
        with pytest.raises(LockedError, match="open in another window"):
            FolderLock(tmp_path)
        assert is_locked(tmp_path)
        lock.release()
        assert not is_locked(tmp_path)


def test_a_folder_that_nobody_can_write_is_not_locked(tmp_path):
    assert not is_locked(tmp_path / "not there")


def test_all_sessions_of_an_image_are_found_whatever_their_number(tmp_path):
    image = tmp_path / "stack.tif"
    names = ["stack.tif.seggpt", *(f"stack.tif.{n}.seggpt" for n in (2, 99, 100, 1234))]
    beside = {make_session(tmp_path / name) for name in names}
    make_session(tmp_path / "stack.tif.x.seggpt")
    make_session(tmp_path / "stackXtif.seggpt")
    (tmp_path / "stack.tif.3.seggpt").mkdir()  # empty
    away = tmp_path / "data/sessions"
    kept = {
        make_session(away / f"stack {'0123456789ab'}.seggpt".replace(" ", "-")),
        make_session(away / "stack-ba9876543210.2.seggpt"),
    }
    make_session(away / "stack-2-ba9876543210.seggpt")
    assert set(sessions_of(image, "stack")) == beside | kept
    assert set(sessions_of(None, "stack")) == kept


@pytest.mark.parametrize("name", ["n" * 250, "a[b]*?.tif", "x" * 300])
def test_odd_names_of_images_are_no_fault(tmp_path, name):
    assert sessions_of(tmp_path / name, name) == []
    assert sessions_of(tmp_path / "no folder" / name, name) == []


def test_new_folders_are_numbered(tmp_path):
    base = session_bases(tmp_path / "a.tif", "a", "0" * 12)[0]
    folders = [make_session_folder(base) for _ in range(3)]
    assert [f.name for f in folders] == [
        "a.tif.seggpt",
        "a.tif.2.seggpt",
        "a.tif.3.seggpt",
    ]


def labels_at(path, value):
    group = zarr.create_group(str(path))
    array = group.create_array("0", shape=(2, 4, 4), dtype="uint8")
    array[:] = np.uint8(value)
    return path / "0"


def test_labels_beside_a_session_come_first(tmp_path):
    original = labels_at(tmp_path / "one/stack labels.zarr", 1)
    copy = labels_at(tmp_path / "two/stack labels.zarr", 2)
    # Version 0.1 wrote the full path; it is copied with the rest.
    assert locate(str(original), tmp_path / "two/stack.tif.seggpt") == copy
    assert locate(str(original), tmp_path / "one/stack.tif.seggpt") == original
    assert locate(str(original), tmp_path / "three/stack.tif.seggpt") == original
    alone = tmp_path / "two/alone.zarr"
    zarr.create_array(str(alone), shape=(2,), dtype="uint8")
    assert locate("/gone/alone.zarr", tmp_path / "two/s.seggpt") == alone
    assert locate("C:\\gone\\alone.zarr", tmp_path / "two/s.seggpt") == alone


def test_labels_beside_a_session_are_told_from_there(tmp_path):
    session = tmp_path / "one/stack.tif.seggpt"
    inside = tmp_path / "one/stack labels.zarr/0"
    assert kept_path(str(inside), session) == "stack labels.zarr/0"
    assert locate("stack labels.zarr/0", session) == inside
    outside = os.sep + str(Path("elsewhere", "labels.zarr"))
    assert kept_path(outside, session) == outside


def test_whoever_copies_a_folder_above_both_has_copied_the_labels(tmp_path):
    original = tmp_path / "one/labels/deep/all.zarr"
    zarr.create_array(original, data=np.zeros((2, 4, 4), "u1"))
    session = tmp_path / "one/images/stack.tif.seggpt"
    kept, way = kept_path(str(original), session), way_to(str(original), session)
    assert (kept, way) == (str(original), "../labels/deep/all.zarr")
    assert locate(kept, session, way) == original
    copied = tmp_path / "two/images/stack.tif.seggpt"
    assert locate(kept, copied, way) == original  # the labels were not copied
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert locate(kept, copied, way) == tmp_path / "two/labels/deep/all.zarr"
