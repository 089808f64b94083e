"""Task files: written from labels and sessions, applied to other stacks."""

import json
import zipfile

import numpy as np
import pytest
import tifffile

from napari_seggpt.io import open_stack
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.task_file import Task
from napari_seggpt.settings import PredictionSettings, SessionSettings


@pytest.fixture
def task_file(run, stack):
    code, out, _ = run(
        "task", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, 3, "--output", stack / "squares.zip", "--max-prompts", 1,
    )  # fmt: skip
    assert code == 0
    assert "2 references with labels [3]" in out
    return stack / "squares.zip"


def test_there_and_back(tmp_path, make_tuned):
    from napari_seggpt.prompts import Prompt

    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    labels = np.zeros((20, 30), np.int64)
    labels[3:9, 4:9] = 70_000
    settings = SessionSettings(
        model="x", prediction=PredictionSettings(ensemble="spatial", max_prompts=2)
    )
    task = Task(
        prompts=(Prompt(image=image, labels=labels),),
        classes={70_000: "wall"},
        settings=settings,
        tuned=make_tuned(step=4),
    )
    task.save(tmp_path / "t.zip")
    found = Task.load(tmp_path / "t.zip")
    np.testing.assert_array_equal(found.prompts[0].image, image)
    np.testing.assert_array_equal(found.prompts[0].labels, labels)
    assert found.settings == settings
    assert found.classes == task.classes
    assert found.tuned.digest == task.tuned.digest
    assert [file.name for file in tmp_path.iterdir()] == ["t.zip"]


def test_is_applied_to_another_stack(run, stack, task_file):
    code, out, _ = run(
        "predict", stack / "stack.tif", "--task", task_file, "--output",
        stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    assert "6 of 6 frames predicted from 2 references" in out
    with open_stack(stack / "out.tif") as result:
        assert {int(i) for frame in result for i in np.unique(frame)} <= {0, 3}


def test_is_applied_to_each_stack_of_a_folder(run, stack, task_file, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    images = tifffile.imread(stack / "stack.tif")
    for name in ("one.tif", "two.ome.tif"):
        tifffile.imwrite(folder / name, images[:2], metadata={"axes": "ZYX"})
    (folder / "broken.tif").write_bytes(b"nothing")
    (folder / "frames").mkdir()
    tifffile.imwrite(folder / "frames/0.tif", images[0])
    (folder / "one.tif.seggpt").mkdir()
    code, out, error = run(
        "predict", folder, "--each", "--task", task_file, "--output", tmp_path / "out"
    )
    assert code == 2
    assert "broken.tif: " in error
    assert "3 of 4 stacks labelled" in out
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert names == ["frames.tif", "one.tif", "two.tif"]


def test_its_settings_are_used_but_flags_count_more(monkeypatch, stack, run, task_file):
    from napari_seggpt.inference import predictor

    made = []
    original = predictor.Predictor.__init__

    def init(self, *args, **kwargs):
        made.append(kwargs["settings"].max_prompts)
        original(self, *args, **kwargs)

    monkeypatch.setattr(predictor.Predictor, "__init__", init)
    for flags in ([], ["--max-prompts", 5]):
        run(
            "predict", stack / "stack.tif", "--task", task_file, "--output",
            stack / "out.tif", "--overwrite", *flags,
        )  # fmt: skip
    assert made == [1, 5]


def test_of_a_session(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    labels = tifffile.imread(stack / "labels.tif")
    signature = ImageSignature.of(images, "axis 0")
    store = SessionStore(stack / "stack.tif.seggpt", signature)
    for frame, is_enabled in ((1, True), (4, False)):
        record = FrameRecord(
            checksum=checksum(labels[frame]), is_reference=True, is_enabled=is_enabled
        )
        store.write_frame(frame, labels[frame], record)
    settings = SessionSettings(prediction=PredictionSettings(max_prompts=4))
    store.write_state(SessionState(settings=settings), About(classes={3: "square"}))
    store.close()
    code, out, _ = run("task", stack / "stack.tif.seggpt", "--output", stack / "t.zip")
    assert code == 0
    assert "1 references" in out
    task = Task.load(stack / "t.zip")
    assert task.classes == {3: "square"}
    assert task.settings.prediction.max_prompts == 4
    np.testing.assert_array_equal(task.prompts[0].labels, labels[1])
    tifffile.imwrite(stack / "other.tif", images + 1, metadata={"axes": "ZYX"})
    code, _, error = run(
        "task", stack / "stack.tif.seggpt", "--stack", stack / "other.tif",
        "--output", stack / "u.zip",
    )  # fmt: skip
    assert code == 2
    assert "the pixels of frame 0 are others" in error
    (stack / "stack.tif").unlink()
    code, _, error = run(
        "task", stack / "stack.tif.seggpt", "--output", stack / "u.zip"
    )
    assert "Expected --stack" in error


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (None, "Expected a task file"),
        ({}, "none of napari-seggpt"),
        ({"format": "napari-seggpt task", "version": 9}, "version 9"),
        ({"format": "napari-seggpt task", "version": 1}, "Expected a task file"),
    ],
)
def test_other_files_are_refused(tmp_path, head, words):
    path = tmp_path / "t.zip"
    if head is None:
        path.write_bytes(b"no zip")
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("task.json", json.dumps(head))
    with pytest.raises(ValueError, match=words):
        Task.load(path)


def test_a_task_without_references_is_refused(run, stack):
    code, _, error = run("task", stack / "stack.tif", "--output", stack / "t.zip")
    assert code == 2
    assert "Expected references" in error
    assert not (stack / "t.zip").exists()
