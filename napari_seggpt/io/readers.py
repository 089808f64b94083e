"""open_stack: which reader fits a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.io.folder import (
    PICTURE_SUFFIXES,
    TIFF_SUFFIXES,
    FolderSource,
    frame_files,
)
from napari_seggpt.io.layout import StackError, choose, is_zarr
from napari_seggpt.io.painted import ColorIds, PaintedSource, is_painted
from napari_seggpt.io.stacks import Stack
from napari_seggpt.io.tiff import TiffSource
from napari_seggpt.untrusted import check_regular

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy.typing as npt

    from napari_seggpt.io.layout import Source


def open_stack(
    path: str | os.PathLike[str],
    *,
    axis: str | None = None,
    at: int = 0,
    level: int = 0,
    series: int | None = None,
    channels: bool | Sequence[int] | None = None,
    labels: bool = False,
    colors: ColorIds | None = None,
    growing: bool = False,
) -> Stack:
    """Open a file or folder as a stack, without reading a pixel.

    TIFF, ImageJ hyperstack and OME-TIFF files, zarr arrays, OME-Zarr groups, single
    PNG, JPEG and BMP files, and folders with one image file a frame.

    Parameters
    ----------
    path : path-like
        The file or folder.
    axis : str, optional
        The axis that frames run along, such as "z" or "t", or "tz" for both; "c" is
        allowed too. By default the only one longer than 1, or z. It names the axis of
        folders and of files that do not name theirs.
    at : int
        Index on the other axis, of data that has both z and t.
    level : int
        Resolution level of a pyramid, 0 the finest.
    series : int, optional
        Which image, of a file that holds several. By default pages that are alike are
        joined to one stack; of other formats it is the first.
    channels : bool or sequence of int, optional
        Whether what may be channels or colours is taken for those of a frame, or for
        frames; or which of those of a frame are read, in this order. By default it is
        decided as napari shows it, or by its length; the stack's `notes` say how.
    labels : bool
        Whether these are labels: integers without channels. The pixels of palette
        images are then read as indices instead of colours. Labels that were saved as
        colours or as JPEG are looked at, each frame once, and read as `painted` says.
    colors : ColorIds, optional
        Which colour is which id, if colours mean the same as in other files.
    growing : bool
        Whether frames are still added to a folder; a file is one of them then, and
        read as in a folder. One that differs from the first cannot be read.

    Raises
    ------
    StackError
        If there is nothing at `path`, it is none of the above or is truncated, or
        `axis`, `at`, `level` or `series` do not fit it.
    """
    path = Path(path)
    source = _open_source(
        path, level=level, series=series, labels=labels, growing=growing
    )
    try:
        if labels and is_painted(source.layout):
            source = PaintedSource(source, colors or ColorIds())
        return Stack(
            source, axis=axis, at=at, channels=channels, labels=labels, name=path.name
        )
    except StackError as error:
        source.close()
        raise StackError(f"{path.name}: {error}") from None


def read_frame(
    path: str | os.PathLike[str],
    *,
    channels: bool | None = None,
    labels: bool = False,
    colors: ColorIds | None = None,
) -> npt.NDArray[Any]:
    """Read a file that holds a single image.

    Parameters
    ----------
    path : path-like
        The file.
    channels : bool, optional
        Whether what may be channels is that, as of `open_stack`.
    labels : bool
        Whether these are labels, as of `open_stack`.
    colors : ColorIds, optional
        Which colour is which id, in all files that are read. Without it, labels that
        were saved as several colours are refused, as ids would differ between files.

    Returns
    -------
    NDArray
        (H, W) or (H, W, C); label images keep their ids where `labels` is given.

    Raises
    ------
    StackError
        If it cannot be read, or holds several frames.
    """
    known = ColorIds() if colors is None else colors
    with open_stack(path, channels=channels, labels=labels, colors=known) as stack:
        if len(stack) != 1:
            raise StackError(f"Expected one image in {path}, got {len(stack)} frames.")
        if colors is None and len(known.colors) > 1:
            raise StackError(
                f"Expected label ids in {path}, got {len(known.colors)} colours."
            )
        return stack[0]


def _open_source(
    path: Path, *, level: int, series: int | None, labels: bool, growing: bool
) -> Source:
    if not path.exists():
        raise StackError(
            f"Expected a file or folder, got {path}, which does not exist."
        )
    try:
        check_regular(path)
    except ValueError as error:
        raise StackError(str(error)) from None
    suffix = path.suffix.lower()
    if path.is_dir() and (suffix == ".zarr" or is_zarr(path)):
        from napari_seggpt.io.ome_zarr import open_zarr  # zarr takes a while to load

        return open_zarr(path, level=level, series=series or 0, labels=labels)
    if path.is_file() and suffix in TIFF_SUFFIXES and not growing:
        return TiffSource(path, level=level, series=series, labels=labels)
    if path.is_file() and suffix not in (*TIFF_SUFFIXES, *PICTURE_SUFFIXES):
        known = ", ".join((*TIFF_SUFFIXES, ".zarr", *PICTURE_SUFFIXES))
        raise StackError(f"Expected a file ending in {known}, got {path.name}.")
    choose([path], level, "a level")
    choose([path], series or 0, "a series")
    if path.is_file():
        return FolderSource([path], labels=labels)
    files, notes = frame_files(path, labels=labels)
    return FolderSource(files, labels=labels, notes=notes, growing=growing)
