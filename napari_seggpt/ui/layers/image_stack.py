"""ImageStack: the frames of a napari image layer, read one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import frame_index
from napari_seggpt.io.layout import StackError, one_line
from napari_seggpt.ui.layers.frame_axes import FrameAxes, checked_axis
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_seggpt.ui.layers.frame_axes import Along, Index

MAX_CHANNELS = 3  # a model is shown RGB pictures
ALL_ROWS = slice(None)


class ImageStack:
    """The frames of an image layer, each read when asked for; the layer is not kept.

    Frames are ``(H, W)``, or ``(H, W, C)`` where several channels are mixed or the
    layer shows colours. They may be read from several threads at once. The stack keeps
    to the data that the layer had when it was made: see `shows`.

    Parameters
    ----------
    layer : Image
        NumPy, dask, zarr, memory-mapped, multiscale.
    axis : int, tuple of int or None
        The axis that frames run along, or two; None for a layer of one image.
    channel_axis : int, optional
        The axis that channels lie along.
    channels : sequence of int, optional
        Up to three channels; the first three by default. One makes grey frames.
    level : int
        Resolution level of a multiscale layer, 0 the finest.
    fixed : mapping of int to int, optional
        Axis and index, of each further axis, in the finest level.

    Raises
    ------
    ValueError
        If axes, channels or level do not fit the layer.
    """

    def __init__(
        self,
        layer: Image,
        axis: Along,
        *,
        channel_axis: int | None = None,
        channels: Sequence[int] | None = None,
        level: int = 0,
        fixed: Mapping[int, int] | None = None,
    ) -> None:
        self._source = layer.data
        self._data = level_data(layer, level)
        self.name = str(layer.name)
        self.level = level
        self.ndim = int(layer.ndim)
        self.is_rgb = bool(layer.rgb)
        shape = self._data.shape[: self.ndim]
        self.channel_axis = (
            None if channel_axis is None else checked_axis(channel_axis, shape)
        )
        self.channels = self._checked_channels(channels, shape)
        full = level_data(layer, 0).shape[: self.ndim]
        self.fixed = {checked_axis(at, full): i for at, i in (fixed or {}).items()}
        places = {at: i * shape[at] // full[at] for at, i in self.fixed.items()}
        if self.channel_axis is not None:
            places[self.channel_axis] = self.channels[0]
        self._axes = FrameAxes.of(shape, axis, places)

    def _checked_channels(
        self, channels: Sequence[int] | None, shape: tuple[int, ...]
    ) -> tuple[int, ...]:
        if self.channel_axis is None:
            if channels:
                raise ValueError(
                    f"Expected no channels for {self.name}, which has no such axis, "
                    f"got {list(channels)}."
                )
            return ()
        if self.is_rgb:
            raise ValueError(
                f"Expected colours or channels, got both for {self.name}: choose one "
                "channel as a fixed axis."
            )
        count = shape[self.channel_axis]
        chosen = range(count)[:MAX_CHANNELS] if channels is None else tuple(channels)
        fits = all(0 <= channel < count for channel in chosen)
        if not fits or not 1 <= len(chosen) <= MAX_CHANNELS:
            raise ValueError(
                f"Expected one to {MAX_CHANNELS} channels from 0 to {count - 1}, "
                f"got {list(chosen)}."
            )
        return tuple(chosen)

    @property
    def along(self) -> tuple[int, ...]:
        """The axes of the layer that frames run along."""
        return self._axes.along

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many frames there are along each of these axes."""
        return self._axes.lengths

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the frames, in the byte order of this machine."""
        return np.dtype(self._data.dtype).newbyteorder("=")

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self._axes.frame_shape

    @property
    def num_channels(self) -> int:
        """Number of channels or colours of a frame, 1 for grey."""
        return int(self._data.shape[-1]) if self.is_rgb else max(1, len(self.channels))

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._axes)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Read one frame, and nothing else: (H, W) or (H, W, C).

        Raises
        ------
        IndexError
            If there is no such frame.
        StackError
            If it cannot be read.
        """
        return self._checked(frame_index(index, len(self)))

    def rows(self, index: int, max_bytes: int) -> Iterator[NDArray[Any]]:
        """Read one frame in pieces of full rows, from the first row to the last.

        Parameters
        ----------
        index : int
            The frame.
        max_bytes : int
            At most so many bytes are read at once, if a row has no more.

        Raises
        ------
        IndexError, StackError
            As if the frame was read whole.
        """
        frame = frame_index(index, len(self))
        height, width = self.frame_shape
        row_bytes = width * self.num_channels * self.dtype.itemsize
        step = max(1, max_bytes // max(1, row_bytes))
        for start in range(0, height, step):
            yield self._checked(frame, slice(start, min(start + step, height)))

    def _checked(self, frame: int, rows: slice = ALL_ROWS) -> NDArray[Any]:
        try:
            return self._read(frame, rows)
        except Exception as error:  # a dask graph may raise anything
            raise StackError(
                f"Expected frame {frame} of {self.name} to be readable, "
                f"got: {one_line(error)}"
            ) from error

    def _read(self, frame: int, rows: slice) -> NDArray[Any]:
        place = with_rows(self._axes.index(frame), rows)
        if self.channel_axis is None:
            return self._block(place)
        at = self.channel_axis
        blocks = [
            self._block((*place[:at], channel, *place[at + 1 :]))
            for channel in self.channels
        ]
        return blocks[0] if len(blocks) == 1 else np.stack(blocks, axis=-1)

    def _block(self, place: Index) -> NDArray[Any]:
        return np.ascontiguousarray(to_numpy(self._data[place]), dtype=self.dtype)

    def shows(self, layer: Image) -> bool:
        """Return whether a layer still has the data that this stack was made of."""
        return layer.data is self._source

    def __repr__(self) -> str:
        """Return name, number of frames and their shape."""
        return f"<ImageStack {self.name!r}: {len(self)} frames {self.frame_shape}>"


class MixedStack:
    """Up to three grey stacks of one shape, each a channel of the mixed frames.

    Parameters
    ----------
    stacks : sequence of ImageStack
        One per channel, as napari shows the channels of a file by default.

    Raises
    ------
    ValueError
        If they are not alike, are not grey, or are more than three.
    """

    def __init__(self, stacks: Sequence[ImageStack]) -> None:
        if not 1 <= len(stacks) <= MAX_CHANNELS:
            raise ValueError(
                f"Expected one to {MAX_CHANNELS} layers, got {len(stacks)}."
            )
        first = stacks[0]
        for stack in stacks:
            if stack.num_channels != 1:
                raise ValueError(
                    f"Expected grey layers to mix, got {stack.num_channels} channels "
                    f"in {stack.name}."
                )
            if (len(stack), *stack.frame_shape) != (len(first), *first.frame_shape):
                raise ValueError(
                    f"Expected {_size(first)} in {stack.name}, as in {first.name}, "
                    f"got {_size(stack)}."
                )
        self._stacks = tuple(stacks)
        self.name = " + ".join(stack.name for stack in stacks)
        self.frame_shape = first.frame_shape

    @property
    def first(self) -> ImageStack:
        """The stack of the first channel."""
        return self._stacks[0]

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.first)

    def __getitem__(self, index: int) -> NDArray[Any]:
        """Read one frame: (H, W), or (H, W, C) of several stacks."""
        blocks = [stack[index] for stack in self._stacks]
        return blocks[0] if len(blocks) == 1 else np.stack(blocks, axis=-1)


def _size(stack: ImageStack) -> str:
    height, width = stack.frame_shape
    return f"{count_of(len(stack), 'frame')} of {height} x {width}"


def with_rows(place: Index, rows: slice) -> Index:
    """Return the place of some rows of a frame, given that of the frame."""
    first = next(at for at, each in enumerate(place) if isinstance(each, slice))
    return (*place[:first], rows, *place[first + 1 :])


def num_levels(layer: Image) -> int:
    """Return the number of resolution levels of a layer, 1 if it is not multiscale."""
    return len(layer.data) if layer.multiscale else 1


def level_data(layer: Image, level: int) -> Any:
    """Return the array of one resolution level of a layer.

    Raises
    ------
    ValueError
        If there is no such level.
    """
    count = num_levels(layer)
    if not 0 <= level < count:
        raise ValueError(
            f"Expected a level from 0 to {count - 1} of {layer.name}, got {level}."
        )
    return layer.data[level] if layer.multiscale else layer.data


def to_numpy(block: Any) -> NDArray[Any]:
    """Turn a block of an array of any kind into numpy.

    Dask is computed without its callbacks: napari caches what it shows by a global one,
    which a second thread would fill with frames that are not shown, and break.
    """
    if is_dask(block):
        block = block.compute(callbacks=())
    return np.asarray(block)


def is_dask(array: Any) -> bool:
    """Return whether an array is yet to be computed by dask."""
    graph = getattr(array, "__dask_graph__", None)  # xarray has one that may be None
    return graph is not None and graph() is not None
