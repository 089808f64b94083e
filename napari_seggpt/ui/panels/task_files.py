"""TaskFileButtons: references, classes, settings and tuned prompt as one file."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QWidget

from napari_seggpt.inference.watching import unreadable_lines
from napari_seggpt.session.store.task_file import Task
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.widgets.controls import allow, button, row_of
from napari_seggpt.ui.work.actions import is_left
from napari_seggpt.ui.work.jobs import Job
from napari_seggpt.ui.work.messages import MOST_LEFT_OUT, Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace


class TaskFileButtons(QWidget):
    """Saves what is shown to the model as a file, and takes it from one."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._job: Job[Task] | None = None
        self.open_button = button("Open task...", _OPEN, self._ask_to_open)
        self.save_button = button("Save task...", _SAVE, self._ask_to_save)
        workspace.active_changed.connect(self._refresh)
        self._refresh()
        row: QHBoxLayout = row_of(self.open_button, self.save_button)
        row.setContentsMargins(0, 0, 0, 0)
        self.setLayout(row)

    def _refresh(self) -> None:
        no_session = "" if self._workspace.active is not None else NO_SESSION
        for each in (self.open_button, self.save_button):
            allow(each, no_session)

    def _ask_to_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a task", "", _FILES)
        if path:
            self.open(Path(path))

    def _ask_to_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save a task", "task.zip", _FILES)
        if path:
            self.save(Path(path))

    def open(self, path: Path) -> None:
        """Add what a file holds to the session."""
        layer_session = self._workspace.active
        if layer_session is not None:
            self._work(
                lambda: iter((Task.load(path),)),
                lambda task: self._take(task, path, layer_session),
            )

    def save(self, path: Path) -> None:
        """Write references in use, classes, settings and tuned prompt."""
        layer_session = self._workspace.active
        if layer_session is None:
            return
        unreadable: list[UnreadableFrame] = []
        try:
            making = layer_session.session.make_task(
                class_names(layer_session.labels.layer), unreadable
            )
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            return

        def write() -> Iterator[Task]:
            for task in making:
                task.save(path)
                yield task

        def tell(_: Task) -> None:
            lines = unreadable_lines(unreadable, MOST_LEFT_OUT, layer_session.name)
            tone = Tone.WARNING if lines else Tone.GOOD
            text = " ".join([f"Saved as {path}.", *lines])
            self._workspace.show_message(text, tone)

        self._work(write, tell)

    def _work(
        self, work: Callable[[], Iterable[Task]], take: Callable[[Task], object]
    ) -> None:
        if self._job is not None:
            return
        self._job = Job(work, take, title="Task file")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _on_ended(self, _: object) -> None:
        job, self._job = self._job, None
        if job is not None and job.error is not None:
            self._workspace.show_message(str(job.error), Tone.ERROR)

    def _take(self, task: Task, path: Path, layer_session: LayerSession) -> None:
        if is_left(self._workspace, layer_session, "the references for the stack"):
            return
        present = self._workspace.settings
        settings = task.settings.computing_as(present).on_range_of(present)
        self._workspace.settings = settings
        taken = {each.name for each in layer_session.session.references.all}
        names = (f"{path.stem} {number}" for number in count(1))
        free = (name for name in names if name not in taken)
        for prompt, name in zip(task.prompts, free, strict=False):
            layer_session.session.references.add_example(prompt, name)
        if task.tuned is not None:
            layer_session.session.references.tuned = task.tuned
        for label, name in task.classes.items():
            name_class(layer_session.labels.layer, label, name)
        self._workspace.show_message(
            f"{count_of(len(task.prompts), 'reference')} from {path.name}.", Tone.GOOD
        )

    def close_job(self) -> None:
        """Read and write no more."""
        if self._job is not None:
            self._job.close()


_FILES = "Tasks (*.zip)"
_OPEN = "Add the references, classes, settings and tuned prompt that a file holds."
_SAVE = (
    "Put the references in use, classes, settings and tuned prompt into one file: for "
    "another layer, for a colleague, or for napari-seggpt predict --task."
)
