"""Sessions that are saved in a folder of the test, and never beside a person's data."""

import pytest

from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature


@pytest.fixture(autouse=True)
def _own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SEGGPT_DATA", str(tmp_path / "data"))


@pytest.fixture
def begin(tmp_path):
    """Save a session in a folder; ended with the test."""
    savers = []

    def act(session, name="s", labels_path=None, about=None):
        saver = Autosave(session, lambda: about or About())
        signature = ImageSignature.of(session.stack)
        saver.begin(SessionStore(tmp_path / name, signature, labels_path))
        savers.append(saver)
        return saver

    yield act
    for saver in savers:
        saver.close()
