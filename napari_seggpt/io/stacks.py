"""Stack: frames along one axis, each read from its source when asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import DAMAGE, FrameGrid, frame_index
from napari_seggpt.io.array_source import ArraySource
from napari_seggpt.io.axes import guess_axes, select_frames
from napari_seggpt.io.label_values import as_labels, labels_dtype
from napari_seggpt.io.layout import (
    UNNAMED,
    StackError,
    normalize_unit,
    one_line,
)
from napari_seggpt.untrusted import check_fits_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    import numpy.typing as npt

    from napari_seggpt.io.array_source import LazyArray
    from napari_seggpt.io.layout import Source

UNKNOWN_STEPS = ((1.0, "frame"), (1.0, "pixel"), (1.0, "pixel"))


class Stack:
    """Frames along one axis, read one at a time; read-only.

    Frames are ``(H, W)``, or ``(H, W, C)`` where the data has several channels or
    colour samples. Frames may be read from several threads at once.

    Parameters
    ----------
    source : Source
        Where the pixels come from; closed with the stack.
    axis : str, optional
        The axis that frames run along. By default the only one longer than 1, or z.
        With "tz" they run along both, where there are both: volume after volume.
    at : int
        Index on the other axis, of data that has both z and t.
    channels : bool or sequence of int, optional
        Whether what may be channels or colours is taken for those of a frame, or for
        frames; or which of those of a frame are read, in this order. By default it is
        decided as napari shows it, or by its length.
    labels : bool
        Whether these are labels: their channels are frames, and they are integers.
    name : str
        What the stack is called in errors and in the user interface.

    Attributes
    ----------
    notes : tuple of str
        What a person should know of how the data is read, such as what else it could
        be taken for.

    Raises
    ------
    StackError
        If `axis` is not in the data or must be given, or `at` or a channel lies
        outside.
    """

    def __init__(
        self,
        source: Source,
        *,
        axis: str | None = None,
        at: int = 0,
        channels: bool | Sequence[int] | None = None,
        labels: bool = False,
        name: str = "",
    ) -> None:
        self._source = source
        self._chosen: list[int] | None = None
        if not isinstance(channels, bool | None):
            self._chosen, channels = list(channels), True
        self._frames = select_frames(
            source.layout, axis, at, channels=False if labels else channels
        )
        self._check_chosen()
        self._has_labels = labels
        self._closed = False
        self.dtype = self.stored_dtype
        if labels:
            self.dtype = labels_dtype(self.stored_dtype)
        self.name = name
        self.notes = (*source.layout.notes, *self._frames.notes)

    def _check_chosen(self) -> None:
        stored, chosen = self._num_stored, self._chosen
        if chosen is not None and not (chosen and {*chosen} <= {*range(stored)}):
            raise StackError(
                f"Expected channels from 0 to {stored - 1}, got "
                f"{', '.join(map(str, chosen)) or 'none'}."
            )

    @property
    def axis(self) -> str:
        """Name of the axis that frames run along, such as "z" or "t"; "z" of both."""
        return self._frames.axis

    @property
    def grid(self) -> FrameGrid:
        """How frames lie: in one row, or along time and depth."""
        times = self._frames.num_outer
        if times == 1:
            return FrameGrid.row(len(self))
        return FrameGrid(shape=(times, len(self) // times), names=("t", "z"))

    @property
    def times(self) -> int | None:
        """Of how many times frames are the slices, in the order of time; or None."""
        return self.grid.shape[0] if self.grid.has_two_axes else None

    @property
    def time_step(self) -> tuple[float, str] | None:
        """Distance of two volumes in time and its unit, if there are and it is known.

        The other sizes are those of slices.
        """
        known = self._source.layout.calibration.get("t")
        if self.times is None or known is None:
            return None
        size, unit = known
        return size, UNKNOWN_STEPS[0][1] if unit in ("", "pixel", "frame") else unit

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Data type of the file, in the byte order of this machine."""
        return self._source.layout.dtype.newbyteorder("=")

    @property
    def is_lossy(self) -> bool:
        """Whether colours or JPEG stand for what the frames hold."""
        return self._source.layout.is_lossy

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        lengths = self._frames.block_lengths
        return lengths["y"], lengths["x"]

    @property
    def num_channels(self) -> int:
        """Number of channels of a frame, 1 for grey."""
        return self._num_stored if self._chosen is None else len(self._chosen)

    @property
    def _num_stored(self) -> int:
        return math.prod(self._frames.block_lengths.values()) // math.prod(
            self.frame_shape
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all frames together: (frames, H, W) or (frames, H, W, C)."""
        channels = (self.num_channels,) if self.num_channels > 1 else ()
        return (len(self), *self.frame_shape, *channels)

    @property
    def long_axes(self) -> tuple[str, ...]:
        """Names of the axes longer than 1, in the order in which data is stored."""
        return self._frames.long_axes

    @property
    def pixel_size(self) -> tuple[float, float, float]:
        """Distance of frames, rows and columns in `units`; 1.0 where unknown."""
        frame, row, column = self._steps
        return frame[0], row[0], column[0]

    @property
    def units(self) -> tuple[str, str, str]:
        """Units of `pixel_size`; "frame" or "pixel" where unknown."""
        frame, row, column = self._steps
        return frame[1], row[1], column[1]

    @property
    def _steps(self) -> list[tuple[float, str]]:
        known = self._source.layout.calibration
        along = known.get(self.axis, known.get(UNNAMED))
        steps = [along, known.get("y"), known.get("x")]
        return [
            (size, default if unit in ("", "pixel", "frame") else unit)
            for (size, unit), (_, default) in zip(
                (step or (1.0, "") for step in steps), UNKNOWN_STEPS, strict=True
            )
        ]

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._frames.length

    def __getitem__(self, index: int) -> npt.NDArray[Any]:
        """Read one frame: (H, W) or (H, W, C).

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If the frame cannot be read, or the stack is closed.
        """
        frame = frame_index(index, len(self))
        if self._closed:
            raise StackError(f"Expected an open stack, got {self.name}, closed.")
        try:
            check_fits_memory(self._num_frame_bytes, "a frame")
            return self._to_frame(self._source.read(self._frames.index(frame)))
        except DAMAGE as error:
            raise StackError(
                f"Expected frame {frame} of {self.name} to be readable, "
                f"got: {one_line(error)}"
            ) from error

    def read_part(self, index: int, rows: slice, columns: slice) -> npt.NDArray[Any]:
        """Read a part of a frame, without the rest: (h, w) or (h, w, C).

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If it cannot be read, or the format has no parts: arrays and zarr have.
        """
        if not isinstance(self._source, ArraySource):
            raise StackError(
                f"Expected a zarr, of which parts can be read, got {self.name}."
            )
        names = iter(self._frames.block_lengths)
        wanted = {"y": rows, "x": columns}
        place = tuple(
            wanted.get(next(names), at) if isinstance(at, slice) else at
            for at in self._frames.index(frame_index(index, len(self)))
        )
        try:
            return self._to_frame(self._source.read(place))
        except DAMAGE as error:
            raise StackError(
                f"Expected frame {index} of {self.name} to be readable, "
                f"got: {one_line(error)}"
            ) from error

    def chunk_signs(self, index: int) -> tuple[tuple[int, int] | None, ...]:
        """Return size and time of each chunk of a frame, of a zarr that still fills.

        None stands for a chunk that is not there. Other formats have no chunks.
        """
        signs = getattr(self._source, "chunk_signs", None)
        frame = frame_index(index, len(self))
        return () if signs is None else tuple(signs(self._frames.index(frame)))

    @property
    def frames_per_chunk(self) -> int:
        """How many frames share the chunks of a zarr; 1 of other formats."""
        lengths = getattr(self._source, "chunk_lengths", None)
        position = self._frames.position
        return 1 if lengths is None or position is None else int(lengths[position])

    @property
    def _num_frame_bytes(self) -> int:
        numbers = math.prod(self._frames.block_lengths.values())
        return numbers * self.stored_dtype.itemsize

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        """Read one frame after the other."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        """Return name, axis, shape and dtype."""
        return f"<Stack {self.name!r} along {self.axis}: {self.shape} {self.dtype}>"

    def _to_frame(self, block: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn a block, its axes in any order, into a frame with channels last."""
        axes = list(self._frames.block_lengths)
        ends = [axes.index("y"), axes.index("x")]
        frame = np.moveaxis(block, ends, [0, 1])
        frame = frame.reshape(*frame.shape[:2], -1)
        if self._chosen is not None:
            frame = frame[..., self._chosen]
        if self.num_channels == 1:
            frame = frame[..., 0]
        if self._has_labels:
            frame = as_labels(frame)
        return np.ascontiguousarray(frame, dtype=self.dtype)

    def close(self) -> None:
        """Release the file; frames can no longer be read."""
        self._closed = True
        self._source.close()

    def __enter__(self) -> Self:
        """Return the stack itself, closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the stack."""
        self.close()


def array_stack(
    array: LazyArray,
    *,
    axes: Sequence[str] | None = None,
    axis: str | None = None,
    at: int = 0,
    channels: bool | Sequence[int] | None = None,
    labels: bool = False,
    pixel_size: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
    name: str = "array",
) -> Stack:
    """Return an array as a stack; frames may share its memory.

    Parameters
    ----------
    array : array-like
        Indexed frame by frame: numpy, dask, zarr.
    axes : sequence of str, optional
        One name per dimension, such as "tzyxc". By default frames, y, x and, where
        the last dimension is 3 or 4, colours.
    axis, at, channels, labels, name
        As of `Stack`.
    pixel_size, units
        For frames, rows and columns; unknown by default.

    Raises
    ------
    StackError
        If the axes do not fit the array or leave open where the frames run.
    """
    sizes, names = checked_steps(pixel_size, units)
    return Stack(
        ArraySource(
            array,
            guess_axes(array.shape, labels=labels) if axes is None else tuple(axes),
            dict(zip((UNNAMED, "y", "x"), zip(sizes, names, strict=True), strict=True)),
        ),
        axis=axis,
        at=at,
        channels=channels,
        labels=labels,
        name=name,
    )


def checked_steps(
    pixel_size: Sequence[float] | None, units: Sequence[str] | None
) -> tuple[tuple[float, float, float], tuple[str, str, str]]:
    """Return pixel size and normalised units for frames, rows and columns.

    Raises
    ------
    StackError
        If there are not three of each, or a size is not positive.
    """
    sizes = tuple(float(size) for size in (pixel_size or (1.0, 1.0, 1.0)))
    names = tuple(units or ("", "", ""))
    if len(sizes) != 3 or len(names) != 3 or not all(0 < s < math.inf for s in sizes):
        raise StackError(
            "Expected three positive pixel sizes and three units, for frames, rows "
            f"and columns, got {pixel_size} and {units}."
        )
    frame, row, column = (
        normalize_unit(name) or unknown
        for name, (_, unknown) in zip(names, UNKNOWN_STEPS, strict=True)
    )
    return (sizes[0], sizes[1], sizes[2]), (frame, row, column)
