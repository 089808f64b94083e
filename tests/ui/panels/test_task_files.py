"""Task files through the dock, from one stack to another."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.prompts import Prompt
from napari_seggpt.session.store.task_file import Task
from napari_seggpt.ui.dock import SegGPTWidget
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.work import actions

WAIT_MS = 20_000  # a busy machine is slow, not wrong


@pytest.fixture
def viewer(viewer_model):
    return viewer_model


@pytest.fixture
def dock(viewer, models, predictor, qtbot):
    image = np.random.default_rng(0).integers(0, 255, (5, 24, 24), np.uint8)
    viewer.add_image(image, name="stack")
    labels = np.zeros(image.shape, np.uint8)
    labels[1, 2:9, 2:9] = 3
    viewer.add_labels(labels, name="mine")
    dock = SegGPTWidget(viewer, models=models)
    qtbot.addWidget(dock)
    qtbot.waitUntil(
        lambda: bool(dock.workspace.session.references.all), timeout=WAIT_MS
    )
    yield dock
    dock.release()


def test_a_task_goes_from_one_stack_to_another(
    viewer, dock, tmp_path, qtbot, make_tuned
):
    files = dock.references_panel.examples.task_files
    name_class(dock.workspace.active.labels.layer, 3, "wall")
    dock.workspace.session.references.tuned = make_tuned()
    files.save(tmp_path / "walls.zip")
    qtbot.waitUntil((tmp_path / "walls.zip").exists, timeout=WAIT_MS)
    task = Task.load(tmp_path / "walls.zip")
    assert task.classes == {3: "wall"}
    assert task.tuned is not None

    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    other = viewer.add_image(np.zeros((4, 30, 20), np.uint8), name="other")
    dock.workspace.choose_image(other, [])
    dock.workspace.make_labels()
    assert not dock.workspace.session.references.all
    own = replace(dock.workspace.settings, scheduler="tcp://gpu:8786")
    dock.workspace.settings = own
    files.open(tmp_path / "walls.zip")
    session = dock.workspace.session
    qtbot.waitUntil(lambda: bool(session.references.all), timeout=WAIT_MS)
    assert [each.name for each in session.references.all] == ["walls 1"]
    assert set(np.unique(session.references.all[0].prompt.labels)) == {0, 3}
    assert session.references.tuned.digest == task.tuned.digest
    assert class_names(dock.workspace.active.labels.layer) == {3: "wall"}
    assert dock.workspace.settings.scheduler == own.scheduler


def test_a_reference_without_labels_is_taken_along(dock, tmp_path, qtbot):
    files = dock.references_panel.examples.task_files
    references = dock.workspace.session.references
    references.add(4)
    files.save(tmp_path / "walls.zip")
    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    files.open(tmp_path / "walls.zip")
    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    taken = [(each.name, each.is_labelled) for each in references.examples]
    assert taken == [("walls 1", True), ("walls 2", False)]
    assert "2 references from walls.zip" in dock.workspace.message.text
    references.remove(1)
    references.remove(4)
    actions.start_run(dock.workspace, "all")  # of references from elsewhere alone
    qtbot.waitUntil(lambda: not dock.workspace.is_busy, timeout=WAIT_MS)
    assert "4 frames labelled" in dock.workspace.message.text


def test_what_is_no_task_is_said(dock, tmp_path, qtbot):
    (tmp_path / "no.zip").write_bytes(b"nothing")
    dock.references_panel.examples.task_files.open(tmp_path / "no.zip")
    qtbot.waitUntil(
        lambda: "Expected a task file" in dock.hint_line.text, timeout=WAIT_MS
    )


def test_a_task_is_written_beside_the_window(dock, tmp_path, qtbot, monkeypatch):
    threads = []
    monkeypatch.setattr(
        Task, "save", lambda *_: threads.append(threading.current_thread())
    )
    files = dock.references_panel.examples.task_files
    files.save(tmp_path / "walls.zip")
    qtbot.waitUntil(lambda: files._job is None, timeout=WAIT_MS)
    assert threads[0] is not threading.main_thread()
    assert "Saved as" in dock.workspace.message.text


@pytest.mark.parametrize("what", ["task", "layers"])
def test_references_go_to_no_other_layers_than_they_were_asked_for(
    viewer, dock, tmp_path, qtbot, what
):
    examples, workspace = dock.references_panel.examples, dock.workspace
    other = viewer.add_image(np.zeros((4, 30, 20), np.uint8), name="other")
    prompt = Prompt(image=np.zeros((9, 9, 3), np.uint8), labels=np.ones((9, 9), int))
    Task(prompts=(prompt,), classes={2: "wall"}).save(tmp_path / "walls.zip")
    viewer.add_labels(np.ones((4, 30, 20), np.uint8), name="theirs")
    examples.refresh()
    if what == "task":
        examples.task_files.open(tmp_path / "walls.zip")
    else:
        examples.add()
    assert examples.task_files._job or examples._job
    workspace.choose_image(other, [])
    workspace.make_labels()
    qtbot.waitUntil(
        lambda: not (examples.task_files._job or examples._job), timeout=WAIT_MS
    )
    assert not workspace.session.references.all
    assert not class_names(workspace.active.labels.layer)
    assert "of stack were dropped" in workspace.message.text
