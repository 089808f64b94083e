"""LabelsWatcher: news of every change in a Labels layer, whoever makes it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.ui.layers.image_stack import is_dask
from napari_seggpt.ui.layers.napari_undo import NapariUndoHistory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels
    from napari.utils.events import Event

    from napari_seggpt.ui.layers.frame_axes import FrameAxes

VIEW_SETTLED_MS = 150  # the view has stopped moving through the stack
ANY_FRAME_DELAY_MS = 300  # several refreshes by others are one

Frames = frozenset[int] | None  # None: any


class LabelsWatcher:
    """Tells which frames of a Labels layer may have changed.

    napari has no event for that. What is told comes from these:

    - `paint` at the end of a stroke, but before `paint`, `fill` and `data_setitem`
      write: told once the present event of the window is over.
    - `labels_update` at every dab: each frame of a stroke is told once, at its first.
    - `set_data` after undo, redo and an aborted stroke, when anybody refreshes the
      layer, and whenever the view moves. What was undone is told by comparing the
      history. Where nothing explains a refresh, others may have written any frame.
    - `data` when the layer's array is assigned.
    - `visible`: on a hidden layer undo and refresh have no event at all.

    Parameters
    ----------
    layer : Labels
        The layer.
    axes : FrameAxes
        Where frames lie in its data.

    Attributes
    ----------
    history : NapariUndoHistory
        What napari could undo and redo.
    changed : Signal
        With the frames that may have changed, or None for any.
    undone : Signal
        With the frames that napari's undo or redo has changed just now.
    unusable : Signal
        The layer has data that does not serve, with the reason.
    """

    changed = Signal(object)
    undone = Signal(object)
    unusable = Signal(str)

    _own_refreshes: ClassVar[set[Labels]] = set()  # layers that are refreshed just now

    def __init__(self, layer: Labels, axes: FrameAxes) -> None:
        self.history = NapariUndoHistory(layer, axes)
        self._layer = layer
        self._axes = axes
        self._data = layer.data
        self._view_state = _view_state(layer)
        self._stroke: frozenset[int] = frozenset()  # frames told of it
        self._queued: frozenset[int] = frozenset()
        self._queue_timer = single_shot(self._emit_queued)
        self._settle_timer = single_shot(self._emit_shown)
        self._any_frame_timer = single_shot(self._emit_any)
        self._listeners = {
            "paint": self._on_paint,
            "labels_update": self._on_labels_update,
            "set_data": self._on_set_data,
            "data": self._on_data,
            "visible": self._on_visible,
        }
        for name, listener in self._listeners.items():
            getattr(layer.events, name).connect(listener)

    def close(self) -> None:
        """Let go of the layer; nothing more is told."""
        for name, listener in self._listeners.items():
            getattr(self._layer.events, name).disconnect(listener)
        self._listeners = {}
        for timer in (self._queue_timer, self._settle_timer, self._any_frame_timer):
            timer.stop()

    @contextmanager
    def own_refresh(self) -> Iterator[None]:
        """Take a refresh in this context for no news, in all watchers of the layer.

        Each session on the layer has one, and is told otherwise of what runs write.
        """
        self._own_refreshes.add(self._layer)
        try:
            yield
        finally:
            self._own_refreshes.discard(self._layer)

    # -- telling -------------------------------------------------------------------

    def flush(self) -> None:
        """Tell at once what waits for its turn, and what a stroke has become."""
        self.check_history()
        if self.history.is_stroke:
            self._emit(self._stroke)
        self._emit_queued()
        if self._settle_timer.isActive():
            self._emit_shown()
        if self._any_frame_timer.isActive():
            self._emit_any()

    def check_history(self) -> None:
        """Notice an undo or redo that had no event; it is told soon."""
        self._queue(self.history.changed_frames())

    def forget(self, frame: int) -> bool:
        """Take a frame out of napari's history; see `NapariUndoHistory.forget`.

        A stroke of which nothing is left has no event at its end. If it goes on in the
        frame, that is told again.
        """
        is_changed = self.history.forget(frame)
        is_on = self.history.is_stroke
        self._stroke = self._stroke - {frame} if is_on else frozenset()
        return is_changed

    def _emit(self, frames: frozenset[int]) -> None:
        if frames and not why_unusable(self._layer, self._axes):
            self.changed.emit(frames)

    def _queue(self, frames: Frames) -> None:
        """Tell of frames when the present event of the window is over."""
        if frames is None:
            self._emit_any_later()
        elif frames:
            self._queued |= frames
            self._queue_timer.start(0)

    def _emit_queued(self) -> None:
        self._queue_timer.stop()
        queued, self._queued = self._queued, frozenset()
        self._emit(queued)

    def _emit_shown(self) -> None:
        self._settle_timer.stop()
        self._emit(shown_frames(self._layer, self._axes) or frozenset())

    def _emit_any_later(self) -> None:
        """Any frame may have changed; that is told once for all at about one time."""
        self._any_frame_timer.start(ANY_FRAME_DELAY_MS)

    def _emit_any(self) -> None:
        self._any_frame_timer.stop()
        if not why_unusable(self._layer, self._axes):
            self.changed.emit(None)

    # -- listening -----------------------------------------------------------------

    def _on_paint(self, event: Event) -> None:
        self._stroke = frozenset()
        self.check_history()

    def _on_labels_update(self, event: Event) -> None:
        self._emit_queued()
        frames = self.history.stroke_frames()
        if frames is None:
            self._emit_any_later()
        else:
            new, self._stroke = frames - self._stroke, self._stroke | frames
            self._emit(new)

    def _on_set_data(self, event: Event) -> None:
        if self._layer in self._own_refreshes:
            return
        undone = self.history.changed_frames()
        if undone is None:
            self._emit_any_later()
        is_explained = bool(self.history.replayed)
        if is_explained:
            self.undone.emit(self.history.replayed)
        told = undone or frozenset()
        if self._stroke and not self.history.is_stroke:  # it was aborted
            told, self._stroke, is_explained = told | self._stroke, frozenset(), True
        self._emit(told)
        before, self._view_state = self._view_state, _view_state(self._layer)
        if before != self._view_state:
            self._settle_timer.start(VIEW_SETTLED_MS)
        elif not is_explained:  # items that only went were dropped by another session
            self._emit_shown()
            self._emit_any_later()

    def _on_visible(self, event: Event) -> None:
        if self._layer.visible:
            self.check_history()
            self._emit_any_later()

    def _on_data(self, event: Event) -> None:
        if self._layer.data is not self._data:
            self._data = self._layer.data
            self.history.drop()  # undo would write old pixels into other data
            self._stroke = frozenset()
        reason = why_unusable(self._layer, self._axes)
        if reason:
            self.unusable.emit(reason)
        else:
            self._emit_any_later()


def shown_frames(layer: Labels, axes: FrameAxes) -> Frames:
    """Return the frames of a layer that are shown, None for all of them."""
    if axes_left(layer, axes):
        return frozenset()
    point = layer._data_slice.point
    places = [float(point[at]) for at in axes.along]
    if places and np.isnan(places).all():
        return None
    box = [slice(None)] * len(axes.shape)
    for at, place in zip(axes.along, places, strict=True):
        if not np.isnan(place):
            index = round(place)
            box[at] = slice(max(0, index), max(0, index + 1))
    for at, index in axes.fixed:
        box[at] = slice(index, index + 1)
    return axes.frames_in(box)


def axes_left(layer: Labels, axes: FrameAxes) -> set[int]:
    """Return the axes on which another index is shown than that of all frames."""
    point = layer._data_slice.point
    return {
        at
        for at, index in axes.fixed
        if not (np.isnan(point[at]) or round(float(point[at])) == index)
    }


def _view_state(layer: Labels) -> tuple[object, ...]:
    """Return what, if it has changed, explains a refresh of unchanged labels."""
    view = layer._slice_input
    return (
        tuple(np.nan_to_num(layer._data_slice.point, nan=-1.0)),
        tuple(view.order),
        view.ndisplay,
        id(layer.colormap),
        layer.contour,
        layer.show_selected_label and layer.selected_label,
    )


def why_unusable(layer: Labels, axes: FrameAxes) -> str | None:
    """Return why frames cannot be written into a layer any more, None if they can."""
    shape = tuple(layer.data.shape)
    if shape != axes.shape:
        return f"its shape is {shape} now, it was {axes.shape} when it was chosen"
    return why_not_writable(layer)


def why_not_writable(layer: Labels) -> str | None:
    """Return why labels cannot be written into a layer, None if they can."""
    data = layer.data
    if layer.multiscale:
        return "it has several resolution levels, which napari cannot edit"
    if is_dask(data):
        return "it is computed by dask, so that nothing can be written into it"
    if not hasattr(data, "__setitem__"):
        return "nothing can be written into its data"
    flags = getattr(data, "flags", None)
    if getattr(data, "read_only", False) or not getattr(flags, "writeable", True):
        return "its data is read-only"
    return None


def single_shot(tell: Callable[[], None]) -> QTimer:
    """Return a timer that calls once after each start."""
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(tell)
    return timer
