"""A new session is made at the first place where that can be done."""

from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from napari_seggpt.session.store import folder
from napari_seggpt.session.store.beginning import begin_session
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.stored_session import StoredSession


@pytest.fixture
def signature():
    return ImageSignature.of(np.zeros((3, 8, 8), np.uint8))


def test_begins_at_the_first_place(tmp_path, signature):
    begun = begin_session([tmp_path / "a", tmp_path / "b"], signature, None, About())
    assert begun.store.path == tmp_path / "a.seggpt"
    assert begun.refused is None
    assert StoredSession.read(begun.store.path).num_frames == 0
    again = begin_session([tmp_path / "a"], signature, None, About())
    assert again.store.path == tmp_path / "a.2.seggpt"
    begun.store.close()
    again.store.close()


def fail(words):
    def act(*_, **__):
        raise OSError(words)

    return act


@pytest.mark.parametrize("why", ["a long name", "mkdir", "lock", "full", "a file"])
def test_the_second_place_is_taken_if_the_first_is_refused(
    tmp_path, signature, monkeypatch, why
):
    first, second = tmp_path / "here/stack.tif", tmp_path / "data/stack"
    first.parent.mkdir()
    make, acquire, write = Path.mkdir, FileLock.acquire, folder.write_whole
    if why == "a long name":
        first = first.with_name("n" * 250)
    elif why == "a file":
        first = first.with_name("file") / "stack.tif"
        first.parent.touch()

    def refuse(path, function, *args, **kwargs):
        if "here" in Path(path).parts:
            raise OSError("it was refused")
        return function(*args, **kwargs)

    if why == "mkdir":
        monkeypatch.setattr(
            Path, "mkdir", lambda s, *a, **k: refuse(s, make, s, *a, **k)
        )
    if why == "lock":
        monkeypatch.setattr(
            FileLock, "acquire", lambda s: refuse(s.lock_file, acquire, s)
        )
    if why == "full":
        monkeypatch.setattr(
            folder, "write_whole", lambda p, data: refuse(p, write, p, data)
        )
    begun = begin_session([first, second], signature, None, About())
    assert begun.store.path == tmp_path / "data/stack.seggpt"
    assert begun.refused
    begun.store.close()
    assert not list(first.parent.glob("*.seggpt")) if why != "a file" else True


def test_all_reasons_are_told_if_there_is_no_place(tmp_path, signature, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", fail("it was refused"))
    with pytest.raises(SessionError, match="it was refused; it was refused"):
        begin_session([tmp_path / "a", tmp_path / "b"], signature, None, About())


def test_a_hundred_sessions_are_not_too_many(tmp_path, signature):
    for number in range(1, 105):
        ending = ".seggpt" if number == 1 else f".{number}.seggpt"
        (tmp_path / f"a{ending}").mkdir()
    begun = begin_session([tmp_path / "a"], signature, None, About())
    assert begun.store.path.name == "a.105.seggpt"
    begun.store.close()
