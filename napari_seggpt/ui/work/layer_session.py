"""LayerSession: the session on a chosen image and labels layer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from psygnal import Signal
from qtpy.QtCore import QTimer
from superqt.utils import qthrottled

from napari_seggpt.model.cards import model_config
from napari_seggpt.session import Session
from napari_seggpt.ui.layers.chunk_lock import ChunkLock
from napari_seggpt.ui.layers.data_listener import DataListener
from napari_seggpt.ui.layers.frame_axes import axis_names
from napari_seggpt.ui.layers.image_stack import ImageStack
from napari_seggpt.ui.layers.label_locks import locks_of
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.labels_watcher import shown_frames
from napari_seggpt.ui.layers.navigation import Navigation
from napari_seggpt.ui.work.axis_words import in_words
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.previews import ReferencePreviews
from napari_seggpt.ui.work.run_control import RunControl
from napari_seggpt.ui.work.tuning_control import TuningControl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_seggpt.object_settings import LinkedAxis
    from napari_seggpt.session import ModelCache, ScannedFrame
    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.layers.image_stack import MixedStack
    from napari_seggpt.ui.layers.layer_choice import LayerChoice

T = TypeVar("T")

PREVIEW_DELAY_MS = 300  # after the last stroke, until previews are made anew
THROTTLE_MS = 100  # references that change in quick succession
GROUP_SECONDS = 0.1
MAX_GROUP_SIZE = 200  # frames, each of which the window may have to read again


class LayerSession:
    """The session on a stack and its labels layer, told of what happens to these.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are shown.
    choice : LayerChoice
        An image and a labels layer.
    settings : SessionSettings
        Of the session.
    models : ModelCache
        Where models are kept.

    Attributes
    ----------
    session : Session
        The session.
    image : Image
        The image layer.
    stack : ImageStack or MixedStack
        Its frames.
    labels : LabelsLayer
        The labels.
    runs, tuning : RunControl, TuningControl
        The session's runs and its tuning, in napari's workers.
    previews : ReferencePreviews
        Small pictures of the references.
    navigation : Navigation
        Which frame the viewer shows.
    finished, asked_about : set of int
        Reference frames that a person said are finished, and those that this person
        was asked about when a run was to start.
    is_finding : bool
        Whether a scan is taking note of labels that were there from the start.
    is_touched : bool
        Whether anything of its frames has changed that the first scan did not find.
    task : str or None
        What labels stand for, such as "objects"; None while nobody has looked.
    task_found : Signal
        It is known now, or is another.
    scanned : Signal
        The labels of all frames have been read.
    undone_elsewhere : Signal
        Napari's undo or redo changed a frame that was not shown, with the frame.
    lost : Signal
        The layers do not fit each other any more, with the reason.
    data_replaced : Signal
        The image layer has other data.
    closing : Signal
        Emitted at the last moment at which layers and session can be read.

    Raises
    ------
    ValueError
        If the layers do not fit each other, or there is no frame.
    """

    task_found = Signal()
    scanned = Signal()
    undone_elsewhere = Signal(int)
    lost = Signal(str)
    data_replaced = Signal()
    closing = Signal()

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
        if not len(self.stack):
            raise ValueError(
                f"Expected an image of at least one frame, got {self.stack.name} of 0."
            )
        self.labels = LabelsLayer.of_stack(self.stack, choice.labels)
        self._chunks = _locked_chunks(self.labels)
        self.session = Session(
            self.stack,
            self.labels,
            settings,
            models=models,
            axis=self.frame_axis,
            grid=self.labels.axes.grid(self.axis_names),
            locks=locks_of(choice.labels),
        )
        self.runs = RunControl(self.session)
        self.tuning = TuningControl(self.session, self.labels.layer)
        self.previews = ReferencePreviews(self.stack, self.labels)
        self.navigation = Navigation(viewer, self.labels.layer, self.labels.axes)
        self.finished: set[int] = set()
        self.asked_about: set[int] = set()
        self.is_finding = self.is_touched = False
        self.task: str | None = None
        self._choice = choice
        self._scan: Job[list[ScannedFrame]] | None = None
        self._scan_again = False
        self._was_scanned = False
        self._on_references = qthrottled(self.request_previews, timeout=THROTTLE_MS)
        self._preview_timer = QTimer()
        self._preview_timer.setSingleShot(True)
        self._preview_timer.timeout.connect(self.request_previews)
        self._undone: frozenset[int] = frozenset()
        self._undone_timer = QTimer()
        self._undone_timer.setSingleShot(True)
        self._undone_timer.timeout.connect(self._show_undone)
        self.labels.undone.connect(self._on_undone)
        self.labels.changed.connect(self._on_labels)
        self.labels.unusable.connect(self.lost.emit)
        self.session.frames.scan_wanted.connect(self.scan)
        self.session.frames.records_changed.connect(self._on_records)
        self.session.references.changed.connect(self._on_references)
        self._pictures = DataListener(self._on_image_data)
        self._pictures.listen_to(choice.images)
        self.scan()

    @property
    def choice(self) -> LayerChoice:
        """What is worked on."""
        return self._choice

    @property
    def is_busy(self) -> bool:
        """Whether a run or tuning is on, or a run is being undone."""
        return self.runs.is_busy or self.tuning.is_on

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
        self._choice = choice
        self._pictures.listen_to(choice.images)
        self._take_stack(stack)

    def _take_stack(self, stack: ImageStack | MixedStack) -> None:
        self.session.set_stack(stack)
        self.stack = stack
        self.previews.show_stack(stack)
        self.request_previews()

    def request_previews(self) -> None:
        """Have previews made of the references that have none."""
        config = model_config(self.session.settings.model)
        self.previews.request(self.session.references.all, config)

    @property
    def axis_names(self) -> list[str]:
        """The names of the axes that frames run along, as the layers tell them."""
        return [
            name or in_words(self.image, f"axis {at}")
            for at, name in self._axes_by_name.items()
        ]

    @property
    def _axes_by_name(self) -> dict[int, str | None]:
        """The axes of the image that frames run along, with their names if any."""
        first = self.stack if isinstance(self.stack, ImageStack) else self.stack.first
        pairs = zip(first.along, self.labels.axes.along, strict=True)
        return {
            one: axis_names(self.image)[one] or axis_names(self.labels.layer)[other]
            for one, other in pairs
        }

    @property
    def frame_axis(self) -> LinkedAxis:
        """What frames follow each other in: "t" if the layers say so, else "z".

        Along two axes they follow each other in the second, the slices of a volume; but
        in time where the second has a name and is none of depth, such as positions.
        """
        *others, last = self._axes_by_name.values() or (None,)
        is_depth = last in (None, "z")
        return "t" if "t" in (last, *others) and not is_depth else "z"

    def name(self, frame: int) -> str:
        """Return what people call a frame, such as "12" or "t 3, z 12"."""
        return self.session.grid.name(frame)

    def note_task(self, task: str | None) -> None:
        """Take note of what labels stand for."""
        if task != self.task:
            self.task = task
            self.task_found.emit()

    def close(self) -> None:
        """End what is on and let go of the layers; labels stay."""
        self.closing.emit()
        self._pictures.listen_to(())
        self.runs.close()
        self.tuning.close()
        self.session.references.changed.disconnect(self._on_references)
        self._on_references.cancel()
        self._preview_timer.stop()
        self._undone_timer.stop()
        self.labels.undone.disconnect(self._on_undone)
        self.previews.close()
        self._scan_again = False
        if self._scan is not None:
            self._scan.close()
        self.navigation.close()
        self.labels.changed.disconnect(self._on_labels)
        self.labels.unusable.disconnect(self.lost.emit)
        self.labels.close()
        self._chunks.release()
        self.session.close()

    def take_over(
        self, vouched: Mapping[int, FrameRecord], written: Mapping[int, FrameRecord]
    ) -> None:
        """Keep what a person vouches for in others on these labels, and their runs.

        It is no work on this session: that is saved where it was done.
        """
        if not vouched and not written:
            return
        was_finding, self.is_finding = self.is_finding, not self.is_touched
        try:
            self.session.frames.vouch_for(vouched)
            self.session.frames.take_predictions(written)
            if self.is_scanning:  # it may have read these frames before
                self.session.frames.labels_changed(written)
        finally:
            self.is_finding = was_finding

    # -- what happens to the layers --------------------------------------------------

    def _on_records(self, _: tuple[int, ...]) -> None:
        self.is_touched = self.is_touched or not self.is_finding

    def _on_labels(self, frames: frozenset[int] | None) -> None:
        self.previews.forget(frames)
        self.session.frames.labels_changed(frames)
        self._preview_timer.start(PREVIEW_DELAY_MS)

    def _on_undone(self, frames: frozenset[int]) -> None:
        self._undone = frames
        self._undone_timer.start(0)  # when napari is done with it

    def _show_undone(self) -> None:
        """Go to what undo or redo has changed on frames that are not shown."""
        shown = shown_frames(self.labels.layer, self.labels.axes)
        if shown is None or shown & self._undone or not self._undone:
            return
        current = self.navigation.current
        frame = min(self._undone, key=lambda each: abs(each - current))
        self.navigation.go_to(frame)
        self.undone_elsewhere.emit(frame)

    def _on_image_data(self, layer: Layer) -> None:
        """Go on with other data of an image layer, if it has the same frames."""
        self.runs.stop()  # it would go on with the data from before
        if layer is self.image:
            self.data_replaced.emit()
        try:
            stack = self._choice.stack()
            size = (len(stack), stack.frame_shape)
            if size != (len(self.labels), self.labels.frame_shape):
                raise ValueError
        except ValueError:
            self.lost.emit(f"The data of {layer.name} have another shape now.")
            return
        self._take_stack(stack)

    # -- reading the labels of all frames --------------------------------------------

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
            lambda: in_groups(self.session.frames.scan()),
            self._take_scan,
            title="Looking at the labels",
        )
        self._scan.ended.connect(self._on_scanned)
        self._scan.start()

    def _take_scan(self, group: list[ScannedFrame]) -> None:
        self.is_finding = not self._was_scanned
        try:
            self.session.frames.take_scan(*group)
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


def _locked_chunks(labels: LabelsLayer) -> ChunkLock:
    try:
        return ChunkLock(labels)
    except ValueError:
        labels.close()
        raise


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
