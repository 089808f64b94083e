from __future__ import annotations

import os
import shutil
import struct
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_seggpt.io import (
    Stack,
    StackError,
    array_stack,
    normalize_unit,
    open_stack,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_ome_zarr(
    path: Path,
    array: np.ndarray,
    *,
    axes: list[dict[str, str]],
    scale: list[float],
    version: str = "0.5",
) -> None:
    """Write an image with two resolutions, the coarse one every second pixel."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(str(path), mode="w", zarr_format=zarr_format)
    datasets = []
    for level, factor in enumerate((1, 2)):
        data = array[..., ::factor, ::factor]
        stored = group.create_array(
            str(level),
            shape=data.shape,
            chunks=(*[1] * (data.ndim - 2), *data.shape[-2:]),
            dtype=data.dtype,
        )
        stored[:] = data
        level_scale = [*scale[:-2], scale[-2] * factor, scale[-1] * factor]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [{"type": "scale", "scale": level_scale}],
            }
        )
    multiscales = [{"axes": axes, "datasets": datasets, "version": version}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = multiscales


TZCYX_AXES = [
    {"name": "t", "type": "time", "unit": "second"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]


# TIFF


def test_one_image_is_a_stack_of_one_frame(tmp_path: Path, zyx: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", zyx[0])
    with open_stack(tmp_path / "a.tif") as stack:
        assert stack.shape == (1, 20, 30)
        assert (stack.axis, stack.num_channels, stack.dtype) == ("z", 1, np.uint16)
        assert stack.pixel_size == (1.0, 1.0, 1.0)
        assert stack.units == ("frame", "pixel", "pixel")
        assert stack.name == "a.tif"
        np.testing.assert_array_equal(stack[0], zyx[0])
    with open_stack(tmp_path / "a.tif", axis="t") as stack:
        assert stack.axis == "t"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metadata": None},
        {"compression": "zlib"},
        {"compression": "zlib", "metadata": None, "tile": (16, 16)},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
    ],
    ids=str,
)
def test_pages(tmp_path: Path, zyx: np.ndarray, options: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", zyx, **options)
    with open_stack(tmp_path / "a.tif", axis="t") as stack:
        assert (len(stack), stack.axis, stack.frame_shape) == (6, "t", (20, 30))
        assert stack.dtype.isnative
        for frame, expected in zip(stack, zyx, strict=True):
            np.testing.assert_array_equal(frame, expected)
        np.testing.assert_array_equal(stack[-1], zyx[-1])
        for index in (6, -7):
            with pytest.raises(IndexError, match="Expected a frame from 0 to 5"):
                stack[index]


def test_rgb_pages(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "inside.tif", pages, photometric="rgb")
    planes = np.moveaxis(pages, -1, 1)
    tifffile.imwrite(
        tmp_path / "apart.tif", planes, photometric="rgb", planarconfig="separate"
    )
    for name in ("inside.tif", "apart.tif"):
        with open_stack(tmp_path / name) as stack:
            assert (stack.shape, stack.num_channels) == ((3, 8, 9, 3), 3)
            np.testing.assert_array_equal(stack[1], pages[1])


@pytest.mark.parametrize("chosen", [[1], [2, 0], (0, 1, 2)])
def test_channels_may_be_chosen(tmp_path: Path, chosen: Sequence[int]) -> None:
    values = np.random.default_rng(0).integers(0, 999, (4, 3, 8, 9)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "ZCYX"})
    with open_stack(tmp_path / "a.tif", channels=chosen) as stack:
        assert stack.num_channels == len(chosen)
        assert stack[2].shape == stack.shape[1:]
        np.testing.assert_array_equal(
            stack[2], np.squeeze(np.moveaxis(values[2, list(chosen)], 0, -1))
        )
    part = array_stack(values, axes="zcyx", channels=chosen).read_part(
        1, slice(2, 5), slice(4)
    )
    assert part.shape == (3, 4, len(chosen))[: 2 + (len(chosen) > 1)]


@pytest.mark.parametrize("chosen", [[3], [0, -1], []])
def test_channels_that_are_not_there_are_refused(chosen: list[int]) -> None:
    with pytest.raises(StackError, match="Expected channels from 0 to 2, got"):
        array_stack(np.zeros((4, 3, 8, 9)), axes="zcyx", channels=chosen)


def test_imagej_hyperstack(tmp_path: Path, tzcyx: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        tzcyx,
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.5),
        metadata={"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 30.0},
    )
    with open_stack(path, axis="z", at=2) as stack:
        assert stack.shape == (4, 10, 12, 2)
        assert stack.pixel_size == pytest.approx((2.0, 0.5, 0.25))
        assert stack.units == ("micrometer",) * 3
        np.testing.assert_array_equal(stack[3], np.moveaxis(tzcyx[2, 3], 0, -1))
    with open_stack(path, axis="t", at=1) as stack:
        assert stack.pixel_size == pytest.approx((30.0, 0.5, 0.25))
        assert stack.units == ("second", "micrometer", "micrometer")
        np.testing.assert_array_equal(stack[-1], np.moveaxis(tzcyx[2, 1], 0, -1))


@pytest.mark.parametrize("axis", ["z", "t"])
def test_imagej_file_that_only_counts_its_images(
    tmp_path: Path, zyx: np.ndarray, axis: str
) -> None:
    description = "ImageJ=1.11a\nimages=6\n"
    tifffile.imwrite(tmp_path / "a.tif", zyx, description=description, metadata=None)
    with open_stack(tmp_path / "a.tif", axis=axis) as stack:
        assert (stack.axis, len(stack)) == (axis, 6)
        np.testing.assert_array_equal(stack[3], zyx[3])


def test_two_long_axes_need_a_choice(tmp_path: Path, tzcyx: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, tzcyx, imagej=True, metadata={"axes": "TZCYX"})
    with pytest.raises(StackError, match=r"a.tif: .*t=3, z=4: pass axis='t' or .*at="):
        open_stack(path)
    with pytest.raises(StackError, match=r"axis among t=3, z=4, c=2, got 'p'"):
        open_stack(path, axis="p")
    with pytest.raises(StackError, match=r"at from 0 to 3 \(z=4\), got 4"):
        open_stack(path, axis="t", at=4)
    with open_stack(path, axis="t", at=3) as stack:
        assert len(stack) == 3
    with pytest.raises(StackError, match="at most one axis besides"):
        open_stack(path, axis="c")


@pytest.mark.parametrize(("shape", "axis"), [((5, 1), "t"), ((1, 5), "z")])
def test_the_long_axis_is_taken(
    tmp_path: Path, shape: tuple[int, int], axis: str
) -> None:
    data = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(*shape, 6, 7)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "TZYX"})
    with open_stack(tmp_path / "a.ome.tif") as stack:
        assert (stack.axis, len(stack)) == (axis, 5)
        np.testing.assert_array_equal(stack[4], data.reshape(5, 6, 7)[4])


def test_frames_along_channels(tmp_path: Path) -> None:
    data = np.arange(5 * 6 * 7, dtype=np.uint8).reshape(5, 6, 7)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata={"axes": "CYX"})
    with open_stack(tmp_path / "a.ome.tif", axis="c") as stack:
        assert stack.shape == (5, 6, 7)
        np.testing.assert_array_equal(stack[4], data[4])


def test_ome_tiff(tmp_path: Path, tzcyx: np.ndarray) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(tzcyx[0, :, 0, :5, :6], metadata={"axes": "ZYX"})
        metadata = {
            "axes": "TZCYX",
            "PhysicalSizeX": 250.0,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 0.5,
            "PhysicalSizeZ": 2.0,
            "TimeIncrement": 1.5,
            "TimeIncrementUnit": "min",
        }
        file.write(tzcyx, metadata=metadata, compression="zlib")
    with open_stack(path, axis="t", at=1, series=1) as stack:
        assert stack.shape == (3, 10, 12, 2)
        assert stack.pixel_size == (1.5, 0.5, 250.0)
        assert stack.units == ("minute", "micrometer", "nanometer")
        np.testing.assert_array_equal(stack[2], np.moveaxis(tzcyx[2, 1], 0, -1))
    with open_stack(path) as stack:
        assert stack.shape == (4, 5, 6)
    with pytest.raises(StackError, match="a series from 0 to 1, got 2"):
        open_stack(path, series=2)


def test_ome_tiff_of_two_files(tmp_path: Path, zyx: np.ndarray) -> None:
    names = ("first.ome.tif", "second.ome.tif")
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    for z, name in enumerate(names):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{z}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
            'DimensionOrder="XYZCT" Type="uint16" SizeX="30" SizeY="20" SizeZ="2" '
            f'SizeC="1" SizeT="1">{planes}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / name, zyx[z], description=xml, metadata=None)
    with open_stack(tmp_path / names[0]) as stack:
        assert len(stack) == 2
        np.testing.assert_array_equal(stack[1], zyx[1])
        np.testing.assert_array_equal(stack[0], zyx[0])


def test_tiff_pyramid(tmp_path: Path, zyx: np.ndarray) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(zyx, subifds=1, metadata=metadata)
        file.write(zyx[:, ::2, ::2], subfiletype=1)
    with open_stack(path, level=1) as stack:
        assert stack.shape == (6, 10, 15)
        assert stack.pixel_size == (1.0, 1.0, 1.0)
        assert stack.units == ("frame", "micrometer", "micrometer")
        np.testing.assert_array_equal(stack[5], zyx[5, ::2, ::2])
    with pytest.raises(StackError, match=r"a.ome.tif: Expected a level from 0 to 1"):
        open_stack(path, level=2)


def test_resolution_tags(tmp_path: Path, zyx: np.ndarray) -> None:
    """Per centimetre is taken; per inch is for printing."""
    for unit in ("CENTIMETER", "INCH"):
        tifffile.imwrite(
            tmp_path / f"{unit}.tif",
            zyx,
            resolution=(20000, 10000),
            resolutionunit=unit,
        )
    with open_stack(tmp_path / "CENTIMETER.tif") as stack:
        assert stack.pixel_size == pytest.approx((1.0, 1.0, 0.5))
        assert stack.units == ("frame", "micrometer", "micrometer")
    with open_stack(tmp_path / "INCH.tif") as stack:
        assert stack.pixel_size == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "options",
    [
        {"imagej": True, "metadata": {"axes": "TZCYX"}},
        {"ome": True, "metadata": {"axes": "TZCYX"}},
        {"ome": True, "metadata": {"axes": "TZCYX"}, "compression": "zlib"},
    ],
    ids=str,
)
def test_tiff_frame_reads_its_own_pages_only(
    tmp_path: Path,
    tzcyx: np.ndarray,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, tzcyx, **options)
    num_reads, num_bytes = 0, 0

    def count(name: str) -> None:
        original = getattr(tifffile.FileHandle, name)

        def counted(self: tifffile.FileHandle, *args: Any, **kwargs: Any) -> Any:
            nonlocal num_reads, num_bytes
            result = original(self, *args, **kwargs)
            parts = list(result) if name == "read_segments" else [result]
            num_reads += len(parts)
            num_bytes += sum(
                p.nbytes if isinstance(p, np.ndarray) else len(p[0] or b"")
                for p in parts
            )
            return iter(parts) if name == "read_segments" else result

        monkeypatch.setattr(tifffile.FileHandle, name, counted)

    count("read_array")
    count("read_segments")
    monkeypatch.setattr(tifffile.FileHandle, "memmap_array", None)
    with open_stack(path, axis="t", at=2) as stack:
        assert num_reads == 0
        np.testing.assert_array_equal(stack[1], np.moveaxis(tzcyx[1, 2], 0, -1))
        assert num_reads == 2  # one page a channel
        assert num_bytes <= 2 * 10 * 12 * 2


def test_frames_from_many_threads(tmp_path: Path, zyx: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "raw.tif", zyx)
    tifffile.imwrite(tmp_path / "small.tif", zyx, compression="zlib")
    for name in ("raw.tif", "small.tif"):
        with open_stack(tmp_path / name) as stack, ThreadPoolExecutor(8) as pool:
            order = list(range(6)) * 20
            frames = list(pool.map(stack.__getitem__, order))
        np.testing.assert_array_equal(frames, zyx[order])


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.85])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.tif", {"metadata": None}),
        ("compressed.tif", {"compression": "zlib"}),
        ("chain.tif", {"compression": "zlib", "metadata": None}),
        ("imagej.tif", {"imagej": True, "metadata": {"axes": "ZYX"}}),
        ("shaped.tif", {}),
    ],
)
def test_truncated_tiff(
    tmp_path: Path, zyx: np.ndarray, keep: float, name: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    tifffile.imwrite(path, zyx, **options)
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(StackError, match="Expected") as caught:  # noqa: SIM117
        with open_stack(path) as stack:
            assert len(list(stack)) == 6
    assert "\n" not in str(caught.value)


def test_ome_tiff_with_a_missing_page(tmp_path: Path, zyx: np.ndarray) -> None:
    path = tmp_path / "a.ome.tif"
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        'Type="uint16" SizeX="30" SizeY="20" SizeZ="3" SizeC="1" SizeT="1">'
        '<TiffData FirstZ="0" IFD="0" PlaneCount="1"/>'
        '<TiffData FirstZ="2" IFD="1" PlaneCount="1"/></Pixels></Image></OME>'
    )
    tifffile.imwrite(path, zyx[:2], description=xml, metadata=None)
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[2], zyx[1])
        with pytest.raises(StackError, match="got none for page 1"):
            stack[1]


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("length", [2**24, 2**31])
def test_a_page_that_announces_more_than_it_is(
    tmp_path: Path, zyx: np.ndarray, length: int, compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, zyx[0], tile=(16, 16), compression=compression)
    data = path.read_bytes()
    small = struct.pack("<HHII", 257, 4, 1, 20)  # the height
    assert data.count(small) == 1
    path.write_bytes(data.replace(small, struct.pack("<HHII", 257, 4, 1, length)))
    began = time.monotonic()
    with pytest.raises(StackError, match=r"a\.tif"):  # noqa: SIM117
        with open_stack(path) as stack:
            stack[0]
    assert time.monotonic() - began < 10


def test_not_a_tiff(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("text")
    with pytest.raises(StackError, match=r"Expected a TIFF file, got a.tif"):
        open_stack(tmp_path / "a.tif")


# zarr


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path: Path, tzcyx: np.ndarray, version: str) -> None:
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(
        path,
        tzcyx,
        axes=TZCYX_AXES,
        scale=[5.0, 2.0, 1.0, 0.5, 0.25],
        version=version,
    )
    with open_stack(path, axis="z", at=1) as stack:
        assert stack.shape == (4, 10, 12, 2)
        assert stack.pixel_size == (2.0, 0.5, 0.25)
        assert stack.units == ("micrometer",) * 3
        np.testing.assert_array_equal(stack[3], np.moveaxis(tzcyx[1, 3], 0, -1))
    with open_stack(path, axis="t", at=2, level=1) as stack:
        assert stack.shape == (3, 5, 6, 2)
        assert stack.pixel_size == (5.0, 1.0, 0.5)
        assert stack.units[0] == "second"
        expected = np.moveaxis(tzcyx[1, 2, :, ::2, ::2], 0, -1)
        np.testing.assert_array_equal(stack[1], expected)
    with pytest.raises(StackError, match="a level from 0 to 1, got 2"):
        open_stack(path, axis="t", level=2)


def test_zarr_frame_reads_its_own_chunks_only(
    tmp_path: Path, tzcyx: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, tzcyx, axes=TZCYX_AXES, scale=[1.0] * 5)
    chunks: list[str] = []
    original = zarr.storage.LocalStore.get

    async def get(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        if "/c/" in key:
            chunks.append(key)
        return await original(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", get)
    with open_stack(path, axis="z", at=1) as stack:
        assert chunks == []
        assert stack[2].shape == (10, 12, 2)
    assert sorted(chunks) == ["0/c/1/2/0/0/0", "0/c/1/2/1/0/0"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_zarr_array(tmp_path: Path, zyx: np.ndarray, zarr_format: int) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(
        str(path),
        shape=zyx.shape,
        chunks=(1, 20, 30),
        dtype=">u2" if zarr_format == 2 else "u2",
        zarr_format=zarr_format,
        dimension_names=("time", "y", "x") if zarr_format == 3 else None,
    )
    array[:] = zyx
    with open_stack(path) as stack:
        assert stack.axis == ("t" if zarr_format == 3 else "z")
        assert stack.dtype.isnative
        np.testing.assert_array_equal(stack[4], zyx[4])


def test_zarr_group_with_one_array_and_no_metadata(
    tmp_path: Path, zyx: np.ndarray
) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.open_group(str(path), mode="w")
    with pytest.raises(StackError, match="got arrays: none"):
        open_stack(path)
    group.create_array("image", shape=zyx.shape, dtype=zyx.dtype)[:] = zyx
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[1], zyx[1])
    group.create_array("labels", shape=zyx.shape, dtype=zyx.dtype)
    with pytest.raises(StackError, match="got arrays: image, labels"):
        open_stack(path)
    with open_stack(path / "labels", labels=True) as stack:
        assert len(stack) == 6


def test_images_in_a_bioformats_zarr(tmp_path: Path, tzcyx: np.ndarray) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for name, index in (("0", 0), ("1", 1)):
        write_ome_zarr(
            tmp_path / "a.zarr" / name,
            tzcyx[index],
            axes=TZCYX_AXES[1:],
            scale=[1.0] * 4,
            version="0.4",
        )
    with open_stack(tmp_path / "a.zarr", series=1) as stack:
        np.testing.assert_array_equal(stack[2], np.moveaxis(tzcyx[1, 2], 0, -1))


def test_damaged_zarr(tmp_path: Path, zyx: np.ndarray) -> None:
    path = tmp_path / "a.zarr"
    path.mkdir()
    with pytest.raises(StackError, match=r"got a.zarr"):
        open_stack(path)
    zarr.create_array(str(path), data=zyx, chunks=(1, 20, 30), overwrite=True)
    (path / "c" / "1" / "0" / "0").write_bytes(b"no chunk")
    with open_stack(path) as stack:
        np.testing.assert_array_equal(stack[0], zyx[0])
        with pytest.raises(StackError, match=r"frame 1 of a.zarr to be readable"):
            stack[1]
    (path / "zarr.json").write_text("{")
    with pytest.raises(StackError, match=r"got a.zarr"):
        open_stack(path)


def test_a_zarr_without_chunks_is_no_image(tmp_path: Path, zyx: np.ndarray) -> None:
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, zyx, axes=TZCYX_AXES[:1] + TZCYX_AXES[3:], scale=[1.0] * 3)
    with open_stack(path) as stack:
        assert stack[0].any()
    shutil.rmtree(path / "0" / "c")
    with pytest.raises(StackError, match=r"Expected pixels in a\.zarr, got none"):
        open_stack(path)
    with open_stack(path, level=1) as stack:
        assert stack[0].any()
    with open_stack(path, labels=True) as stack:
        assert not stack[0].any()


def test_what_a_file_manager_leaves_is_no_chunk(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), shape=(2, 8, 9), chunks=(1, 8, 9), dtype="u1")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._zarr.json"):
        (path / name).touch()
    with pytest.raises(StackError, match=r"Expected pixels in a\.zarr, got none"):
        open_stack(path)


@pytest.mark.parametrize(
    "kind",
    [
        {"zarr_format": 2},
        {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"chunk_key_encoding": {"name": "default", "separator": "."}},
        {"shards": (2, 8, 9)},
    ],
    ids=str,
)
def test_one_chunk_is_enough(tmp_path: Path, kind: dict[str, Any]) -> None:
    array = zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(2, 8, 9), chunks=(1, 8, 9), dtype="u1", **kind
    )
    array[1] = 3
    with open_stack(tmp_path / "a.zarr") as stack:
        assert stack[1].all()


def test_a_plate_says_how_to_open_its_images(tmp_path: Path, zyx: np.ndarray) -> None:
    group = zarr.create_group(str(tmp_path / "a.zarr"), zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    well = group.create_group("A/1")
    well.attrs["well"] = {"images": [{"path": "0"}]}
    well.create_array("0", data=zyx)
    with pytest.raises(StackError, match=r"wells A/1, B/2 .* as a\.zarr/A/1/0"):
        open_stack(tmp_path / "a.zarr")
    with pytest.raises(StackError, match="a well with images 0"):
        open_stack(tmp_path / "a.zarr" / "A" / "1")
    with open_stack(tmp_path / "a.zarr" / "A" / "1" / "0") as stack:
        assert len(stack) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="no file has such a name there")
def test_a_name_with_colons_is_a_name(tmp_path: Path, zyx: np.ndarray) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=zyx)
    (tmp_path / "a.zarr").rename(tmp_path / "a::b.zarr")
    with open_stack(tmp_path / "a::b.zarr") as stack:
        np.testing.assert_array_equal(stack[2], zyx[2])


def test_unnamed_zarr_axes_of_wrong_rank(tmp_path: Path) -> None:
    zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=(2, 2, 2, 5, 5),
        chunks=(1, 1, 1, 5, 5),
        dtype="u1",
    )
    with pytest.raises(StackError, match=r"2 to 4 axes .*got shape \(2, 2, 2, 5, 5\)"):
        open_stack(tmp_path / "a.zarr")


# folders and pictures


def test_folder_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        image = Image.fromarray(np.full((4, 5), number, np.uint8))
        image.save(tmp_path / f"frame{number}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._frame3.png").write_bytes(b"left by macOS")
    with open_stack(tmp_path, axis="t") as stack:
        assert (stack.axis, stack.shape) == ("t", (3, 4, 5))
        assert [int(frame[0, 0]) for frame in stack] == [1, 2, 10]


def test_folder_in_the_order_of_napari(tmp_path: Path) -> None:
    names = ["A_1", "a_2", "B_1", "b_10", "b_9", "_3", "10", "9", "Z-2", "z 1", "é2"]
    for number, name in enumerate(names):
        image = Image.fromarray(np.full((4, 5), number, np.uint8))
        image.save(tmp_path / f"{name}.png")
    magic_imread = pytest.importorskip("napari_builtins.io._read").magic_imread
    expected = np.asarray(magic_imread(str(tmp_path)))[:, 0, 0]
    with open_stack(tmp_path) as stack:
        assert [int(frame[0, 0]) for frame in stack] == expected.tolist()


@pytest.mark.parametrize(
    "name",
    [
        "f{}_masks", "f{}_cp_masks", "f{}-mask", "F{}_Label", "f{} seg",
        "f{}_Simple Segmentation", "f{}_Object Identities", "f{}.labels", "f{}masks",
        "f{}_annotation", "f{}_stardist_labels", "mask_f{}", "Labels-f{}",
    ],
)  # fmt: skip
def test_masks_beside_images_are_no_frames(tmp_path: Path, name: str) -> None:
    for number in range(3):
        frame = np.full((4, 5), number, np.uint8)
        Image.fromarray(frame).save(tmp_path / f"f{number}.png")
        mask = tmp_path / f"{name.format(number)}.tif"
        tifffile.imwrite(mask, frame.astype("u2") + 9)
    with open_stack(tmp_path) as stack:
        assert [int(frame[0, 0]) for frame in stack] == [0, 1, 2]
        assert "3 masks and the like beside the images are left out" in stack.notes[0]
        assert f"{name.format(0)}.tif" in stack.notes[0]
    with open_stack(tmp_path, labels=True) as stack:
        assert [int(frame[0, 0]) for frame in stack] == [9, 10, 11]
        assert "3 images beside the masks are left out" in stack.notes[0]
    (tmp_path / f"{name.format(1)}.tif").unlink()
    with open_stack(tmp_path) as stack:
        assert len(stack) == 3
    with pytest.raises(StackError, match=r"one mask beside each .* none for f1\.png"):
        open_stack(tmp_path, labels=True)


def test_frames_that_are_named_as_masks_are_frames(tmp_path: Path) -> None:
    names = ("a_masks", "b_masks", "c_flows", "a", "a_1", "ab", "mask_1", "awesome")
    for name in names[:3]:
        Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / f"{name}.png")
    for name in names[3:]:
        Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / f"x{name}.png")
    for labels in (False, True):
        with open_stack(tmp_path, labels=labels) as stack:
            assert len(stack) == len(names)
            assert stack.notes == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_are_no_frames(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 5), np.uint8)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "c.tif")
    with open_stack(tmp_path) as stack:
        assert len(stack) == 1
    for name in ("b.png", "c.tif"):
        with pytest.raises(StackError, match=f"got .*{name}, which is a pipe"):
            open_stack(tmp_path / name)
    (tmp_path / "d.tif").symlink_to("/dev/zero")
    with pytest.raises(StackError, match="which is a pipe or a device"):
        open_stack(tmp_path / "d.tif")


def test_folder_of_all_formats(tmp_path: Path) -> None:
    rgb = np.zeros((6, 7, 3), np.uint8)
    rgb[..., 1] = 200
    for name in ("a.png", "b.bmp", "c.jpg"):
        Image.fromarray(rgb).save(tmp_path / name)
    tifffile.imwrite(
        tmp_path / "d.tif",
        rgb,
        photometric="rgb",
        resolution=(1e4, 1e4),
        resolutionunit="CENTIMETER",
    )
    with open_stack(tmp_path) as stack:
        assert stack.shape == (4, 6, 7, 3)
        for frame in stack:
            np.testing.assert_allclose(frame.astype(int), rgb, atol=2)
    with open_stack(tmp_path / "b.bmp") as stack:
        assert stack.shape == (1, 6, 7, 3)


def test_folder_of_tiffs_keeps_dtype_and_pixel_size(
    tmp_path: Path, zyx: np.ndarray
) -> None:
    for number, frame in enumerate(zyx):
        tifffile.imwrite(
            tmp_path / f"{number}.tif",
            frame,
            resolution=(2e4, 2e4),
            resolutionunit="CENTIMETER",
        )
    with open_stack(tmp_path) as stack:
        assert stack.pixel_size == pytest.approx((1.0, 0.5, 0.5))
        np.testing.assert_array_equal(list(stack), zyx)


def test_folder_of_unlike_frames(tmp_path: Path, zyx: np.ndarray) -> None:
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "1.png")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "2.png")
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(tmp_path / "3.png")
    message = r"\(4, 5\) uint8 as in 1.png, got \(4, 6\) uint8 in 3.png"
    with pytest.raises(StackError, match=message):
        open_stack(tmp_path)
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "2.png")
    with pytest.raises(StackError, match=r"got \(4, 5, 3\) uint8 in 2.png"):
        open_stack(tmp_path)
    tifffile.imwrite(tmp_path / "2.tif", zyx)
    (tmp_path / "2.png").unlink()
    with pytest.raises(StackError, match=r"one frame per file .* got 6 in 2.tif"):
        open_stack(tmp_path)


def test_unlike_frames_of_a_growing_folder_cannot_be_read(tmp_path: Path) -> None:
    for number, width in enumerate((5, 6, 5)):
        frame = np.full((4, width), number, np.uint8)
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    with open_stack(tmp_path, growing=True) as stack:
        assert stack.notes == ("cannot read 1 file, first 1.png",)
        assert [stack[index].max() for index in (0, 2)] == [0, 2]
        with pytest.raises(StackError, match=r"got \(4, 6\) uint8 in 1.png"):
            stack[1]


def test_palette_images_are_colors_or_labels(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    image = Image.fromarray(labels)
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    assert image.mode == "P"
    image.save(tmp_path / "a.png")
    Image.fromarray(labels > 0).save(tmp_path / "b.png")
    with open_stack(tmp_path / "a.png") as stack:
        assert stack[0].tolist()[0] == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    with open_stack(tmp_path, labels=True) as stack:
        np.testing.assert_array_equal(stack[0], labels)
        np.testing.assert_array_equal(stack[1], labels > 0)
    with open_stack(tmp_path / "b.png") as stack:
        np.testing.assert_array_equal(stack[0], (labels > 0) * 255)


@pytest.mark.parametrize("mode", ["LA", "RGBA", "CMYK"])
def test_alpha_is_left_out(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (5, 4)).save(path)
    with open_stack(path) as stack:
        assert stack.shape == ((1, 4, 5) if mode == "LA" else (1, 4, 5, 3))
        assert stack[0].dtype == np.uint8


def test_transparent_pixels_of_grey_labels_are_background(tmp_path: Path) -> None:
    values = np.array([[7, 7], [9, 0]], np.uint8)
    alpha = np.array([[0, 1], [255, 255]], np.uint8)
    image = Image.merge("LA", (Image.fromarray(values), Image.fromarray(alpha)))
    image.save(tmp_path / "a.png")
    with open_stack(tmp_path / "a.png", labels=True) as stack:
        np.testing.assert_array_equal(stack[0], [[0, 7], [9, 0]])
    with open_stack(tmp_path / "a.png") as stack:
        np.testing.assert_array_equal(stack[0], values)


def test_labels_whose_palettes_differ_are_noted(tmp_path: Path) -> None:
    colors = [0, 0, 0, 255, 0, 0, 0, 255, 0]
    for number, palette in enumerate((colors, colors[:6])):
        image = Image.fromarray(np.eye(8, dtype=np.uint8), mode="P")
        image.putpalette(palette)
        image.save(tmp_path / f"{number}.png")
    with open_stack(tmp_path, labels=True) as stack:
        assert not any("palettes" in note for note in stack.notes)
    image.putpalette(colors[6:] + colors[:6])
    image.save(tmp_path / "2.png")
    with open_stack(tmp_path, labels=True) as stack:
        assert any("palettes differ" in note for note in stack.notes)
        np.testing.assert_array_equal(stack[2], np.eye(8))
    with open_stack(tmp_path) as stack:
        assert not any("palettes" in note for note in stack.notes)


def save_16_bits(path: Path, pixels: np.ndarray, kind: int) -> None:
    """Save (H, W, C) as a PNG of 16 bits, which Pillow does not; see its format."""
    height, width, _ = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(data))
            + name
            + data
            + struct.pack(">I", zlib.crc32(name + data))
            for name, data in parts
        )
    )


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bits_of_colours_are_no_labels_and_noted_in_images(
    tmp_path: Path, kind: int, channels: int
) -> None:
    path = tmp_path / "f0.png"
    save_16_bits(path, np.full((6, 8, channels), 300), kind)
    with pytest.raises(StackError, match="colours of 8 bits, got 16 bits"):
        open_stack(path, labels=True)
    with pytest.raises(StackError, match="colours of 8 bits, got 16 bits"):
        open_stack(tmp_path, labels=True)
    for opened in (path, tmp_path):
        with open_stack(opened) as stack:
            assert any("8 are read" in note for note in stack.notes)
    save_16_bits(path, np.full((6, 8, 1), 300), 0)
    with open_stack(path, labels=True) as stack:
        assert int(stack[0].max()) == 300
        assert not any("8 are read" in note for note in stack.notes)


def test_reading_16_bit_png_and_integer_labels(tmp_path: Path) -> None:
    wide = np.array([[0, 40000], [7, 1]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", wide.astype(np.int32))
    with open_stack(tmp_path / "a.png") as stack:
        assert stack.dtype == np.uint16
        np.testing.assert_array_equal(stack[0], wide)
    with open_stack(tmp_path / "a.tif", labels=True) as stack:
        assert stack[0].dtype == np.int32


def test_paths_that_are_no_stacks(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="does not exist"):
        open_stack(tmp_path / "none.tif")
    with pytest.raises(
        StackError, match=r"Expected a folder with images .* without any"
    ):
        open_stack(tmp_path)
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(StackError, match=r"ending in .tif, .*, got a.txt"):
        open_stack(tmp_path / "a.txt")
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(StackError, match=r"Expected an image, got a.png"):
        open_stack(tmp_path / "a.png")


def test_a_frame_is_named_by_its_number_in_the_stack(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 50, 50)).astype(np.uint8)
    for number, frame in enumerate(noise):
        Image.fromarray(frame).save(tmp_path / f"f{number}.png")
    os.truncate(tmp_path / "f2.png", 1000)
    with open_stack(tmp_path) as stack:
        np.testing.assert_array_equal(stack[1], noise[1])
        message = r"Expected frame 2 of .* to be readable, got: f2\.png: .*truncated"
        with pytest.raises(StackError, match=message):
            stack[2]


def test_a_picture_with_a_text_without_end(tmp_path: Path) -> None:
    text = PngInfo()
    text.add_text("a", "x" * 50_000_000, zip=True)
    Image.new("L", (8, 9)).save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(
        StackError, match=r"Expected an image, got a\.png: .* too large"
    ):
        open_stack(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["f{}.png", "f{}.tif", "f{}.jpg"])
def test_a_file_without_an_image_keeps_no_other(tmp_path: Path, name: str) -> None:
    for number in range(3):
        path = tmp_path / name.format(number)
        Image.fromarray(np.full((8, 9), 50 * number, np.uint8)).save(path)
    for data in (b"", b"no image", path.read_bytes()[:20]):
        (tmp_path / name.format(0)).write_bytes(data)
        with open_stack(tmp_path) as stack:
            assert [int(stack[i][0, 0]) for i in (1, 2)] == [50, 100]
            assert f"cannot read 1 file, first {name.format(0)}" in stack.notes
            with pytest.raises(StackError, match=r"Expected frame 0 of .* readable"):
                stack[0]
    for number in (1, 2):
        (tmp_path / name.format(number)).write_bytes(b"")
    with pytest.raises(StackError, match=rf"Expected .*{name.format(0)}"):
        open_stack(tmp_path)


def test_picture_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 255, (50, 50)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    os.truncate(path, 1000)
    with (
        open_stack(path) as stack,
        pytest.raises(StackError, match=r"frame 0 of a.png to be readable"),
    ):
        stack[0]
    with pytest.raises(StackError, match="a level from 0 to 0, got 1"):
        open_stack(path, level=1)


# arrays


class CountingArray:
    """An array-like that notes what is asked of it."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.shape = array.shape
        self.dtype = array.dtype
        self.asked: list[Any] = []

    def __getitem__(self, index: Any) -> np.ndarray:
        self.asked.append(index)
        return self.array[index]


def test_array_stack_is_lazy(tzcyx: np.ndarray) -> None:
    array = CountingArray(tzcyx)
    stack = array_stack(
        array,
        axes="TZCYX",
        axis="t",
        at=3,
        pixel_size=(2, 0.5, 0.5),
        units=("min", "µm", "micron"),
    )
    assert array.asked == []
    assert stack.pixel_size == (2.0, 0.5, 0.5)
    assert stack.units == ("minute", "micrometer", "micrometer")
    np.testing.assert_array_equal(stack[1], np.moveaxis(tzcyx[1, 3], 0, -1))
    assert array.asked == [(1, 3, slice(None), slice(None), slice(None))]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((8, 9), (1, 8, 9)),
        ((5, 8, 9), (5, 8, 9)),
        ((8, 9, 3), (1, 8, 9, 3)),
        ((5, 8, 9, 4), (5, 8, 9, 4)),
        ((1, 5, 8, 9), (5, 8, 9)),
    ],
)
def test_axes_of_arrays_are_guessed(
    shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    stack = array_stack(np.zeros(shape))
    assert stack.shape == expected
    assert stack[0].shape == expected[1:]


def test_arrays_that_are_no_stacks() -> None:
    with pytest.raises(StackError, match="pass axis='t' or axis='z'"):
        array_stack(np.zeros((2, 3, 8, 9)))
    with pytest.raises(StackError, match="frames can run along, got 'y'"):
        array_stack(np.zeros((8, 9)), axis="y")
    with pytest.raises(StackError, match="2 to 4 axes"):
        array_stack(np.zeros(8))
    with pytest.raises(StackError, match="one axis per dimension"):
        array_stack(np.zeros((8, 9)), axes="zyx")
    with pytest.raises(StackError, match="y and x once each"):
        array_stack(np.zeros((8, 9)), axes="zx")
    with pytest.raises(StackError, match="at least one pixel"):
        array_stack(np.zeros((0, 8, 9)))
    with pytest.raises(StackError, match="three positive pixel sizes"):
        array_stack(np.zeros((8, 9)), pixel_size=(1.0, 0.0, 1.0))


def test_closed_stack() -> None:
    stack = array_stack(np.zeros((2, 8, 9)))
    stack.close()
    with pytest.raises(StackError, match="Expected an open stack, got array, closed"):
        stack[0]
    assert repr(stack) == "<Stack 'array' along z: (2, 8, 9) float64>"
    assert isinstance(stack, Stack)


@pytest.mark.parametrize(
    ("spelling", "unit"),
    [
        ("µm", "micrometer"),
        ("μm", "micrometer"),
        ("um", "micrometer"),
        ("micron", "micrometer"),
        (r"\u00B5m", "micrometer"),
        ("Micrometers", "micrometer"),
        ("sec", "second"),
        ("parsec", "parsec"),
        (None, ""),
    ],
)
def test_units(spelling: str | None, unit: str) -> None:
    assert normalize_unit(spelling) == unit
