"""Which of the images in a TIFF file are the frames of a stack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_seggpt.io.layout import StackError, choose
from napari_seggpt.untrusted import check_regular
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import tifffile

    Page = tuple[tifffile.TiffPageSeries, int]  # a series, and the number in it

# Kinds of series that are no more than pages of one size, written at one time.
PAGE_KINDS = ("generic", "uniform", "shaped", "imagej")
MOST_LEVELS = 100  # of elements in OME-XML, which has about ten
MOST_PLANES = 1000  # announced for each one there is; recordings are often cut short


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSeries:
    """What is read of a file.

    Attributes
    ----------
    series : TiffPageSeries
        The series, or the first of those that are joined.
    pages : tuple of (TiffPageSeries, int)
        The pages of joined series in the order of the file; none if there is one.
    notes : tuple of str
        What is left out.
    """

    series: tifffile.TiffPageSeries
    pages: tuple[Page, ...] = ()
    notes: tuple[str, ...] = ()


def choose_series(file: tifffile.TiffFile, index: int | None) -> ChosenSeries:
    """Choose an image of a file, or all pages that are frames of one stack.

    By default pages that were written one after the other are joined, if they are
    alike. Where there are several sizes, as with a thumbnail or a cropped page, the
    pages that have most pixels together are taken. Of formats that name their images,
    as OME-TIFF, the first is taken.

    Raises
    ------
    StackError
        If there is no such series.
    """
    found = file.series
    if index is not None or len(found) == 1:
        return ChosenSeries(series=choose(found, index or 0, "a series"))
    if not all(_is_row_of_pages(series) for series in found):
        note = f"the first of {len(found)} images: series= (--series) chooses another"
        return ChosenSeries(series=found[0], notes=(note,))
    groups: dict[object, list[tifffile.TiffPageSeries]] = {}
    for series in found:
        groups.setdefault(_kind(series), []).append(series)
    largest = max(groups.values(), key=lambda group: sum(one.size for one in group))
    left_out = [page for page in _pages(found) if page[0] not in largest]
    notes = (_note(left_out),) if left_out else ()
    if len(largest) == 1:
        return ChosenSeries(series=largest[0], notes=notes)
    return ChosenSeries(series=largest[0], pages=tuple(_pages(largest)), notes=notes)


def _is_row_of_pages(series: tifffile.TiffPageSeries) -> bool:
    """Tell whether a series is pages along one axis, of a format without images."""
    shape = series.get_shape(squeeze=False)
    num_pages = math.prod(shape) // math.prod(series.keyframe.shape)
    is_plain = series.kind in PAGE_KINDS and len(series.levels) == 1
    return is_plain and num_pages in (1, *shape)


def _kind(series: tifffile.TiffPageSeries) -> object:
    page = series.keyframe
    return page.shape, page.axes, page.dtype, page.photometric


def _pages(series: Sequence[tifffile.TiffPageSeries]) -> list[Page]:
    """Return the pages of some series in the order of the file."""
    pages = [
        (_place(one, number), one, number)
        for one in series
        for number in range(len(one))
    ]
    return [(one, number) for _, one, number in sorted(pages, key=lambda page: page[0])]


def _place(series: tifffile.TiffPageSeries, number: int) -> int:
    """Return which page of the file a page of a series is."""
    first = series.keyframe.index
    if series.kind == "generic":  # pages of other kinds may lie in between
        page: Any = series[number]
        return int(page.index)
    return int(first) + number


def _note(left_out: Sequence[Page]) -> str:
    first, number = left_out[0]
    size = " x ".join(map(str, first.keyframe.shape))
    return (
        f"left out: {count_of(len(left_out), 'page')} of another kind, first page "
        f"{_place(first, number)} of {size}: series= (--series) chooses"
    )


def check_announced(file: tifffile.TiffFile, folder: Path) -> None:
    """Refuse OME-XML that announces far more planes than there are, or names pipes.

    Parameters
    ----------
    file : TiffFile
        Opened, but none of its series asked for.
    folder : Path
        Where the file lies, and others that the XML may name.

    Raises
    ------
    StackError
        If it does.
    """
    if not file.is_ome:
        return
    parser = ElementTree.XMLParser(target=_PlainTree())
    root = ElementTree.fromstring(file.ome_metadata or "", parser)
    data = root.findall(".//{*}TiffData")
    announced = sum(
        abs(_number(each, name, 1))
        for each in data
        for name in ("NumPlanes", "PlaneCount")
    )
    for pixels in root.findall("{*}Image/{*}Pixels"):
        announced += math.prod(abs(_number(pixels, f"Size{x}", 1)) for x in "ZCT")
    for along in root.iterfind(".//{*}Modulo/*"):
        start, end = (_number(along, name, 0) for name in ("Start", "End"))
        announced += abs(end - start) / (abs(_number(along, "Step", 1)) or 1e-300)
    # Also if it is no number at all.
    if not announced <= MOST_PLANES * (len(file.pages) + len(data)):
        raise StackError(
            f"Expected the planes that the OME-XML announces, {announced:g}, got "
            f"{len(file.pages)} pages."
        )
    for named in root.iterfind(".//{*}TiffData/{*}UUID"):
        check_regular(folder / named.attrib.get("FileName", ""))


class _PlainTree(ElementTree.TreeBuilder):
    """Builds a tree, unless it is one that takes minutes or gigabytes to build."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, *_: object) -> None:
        raise StackError("Expected OME-XML, got XML with entities of its own.")

    def start(self, tag: str, attrs: dict[str, str], /) -> ElementTree.Element:
        self._depth += 1
        if self._depth > MOST_LEVELS:
            raise StackError("Expected OME-XML, got XML that is nested too deep.")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ElementTree.Element:
        self._depth -= 1
        return super().end(tag)


def _number(element: ElementTree.Element, name: str, default: float) -> float:
    return float(element.attrib.get(name, default))


def check_complete(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> None:
    """Refuse a file that holds less than it announces, without reading pixels.

    Raises
    ------
    StackError
        If it is truncated.
    """
    kind = series.kind
    offset = series.dataoffset if series.keyframe.parent is file else None
    # tifffile drops ImageJ's account of the pages if the file is too short for it.
    complete = not (file.is_imagej and kind in ("generic", "uniform"))
    if offset is not None:
        complete &= offset + series.nbytes <= file.filehandle.size
    if offset is None or kind not in ("imagej", "shaped"):
        complete &= _next_page(file) <= file.filehandle.size
    if not complete:
        raise StackError("Expected a complete TIFF file, got a truncated one.")


def _next_page(file: tifffile.TiffFile) -> int:
    """Return where the last page says that the next one starts, 0 for nowhere."""
    position = file.pages.next_page_offset
    if position is None:
        return 0
    file.filehandle.seek(position)
    data = file.filehandle.read(file.tiff.offsetsize)
    return int.from_bytes(data, "little" if file.byteorder == "<" else "big")
