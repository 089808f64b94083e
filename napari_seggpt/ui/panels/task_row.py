"""TaskRow: whether labels are classes or objects, in words, and another choice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import qthrottled, signals_blocked

from napari_seggpt.fields import own_fields
from napari_seggpt.object_settings import ObjectSettings
from napari_seggpt.ui.widgets.controls import (
    SPACING,
    Combo,
    FormRows,
    as_tooltip,
    muted,
)
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.untrusted import safe_message

if TYPE_CHECKING:
    from napari_seggpt.objects.kinds import TaskGuess
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

LOOK_MS = 400  # references that change in quick succession
NUM_LINES = 2  # of the reason that are seen
MARGIN = 6  # pixels: lines of napari's font are higher
CHOICES: list[tuple[str, object]] = [
    ("as the references look", "auto"),
    ("classes", "classes"),
    ("objects", "objects"),
    ("objects of several classes", "objects-of-classes"),
]


class TaskRow(QWidget):
    """A choice, and under it what the labels stand for now, and why.

    Attributes
    ----------
    box : Combo
        The choice.
    guess : TaskGuess or None
        What the labels stand for; None while nobody has looked.
    found : Signal
        There is another guess.
    """

    found = Signal()

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._job: Job[TaskGuess] | None = None
        self._is_outdated = self._is_released = False
        self.guess: TaskGuess | None = None
        self.box = Combo()
        self.box.fill(CHOICES, workspace.settings.objects.task)
        self.reason = muted()
        self.reason.setFixedHeight(
            NUM_LINES * self.fontMetrics().lineSpacing() + MARGIN
        )
        self.reason.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        rows = FormRows()
        field = own_fields(ObjectSettings)["task"]
        rows.add(field.label, self.box, field.help)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addLayout(rows)
        layout.addWidget(self.reason)
        self._look_soon = qthrottled(self.look, timeout=LOOK_MS, parent=self)
        self.box.currentIndexChanged.connect(self._on_chosen)
        workspace.settings_changed.connect(self._on_settings)
        workspace.active_changed.connect(self._on_active)
        workspace.follow(self._connections)
        self._on_active()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.references.changed, self._look_soon

    def look(self) -> None:
        """Have a worker look at the references."""
        if self._is_released:
            return
        active = self._workspace.active
        if self._job is not None:
            self._is_outdated = True
            return
        if active is None or not any(
            each.enabled for each in active.session.references.all
        ):
            self._show(None, "")
            return
        results = active.session.advice.task()

        def take(guess: TaskGuess) -> None:
            if self._workspace.active is active:  # else it is looked again soon
                self._show(guess, f"{guess.kind.capitalize()}. {guess.reason}")

        self._job = Job(lambda: results, take, title="Looking at references")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _show(self, guess: TaskGuess | None, text: str) -> None:
        self.reason.setText(text)
        self.reason.setToolTip(as_tooltip(text))
        if (active := self._workspace.active) is not None:
            active.note_task(None if guess is None else guess.kind)
        if guess != self.guess:
            self.guess = guess
            self.found.emit()

    def _on_ended(self, state: JobState) -> None:
        job, self._job = self._job, None
        if state is JobState.FAILED and job is not None:
            self._show(None, safe_message(str(job.error)))
        if self._is_outdated:
            self._is_outdated = False
            self._look_soon()

    def _on_active(self) -> None:
        self._show(None, "")
        if self._workspace.active is not None:
            self._look_soon()

    def _on_chosen(self, _: int) -> None:
        settings = self._workspace.settings
        objects = replace(settings.objects, task=self.box.currentData())
        self._workspace.settings = replace(settings, objects=objects)

    def _on_settings(self) -> None:
        task = self._workspace.settings.objects.task
        if task != self.box.currentData():
            with signals_blocked(self.box):
                self.box.choose(task)
        self._look_soon()

    def release(self) -> None:
        """Look no more, though references change until the session is closed."""
        self._is_released = True
        self._look_soon.cancel()
        job, self._job = self._job, None
        if job is not None:
            job.close()
