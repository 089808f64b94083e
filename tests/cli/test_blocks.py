"""`predict --blocks`: a zarr of several resolution levels, in parts."""

import numpy as np
import pytest
import zarr
from PIL import Image

from napari_seggpt.fields import with_value
from napari_seggpt.io import open_stack
from napari_seggpt.preprocessing import measure_limits, to_rgb
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.store.task_file import Task
from napari_seggpt.settings import SessionSettings


@pytest.fixture
def huge(tmp_path):
    """An OME-Zarr of 200 x 320 pixels in two levels, and a labelled part of it."""
    values = np.random.default_rng(0).integers(0, 250, (1, 200, 320)).astype(np.uint8)
    values[:, :, :130] = 20
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    datasets = [
        {
            "path": str(level),
            "coordinateTransformations": [
                {"type": "scale", "scale": [1, 2**level, 2**level]}
            ],
        }
        for level in range(2)
    ]
    multiscales = [{"axes": axes, "datasets": datasets}]
    ome = {"version": "0.5", "multiscales": multiscales}
    group = zarr.create_group(tmp_path / "in.zarr", attributes={"ome": ome})
    for level in range(2):
        part = values[:, :: 2**level, :: 2**level]
        group.create_array(
            str(level), shape=part.shape, chunks=(1, 64, 64), dtype="u1"
        )[:] = part
    crop = values[0, 50:114, 200:264]
    Image.fromarray(crop).save(tmp_path / "crop.png")
    labels = np.zeros_like(crop)
    labels[10:50, 12:52] = 5
    Image.fromarray(labels).save(tmp_path / "labels.png")
    return tmp_path


@pytest.fixture
def command(huge):
    return [
        "predict", huge / "in.zarr", "--prompt", huge / "crop.png", huge / "labels.png",
        "--output", huge / "out.zarr",
    ]  # fmt: skip


def test_flat_blocks_are_left_empty_and_the_rest_is_labelled(run, huge, command):
    code, out, _ = run(*command, "--blocks", 64, "--skip-flat", 0.1)
    assert code == 0
    assert "Tiles show the model" in out
    assert "20 of 20 blocks done, 8 of them flat and left empty" in out
    with open_stack(huge / "out.zarr", labels=True) as labels:
        assert labels.frame_shape == (200, 320)
        assert not labels[0][:, :64].any()
    assert run(*command, "--blocks", 64, "--resume")[0] == 0


def test_it_is_what_whole_frames_give(run, huge, command):
    assert run(*command, "--blocks", 64, "--tiles", 0.5)[0] == 0
    command[command.index("--output") + 1] = huge / "whole.zarr"
    as_predicted = ["--smallest", 0, "--fill-holes", "no"]  # blocks are not cleaned up
    assert run(*command, "--tiles", 0.5, *as_predicted)[0] == 0
    with open_stack(huge / "out.zarr") as one, open_stack(huge / "whole.zarr") as other:
        np.testing.assert_array_equal(one[0], other[0])


@pytest.mark.parametrize("wanted", ["auto", "objects"])
def test_objects_of_a_task_are_refused(run, huge, wanted):
    labels = np.zeros((64, 64), np.uint8)
    labels[8:56, 8:56] = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((12, 12)))
    image = np.asarray(Image.open(huge / "crop.png"))
    prompt = Prompt(image=to_rgb(image, measure_limits([image])), labels=labels)
    settings = with_value(SessionSettings(), "objects.task", wanted)
    Task(settings=settings, prompts=(prompt,)).save(huge / "task.zip")
    command = ["predict", huge / "in.zarr", "--task", huge / "task.zip", "--blocks"]
    command += ["--output", huge / "out.zarr"]
    code, _, errors = run(*command)
    assert code == 2
    assert "Expected classes with --blocks, got objects: blocks are" in errors
    assert not (huge / "out.zarr").exists()
    assert run(*command, "--objects", "classes")[0] == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--blocks", "100"], "a power of 2"),
        (["--skip-flat", "0.1"], "Expected --blocks with --skip-flat"),
        (["--blocks", "--follow"], "got --follow"),
        (["--blocks", "--tracks", "t.csv"], "got --tracks"),
        (["--blocks", "--frames", "0"], "got --frames"),
        (["--blocks", "--objects"], "flags that --blocks goes by, got --objects"),
        (["--blocks", "--thresholds", "0.5"], "goes by, got --thresholds"),
        (["--blocks", "--memory", "4"], "goes by, got --memory"),
        (["--blocks", "--direction", "both"], "goes by, got --direction"),
        (["--blocks", "--tiles", "off"], "goes by, got --tiles off"),
        (["--blocks", "--start", "1"], "Expected frames to predict in the range"),
        (["--blocks", "64", "--level", "1", "--skip-flat", "0"], "several resolution"),
    ],
)
def test_a_mistake_is_one_line(run, huge, command, flags, message):
    code, _, errors = run(*command, *flags)
    assert code == 2
    assert message in errors


def test_a_mistake_leaves_the_output_as_it_is(run, huge, command):
    flags = ["--blocks", 64, "--level", 1]
    code, _, errors = run(*command, *flags, "--skip-flat", 0)
    assert "several resolution levels" in errors
    assert not (huge / "out.zarr").exists()
    assert run(*command, *flags)[0] == 0
    with open_stack(huge / "out.zarr") as labels:
        before = labels[0]
    assert before.any()
    code, _, errors = run(*command, *flags, "--skip-flat", 0, "--overwrite")
    assert code == 2
    with open_stack(huge / "out.zarr") as labels:
        np.testing.assert_array_equal(labels[0], before)
