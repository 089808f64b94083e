"""The panel of step 3: which frames, with which model, and the run itself."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Shapes
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QWidget

from napari_seggpt.model.cards import readable
from napari_seggpt.session import PROTECTED, FrameStatus
from napari_seggpt.session.runs.planning import LINES
from napari_seggpt.ui.keys import with_key
from napari_seggpt.ui.layers.layer_choice import unwrapped
from napari_seggpt.ui.panels.model_rows import ModelRows, duration
from napari_seggpt.ui.panels.panel import NO_SESSION, Panel
from napari_seggpt.ui.widgets.controls import (
    SPACING,
    Combo,
    FormRows,
    allow,
    button,
    describe,
    row_of,
)
from napari_seggpt.ui.widgets.frame_range import FrameRange
from napari_seggpt.ui.work.actions import (
    redo_run,
    run_or_pause,
    start_run,
    stop_run,
    undo_run,
)
from napari_seggpt.ui.work.run_plan import plan_of

if TYPE_CHECKING:
    from napari_seggpt.session import Scope
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.run_control import RunControl
    from napari_seggpt.ui.work.workspace import Connections, Workspace

LONG_SECONDS = 3  # without a frame, from which on it is said how long it takes
COUNT_MS = 100  # the frames of a run are counted once things are quiet
SCOPES: dict[str, Scope] = {
    "all frames": "all",
    "from here on": "forward",
    "up to here": "backward",
    "a range": "range",
    "between references, by shape": "between",
}


class RunPanel(Panel):
    """Starts runs and shows how they go."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("3  Run", workspace)
        self.scope_box, self.region_box = Combo(), Combo()
        self.range = FrameRange()
        self._offered: tuple[LayerSession | None, int] = (None, 0)
        self.model_rows = ModelRows(workspace)  # the dock shows it farther below
        self.run_button = button(
            "", _PAUSE, partial(run_or_pause, workspace), role="main"
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
            with_key("Undo", "undo"), _UNDO, partial(undo_run, workspace)
        )
        self.redo_button = button("Redo", _REDO, partial(redo_run, workspace))
        self.bar = QProgressBar()
        self.bar.setToolTip(_BAR)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(COUNT_MS)
        self._timer.timeout.connect(self._show_button)
        self._lay_out()
        self._show_scopes()
        self._connect()

    def _lay_out(self) -> None:
        rows = FormRows()
        rows.add("Frames", _beside(self.scope_box, self.region_box), _SCOPE)
        self.scope_box.setToolTip(_SCOPE)
        self._range_row = rows.add("Range", self.range, _RANGE)
        self.rows.addLayout(rows)
        self.rows.addWidget(self.run_button)
        self.rows.addLayout(
            row_of(
                self.frame_button,
                self.update_button,
                self.undo_button,
                self.redo_button,
                shares=(10, 8, 7, 5),
            )
        )
        busy = QHBoxLayout()
        busy.setSpacing(SPACING)
        busy.addWidget(self.bar, 1)
        busy.addWidget(self.stop_button)
        self.rows.addLayout(busy)
        self.bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def _connect(self) -> None:
        workspace = self._workspace
        self.scope_box.currentIndexChanged.connect(self._on_scope)
        self.range.changed.connect(self._on_range)
        self.region_box.currentIndexChanged.connect(self._on_region)
        workspace.choice_changed.connect(self._show_regions)
        workspace.choice_changed.connect(self._count_later)  # the region may be gone
        workspace.active_changed.connect(self._offer_range)
        workspace.settings_changed.connect(self.refresh)
        self.folded.connect(lambda _: self.refresh_run())
        self._listen()

    def _connections(self, active: LayerSession) -> Connections:
        yield active.runs.changed, self.refresh_run
        yield active.tuning.changed, self.refresh_run
        yield active.session.frames.statuses_changed, self._count_later
        yield active.session.references.changed, self._count_later
        yield active.navigation.changed, self._count_later
        yield active.task_found, self._count_later

    def release(self) -> None:
        """Stop what workers do for the panel."""
        self._timer.stop()
        self._offered = (None, 0)
        self.model_rows.close_jobs()

    def set_tones(self, colors: Tones) -> None:
        """Show links in the colours of another theme."""
        self.model_rows.set_tones(colors)

    # -- showing -------------------------------------------------------------------

    def _offer_range(self) -> None:
        """Offer the frames of another session; with other pictures it keeps its own."""
        active = self._workspace.active
        offered = (active, len(active.session) if active else 0)
        self._show_scopes()
        if offered == self._offered:
            return
        self._offered = offered
        self.range.offer(offered[1])
        if self._workspace.scope == "range":
            self._on_range()

    def _show_scopes(self) -> None:
        """Offer which frames are meant; along two axes also those along either."""
        scopes = dict(SCOPES)
        session, workspace = self._workspace.session, self._workspace
        if session is not None and session.grid.has_two_axes:
            first, second = session.grid.names
            scopes[f"along {second}, at this {first}"] = "row"
            scopes[f"along {first}, at this {second}"] = "column"
        elif workspace.scope in LINES:
            workspace.scope = "all"
        self.scope_box.fill(list(scopes.items()), workspace.scope)

    def _show_regions(self) -> None:
        """Offer the layers in which a region may be drawn, if there is any."""
        layers = [unwrapped(layer) for layer in self._workspace.viewer.layers]
        drawn: list[tuple[str, object]] = [
            (f"inside {layer.name}", layer)
            for layer in layers
            if isinstance(layer, Shapes)
        ]
        self.region_box.fill([_EVERYWHERE, *drawn], self._workspace.region_layer)
        self.region_box.setVisible(bool(drawn))
        bridges = self._workspace.scope == "between"
        self.region_box.setEnabled(not bridges)
        self.region_box.setToolTip(_WHOLE_FRAMES if bridges else _REGION)

    def refresh(self) -> None:
        """Show settings and what a run would do."""
        is_range = self._workspace.scope == "range"
        self._range_row.set_visible(is_range)
        if is_range:  # a session or a task may have brought its own
            settings = self._workspace.settings.propagation
            self.range.show_frames(settings.start, settings.stop)
        self._show_regions()
        self.refresh_run()

    def refresh_run(self) -> None:
        """Show the run that is on, or what one would do."""
        layer_session = self._workspace.active
        if layer_session is not None and layer_session.runs.is_running:
            self._show_run(layer_session.runs)
        else:
            self._show_button()

    def _show_run(self, runs: RunControl) -> None:
        text = "Go on" if runs.is_paused else "Pause"
        self.run_button.setText(with_key(text, "propagate"))
        describe(self.run_button, _PAUSE)
        stopping = _STOPPING if runs.is_stopping else ""
        allow(self.run_button, stopping)
        allow(self.stop_button, stopping)
        for each in (
            self.frame_button, self.update_button, self.undo_button, self.redo_button
        ):  # fmt: skip
            allow(each, _RUNNING)
        done, total = runs.done, runs.total
        if runs.downloaded is not None and runs.is_loading:
            done, total = runs.downloaded
            done, total = round(1000 * done / max(1, total)), 1000
        self.bar.setRange(0, total)  # an endless bar would show no text
        self.bar.setValue(done)
        self.bar.setFormat(_progress(runs))
        # The bar says it; once it is folded away, the header does.
        self.set_summary("" if self.is_open else _progress(runs))

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
        plan = plan_of(self._workspace)
        count = len(plan.frames)
        self.set_summary(self._estimate(count))
        self.run_button.setText(with_key(plan.text, "propagate"))
        describe(self.run_button, plan.about)
        busy = self._why_not()
        blank = busy or ("" if self._has_examples else _NO_EXAMPLES)
        allow(self.run_button, blank or ("" if count else _NO_FRAMES))
        is_yours = session is not None and session.frames.status(frame) in PROTECTED
        allow(self.frame_button, blank or (_YOURS if is_yours else ""))
        stale = session.frames.count(FrameStatus.STALE) if session else 0
        self.update_button.setText(f"Update {stale}" if stale else "Update")
        allow(self.update_button, busy or ("" if stale else _UP_TO_DATE))
        can_undo = session is not None and session.runs.can_undo
        allow(self.undo_button, busy or ("" if can_undo else _NOTHING_TO_UNDO))
        can_redo = session is not None and session.runs.can_redo
        allow(self.redo_button, busy or ("" if can_redo else _NOTHING_TO_REDO))
        allow(self.stop_button, _NO_RUN)
        self.bar.setRange(0, 1)
        self.bar.setValue(0)
        self.bar.setFormat("")

    @property
    def _has_examples(self) -> bool:
        """Whether there is anything that the model can be shown."""
        session = self._workspace.session
        if session is None:
            return False
        used = any(each.enabled and each.is_labelled for each in session.references.all)
        return used or session.references.tuned is not None

    def _why_not(self) -> str:
        """Say why no run can be started; empty if one can."""
        if self._workspace.session is None:
            return NO_SESSION
        return self._workspace.held or (_BUSY if self._workspace.is_busy else "")

    def _estimate(self, count: int) -> str:
        """Say how long the run would take, from what a frame took."""
        if self._workspace.scope == "between" or self._workspace.region_layer:
            return ""  # no model takes its time, or less of it
        conditions = self._workspace.conditions
        found = self._workspace.frame_times.get(conditions) if conditions else None
        if found is None or not count:
            return ""
        return f"about {duration(count * found.seconds)}"

    # -- choosing ------------------------------------------------------------------

    def _on_scope(self, _: int) -> None:
        self._workspace.scope = self.scope_box.currentData()
        if self._workspace.scope == "range":
            self._on_range()
        self.refresh()

    def _on_region(self, _: int) -> None:
        self._workspace.region_layer = self.region_box.currentData()
        self._workspace.choice_changed.emit()
        self.refresh_run()

    def _on_range(self) -> None:
        settings, (start, stop) = self._workspace.settings, self.range.frames
        ranged = replace(settings.propagation, start=start, stop=stop)
        self._workspace.settings = replace(settings, propagation=ranged)
        self._count_later()


def _progress(runs: RunControl) -> str:
    if runs.is_stopping:
        return "Stopping..."
    if runs.is_loading and runs.downloaded is not None:
        done, total = map(readable, runs.downloaded)
        return f"{'Sending' if runs.is_sending else 'Fetching'} {done} of {total}"
    if runs.is_loading:
        return "Loading the model"
    if runs.done == 0 and not runs.is_paused:
        waited = int(runs.seconds_waited)
        since = f", {duration(waited)} so far" if waited >= LONG_SECONDS else ""
        return f"Predicting the first frame{since}"
    left = runs.seconds_left
    parts = [f"{runs.done} of {runs.total}"]
    if runs.is_paused:
        parts.append("paused")
    elif left is not None:
        parts.append(f"{duration(left)} left")
    return ", ".join(parts)


def _beside(*widgets: QWidget) -> QWidget:
    field = QWidget()
    row = QHBoxLayout(field)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(SPACING)
    for widget in widgets:
        row.addWidget(widget, 1)
    return field


_PAUSE = "Wait after the present frame, and go on later; what was predicted stays."
_FRAME = "Predict the current frame only, to see how well it goes."
_UPDATE = (
    "Predict again the frames that are out of date: they were predicted with other "
    "references or settings."
)
_UNDO = (
    "Undo the last run: labels and frames are again as they were before it. Frames "
    "that you have changed since stay as they are."
)
_STOP = "End the run before the model's next pass; what was predicted stays."
_BAR = "How far the run is, and how long it will take at the pace of the last frames."
_SCOPE = (
    "Which frames are predicted. Those you vouch for are always left out. Between "
    "references, objects can be bridged by their shapes alone, without the model. Of a "
    "film of volumes, all of them can be meant, one volume, or one depth at all times."
)
_EVERYWHERE = ("everywhere", None)
_REGION = (
    "Where in the frames: everywhere, or only inside the rectangles and polygons that "
    "are drawn in a shapes layer. A small region of large frames is predicted faster. "
    "Check, Suggest and Least sure look there only, too."
)
_RANGE = "The first and the last frame."
_WHOLE_FRAMES = "Bridging by shape is not limited to a region."
_YOURS = "You vouch for this frame: no run writes it."
_NO_EXAMPLES = "Paint on a frame first: the model needs an example."
_NO_FRAMES = (
    "There is no frame to label: those meant are yours already, or have no reference "
    "where one is needed. Choose other frames above."
)
_UP_TO_DATE = "Nothing is out of date."
_NOTHING_TO_UNDO = "There is no run to undo."
_REDO = "Do the run again that was undone last, without computing it anew."
_NOTHING_TO_REDO = "No run was undone, or another one came since."
_NO_RUN = "No run is on."
_RUNNING = "A run is on."
_STOPPING = "The run is about to end."
_BUSY = "Something else is being computed."
