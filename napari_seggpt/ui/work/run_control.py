"""RunControl: starts, pauses, stops and undoes the runs of a session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session import LinkingRun
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.session import (
        FrameResult,
        RenamedResult,
        Run,
        Scope,
        Session,
    )
    from napari_seggpt.settings import SessionSettings

    Result = FrameResult | RenamedResult

POLL_MS = 200
UNDOING_SECONDS = 0.015  # that frames are undone for before the window goes on
NUM_RECENT_RESULTS = 12  # results that the seconds a frame are measured on


class RunControl:
    """The runs of one session, in napari's worker.

    `changed` is emitted when anything that is shown of a run has changed, `ended` with
    a report, and whether something went wrong.
    """

    changed = Signal()
    ended = Signal(str, bool)

    def __init__(self, session: Session) -> None:
        self.session = session
        self.run: Run | LinkingRun | None = None
        self.downloaded: tuple[int, int] | None = None
        self._job: Job[Result] | None = None
        self._settings = session.settings  # of the run
        self._undo: Iterator[int] | None = None
        self._undone = 0
        self._timer = QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.changed.emit)
        self._undo_timer = QTimer()
        self._undo_timer.setInterval(0)
        self._undo_timer.timeout.connect(self._undo_some)

    # -- what is shown -------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether a run is on, be it paused or not."""
        return self._job is not None

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused, or about to be."""
        job = self._job
        return job is not None and job.state in (JobState.PAUSING, JobState.PAUSED)

    @property
    def is_stopping(self) -> bool:
        """Whether the run ends after the present frame."""
        return self._job is not None and self._job.state is JobState.STOPPING

    @property
    def is_undoing(self) -> bool:
        """Whether a run is being undone."""
        return self._undo is not None

    @property
    def is_busy(self) -> bool:
        """Whether a run is on or being undone."""
        return self.is_running or self.is_undoing

    @property
    def done(self) -> int:
        """Frames that were predicted, written or not."""
        return self._job.done if self._job is not None else 0

    @property
    def total(self) -> int:
        """Frames of the run."""
        return self._job.total if self._job is not None else 0

    @property
    def measured(self) -> tuple[SessionSettings, float] | None:
        """The settings of the last run, and the seconds that a frame takes with them.

        The first frame is left out, because it waits for the references to be encoded.
        """
        if self.run is None or not self.run.seconds:
            return None
        recent = self.run.seconds[1:][-NUM_RECENT_RESULTS:] or self.run.seconds
        return self._settings, sum(recent) / len(recent)

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left."""
        return self._job.seconds_left if self._job is not None else None

    # -- what a person does --------------------------------------------------------

    def start(self, scope: Scope, current: int) -> None:
        """Start a run.

        Raises
        ------
        ValueError
            If there is nothing to show the model, or nothing to predict.
        """
        if self.is_busy:
            raise ValueError("Expected the last run to have ended; one is on.")
        run = self.session.start(scope, current)
        run.on_download = self._on_download
        self._begin(run, "Labelling frames")

    def start_linking(self, scope: Scope, current: int) -> None:
        """Carry the ids of a frame on over the predicted frames beyond.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.is_busy:
            raise ValueError("Expected the last run to have ended; one is on.")
        self._begin(self.session.start_linking(scope, current), "Carrying ids on")

    def _begin(self, run: Run | LinkingRun, title: str) -> None:
        self._settings = self.session.settings
        self.run, self.downloaded = run, None
        self._job = Job(
            run.results,
            self.session.runs.commit,
            title=title,
            total=len(run.frames),
            counts=lambda result: getattr(result, "is_counted", True),
        )
        self._job.changed.connect(self._on_job)
        self._job.ended.connect(self._on_ended)
        self._job.start()
        self._timer.start()
        self.changed.emit()

    def pause_or_resume(self) -> None:
        """Pause the run after the present frame, or go on."""
        if self._job is None:
            return
        if self.is_paused:
            self._job.resume()
        else:
            self._job.pause()

    def stop(self) -> None:
        """End the run after the present frame; what was predicted stays."""
        if self._job is not None and self.run is not None:
            self.run.stop()
            self._job.stop()

    def undo(self) -> None:
        """Undo the last run, a few frames at a time."""
        if self.is_busy or not self.session.runs.can_undo:
            return
        self._undo, self._undone = self.session.runs.undo_steps(), 0
        self._undo_timer.start()
        self.changed.emit()

    def close(self) -> None:
        """End what is on, and keep what was predicted."""
        self._undo_timer.stop()
        self._undo = None
        if self._job is not None:
            if self.run is not None:
                self.run.stop()
            self._job.close()
        self._timer.stop()

    # -- in between ----------------------------------------------------------------

    def _on_job(self) -> None:
        if self.is_stopping and self.run is not None:
            self.run.stop()  # a download ends, too
        if self.done:
            self.downloaded = None
        self.changed.emit()

    def _on_download(self, done: int, total: int) -> None:
        self.downloaded = (done, total)  # in the worker; the timer shows it

    def _on_ended(self, state: JobState) -> None:
        job, self._job = self._job, None
        self._timer.stop()
        self.session.runs.finish()
        self.downloaded = None
        if job is not None:
            self.ended.emit(self._report(job, state), state is JobState.FAILED)
        self.changed.emit()

    def _report(self, job: Job[Result], state: JobState) -> str:
        written = 0 if self.run is None else self.run.num_written
        frames = count_of(written, "frame")
        left_alone = job.done - written
        kept = f", {left_alone} left as you made them" if left_alone else ""
        if state is JobState.FAILED:
            return f"{_plain(job.error)} Kept: {frames}."
        if state is JobState.STOPPED:
            return f"Stopped: {frames} of {job.total} labelled{kept}."
        if isinstance(self.run, LinkingRun):
            return f"Ids carried on to {frames}{kept}."
        return f"{frames} labelled{kept}."

    def _undo_some(self) -> None:
        """Undo frames until the window has waited long enough."""
        until = time.perf_counter() + UNDOING_SECONDS
        try:
            while self._undo is not None and time.perf_counter() < until:
                if next(self._undo, None) is None:
                    self._end_undo(f"The run was undone: {self._undone} frames.")
                    return
                self._undone += 1
        except (ValueError, OSError) as error:
            self._end_undo(_plain(error), went_wrong=True)

    def _end_undo(self, report: str, *, went_wrong: bool = False) -> None:
        self._undo_timer.stop()
        self._undo = None
        self.ended.emit(report, went_wrong)
        self.changed.emit()


def _plain(error: Exception | None) -> str:
    text = " ".join(str(error).split()) if error is not None else ""
    return text or type(error).__name__
