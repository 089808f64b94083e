import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_seggpt.inference import propagation, references
from napari_seggpt.inference.labelling import label_stack
from napari_seggpt.io import create_labels, open_stack, reopen_labels
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)


def one_line(text):
    """The message of the user's mistake, without the progress bars before it."""
    return text.strip().splitlines()[-1]


def test_labels_a_stack_from_one_frame(run, stack):
    output = stack / "out.tif"
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 2, "--output", output,
    )  # fmt: skip
    assert code == 0
    assert "5 of 5 frames predicted from 1 reference" in out
    with open_stack(output) as result, open_stack(stack / "labels.tif") as labels:
        assert len(result) == 6
        np.testing.assert_array_equal(result[2], labels[2])
        assert {int(i) for frame in result for i in np.unique(frame)} <= {0, 3}
        assert result.pixel_size == pytest.approx((2.0, 0.25, 0.25))
        assert result.units[1] == "micrometer"


def test_it_is_what_label_stack_does(run, stack, model_file):
    settings = SessionSettings(
        model=model_file,
        prediction=PredictionSettings(max_prompts=2, ensemble="spatial"),
        propagation=PropagationSettings(memory=1, stop=5, direction="forward"),
        contrast=ContrastSettings(limits=(20.0, 700.0)),
    )
    code, _, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 1, 3, "--output", stack / "out.tif", "--max-prompts", 2,
        "--ensemble", "spatial", "--memory", 1, "--stop", 5, "--direction", "forward",
        "--contrast", 20, 700,
    )  # fmt: skip
    assert code == 0
    with (
        open_stack(stack / "stack.tif") as images,
        open_stack(stack / "labels.tif", labels=True) as labels,
        create_labels(stack / "own.tif", length=6, frame_shape=(40, 48)) as own,
        open_stack(stack / "out.tif") as result,
    ):
        references = {index: labels[index] for index in (1, 3)}
        steps = list(label_stack(images, references, own, settings=settings))
        assert [step.index for step in steps] == [1, 3, 2, 4]
        for index in range(6):
            np.testing.assert_array_equal(own[index], result[index])
        assert result[2].any() or result[4].any()


def test_many_references_are_not_all_held(run, stack, monkeypatch):
    monkeypatch.setattr(references, "MAX_HELD", 2)
    labels = tifffile.imread(stack / "labels.tif")
    labels[4] = 0
    tifffile.imwrite(stack / "most.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "most.tif",
        "--output", stack / "out.tif", "--max-prompts", 1,
    )  # fmt: skip
    assert code == 0
    assert "1 of 1 frame predicted from 2 of 5 references" in out
    with open_stack(stack / "out.tif") as result:
        for index in (0, 1, 2, 3, 5):
            np.testing.assert_array_equal(result[index], labels[index])


def test_every_labelled_frame_is_a_reference_and_stays(run, stack):
    labels = tifffile.imread(stack / "labels.tif")
    labels[[1, 2, 4]] = 0
    tifffile.imwrite(stack / "some.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "some.tif",
        "--output", stack / "out.zarr",
    )  # fmt: skip
    assert code == 0
    assert "3 of 3 frames predicted from 3 references" in out
    with open_stack(stack / "out.zarr") as result:
        for index in (0, 3, 5):
            np.testing.assert_array_equal(result[index], labels[index])


def test_single_references_and_other_images(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    labels = tifffile.imread(stack / "labels.tif")
    Image.fromarray(labels[0]).save(stack / "first.png")
    Image.fromarray((images[5] // 4).astype(np.uint8)).save(stack / "other.png")
    Image.fromarray(labels[5]).save(stack / "other_labels.png")
    code, out, _ = run(
        "predict", stack / "stack.tif", "--reference", f"0={stack / 'first.png'}",
        "--prompt", stack / "other.png", stack / "other_labels.png",
        "--output", stack / "out",
    )  # fmt: skip
    assert code == 0
    assert "5 of 5 frames predicted from 2 references" in out
    with open_stack(stack / "out") as result:
        np.testing.assert_array_equal(result[0], labels[0])


def test_a_range_leaves_other_frames_empty(run, stack):
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, "--output", stack / "out.tif", "--start", 2, "--stop", 4,
        "--memory", 0, "--batch", 2,
    )  # fmt: skip
    assert code == 0
    assert "2 of 2 frames predicted" in out
    with open_stack(stack / "out.tif") as result:
        assert not any(result[index].any() for index in (1, 4, 5))


def test_draws_a_picture(run, stack):
    code, _, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, "--output", stack / "out.tif", "--overlay", stack / "o.png",
    )  # fmt: skip
    assert code == 0
    with Image.open(stack / "o.png") as picture:
        assert len(picture.getcolors(1 << 24)) > 50


def test_an_object_may_have_a_negative_id(run, stack):
    labels = tifffile.imread(stack / "labels.tif")[0].astype(np.int32)
    labels[labels > 0] = -3
    labels[30:38, 32:44] = 7
    tifffile.imwrite(stack / "first.tif", labels)
    code, _, errors = run(
        "predict", stack / "stack.tif", "--reference", f"0={stack / 'first.tif'}",
        "--output", stack / "out.tif", "--objects", "objects",
    )  # fmt: skip
    assert code == 0, errors
    with open_stack(stack / "out.tif", labels=True) as result:
        np.testing.assert_array_equal(result[0], labels)
        assert result.dtype == np.int64


def test_small_objects_are_said_and_tiles_taken(run, stack):
    labels = tifffile.imread(stack / "labels.tif") * 0
    labels[0, 10:14, 10:14] = 1
    tifffile.imwrite(stack / "small.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    command = ["predict", stack / "stack.tif", "--labels", stack / "small.tif"]
    code, _, errors = run(*command, "--output", stack / "a.tif")
    assert code == 0
    assert "may be missed: try --tiles" in errors
    code, _, errors = run(*command, "--output", stack / "b.tif", "--tiles", "auto")
    assert code == 0
    assert "using tiles of scale" in errors


def test_stopping_keeps_what_is_done(run, stack, monkeypatch):
    original = propagation.predict_chain

    def stops_after_two(*args):
        for number, step in enumerate(original(*args)):
            if number == 2:
                raise KeyboardInterrupt
            yield step

    monkeypatch.setattr(propagation, "predict_chain", stops_after_two)
    command = [
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, "--output", stack / "out.tif", "--memory", 1,
    ]  # fmt: skip
    code, out, _ = run(*command)
    assert code == 130
    assert "2 of 5 frames predicted" in out
    assert f"in {stack / 'out.tif'}; --resume goes on" in out
    with open_stack(stack / "out.tif") as result:
        assert result[0].any()


def test_resuming_leaves_what_is_labelled(run, stack):
    mine = np.zeros((40, 48), np.uint8)
    mine[:5, :5] = 3
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    command += ["--frames", 0, "--output", stack / "out.tif"]
    assert run(*command, "--stop", 1)[0] == 2  # nothing to predict there
    assert run(*command, "--stop", 2)[0] == 0
    with reopen_labels(stack / "out.tif") as writer:
        writer.write(4, mine)
    code, out, _ = run(*command, "--resume")
    assert code == 0
    with open_stack(stack / "out.tif") as result:
        np.testing.assert_array_equal(result[4], mine)
    assert "of 5 frames" not in out


def test_resuming_leaves_a_reference_that_was_corrected(run, stack):
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    command += ["--frames", 0, "--output", stack / "out.tif"]
    assert run(*command, "--stop", 2)[0] == 0
    corrected = np.full((40, 48), 3, np.uint8)
    with reopen_labels(stack / "out.tif") as writer:
        writer.write(0, corrected)
    assert run(*command, "--resume")[0] == 0
    with open_stack(stack / "out.tif") as result:
        np.testing.assert_array_equal(result[0], corrected)


def test_resuming_another_stack_is_refused(run, stack):
    with create_labels(stack / "out.tif", length=2, frame_shape=(40, 48)):
        pass
    code, _, errors = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, "--output", stack / "out.tif", "--resume",
    )  # fmt: skip
    assert code == 2
    assert "Expected labels of this stack" in one_line(errors)


def test_a_named_frame_without_labels_is_a_reference(run, stack):
    labels = tifffile.imread(stack / "labels.tif")
    labels[4] = 0
    tifffile.imwrite(stack / "some.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "some.tif",
        "--frames", 0, 4, "--output", stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    assert "4 of 4 frames predicted from 2 references" in out
    with open_stack(stack / "out.tif") as result:
        assert not result[4].any()


def test_labels_of_one_axis_go_with_a_stack_of_two(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    both = np.stack([images * 0, images])
    tifffile.imwrite(stack / "tz.tif", both, imagej=True, metadata={"axes": "TZYX"})
    code, out, _ = run(
        "predict", stack / "tz.tif", "--axis", "z", "--at", 1, "--frames", 0,
        "--labels", stack / "labels.tif", "--output", stack / "out.tif",
    )  # fmt: skip
    assert code == 0
    assert "5 of 5 frames" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}/none.tif"], "none.tif"),
        (["{0}/stack.tif"], "Expected references with at least one label"),
        (["{0}/stack.tif", "--frames", "1"], "Expected --labels with --frames"),
        (
            ["{0}/stack.tif", "--labels", "{0}/labels.tif", "--frames", "9"],
            "Expected --frames from 0 to 5, got 9",
        ),
        (
            ["{0}/stack.tif", "--reference", "8={0}/first.png"],
            "Expected reference frames from 0 to 5, got 8",
        ),
        (
            ["{0}/stack.tif", "--reference", "0={0}/small.png"],
            r"(40, 48), got (7, 7)",
        ),
        (
            ["{0}/stack.tif", "--labels", "{0}/first.png"],
            "Expected labels of all 6 frames, got 1",
        ),
        (
            ["{0}/stack.tif", "--labels", "{0}/labels.tif", "--memory", "99"],
            "expected a whole number from 0 to 16, got '99'",
        ),
        (
            ["{0}/stack.tif", "--labels", "{0}/labels.tif", "--tiles", "-1"],
            "expected off, auto or a number above 0",
        ),
        (
            ["{0}/stack.tif", "--labels", "{0}/labels.tif", "--start", "100"],
            "Expected frames to predict in the range, got none",
        ),
        (["{0}/stack.tif", "--reference", "first"], "expected FRAME=FILE"),
        (["{0}/stack.tif", "--tiles", "many"], "expected off, auto or a number"),
    ],
)
def test_a_mistake_is_one_line_and_code_2(run, stack, arguments, message):
    Image.fromarray(np.ones((40, 48), np.uint8)).save(stack / "first.png")
    Image.fromarray(np.ones((7, 7), np.uint8)).save(stack / "small.png")
    output = stack / "out.tif"
    filled = [argument.format(stack) for argument in arguments]
    code, out, errors = run("predict", *filled, "--output", output)
    assert code == 2
    assert message in one_line(errors)
    assert "Traceback" not in errors
    assert out == ""
    assert not output.exists()


def test_nothing_is_written_over(run, stack):
    before = (stack / "labels.tif").read_bytes()
    command = ["predict", stack / "stack.tif", "--labels", stack / "labels.tif"]
    code, _, errors = run(*command, "--output", stack / "labels.tif", "--overwrite")
    assert code == 2
    assert "Expected to write outside of what is read" in one_line(errors)
    (stack / "there.tif").write_bytes(b"mine")
    code, _, errors = run(*command, "--frames", 0, "--output", stack / "there.tif")
    assert code == 2
    assert "there.tif" in one_line(errors)
    assert (stack / "there.tif").read_bytes() == b"mine"
    assert (stack / "labels.tif").read_bytes() == before


def test_a_picture_is_no_way_to_lose_labels(run, stack):
    labels = np.ones((40, 48), np.uint8)
    Image.fromarray(labels).save(stack / "mine.png")
    (stack / "set").mkdir()
    Image.fromarray(labels).save(stack / "set" / "frame_0000.png")
    command = ["predict", stack / "stack.tif", "--overwrite"]
    for reference, output, overlay in (
        ("mine.png", "out.tif", "mine.png"),
        ("mine.png", "out.tif", "out.tif"),
        ("set/frame_0000.png", "set", "o.png"),
        ("mine.png", "out.tif", "o.txt"),
    ):
        code, _, errors = run(
            *command, "--reference", f"0={stack / reference}",
            "--output", stack / output, "--overlay", stack / overlay,
        )  # fmt: skip
        assert code == 2
        assert "Expected" in one_line(errors)
    with Image.open(stack / "mine.png") as image:
        np.testing.assert_array_equal(image, labels)
    assert (stack / "set" / "frame_0000.png").exists()


def test_nothing_is_written_around_what_is_read(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    group = zarr.open_group(stack / "data.zarr", mode="w")
    group.create_array("0", data=images)
    code, _, errors = run(
        "predict", stack / "data.zarr" / "0", "--labels", stack / "labels.tif",
        "--output", stack / "data.zarr", "--overwrite",
    )  # fmt: skip
    assert code == 2
    assert "Expected to write outside" in one_line(errors)
    np.testing.assert_array_equal(group["0"][:], images)


def test_a_file_that_is_no_model_is_one_line(run, stack):
    code, _, errors = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 0, "--output", stack / "out.tif",
        "--model", stack / "stack.tif", model=False,
    )  # fmt: skip
    assert code == 2
    assert "stack.tif" in one_line(errors)
    assert not (stack / "out.tif").exists()


# -- time and depth -------------------------------------------------------------------


@pytest.fixture
def film(stack):
    """Three times of two slices, and labels of one of them."""
    for name in ("stack", "labels"):
        values = tifffile.imread(stack / f"{name}.tif").reshape(3, 2, 40, 48)
        if name == "labels":
            values[:, 0] = values[1:] = 0
        tifffile.imwrite(
            stack / f"{name}-film.tif", values, imagej=True, metadata={"axes": "TZYX"}
        )
    return stack


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.ome.zarr"])
def test_all_frames_of_time_and_depth_are_labelled_from_one(run, film, name):
    given = (
        "predict", film / "stack-film.tif", "--labels", film / "labels-film.tif",
        "--output", film / name,
    )  # fmt: skip
    code, _, err = run(*given)
    assert code == 2
    assert "axis='tz' for both" in one_line(err)
    code, out, _ = run(*given, "--axis", "tz")
    assert code == 0
    assert "5 of 5 frames predicted from 1 reference" in out
    with open_stack(film / name, axis="tz", labels=True) as result:
        assert result.grid.shape == (3, 2)
        labels = tifffile.imread(film / "labels-film.tif")
        np.testing.assert_array_equal(result[1], labels[0, 1])
        before = list(result)
    with reopen_labels(film / name) as writer:
        writer[4] = np.zeros_like(before[4])
    code, out, _ = run(*given, "--axis", "tz", "--resume", "--memory", 0)
    assert code == 0
    with open_stack(film / name, axis="tz", labels=True) as result:
        for index in (0, 1, 2, 3, 5):
            np.testing.assert_array_equal(result[index], before[index])


def test_the_way_along_time_and_depth_is_planned_as_it_is_gone(run, film):
    labels = tifffile.imread(film / "labels-film.tif")
    labels[[0, 1]] = labels[[1, 0]]  # the reference is at time 1 and depth 1
    tifffile.imwrite(
        film / "labels-film.tif", labels, imagej=True, metadata={"axes": "TZYX"}
    )
    code, out, errors = run(
        "predict", film / "stack-film.tif", "--labels", film / "labels-film.tif",
        "--output", film / "out.tif", "--axis", "tz", "--direction", "forward",
        "--start", 0, "--stop", 2,
    )  # fmt: skip
    assert code == 0, errors
    assert "1 of 1 frame predicted from 1 reference" in out


@pytest.mark.parametrize("flag", [("--tracks", "tracks.csv"), ("--follow", 1)])
def test_what_takes_frames_along_one_axis_says_so(run, film, flag):
    tifffile.imwrite(film / "one.tif", tifffile.imread(film / "labels.tif")[1])
    images = tifffile.imread(film / "stack-film.tif")
    zarr.create_array(  # --follow takes no file
        film / "film.zarr",
        shape=images.shape,
        dtype=images.dtype,
        dimension_names=("t", "z", "y", "x"),
    )[:] = images
    output = film / "out.zarr"
    code, _, err = run(
        "predict", film / "film.zarr", "--reference", f"1={film / 'one.tif'}",
        "--output", output, "--axis", "tz", *flag,
    )  # fmt: skip
    assert code == 2
    assert f"frames along one axis with {flag[0]}, got time and z" in one_line(err)
    assert not output.exists()
