"""The plugin as napari finds it: widget, commands, menus, samples."""

from pathlib import Path

import numpy as np
import pytest
from napari._app_model import get_app_model
from npe2 import PluginManager, PluginManifest

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui import commands
from napari_seggpt.ui.dock import SegGPTWidget

MANIFEST = Path(__file__).parents[2] / "napari.yaml"
PLUGIN = "napari-seggpt"
WAIT_MS = 20_000


@pytest.fixture
def viewer(make_napari_viewer, predictor):
    viewer = make_napari_viewer()
    viewer.add_image(np.zeros((5, 16, 16), np.uint8))
    viewer.add_labels(np.zeros((5, 16, 16), np.uint8))
    yield viewer
    dock = SegGPTWidget.of(viewer)
    if dock is not None:
        dock.release()


@pytest.fixture
def manifest():
    return PluginManifest.from_file(MANIFEST)


def test_every_act_is_a_command(manifest):
    offered = {
        command.python_name.split(":")[1]
        for command in manifest.contributions.commands
        if command.python_name.startswith(commands.__name__)
    }
    acts = {
        name
        for name, value in vars(commands).items()
        if callable(value) and value.__module__ == commands.__name__
    }
    assert offered == {name for name in acts if not name.startswith("_")}


def test_the_widget_opens_from_the_plugins_menu(viewer):
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN)
    assert isinstance(dock, SegGPTWidget)
    assert SegGPTWidget.of(viewer) is dock
    assert dock.workspace.session is not None
    viewer.window.remove_dock_widget(dock)
    assert SegGPTWidget.of(viewer) is None


def test_a_viewer_has_one_dock(viewer):
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN)
    active = dock.workspace.active
    with pytest.raises(RuntimeError, match="a viewer without this dock"):
        SegGPTWidget(viewer)
    assert viewer.window.add_plugin_dock_widget(PLUGIN)[1] is dock
    assert SegGPTWidget.of(viewer) is dock
    assert dock.workspace.active is active
    viewer.window.remove_dock_widget(dock)
    _, another = viewer.window.add_plugin_dock_widget(PLUGIN)
    assert SegGPTWidget.of(viewer) is another


def test_a_command_opens_the_dock_and_acts(viewer, qtbot):
    commands.toggle_approval(viewer)
    dock = SegGPTWidget.of(viewer)
    assert (
        dock.workspace.session.frames.status(dock.workspace.current)
        is FrameStatus.APPROVED
    )
    commands.toggle_approval(viewer)
    commands.toggle_reference(viewer)
    assert len(dock.workspace.session.references.all) == 1
    commands.propagate(viewer)  # the only reference has no labels
    qtbot.waitUntil(lambda: "no" in dock.hint_line.text, timeout=WAIT_MS)
    for act in (
        commands.predict_frame,
        commands.update_stale,
        commands.stop,
        commands.undo_run,
        commands.next_to_review,
        commands.previous_to_review,
    ):
        act(viewer)
    assert SegGPTWidget.of(viewer) is dock


def test_napari_runs_the_commands(viewer, manifest):
    app = get_app_model()
    if PLUGIN not in PluginManager.instance():
        pytest.skip("the plugin is not installed")
    app.commands.execute_command("napari-seggpt.approve").result()
    dock = SegGPTWidget.of(viewer)
    assert (
        dock.workspace.session.frames.status(dock.workspace.current)
        is FrameStatus.APPROVED
    )
