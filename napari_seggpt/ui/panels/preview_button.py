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
    from napari.layers import Shapes
    from numpy.typing import NDArray

    from napari_seggpt.session.runs.preview import Preview
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections, Workspace

WAIT_MS = 300  # that a person rests, before a frame is predicted


class PreviewButton(FrameLayerButton):
    """Predicts the current frame into a layer of its own, again with each change.

    Frames that a person vouches for are not predicted, as no run writes them. While a
    run or tuning is on there is no preview.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._job: Job[Any] | None = None
        self._preview: Preview | None = None  # that the job makes
        self._region_layer: Shapes | None = None  # that was asked for last
        self._predict_soon: Any = None
        super().__init__(workspace, "Preview", _TOGGLE)
        self._predict_soon = qdebounced(
            self._predict, timeout=WAIT_MS, parent=self.button
        )
        workspace.settings_changed.connect(self.refresh)
        workspace.choice_changed.connect(self._on_choice)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.navigation.changed, self.refresh
        yield active.session.references.changed, self._on_references
        yield active.session.frames.statuses_changed, self._on_statuses
        yield active.session.frames.locks.changed, self.refresh
        yield active.runs.changed, self._on_work
        yield active.tuning.changed, self._on_work

    def _new_layer(self, active: LayerSession) -> PreviewLayer:
        return PreviewLayer(active.labels, active.navigation.current)

    def _why_not(self) -> str:
        session = self._workspace.session
        if session is None:
            return NO_SESSION
        if self._workspace.is_busy:
            return self._workspace.held or _BUSY
        has_prompt = session.references.used_frames or session.references.tuned
        examples = any(each.enabled for each in session.references.examples)
        return "" if has_prompt or examples else _NO_REFERENCE

    def close(self) -> None:
        """Predict no more, and remove the layer."""
        self._workspace.settings_changed.disconnect(self.refresh)
        self._workspace.choice_changed.disconnect(self._on_choice)
        super().close()

    def refresh(self, _: object = None) -> None:
        """Have the current frame predicted once a person rests."""
        self._end_job()
        if self._shown is not None and self._predict_soon is not None:
            self._predict_soon()

    def _add(self) -> None:
        super()._add()
        session = self._workspace.session
        if session is not None and self._workspace.current in session.frames.protected:
            self._workspace.show_message(_YOURS)  # else nothing seems to happen

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
        self._region_layer = self._workspace.region_layer
        try:
            preview = session.advice.preview_frame(frame, self._workspace.region)
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            self._shown.show(frame, None)
            return
        shown = self._shown

        def take(labels: NDArray[np.integer[Any]] | None) -> None:
            shown.show(frame, labels)

        self._preview = preview
        self._job = Job(preview.results, take, title="Predicting a preview")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _end_job(self) -> None:
        """Give up what is predicted; nothing waits for its end."""
        job, self._job = self._job, None
        preview, self._preview = self._preview, None
        if preview is not None:
            preview.stop()
        if job is not None:
            job.ended.disconnect(self._on_ended)
            job.close(wait=0)

    def _on_ended(self, state: JobState) -> None:
        self._job = self._preview = None
        if state is JobState.FAILED and self._shown is not None:
            self._shown.show(self._workspace.current, None)  # it was of other settings

    # -- what happens to the session ---------------------------------------------------

    def _on_active(self) -> None:
        super()._on_active()
        self.refresh()  # the same session may have other images now

    def _on_choice(self) -> None:
        if self._region_layer is not self._workspace.region_layer:
            self.refresh()

    def _on_references(self) -> None:
        self._allow()
        self.refresh()

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        self._allow()
        if self._workspace.current in frames:
            self.refresh()

    def _on_work(self) -> None:
        """Runs and tuning need the model: the preview waits until they have ended."""
        self._allow()
        if self._workspace.is_busy:
            self._end_job()
        else:
            self.refresh()


_BUSY = "A run or tuning is on: wait until it has ended, or stop it."
_NO_REFERENCE = "There is no reference yet: paint a frame, or choose one."
_YOURS = (
    "You vouch for this frame, and no run writes it: go to another one for a preview."
)
_TOGGLE = (
    "Show in outlines what a run would write on the current frame, in a layer of its "
    "own, again whenever you change a setting or a reference. Nothing is written. Ids "
    "of objects are those of the frame alone, and no earlier frame is remembered."
)
