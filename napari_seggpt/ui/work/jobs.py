"""Job: work of the core in a thread of its own, its results taken on the window's."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator
from enum import StrEnum
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from napari.qt.threading import GeneratorWorker, create_worker
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication

from napari_seggpt.ui.work.activity import ProgressBar, notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

T = TypeVar("T")

MAX_WAITING_RESULTS = 2  # results that may wait to be taken, so that memory is bounded
POLL_SECONDS = 0.02
CLOSE_SECONDS = 2.0
NUM_RECENT_RESULTS = 8  # results that the time left is estimated from


class JobState(StrEnum):
    """What a job is doing."""

    NEW = "new"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED_STATES = frozenset({JobState.DONE, JobState.STOPPED, JobState.FAILED})


class Job(Generic[T]):
    """Runs a generator in napari's worker and hands over every result, in order.

    All of it is used on the window's thread. What the generator yielded is taken in any
    case, also after `stop` or when it fails. Results that nobody has taken yet hold the
    generator up, so that they do not pile up.

    `changed` is emitted when the state or the number of results has changed, `ended`
    with the last state, after the last result.

    Parameters
    ----------
    work : callable
        Returns the generator; called in the worker. It should yield often, as the job
        is paused and stopped between two results.
    take : callable
        Takes a result, on the window's thread. If it raises, the job fails.
    title : str
        What napari's activity calls it.
    total : int
        How many results are expected; 0 if that is not known.
    counts : callable, optional
        Whether a result is one of those expected; by default all are.

    Attributes
    ----------
    title : str
        What napari's activity calls it.
    total, done : int
        Results expected, and taken.
    error : Exception or None
        Why it failed. It was shown as a notification, too.
    """

    changed = Signal()
    ended = Signal(JobState)

    _alive: ClassVar[set[Job[Any]]] = set()  # keeps running jobs from being deleted

    def __init__(
        self,
        work: Callable[[], Iterable[T]],
        take: Callable[[T], object],
        *,
        title: str,
        total: int = 0,
        counts: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self.error: Exception | None = None
        self._work: Callable[[], Iterable[T]] | None = work
        self._take: Callable[[T], object] | None = take
        self._counts = counts
        self._state = JobState.NEW
        self._worker: _Worker | None = None
        self._relay: _Relay | None = None
        self._progress: ProgressBar | None = None
        self._is_taking = False
        self._is_closing = False
        self._has_finished = False
        self._seconds: deque[float] = deque(maxlen=NUM_RECENT_RESULTS)
        self._since = 0.0
        # Shared with the worker's thread:
        self._results: deque[T] = deque()
        self._may_go_on = threading.Event()
        self._may_go_on.set()
        self._num_pauses = 0
        self._held_in = 0  # the number of the pause that the worker is held in
        self._is_exhausted = False
        self._failure: Exception | None = None

    @property
    def state(self) -> JobState:
        """What it is doing."""
        return self._state

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended, be it paused or not."""
        return self._state is not JobState.NEW and self._state not in ENDED_STATES

    @property
    def seconds_left(self) -> float | None:
        """Estimate, from the last results, how long it will take; None if unknown."""
        if not self._seconds or not self.total:
            return None
        # The first result waits for the model, and tells little once there are others.
        recent = list(self._seconds)[1 if self.done == len(self._seconds) > 1 else 0 :]
        return max(0, self.total - self.done) * sum(recent) / len(recent)

    # -- what a person does --------------------------------------------------------

    def start(self) -> None:
        """Start the work.

        Raises
        ------
        RuntimeError
            If it was started before.
        """
        if self._state is not JobState.NEW:
            raise RuntimeError(f"Expected a new job, got one that is {self._state}.")
        self._alive.add(self)
        self._since = time.monotonic()
        worker = self._worker = create_worker(
            _steps_called(self.title),
            self,
            _start_thread=False,
            _worker_class=_Worker,
            _ignore_errors=True,
        )
        self._relay = _Relay(self)
        worker.yielded.connect(self._relay.on_yielded)
        worker.finished.connect(self._relay.on_finished)
        self._set_state(JobState.RUNNING)
        # Later, because a bar handles events of the window: a job that is started by a
        # stroke would let the next one in, within the event of the first.
        QTimer.singleShot(0, self._show_progress)
        worker.start()  # even if the job was closed, as napari waits for it

    def pause(self) -> None:
        """Hold the work up after the present result."""
        if self._state is JobState.RUNNING:
            self._num_pauses += 1
            self._may_go_on.clear()
            self._set_state(JobState.PAUSING)

    def resume(self) -> None:
        """Go on after a pause."""
        if self._state in (JobState.PAUSING, JobState.PAUSED):
            self._since = time.monotonic()
            self._may_go_on.set()
            self._set_state(JobState.RUNNING)

    def stop(self) -> None:
        """End the work after the present result, which is still taken."""
        if self.is_running and self._state is not JobState.STOPPING:
            if self._worker is not None:
                self._worker.quit()
            self._set_state(JobState.STOPPING)

    def close(self, wait: float = CLOSE_SECONDS) -> None:
        """End the job now and let go of everything; nothing is taken later.

        Parameters
        ----------
        wait : float
            Seconds that the present result may take; one that takes longer is lost.
        """
        if self.is_running and not self._is_closing:
            self._is_closing = True
            self.stop()
            if self._worker is not None and self._worker.has_begun.is_set():
                self._worker.has_left.wait(wait)
            self._take_results(is_closing=True)
            self._end()

    # -- on the window's thread ----------------------------------------------------

    def _show_progress(self) -> None:
        if not self.is_running:
            return
        bar = ProgressBar(total=self.total, desc=self.title, stop=self.stop)
        if self._state in ENDED_STATES:  # one of the events that it handled did that
            bar.close()
            return
        missing, self._progress = self.done, bar
        for _ in range(missing):
            bar.increment_with_overflow()

    def _set_state(self, state: JobState) -> None:
        self._state = state
        self.changed.emit()

    def _finish(self) -> None:
        self._has_finished = True
        self._take_results()

    def _take_results(self, *, is_closing: bool = False) -> None:
        """Take what there is, then see whether the worker is held up or has ended.

        The progress bar handles events of the window, which may lead here again.
        """
        if not self.is_running or (self._is_taking and not is_closing):
            return
        self._is_taking = True
        try:
            while self._results and self.is_running:
                result = self._results.popleft()
                if self.error is None:
                    self._take_one(result)
        finally:
            self._is_taking = False
        if is_closing or not self.is_running:
            return
        if self._has_finished:
            self._end()
        elif self._state is JobState.PAUSING and self._held_in == self._num_pauses:
            self._set_state(JobState.PAUSED)

    def _take_one(self, result: T) -> None:
        is_counted = self._counts(result)
        if is_counted:
            now = time.monotonic()
            self._seconds.append(now - self._since)
            self._since = now
        try:
            if self._take is not None:
                self._take(result)
        except Exception as error:  # noqa: BLE001 (a person is told, whatever it is)
            self.error = error
            self.stop()
            return
        if not is_counted:
            return
        self.done += 1
        self.changed.emit()
        if self._progress is not None:
            self._progress.increment_with_overflow()

    def _end(self) -> None:
        """Let go of everything, then tell how it ended."""
        self.error = self.error or self._failure
        self._worker = None
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.let_go()
        progress, self._progress = self._progress, None
        self._work = self._take = None
        self._results.clear()
        self._alive.discard(self)
        if self.error is not None:
            state = JobState.FAILED
        else:
            state = JobState.DONE if self._is_exhausted else JobState.STOPPED
        if progress is not None:
            progress.close()
        if self.error is not None:
            notify(self.error)
        self._set_state(state)
        self.ended.emit(state)

    # -- in the worker -------------------------------------------------------------

    def _wait(self, worker: _Worker) -> Generator[None, None, None]:
        """Wait while the job is paused or results wait to be taken."""
        while not self._may_go_on.is_set() or len(self._results) >= MAX_WAITING_RESULTS:
            if worker.abort_requested:
                return
            if self._may_go_on.is_set():
                time.sleep(POLL_SECONDS)
                continue
            if self._held_in != self._num_pauses:
                self._held_in = self._num_pauses
                yield
            if self._may_go_on.wait(POLL_SECONDS):
                return


def _steps(job: Job[T]) -> Generator[None, None, None]:
    """Put results where the window's thread finds them, and wake it; in the worker.

    No error leaves this: napari forgets workers that raise RuntimeError, as torch does
    for everything, without a word.
    """
    results: Iterable[T] = ()
    worker = job._worker
    assert worker is not None
    assert job._work is not None
    try:
        results = job._work()
        for result in results:
            job._results.append(result)
            yield
            yield from job._wait(worker)
            if worker.abort_requested:
                return
        job._is_exhausted = not worker.abort_requested  # else work ended because of it
    except Exception as error:  # noqa: BLE001 (handed over)
        job._failure = error
    finally:
        try:
            if isinstance(results, Generator):
                results.close()
        except Exception as error:  # noqa: BLE001 (handed over)
            job._failure = job._failure or error


def _steps_called(title: str) -> Callable[[Job[T]], Generator[None, None, None]]:
    """Return `_steps` under another name, by which napari calls the work.

    It is a function and no method of a job, because napari keeps it for as long as the
    window is open.
    """
    function = FunctionType(_steps.__code__, globals(), title)
    function.__qualname__ = title
    return function


class _Worker(GeneratorWorker):
    """Closes its generator when it is aborted, in its own thread."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.has_begun = threading.Event()
        self.has_left = threading.Event()

    def work(self) -> Any:
        self.has_begun.set()
        try:
            return super().work()
        finally:
            self._gen.close()
            self.has_left.set()


class _Relay(QObject):
    """Receives a worker's signals on the window's thread, until it lets go of the job.

    Qt calls what it belongs to no more once it is deleted; a method of a job might be
    called when the job is gone, for what was sent before.
    """

    def __init__(self, job: Job[Any]) -> None:
        super().__init__(QApplication.instance())
        self._job: Job[Any] | None = job

    def on_yielded(self, _: object) -> None:
        if self._job is not None:
            self._job._take_results()

    def on_finished(self) -> None:
        if self._job is not None:
            self._job._finish()

    def let_go(self) -> None:
        self._job = None
        self.deleteLater()
