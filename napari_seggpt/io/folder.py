"""Image files, one a frame, as a source of frames."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import (
    FRAME_AXES,
    MAYBE_COLORS,
    UNNAMED,
    Layout,
    StackError,
    one_line,
)
from napari_seggpt.io.stacks import Stack
from napari_seggpt.io.tiff import TiffSource
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_seggpt.io.layout import Index, Source

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".tf8")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")

# What programs write beside an image: its name with one of these, mostly at the end,
# perhaps with more words between them, as f0_cp_masks, f0.labels or mask_f0.
_MASK_WORDS = (
    r"masks?|labels?|seg|segmentations?|instances?|gt|annotations?|annotated"
    r"|identities|predictions?|predicted"
)
_OTHER_WORDS = r"outlines?|flows?|probabilities|uncertainty|features|overlay"
_MASK_PART = re.compile(rf"[_ .-]?(.*[_ .-])?({_MASK_WORDS})", re.IGNORECASE)
_BESIDE_PART = re.compile(
    rf"[_ .-]?(.*[_ .-])?({_MASK_WORDS}|{_OTHER_WORDS})", re.IGNORECASE
)
_MASK_START = re.compile(rf"({_MASK_WORDS})[_ .-]", re.IGNORECASE)

# How Pillow's modes are read: the mode converted to, dtype and number of samples. Of
# these formats only 16-bit PNG has mode "I", in older Pillow. Alpha says how to display
# a pixel, not what was seen there, and is left out; but what is transparent in labels
# is background.
_GREY = ("L", np.uint8, 1)
_COLOR = ("RGB", np.uint8, 3)
_COLOR_WITH_ALPHA = ("RGBA", np.uint8, 4)
_MODES: dict[str, tuple[str, type[np.generic], int]] = {
    "1": _GREY,
    "L": _GREY,
    "LA": _GREY,
    "I;16": ("I;16", np.uint16, 1),
    "I;16B": ("I;16", np.uint16, 1),
    "I": ("I", np.uint16, 1),
}


class PictureSource:
    """One PNG, JPEG or BMP file.

    Parameters
    ----------
    path : Path
        The file.
    labels : bool
        Whether the pixels of a palette image are read as indices, not as colours, and
        those of a black and white one as 0 and 1, not as 0 and 255.

    Raises
    ------
    StackError
        If the file is no such image, or labels in it have lost bits.

    Attributes
    ----------
    palette : tuple of int
        Red, green and blue of each index, if pixels are indices.
    """

    def __init__(self, path: Path, *, labels: bool) -> None:
        self._path = path
        self._labels = labels
        with self._open() as image:
            _, dtype, num_samples = self._mode(image)
            is_reduced = _is_reduced(image)
            if is_reduced and labels:
                raise StackError(
                    "Expected labels in grey or in colours of 8 bits, got 16 bits and "
                    f"{len(image.getbands())} channels in {path.name}."
                )
            self.palette = tuple(image.getpalette() or ()) if image.mode == "P" else ()
            self.layout = Layout(
                axes=(*FRAME_AXES, "s"),
                shape=(image.height, image.width, num_samples),
                dtype=np.dtype(dtype),
                calibration={},
                is_lossy=image.format == "JPEG",
                notes=(_REDUCED,) if is_reduced else (),
            )

    def read(self, index: Index) -> npt.NDArray[Any]:
        """Return the block at one integer or full slice per axis."""
        with self._open() as image:
            seen = image.getchannel("A") if image.mode == "LA" else None
            if not (self._labels and image.mode in ("1", "P")):
                image = image.convert(self._mode(image)[0])
            pixels = np.asarray(image).astype(self.layout.dtype)
            if self._labels and seen is not None:
                pixels[np.asarray(seen) == 0] = 0
        return pixels.reshape(self.layout.shape)[index]

    def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    def _open(self) -> Image.Image:
        try:
            return Image.open(self._path)
        except (*DAMAGE, Image.DecompressionBombError) as error:
            raise StackError(
                f"Expected an image, got {self._path.name}: {one_line(error)}"
            ) from error

    def _mode(self, image: Image.Image) -> tuple[str, type[np.generic], int]:
        if self._labels and image.mode == "P":
            return _GREY
        if self._labels and image.mode == "RGBA":
            return _COLOR_WITH_ALPHA
        return _MODES.get(image.mode, _COLOR)


def _is_reduced(image: Image.Image) -> bool:
    """Return whether Pillow reads only 8 of 16 bits: in all but grey it does."""
    tiles: list[Any] = getattr(image, "tile", [])  # what is decoded, by which raw mode
    is_deep = any(str(tile[3]).endswith("16B") for tile in tiles)
    return is_deep and image.mode in ("RGB", "RGBA")


_REDUCED = "of 16 bits in colours, 8 are read: save them as TIFF to keep all"


class BrokenFileError(StackError):
    """A file that holds no image, or whose beginning is lost."""


class FolderSource:
    """Image files of one shape and dtype, one a frame.

    A file that cannot be read is a frame that cannot be read; the others can.

    Parameters
    ----------
    paths : sequence of Path
        The files, at least one, in the order of the frames.
    labels : bool
        As of `PictureSource`.
    notes : tuple of str
        What a person should know of the choice of files.
    growing : bool
        Whether a file that holds several frames or differs from the first is one that
        cannot be read: who waits for files does not choose them.

    Raises
    ------
    StackError
        If no file can be read, or a file holds several frames or differs from the
        first.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        labels: bool,
        notes: tuple[str, ...] = (),
        growing: bool = False,
    ) -> None:
        self._paths = tuple(paths)
        self._labels = labels
        self._left_out = StackError if growing else BrokenFileError
        self._palettes: set[tuple[int, ...]] = set()
        first, broken = self._look()
        sizes = zip(("y", "x"), first.pixel_size[1:], first.units[1:], strict=True)
        if broken:
            notes = (
                *notes,
                f"cannot read {count_of(len(broken), 'file')}, first {broken[0]}",
            )
        if _REDUCED in first.notes:
            notes = (*notes, _REDUCED)
        if labels and not _are_parts_of_one(self._palettes):
            notes = (*notes, _PALETTES)
        self._first = first
        self.layout = Layout(
            axes=(UNNAMED, *FRAME_AXES, "s"),
            shape=(len(paths), *first.frame_shape, first.num_channels),
            dtype=first.dtype,
            calibration={axis: (size, unit) for axis, size, unit in sizes},
            notes=notes,
            is_lossy=self._is_lossy,
        )

    def _look(self) -> tuple[Stack, list[str]]:
        """Return the first file that can be read, and the names of those that cannot.

        All others are compared with it.
        """
        first, problem, broken = None, None, []
        self._is_lossy = False
        for number, path in enumerate(self._paths):
            try:
                with self._open(number) as frame:
                    _check_alike(frame, first or frame)
            except self._left_out as error:
                broken.append(path.name)
                problem = problem or error
                continue
            self._is_lossy |= frame.is_lossy
            first = first or frame
        if first is None:
            assert problem is not None
            raise problem
        return first, broken

    def read(self, index: Index) -> npt.NDArray[Any]:
        """Return the block at one integer or full slice per axis."""
        number, *inside = index
        assert isinstance(number, int)
        with self._open(number) as frame:
            _check_alike(frame, self._first)
            try:
                pixels = frame[0]
            except StackError as error:
                reason = one_line(error.__cause__ or error)
                raise StackError(f"{self._paths[number].name}: {reason}") from error
        return pixels.reshape(self.layout.shape[1:])[tuple(inside)]

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""

    def _open(self, number: int) -> Stack:
        """Open one file, a stack of one frame."""
        path = self._paths[number]
        is_tiff = path.suffix.lower() in TIFF_SUFFIXES
        kind = TiffSource if is_tiff else PictureSource
        try:
            source: Source = kind(path, labels=self._labels)
        except StackError as error:
            raise BrokenFileError(str(error)) from error
        if isinstance(source, PictureSource) and source.palette:
            self._palettes.add(source.palette)
        # There is one frame a file, so that its planes can be no frames.
        has_planes = MAYBE_COLORS in source.layout.axes
        stack = Stack(source, channels=True if has_planes else None, name=path.name)
        if len(stack) != 1:
            stack.close()
            raise StackError(
                f"Expected one frame per file in a folder, got {len(stack)} in "
                f"{path.name}."
            )
        return stack


def _are_parts_of_one(palettes: Iterable[tuple[int, ...]]) -> bool:
    """Return whether each palette is the beginning of every longer one."""
    ordered = sorted(palettes, key=len)
    return all(long[: len(short)] == short for short, long in pairwise(ordered))


_PALETTES = "palettes differ from file to file: labels are the indices, not the colours"


def _check_alike(frame: Stack, first: Stack) -> None:
    if (frame.shape[1:], frame.dtype) != (first.shape[1:], first.dtype):
        raise StackError(
            f"Expected frames of one shape and dtype, {_kind(first)} as in "
            f"{first.name}, got {_kind(frame)} in {frame.name}."
        )


def _kind(frame: Stack) -> str:
    return f"{frame.shape[1:]} {frame.dtype}"


def image_files(folder: Path) -> list[Path]:
    """Return the image files of a folder, frame2 before frame10, hidden ones left out.

    Pipes and devices are left out, too, as reading them may never end.

    Raises
    ------
    StackError
        If there is none.
    """
    suffixes = (*TIFF_SUFFIXES, *PICTURE_SUFFIXES)
    paths = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes
        and not path.name.startswith(".")
        and path.is_file()
    ]
    if not paths:
        raise StackError(
            f"Expected a folder with images ({', '.join(suffixes)}), got {folder.name} "
            "without any."
        )
    return sorted(paths, key=natural_key)


def frame_files(folder: Path, *, labels: bool) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files of a folder that are frames, and what is to be said of others.

    Masks that lie beside their images, as programs name them, are frames only of
    labels; they are the only ones then.

    Raises
    ------
    StackError
        If there is none, or an image has no mask beside it though others have.
    """
    files = image_files(folder)
    stems = {file.stem.lower(): file.stem for file in files}
    beside = _beside(files, stems, _BESIDE_PART)
    if not beside:
        return files, ()
    images = [file for file in files if file not in beside]
    masks = _beside(files, stems, _MASK_PART)
    if not (labels and masks):
        others = [file for file in files if file in beside]
        return images, (_left_out(others, "masks and the like beside the images"),)
    without = [file for file in images if file.stem not in masks.values()]
    if without or len(masks) != len(images):
        name = without[0].name if without else f"{len(masks)} for {len(images)} images"
        raise StackError(
            f"Expected one mask beside each image of {folder.name}, got "
            f"{'none for ' if without else ''}{name}."
        )
    return [*masks], (_left_out(images, "images beside the masks"),)


def _beside(
    files: Sequence[Path], stems: Mapping[str, str], part: re.Pattern[str]
) -> dict[Path, str]:
    """Return the files that are named after an image, with the stem of that.

    Parameters
    ----------
    files : sequence of Path
        All files.
    stems : mapping of str to str
        Their names without ending, by the same in small letters.
    part : re.Pattern
        What follows on the name of the image.
    """
    found = ((file, _image_beside(file.stem.lower(), stems, part)) for file in files)
    return {file: stem for file, stem in found if stem is not None}


def _image_beside(
    name: str, stems: Mapping[str, str], part: re.Pattern[str]
) -> str | None:
    """Return the longest name of an image that a name, all in small letters, has."""
    for end in range(len(name) - 1, 0, -1):
        if name[:end] in stems and part.fullmatch(name, end):
            return stems[name[:end]]
    start = _MASK_START.match(name)
    return None if start is None else stems.get(name[start.end() :])


def _left_out(files: Sequence[Path], what: str) -> str:
    return f"{len(files)} {what} are left out, the first of them {files[0].name}"


def natural_key(path: Path) -> list[int | str]:
    """Return a sorting key that compares the numbers in a file name as numbers.

    It is that of napari, so that frames have the same numbers there: capital letters
    come before small ones.
    """
    parts = re.split(r"([0-9]+)", path.name)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)]
