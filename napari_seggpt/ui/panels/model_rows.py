"""ModelRows: which network computes, where, what it costs, and fetching it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from psygnal import Signal
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QInputDialog,
    QSizePolicy,
    QWidget,
)
from superqt.utils import qthrottled

from napari_seggpt.cluster.extra import check_installed
from napari_seggpt.fields import own_fields
from napari_seggpt.model.cards import MODELS, locate, readable
from napari_seggpt.session.runs.models import Stoppable, StoppedError
from napari_seggpt.settings import Device, PredictionSettings, SessionSettings
from napari_seggpt.ui.widgets.controls import (
    Combo,
    FormRows,
    as_tooltip,
    button,
    muted,
)
from napari_seggpt.ui.widgets.style import with_links
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

POLL_MS = 200
THROTTLE_MS = 100  # references that change in quick succession
LONGEST_HOURS = 1000  # that are told as they are
OWN_FILE = "own file"
ELSEWHERE = "another computer"
TITLES = {
    "builtin": "Built-in, small",
    "seggpt-vit-large": "SegGPT ViT-L",
    "seggpt-vit-large-hf": "SegGPT ViT-L (transformers)",
}
DEVICES = {
    "auto": "automatic",
    "cpu": "CPU",
    "cuda": "NVIDIA or AMD GPU",
    "mps": "Apple GPU",
}
LICENCES = {
    "seggpt-vit-large": "https://github.com/baaivision/Painter/blob/main/LICENSE",
    "seggpt-vit-large-hf": "https://huggingface.co/BAAI/seggpt-vit-large",
}


class ModelFetch:
    """Fetches the weights of a model, so that the first run need not wait for it.

    `changed` is emitted with the bytes that are here, and when it has ended.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[object] | None = None
        self._download = Stoppable()
        self.downloaded = (0, 0)
        self._timer = QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.changed.emit)

    @property
    def is_on(self) -> bool:
        """Whether something is being fetched."""
        return self._job is not None

    def start(self, name: str) -> None:
        """Fetch a model by its name."""
        if self._job is not None:
            return
        self._download = Stoppable()
        self._download.on_download = self._on_download
        self.downloaded = (0, 0)
        self._job = Job(lambda: self._fetch(name), lambda _: None, title="Fetching")
        self._job.ended.connect(self._on_ended)
        self._job.start()
        self._timer.start()
        self.changed.emit()

    def stop(self) -> None:
        """Stop; what is here is kept for the next time."""
        self._download.stop()

    def close(self) -> None:
        """Stop, and let go."""
        self._download.stop()
        self._timer.stop()
        if self._job is not None:
            self._job.close()

    def _fetch(self, name: str) -> Iterator[bool]:
        try:
            self._workspace.models.get(name, self._download.report_download)
        except StoppedError:
            return
        yield True

    def _on_download(self, done: int, total: int) -> None:
        self.downloaded = (done, total)  # in the worker; the timer shows it

    def _on_ended(self, state: JobState) -> None:
        job, self._job = self._job, None
        self._timer.stop()
        if job is not None and job.error is not None:
            self._workspace.show_message(str(job.error), Tone.ERROR)
        elif self._download.is_stopped:
            self._workspace.show_message(
                "The download was stopped. It goes on where it was."
            )
        self.changed.emit()


class ModelRows(QWidget):
    """Chooses model and device, and says what they cost.

    `described` is emitted with the model and what a frame takes, in a few words.
    """

    described = Signal(str)

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
        self._fetch = ModelFetch(workspace)
        self._tones: Tones | None = None
        self._here: dict[str, bool] = {}
        self._search: Job[tuple[str, bool]] | None = None
        self._is_closed = False
        self.model_box, self.device_box = Combo(), Combo()
        self.about_label = muted(is_rich=True)
        self.about_label.setOpenExternalLinks(True)
        self.fetch_button = button("Fetch", _FETCH, self._on_fetch)
        self.time_label = muted()
        self._lay_out()
        self.model_box.currentIndexChanged.connect(self._on_model)
        self.device_box.currentIndexChanged.connect(self._on_device)
        self._fetch.changed.connect(self._show_about)
        workspace.settings_changed.connect(self.refresh)
        self._show_time_soon = qthrottled(
            self._show_time, timeout=THROTTLE_MS, parent=self
        )
        workspace.follow(self._connections)
        workspace.active_changed.connect(self._show_time)
        self.refresh()

    def _lay_out(self) -> None:
        rows = FormRows()
        rows.add("Model", self.model_box, _MODEL)
        self._about = QWidget()
        line = QHBoxLayout(self._about)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.about_label, 1)
        line.addWidget(self.fetch_button)
        rows.addWidget(self._about, rows.rowCount(), 1)
        field = QWidget()
        beside = QHBoxLayout(field)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(self.device_box, 1)
        beside.addWidget(self.time_label, 1)
        self.device_box.setToolTip(_DEVICE)
        rows.add("Device", field, _DEVICE)
        self.time_label.setWordWrap(False)
        policy = QSizePolicy.Policy
        self.time_label.setSizePolicy(policy.Ignored, policy.Preferred)
        self.setLayout(rows)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.runs.changed, self._show_time
        yield active.session.references.changed, self._show_time_soon
        yield active.previews.changed, self._show_time_soon
        yield active.task_found, self._show_time_soon

    # -- showing -------------------------------------------------------------------

    def set_tones(self, colors: Tones) -> None:
        """Show links in the colours of another theme."""
        self._tones = colors
        self._show_about()

    def refresh(self) -> None:
        """Show what is chosen."""
        settings = self._workspace.settings
        choices: list[tuple[str, object]] = [(_title(name), name) for name in MODELS]
        if settings.model not in MODELS:
            choices.append((Path(settings.model).name, settings.model))
        choices.append(("A file...", OWN_FILE))
        self.model_box.fill(choices, settings.model)
        places: list[tuple[str, object]] = [
            (DEVICES[name], name) for name in get_args(Device)
        ]
        if settings.scheduler is not None:
            places.append((settings.scheduler, settings.scheduler))
        places.append(("Another computer...", ELSEWHERE))
        self.device_box.fill(places, settings.scheduler or settings.prediction.device)
        self._search_for(settings.model)
        self._show_about()
        self._show_time()

    def _search_for(self, name: str) -> None:
        """Have a worker see whether the weights of a published model are here."""
        is_known = name in self._here or name not in MODELS
        is_busy = self._search is not None or self._is_closed
        if is_known or is_busy or MODELS[name].repo is None:
            return
        self._search = Job(
            lambda: iter([(name, locate(name) is not None)]),
            self._take,
            title="Looking for the model",
        )
        self._search.ended.connect(self._on_searched)
        self._search.start()

    def _take(self, found: tuple[str, bool]) -> None:
        name, is_here = found
        self._here[name] = is_here

    def _on_searched(self, _: JobState) -> None:
        self._search = None
        self._show_about()

    def _show_about(self) -> None:
        name = self._workspace.settings.model
        card = MODELS.get(name)
        is_published = card is not None and card.repo is not None
        self._about.setVisible(is_published)
        now = "" if card is not None else f" Now: {name}."
        self.model_box.setToolTip(as_tooltip(f"{_MODEL}{now}"))
        if is_published:
            self.fetch_button.setVisible(False)
            self._show_published(name)

    def _show_published(self, name: str) -> None:
        card = MODELS[name]
        licence = f'<a href="{LICENCES[name]}">{card.licence} licence</a>'
        size = readable(card.size_bytes or 0)
        if self._fetch.is_on:
            done, total = self._fetch.downloaded
            text = f"{readable(done)} of {readable(total)}" if total else "asking..."
            self.about_label.setText(text)
            self.fetch_button.setText("Stop")
            self.fetch_button.setVisible(True)
            return
        is_here = self._here.get(name)
        if is_here is None and self._search is None:
            self._search_for(name)
        where = "on this computer" if is_here else "to be fetched once"
        text = f"{size}, {licence}, {where}"
        self.about_label.setText(with_links(text, self._tones) if self._tones else text)
        self.fetch_button.setText("Fetch")
        self.fetch_button.setVisible(is_here is False)

    def _show_time(self, *_: object) -> None:
        workspace = self._workspace
        conditions = workspace.conditions
        found = workspace.frame_times.get(conditions) if conditions else None
        if conditions is None or found is None:
            self.time_label.setText("time unknown" if conditions else "")
            self.time_label.setToolTip(_UNKNOWN)
            self.described.emit(self.model_box.currentText())
            return
        is_same = found.references == conditions.references
        about = "" if is_same else "about "
        self.time_label.setText(f"{about}{duration(found.seconds)} a frame")
        references = count_of(found.references, "reference")
        place = self._workspace.settings.scheduler or "this computer"
        self.time_label.setToolTip(
            f"As measured on {place} with {references}, frames of this size and "
            "this model. Loading the model is not counted."
        )
        self.described.emit(
            f"{self.model_box.currentText()}, {duration(found.seconds)}/frame"
        )

    # -- choosing ------------------------------------------------------------------

    def _on_model(self, _: int) -> None:
        name = self.model_box.currentData()
        if name == OWN_FILE:
            name = self._ask_for_file()
        settings = self._workspace.settings
        if name:
            self._workspace.settings = replace(settings, model=name)
        self.refresh()

    def _ask_for_file(self) -> str:
        path, _ = QFileDialog.getOpenFileName(
            self, "Weights of a SegGPT", "", "Weights (*.safetensors *.pth *.pt *.bin)"
        )
        return str(path)

    def _on_device(self, _: int) -> None:
        settings, place = self._workspace.settings, self.device_box.currentData()
        if place == ELSEWHERE:
            self._compute_elsewhere(self._ask_for_address())
        elif place in get_args(Device):
            prediction = replace(settings.prediction, device=place)
            self._workspace.settings = replace(
                settings, prediction=prediction, scheduler=None
            )
        self.refresh()

    def _compute_elsewhere(self, address: str) -> None:
        """Take the address of a scheduler; nothing is sent before a run."""
        if not address:
            return
        settings = self._workspace.settings
        try:
            check_installed("another computer")
            self._workspace.settings = replace(settings, scheduler=address)
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)

    def _ask_for_address(self) -> str:
        known = self._workspace.settings.scheduler or "tcp://"
        text, is_given = QInputDialog.getText(
            self, "Another computer", _ADDRESS, text=known
        )
        return text.strip() if is_given else ""

    def _on_fetch(self) -> None:
        name = self._workspace.settings.model
        if self._fetch.is_on:
            self._fetch.stop()
        else:
            self._here.pop(name, None)
            self._fetch.start(name)

    def close_jobs(self) -> None:
        """Stop fetching and searching."""
        self._is_closed = True
        self._show_time_soon.cancel()
        self._fetch.close()
        if self._search is not None:
            self._search.close()


def _title(name: str) -> str:
    return TITLES.get(name, MODELS[name].title)


def duration(seconds: float) -> str:
    """Return a time as people say it, however long it is."""
    if not seconds < LONGEST_HOURS * 3600:
        return f"over {LONGEST_HOURS} h"
    if seconds < 10:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"


_UNKNOWN = "The first run measures what a frame of this size takes with this model."
_MODEL = own_fields(SessionSettings)["model"].help
_DEVICE = (
    f"{own_fields(PredictionSettings)['device'].help} Another computer is reached by "
    "the address of a dask scheduler."
)
_ADDRESS = (
    "Address of a dask scheduler, as tcp://host:8786, or tls://host:8786 with the "
    "certificates of dask's configuration.\n\n"
    "Runs send the model's weights, the references and the frames that they predict to "
    "one of its workers, over tcp:// without encryption. Labels are written here.\n"
    "Choose a computer that you trust with them, and weights whose licence allows it."
)
_FETCH = "Download the weights now. It can be stopped, and goes on where it was."
