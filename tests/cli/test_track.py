"""Objects from the command line: predicted, linked, and written as tracks."""

import csv
import os

import numpy as np
import pytest
import tifffile

from napari_seggpt.io import open_stack


@pytest.fixture
def objects(tmp_path):
    """Draw two squares that move, with other numbers on each frame; one divides."""
    labels = np.zeros((6, 48, 64), np.uint16)
    for index in range(6):
        one, two = (1, 2) if index % 2 else (2, 1)
        labels[index, 4:14, 4 + index : 14 + index] = one
        if index < 3:
            labels[index, 24:40, 20:36] = two
        else:
            gap = index - 2
            labels[index, 24:40, 19 - gap : 27 - gap] = two
            labels[index, 24:40, 29 + gap : 37 + gap] = 3
    path = tmp_path / "objects.tif"
    tifffile.imwrite(path, labels, imagej=True, metadata={"axes": "TYX"})
    return path


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_objects_get_ids_that_hold_and_tracks_with_divisions(run, objects, tmp_path):
    code, out, _ = run(
        "track", objects, "--output", tmp_path / "linked.tif",
        "--tracks", tmp_path / "tracks.csv", model=False,
    )  # fmt: skip
    assert code == 0
    assert "4 tracks, 1 of which divided" in out
    with open_stack(tmp_path / "linked.tif", labels=True) as linked:
        assert {int(linked[i][9, 9]) for i in range(6)} == {2}
        assert int(linked[0][30, 28]) == 1
        children = {int(linked[5][30, 18]), int(linked[5][30, 38])}
        assert len(children) == 2
        assert not children & {0, 1, 2}
    rows = rows_of(tmp_path / "tracks.csv")
    assert {row["parent"] for row in rows} == {"", "1"}
    assert {int(row["track"]) for row in rows if row["parent"]} == children


def test_ids_of_new_objects_tell_the_class(run, objects, tmp_path):
    labels = tifffile.imread(objects)
    labels = np.array([0, 1001, 2001, 1001])[labels].astype(np.uint16)
    labels[3:, 24:40, 50:60] = 1002  # one that comes later
    path = tmp_path / "classes.tif"
    tifffile.imwrite(path, labels, imagej=True, metadata={"axes": "TYX"})
    to = ("--output", tmp_path / "linked.tif", "--along", "z")
    assert run("track", path, *to, model=False)[0] == 0
    with open_stack(tmp_path / "linked.tif", labels=True) as linked:
        assert int(linked[5][30, 55]) // 1000 == 1


def test_ids_tell_a_class_that_comes_later(run, tmp_path):
    labels = np.zeros((3, 60, 60), np.uint16)
    labels[:, 5:13, 5:13], labels[:, 5:13, 30:38] = 1001, 1002
    labels[1:, 30:38, 30:38], labels[1:, 45:53, 5:13] = 2011, 5002
    path = tmp_path / "classes.tif"
    tifffile.imwrite(path, labels, imagej=True, metadata={"axes": "TYX"})
    assert run("track", path, "--output", tmp_path / "out.tif", model=False)[0] == 0
    with open_stack(tmp_path / "out.tif", labels=True) as linked:
        np.testing.assert_array_equal(linked[2] // 1000, labels[2] // 1000)


def test_ids_below_0_are_no_objects(run, objects, tmp_path):
    labels = tifffile.imread(objects).astype(np.int16)
    labels[:, 40:, 40:] = -1
    path = tmp_path / "ignore.tif"
    tifffile.imwrite(path, labels, photometric="minisblack", metadata={"axes": "TYX"})
    to = ("--output", tmp_path / "linked.tif", "--tracks", tmp_path / "tracks.csv")
    code, out, _ = run("track", path, *to, "--along", "t", model=False)
    assert code == 0
    assert "4 tracks" in out
    with open_stack(tmp_path / "linked.tif", labels=True) as linked:
        assert all(not frame[40:, 40:].any() for frame in linked)


def test_through_z_nothing_divides(run, objects, tmp_path):
    code, out, _ = run(
        "track", objects, "--output", tmp_path / "linked.tif", "--along", "z",
        "--tracks", tmp_path / "tracks.csv", model=False,
    )  # fmt: skip
    assert code == 0
    assert "3 tracks, 0 of which divided" in out


@pytest.mark.parametrize("name", ["linked", "linked.zarr", "linked.tif"])
def test_a_mistake_found_while_linking_leaves_what_was_there(
    run, objects, tmp_path, name
):
    to = ("--output", tmp_path / name, "--overwrite")
    assert run("track", objects, *to, model=False)[0] == 0
    with open_stack(tmp_path / name, labels=True) as stack:
        before = list(stack)
    (tmp_path / "source").mkdir()
    for index, labels in enumerate(tifffile.imread(objects)):
        tifffile.imwrite(tmp_path / "source" / f"{index}.tif", labels)
    os.truncate(tmp_path / "source" / "4.tif", 60)
    large = np.where(tifffile.imread(objects) > 0, 70_000, 0).astype(np.uint32)
    tifffile.imwrite(tmp_path / "large.tif", large, metadata={"axes": "TYX"})
    sources = {"source": "frame 4 of source"}
    if name == "linked":  # PNG files
        sources["large.tif"] = "(uint16), got 70000"
    for source, message in sources.items():
        code, _, err = run("track", tmp_path / source, *to, model=False)
        assert code == 2
        assert message in err
        with open_stack(tmp_path / name, labels=True) as stack:
            np.testing.assert_array_equal(list(stack), before)


def test_tracks_of_linked_png_files_have_the_pixel_size(run, objects, tmp_path):
    geff = pytest.importorskip("geff")
    tifffile.imwrite(
        tmp_path / "sized.tif", tifffile.imread(objects), imagej=True,
        resolution=(4.0, 4.0), metadata={"axes": "TYX", "unit": "um", "finterval": 2.0},
    )  # fmt: skip
    code, _, _ = run(
        "track", tmp_path / "sized.tif", "--output", tmp_path / "linked",
        "--tracks", tmp_path / "tracks.geff", model=False,
    )  # fmt: skip
    assert code == 0
    axes = geff.read(tmp_path / "tracks.geff")[1].axes
    assert [axis.scale for axis in axes] == [2.0, 0.25, 0.25]


def test_without_an_output_ids_are_taken_as_they_are(run, objects, tmp_path):
    code, _, _ = run("track", objects, "--tracks", tmp_path / "result", model=False)
    assert code == 0
    masks = sorted(path.name for path in (tmp_path / "result").glob("mask*.tif"))
    assert masks == [f"mask{index:03d}.tif" for index in range(6)]
    given = tifffile.imread(objects)
    for index, name in enumerate(masks):
        mask = tifffile.imread(tmp_path / "result" / name)
        np.testing.assert_array_equal(mask, given[index])
    lines = (tmp_path / "result" / "res_track.txt").read_text().splitlines()
    assert "1 0 5 0" in lines


def test_what_cannot_be_written_is_refused(run, objects, tmp_path):
    for args, message in (
        ((), "Expected --output, --tracks or both, got neither"),
        (
            ("--tracks", tmp_path / "a.txt"),
            "Expected tracks as .csv, .geff or a folder",
        ),
        (("--tracks", objects), "Expected to write outside of what is read"),
    ):
        code, _, err = run("track", objects, *args, model=False)
        assert code == 2
        assert message in err


@pytest.mark.parametrize("name", ["result", "tracks.geff"])
def test_an_empty_folder_takes_tracks(run, objects, tmp_path, name):
    if name == "tracks.geff":
        pytest.importorskip("geff")
    (tmp_path / name).mkdir()
    to = ("--tracks", tmp_path / name)
    assert run("track", objects, *to, model=False)[0] == 0
    code, _, err = run("track", objects, *to, model=False)
    assert code == 2
    assert "Expected a new path or --overwrite" in err
    assert run("track", objects, *to, "--overwrite", model=False)[0] == 0
    code, _, err = run(
        "track", objects, "--tracks", tmp_path / "no" / "t.csv", model=False
    )
    assert code == 2
    assert "Expected a folder" in err


def test_volumes_at_several_times_are_no_single_row(run, objects, tmp_path):
    film = tifffile.imread(objects).reshape(3, 2, 48, 64)
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, film, imagej=True, metadata={"axes": "TZYX"})
    to = ("--output", tmp_path / "out.tif", "--tracks", tmp_path / "out.csv")
    code, _, err = run("track", path, "--axis", "tz", *to, model=False)
    assert code == 2
    assert "Expected frames along one axis, got time and z" in err
    assert not (tmp_path / "out.tif").exists()
    code, out, _ = run("track", path, "--axis", "t", *to, model=False)
    assert code == 0
    assert "3 frames" in out


def test_predict_labels_objects_and_keeps_the_ids_of_a_reference(run, stack):
    labels = np.zeros((6, 40, 48), np.uint16)
    labels[2, 8:20, 4:16], labels[2, 8:20, 16:28] = 7, 700
    tifffile.imwrite(stack / "ids.tif", labels, imagej=True, metadata={"axes": "ZYX"})
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "ids.tif", "--output",
        stack / "out.tif", "--objects", "--tracks", stack / "tracks.csv",
    )  # fmt: skip
    assert code == 0
    assert "5 of 5 frames predicted" in out
    with open_stack(stack / "out.tif", labels=True) as result:
        np.testing.assert_array_equal(result[2], labels[2])
        assert result[0].dtype == np.uint32
        found = {
            (index, int(i)) for index in range(6) for i in np.unique(result[index]) if i
        }
    rows = rows_of(stack / "tracks.csv")
    assert {(int(row["frame"]), int(row["track"])) for row in rows} == found


def test_classes_have_no_tracks(run, stack):
    for flags, message in (
        (["--objects", "classes"], "Expected objects for --tracks, got classes"),
        (["--objects", "--no-link"], "Expected linked objects for --tracks"),
    ):
        code, _, err = run(
            "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
            "--frames", 0, "--output", stack / "out.tif", "--tracks",
            stack / "tracks.csv", *flags,
        )  # fmt: skip
        assert code == 2
        assert message in err
        assert not (stack / "out.tif").exists()
