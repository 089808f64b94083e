"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from napari_seggpt.io import drafts
from napari_seggpt.io.drafts import NotMovedBackError, draft, is_draft

if TYPE_CHECKING:
    from pathlib import Path


def fail_half_way(path: Path, *, folder: bool) -> None:
    with draft(path) as new:
        assert new.name == path.name
        if folder:
            new.mkdir()
        (new / "half" if folder else new).write_text("half")
        raise OSError("full")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file(tmp_path: Path, *, is_there: bool) -> None:
    path = tmp_path / "a.csv"
    if is_there:
        path.write_text("old")
    with pytest.raises(OSError, match="full"):
        fail_half_way(path, folder=False)
    assert path.exists() == is_there
    assert not is_there or path.read_text() == "old"
    with draft(path) as new:
        new.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder(tmp_path: Path, *, is_there: bool) -> None:
    path = tmp_path / "frames"
    if is_there:
        (path / "old").mkdir(parents=True)
    with pytest.raises(OSError, match="full"):
        fail_half_way(path, folder=True)
    assert path.exists() == is_there
    assert not is_there or [file.name for file in path.iterdir()] == ["old"]
    with draft(path) as new:
        new.mkdir()
        (new / "new").touch()
    assert [file.name for file in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def failing(monkeypatch):
    """Makes some moves of files fail, counted from 1."""

    def fail(calls) -> None:
        count = 0

        def replace(source, target) -> None:
            nonlocal count
            count += 1
            if count in calls:
                raise OSError("disk gone")
            os.rename(source, target)

        monkeypatch.setattr(drafts.os, "replace", replace)

    return fail


def overwrite(path: Path) -> None:
    with draft(path) as new:
        new.mkdir()
        (new / "a").write_text("new a")
        (new / "c").write_text("new c")


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_folder_that_is_replaced_half_way_is_as_it_was(
    tmp_path: Path, failing, call: int
) -> None:
    path = tmp_path / "frames"
    path.mkdir()
    for name in "ab":
        (path / name).write_text(f"old {name}")
    failing({call})
    with pytest.raises(OSError, match="disk gone"):
        overwrite(path)
    found = {file.name: file.read_text() for file in path.iterdir()}
    assert found == {"a": "old a", "b": "old b"}


def test_what_cannot_be_moved_back_is_kept_and_told_of(tmp_path: Path, failing) -> None:
    path = tmp_path / "frames"
    path.mkdir()
    (path / "a").write_text("old a")
    failing(range(2, 100))
    with pytest.raises(NotMovedBackError, match="kept in") as caught:
        overwrite(path)
    (kept,) = path.rglob("old frames/a")
    assert kept.read_text() == "old a"
    assert str(kept.parent) in str(caught.value)


def test_a_draft_that_a_killed_program_left_is_known(tmp_path: Path) -> None:
    with draft(tmp_path / "a") as new:
        new.touch()
        assert is_draft(new.parent)
    assert not is_draft(tmp_path / "a")
