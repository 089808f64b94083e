"""LayerSession: the session on one choice of layers, with all that keeps it going."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session import Session
from napari_seggpt.ui.layers.frame_axes import stack_axes
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.labels_watcher import shown_frames
from napari_seggpt.ui.layers.navigation import Navigation
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.previews import ReferencePreviews
from napari_seggpt.ui.work.run_control import RunControl
from napari_seggpt.ui.work.tuning_control import TuningControl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari.viewer import Viewer

    from napari_seggpt.session import ModelCache, ScannedFrame
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.layers.image_stack import ImageStack, MixedStack
    from napari_seggpt.ui.layers.layer_choice import LayerChoice

T = TypeVar("T")

PREVIEW_DELAY_MS = 300  # after the last stroke, until previews are made anew
GROUP_SECONDS = 0.1
MAX_GROUP_SIZE = (
    200  # frames, each of which may have to be read again in the window's thread
)


class LayerSession:
    """The session on a stack and its labels layer, fed with what happens to them.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are shown.
    choice : Choice
        An image and a labels layer.
    settings : SessionSettings
        Of the session.
    models : ModelCache
        Where models are kept.

    Raises
    ------
    ValueError
        If the layers do not fit each other.
    """

    painted = Signal()  # the pictures of references may have changed
    scanned = Signal()  # the labels of all frames have been read
    lost = Signal(str)  # the layers fit each other no longer
    closing = Signal()  # the last moment at which layers and session can be read

    def __init__(
        self,
        viewer: Viewer,
        choice: LayerChoice,
        settings: SessionSettings,
        models: ModelCache,
    ) -> None:
        assert choice.image is not None
        assert choice.labels is not None
        self.image = choice.image
        self.stack: ImageStack | MixedStack = choice.stack()
        self.labels = LabelsLayer.of_stack(self.stack, choice.labels)
        self.session = Session(self.stack, self.labels, settings, models=models)
        self.runs = RunControl(self.session)
        self.tuning = TuningControl(self.session, self.labels.layer)
        self.previews = ReferencePreviews(self.stack, self.labels)
        self.navigation = Navigation(
            viewer, self.labels.layer, self.labels.axes.axis, len(self.labels)
        )
        self._choice = choice
        self._scan: Job[list[ScannedFrame]] | None = None
        self._scan_again = False
        self._was_scanned = False
        self.is_finding = False  # what changes now was in the labels from the start
        self._painted_timer = QTimer()
        self._painted_timer.setSingleShot(True)
        self._painted_timer.timeout.connect(self.painted.emit)
        self.labels.changed.connect(self._on_changed)
        self.labels.unusable.connect(self.lost.emit)
        self.session.scan_wanted.connect(self.scan)
        self.image.events.data.connect(self._on_image_data)
        self.scan()

    @property
    def choice(self) -> LayerChoice:
        """What is worked on."""
        return self._choice

    def shows(self, choice: LayerChoice) -> bool:
        """Return whether the model is shown what a choice of this place says."""
        return choice.pictures == self._choice.pictures

    def show_pictures(self, choice: LayerChoice) -> None:
        """Show the model other channels or another level of the same frames.

        Raises
        ------
        ValueError
            If the labels do not fit any more.
        """
        stack = choice.stack()
        if stack.frame_shape != self.labels.frame_shape:
            height, width = stack.frame_shape
            raise ValueError(
                f"Expected labels of {height} x {width}, as the image at this level, "
                "got {} x {}: make new labels.".format(*self.labels.frame_shape)
            )
        self.runs.stop()
        self.session.set_stack(stack)
        self.stack, self._choice = stack, choice
        self.previews.show_stack(stack)
        self.painted.emit()

    @property
    def place_left(self) -> str | None:
        """Where on other axes the frames are, if the viewer shows another place."""
        shown = shown_frames(self.labels.layer, self.labels.axes)
        if shown is None or shown:
            return None
        names = dict(stack_axes(self.image))
        return ", ".join(f"{names[at]} {index}" for at, index in self._choice.fixed)

    @property
    def is_scanning(self) -> bool:
        """Whether a worker is reading the labels of all frames."""
        return self._scan is not None

    def scan(self) -> None:
        """Have a worker read the labels of all frames."""
        if self._scan is not None:
            self._scan_again = True
            return
        self._scan = Job(
            lambda: in_groups(self.session.scan()),
            self._take_scan,
            title="Looking at the labels",
        )
        self._scan.ended.connect(self._on_scanned)
        self._scan.start()

    def close(self) -> None:
        """End what is on and let go of the layers; labels stay."""
        self.closing.emit()
        self.image.events.data.disconnect(self._on_image_data)
        self.runs.close()
        self.tuning.close()
        self.previews.close()
        self._scan_again = False
        if self._scan is not None:
            self._scan.close()
        self._painted_timer.stop()
        self.navigation.close()
        self.labels.changed.disconnect(self._on_changed)
        self.labels.unusable.disconnect(self.lost.emit)
        self.labels.close()
        self.session.close()

    def _on_changed(self, frames: frozenset[int] | None) -> None:
        self.previews.forget(frames)
        self.session.labels_changed(frames)
        self._painted_timer.start(PREVIEW_DELAY_MS)

    def _take_scan(self, group: list[ScannedFrame]) -> None:
        self.is_finding = not self._was_scanned
        try:
            for scanned in group:
                self.session.take_scan(scanned)
        finally:
            self.is_finding = False

    def _on_scanned(self, _: JobState) -> None:
        self._scan = None
        self._was_scanned = True
        if self._scan_again:
            self._scan_again = False
            self.scan()
        else:
            self.scanned.emit()

    def _on_image_data(self, event: object = None) -> None:
        """The image layer has other data: go on with it, if it has the same frames."""
        try:
            stack = self._choice.stack()
            if (len(stack), stack.frame_shape) != (
                len(self.labels),
                self.labels.frame_shape,
            ):
                raise ValueError
        except ValueError:
            self.lost.emit(f"The data of {self.image.name} have another shape now.")
            return
        self.session.set_stack(stack)
        self.stack = stack
        self.previews.show_stack(stack)
        self.painted.emit()


def in_groups(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield what comes in a short time together: each yield costs the window some."""
    group: list[T] = []
    until = time.monotonic() + GROUP_SECONDS
    for item in items:
        group.append(item)
        if time.monotonic() >= until or len(group) == MAX_GROUP_SIZE:
            yield group
            group, until = [], time.monotonic() + GROUP_SECONDS
    if group:
        yield group
