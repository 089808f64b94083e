"""TIFF, ImageJ hyperstack and OME-TIFF files as a source of frames."""

from __future__ import annotations

import contextlib
import itertools
import math
import operator
import struct
import threading
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import (
    MAYBE_CHANNELS,
    MAYBE_COLORS,
    UNNAMED,
    Layout,
    StackError,
    axis_name,
    choose,
    normalize_unit,
    one_line,
    positive,
)
from napari_seggpt.io.tiff_series import check_announced, check_complete, choose_series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_seggpt.io.layout import Calibration, Index

MINISWHITE = 0  # value of the TIFF tag PhotometricInterpretation
MOST_TILES = 1000  # that a damaged page may lack without being refused
JPEGS = (6, 7, 33007, 34892)  # values of the TIFF tag Compression
CENTIMETER = 3  # value of the TIFF tag ResolutionUnit
MICROMETERS_PER_CENTIMETER = 1e4

TIFF_DAMAGE = (*DAMAGE, tifffile.TiffFileError)  # a ValueError only in newer versions


class TiffSource:
    """The images of a TIFF file, of which only the pages asked for are read.

    Parameters
    ----------
    path : Path
        The file.
    level : int
        Resolution level of a pyramid, 0 the finest.
    series : int, optional
        Which of the images in the file; by default as `choose_series` says.
    labels : bool
        Whether values are ids, which are never inverted.

    Raises
    ------
    StackError
        If the file is no TIFF, is truncated, or has no such series or level.
    """

    def __init__(
        self,
        path: Path,
        *,
        level: int = 0,
        series: int | None = None,
        labels: bool = False,
    ) -> None:
        self._path = path
        # The file is read by seeking, and frames may be asked for from many threads.
        self._lock = threading.Lock()
        with contextlib.ExitStack() as on_error:
            try:
                self._file = on_error.enter_context(tifffile.TiffFile(path))
                check_announced(self._file, path.parent)
                chosen = choose_series(self._file, series)
                base = chosen.series
                self._series = choose(base.levels, level, "a level")
                self._pages = chosen.pages
                check_complete(self._file, self._series)
                page = self._series.keyframe
                self._is_inverted = not labels and page.photometric == MINISWHITE
                letters, shape = _all_pages(self._series, len(self._pages))
                self._num_leading = _count_leading_axes(page, shape)
                self.layout = Layout(
                    axes=_axes(self._series.kind, letters),
                    shape=shape,
                    dtype=self._series.dtype,
                    calibration=_calibration(self._file, base, level),
                    notes=chosen.notes,
                    is_lossy=page.compression in JPEGS,
                )
            except StackError as error:
                raise StackError(f"{path.name}: {error}") from None
            except TIFF_DAMAGE as error:
                raise StackError(
                    f"Expected a TIFF file, got {path.name}: {one_line(error)}"
                ) from error
            on_error.pop_all()

    @property
    def offset(self) -> int | None:
        """Where in the file all pixels lie in one piece, None where they do not."""
        in_this_file = self._series.keyframe.parent is self._file
        is_one_piece = in_this_file and not self._pages
        return self._series.dataoffset if is_one_piece else None

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Data type of the pixels as they lie in the file."""
        return self._series.dtype.newbyteorder(self._file.byteorder)

    def read(self, index: Index) -> npt.NDArray[Any]:
        """Return the block at one integer or full slice per axis."""
        leading, inside = index[: self._num_leading], index[self._num_leading :]
        lengths = self.layout.shape[: self._num_leading]
        page_shape = self.layout.shape[self._num_leading :]
        ranges = [
            range(n) if isinstance(at, slice) else (at,)
            for at, n in zip(leading, lengths, strict=True)
        ]
        pages = [
            self._read_page(_page_number(position, lengths)).reshape(page_shape)[inside]
            for position in itertools.product(*ranges)
        ]
        kept = [n for at, n in zip(leading, lengths, strict=True) if at == slice(None)]
        block = np.stack(pages).reshape(*kept, *pages[0].shape)
        return _inverted(block) if self._is_inverted else block

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()

    def _read_page(self, number: int) -> npt.NDArray[Any]:
        """Read one page, flat or in its own shape."""
        with self._lock:
            if self.offset is not None:
                size = math.prod(self.layout.shape[self._num_leading :])
                start = self.offset + number * size * self.layout.dtype.itemsize
                handle = self._file.filehandle
                return handle.read_array(self.stored_dtype, size, start)
            series = self._series
            if self._pages:
                series, number = self._pages[number]
            try:
                page = series[number]
            except (IndexError, struct.error, tifffile.TiffFileError):
                page = None
            if page is None:
                raise StackError(
                    f"Expected {len(series)} pages in {self._path.name}, "
                    f"got none for page {number}: the file is truncated or unfinished."
                )
            return _decode(page)


def _inverted(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values of a file in which 0 is white, as others have them."""
    return -values if values.dtype.kind in "fc" else np.invert(values)


def _axis(letter: str) -> str:
    """Return the name of an axis that tifffile calls `letter`; I and Q are unnamed."""
    return UNNAMED if letter in "IQ" else axis_name(letter)


def _axes(kind: str, letters: str) -> tuple[str, ...]:
    """Return the names of axes, with what the file may call so by mistake.

    Where a program gives tifffile no names, it takes a row of 3 or 4 images for the
    colours of one, and a row of images in an ImageJ file for channels.
    """
    doubts = {("imagej", "C"): MAYBE_CHANNELS}
    if letters.find("S") < letters.find("Y"):
        doubts["shaped", "S"] = MAYBE_COLORS
    return tuple(doubts.get((kind, letter), _axis(letter)) for letter in letters)


def _page_number(position: Sequence[int], lengths: Sequence[int]) -> int:
    """Return which page lies at a position on the axes that run over pages."""
    number = 0
    for at, length in zip(position, lengths, strict=True):
        number = number * length + at
    return number


def _all_pages(
    series: tifffile.TiffPageSeries, num_joined: int
) -> tuple[str, tuple[int, ...]]:
    """Return axes and shape of a series, or of so many pages of joined ones."""
    if not num_joined:
        return series.get_axes(squeeze=False), series.get_shape(squeeze=False)
    page = series.keyframe
    return f"I{page.axes}", (num_joined, *page.shape)


def _count_leading_axes(page: tifffile.TiffPage, shape: tuple[int, ...]) -> int:
    """Return how many axes run over pages; the others lie within a page."""
    num_pages = math.prod(shape) // math.prod(page.shape)
    for count in range(len(shape)):
        if math.prod(shape[:count]) == num_pages:
            return count
    raise StackError(
        f"Expected axes {shape} made of pages of {page.shape}, got a rest."
    )


def _decode(page: tifffile.TiffPage | tifffile.TiffFrame) -> npt.NDArray[Any]:
    """Read one page of the file, or of a file beside it in a multi-file OME-TIFF."""
    handle = page.parent.filehandle
    was_closed = handle.closed
    handle.open()
    try:
        announced = math.prod(page.chunked)
        if announced > MOST_TILES + 2 * len(page.dataoffsets):
            raise StackError(
                f"Expected {announced} tiles or strips in page {page.index} of "
                f"{handle.name}, got {len(page.dataoffsets)}."
            )
        ends = map(operator.add, page.dataoffsets, page.databytecounts)
        if max(ends, default=0) > handle.size:
            raise StackError(
                f"Expected a complete TIFF file, got {handle.name}, which ends "
                f"within page {page.index}."
            )
        return page.asarray()
    except tifffile.TiffFileError as error:
        raise StackError(
            f"Expected page {page.index} of {handle.name} to be readable, "
            f"got: {one_line(error)}"
        ) from error
    finally:
        if was_closed:
            handle.close()


def _calibration(
    file: tifffile.TiffFile, base: tifffile.TiffPageSeries, level: int
) -> Calibration:
    """Return the pixel sizes of a series, for one of its levels."""
    if base.kind == "ome":
        index = next(i for i, one in enumerate(file.series) if one is base)
        known = _ome_calibration(file.ome_metadata or "", index)
    else:
        metadata = file.imagej_metadata or next(iter(file.shaped_metadata or ()), {})
        known = _tag_calibration(metadata, base.keyframe)
    fine, coarse = _lengths(base), _lengths(base.levels[level])
    return {
        axis: (size * fine.get(axis, 1) / coarse.get(axis, 1), unit)
        for axis, (size, unit) in known.items()
    }


def _lengths(series: tifffile.TiffPageSeries) -> dict[str, int]:
    axes = map(_axis, series.get_axes(squeeze=False))
    return dict(zip(axes, series.get_shape(squeeze=False), strict=True))


def _ome_calibration(xml: str, index: int) -> Calibration:
    """Return the pixel sizes that the OME-XML gives for one image."""
    pixels = ElementTree.fromstring(xml).findall("{*}Image/{*}Pixels")
    attributes = pixels[index].attrib if index < len(pixels) else {}
    names = {
        axis: (f"PhysicalSize{axis.upper()}", "µm") for axis in ("x", "y", "z")
    } | {"t": ("TimeIncrement", "s")}
    found = {
        axis: (
            positive(attributes.get(name)),
            normalize_unit(attributes.get(f"{name}Unit", default)),
        )
        for axis, (name, default) in names.items()
    }
    return {axis: (size, unit) for axis, (size, unit) in found.items() if size}


def _tag_calibration(
    metadata: Mapping[str, Any], page: tifffile.TiffPage
) -> Calibration:
    """Return the pixel sizes that ImageJ's description and the resolution tags give.

    Resolutions per inch are print resolutions and say nothing of the object: ignored.
    """
    unit = normalize_unit(str(metadata.get("unit", "")))
    found: dict[str, tuple[float | None, str]] = {
        "z": (
            positive(metadata.get("spacing")),
            normalize_unit(str(metadata.get("zunit", unit))),
        ),
        "t": (
            positive(metadata.get("finterval")),
            normalize_unit(str(metadata.get("tunit", "second"))),
        ),
    }
    factor = 1.0
    if not unit and page.resolutionunit == CENTIMETER:
        unit, factor = "micrometer", MICROMETERS_PER_CENTIMETER
    if unit not in ("", "inch"):
        per_unit = zip("xy", page.resolution, strict=True)
        for axis, density in per_unit:
            size = factor / density if positive(density) else None
            found[axis] = size, unit
    return {axis: (size, unit) for axis, (size, unit) in found.items() if size}
