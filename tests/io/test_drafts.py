"""Files and folders appear whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_seggpt.io.drafts import draft, is_draft

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


def test_a_draft_that_a_killed_program_left_is_known(tmp_path: Path) -> None:
    with draft(tmp_path / "a") as new:
        new.touch()
        assert is_draft(new.parent)
    assert not is_draft(tmp_path / "a")
