"""RegionReview: which frame is least sure inside the region that is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.work.actions import go_to, review_least_certain
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone

if TYPE_CHECKING:
    from napari_seggpt.ui.work.workspace import Workspace


class RegionReview:
    """Goes to the frame that the model is least sure of, in the region if one is drawn.

    Parameters
    ----------
    workspace : Workspace
        What is worked on.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._job: Job[int | None] | None = None
        self._frame: int | None = None
        workspace.active_changed.connect(self.close)

    @property
    def is_on(self) -> bool:
        """Whether frames are being looked at."""
        return self._job is not None

    def go(self) -> None:
        """Go to the frame; with a region a worker finds out which it is."""
        session = self._workspace.session
        try:
            region = self._workspace.region
        except ValueError as error:
            self._workspace.show_message(str(error), Tone.WARNING)
            return
        if region is None or session is None:
            review_least_certain(self._workspace)
        elif self._job is None:
            results, self._frame = session.advice.least_certain_in(region), None
            self._job = Job(lambda: results, self._take, title="Looking at frames")
            self._job.ended.connect(self._on_ended)
            self._job.start()

    def close(self) -> None:
        """Look no more."""
        job, self._job = self._job, None
        if job is not None:
            job.close()

    def _take(self, frame: int | None) -> None:
        self._frame = frame

    def _on_ended(self, state: JobState) -> None:
        job, self._job = self._job, None
        if job is None or state is not JobState.DONE:
            return
        if self._frame is None:
            self._workspace.show_message("There is no predicted frame left to look at.")
            return
        go_to(self._workspace, self._frame)
        name = self._workspace.name(self._frame)
        self._workspace.show_message(
            f"In the region the model is least sure of frame {name}."
        )
