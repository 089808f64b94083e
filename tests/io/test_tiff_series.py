"""Which of the images in a TIFF file are read."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_seggpt.io import StackError, open_stack

if TYPE_CHECKING:
    from pathlib import Path


def write_pages(path: Path, pages: list[np.ndarray], **options: Any) -> None:
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, **options)


@pytest.mark.parametrize("options", [{}, {"metadata": None}, {"compression": "zlib"}])
def test_appended_pages_are_one_stack(
    tmp_path: Path, zyx: np.ndarray, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.tif"
    for frame in zyx:
        tifffile.imwrite(path, frame, append=True, **options)
    with open_stack(path) as stack:
        np.testing.assert_array_equal(list(stack), zyx)
        assert stack.notes == ()


def test_appended_stacks_are_one_stack(tmp_path: Path, zyx: np.ndarray) -> None:
    write_pages(
        tmp_path / "a.tif", [zyx[:2], zyx[2], zyx[3:]], photometric="minisblack"
    )
    with open_stack(tmp_path / "a.tif", axis="t") as stack:
        np.testing.assert_array_equal(list(stack), zyx)
    with open_stack(tmp_path / "a.tif", series=0) as stack:
        np.testing.assert_array_equal(list(stack), zyx[:2])


def test_pages_of_mixed_compression_keep_their_order(
    tmp_path: Path, zyx: np.ndarray
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for number, page in enumerate(zyx):
            file.write(page, metadata=None, compression="zlib" if number % 2 else None)
    with open_stack(tmp_path / "a.tif") as stack:
        np.testing.assert_array_equal(list(stack), zyx)


def test_a_page_of_another_size_is_said(tmp_path: Path, zyx: np.ndarray) -> None:
    pages = [page[:15] if i == 3 else page for i, page in enumerate(zyx)]
    write_pages(tmp_path / "a.tif", pages, metadata=None)
    with open_stack(tmp_path / "a.tif") as stack:
        np.testing.assert_array_equal(list(stack), np.delete(zyx, 3, axis=0))
        (note,) = stack.notes
        assert note.startswith("left out: 1 page of another kind, first page 3 of")
        assert "page 3 of 15 x 30: series= (--series)" in note


def test_a_thumbnail_first_is_left_out(tmp_path: Path, zyx: np.ndarray) -> None:
    write_pages(tmp_path / "a.tif", [zyx[0, ::4, ::4], *zyx], metadata=None)
    with open_stack(tmp_path / "a.tif") as stack:
        np.testing.assert_array_equal(list(stack), zyx)
        assert "page 0 of 5 x 8" in stack.notes[0]
    with open_stack(tmp_path / "a.tif", series=0) as stack:
        assert stack.shape == (1, 5, 8)
        assert stack.notes == ()


def test_further_images_of_an_ome_tiff_are_said(
    tmp_path: Path, zyx: np.ndarray
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(zyx[:2], metadata={"axes": "ZYX"})
        file.write(zyx, metadata={"axes": "ZYX"})
    with open_stack(tmp_path / "a.ome.tif") as stack:
        assert len(stack) == 2
        assert "the first of 2 images: series= (--series)" in stack.notes[0]


def ome_xml(sizes: str, inside: str = "<TiffData/>", after: str = "") -> str:
    return (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        f'Type="uint16" SizeX="30" SizeY="20" {sizes}>{inside}</Pixels></Image>'
        f"{after}</OME>"
    )


ONE = 'SizeZ="1" SizeC="1" SizeT="1"'
MODULO = '<Modulo><ModuloAlongZ Start="0" End="1000000000" Step="1"/></Modulo>'
LAUGHS = "".join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' if i else '<!ENTITY a0 "ha">'
    for i in range(10)
)


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (ome_xml('SizeZ="100000000" SizeC="1" SizeT="1"'), "announces"),
        (ome_xml('SizeZ="1" SizeC="-1000000000" SizeT="1000000000"'), "announces"),
        (ome_xml(ONE, '<TiffData PlaneCount="1000000000"/>'), "announces"),
        (ome_xml(ONE, '<TiffData NumPlanes="1e300"/>'), "announces"),
        (ome_xml(ONE, '<TiffData NumPlanes="NaN"/>'), "announces"),
        (ome_xml(ONE, after=f"<Value>{MODULO}</Value>"), "announces"),
        (ome_xml(ONE, after="<a>" * 20_000 + "</a>" * 20_000), "nested too deep"),
        (f"<!DOCTYPE OME [{LAUGHS}]>" + ome_xml(ONE, "&a9;"), "entities of its own"),
    ],
    ids=["z", "negative", "count", "huge", "nan", "modulo", "deep", "laughs"],
)
def test_ome_xml_that_would_take_all_memory_or_time(
    tmp_path: Path, zyx: np.ndarray, xml: str, words: str
) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", zyx[0], description=xml, metadata=None)
    began = time.monotonic()
    with pytest.raises(StackError, match=rf"a\.ome\.tif: .*{words}"):
        open_stack(tmp_path / "a.ome.tif")
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_ome_xml_that_names_a_pipe(tmp_path: Path, zyx: np.ndarray) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    named = '<UUID FileName="pipe.tif">urn:uuid:1</UUID>'
    xml = ome_xml(ONE, f'<TiffData PlaneCount="1">{named}</TiffData>')
    tifffile.imwrite(tmp_path / "a.ome.tif", zyx[0], description=xml, metadata=None)
    with pytest.raises(StackError, match=r"pipe\.tif, which is a pipe or a device"):
        open_stack(tmp_path / "a.ome.tif")


def test_zero_is_white_is_shown_as_others(tmp_path: Path, zyx: np.ndarray) -> None:
    for values in (zyx, zyx.astype(np.uint8), zyx.astype(np.float32)):
        tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
        with open_stack(tmp_path / "a.tif") as stack:
            shown = np.stack(list(stack)).astype(float)
        assert stack.dtype == values.dtype
        assert (shown + values == shown[0, 0, 0] + float(values[0, 0, 0])).all()
        with open_stack(tmp_path / "a.tif", labels=True) as stack:
            np.testing.assert_array_equal(list(stack), values)
