"""`predict` on workers: the same labels, gone on with, for one stack or many."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_seggpt.cluster.clients import open_client
from napari_seggpt.io import open_stack, reopen_labels

pytestmark = pytest.mark.slow  # workers are processes


@pytest.fixture(scope="module")
def scheduler():
    with open_client(workers=1) as client:
        yield client.scheduler.address


def frames_of(path):
    with open_stack(path, labels=True) as labels:
        return np.stack(list(labels))


@pytest.mark.parametrize("memory", [0, 2])
def test_the_labels_are_those_of_one_process(run, stack, scheduler, memory):
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    command += ["--frames", 2, "--memory", memory]
    assert run(*command, "--output", stack / "here.zarr")[0] == 0
    code, out, _ = run(
        *command, "--output", stack / "there.zarr", "--scheduler", scheduler
    )
    assert code == 0
    assert "5 of 5 frames predicted from 1 reference" in out
    found = frames_of(stack / "there.zarr")
    np.testing.assert_array_equal(found, frames_of(stack / "here.zarr"))
    np.testing.assert_array_equal(found[2], frames_of(stack / "labels.tif")[2])


def test_resuming_does_only_what_is_missing(run, stack, scheduler):
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    command += ["--frames", 0, "--output", stack / "out.zarr"]
    command += ["--scheduler", scheduler]
    assert "2 of 2 frames" in run(*command, "--stop", 3)[1]
    with reopen_labels(stack / "out.zarr") as labels:
        labels.finish(4, np.zeros((40, 48), np.uint8))  # done, and nothing was there
    code, out, _ = run(*command, "--resume")
    assert code == 0
    assert "2 of 2 frames predicted" in out
    assert not frames_of(stack / "out.zarr")[4].any()


def test_each_stack_has_its_own_references(run, stack, scheduler):
    (stack / "many").mkdir()
    for name in ("a", "b"):
        shutil.copy(stack / "stack.tif", stack / "many" / f"{name}.tif")
        shutil.copy(stack / "labels.tif", stack / f"labels_of_{name}.tif")
    code, out, _ = run(
        "predict", stack / "many", "--each", "--labels", stack / "labels_of_{name}.tif",
        "--frames", 1, "--output", stack / "results", "--scheduler", scheduler,
    )  # fmt: skip
    assert code == 0
    assert "2 of 2 stacks labelled" in out
    for name in ("a", "b"):
        found = frames_of(stack / "results" / f"{name}.zarr")
        np.testing.assert_array_equal(found[1], frames_of(stack / "labels.tif")[1])


def test_a_frame_that_cannot_be_read_is_left_out(run, stack, scheduler, tmp_path):
    from PIL import Image

    (tmp_path / "frames").mkdir()
    for index, frame in enumerate(frames_of(stack / "labels.tif")):
        Image.fromarray(frame * 40).save(tmp_path / "frames" / f"{index}.png")
    torn = tmp_path / "frames" / "3.png"
    torn.write_bytes(torn.read_bytes()[:60])
    code, out, errors = run(
        "predict", tmp_path / "frames", "--labels", stack / "labels.tif", "--frames", 0,
        "--output", tmp_path / "out.zarr", "--scheduler", scheduler,
    )  # fmt: skip
    assert code == 1
    assert "4 of 5 frames predicted" in out
    assert "Frame 3 is left out" in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--workers", "2", "--output", "out.tif"], "ending in .zarr with --workers"),
        (["--workers", "0", "--output", "out.zarr"], "a whole number of 1 or more"),
        (
            ["--workers", "2", "--scheduler", "a:1", "--output", "out.zarr"],
            "not allowed with",
        ),
    ],
)
def test_mistakes_are_said_before_a_worker_starts(run, stack, flags, message):
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    code, _, errors = run(*command, *flags)
    assert code == 2
    assert message in errors


@pytest.fixture
def _interruptible():
    """Let processes hear SIGINT, also where these tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
def test_ctrl_c_leaves_nothing_half(stack, model_file):
    """All processes of the terminal get the signal, as when a person presses it."""
    command = [
        sys.executable, "-m", "napari_seggpt", "predict", stack / "long.zarr",
        "--reference", f"0={stack / 'first.tif'}", "--output", stack / "out.zarr",
        "--workers", "2", "--model", model_file,
    ]  # fmt: skip
    write_long(stack)
    process = subprocess.Popen(
        list(map(str, command)), start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    chunks = stack / "out.zarr" / "0" / "c"
    wait_until(lambda: chunks.is_dir() and len(list(chunks.iterdir())) > 30, process)
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    done = int(re.search(r"(\d+) of 1999 frames predicted", out)[1])
    stored = list(chunks.glob("*/0/0"))
    assert 0 < done <= len(stored) < 1999  # the last may not have been told of
    assert "--resume goes on" in out
    labels = reopen_labels(stack / "out.zarr")
    assert all(labels[int(path.parts[-3])].max() in (0, 3) for path in stored)
    assert not list(chunks.rglob("*.partial"))


def write_long(folder):
    import tifffile
    import zarr

    with open_stack(folder / "stack.tif") as images:
        frame = images[0]
    tifffile.imwrite(folder / "first.tif", frames_of(folder / "labels.tif")[0])
    long = zarr.create_array(
        folder / "long.zarr", shape=(2000, 40, 48), chunks=(2000, 40, 48), dtype="u2"
    )
    long[:] = np.broadcast_to(frame, long.shape)


def wait_until(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)
