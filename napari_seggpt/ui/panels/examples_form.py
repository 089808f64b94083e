"""ExamplesForm: references from other image and labels layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_seggpt.io.layout import StackError
from napari_seggpt.prompts import Prompt
from napari_seggpt.ui.layers.labels_layer import LabelsLayer
from napari_seggpt.ui.layers.layer_choice import (
    first_choice,
    fits,
    is_labels,
    is_picture,
    unwrapped,
)
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.panels.task_files import TaskFileButtons
from napari_seggpt.ui.widgets.controls import Combo, FormRows, allow, button, muted
from napari_seggpt.ui.work.actions import is_left
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.frames import Frames
    from napari_seggpt.session import FrameLabels
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace

MAX_EXAMPLES = 16  # frames that are taken from a stack


class ExamplesForm(QWidget):
    """Adds the labelled images of other layers as references."""

    added = Signal()

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._job: Job[tuple[str, Prompt]] | None = None
        self._num_new = 0  # that were no references before, of the job
        self.image_box, self.labels_box = Combo(), Combo()
        self.add_button = button("Add", _ADD, self.add)
        rows = FormRows()
        rows.add("Image", self.image_box, "Another image layer, of any size.")
        rows.add("Labels", self.labels_box, "Its labels.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 2, 0, 2)
        layout.setSpacing(4)
        layout.addWidget(muted(_ABOUT))
        layout.addLayout(rows)
        layout.addWidget(self.add_button)
        self.task_files = TaskFileButtons(workspace)
        layout.addWidget(self.task_files)
        self._offer_labels()
        self.image_box.currentIndexChanged.connect(self._offer_labels)

    def refresh(self) -> None:
        """Offer the layers that there are."""
        layers = [unwrapped(layer) for layer in self._workspace.viewer.layers]
        images: list[tuple[str, object]] = [
            (x.name, x)
            for x in layers
            if is_picture(x) and x is not self._workspace.choice.image
        ]
        self.image_box.fill(images or [_NO_IMAGE], self.image_box.currentData())
        self.image_box.setEnabled(bool(images))
        self._offer_labels()

    def _offer_labels(self, _: int = 0) -> None:
        image = self.image_box.currentData()
        found: list[tuple[str, object]] = []
        if image is not None:
            stack = first_choice(image).stack()
            layers = [unwrapped(layer) for layer in self._workspace.viewer.layers]
            found = [(x.name, x) for x in layers if is_labels(x) and fits(stack, x)]
        self.labels_box.fill(found or [_NO_LABELS], self.labels_box.currentData())
        self.labels_box.setEnabled(bool(found))
        no_session = "" if self._workspace.active is not None else NO_SESSION
        allow(self.add_button, no_session or ("" if found else _NOTHING))

    def add(self) -> None:
        """Add the labelled frames of the layers; a worker reads them."""
        image, layer = self.image_box.currentData(), self.labels_box.currentData()
        active = self._workspace.active
        if image is None or layer is None or active is None or self._job is not None:
            return
        self._num_new = 0
        stack = first_choice(image).stack()
        labels = LabelsLayer.of_stack(stack, layer)
        self._job = Job(
            lambda: labelled_frames(stack, labels, str(layer.name)),
            lambda found: self._take(found, active),
            title="Reading references",
        )
        self._job.ended.connect(lambda _: self._on_ended(labels, active))
        self._job.start()

    def _take(self, found: tuple[str, Prompt], active: LayerSession) -> None:
        name, prompt = found
        if self._workspace.active is active:
            self._num_new += active.session.references.add_new_example(prompt, name)

    def _on_ended(self, labels: LabelsLayer, active: LayerSession) -> None:
        job, self._job = self._job, None
        labels.close()
        if job is None or is_left(self._workspace, active, "further references"):
            return
        if job.error is not None:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif not job.done and job.state is JobState.DONE:
            self._workspace.show_message(
                f"There are no labels in {labels.name}.", Tone.WARNING
            )
        elif self._num_new:
            self.added.emit()
        elif job.done:
            there = f"{count_of(job.done, 'reference')} from {labels.name}"
            self._workspace.show_message(
                f"Nothing was added: {there} {'is' if job.done == 1 else 'are'} there "
                "already."
            )

    def close_job(self) -> None:
        """Read no more."""
        self.task_files.close_job()
        if self._job is not None:
            self._job.close()


def labelled_frames(
    stack: Frames, labels: FrameLabels, name: str
) -> Iterator[tuple[str, Prompt]]:
    """Yield the labelled frames of a stack, with names; of many the first ones.

    Raises
    ------
    StackError
        At the end, if one of them could not be read.
    """
    found, problem = 0, None
    for frame in range(len(stack)):
        try:
            frame_labels = labels.read(frame)
            if not frame_labels.any():
                continue
            image = stack[frame]
        except StackError as error:
            problem = error
            continue
        title = name if len(stack) == 1 else f"{name} {frame}"
        yield title, Prompt(image=image, labels=frame_labels)
        found += 1
        if found == MAX_EXAMPLES:
            break
    if problem is not None:
        raise problem


_NO_IMAGE = ("no other image layer", None)
_NO_LABELS = ("no labels of its size", None)
_NOTHING = "Open another image and its labels first."
_ADD = "Add the labelled frames of these layers as references."
_ABOUT = "Labelled images that are no frames of this stack:"
