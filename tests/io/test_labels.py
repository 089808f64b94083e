from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_seggpt.io import (
    StackError,
    array_stack,
    create_labels,
    open_stack,
    reopen_labels,
    tiff_labels,
)
from napari_seggpt.io.labels import labels_axis
from napari_seggpt.io.png_labels import PngLabels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = ("labels.tif", "labels.ome.tif", "labels.zarr", "labels")
# PNG files hold no pixel size.
CALIBRATED = FORMATS[:-1]
FRAME = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)


def read_elsewhere(path: Path) -> np.ndarray:
    """Read all frames with the library of the format alone."""
    if path.is_file():
        return np.asarray(tifffile.imread(path))
    if path.suffix == ".zarr":
        array = zarr.open(str(path), mode="r")["0"]
        return np.asarray(array[:])
    frames = []
    for file in sorted(path.glob("*.png")):
        with Image.open(file) as image:
            frames.append(np.asarray(image))
    return np.stack(frames)


def test_labels_along_channels_are_written_along_z() -> None:
    assert [labels_axis(axis) for axis in ("z", "t", "c")] == ["z", "t", "z"]


@pytest.mark.parametrize("name", CALIBRATED)
def test_labels_are_like_what_is_labelled(tmp_path: Path, name: str) -> None:
    film = array_stack(
        np.zeros((2, 3, 20, 30)),
        axes="tzyx",
        axis="tz",
        pixel_size=(2.0, 0.5, 0.25),
        units=("micrometer",) * 3,
    )
    create_labels(tmp_path / name, like=film, dtype=np.uint8).close()
    with open_stack(tmp_path / name, axis="tz", labels=True) as stack:
        assert (len(stack), stack.times, stack.frame_shape) == (6, 2, (20, 30))
        assert stack.pixel_size[1:] == pytest.approx((0.5, 0.25))
        assert stack.units[1:] == ("micrometer",) * 2
        assert stack.stored_dtype == np.uint8


def test_labels_are_like_a_stack_or_as_is_told(tmp_path: Path) -> None:
    film = array_stack(np.zeros((3, 20, 30)))
    path = tmp_path / "labels.tif"
    with pytest.raises(TypeError, match="got both"):
        create_labels(path, like=film, axis="t")
    with pytest.raises(TypeError, match="got neither"):
        create_labels(path, length=3)
    assert not path.exists()


@pytest.mark.parametrize("name", FORMATS)
def test_others_read_while_frames_are_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    expected = np.zeros((4, 20, 30), np.uint16)
    with create_labels(path, length=4, frame_shape=(20, 30)) as labels:
        assert len(labels) == 4
        np.testing.assert_array_equal(read_elsewhere(path), expected)
        for index in (2, 0, -1):
            labels[index] = expected[index] = FRAME + index % 4
            found = read_elsewhere(path)
            assert found.dtype == np.uint16
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(labels[index], expected[index])
        labels.write(2, FRAME > 300)
        expected[2] = FRAME > 300
        assert not labels[1].any()
        with pytest.raises(IndexError):
            labels[4] = FRAME
    with open_stack(path, labels=True) as stack:
        assert stack.dtype == np.uint16
        np.testing.assert_array_equal(list(stack), expected)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("name", FORMATS)
def test_reopened_labels_take_more_frames(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    given = {"pixel_size": (2.0, 0.5, 0.5), "units": ("um", "um", "um")}
    with create_labels(
        path, length=3, frame_shape=(20, 30), dtype=np.uint8, **given
    ) as created:
        created[1] = np.full((20, 30), 7)
    with reopen_labels(path) as labels:
        if name in CALIBRATED:
            assert labels.geometry == created.geometry
        assert labels.geometry.dtype == np.uint8
        assert (labels[1] == 7).all()
        labels[2] = np.full((20, 30), 9)
    assert [int(frame.max()) for frame in read_elsewhere(path)] == [0, 7, 9]


def test_masks_beside_images_are_reopened_without_the_images(tmp_path: Path) -> None:
    for index in range(2):
        for name, value in ((f"f{index}", 100), (f"f{index}_mask", index)):
            frame = np.full((8, 8), value, np.uint8)
            Image.fromarray(frame).save(tmp_path / f"{name}.png")
    with reopen_labels(tmp_path) as labels:
        labels[0] = np.full((8, 8), 7)
        assert [int(labels[index].max()) for index in range(2)] == [7, 1]
    found = [int(frame.max()) for frame in read_elsewhere(tmp_path)]
    assert found == [100, 7, 100, 1]


def test_grey_labels_with_alpha_can_be_reopened(tmp_path: Path) -> None:
    alpha = np.full((20, 30), 255, np.uint8)
    alpha[0] = 0
    grey = Image.fromarray(np.full((20, 30), 7, np.uint8))
    Image.merge("LA", (grey, Image.fromarray(alpha))).save(tmp_path / "a.png")
    with reopen_labels(tmp_path) as labels:
        np.testing.assert_array_equal(labels[0], np.where(alpha, 7, 0))


def test_a_folder_of_another_number_of_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    with create_labels(path, length=2, frame_shape=(20, 30)) as labels:
        geometry = labels.geometry
    shutil.copyfile(path / "frame_0000.png", path / "frame_0002.png")
    with pytest.raises(StackError, match="Expected 2 label files in labels, got 3"):
        PngLabels.open(path, geometry)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int32])
@pytest.mark.parametrize(
    ("axis", "pixel_size", "units"),
    [
        ("z", (2.0, 0.5, 0.25), ("micron", "µm", "um")),
        ("z", (300.0, 65.0, 65.0), ("nm", "nm", "nm")),
        ("z", (2.0, 0.5, 0.5), None),
        ("t", (30.0, 0.65, 0.65), ("s", "um", "um")),
        ("t", (1.5, 0.65, 0.65), ("min", "um", "um")),
        ("t", (1.0, 1.0, 1.0), None),
    ],
)
@pytest.mark.parametrize("name", CALIBRATED)
def test_pixel_size_is_kept(
    tmp_path: Path,
    name: str,
    axis: str,
    pixel_size: tuple[float, ...],
    units: tuple[str, ...] | None,
    dtype: type[np.integer],
) -> None:
    path = tmp_path / name
    with create_labels(
        path,
        length=3,
        frame_shape=(3, 4),  # as small as a row of colours, which they are not
        dtype=dtype,
        axis=axis,
        pixel_size=pixel_size,
        units=units,
    ) as labels:
        written = labels.geometry
        labels[2] = np.full((3, 4), 5)
    with open_stack(path) as stack:
        assert stack.shape == (3, 3, 4)
        assert (stack.axis, stack.dtype) == (axis, dtype)
        assert stack.pixel_size == pytest.approx(pixel_size)
        assert stack.units == written.units
        assert (stack[2] == 5).all()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    "shape", [(3, 7, 1), (1, 7, 1), (3, 1, 7), (3, 1, 1), (1, 1, 1), (4, 4, 3)]
)
def test_frames_may_be_narrow(
    tmp_path: Path, name: str, dtype: type[np.integer], shape: tuple[int, int, int]
) -> None:
    length, *frame_shape = shape
    path = tmp_path / name
    with create_labels(
        path, length=length, frame_shape=frame_shape, dtype=dtype
    ) as labels:
        labels[-1] = np.full(frame_shape, 5)
    with open_stack(path, labels=True) as stack:
        assert stack.shape == shape
        assert [int(frame.max()) for frame in stack] == [0] * (length - 1) + [5]
    with reopen_labels(path) as labels:
        assert labels.geometry.frame_shape == tuple(frame_shape)
        assert (labels[-1] == 5).all()


@pytest.mark.parametrize("shape", [(20, 30), (7, 1), (1, 7)])
def test_imagej_is_told_the_frames(tmp_path: Path, shape: tuple[int, int]) -> None:
    create_labels(tmp_path / "a.tif", length=6, times=2, frame_shape=shape).close()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["frames"] == 2
        assert file.imagej_metadata["slices"] == 3
        assert file.pages.first.shape == shape
        assert len(file.pages) == 6


@pytest.mark.parametrize("name", CALIBRATED)
def test_volumes_at_several_times_keep_both_axes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    size, units = (2.0, 0.5, 0.25), ("micrometer",) * 3
    with create_labels(
        path,
        length=6,
        frame_shape=(20, 30),
        times=2,
        pixel_size=size,
        units=units,
    ) as labels:
        for index in range(6):
            labels[index] = FRAME + index
        np.testing.assert_array_equal(labels[4], FRAME + 4)
    found = read_elsewhere(path)
    assert found.shape == (2, 3, 20, 30)
    np.testing.assert_array_equal(found[1, 2], FRAME + 5)
    with open_stack(path, labels=True, axis="z", at=1) as stack:
        assert len(stack) == 3
        assert stack.pixel_size == pytest.approx(size)
        np.testing.assert_array_equal(stack[2], FRAME + 5)


@pytest.mark.parametrize("name", CALIBRATED)
@pytest.mark.parametrize("source", ["tif", "ome.tif"])
def test_volumes_keep_the_time_between_them(
    tmp_path: Path, name: str, source: str
) -> None:
    path = tmp_path / f"film.{source}"
    film = np.zeros((2, 3, 20, 30), np.uint8)
    metadata = {"axes": "TZYX", "finterval": 2.5, "spacing": 2.0, "unit": "um"}
    if source == "ome.tif":
        metadata = {"axes": "TZYX", "TimeIncrement": 2.5, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, film, imagej=source == "tif", metadata=metadata)
    with open_stack(path, axis="tz") as stack:
        assert stack.time_step == (2.5, "second")
        created = create_labels(tmp_path / name, like=stack)
        created.close()
    with open_stack(tmp_path / name, axis="t", at=1, labels=True) as stack:
        assert stack.pixel_size[0] == 2.5
        assert stack.units[0] == "second"
        assert stack.time_step is None
    with reopen_labels(tmp_path / name) as labels:
        assert labels.geometry == created.geometry
        assert labels.geometry.pixel_size[0] == 2.0


@pytest.mark.parametrize("name", CALIBRATED)
def test_an_unknown_time_between_volumes_stays_unknown(
    tmp_path: Path, name: str
) -> None:
    film = array_stack(np.zeros((2, 3, 20, 30)), axes="tzyx", axis="tz")
    create_labels(tmp_path / name, like=film).close()
    with open_stack(tmp_path / name, axis="tz", labels=True) as stack:
        assert stack.time_step in (None, (1.0, "frame"))
        assert stack.pixel_size == (1.0, 1.0, 1.0)


def test_volumes_of_unequal_depth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the slices of 4 volumes, got 6 frames"):
        create_labels(tmp_path / "x.tif", length=6, frame_shape=(2, 2), times=4)


def test_units_are_normalised(tmp_path: Path) -> None:
    labels = create_labels(
        tmp_path / "a.tif", length=1, frame_shape=(3, 4), units=("µm", "micron", "")
    )
    labels.close()
    assert labels.geometry.units == ("micrometer", "micrometer", "pixel")


def test_tiff_is_an_imagej_hyperstack(tmp_path: Path) -> None:
    given = {"pixel_size": (2.0, 0.5, 0.25), "units": ("um", "um", "um")}
    create_labels(tmp_path / "a.tif", length=5, frame_shape=(20, 30), **given).close()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        metadata = file.imagej_metadata
        assert metadata is not None
        assert metadata["slices"] == 5
        assert metadata["spacing"] == 2.0
        assert metadata["unit"] == "micron"
        assert file.pages.first.resolution == (4.0, 2.0)
        assert len(file.pages) == 5


def test_ome_zarr_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    given = {"pixel_size": (30, 0.5, 0.5), "units": ("s", "um", "um")}
    with create_labels(
        path, length=5, frame_shape=(20, 30), axis="t", **given
    ) as labels:
        labels[3] = FRAME
        labels[2] = np.zeros_like(FRAME)
    group = zarr.open_group(str(path), mode="r")
    image = group.attrs["ome"]["multiscales"][0]
    assert image["axes"][0] == {"name": "t", "type": "time", "unit": "second"}
    assert image["axes"][1] == {"name": "y", "type": "space", "unit": "micrometer"}
    transformations = image["datasets"][0]["coordinateTransformations"]
    assert transformations == [{"type": "scale", "scale": [30.0, 0.5, 0.5]}]
    array = group["0"]
    assert array.chunks == (1, 20, 30)
    assert array.nchunks_initialized == 1


def test_writing_a_frame_touches_that_frame_only(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with create_labels(path, length=50, frame_shape=(200, 300)) as labels:
        before = path.stat()
        labels[25] = np.ones((200, 300), np.uint16)
        after = path.stat()
    assert before.st_size == after.st_size > 50 * 200 * 300 * 2
    if sys.platform == "linux":
        assert before.st_blocks * 512 < 10 * 200 * 300 * 2  # sparse
        assert after.st_blocks * 512 < 10 * 200 * 300 * 2


def test_large_tiff_is_a_bigtiff(tmp_path: Path) -> None:
    """Five GB that take no space, as no frame but one is written."""
    path = tmp_path / "a.tif"
    started = time.monotonic()
    with create_labels(path, length=50, frame_shape=(7000, 7200)) as labels:
        labels[49] = np.full((7000, 7200), 3, np.uint16)
        assert labels[49][0, 0] == 3
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
    with open_stack(path) as stack:
        assert stack.shape == (50, 7000, 7200)
        assert stack[49][-1, -1] == 3
    assert time.monotonic() - started < 10
    path.unlink()


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif"])
def test_bigtiff_keeps_pixel_size(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_labels, "MAX_CLASSIC_TIFF_BYTES", 1000)
    given = {"pixel_size": (2.0, 0.5, 0.5), "units": ("um", "um", "um")}
    create_labels(tmp_path / name, length=5, frame_shape=(20, 30), **given).close()
    with open_stack(tmp_path / name) as stack:
        assert stack.pixel_size == pytest.approx((2.0, 0.5, 0.5))
        assert stack.units == ("micrometer",) * 3


def test_frames_survive_a_killed_program(tmp_path: Path) -> None:
    program = """
import os, signal, sys
import numpy as np
from napari_seggpt.io import create_labels
writers = [create_labels(p, length=3, frame_shape=(20, 30)) for p in sys.argv[1:]]
for labels in writers:
    labels[1] = np.full((20, 30), 8)
os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""
    paths = [tmp_path / name for name in FORMATS]
    arguments = [sys.executable, "-c", program, *map(str, paths)]
    assert subprocess.run(arguments, check=False).returncode != 0
    for path in paths:
        assert [int(frame.max()) for frame in read_elsewhere(path)] == [0, 8, 0]
        with reopen_labels(path) as labels:
            assert (labels[1] == 8).all()


# full disks


@contextlib.contextmanager
def disk_full_after(num_bytes: int) -> Iterator[None]:
    """Let no file become larger: the system writes a part and then refuses."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_leaves_no_half_frame(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    noise = np.random.default_rng(0).integers(1, 60_000, (3, 200, 300), np.uint16)
    with create_labels(path, length=3, frame_shape=(200, 300)) as labels:
        labels[0] = noise[0]
        is_folder = path.is_dir()
        limit = 20_000 if is_folder else path.stat().st_size - 150_000
        with disk_full_after(limit):
            for index in (0, 2) if is_folder else (2,):
                with pytest.raises(OSError, match=r"too large|No space"):
                    labels[index] = noise[index] + 1
        np.testing.assert_array_equal(labels[0], noise[0])
        assert not labels[2].any()
    found = read_elsewhere(path)
    np.testing.assert_array_equal(found[0], noise[0])
    assert not found[1:].any()
    assert not list(tmp_path.rglob("*.part"))


def test_what_stops_a_write_leaves_no_half_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, too, and a frame that was written before is as it was."""
    labels = create_labels(tmp_path / "a.tif", length=2, frame_shape=(20, 30))
    labels[1] = FRAME
    file = labels._file

    class Stopped:
        num_writes = 0

        def write(self, data: bytes) -> int:
            self.num_writes += 1
            if self.num_writes == 2:
                raise KeyboardInterrupt
            return file.write(data[:500])

        def __getattr__(self, name: str) -> Any:
            return getattr(file, name)

    monkeypatch.setattr(labels, "_file", Stopped())
    with pytest.raises(KeyboardInterrupt):
        labels[1] = FRAME + 1
    monkeypatch.undo()
    np.testing.assert_array_equal(labels[1], FRAME)
    labels.close()


@pytest.fixture
def half_written(tmp_path: Path) -> Path:
    """Labels of which a program was killed while it wrote frame 1 anew."""
    program = """
import os, signal, sys
import numpy as np
from napari_seggpt.io import create_labels
labels = create_labels(sys.argv[1], length=3, frame_shape=(20, 30))
for index in range(3):
    labels[index] = np.full((20, 30), 5 + index)
put = labels._put
def put_half_and_die(start, data):
    put(start, data[:501])
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
labels._put = put_half_and_die
labels[1] = np.full((20, 30), 1000)
"""
    path = tmp_path / "a.tif"
    arguments = [sys.executable, "-c", program, str(path)]
    assert subprocess.run(arguments, check=False).returncode != 0
    assert set(np.unique(read_elsewhere(path)[1])) > {6, 1000}
    return path


@pytest.mark.parametrize("saved_elsewhere", [False, True])
def test_a_killed_program_leaves_no_half_frame(
    half_written: Path, saved_elsewhere: bool
) -> None:
    """A frame that was being written is as it was before."""
    if saved_elsewhere:
        stored = tifffile.imread(half_written).astype(np.uint32)
        tifffile.imwrite(half_written, stored, byteorder=">", photometric="minisblack")
    with reopen_labels(half_written) as labels:
        assert [set(np.unique(labels[i])) for i in range(3)] == [{5}, {6}, {7}]
    assert [file.name for file in half_written.parent.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("repaired", [{(15, 3): 9}, {(2, 3): 0}, "all"])
def test_a_frame_that_a_person_repaired_after_a_kill_is_kept(
    half_written: Path, repaired: Any
) -> None:
    stored = tifffile.imread(half_written)
    if repaired == "all":
        stored[1] = FRAME
    else:
        for place, value in repaired.items():
            stored[1][place] = value
    tifffile.imwrite(half_written, stored, imagej=True, metadata={"axes": "ZYX"})
    with reopen_labels(half_written) as labels:
        np.testing.assert_array_equal(labels[1], stored[1])
    assert [file.name for file in half_written.parent.iterdir()] == ["a.tif"]


def test_a_frame_that_is_being_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer that is opened meanwhile takes it for no half frame."""
    note = tmp_path / ".a.tif.part"
    with create_labels(tmp_path / "a.tif", length=3, frame_shape=(20, 30)) as labels:
        put = labels._put

        def put_while_reopened(start: int, data: bytes) -> None:
            put(start, data[:500])
            reopen_labels(tmp_path / "a.tif").close()
            assert note.exists()
            put(start + 500, data[500:])

        monkeypatch.setattr(labels, "_put", put_while_reopened)
        labels[2] = FRAME
        assert not note.exists()
        np.testing.assert_array_equal(labels[2], FRAME)


def note_of(**changes: object) -> bytes:
    """Return the note of a process that no longer runs: frame 0 is to be 0."""
    header = {"frame": 0, "dtype": "<u2", "pid": 2**22 + 1, "started": 0.5} | changes
    return json.dumps(header).encode() + b"\n" + FRAME.tobytes() + bytes(FRAME.nbytes)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"9",
        b"one",
        b"1" * 5000,
        b"[" * 5000,
        note_of()[:-1],
        note_of(dtype="<u4"),
        note_of(frame=9),
        note_of(frame="0"),
        note_of(dtype="O"),
        note_of(dtype=None),
        note_of(pid=-1),
        note_of(pid=10**30),
        note_of(more=1),
    ],
)
def test_notes_of_no_half_frame_change_nothing(tmp_path: Path, note: bytes) -> None:
    path = tmp_path / "a.tif"
    with create_labels(path, length=3, frame_shape=(20, 30)) as labels:
        labels[0] = FRAME + 1
    (tmp_path / ".a.tif.part").write_bytes(note)
    with reopen_labels(path) as labels:
        np.testing.assert_array_equal(labels[0], FRAME + 1)
    assert [file.name for file in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_at_the_beginning_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with disk_full_after(100), pytest.raises(OSError, match=r"too large|No space"):
        create_labels(path, length=2, frame_shape=(200, 300))
    assert not list(tmp_path.iterdir())
    with create_labels(path, length=2, frame_shape=(20, 30)) as labels:
        labels[0] = FRAME
    with disk_full_after(100), pytest.raises(OSError, match=r"too large|No space"):
        create_labels(path, length=2, frame_shape=(200, 300), overwrite=True)
    np.testing.assert_array_equal(read_elsewhere(path)[0], FRAME)
    assert not list(tmp_path.rglob("*.part"))


# errors


@pytest.mark.parametrize("name", FORMATS)
def test_labels_that_do_not_fit_are_not_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with create_labels(path, length=2, frame_shape=(20, 30), dtype="uint8") as labels:
        labels[0] = np.full((20, 30), 255)
        with pytest.raises(StackError, match=r"from 0 to 255 \(uint8\), got 599"):
            labels[0] = FRAME
        with pytest.raises(StackError, match="got -1"):
            labels[0] = np.full((20, 30), -1)
        with pytest.raises(StackError, match=r"\(20, 30\), got \(30, 20\)"):
            labels[0] = FRAME.T
        with pytest.raises(StackError, match="integer labels, got float64"):
            labels[0] = np.zeros((20, 30))
        assert (labels[0] == 255).all()
    with pytest.raises(StackError, match="closed"):
        labels[0] = np.zeros((20, 30), int)
    labels.close()


@pytest.mark.parametrize("name", FORMATS)
def test_existing_labels_are_replaced_only_on_demand(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with create_labels(path, length=9, frame_shape=(20, 30)) as labels:
        labels[0] = FRAME
    with pytest.raises(StackError, match="Expected a new path"):
        create_labels(path, length=2, frame_shape=(20, 30))
    assert (read_elsewhere(path)[0] == FRAME).all()
    create_labels(path, length=2, frame_shape=(5, 6), overwrite=True).close()
    assert read_elsewhere(path).shape == (2, 5, 6)
    assert not read_elsewhere(path).any()


@pytest.mark.parametrize("name", FORMATS)
def test_other_folders_are_never_replaced(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.mkdir()
    (path / "frame_0001.png").touch()
    (path / "thesis.txt").write_text("years of work")
    with pytest.raises(StackError, match=r"Expected .* to replace"):
        create_labels(path, length=2, frame_shape=(5, 6), overwrite=True)
    assert (path / "frame_0001.png").exists()
    assert (path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["labels_2024.05.01", "run.2-b", "exp.A_B", "run.v2", "mouse.b", "x.old"]
)
def test_folders_may_have_dots(tmp_path: Path, name: str) -> None:
    for overwrite in (False, True):
        with create_labels(
            tmp_path / name, length=2, frame_shape=(20, 30), overwrite=overwrite
        ) as labels:
            labels[1] = FRAME
    np.testing.assert_array_equal(read_elsewhere(tmp_path / name)[1], FRAME)


def test_a_folder_that_is_there_may_end_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "labels.png").mkdir()
    create_labels(
        tmp_path / "labels.png", length=2, frame_shape=(20, 30), overwrite=True
    ).close()
    assert len(list((tmp_path / "labels.png").iterdir())) == 2


@pytest.mark.parametrize("name", ["labels.zarr", "labels"])
def test_files_are_not_replaced_by_folders(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("years of work")
    with pytest.raises(StackError, match=r"Expected .* to replace"):
        create_labels(tmp_path / name, length=2, frame_shape=(5, 6), overwrite=True)
    assert (tmp_path / name).read_text() == "years of work"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.tif", {"length": 0}, "at least one frame"),
        ("a.tif", {"frame_shape": (0, 5)}, "at least one frame"),
        ("a.tif", {"dtype": float}, "integer dtype, got float64"),
        ("a.tif", {"axis": "c"}, "got 'c'"),
        ("a.tif", {"pixel_size": (1.0, 1.0)}, "three positive pixel sizes"),
        ("a", {"dtype": np.uint32}, "uint8 or uint16 for PNG files, got uint32"),
        ("a.ome.tif", {"dtype": np.int64}, "at most 32 bits for OME-TIFF, got int64"),
        ("a.png", {}, r"ending in .tif or .zarr, or a folder, got a.png"),
        ("a.h5", {}, r"ending in .tif or .zarr, or a folder, got a.h5"),
        ("no/a.tif", {}, "which does not exist"),
    ],
)
def test_labels_that_cannot_be_created(
    tmp_path: Path, name: str, options: dict, message: str
) -> None:
    with pytest.raises(StackError, match=message):
        create_labels(tmp_path / name, **{"length": 2, "frame_shape": (5, 6)} | options)
    assert not list(tmp_path.iterdir())


def test_stacks_that_cannot_be_reopened_as_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", FRAME, compression="zlib")
    with pytest.raises(StackError, match="Expected an uncompressed TIFF"):
        reopen_labels(tmp_path / "a.tif")
    rgb = np.zeros((5, 6, 3), np.uint8)
    tifffile.imwrite(tmp_path / "b.tif", rgb, photometric="rgb")
    with pytest.raises(StackError, match=r"saved as ids, got colours in .*b.tif"):
        reopen_labels(tmp_path / "b.tif")
    tifffile.imwrite(tmp_path / "c.tif", FRAME.astype(float))
    with pytest.raises(StackError, match="integer dtype, got float64"):
        reopen_labels(tmp_path / "c.tif")
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.zeros((2, 1, 5, 6), np.uint8))
    with pytest.raises(StackError, match=r"shape \(2, 5, 6\) in one resolution"):
        reopen_labels(tmp_path / "a.zarr")
    (tmp_path / "jpg").mkdir()
    Image.fromarray(rgb[..., 0]).save(tmp_path / "jpg" / "a.jpg")
    with pytest.raises(StackError, match="saved as ids, got colours"):
        reopen_labels(tmp_path / "jpg")
    with pytest.raises(StackError, match="does not exist"):
        reopen_labels(tmp_path / "none.tif")


@pytest.mark.parametrize(
    ("name", "axes", "right"),
    [
        ("a.ome.tif", "ztyx", "t, z, y, x"),
        ("a.tif", "ztyx", "t, z, y, x"),
        ("a.tif", "zxy", "z, y, x"),
        ("a.zarr", "ztyx", "t, z, y, x"),
        ("a.zarr", "zxy", "z, y, x"),
    ],
)
def test_labels_stored_in_another_order_are_refused(
    tmp_path: Path, name: str, axes: str, right: str
) -> None:
    """Frames would be written at the place of others, also where lengths are equal."""
    stored = np.arange(3 ** len(axes), dtype=np.uint16).reshape([3] * len(axes))
    path = tmp_path / name
    if path.suffix == ".zarr":
        zarr.create_array(str(path), data=stored, dimension_names=list(axes))
    else:
        tifffile.imwrite(
            path, stored, photometric="minisblack", metadata={"axes": axes.upper()}
        )
    message = f"stored along {right}, got {', '.join(axes)} in {name}"
    with pytest.raises(StackError, match=message):
        reopen_labels(path)


def test_labels_of_one_slice_may_have_any_order(tmp_path: Path) -> None:
    """Axes of length 1 have no place."""
    stored = np.stack([FRAME, FRAME + 1])[None]
    tifffile.imwrite(tmp_path / "a.ome.tif", stored, metadata={"axes": "ZTYX"})
    with reopen_labels(tmp_path / "a.ome.tif") as labels:
        np.testing.assert_array_equal(labels[1], FRAME + 1)


def test_foreign_tiff_labels_are_written_in_their_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([FRAME, FRAME]), byteorder=">")
    with reopen_labels(path) as labels:
        labels[1] = FRAME + 1
        np.testing.assert_array_equal(labels[1], FRAME + 1)
    np.testing.assert_array_equal(read_elsewhere(path), [FRAME, FRAME + 1])
