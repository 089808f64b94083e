"""`predict --follow`: files and chunks that come while it runs."""

import shutil
import threading
import time

import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt import overlay
from napari_seggpt.inference import following, predictor
from napari_seggpt.io import open_stack


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(following, "SECONDS_BETWEEN_LOOKS", 0.2)


@pytest.fixture
def files(stack):
    """The frames of the stack as files, and the labels of the first."""
    images = tifffile.imread(stack / "stack.tif")
    (stack / "later").mkdir()
    for index, image in enumerate(images):
        tifffile.imwrite(stack / "later" / f"frame{index}.tif", image)
    tifffile.imwrite(stack / "first.tif", tifffile.imread(stack / "labels.tif")[0])
    return images


def frames_of(path):
    with open_stack(path, labels=True) as labels:
        return np.stack(list(labels))


def test_files_are_labelled_as_they_come(run, stack, files, monkeypatch):
    drawn = []
    monkeypatch.setattr(overlay, "save_sheet", lambda _, panels: drawn.extend(panels))
    folder = stack / "coming"
    folder.mkdir()
    shutil.copy(stack / "later" / "frame0.tif", folder)

    def bring():
        for index in range(1, 6):
            time.sleep(0.3)
            shutil.copy(stack / "later" / f"frame{index}.tif", folder)

    thread = threading.Thread(target=bring)
    thread.start()
    command = ["--reference", f"0={stack / 'first.tif'}", "--contrast", 0, 950]
    command += ["--memory", 1]
    code, out, _ = run(
        "predict", folder, *command, "--output", stack / "out.zarr", "--follow", 3,
        "--overlay", stack / "out.png",
    )  # fmt: skip
    thread.join()
    assert code == 0
    names = ["frame 0 - reference", *(f"frame {i} - predicted" for i in range(1, 6))]
    assert [name for name, *_ in drawn] == names
    assert "5 of 5 frames predicted from 1 reference, in" in out
    at_once = stack / "once.zarr"
    assert run("predict", stack / "later", *command, "--output", at_once)[0] == 0
    np.testing.assert_array_equal(frames_of(stack / "out.zarr"), frames_of(at_once))


@pytest.mark.parametrize("is_full", [True, False])
def test_a_zarr_that_fills_or_becomes_longer(run, stack, files, is_full):
    length = 6 if is_full else 1
    array = zarr.create_array(
        stack / "in.zarr", shape=(length, 40, 48), chunks=(1, 20, 48), dtype="u2"
    )
    array[0] = files[0]

    def bring():
        for index in range(1, 6):
            time.sleep(0.3)
            if not is_full:
                array.resize((index + 1, 40, 48))
            if index != 3:  # a black frame, of which zarr stores nothing
                array[index] = files[index]

    thread = threading.Thread(target=bring)
    thread.start()
    code, out, errors = run(
        "predict", stack / "in.zarr", "--reference", f"0={stack / 'first.tif'}",
        "--contrast", 0, 950, "--output", stack / "out.zarr", "--follow", 3,
    )  # fmt: skip
    thread.join()
    assert code == 0, errors
    assert "5 of 5 frames predicted" in out
    assert len(frames_of(stack / "out.zarr")) == 6


def test_contrast_is_measured_on_frames_that_are_written(
    run, stack, files, monkeypatch
):
    array = zarr.create_array(
        stack / "in.zarr", shape=(50, 40, 48), chunks=(1, 40, 48), dtype="u2"
    )
    array[:2] = files[:2] + 1000
    found, init = [], predictor.Predictor.__init__

    def spy(self, *args, limits, **kwargs):
        found.append(limits)
        init(self, *args, limits=limits, **kwargs)

    monkeypatch.setattr(predictor.Predictor, "__init__", spy)
    code, _, errors = run(
        "predict", stack / "in.zarr", "--reference", f"0={stack / 'first.tif'}",
        "--output", stack / "out.zarr", "--follow", 1,
    )  # fmt: skip
    assert code == 0, errors
    assert found[0].low.item() >= 1000


def test_it_goes_on_where_it_was(run, stack, files):
    folder = stack / "coming"
    folder.mkdir()
    for index in range(3):
        shutil.copy(stack / "later" / f"frame{index}.tif", folder)
    command = ["predict", folder, "--reference", f"0={stack / 'first.tif'}"]
    command += ["--follow", 1, "--contrast", 0, 950, "--output"]
    _, out, _ = run(*command, stack / "two.zarr", "--stop", 2)
    assert "1 of 1 frame predicted" in out
    assert "goes on" not in out  # the range is done
    command.append(stack / "out.zarr")
    assert "2 of 2 frames" in run(*command)[1]
    before = frames_of(stack / "out.zarr")
    shutil.copy(stack / "later" / "frame3.tif", folder)
    assert "1 of 1 frame predicted" in run(*command, "--resume")[1]
    np.testing.assert_array_equal(frames_of(stack / "out.zarr")[:3], before)


def test_frames_of_another_shape_or_number_end_nothing(run, stack, files):
    folder = stack / "later"
    tifffile.imwrite(folder / "frame2.tif", files[2][:20])
    tifffile.imwrite(folder / "frame4.tif", files[:2])
    command = ["predict", folder, "--reference", f"0={stack / 'first.tif'}"]
    command += ["--output", stack / "out.zarr", "--follow", 1]
    code, out, errors = run(*command)
    assert code == 1
    assert "Frame 2 is left out: Expected a frame of shape (40, 48)" in errors
    assert "Frame 4 is left out: Expected one frame per file" in errors
    assert "3 of 5 frames predicted" in out
    tifffile.imwrite(folder / "frame4.tif", files[4])
    code, out, errors = run(*command, "--resume")
    assert code == 1
    assert "Frame 2 is left out" in errors
    assert "Frame 4" not in errors
    assert "1 of 2 frames predicted" in out


def test_planes_of_a_file_are_its_colours_as_in_a_folder(run, stack, files):
    folder = stack / "planes"
    folder.mkdir()
    for index in range(3):
        tifffile.imwrite(
            folder / f"frame{index}.tif",
            np.stack([files[index].astype(np.uint8)] * 3),
            photometric="rgb",
            planarconfig="separate",
        )
    code, out, errors = run(
        "predict", folder, "--reference", f"0={stack / 'first.tif'}",
        "--output", stack / "out.zarr", "--follow", 1,
    )  # fmt: skip
    assert code == 0, errors
    assert "2 of 2 frames predicted" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--output", "o.tif", "--follow"], "ending in .zarr with --follow"),
        (["--output", "o.zarr", "--follow", "-1"], "expected a number above 0"),
        (["--output", "o.zarr", "--follow", "--workers", "2"], "got --workers"),
        (
            ["--output", "o.zarr", "--follow", "--direction", "backward"],
            "Expected --direction forward with --follow, got backward",
        ),
    ],
)
def test_a_mistake_is_one_line(run, stack, flags, message):
    code, _, errors = run("predict", stack, *flags)
    assert code == 2
    assert message in errors


def test_a_file_is_refused_before_anything_is_written(run, stack, files):
    command = ["predict", stack / "stack.tif", "--reference"]
    command += [f"0={stack / 'first.tif'}", "--output", stack / "out.zarr"]
    assert run(*command)[0] == 0
    before = frames_of(stack / "out.zarr")
    code, _, errors = run(*command, "--follow", 1, "--overwrite")
    assert code == 2
    assert "Expected a folder or a zarr, to which frames can be added" in errors
    np.testing.assert_array_equal(frames_of(stack / "out.zarr"), before)


def test_objects_are_refused_before_anything_is_written(run, stack, files):
    command = ["predict", stack / "later", "--reference", f"0={stack / 'first.tif'}"]
    command += ["--output", stack / "out.zarr"]
    assert run(*command)[0] == 0
    before = frames_of(stack / "out.zarr")
    command += ["--follow", 1, "--objects", "objects"]
    code, _, errors = run(*command, "--overwrite")
    assert code == 2
    assert "Expected classes (--objects classes) with" in errors
    np.testing.assert_array_equal(frames_of(stack / "out.zarr"), before)
    shutil.rmtree(stack / "out.zarr")
    assert run(*command)[0] == 2
    assert not (stack / "out.zarr").exists()
