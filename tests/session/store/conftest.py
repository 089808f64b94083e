"""Sessions of these tests are never saved beside a person's data."""

import pytest


@pytest.fixture(autouse=True)
def _own_data(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SEGGPT_DATA", str(tmp_path / "data"))
