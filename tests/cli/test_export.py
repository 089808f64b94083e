"""Sessions and labels as plain files, and tables of objects."""

import csv
import json
import os

import numpy as np
import pytest
import tifffile
import zarr
from msgspec.structs import replace
from numpy.testing import assert_array_equal
from PIL import Image
from skimage.measure import regionprops

from napari_seggpt.io import open_stack
from napari_seggpt.io.table import measure_frame
from napari_seggpt.session.frames.frame_labels import checksum
from napari_seggpt.session.frames.status import FrameRecord
from napari_seggpt.session.store.contents import About, LabelsAxes
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.session.store.state import SessionState

ABOUT = About(
    name="stack", axis="t", pixel_size=(3.0, 0.5, 0.25),
    units=("second", "micrometer", "micrometer"), classes={3: "nucleus"},
)  # fmt: skip


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def labels():
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[1, 2:6, 3:11] = 3
    labels[1, 10:12, 3:11] = 3
    labels[2, 5:9, 5:9] = 700
    return labels


@pytest.fixture
def session(tmp_path, labels):
    """A session with labels in its folder: one frame mine, one predicted."""
    signature = ImageSignature.of(np.zeros((4, 20, 30)), "axis 0")
    store = SessionStore(tmp_path / "stack.tif.seggpt", signature)
    mark = checksum(labels[2])
    store.write_frame(
        1, labels[1], FrameRecord(checksum=checksum(labels[1]), is_reference=True)
    )
    store.write_frame(
        2, labels[2],
        FrameRecord(checksum=mark, predicted=mark, key=b"k", confidence=0.25),
    )  # fmt: skip
    store.write_state(SessionState(), ABOUT)
    store.close()
    return store.path


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr", "out"])
def test_a_session_becomes_plain_labels(run, session, labels, tmp_path, name):
    code, out, _ = run("export", session, "--output", tmp_path / name, model=False)
    assert code == 0
    assert "4 frames" in out
    with open_stack(tmp_path / name, labels=True) as stack:
        assert_array_equal(np.stack(list(stack)), labels)
        if name != "out":
            assert stack.axis == "t"
            assert stack.pixel_size == pytest.approx((3.0, 0.5, 0.25))
            assert stack.units[1] == "micrometer"


def test_a_session_on_disk(run, tmp_path, labels):
    array = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=(2, *labels.shape), dtype="uint16"
    )
    array[1] = labels
    signature = ImageSignature.of(np.zeros((4, 20, 30)), "axis 0")
    path = str(tmp_path / "labels.zarr")
    store = SessionStore(tmp_path / "s", signature, path)
    store.note(1, FrameRecord(checksum=checksum(labels[1]), is_approved=True))
    about = replace(ABOUT, labels_axes=LabelsAxes(axis=1, fixed=((0, 1),)))
    store.write_state(SessionState(), about)
    store.close()
    code, _, _ = run(
        "export", tmp_path / "s", "--output", tmp_path / "out.tif",
        "--table", tmp_path / "t.csv", model=False,
    )  # fmt: skip
    assert code == 0
    with open_stack(tmp_path / "out.tif") as stack:
        assert_array_equal(np.stack(list(stack)), labels)
    assert rows_of(tmp_path / "t.csv")[0]["status"] == "approved"


def test_a_session_of_volumes_at_several_times(run, tmp_path, labels):
    array = zarr.create_array(
        str(tmp_path / "labels.zarr"), shape=(2, 2, 1, 20, 30), dtype="uint16"
    )
    array[:, :, 0] = labels.reshape(2, 2, 20, 30)
    signature = ImageSignature.of(np.zeros((4, 20, 30)), "axis 0 and 1")
    path = str(tmp_path / "labels.zarr")
    store = SessionStore(tmp_path / "s", signature, path)
    axes = LabelsAxes(axis=1, outer=0, times=2, fixed=((2, 0),))
    store.write_state(SessionState(), replace(ABOUT, axis="z", labels_axes=axes))
    store.close()
    code, _, _ = run(
        "export", tmp_path / "s", "--output", tmp_path / "out.tif", model=False
    )
    assert code == 0
    written = tifffile.imread(tmp_path / "out.tif")
    assert_array_equal(written, labels.reshape(2, 2, 20, 30))


@pytest.mark.parametrize("name", ["out.tif", "out.ome.tif", "out.zarr"])
def test_a_file_of_volumes_at_several_times(run, tmp_path, labels, name):
    film = labels.reshape(2, 2, 20, 30)
    tifffile.imwrite(
        tmp_path / "film.tif", film, imagej=True, metadata={"axes": "TZYX"}
    )
    code, out, _ = run(
        "export", tmp_path / "film.tif", "--axis", "tz", "--output", tmp_path / name,
        model=False,
    )  # fmt: skip
    assert code == 0
    assert "4 frames" in out
    with open_stack(tmp_path / name, axis="tz", labels=True) as stack:
        assert stack.times == 2
        assert_array_equal(np.stack(list(stack)), labels)
    with open_stack(tmp_path / name, axis="t", at=1, labels=True) as stack:
        assert stack.times is None
        assert_array_equal(np.stack(list(stack)), film[:, 1])


def test_the_table_of_a_session(run, session, tmp_path):
    table = tmp_path / "objects.csv"
    code, out, _ = run("export", session, "--table", table, model=False)
    assert code == 0
    assert "2 objects" in out
    first, second = rows_of(table)
    assert (first["frame"], first["label"], first["class"]) == ("1", "3", "nucleus")
    assert (first["status"], first["confidence"]) == ("reference", "")
    assert (second["status"], second["confidence"]) == ("predicted", "0.25")
    assert first["pixels"] == "48"
    assert float(first["area"]) == pytest.approx(48 * 0.5 * 0.25)
    assert float(second["centroid_y"]) == pytest.approx(6.5 * 0.5)
    assert float(second["centroid_x"]) == pytest.approx(6.5 * 0.25)
    assert [second[k] for k in ("top", "left", "bottom", "right")] == list("5599")
    assert first["unit"] == "micrometer"


def test_objects_are_counted_if_asked(run, session, tmp_path):
    table = tmp_path / "objects.csv"
    run("export", session, "--table", table, "--objects", model=False)
    assert [(r["frame"], r["label"], r["object"]) for r in rows_of(table)] == [
        ("1", "3", "1"), ("1", "3", "2"), ("2", "700", "1"),
    ]  # fmt: skip


def test_labels_of_a_file(run, stack):
    table = stack / "t.csv"
    code, _, _ = run(
        "export", stack / "labels.tif", "--table", table, "--names", "3=square",
        "--output", stack / "out.ome.zarr", model=False,
    )  # fmt: skip
    assert code == 0
    rows = rows_of(table)
    assert [row["frame"] for row in rows] == list("012345")
    assert {row["class"] for row in rows} == {"square"}
    assert float(rows[0]["area"]) == pytest.approx(15 * 20 * 0.25**2)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "Expected --output, --table or both"),
        (["--table", "t.txt"], "ending in .csv"),
        (["--table", "t.csv", "--names", "3:x"], "expected LABEL=NAME"),
    ],
)
def test_what_is_refused(run, session, monkeypatch, tmp_path, args, words):
    monkeypatch.chdir(tmp_path)
    code, _, error = run("export", session, *args, model=False)
    assert code == 2
    assert words in error


def test_nothing_is_replaced_unasked(run, session, tmp_path):
    (tmp_path / "out.tif").write_bytes(b"mine")
    code, _, error = run(
        "export", session, "--output", tmp_path / "out.tif", model=False
    )
    assert code == 2
    assert "--overwrite" in error
    assert (tmp_path / "out.tif").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1", "-1"])
def test_no_cell_of_the_table_is_a_formula(run, session, tmp_path, name):
    head = json.loads((session / "session.json").read_text())
    head["about"]["classes"] = {"3": name}
    head["about"]["units"] = ["second", "=unit", "=unit"]
    (session / "session.json").write_text(json.dumps(head))
    code, _, _ = run("export", session, "--table", tmp_path / "t.csv", model=False)
    assert code == 0
    first = rows_of(tmp_path / "t.csv")[0]
    assert (first["class"], first["unit"]) == (f"'{name}", "'=unit")


def test_a_damaged_source_leaves_what_was_there(run, stack, monkeypatch):
    for name in ("out.tif", "out.zarr", "out"):
        code, _, _ = run(
            "export", stack / "labels.tif", "--output", stack / name,
            "--table", stack / "t.csv", "--overwrite", model=False,
        )  # fmt: skip
        assert code == 0
    table = (stack / "t.csv").read_bytes()
    assert table
    frames = [Image.fromarray(frame) for frame in tifffile.imread(stack / "labels.tif")]
    (stack / "source").mkdir()
    for number, frame in enumerate(frames):
        frame.save(stack / "source" / f"{number}.png")
    os.truncate(stack / "source" / "4.png", 60)
    before = sorted(path.name for path in stack.iterdir())
    for flags in (
        ["--table", stack / "t.csv"],
        *(["--output", stack / name] for name in ("out.tif", "out.zarr", "out")),
        ["--output", stack / "new.tif", "--table", stack / "new.csv"],
    ):
        code, _, error = run(
            "export", stack / "source", *flags, "--overwrite", model=False
        )
        assert code == 2
        assert "frame 4 of source" in error
    assert sorted(path.name for path in stack.iterdir()) == before
    assert (stack / "t.csv").read_bytes() == table
    for name in ("out.tif", "out.zarr", "out"):
        with open_stack(stack / name, labels=True) as result:
            assert all(frame.any() for frame in result)


def test_measures_are_those_of_scikit_image(labels):
    labels = labels.astype(np.int64)
    labels[2, 0, 0] = 10**12  # takes no memory
    rows = list(measure_frame(labels[2]))
    assert [row["label"] for row in rows] == [700, 10**12]
    (region,) = regionprops((labels[2] == 700).astype(int))
    assert rows[0]["area"] == region.area
    assert rows[0]["diameter"] == pytest.approx(region.equivalent_diameter_area, 1e-9)
    assert list(measure_frame(labels[0])) == []


def test_large_objects_are_measured_to_the_pixel():
    labels = np.zeros((1100, 1200), np.uint8)
    labels[:, 1:] = 1
    labels[0, 1:9] = 0
    (row,) = measure_frame(labels)
    assert row["pixels"] == row["area"] == 1_318_892
    labels = np.zeros((1, 2_000_010), np.uint8)  # far to the right, as in a mosaic
    labels[0, 1_234_567:1_234_570] = 1
    (row,) = measure_frame(labels, spacing=(1.0, 0.1))
    assert row["centroid_x"] == 123_456.8


def test_the_table_has_how_bright_objects_are(run, stack):
    images = tifffile.imread(stack / "stack.tif")
    labels = tifffile.imread(stack / "labels.tif")
    code, _, _ = run(
        "export", stack / "labels.tif", "--stack", stack / "stack.tif", "--table",
        stack / "table.csv", model=False,
    )  # fmt: skip
    assert code == 0
    rows = rows_of(stack / "table.csv")
    assert len(rows) == 6
    for row in rows:
        frame = int(row["frame"])
        bright = images[frame][labels[frame] == 3].mean()
        assert float(row["intensity"]) == pytest.approx(bright, rel=1e-4)
    tifffile.imwrite(stack / "other.tif", images[:2], imagej=True)
    code, _, err = run(
        "export", stack / "labels.tif", "--stack", stack / "other.tif", "--table",
        stack / "table.csv", "--overwrite", model=False,
    )  # fmt: skip
    assert code == 2
    assert "Expected images of 6 frames" in err


@pytest.mark.parametrize("name", ["film", "slice", "volumes"])
def test_flags_of_the_images_are_not_asked_of_the_labels(run, tmp_path, name):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 999, (4, 3, 2, 20, 30)).astype(np.uint16)
    masks = rng.integers(0, 3, (4, 3, 20, 30)).astype(np.uint16)
    for file, array, axes in (
        ("images", images, "TZCYX"), ("volumes", masks, "TZYX"),
        ("film", masks[:, 1], "TYX"), ("slice", masks[:, 1], "ZYX"),
    ):  # fmt: skip
        tifffile.imwrite(
            tmp_path / f"{file}.tif", array, imagej=True, metadata={"axes": axes}
        )
    command = ["export", tmp_path / f"{name}.tif", "--stack", tmp_path / "images.tif"]
    command += ["--axis", "t", "--table", tmp_path / "t.csv"]
    code, _, err = run(*command, "--at", 1, "--channels", 1, model=False)
    assert code == 0, err
    rows = rows_of(tmp_path / "t.csv")
    assert len(rows) == 8
    for row in rows:
        frame = int(row["frame"])
        seen = images[frame, 1, 1][masks[frame, 1] == int(row["label"])]
        assert float(row["intensity"]) == pytest.approx(seen.mean())


@pytest.mark.parametrize("has_levels", [False, True])
def test_labels_of_images_at_a_coarser_level(run, tmp_path, has_levels):
    axes = [{"name": name, "type": "space"} for name in "zyx"]
    for name, levels in (
        ("images", (0, 1)),
        ("labels", (0, 1) if has_levels else (1,)),
    ):
        datasets = [
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1, 2**level, 2**level]}
                ],
            }
            for level in levels
        ]
        ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
        group = zarr.create_group(tmp_path / f"{name}.zarr", attributes={"ome": ome})
        for level in levels:
            shape = (1, 64 >> level, 96 >> level)
            group.create_array(str(level), shape=shape, dtype="u1")[:] = level + 1
    code, _, err = run(
        "export", tmp_path / "labels.zarr", "--stack", tmp_path / "images.zarr",
        "--level", 1, "--table", tmp_path / "t.csv", model=False,
    )  # fmt: skip
    assert code == 0, err
    assert [row["pixels"] for row in rows_of(tmp_path / "t.csv")] == [str(32 * 48)]
