"""RunControl: starts, pauses, stops and undoes the runs of a session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session import LinkingRun
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_seggpt.session import FrameResult, RenamedResult, Scope, Session
    from napari_seggpt.session.runs.base_run import BaseRun
    from napari_seggpt.session.runs.region import Region

    Result = FrameResult | RenamedResult

POLL_MS = 200
UNDOING_SECONDS = 0.015  # that frames are undone for before the window goes on
MOST_LINES = 3  # about single frames, in a report
NUM_RECENT_RESULTS = 12  # results that the seconds a frame are measured on


class RunControl:
    """The runs of one session, in napari's worker.

    `changed` is emitted when anything that is shown of a run has changed, `ended` with
    a report and its tone.
    """

    changed = Signal()
    ended = Signal(str, Tone)

    def __init__(self, session: Session) -> None:
        self.session = session
        self.run: BaseRun | None = None
        self.downloaded: tuple[int, int] | None = None
        self.is_sending = False  # what is in `downloaded` goes to another computer
        self._job: Job[Result] | None = None
        self._loaded_at: float | None = None  # of the run that is on
        self._last_pace = 0.0  # seconds a frame by the clock, of the last run
        self._undo: Iterator[int] | None = None
        self._undone = 0
        self._is_redo = False
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
        """Whether the run is about to end."""
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
    def is_loading(self) -> bool:
        """Whether the run waits for its model."""
        return self.is_running and self.run is not None and not self.run.is_loaded

    @property
    def seconds_waited(self) -> float:
        """The seconds since the model was there; 0 while it is being loaded."""
        if self.run is None or not self.run.is_loaded or self._job is None:
            return 0.0
        if self._loaded_at is None:
            self._loaded_at = time.monotonic()
        return time.monotonic() - self._loaded_at

    @property
    def seconds_a_frame(self) -> float | None:
        """The seconds that the last frames took; loading and references left out.

        The first frame is left out, too, where there are others: it may wait for memory
        and for libraries. What is remembered and written of frames counts.
        """
        if self.run is None or not self.run.seconds:
            return None
        recent = self.run.seconds[1:][-NUM_RECENT_RESULTS:] or self.run.seconds
        return max(sum(recent) / len(recent), self._pace_by_clock)

    @property
    def _pace_by_clock(self) -> float:
        """The seconds from one of the last frames to the next; 0 while unknown.

        The first result has waited for the model, and tells nothing of the others.
        """
        job = self._job
        left = 0 if job is None else job.total - job.done
        if job is None or job.done < 2 or left < 1 or job.seconds_left is None:
            return self._last_pace
        return job.seconds_left / left

    @property
    def seconds_left(self) -> float | None:
        """Estimate, from the pace of the last frames, of the time left."""
        job, pace = self._job, self.seconds_a_frame
        if job is None or pace is None:
            return None
        return max(0, job.total - job.done) * pace

    # -- what a person does --------------------------------------------------------

    def start(
        self,
        scope: Scope,
        current: int,
        region: Region | None = None,
        *,
        goes_on: bool = False,
    ) -> None:
        """Start a run, in a region or in whole frames; see `Session.start`.

        Raises
        ------
        ValueError
            If there is nothing to show the model, or nothing to predict.
        """
        self._check_free()
        run = self.session.start(scope, current, region, goes_on=goes_on)
        self._begin(run, "Labelling frames")

    def complete(self, frame: int) -> None:
        """Start a run that completes a frame which a person has begun to label.

        Raises
        ------
        ValueError
            If there is nothing else to predict it from, or a run is on.
        """
        self._check_free()
        self._begin(self.session.complete(frame), "Labelling frames")

    def start_linking(self, scope: Scope, current: int) -> None:
        """Carry the ids of a frame on over the predicted frames beyond.

        Raises
        ------
        ValueError
            If there is none, or a run is on.
        """
        self._check_free()
        self._begin(self.session.start_linking(scope, current), "Carrying ids on")

    def _check_free(self) -> None:
        if self.is_busy:
            raise ValueError("Expected the last run to have ended; one is on.")

    def _begin(self, run: BaseRun, title: str) -> None:
        run.on_download, run.on_upload = self._on_download, self._on_upload
        self.run, self.downloaded, self.is_sending = run, None, False
        self._loaded_at, self._last_pace = None, 0.0
        self._job = Job(
            run.results,
            self.session.runs.commit,
            title=title,
            total=len(run.frames),
            counts=lambda result: result.is_counted,
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
        """End the run before the next pass of the model; what was predicted stays."""
        if self._job is not None and self.run is not None:
            self._job.stop()
            self.run.stop()

    def undo(self) -> None:
        """Undo the last run, a few frames at a time."""
        if self.is_busy or not self.session.runs.can_undo:
            return
        self._undo, self._undone = self.session.runs.undo_steps(), 0
        self._is_redo = False
        self._undo_timer.start()
        self.changed.emit()

    def redo(self) -> None:
        """Do the run again that was undone last, a few frames at a time."""
        if self.is_busy or not self.session.runs.can_redo:
            return
        self._undo, self._undone = self.session.runs.redo_steps(), 0
        self._is_redo = True
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
        self._last_pace = self._pace_by_clock
        if self.is_stopping and self.run is not None:
            self.run.stop()  # a download ends, too
        if self.done:
            self.downloaded = None
        self.changed.emit()

    def _on_download(self, done: int, total: int) -> None:
        self.downloaded = (done, total)  # in the worker; the timer shows it

    def _on_upload(self, done: int, total: int) -> None:
        self.is_sending, self.downloaded = True, (done, total)

    def _on_ended(self, state: JobState) -> None:
        job, self._job = self._job, None
        self._timer.stop()
        self.session.runs.finish()
        self.downloaded = None
        if job is not None:
            self.ended.emit(*self._report(job, state))
        self.changed.emit()

    def _report(self, job: Job[Result], state: JobState) -> tuple[str, Tone]:
        noticed = [] if self.run is None else self.run.lines(MOST_LINES)
        report = " ".join([self._result(job, state), *noticed])
        if state is JobState.FAILED:
            return report, Tone.ERROR
        return report, Tone.WARNING if noticed else Tone.GOOD

    def _result(self, job: Job[Result], state: JobState) -> str:
        run = self.run
        written, damaged = (run.num_written, run.num_damaged) if run else (0, 0)
        frames = count_of(written, "frame")
        left_alone = job.done - written - damaged
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
                    act = "done again" if self._is_redo else "undone"
                    frames = count_of(self._undone, "frame")
                    self._end_undo(f"The run was {act}: {frames}.")
                    return
                self._undone += 1
        except (ValueError, OSError) as error:
            self._end_undo(_plain(error), Tone.ERROR)

    def _end_undo(self, report: str, tone: Tone = Tone.GOOD) -> None:
        self._undo_timer.stop()
        self._undo = None
        self.ended.emit(report, tone)
        self.changed.emit()


def _plain(error: Exception | None) -> str:
    text = " ".join(str(error).split()) if error is not None else ""
    return text or type(error).__name__
