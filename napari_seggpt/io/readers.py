"""open_stack: which reader fits a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.io.folder import (
    PICTURE_SUFFIXES,
    TIFF_SUFFIXES,
    FolderSource,
    image_files,
)
from napari_seggpt.io.layout import StackError, choose
from napari_seggpt.io.ome_zarr import is_zarr, open_zarr
from napari_seggpt.io.stacks import Stack
from napari_seggpt.io.tiff import TiffSource

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    from napari_seggpt.io.layout import Source


def open_stack(
    path: str | os.PathLike[str],
    *,
    axis: str | None = None,
    at: int = 0,
    level: int = 0,
    series: int = 0,
    labels: bool = False,
) -> Stack:
    """Open a file or folder as a stack, without reading a pixel.

    TIFF, ImageJ hyperstack and OME-TIFF files, zarr arrays, OME-Zarr groups, single
    PNG, JPEG and BMP files, and folders with one image file a frame.

    Parameters
    ----------
    path : path-like
        The file or folder.
    axis : str, optional
        The axis that frames run along, such as "z" or "t"; "c" is allowed too. By
        default the only one longer than 1, or z. It names the axis of folders and of
        files that do not name theirs.
    at : int
        Index on the other axis, of data that has both z and t.
    level : int
        Resolution level of a pyramid, 0 the finest.
    series : int
        Which image, of a file that holds several.
    labels : bool
        Whether these are labels: the pixels of palette images are then read as
        indices instead of colours.

    Raises
    ------
    StackError
        If there is nothing at `path`, it is none of the above or is truncated, or
        `axis`, `at`, `level` or `series` do not fit it.
    """
    path = Path(path)
    source = _open_source(path, level=level, series=series, labels=labels)
    try:
        return Stack(source, axis=axis, at=at, name=path.name)
    except StackError as error:
        source.close()
        raise StackError(f"{path.name}: {error}") from None


def read_frame(
    path: str | os.PathLike[str], *, labels: bool = False
) -> npt.NDArray[Any]:
    """Read a file that holds a single image.

    Returns
    -------
    NDArray
        (H, W) or (H, W, C); label images keep their ids where `labels` is given.

    Raises
    ------
    StackError
        If it cannot be read, or holds several frames.
    """
    with open_stack(path, labels=labels) as stack:
        if len(stack) != 1:
            raise StackError(f"expected one image in {path}, got {len(stack)} frames")
        return stack[0]


def _open_source(path: Path, *, level: int, series: int, labels: bool) -> Source:
    if not path.exists():
        raise StackError(
            f"Expected a file or folder, got {path}, which does not exist."
        )
    suffix = path.suffix.lower()
    if path.is_dir() and (suffix == ".zarr" or is_zarr(path)):
        return open_zarr(path, level=level, series=series)
    if path.is_file() and suffix in TIFF_SUFFIXES:
        return TiffSource(path, level=level, series=series)
    if path.is_file() and suffix not in PICTURE_SUFFIXES:
        known = ", ".join((*TIFF_SUFFIXES, ".zarr", *PICTURE_SUFFIXES))
        raise StackError(f"Expected a file ending in {known}, got {path.name}.")
    files = image_files(path) if path.is_dir() else [path]
    choose(files[:1], level, "a level")
    choose(files[:1], series, "a series")
    return FolderSource(files, labels=labels)
