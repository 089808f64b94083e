"""LabelsLayer: the labels of a stack in a napari Labels layer, a frame at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_seggpt.frames import frame_index
from napari_seggpt.io.layout import StackError, one_line
from napari_seggpt.ui.layers.frame_axes import FrameAxes
from napari_seggpt.ui.layers.image_stack import ImageStack, level_data, to_numpy
from napari_seggpt.ui.layers.labels_watcher import (
    LabelsWatcher,
    shown_frames,
    single_shot,
    why_not_writable,
    why_unusable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from napari.layers import Labels
    from numpy.typing import NDArray
    from psygnal import SignalInstance

    from napari_seggpt.ui.layers.frame_axes import Along
    from napari_seggpt.ui.layers.image_stack import MixedStack

REFRESH_MS = 50  # the view follows own writes 20 times a second
REFRESH_VOLUME_MS = 500  # in 3-D, where all of the stack is shown


class LabelsLayer:
    """The labels of a stack in a Labels layer, NumPy or zarr, a frame at a time.

    `changed` is emitted with the frames (a frozenset of int) that something else than
    `write` may have changed, or with None if that may be any frame: see
    `LabelsWatcher`. It says too much rather than too little: compare contents.
    `unusable` is emitted with the reason if the layer gets data of another shape, or
    that cannot be written to; `read` and `write` then raise ValueError.

    `write` takes what it writes out of napari's undo history, so that Ctrl+Z cannot
    bring back pixels from before; `history_shortened` is emitted the first time that
    this takes something from a person.

    `read` may be called on any thread, the rest on the window's only.

    Parameters
    ----------
    layer : Labels
        The layer; its data is read anew every time, since it may be replaced.
    axis : int, tuple of int or None
        The axis that frames run along, or two; None for a lone frame.
    fixed : mapping of int to int, optional
        Axis and index, of each further axis.

    Attributes
    ----------
    layer : Labels
        The layer.
    axes : FrameAxes
        Where the frames lie in its data.

    Raises
    ------
    ValueError
        If the layer cannot be written to, or the axes do not fit it.
    """

    history_shortened = Signal()

    def __init__(
        self, layer: Labels, axis: Along, fixed: Mapping[int, int] | None = None
    ) -> None:
        reason = why_not_writable(layer)
        if reason:
            raise ValueError(
                f"Expected labels to write to, got {layer.name}: {reason}."
            )
        self.layer = layer
        self.axes = FrameAxes.of(layer.data.shape, axis, fixed)
        self._watcher = LabelsWatcher(layer, self.axes)
        self._is_history_told = False
        self._view_is_old = False
        self._refresh_timer = single_shot(self._refresh)

    @classmethod
    def of_stack(cls, stack: ImageStack | MixedStack, layer: Labels) -> Self:
        """Find the frames of an image stack in a Labels layer.

        As napari does, the last axes of both are taken for the same. A layer may lack
        axes that all frames lie at one index of, or have length 1 there. Further first
        axes of length 1, as some programs save them, do not count.

        Raises
        ------
        ValueError
            If the layer cannot be written to, or has not as many frames of one shape.
        """
        first = stack if isinstance(stack, ImageStack) else stack.first
        shape, missing = layer_shape(layer), first.ndim - layer.ndim
        fixed = {
            at - missing: index if shape[at - missing] > 1 else 0
            for at, index in first.fixed.items()
            if at >= missing
        }
        fixed |= dict.fromkeys(range(-missing), 0)  # axes that the image has not
        if first.channel_axis is not None and first.channel_axis >= missing:
            fixed[first.channel_axis - missing] = 0
        axis = tuple(at - missing for at in first.along)
        wanted = (*first.lengths, *stack.frame_shape)
        is_one_more = any(length > 1 for length in shape[: max(0, -missing)])
        if is_one_more or _size(shape, axis, fixed) != wanted:
            height, width = stack.frame_shape
            frames = " x ".join(map(str, first.lengths or (1,)))
            raise ValueError(
                f"Expected labels of {frames} frames of {height} x {width}, "
                f"as in {stack.name}, got {layer.name} of shape {shape}."
            )
        return cls(layer, axis, fixed)

    @property
    def changed(self) -> SignalInstance:
        """Emitted with the frames that others may have changed, None for any."""
        return self._watcher.changed

    @property
    def undone(self) -> SignalInstance:
        """Emitted with the frames that napari's undo or redo has changed."""
        return self._watcher.undone

    @property
    def unusable(self) -> SignalInstance:
        """Emitted with the reason when the layer gets data that does not serve."""
        return self._watcher.unusable

    @property
    def name(self) -> str:
        """The present name of the layer."""
        return str(self.layer.name)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.axes.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the labels."""
        return np.dtype(self.layer.data.dtype)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.axes)

    # -- reading and writing -------------------------------------------------------

    def read(self, frame: int) -> NDArray[np.integer[Any]]:
        """Return a copy of the labels (H, W) of a frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If the layer has other data now, which does not serve.
        StackError
            If what is stored of the frame cannot be read.
        """
        place = self.axes.index(frame_index(frame, len(self)))
        data = self._present_data()
        try:
            return np.array(to_numpy(data[place]))
        except Exception as error:  # a store may raise anything
            raise StackError(
                f"Expected the labels of frame {frame} of {self.name} to be readable, "
                f"got: {one_line(error)}"
            ) from error

    def write(self, frame: int, labels: NDArray[np.integer[Any]]) -> None:
        """Replace the labels of a frame.

        Raises
        ------
        IndexError
            If there is no such frame.
        ValueError
            If labels have another shape or type, an id does not fit the layer, or the
            layer has other data now, which does not serve.
        """
        frame = frame_index(frame, len(self))
        data = self._present_data()
        self._watcher.check_history()
        _check_fits(labels, self.frame_shape, self.dtype)
        if not isinstance(data, np.ndarray):  # that converts while it is written
            labels = labels.astype(self.dtype, copy=False)
        data[self.axes.index(frame)] = labels
        if self._watcher.forget(frame) and not self._is_history_told:
            self._is_history_told = True
            self.history_shortened.emit()
        self._show(frame)

    def _present_data(self) -> Any:
        reason = why_unusable(self.layer, self.axes)
        if reason:
            raise ValueError(f"Expected the labels of {self.name}, but {reason}.")
        return self.layer.data

    # -- the view ------------------------------------------------------------------

    def _show(self, frame: int) -> None:
        shown = shown_frames(self.layer, self.axes)
        if shown is None or frame in shown:
            self._view_is_old = True
            if not self._refresh_timer.isActive():
                in_3d = len(self.layer._slice_input.displayed) > 2
                self._refresh_timer.start(REFRESH_VOLUME_MS if in_3d else REFRESH_MS)

    def _refresh(self) -> None:
        self._refresh_timer.stop()
        if self._view_is_old:
            self._view_is_old = False
            with self._watcher.own_refresh():
                self.layer.refresh(extent=False, highlight=False)

    def flush(self) -> None:
        """Tell and show at once what waits for its turn."""
        self._watcher.flush()
        self._refresh()

    def close(self) -> None:
        """Let go of the layer: no more news, no more refreshes."""
        self._watcher.close()
        self._refresh_timer.stop()


def layer_shape(layer: Labels) -> tuple[int, ...]:
    """Return the shape of a layer's data, at its finest level."""
    return tuple(level_data(layer, 0).shape)


def _size(
    shape: tuple[int, ...], axis: tuple[int, ...], fixed: Mapping[int, int]
) -> tuple[int, ...] | None:
    """Return frames along each axis, height and width; None if the axes do not fit."""
    if any(at < 0 for at in axis):
        return None
    try:
        axes = FrameAxes.of(shape, axis, fixed)
    except ValueError:
        return None
    return (*axes.lengths, *axes.frame_shape)


def _check_fits(
    labels: NDArray[np.integer[Any]], shape: tuple[int, int], dtype: np.dtype[Any]
) -> None:
    """Refuse labels that a layer of a type cannot hold."""
    if labels.shape != shape:
        raise ValueError(f"Expected labels of shape {shape}, got {labels.shape}.")
    if labels.dtype.kind not in "biu":
        raise ValueError(f"Expected integer labels, got {labels.dtype}.")
    if np.can_cast(labels.dtype, dtype):
        return
    limits = np.iinfo(dtype)
    for label in (int(labels.max()), int(labels.min())):
        if not limits.min <= label <= limits.max:
            raise ValueError(
                f"Expected label ids from {limits.min} to {limits.max}, which "
                f"{dtype} can hold, got {label}. Convert the layer's data type first: "
                "right-click it, Convert data type."
            )
