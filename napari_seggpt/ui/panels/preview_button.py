"""PreviewButton: shows what a run would write on the current frame, as settings are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from superqt.utils import qdebounced

from napari_seggpt.ui.layers.preview_layer import PreviewLayer
from napari_seggpt.ui.panels.frame_layer_button import FrameLayerButton
from napari_seggpt.ui.panels.panel import NO_SESSION
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

WAIT_MS = 300  # that a person rests, before a frame is predicted


class PreviewButton(FrameLayerButton):
    """Predicts the current frame into a layer of its own, again with each change.

    Frames that a person vouches for are not predicted, as no run writes them. While a
    run is on there is no preview.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._job: Job[Any] | None = None
        self._predict_soon: Any = None
        super().__init__(workspace, "Preview", _TOGGLE)
        self._predict_soon = qdebounced(
            self._predict, timeout=WAIT_MS, parent=self.button
        )
        workspace.settings_changed.connect(self.refresh)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.navigation.changed, self.refresh
        yield active.session.references.changed, self._on_references
        yield active.session.frames.statuses_changed, self._on_statuses
        yield active.runs.changed, self._on_run

    def _new_layer(self, active: LayerSession) -> PreviewLayer:
        return PreviewLayer(active.labels, active.navigation.current)

    def _why_not(self) -> str:
        session = self._workspace.session
        if session is None:
            return NO_SESSION
        if self._workspace.is_busy:
            return _BUSY
        has_prompt = session.references.used_frames or session.references.tuned
        examples = any(each.enabled for each in session.references.examples)
        return "" if has_prompt or examples else _NO_REFERENCE

    def close(self) -> None:
        """Predict no more, and remove the layer."""
        self._workspace.settings_changed.disconnect(self.refresh)
        super().close()

    def refresh(self, _: object = None) -> None:
        """Have the current frame predicted once a person rests."""
        self._end_job()
        if self._shown is not None and self._predict_soon is not None:
            self._predict_soon()

    def _remove(self) -> None:
        self._end_job()
        if self._predict_soon is not None:
            self._predict_soon.cancel()
        super()._remove()

    # -- predicting ------------------------------------------------------------------

    def _predict(self) -> None:
        session, frame = self._workspace.session, self._workspace.current
        if self._shown is None or session is None or self._workspace.is_busy:
            return
        if frame in session.frames.protected:
            self._shown.show(frame, None)
            return
        try:
            found = session.advice.preview_frame(frame)
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            self._shown.show(frame, None)
            return
        shown = self._shown

        def take(labels: NDArray[np.integer[Any]] | None) -> None:
            shown.show(frame, labels)

        self._job = Job(lambda: found, take, title="Predicting a preview")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _end_job(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.ended.disconnect(self._on_ended)
            job.close(wait=0)  # the window goes on; its frame is not shown

    def _on_ended(self, _: JobState) -> None:
        self._job = None

    # -- what happens to the session ---------------------------------------------------

    def _on_references(self) -> None:
        self._allow()
        self.refresh()

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        self._allow()
        if self._workspace.current in frames:
            self.refresh()

    def _on_run(self) -> None:
        """A run needs the model: the preview waits until it has ended."""
        self._allow()
        if self._workspace.is_busy:
            self._end_job()
        else:
            self.refresh()


_BUSY = "A run is on: wait until it has ended, or stop it."
_NO_REFERENCE = "There is no reference yet: paint a frame, or choose one."
_TOGGLE = (
    "Show in outlines what a run would write on the current frame, in a layer of its "
    "own, again whenever you change a setting or a reference. Nothing is written. Ids "
    "of objects are those of the frame alone, and no earlier frame is remembered."
)
