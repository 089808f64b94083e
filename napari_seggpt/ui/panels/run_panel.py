"""The panel of step 3: which frames, with which model, and the run itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, get_args

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from napari_seggpt.fields import own_fields
from napari_seggpt.model.cards import readable
from napari_seggpt.session import FrameStatus
from napari_seggpt.settings import (
    MAX_MEMORY,
    Ensemble,
    PredictionSettings,
    PropagationSettings,
)
from napari_seggpt.ui.keys import with_key
from napari_seggpt.ui.panels.model_rows import ModelRows, duration
from napari_seggpt.ui.panels.panel import Panel
from napari_seggpt.ui.widgets.controls import (
    SPACING,
    Combo,
    FormRows,
    button,
    compact_spin,
    row_of,
)
from napari_seggpt.ui.work.actions import run_or_pause, start_run, stop_run, undo_run
from napari_seggpt.ui.work.messages import count_of

if TYPE_CHECKING:
    from napari_seggpt.session import Scope
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.run_control import RunControl
    from napari_seggpt.ui.work.workspace import Connections, Workspace

COUNT_MS = 100  # the frames of a run are counted once things are quiet
SCOPES: dict[str, Scope] = {
    "all frames": "all",
    "from here on": "forward",
    "up to here": "backward",
    "a range": "range",
}
BUTTONS: dict[str, str] = {
    "all": "Label all frames",
    "forward": "Label from here on",
    "backward": "Label up to here",
    "range": "Label the range",
}


class RunPanel(Panel):
    """Starts runs and shows how they go."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("3  Run", workspace)
        self.scope_box, self.ensemble_box = Combo(), Combo()
        self.from_spin, self.to_spin = QSpinBox(), QSpinBox()
        self.memory_spin = QSpinBox()
        self.model_rows = ModelRows(workspace)
        self.run_button = button(
            "", _RUN, partial(run_or_pause, workspace), role="main"
        )
        self.frame_button = button(
            with_key("This frame", "frame"),
            _FRAME,
            partial(start_run, workspace, "frame"),
        )
        self.update_button = button(
            "Update", _UPDATE, partial(start_run, workspace, "stale")
        )
        self.stop_button = button("Stop", _STOP, partial(stop_run, workspace))
        self.undo_button = button(
            with_key("Undo run", "undo"), _UNDO, partial(undo_run, workspace)
        )
        self.bar = QProgressBar()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COUNT_MS)
        self._timer.timeout.connect(self._show_button)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        rows = FormRows()
        rows.add("Frames", self.scope_box, _SCOPE)
        self._range_row = rows.add("", _beside(self.from_spin, self.to_spin), _RANGE)
        rows.add(
            "Memory",
            _beside(self.memory_spin, QLabel("Ensemble"), self.ensemble_box),
            _MEMORY,
        )
        self.ensemble_box.setToolTip(_ENSEMBLE)
        self.memory_spin.setRange(0, MAX_MEMORY)
        for spin in (self.from_spin, self.to_spin, self.memory_spin):
            compact_spin(spin).setKeyboardTracking(False)
        self.from_spin.setPrefix("from ")
        self.to_spin.setPrefix("to ")
        self.scope_box.fill(list(SCOPES.items()), "all")
        self.ensemble_box.fill([(name, name) for name in get_args(Ensemble)], None)
        self.rows.addLayout(rows)
        self.rows.addWidget(self.model_rows)
        self.rows.addWidget(self.run_button)
        self.rows.addWidget(self.update_button)
        self._idle_row = QWidget()
        self._idle_row.setLayout(_tight(row_of(self.frame_button, self.undo_button)))
        self._busy_row = QWidget()
        self._busy_row.setLayout(_tight(row_of(self.bar)))
        busy = self._busy_row.layout()
        busy.addWidget(self.stop_button)
        self.rows.addWidget(self._idle_row)
        self.rows.addWidget(self._busy_row)
        self.bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        workspace = self._workspace
        self.scope_box.currentIndexChanged.connect(self._on_scope)
        self.from_spin.valueChanged.connect(self._on_range)
        self.to_spin.valueChanged.connect(self._on_range)
        self.memory_spin.valueChanged.connect(self._on_memory)
        self.ensemble_box.currentIndexChanged.connect(self._on_ensemble)
        workspace.active_changed.connect(self._show_range)
        workspace.settings_changed.connect(self.refresh)
        self._listen()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.runs.changed, self.refresh_run
        yield active.tuning.changed, self.refresh_run
        yield active.session.frames.statuses_changed, self._count_later
        yield active.session.references.changed, self._count_later
        yield active.navigation.changed, self._count_later

    def release(self) -> None:
        """Stop what workers do for the panel."""
        self._timer.stop()
        self.model_rows.close_jobs()

    def set_tones(self, colors: Tones) -> None:
        """Show links in the colours of another theme."""
        self.model_rows.set_tones(colors)

    # -- showing -------------------------------------------------------------------

    def _show_range(self) -> None:
        """Offer the frames of another session as a range."""
        layer_session = self._workspace.active
        last = len(layer_session.session) - 1 if layer_session else 0
        for spin, value in ((self.from_spin, 0), (self.to_spin, last)):
            spin.blockSignals(True)
            spin.setRange(0, last)
            spin.setValue(value)
            spin.blockSignals(False)
        if self._workspace.scope == "range":
            self._on_range(0)

    def refresh(self) -> None:
        """Show settings and what a run would do."""
        settings = self._workspace.settings
        for widget in (self.memory_spin, self.ensemble_box):
            widget.blockSignals(True)
        self.memory_spin.setValue(settings.propagation.memory)
        self.ensemble_box.choose(settings.prediction.ensemble)
        for widget in (self.memory_spin, self.ensemble_box):
            widget.blockSignals(False)
        self._range_row.set_visible(self._workspace.scope == "range")
        self.refresh_run()

    def refresh_run(self) -> None:
        """Show the run that is on, or what one would do."""
        layer_session = self._workspace.active
        is_running = layer_session is not None and layer_session.runs.is_running
        self._idle_row.setVisible(not is_running)
        if is_running:
            self.update_button.setVisible(False)
        self._busy_row.setVisible(is_running)
        if layer_session is not None and is_running:
            self._show_run(layer_session.runs)
        else:
            self._show_button()

    def _show_run(self, runs: RunControl) -> None:
        text = "Go on" if runs.is_paused else "Pause"
        self.run_button.setText(with_key(text, "propagate"))
        self.run_button.setEnabled(not runs.is_stopping)
        self.stop_button.setEnabled(not runs.is_stopping)
        if runs.downloaded is not None and runs.is_loading:
            done, total = runs.downloaded
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * done / max(1, total)))
            self.bar.setFormat(f"Fetching {readable(done)} of {readable(total)}")
            return
        self.bar.setRange(0, runs.total)  # an endless bar would show no text
        self.bar.setValue(runs.done)
        self.bar.setFormat(_progress(runs))
        self.set_summary(_progress(runs))

    def _count_later(self, *_: object) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _show_button(self) -> None:
        if (
            self._workspace.is_busy
            and self._workspace.active
            and self._workspace.active.runs.is_running
        ):
            return
        session, frame = self._workspace.session, self._workspace.current
        count = len(session.plan(self._workspace.scope, frame)) if session else 0
        text = BUTTONS[self._workspace.scope]
        if session is not None and session.references.all:
            text += f" ({count})"
        self.set_summary(self._estimate(count))
        self.run_button.setText(with_key(text, "propagate"))
        is_ready = session is not None and not self._workspace.is_busy
        self.run_button.setEnabled(is_ready and count > 0)
        self.frame_button.setEnabled(is_ready)
        stale = session.frames.count(FrameStatus.STALE) if session else 0
        self.update_button.setText(f"Update {count_of(stale, 'stale frame')}")
        self.update_button.setVisible(stale > 0)
        self.update_button.setEnabled(is_ready)
        can_undo = session is not None and session.runs.can_undo
        self.undo_button.setEnabled(is_ready and can_undo)

    def _estimate(self, count: int) -> str:
        """Say how long the run would take, from what a frame took."""
        conditions = self._workspace.conditions
        found = self._workspace.frame_times.get(conditions) if conditions else None
        if found is None or not count:
            return ""
        return f"about {duration(count * found.seconds)}"

    # -- choosing ------------------------------------------------------------------

    def _on_scope(self, _: int) -> None:
        self._workspace.scope = self.scope_box.currentData()
        if self._workspace.scope == "range":
            self._on_range(0)
        self.refresh()

    def _on_range(self, _: int) -> None:
        first, last = self.from_spin.value(), self.to_spin.value()
        settings = self._workspace.settings
        self._workspace.settings = replace(
            settings,
            propagation=replace(
                settings.propagation, start=first, stop=max(first, last) + 1
            ),
        )
        self._count_later()

    def _on_memory(self, memory: int) -> None:
        settings = self._workspace.settings
        propagation = replace(settings.propagation, memory=memory)
        self._workspace.settings = replace(settings, propagation=propagation)

    def _on_ensemble(self, _: int) -> None:
        settings = self._workspace.settings
        prediction = replace(
            settings.prediction, ensemble=self.ensemble_box.currentData()
        )
        self._workspace.settings = replace(settings, prediction=prediction)


def _progress(runs: RunControl) -> str:
    if runs.is_stopping:
        return "Stopping..."
    if runs.is_loading:
        return "Loading the model"
    if runs.done == 0 and not runs.is_paused:
        return "Predicting the first frame"
    left = runs.seconds_left
    parts = [f"{runs.done} of {runs.total}"]
    if runs.is_paused:
        parts.append("paused")
    elif left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def _beside(*widgets: QWidget) -> QWidget:
    field = QWidget()
    field.setLayout(_tight(row_of(*widgets)))
    for at, widget in enumerate(widgets):
        if isinstance(widget, QLabel):
            field.layout().setStretch(at, 0)
    return field


def _tight(row: QHBoxLayout) -> QHBoxLayout:
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(SPACING)
    return row


_RUN = (
    "Predict the frames that are chosen above. Frames that you labelled, corrected or "
    "approved are never written."
)
_FRAME = "Predict the current frame only, to see how well it goes."
_UPDATE = (
    "Predict again the frames that were predicted with other references or settings."
)
_UNDO = (
    "Bring back labels and statuses as they were before the last run. Frames that you "
    "have changed since stay as they are."
)
_STOP = "End the run after the present frame; what was predicted stays."
_SCOPE = "Which frames are predicted. Those you vouch for are always left out."
_RANGE = "The first and the last frame."
_MEMORY = own_fields(PropagationSettings)["memory"].help
_ENSEMBLE = own_fields(PredictionSettings)["ensemble"].help
