"""StoredFrame: what is stored of a frame, and its file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import tifffile

from napari_seggpt.session.frames.frame_labels import NO_LABELS, compact
from napari_seggpt.session.frames.frame_labels import checksum as checksum_of
from napari_seggpt.session.frames.status import FrameRecord, seen
from napari_seggpt.session.store.contents import MAX_FRAMES, RecordContent
from napari_seggpt.session.store.errors import DAMAGED_FILE_ERRORS
from napari_seggpt.untrusted import check_fits_memory, check_regular, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.session.frames.frame_labels import Checksum

ZLIB_LEVEL = 1  # labels are smooth, so that the fastest is small enough


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFrame:
    """What is stored of a frame.

    Attributes
    ----------
    index : int
        The frame.
    records : tuple of FrameRecord
        What may have been known last, the likeliest at the end. Where labels are in a
        zarr, the record whose checksum they have counts.
    labels : NDArray or None
        (H, W); None if they are elsewhere, or could not be read.
    is_damaged : bool
        Whether the file could not be read.
    found : bytes or None
        Checksum of the labels that a worker found in the layer, if it looked.
    """

    index: int
    records: tuple[FrameRecord, ...]
    labels: NDArray[np.integer[Any]] | None = None
    is_damaged: bool = False
    found: Checksum | None = None


def frame_name(index: int) -> str:
    """Return the name of the file of a frame."""
    return f"{index:06}.tif"


def frame_files(folder: Path) -> dict[int, Path]:
    """Return the files of frames in a folder, by frame."""
    files = sorted(folder.glob("*.tif"))
    numbers = ((file.stem, file) for file in files if len(file.stem) <= 9)
    found = {int(stem): file for stem, file in numbers if stem.isdecimal()}
    return {index: file for index, file in found.items() if index < MAX_FRAMES}


def frame_bytes(labels: NDArray[np.integer[Any]], record: FrameRecord) -> bytes:
    """Return a file of labels (H, W) and what is known of them."""
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        compact(labels),
        compression="zlib",
        compressionargs={"level": ZLIB_LEVEL},
        photometric="minisblack",
        description=msgspec.json.encode(RecordContent.of(record)),
        metadata=None,
        software="napari-seggpt",
    )
    return buffer.getvalue()


def read_frame(index: int, file: Path, largest: Sequence[int]) -> StoredFrame:
    """Read labels and record of a frame; it is protected if that fails.

    Parameters
    ----------
    index : int
        The frame.
    file : Path
        Its file.
    largest : sequence of int
        Height and width of the image: labels have no more.
    """
    try:
        with _opened(file) as tiff:
            page = tiff.pages.first
            _check_page(page, largest)
            labels = page.asarray()
            _check_read(page, labels)
            record = parse_json(page.description, RecordContent).record()
    except DAMAGED_FILE_ERRORS:
        return damaged(index)
    record = fitting(record, labels)
    return StoredFrame(index=index, records=(record,), labels=labels)


def read_record(index: int, file: Path) -> FrameRecord:
    """Read what was known of a frame when it was stored, without its labels.

    Of labels that were painted just then, and of which nobody had been told, the record
    does not know; see `read_frame`. It is protected if it cannot be read.
    """
    try:
        with _opened(file) as tiff:
            page: Any = tiff.pages.first
            return parse_json(page.description, RecordContent).record()
    except DAMAGED_FILE_ERRORS:
        return damaged(index).records[-1]


def frame_dtype(file: Path, largest: Sequence[int]) -> np.dtype[Any] | None:
    """Return the type of the labels in a file, without reading them; None if damaged.

    It is the smallest that holds the ids of the frame. Parameters as of `read_frame`.
    """
    try:
        with _opened(file) as tiff:
            page = tiff.pages.first
            _check_page(page, largest)
            return page.dtype
    except DAMAGED_FILE_ERRORS:
        return None


def _opened(file: Path) -> tifffile.TiffFile:
    check_regular(file)
    return tifffile.TiffFile(file)


def _check_page(page: Any, largest: Sequence[int]) -> None:
    """Refuse what is no labels, or declares more than there can be."""
    shape, dtype = page.shape, page.dtype
    if len(shape) != 2 or dtype is None or dtype.kind not in "iu":
        raise ValueError(f"Expected labels (H, W), got {shape} of {dtype}.")
    if shape[0] > largest[0] or shape[1] > largest[1]:
        raise ValueError(f"Expected labels of at most {largest[:2]}, got {shape}.")
    check_fits_memory(page.size * dtype.itemsize, "a frame")


def _check_read(page: Any, labels: NDArray[Any]) -> None:
    """Refuse pixels of another shape than the page declares."""
    if labels.shape != page.shape:
        raise ValueError(f"Expected labels {page.shape}, got {labels.shape}.")


def fitting(record: FrameRecord, labels: NDArray[np.integer[Any]]) -> FrameRecord:
    """Return the record of labels that were stored with it.

    They differ if somebody painted and nobody had told of it yet: it is protected.
    """
    return seen(record, checksum_of(labels), corrections_become_references=True)


def damaged(index: int) -> StoredFrame:
    """Return what is known of a frame whose file cannot be read: it is protected."""
    record = FrameRecord(checksum=NO_LABELS, is_corrected=True)
    return StoredFrame(index=index, records=(record,), is_damaged=True)
