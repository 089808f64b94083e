"""Preloading: the model that comes with the package, loaded while a person paints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_seggpt.model.cards import MODELS
from napari_seggpt.ui.work.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.ui.work.workspace import Workspace

DELAY_MS = 1000  # after a session began, so that the window is drawn first


class Preloading:
    """Loads the model and what computes with it, so that the first run need not wait.

    Only a model that is small and comes with the package is loaded unasked.

    Parameters
    ----------
    workspace : Workspace
        Whose settings say which model.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[bool] | None = None
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._start)
        workspace.active_changed.connect(self._start_later)
        workspace.settings_changed.connect(self._start_later)
        self._start_later()

    def _start_later(self) -> None:
        if self._job is None and self._workspace.active is not None:
            self._timer.start()

    def _start(self) -> None:
        name = self._workspace.settings.model
        card = MODELS.get(name)
        is_own = card is not None and card.repo is None
        active = self._workspace.active
        if not is_own or active is None or active.is_busy:
            return
        self._job = Job(lambda: self._load(name), lambda _: None, title="Getting ready")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _load(self, name: str) -> Iterator[bool]:
        """Load, in the worker; what goes wrong is told by the run that needs it."""
        try:
            self._workspace.models.get(name)
            from napari_seggpt.inference import (  # noqa: F401
                confidence,
                predictor,
                propagation,
            )
        except Exception:  # noqa: BLE001
            return
        yield True

    def _on_ended(self, _: object) -> None:
        self._job = None

    def close(self) -> None:
        """Load no more."""
        self._timer.stop()
        self._workspace.active_changed.disconnect(self._start_later)
        self._workspace.settings_changed.disconnect(self._start_later)
        job, self._job = self._job, None
        if job is not None:
            job.close(wait=0)
