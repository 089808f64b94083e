"""Folders and zarrs to which a microscope still adds frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from napari_seggpt.io.folder import frame_files, image_files
from napari_seggpt.io.layout import StackError, is_zarr

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from napari_seggpt.io.stacks import Stack

    OpenStack = Callable[[Path], Stack]


class GrowingFrames(ABC):
    """Frames that arrive while they are read, one after the other.

    A frame has arrived when two looks in a row found it alike, so that it is read when
    it is whole. The length is the number of frames that have arrived.

    Parameters
    ----------
    path : Path
        The folder.

    Attributes
    ----------
    is_changing : bool
        Whether the last look found something else than the one before.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.is_changing = False
        self._signs: list[Hashable] = []
        self._num_arrived = self._num_settled = 0

    def __len__(self) -> int:
        """Return how many frames have arrived."""
        return self._num_arrived

    @abstractmethod
    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Read a frame: (H, W) or (H, W, C)."""

    @abstractmethod
    def _look(self) -> Sequence[Hashable]:
        """Return a sign of each frame that is there, which tells whether it changes."""

    def look(self) -> int:
        """Look which frames are there, and return how many have arrived.

        Raises
        ------
        StackError
            If frames came before others that have arrived.
        """
        signs = list(self._look())
        pairs = zip(self._signs, signs, strict=False)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        if same is None:
            same = min(len(self._signs), len(signs))
        self.is_changing = signs != self._signs
        self._signs, self._num_settled = signs, same
        self._num_arrived = max(self._num_arrived, min(same, self._num_whole()))
        return self._num_arrived

    def look_no_more(self) -> int:
        """Take what was found alike for whole, and return how many have arrived."""
        self._num_arrived = max(self._num_arrived, self._num_settled)
        return self._num_arrived

    def _num_whole(self) -> int:
        """Return how many frames of the last look lie in files without later ones."""
        return len(self._signs)


class GrowingFolder(GrowingFrames):
    """A folder with one image file a frame, to which files are added.

    Parameters
    ----------
    path : Path
        The folder.
    open_file : callable
        Opens a file as a stack of one frame.
    """

    def __init__(self, path: Path, open_file: OpenStack) -> None:
        super().__init__(path)
        self._open_file = open_file
        self._files: list[Path] = []

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Read a frame: (H, W) or (H, W, C)."""
        with self._open_file(self._files[index]) as stack:
            if len(stack) != 1:
                raise StackError(
                    f"Expected one frame in {stack.name}, got {len(stack)}."
                )
            return stack[0]

    def _look(self) -> Sequence[Hashable]:
        arrived = self._files[: len(self)]
        self._files, _ = frame_files(self._path, labels=False)
        if self._files[: len(arrived)] != arrived:
            raise StackError(
                f"Expected new files after {arrived[-1].name} in the order of names, "
                "got files before it, or some were removed."
            )
        found = [(file, file.stat()) for file in self._files]
        return [(file.name, stat.st_size, stat.st_mtime_ns) for file, stat in found]


class GrowingZarr(GrowingFrames):
    """A zarr array that becomes longer, or is as long as it will be and fills.

    Zarr does not store what is black, so that nobody sees of a missing chunk whether it
    is still to come. Frames are written one after the other: only the last one that has
    begun can lack any, and has arrived once all its chunks are there. Where several
    frames share a chunk nobody sees which of them are written, so they have arrived
    once there is a later chunk.

    Parameters
    ----------
    path : Path
        The folder.
    open_zarr : callable
        Opens it as a stack.
    """

    def __init__(self, path: Path, open_zarr: OpenStack) -> None:
        super().__init__(path)
        self._open_zarr = open_zarr
        self._stack = open_zarr(path)
        self._lacks_chunks = False  # the last frame that has begun

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Read a frame: (H, W) or (H, W, C)."""
        return self._stack[index]

    def _look(self) -> Sequence[Hashable]:
        self._stack = self._open_zarr(self._path)
        later = range(len(self), len(self._stack))
        found = [self._stack.chunk_signs(index) for index in later]
        while found and not any(found[-1]):  # not begun
            found.pop()
        self._lacks_chunks = bool(found) and None in found[-1]
        arrived = self._signs[: len(self)]  # a later frame may change their chunks
        return [*arrived, *found]

    def _num_whole(self) -> int:
        num_begun, shared = len(self._signs), self._stack.frames_per_chunk
        if shared > 1:
            return (num_begun - 1) // shared * shared
        return num_begun - self._lacks_chunks


def written_frames(stack: Stack) -> Sequence[int]:
    """Return the frames that have been written: of a zarr that fills, not all have.

    Black ones, of which zarr stores nothing, are left out. So is the last one that has
    begun, with those that share its chunks, if it may be unfinished and there are
    others.
    """
    signs = [stack.chunk_signs(index) for index in range(len(stack))]
    begun = [index for index, found in enumerate(signs) if not found or any(found)]
    shared = stack.frames_per_chunk
    if begun and (shared > 1 or None in signs[begun[-1]]):
        last = begun[-1] // shared
        begun = [index for index in begun if index // shared < last] or begun
    return begun or range(len(stack))


def check_can_grow(path: Path) -> None:
    """Refuse what is neither a folder nor a zarr.

    Raises
    ------
    StackError
        If it is a file, or nothing.
    """
    if not path.is_dir():
        raise StackError(
            f"Expected a folder or a zarr, to which frames can be added, got {path}."
        )


def open_growing(path: Path, open_stack: OpenStack) -> GrowingFrames:
    """Open a folder or zarr that still grows; call `look` to see what is there.

    Parameters
    ----------
    path : Path
        The folder or zarr, in which there is at least one frame.
    open_stack : callable
        Opens it, or one of its files, as a stack.

    Raises
    ------
    StackError
        If it is neither, or nothing is there yet.
    """
    check_can_grow(path)
    if is_zarr(path):
        return GrowingZarr(path, open_stack)
    image_files(path)
    return GrowingFolder(path, open_stack)
