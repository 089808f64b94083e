"""What the axes of a file are taken for: as napari shows them, and as labels have them.

`tifffile.imwrite` without names is what napari's File > Save Selected Layers does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_seggpt.io import (
    StackError,
    array_stack,
    create_labels,
    open_stack,
    reopen_labels,
)

if TYPE_CHECKING:
    from pathlib import Path

as_napari = pytest.mark.filterwarnings("ignore:.*stored as RGB:DeprecationWarning")


def ramp(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@as_napari
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("count", [3, 4])
def test_three_or_four_frames_are_frames(
    tmp_path: Path, count: int, dtype: Any
) -> None:
    frames = ramp(count, 12, 10, dtype=dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames)
    for options in ({}, {"channels": False}, {"labels": True}):
        with open_stack(path, **options) as stack:
            assert stack.shape == (count, 12, 10)
            np.testing.assert_array_equal(list(stack), frames)
            assert bool(stack.notes) == (not options)
    with open_stack(path) as stack:
        assert f"{count} frames, which the file calls colours" in stack.notes[0]
        assert "--channels yes" in stack.notes[0]
    with open_stack(path, channels=True) as stack:
        assert stack.shape == (1, 12, 10, count)
        np.testing.assert_array_equal(stack[0], np.moveaxis(frames, 0, -1))
        assert stack.notes == ()


@as_napari
def test_labels_of_three_or_four_frames_are_written_in_place(tmp_path: Path) -> None:
    frames = ramp(4, 12, 10)
    tifffile.imwrite(tmp_path / "a.tif", frames)
    with reopen_labels(tmp_path / "a.tif") as labels:
        labels[2] = frames[2] + 1
    frames[2] += 1
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), frames)


def test_planes_that_another_program_calls_colours(tmp_path: Path) -> None:
    planes = ramp(3, 12, 10, dtype=np.uint8)
    options = {"photometric": "rgb", "planarconfig": "separate", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", planes, **options)
    with open_stack(tmp_path / "a.tif") as stack:
        assert stack.shape == (1, 12, 10, 3)
    with open_stack(tmp_path / "a.tif", channels=False) as stack:
        assert stack.shape == (3, 12, 10)
    with open_stack(tmp_path / "a.tif", labels=True) as stack:
        np.testing.assert_array_equal(list(stack), planes)


@as_napari
def test_planes_of_several_pages(tmp_path: Path) -> None:
    data = ramp(5, 3, 12, 10)
    tifffile.imwrite(tmp_path / "a.tif", data)
    with open_stack(tmp_path / "a.tif") as stack:
        assert stack.shape == (5, 12, 10, 3)
        assert "5 frame(s) of 3 colours: channels=False" in stack.notes[0]
    with open_stack(tmp_path / "a.tif", labels=True, axis="t", at=2) as stack:
        np.testing.assert_array_equal(list(stack), data[:, 2])


@pytest.mark.parametrize("count", [4, 6])
def test_imagej_stacks_stored_as_channels(tmp_path: Path, count: int) -> None:
    frames = ramp(count, 12, 10)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames, imagej=True)
    is_stack = count > 4
    with open_stack(path) as stack:
        assert len(stack) == (count if is_stack else 1)
        assert f"--channels {'yes' if is_stack else 'no'}" in stack.notes[0]
    for options in ({"axis": "c"}, {"channels": False}, {"labels": True}):
        with open_stack(path, **options) as stack:
            np.testing.assert_array_equal(list(stack), frames)
            assert stack.notes == ()
    with open_stack(path, labels=True, axis="c") as stack:
        assert (len(stack), stack.axis) == (count, "c")
    with open_stack(path, channels=True) as stack:
        assert stack.shape == (1, 12, 10, count)


def test_channels_of_an_imagej_hyperstack_stay_channels(tmp_path: Path) -> None:
    data = ramp(6, 5, 12, 10)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    with open_stack(tmp_path / "a.tif") as stack:
        assert stack.shape == (6, 12, 10, 5)
        assert stack.notes == ()


def test_pages_may_be_channels(tmp_path: Path) -> None:
    data = ramp(2, 12, 10)
    tifffile.imwrite(tmp_path / "a.tif", data)
    with open_stack(tmp_path / "a.tif", channels=True) as stack:
        assert stack.shape == (1, 12, 10, 2)


@as_napari
def test_labels_of_five_axes_are_read_back(tmp_path: Path) -> None:
    """T, C of length 1, Z, Y, X: what the dock makes for such an image."""
    data = ramp(5, 1, 6, 8, 8)
    tifffile.imwrite(tmp_path / "a.tif", data)
    with open_stack(tmp_path / "a.tif", labels=True, axis="z", at=4) as stack:
        np.testing.assert_array_equal(list(stack), data[4, 0])
    with open_stack(tmp_path / "a.tif", labels=True, axis="t", at=1) as stack:
        np.testing.assert_array_equal(list(stack), data[:, 0, 1])
    with pytest.raises(StackError, match="t=5, z=6: pass axis="):
        open_stack(tmp_path / "a.tif", labels=True)


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (1, 5, 8, 8), (1, 1, 5, 8, 8)])
@pytest.mark.parametrize("axis", [None, "z", "t", "c"])
def test_axes_of_length_1_do_not_count(
    tmp_path: Path, shape: tuple[int, ...], axis: str | None
) -> None:
    data = ramp(*shape)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    zarr.create_array(str(tmp_path / "a.zarr"), data=data)
    for stack in (
        open_stack(tmp_path / "a.tif", axis=axis),
        open_stack(tmp_path / "a.zarr", axis=axis, labels=True),
        array_stack(data, axis=axis, labels=True),
    ):
        with stack:
            np.testing.assert_array_equal(list(stack), data.reshape(5, 8, 8))


def test_a_frame_of_another_axis_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.ome.tif", ramp(5, 1, 8, 8), metadata={"axes": "TZYX"}
    )
    with open_stack(tmp_path / "a.ome.tif", axis="z", at=3) as stack:
        assert len(stack) == 1
        assert stack.notes == ("one frame along z, of data with t=5",)


def test_labels_have_no_colours(tmp_path: Path) -> None:
    data = ramp(5, 9, 4)
    zarr.create_array(str(tmp_path / "a.zarr"), data=data)
    with open_stack(tmp_path / "a.zarr", labels=True) as stack:
        np.testing.assert_array_equal(list(stack), data)
    with open_stack(tmp_path / "a.zarr") as stack:
        assert stack.shape == (1, 5, 9, 4)


def test_lengths_that_no_stack_has() -> None:
    with pytest.raises(StackError, match="at most 1000000 frames, got 1000000000"):
        array_stack(np.broadcast_to(np.uint8(0), (10**9, 8, 9)))


# -- time and depth -------------------------------------------------------------------


@pytest.mark.parametrize("axes", ["tzyx", "ztyx", "tzcyx"])
def test_frames_run_along_time_and_depth(axes: str) -> None:
    shape = [{"t": 3, "z": 4, "c": 2, "y": 6, "x": 5}[name] for name in axes]
    values = ramp(*shape)
    stack = array_stack(values, axes=axes, axis="tz")
    assert (len(stack), stack.axis, stack.grid.shape) == (12, "z", (3, 4))
    assert stack.grid.name(6) == "t 1, z 2"
    place = tuple({"t": 1, "z": 2}.get(name, slice(None)) for name in axes)
    frame = values[place]
    expected = np.moveaxis(frame, 0, -1) if "c" in axes else frame
    np.testing.assert_array_equal(stack[6], expected)


@pytest.mark.parametrize(
    ("axes", "shape"), [("zyx", (4, 6, 5)), ("tzyx", (3, 1, 6, 5))]
)
def test_of_data_with_one_of_them_they_run_along_that(
    axes: str, shape: tuple[int, ...]
) -> None:
    stack = array_stack(ramp(*shape), axes=axes, axis="tz")
    assert (len(stack), stack.axis) == (shape[0], axes[0])
    assert not stack.grid.has_two_axes


def test_along_both_there_is_no_other_axis(tmp_path: Path) -> None:
    values = ramp(3, 4, 6, 5)
    with pytest.raises(StackError, match="axis='tz' for both"):
        array_stack(values, axes="tzyx")
    with pytest.raises(StackError, match="no other axis"):
        array_stack(values, axes="tzyx", axis="tz", at=1)


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.ome.zarr"])
def test_labels_of_time_and_depth_are_gone_on_with(tmp_path: Path, name: str) -> None:
    create_labels(tmp_path / name, length=6, frame_shape=(8, 9), times=3).close()
    with reopen_labels(tmp_path / name) as labels:
        assert (labels.geometry.times, len(labels)) == (3, 6)
        labels[3] = np.full((8, 9), 7)
    with open_stack(tmp_path / name, axis="tz", labels=True) as stack:
        assert stack.grid.shape == (3, 2)
        assert [int(frame.max()) for frame in stack] == [0, 0, 0, 7, 0, 0]
