"""Tests with windows: preferences of no person.

Where there is no screen, pytest-xvfb starts one in memory if Xvfb is installed.
"""

import os
import sys

import pytest
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from qtpy.QtCore import QSettings


def pytest_collection_modifyitems(items):
    """Skip what needs a window where there can be none."""
    if sys.platform != "linux" or os.environ.get("DISPLAY"):
        return
    for item in items:
        if {"make_napari_viewer", "make_napari_viewer_proxy"} & {*item.fixturenames}:
            item.add_marker(pytest.mark.skip(reason="no screen: install Xvfb"))


@pytest.fixture(scope="session", autouse=True)
def _plugins_are_found_once():
    """Let not every window look for plugins, and read their manifests, anew."""
    found = list(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda *_, **__: iter(found))
        PluginManager.instance().discover()
        yield


@pytest.fixture
def viewer_model(qapp):
    """A viewer without a window, for a dock of its own: much faster than with one."""
    viewer = ViewerModel()
    yield viewer
    viewer.layers.clear()


@pytest.fixture(autouse=True)
def _own_data(tmp_path, monkeypatch):
    """Let tests neither find nor leave sessions of the person at this computer."""
    monkeypatch.setenv("NAPARI_SEGGPT_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _own_preferences(tmp_path):
    """Let tests neither read nor write what the person at this computer prefers."""
    path = str(tmp_path / "config")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, path)
