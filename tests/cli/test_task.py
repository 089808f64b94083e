"""Task files: written from labels and sessions, applied to other stacks."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
import tifffile

from napari_seggpt.inference import watching
from napari_seggpt.io import open_stack
from napari_seggpt.io.layout import StackError
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.task_file import Task
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
)


@pytest.fixture
def task_file(run, stack):
    code, out, _ = run(
        "task", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, 3, "--output", stack / "squares.zip", "--max-prompts", 1,
    )  # fmt: skip
    assert code == 0
    assert "2 references with labels [3]" in out
    return stack / "squares.zip"


@pytest.fixture
def task_zip(tmp_path):
    """A task of one reference, made without a model."""
    labels = np.eye(8, dtype=np.uint8)
    prompt = Prompt(image=np.zeros((8, 8, 3), np.uint8), labels=labels)
    Task(prompts=(prompt,)).save(tmp_path / "good.zip")
    return tmp_path / "good.zip"


def test_there_and_back(tmp_path, make_tuned):
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


@pytest.fixture
def made(monkeypatch, tiny_model):
    """What models, predictors and runs were made with, by the command line."""
    from napari_seggpt.cli import arguments
    from napari_seggpt.inference import labelling, predictor

    found = []
    init, plan = predictor.Predictor.__init__, labelling.plan

    def spy_on_model(name):
        found.append({"model": name})
        return tiny_model

    def spy_on_predictor(self, *args, **kwargs):
        limits = kwargs["limits"]
        found[-1]["prediction"] = kwargs["settings"]
        found[-1]["limits"] = limits.low.item(), limits.high.item()
        init(self, *args, **kwargs)

    def spy_on_plan(length, references, settings, **kwargs):
        found[-1]["propagation"] = settings
        return plan(length, references, settings, **kwargs)

    monkeypatch.setattr(arguments, "load_named_model", spy_on_model)
    monkeypatch.setattr(predictor.Predictor, "__init__", spy_on_predictor)
    monkeypatch.setattr(labelling, "plan", spy_on_plan)
    return found


@pytest.fixture
def particular(tmp_path):
    """A task file whose every setting is another than the default."""
    image = np.full((20, 30, 3), 90, np.uint8)
    labels = np.zeros((20, 30), np.uint8)
    labels[3:15, 4:19] = 3
    task = Task(
        prompts=(Prompt(image=image, labels=labels),),
        settings=SessionSettings(
            model="theirs",
            prediction=PredictionSettings(
                seg_type="instance",
                ensemble="spatial",
                max_prompts=1,
                labels_per_pass=2,
                batch=3,
                device="cpu",
                precision="float32",
                tiling=TilingSettings(enabled=True, scale=0.5, overlap=0.4),
            ),
            propagation=PropagationSettings(
                memory=2, start=4, stop=5, step=3, direction="backward"
            ),
            contrast=ContrastSettings(limits=(10.0, 500.0)),
        ),
    )
    task.save(tmp_path / "particular.zip")
    return tmp_path / "particular.zip", task.settings


def test_its_settings_are_used_but_for_the_range(run, stack, particular, made):
    file, settings = particular
    code, out, _ = run(
        "predict", stack / "stack.tif", "--task", file, "--output", stack / "o.tif",
        model=False,
    )  # fmt: skip
    assert code == 0
    assert "6 of 6 frames" in out
    assert made == [
        {
            "model": "theirs",
            "prediction": settings.prediction,
            "limits": (10.0, 500.0),
            "propagation": PropagationSettings(memory=2, direction="backward"),
        }
    ]


def test_flags_count_more_also_when_they_equal_the_default(
    run, stack, particular, made
):
    file, _ = particular
    code, out, _ = run(
        "predict", stack / "stack.tif", "--task", file, "--output", stack / "o.tif",
        "--memory", 4, "--tiles", "off", "--model", "builtin", "--seg-type", "semantic",
        "--ensemble", "feature", "--max-prompts", 8, "--labels-per-pass", 7,
        "--batch", 4, "--device", "auto", "--precision", "auto", "--direction", "both",
        "--start", 0, "--stop", 3, "--step", 1, "--contrast", 1, 2, model=False,
    )  # fmt: skip
    assert code == 0
    assert "3 of 3 frames" in out
    tiling = TilingSettings(enabled=False, scale=0.5, overlap=0.4)
    assert made == [
        {
            "model": "builtin",
            "prediction": PredictionSettings(seg_type="semantic", tiling=tiling),
            "limits": (1.0, 2.0),
            "propagation": PropagationSettings(stop=3),
        }
    ]


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
    settings = SessionSettings(
        prediction=PredictionSettings(max_prompts=4),
        propagation=PropagationSettings(memory=2, start=1, stop=4),
    )
    store.write_state(SessionState(settings=settings), About(classes={3: "square"}))
    store.close()
    code, out, _ = run("task", stack / "stack.tif.seggpt", "--output", stack / "t.zip")
    assert code == 0
    assert "1 reference" in out
    task = Task.load(stack / "t.zip")
    assert task.classes == {3: "square"}
    assert task.settings.prediction.max_prompts == 4
    assert task.settings.propagation == PropagationSettings(memory=2)
    np.testing.assert_array_equal(task.prompts[0].labels, labels[1])
    for flag in (["--labels", stack / "labels.tif"], ["--frames", 0]):
        code, _, error = run(
            "task", stack / "stack.tif.seggpt", "--output", stack / "u.zip", *flag
        )
        assert code == 2
        assert f"the references of the session only, got {flag[0]}" in error
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


def test_hints_of_a_session_are_left_out(run, stack):
    labels = tifffile.imread(stack / "labels.tif")
    signature = ImageSignature.of(tifffile.imread(stack / "stack.tif"), "axis 0")
    store = SessionStore(stack / "stack.tif.seggpt", signature)
    for frame, is_hint in ((1, False), (4, True)):
        record = FrameRecord(
            checksum=checksum(labels[frame]), is_reference=True, is_hint=is_hint
        )
        store.write_frame(frame, labels[frame], record)
    store.write_state(SessionState(), About())
    store.close()
    code, out, _ = run("task", stack / "stack.tif.seggpt", "--output", stack / "t.zip")
    assert code == 0
    assert "1 reference" in out
    (prompt,) = Task.load(stack / "t.zip").prompts
    np.testing.assert_array_equal(prompt.labels, labels[1])


def test_a_reference_that_cannot_be_read_is_left_out(run, stack, monkeypatch):
    labels = tifffile.imread(stack / "labels.tif")
    signature = ImageSignature.of(tifffile.imread(stack / "stack.tif"), "axis 0")
    store = SessionStore(stack / "stack.tif.seggpt", signature)
    for frame in (1, 4):
        record = FrameRecord(checksum=checksum(labels[frame]), is_reference=True)
        store.write_frame(frame, labels[frame], record)
    store.write_state(SessionState(), About())
    store.close()
    read_frame = watching.read_frame

    class Broken:
        def __getitem__(self, index):
            raise StackError(f"Expected frame {index} to be readable.")

    monkeypatch.setattr(
        watching,
        "read_frame",
        lambda frames, i: read_frame(Broken() if i == 1 else frames, i),
    )
    code, out, errors = run(
        "task", stack / "stack.tif.seggpt", "--output", stack / "t.zip"
    )
    assert code == 0
    assert "Reference 1 is left out: Expected frame 1 to be readable." in out + errors
    (prompt,) = Task.load(stack / "t.zip").prompts
    np.testing.assert_array_equal(prompt.labels, labels[4])


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


def rewrite(path, target, change=None, *, add=None):
    """Copy a task with changes in its head, and perhaps another entry."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "task.json":
                data = json.dumps(json.loads(data) | (change or {}))
            new.writestr(name, data)
        for name, data in (add or {}).items():
            new.writestr(name, data, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": []}, "Expected object, got array"),
        ({"settings": {"prediction": {"max_prompts": 2.5}}}, "int, got float"),
        ({"settings": {"prediction": {"max_prompts": -1}}}, "1 or more"),
        ({"settings": {"prediction": {"ensemble": "all"}}}, "'all'"),
        ({"settings": {"contrast": {"limits": [1]}}}, "of length 2"),
        ({"settings": {"contrast": {"limits": [1, float("nan")]}}}, "malformed"),
        ({"classes": {"one": "cell"}}, "int, got str"),
        ({"classes": {"1": 2}}, "str, got int"),
        ({"references": 3}, "array, got int"),
        ({"references": [{"image": "a"}]}, "labels"),
        ({"references": [{"image": "a", "labels": "b"}]}, "no item named 'a'"),
        ({"references": [{"image": "a", "labels": "b"}] * 99}, "more references than"),
        ({"tuned": "references/000_image.tif"}, "damaged or other file"),
        ({"tuned": 7}, "got int"),
    ],
    ids=str,
)
def test_a_task_with_other_values_is_refused(tmp_path, task_zip, change, words):
    rewrite(task_zip, tmp_path / "x.zip", change)
    with pytest.raises(ValueError, match=words) as caught:
        Task.load(tmp_path / "x.zip")
    assert "Expected a task file, got x.zip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bomb_in_a_task_is_not_unpacked(tmp_path, task_zip):
    names = {"image": "bomb", "labels": "bomb"}
    rewrite(
        task_zip, tmp_path / "x.zip", {"references": [names]},
        add={"bomb": bytes(100_000_000)},
    )  # fmt: skip
    assert (tmp_path / "x.zip").stat().st_size < 200_000
    with pytest.raises(ValueError, match="times its packed size, got bomb of 10000"):
        Task.load(tmp_path / "x.zip")
    huge = io.BytesIO()
    tifffile.imwrite(huge, np.zeros((1, 1), np.uint8), compression="zlib")
    data = huge.getvalue()
    for tag in (256, 257):  # width and height
        small = struct.pack("<HHII", tag, 4, 1, 1)
        assert data.count(small) == 1
        data = data.replace(small, struct.pack("<HHII", tag, 4, 1, 2**31))
    rewrite(task_zip, tmp_path / "y.zip", {"references": [names]}, add={"bomb": data})
    with pytest.raises(ValueError, match=r"Expected a task file, got y\.zip"):
        Task.load(tmp_path / "y.zip")


def test_a_task_whose_places_are_wrong_is_refused(tmp_path, task_zip):
    data = task_zip.read_bytes()
    (tmp_path / "x.zip").write_bytes(data[:40] + data[50:])  # all later places are off
    with pytest.raises(ValueError, match=r"Expected a task file, got x\.zip: Expected"):
        Task.load(tmp_path / "x.zip")


def test_a_head_nested_too_deep_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("task.json", '{"format":' * 100_000)
    with pytest.raises(ValueError, match="nested too deep"):
        Task.load(tmp_path / "x.zip")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_task(tmp_path):
    os.mkfifo(tmp_path / "x.zip")
    with pytest.raises(ValueError, match="a pipe or a device"):
        Task.load(tmp_path / "x.zip")


def test_a_task_without_references_is_refused(run, stack):
    code, _, error = run("task", stack / "stack.tif", "--output", stack / "t.zip")
    assert code == 2
    assert "Expected references" in error
    assert not (stack / "t.zip").exists()


def test_a_tuned_prompt_is_put_in(run, stack, make_tuned):
    tuned = make_tuned()
    tuned.save(stack / "tuned.safetensors")
    command = ["task", stack / "stack.tif", "--output", stack / "t.zip"]
    command += ["--prompt", stack / "tuned.safetensors"]
    assert run(*command)[0] == 0
    assert Task.load(stack / "t.zip").tuned.digest == tuned.digest
    command.append("--overwrite")
    code, _, error = run(*command, "--tuned", stack / "tuned.safetensors")
    assert code == 2
    assert "Expected one tuned prompt in a task, got 2" in error
    code, _, error = run(*command, "--stack", stack / "labels.tif")
    assert code == 2
    assert "Expected a session with --stack" in error
    command[command.index("--output") + 1] = stack / "tuned.safetensors"
    code, _, error = run(*command)
    assert code == 2
    assert "Expected to write outside of what is read" in error
