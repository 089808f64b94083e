"""What commands say of the files that they read, and what they leave out."""

import errno
import os

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_seggpt.io import open_stack
from napari_seggpt.io.tiff_labels import TiffLabels


@pytest.fixture
def folder(stack):
    """The frames of the stack as PNG files, of which the third is cut short."""
    (stack / "frames").mkdir()
    images = tifffile.imread(stack / "stack.tif")
    for number, frame in enumerate(images):
        Image.fromarray(frame).save(stack / "frames" / f"f{number}.png")
    os.truncate(stack / "frames" / "f2.png", 400)
    return stack / "frames"


def predict(run, stack, images, *more):
    return run(
        "predict", images, "--labels", stack / "labels.tif", "--frames", 0,
        "--output", stack / "out.tif", *more,
    )  # fmt: skip


@pytest.mark.parametrize("memory", [0, 2])
def test_one_broken_frame_stops_no_other(run, stack, folder, memory):
    code, out, errors = predict(run, stack, folder, "--memory", memory)
    assert code == 1
    assert "4 of 5 frames predicted" in out
    assert "Frame 2 is left out: Expected frame 2 of frames" in errors
    assert "f2.png" in errors
    code, out, errors = predict(run, stack, folder, "--memory", memory, "--resume")
    assert code == 1
    assert "0 of 1 frame predicted" in out
    tifffile.imwrite(folder / "f2.tif", tifffile.imread(stack / "stack.tif")[2])
    (folder / "f2.png").unlink()
    code, out, _ = predict(run, stack, folder, "--memory", memory, "--resume")
    assert code == 0
    assert "1 of 1 frame predicted" in out
    with open_stack(stack / "out.tif") as result:
        assert all(frame.any() for frame in result)


def test_a_broken_reference_stops_no_other(run, stack, folder, caplog):
    code, out, _ = run(
        "predict", folder, "--labels", stack / "labels.tif", "--frames", 0, 2,
        "--output", stack / "out.tif", "--overlay", stack / "overlay.png",
    )  # fmt: skip
    assert code == 0
    assert "Picture of the result" in out
    assert "Reference 2 is left out" in caplog.text
    assert "4 of 4 frames predicted from 1 of 2 references" in out
    with open_stack(stack / "out.tif") as result:  # what a person labelled is kept
        np.testing.assert_array_equal(
            result[2], tifffile.imread(stack / "labels.tif")[2]
        )


def test_broken_frames_of_labels_and_output_stop_no_other(run, stack, caplog):
    labels = tifffile.imread(stack / "labels.tif")
    (stack / "some").mkdir()
    for number, frame in enumerate(labels):
        Image.fromarray(frame).save(stack / "some" / f"{number}.png")
    os.truncate(stack / "some" / "3.png", 60)
    command = ["predict", stack / "stack.tif", "--labels", stack / "some"]
    command += ["--frames", 0, 3, "--output", stack / "out"]
    code, out, errors = run(*command)
    assert code == 1
    assert "Label frame 3 is left out" in errors
    assert "5 of 5 frames predicted from 1 reference" in out
    os.truncate(stack / "out" / "frame_0004.png", 60)
    code, _, _ = run(*command, "--resume", "--memory", 1, "--frames", 0)
    assert code == 0
    assert "Frame 4 of the output is left as it is" in caplog.text
    assert (stack / "out" / "frame_0004.png").stat().st_size == 60


def test_how_labels_are_read_is_said_once(run, stack):
    labels = tifffile.imread(stack / "labels.tif")[0]
    colors = np.zeros((*labels.shape, 3), np.uint8)
    colors[labels > 0] = 200
    Image.fromarray(colors).save(stack / "rgb.png")
    code, _, errors = run(
        "predict", stack / "stack.tif", "--reference", f"0={stack / 'rgb.png'}",
        "--output", stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    assert errors.count("colours read as labels") == 1


def test_frames_that_show_nothing_are_said(run, stack):
    images = tifffile.imread(stack / "stack.tif").astype(np.float32)
    images[1], images[4] = 7, np.nan
    tifffile.imwrite(stack / "flat.tif", images, photometric="minisblack")
    code, _, errors = predict(run, stack, stack / "flat.tif")
    assert code == 0
    assert "2 of 6 frames show nothing" in errors
    assert "the first is frame 1" in errors


@pytest.mark.filterwarnings("ignore:.*stored as RGB:DeprecationWarning")
def test_what_a_file_is_taken_for_is_said_and_can_be_chosen(run, stack):
    images = tifffile.imread(stack / "stack.tif")[:4]
    labels = tifffile.imread(stack / "labels.tif")[:4]
    tifffile.imwrite(stack / "four.tif", images)
    tifffile.imwrite(stack / "four_labels.tif", labels)
    command = ["predict", stack / "four.tif", "--labels", stack / "four_labels.tif"]
    command += ["--frames", 0, "--output", stack / "out.tif"]
    code, out, errors = run(*command)
    assert code == 0
    assert "3 of 3 frames predicted" in out
    assert "four.tif: 4 frames, which the file calls colours of one picture" in errors
    code, out, errors = run(
        "info", stack / "four.tif", "--channels", "yes", model=False
    )
    assert "1 frame along z" in out
    assert "4 channels" in out
    assert errors == ""


def test_some_of_many_channels_are_read(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    many = np.stack([images[::-1], np.zeros_like(images), images], axis=1)
    tifffile.imwrite(stack / "many.tif", many, imagej=True, metadata={"axes": "ZCYX"})
    command = ["--labels", stack / "labels.tif", "--frames", 0, "--output"]
    assert run("predict", stack / "stack.tif", *command, stack / "grey.tif")[0] == 0
    code, _, errors = run(
        "predict", stack / "many.tif", *command, stack / "2.tif", "--channels", "2"
    )
    assert code == 0, errors
    with open_stack(stack / "2.tif") as found, open_stack(stack / "grey.tif") as grey:
        np.testing.assert_array_equal(list(found), list(grey))
    out = run("info", stack / "many.tif", "--channels", "0,2", model=False)[1]
    assert "2 channels" in out
    for wrong, message in (
        ("0,1,2,0", "one to 3"),
        ("red", "yes, no"),
        ("3", "0 to 2"),
    ):
        code, _, errors = run(
            "info", stack / "many.tif", "--channels", wrong, model=False
        )
        assert code == 2
        assert message in errors


def test_prompts_show_the_channels_that_are_read(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    many = np.stack([images[::-1], np.zeros_like(images), images], axis=1)
    tifffile.imwrite(stack / "many.tif", many, imagej=True, metadata={"axes": "ZCYX"})
    labels = tifffile.imread(stack / "labels.tif")[0]
    tifffile.imwrite(stack / "one_labels.tif", labels)
    prompt = ["--prompt", stack / "one.tif", stack / "one_labels.tif"]
    command = ["predict", stack / "many.tif", *prompt, "--channels", "2", "--output"]
    of_channels = {"imagej": True, "metadata": {"axes": "CYX"}}
    tifffile.imwrite(stack / "one.tif", many[0], **of_channels)
    assert run(*command, stack / "many.zarr")[0] == 0
    tifffile.imwrite(stack / "one.tif", many[0, 2])  # what is grey is shown as it is
    assert run(*command, stack / "grey.zarr")[0] == 0
    with (
        open_stack(stack / "many.zarr") as found,
        open_stack(stack / "grey.zarr") as grey,
    ):
        np.testing.assert_array_equal(list(found), list(grey))
    tifffile.imwrite(stack / "one.tif", many[0, :2], **of_channels)
    code, _, errors = run(*command, stack / "no.zarr")
    assert code == 2
    assert "Expected channel 2 in one.tif, got 2 channels" in errors


@pytest.mark.parametrize("channels", ["yes", "0,4"])
def test_channels_of_a_prompt_that_may_be_frames(run, stack, channels):
    images = tifffile.imread(stack / "stack.tif")[:5]
    tifffile.imwrite(stack / "five.tif", images, imagej=True, metadata={"axes": "CYX"})
    labels = tifffile.imread(stack / "labels.tif")[0]
    tifffile.imwrite(stack / "one_labels.tif", labels)
    prompt = ["--prompt", stack / "five.tif", stack / "one_labels.tif"]
    command = ["predict", stack / "five.tif", *prompt, "--output", stack / "out.tif"]
    code, out, errors = run(*command, "--channels", channels)
    assert code == 0, errors
    assert "1 of 1 frame predicted" in out
    code, _, errors = run(*command, "--overwrite")
    assert code == 2
    assert "Expected one image in" in errors


def test_labels_are_read_as_channels_too(run, stack):
    for name in ("stack", "labels"):
        array = tifffile.imread(stack / f"{name}.tif")
        tifffile.imwrite(stack / f"{name}_c.tif", array, imagej=True)
    command = ["predict", stack / "stack_c.tif", "--labels", stack / "labels_c.tif"]
    command += ["--frames", 0, "--output", stack / "out.tif"]
    code, out, _ = run(*command, "--axis", "c")
    assert code == 0
    assert "5 of 5 frames predicted" in out


def test_one_colour_is_one_label_in_all_files_of_a_command(run, stack):
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]], np.uint8)
    first, second = np.zeros((2, 40, 48), int)
    first[5:20, 5:20], second[5:20, 5:20], second[5:20, 25:40] = 2, 2, 1
    for name, labels in (("a.png", first), ("b.png", second)):
        Image.fromarray(colors[labels]).save(stack / name)
    code, _, errors = run(
        "predict", stack / "stack.tif", "--reference", f"0={stack / 'a.png'}",
        "--reference", f"5={stack / 'b.png'}", "--output", stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    assert "b.png: colours read as labels (1 = #00ff00, 2 = #ff0000)" in errors
    with open_stack(stack / "out.tif") as result:
        np.testing.assert_array_equal(result[0], np.array([0, 2, 1])[first])
        np.testing.assert_array_equal(result[5], np.array([0, 2, 1])[second])


@pytest.mark.parametrize("largest", [-1, 2**33, 2**62])
def test_ids_that_are_kept_exactly(run, stack, largest):
    labels = tifffile.imread(stack / "labels.tif").astype(np.int64)
    labels[0, 30:38, 5:20] = largest
    tifffile.imwrite(stack / "wide.tif", labels, photometric="minisblack")
    code, _, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "wide.tif",
        "--frames", 0, "--output", stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    with open_stack(stack / "out.tif", labels=True) as result:
        np.testing.assert_array_equal(result[0], labels[0])
    code, _, _ = run(
        "export", stack / "wide.tif", "--output", stack / "again.tif", model=False
    )
    assert code == 0
    np.testing.assert_array_equal(tifffile.imread(stack / "again.tif"), labels)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([0, 2**63], np.uint64), "got 9223372036854775808"),
        (np.array([0, 0.5]), "whole numbers as labels, got 0.5"),
    ],
)
def test_ids_that_cannot_be_kept_leave_nothing_behind(run, stack, values, words):
    labels = values[(tifffile.imread(stack / "labels.tif") > 0).astype(int)]
    tifffile.imwrite(stack / "wrong.tif", labels, photometric="minisblack")
    output = stack / "out.tif"
    for command in (
        ["predict", stack / "stack.tif", "--labels", stack / "wrong.tif"],
        ["export", stack / "wrong.tif"],
    ):
        code, _, errors = run(
            *command, "--output", output, model=command[0] == "predict"
        )
        assert code == 2
        assert words in errors
        assert not output.exists()


def test_ids_that_png_cannot_hold_leave_nothing_behind(run, stack):
    labels = tifffile.imread(stack / "labels.tif").astype(np.int16) * -1
    tifffile.imwrite(stack / "negative.tif", labels, photometric="minisblack")
    code, _, errors = run(
        "predict", stack / "stack.tif", "--labels", stack / "negative.tif",
        "--output", stack / "out", "--frames", 0,
    )  # fmt: skip
    assert code == 2
    assert "Expected uint8 or uint16 for PNG files, got int8" in errors
    assert not (stack / "out").exists()


def test_float_labels_of_whole_numbers(run, stack):
    labels = tifffile.imread(stack / "labels.tif").astype(np.float32)
    tifffile.imwrite(stack / "f.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    code, _, _ = run(
        "export", stack / "f.tif", "--table", stack / "t.csv", "--output",
        stack / "labels_2024.05.01", model=False,
    )  # fmt: skip
    assert code == 0
    with open_stack(stack / "labels_2024.05.01", labels=True) as result:
        np.testing.assert_array_equal(list(result), labels)


def test_a_full_disk_costs_one_frame_and_resuming_goes_on(run, stack, monkeypatch):
    whole = stack / "whole.tif"
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    # Memory holds what the model saw, which the output does not keep.
    command += ["--frames", 0, "--memory", 0, "--output"]
    assert run(*command, whole)[0] == 0
    calls, original = [], TiffLabels._put

    def full_disk(self, start, data):
        calls.append(start)
        if len(calls) != 4:
            return original(self, start, data)
        original(self, start, data[: len(data) // 2 + 7])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(TiffLabels, "_put", full_disk)
    code, out, errors = run(*command, stack / "out.tif")
    assert code == 2
    assert "2 of 5 frames predicted" in out
    assert "No space left on device" in errors.splitlines()[-1]
    with open_stack(stack / "out.tif") as result:
        assert not any(result[index].any() for index in (3, 4, 5))
    code, out, _ = run(*command, stack / "out.tif", "--resume")
    assert code == 0
    assert "3 of 3 frames predicted" in out
    np.testing.assert_array_equal(
        tifffile.imread(stack / "out.tif"), tifffile.imread(whole)
    )
