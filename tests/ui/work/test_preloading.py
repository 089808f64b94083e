"""The model is loaded while a person paints, and only if it comes with the package."""

from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.session import ModelCache
from napari_seggpt.settings import SessionSettings
from napari_seggpt.ui.work.preferences import Preferences
from napari_seggpt.ui.work.preloading import Preloading
from napari_seggpt.ui.work.workspace import Workspace

WAIT_MS = 20_000


@pytest.fixture
def loaded():
    return []


@pytest.fixture
def workspace(viewer_model, loaded):
    def load(name, /, *, progress=None):
        loaded.append(name)
        return object()

    viewer = viewer_model
    workspace = Workspace(viewer, Preferences(), models=ModelCache(load))
    yield workspace
    workspace.close()


def open_layers(workspace):
    viewer = workspace.viewer
    image = viewer.add_image(np.zeros((3, 9, 9), np.uint8))
    viewer.add_labels(np.zeros((3, 9, 9), np.uint8))
    workspace.choose_image(image, list(viewer.layers))


def test_the_model_is_there_before_the_first_run(workspace, loaded, qtbot):
    preloading = Preloading(workspace)
    qtbot.wait(1100)
    assert not loaded  # nobody works on anything yet
    open_layers(workspace)
    qtbot.waitUntil(lambda: loaded == ["builtin"], timeout=WAIT_MS)
    qtbot.waitUntil(lambda: preloading._job is None, timeout=WAIT_MS)
    workspace.settings = SessionSettings(corrections_become_references=False)
    qtbot.wait(1200)
    assert loaded == ["builtin"]  # it is kept
    preloading.close()


@pytest.mark.parametrize("model", ["seggpt-vit-large", "/my/weights.safetensors"])
def test_a_large_model_is_not_loaded_unasked(workspace, loaded, model, qtbot):
    workspace.settings = replace(SessionSettings(), model=model)
    preloading = Preloading(workspace)
    open_layers(workspace)
    qtbot.wait(1300)
    assert not loaded
    preloading.close()


def test_what_goes_wrong_is_left_to_the_run(workspace, loaded, monkeypatch, qtbot):
    def fail(name, progress=None):
        loaded.append(name)
        raise OSError("no such file")

    monkeypatch.setattr(workspace.models, "get", fail)
    preloading = Preloading(workspace)
    open_layers(workspace)
    qtbot.waitUntil(lambda: bool(loaded), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: preloading._job is None, timeout=WAIT_MS)
    assert workspace.message is None
    preloading.close()
