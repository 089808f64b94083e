"""Jobs run in a thread, hand over every result, and let go of everything."""

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from napari.utils import progress
from napari.utils.notifications import Notification, notification_manager
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QRunnable, QThreadPool, QTimer

from napari_seggpt.ui.work import jobs
from napari_seggpt.ui.work.activity import ProgressBar
from napari_seggpt.ui.work.jobs import (
    ENDED_STATES,
    MAX_WAITING_RESULTS,
    Job,
    JobState,
)

WAIT = 60_000  # milliseconds; the machine may be busy


class Work:
    """Counts up, as fast as it is let; knows what it went through."""

    def __init__(self, count: int = 5, error: BaseException | None = None) -> None:
        self.count, self.error = count, error
        self.go = threading.Semaphore(0)
        self.has_started = threading.Event()
        self.has_closed = threading.Event()
        self.num_begun = self.num_made = 0
        self.thread: int | None = None

    def free(self, steps: int = 1_000) -> None:
        for _ in range(steps):
            self.go.release()

    def __call__(self) -> Iterator[int]:
        self.thread = threading.get_ident()
        self.has_started.set()
        try:
            for number in range(self.count):
                self.num_begun += 1
                assert self.go.acquire(timeout=60)
                self.num_made += 1
                yield number
            if self.error is not None:
                raise self.error
        finally:
            assert threading.get_ident() == self.thread  # never in the window's
            self.has_closed.set()


class LayerSession:
    """Where results are taken, and what is heard of a job."""

    def __init__(self, work: Callable[[], Any], total: int = 5) -> None:
        self.taken: list[int] = []
        self.threads: set[int] = set()
        self.ends: list[JobState] = []
        self.states: list[JobState] = []
        self.job: Job[int] = Job(work, self.take, title="Predict cells", total=total)
        self.job.ended.connect(self.ends.append)
        self.job.changed.connect(lambda: self.states.append(self.job.state))

    def take(self, result: int) -> None:
        self.threads.add(threading.get_ident())
        self.taken.append(result)


@pytest.fixture(autouse=True)
def nothing_is_left(qtbot: QtBot) -> Iterator[None]:
    yield
    left = list(Job._alive)
    for job in left:
        job.close()
    assert not left
    assert QThreadPool.globalInstance().waitForDone(WAIT)
    qtbot.wait(1)
    assert not progress._all_instances


@pytest.fixture
def notifications() -> Iterator[list[Notification]]:
    heard: list[Notification] = []

    def hear(event: Any) -> None:
        heard.append(event)

    notification_manager.notification_ready.connect(hear)
    yield heard
    notification_manager.notification_ready.disconnect(hear)


def test_every_result_is_taken_in_order_on_the_window_s_thread(qtbot: QtBot) -> None:
    work = Work(50)
    work.free()
    desk = LayerSession(work, total=50)
    assert desk.job.state is JobState.NEW
    assert not desk.job.is_running
    desk.job.start()
    assert desk.job.is_running
    assert work.thread != threading.get_ident()
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    assert desk.taken == list(range(50))
    assert desk.threads == {threading.get_ident()}
    assert work.thread not in desk.threads
    assert (desk.job.done, desk.job.total) == (50, 50)
    assert desk.job.error is None
    assert work.has_closed.is_set()


def test_starting_again_is_refused(qtbot: QtBot) -> None:
    work = Work(0)
    desk = LayerSession(work, total=0)
    desk.job.start()
    with pytest.raises(RuntimeError, match="Expected a new job, got one that is runn"):
        desk.job.start()
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    with pytest.raises(RuntimeError, match="Expected a new job, got one that is done"):
        desk.job.start()


def test_any_iterable_will_do(qtbot: QtBot) -> None:
    desk = LayerSession(lambda: [3, 4])
    desk.job.start()
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    assert desk.taken == [3, 4]


def test_the_window_answers_while_work_is_slow(qtbot: QtBot) -> None:
    def slow() -> Iterator[int]:
        for number in range(5):
            time.sleep(0.3)
            yield number

    desk = LayerSession(slow)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    timer.stop()
    assert len(ticks) > 12  # more than one or two a result


def test_results_do_not_pile_up(qtbot: QtBot) -> None:
    work = Work(50)
    work.free()
    desk = LayerSession(work, total=50)
    desk.job.start()
    for _ in range(20):  # the window is busy: it handles no events
        time.sleep(0.01)
    assert work.num_made <= MAX_WAITING_RESULTS + 1
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    assert desk.taken == list(range(50))


# -- pausing ---------------------------------------------------------------------------


def test_a_paused_job_makes_nothing_until_it_is_resumed(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    work.free(2)
    qtbot.waitUntil(lambda: len(desk.taken) == 2, timeout=WAIT)
    qtbot.waitUntil(lambda: work.num_begun == 3, timeout=WAIT)
    desk.job.pause()
    assert desk.job.state is JobState.PAUSING
    work.free()  # what was begun is still made
    qtbot.waitUntil(lambda: desk.job.state is JobState.PAUSED, timeout=WAIT)
    assert desk.taken == [0, 1, 2]
    qtbot.wait(100)
    assert desk.taken == [0, 1, 2]
    assert desk.job.is_running
    desk.job.resume()
    assert desk.job.state is JobState.RUNNING
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    assert desk.taken == [0, 1, 2, 3, 4]


def test_resuming_before_the_pause_has_come_is_not_lost(qtbot: QtBot) -> None:
    # napari's worker ignores `resume` then, and stays paused for good.
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    for _ in range(3):
        desk.job.pause()
        desk.job.resume()
    work.free()
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    assert desk.taken == [0, 1, 2, 3, 4]


def test_pausing_again_and_again(qtbot: QtBot) -> None:
    work = Work(4)
    work.free()
    desk = LayerSession(work)
    desk.job.start()
    while desk.job.is_running:
        desk.job.pause()
        qtbot.waitUntil(
            lambda: desk.job.state in (JobState.PAUSED, *ENDED_STATES), timeout=WAIT
        )
        desk.job.resume()
        qtbot.wait(5)
    assert desk.taken == [0, 1, 2, 3]
    assert desk.ends == [JobState.DONE]


def test_pausing_and_resuming_at_other_times_does_nothing(qtbot: QtBot) -> None:
    work = Work(1)
    desk = LayerSession(work)
    desk.job.pause()
    desk.job.resume()
    desk.job.stop()
    assert desk.job.state is JobState.NEW
    work.free()
    desk.job.start()
    desk.job.resume()
    qtbot.waitUntil(lambda: desk.ends == [JobState.DONE], timeout=WAIT)
    desk.job.pause()
    desk.job.resume()
    desk.job.stop()
    desk.job.close()
    assert desk.job.state is JobState.DONE
    assert desk.ends == [JobState.DONE]


# -- stopping --------------------------------------------------------------------------


def test_what_was_begun_when_it_was_stopped_is_still_taken(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    work.free(2)
    qtbot.waitUntil(lambda: len(desk.taken) == 2, timeout=WAIT)
    qtbot.waitUntil(lambda: work.num_begun == 3, timeout=WAIT)
    desk.job.stop()
    assert desk.job.state is JobState.STOPPING
    work.free()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.ends == [JobState.STOPPED]
    assert desk.taken == [0, 1, 2]
    assert work.has_closed.is_set()


def test_work_that_ends_because_it_was_stopped_is_not_done(qtbot: QtBot) -> None:
    stopped = threading.Event()

    def work() -> Iterator[int]:
        yield 0
        stopped.wait(60)  # it was told, too, and ends within a step

    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: desk.taken == [0], timeout=WAIT)
    desk.job.stop()
    stopped.set()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.ends == [JobState.STOPPED]


def test_a_paused_job_can_be_stopped(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    desk.job.pause()
    work.free()
    qtbot.waitUntil(lambda: desk.job.state is JobState.PAUSED, timeout=WAIT)
    desk.job.stop()
    qtbot.waitUntil(lambda: desk.ends == [JobState.STOPPED], timeout=WAIT)
    assert desk.taken == [0]
    assert work.has_closed.is_set()


def test_napari_may_ask_it_to_quit(qtbot: QtBot) -> None:
    # as it does when its window is closed
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    desk.job.pause()
    work.free()
    qtbot.waitUntil(lambda: desk.job.state is JobState.PAUSED, timeout=WAIT)
    assert desk.job._worker is not None
    desk.job._worker.await_workers(WAIT)
    qtbot.waitUntil(lambda: desk.ends == [JobState.STOPPED], timeout=WAIT)
    assert desk.taken == [0]


def test_closing_takes_what_there_is_without_an_event_loop(qtbot: QtBot) -> None:
    work = Work()
    work.free(3)
    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(desk.taken), timeout=WAIT)
    threading.Timer(0.1, work.free).start()
    desk.job.close(wait=20)
    assert desk.ends == [JobState.STOPPED]
    assert desk.taken == list(range(work.num_made))
    assert work.has_closed.is_set()
    qtbot.wait(50)
    assert desk.ends == [JobState.STOPPED]


def test_closing_does_not_wait_for_ever(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(work.has_started.is_set, timeout=WAIT)
    started = time.monotonic()
    desk.job.close(wait=0.05)
    assert time.monotonic() - started < 5
    assert desk.ends == [JobState.STOPPED]
    work.free()  # what comes now comes too late
    assert work.has_closed.wait(20)
    qtbot.wait(50)
    assert desk.taken == []


def test_closing_while_a_result_is_taken(qtbot: QtBot) -> None:
    # the progress bar handles events, among them that the dock is closed
    work = Work()
    work.free()
    desk = LayerSession(work)
    desk.job.changed.connect(lambda: desk.taken and desk.job.close(wait=20))
    desk.job.start()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.taken == list(range(work.num_made))
    assert len(desk.ends) == 1


@pytest.mark.parametrize("act", ["stop", "close"])
def test_ending_a_job_while_its_bar_is_made(qtbot: QtBot, act: str) -> None:
    """The bar handles events of the window, and one of them may end the job."""
    work = Work()
    desk = LayerSession(work)
    acts: list[str] = []

    def hear(event: Any) -> None:
        if not acts:
            acts.append(act)
            getattr(desk.job, act)()

    progress._all_instances.events.changed.connect(hear)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(acts), timeout=WAIT)
    progress._all_instances.events.changed.disconnect(hear)
    work.free()
    qtbot.waitUntil(lambda: desk.ends == [JobState.STOPPED], timeout=WAIT)
    assert not progress._all_instances


class Occupation(QRunnable):
    """Keeps a thread from anything else until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.setAutoDelete(False)
        self.has_begun, self.go = threading.Event(), threading.Event()

    def run(self) -> None:
        self.has_begun.set()
        self.go.wait(60)


def test_closing_right_after_starting_does_not_wait(qtbot: QtBot) -> None:
    desk, pool = LayerSession(Work()), QThreadPool.globalInstance()
    count, occupation = pool.maxThreadCount(), Occupation()
    pool.setMaxThreadCount(1)  # a pool without threads would begin at once even with 0
    try:
        pool.start(occupation)
        assert occupation.has_begun.wait(60)
        desk.job.start()
        started = time.monotonic()
        desk.job.close(wait=60)
    finally:
        pool.setMaxThreadCount(count)
        occupation.go.set()
    assert pool.waitForDone(WAIT)
    assert time.monotonic() - started < 30
    assert desk.ends == [JobState.STOPPED]


# -- errors ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "has_traceback"),
    [
        (ValueError("Expected a frame, got none."), False),
        (RuntimeError("CUDA out of memory"), True),  # napari's worker swallows these
        (StopIteration("no more"), True),
        (KeyError("key"), True),
    ],
)
def test_an_error_comes_after_the_results_and_is_shown(
    qtbot: QtBot,
    notifications: list[Notification],
    error: Exception,
    has_traceback: bool,
) -> None:
    work = Work(3, error)
    work.free()
    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: desk.ends == [JobState.FAILED], timeout=WAIT)
    assert desk.taken == [0, 1, 2]
    assert desk.job.error is error or desk.job.error.__cause__ is error
    assert len(notifications) == 1
    assert str(desk.job.error) in str(notifications[0].message)
    assert hasattr(notifications[0], "exception") == has_traceback


def test_work_that_cannot_begin(
    qtbot: QtBot, notifications: list[Notification]
) -> None:
    def work() -> Iterator[int]:
        raise OSError("no such file")

    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: desk.ends == [JobState.FAILED], timeout=WAIT)
    assert [str(each.message) for each in notifications] == ["no such file"]


def test_a_result_that_cannot_be_taken_fails_the_job(
    qtbot: QtBot, notifications: list[Notification]
) -> None:
    work = Work(1_000)
    work.free()
    taken: list[int] = []

    def take(result: int) -> None:
        if result == 2:
            raise ValueError("Expected label ids to 255, got 256.")
        taken.append(result)

    job: Job[int] = Job(work, take, title="Predict", total=1_000)
    ends: list[JobState] = []
    job.ended.connect(ends.append)
    job.start()
    qtbot.waitUntil(lambda: ends == [JobState.FAILED], timeout=WAIT)
    assert taken == [0, 1]
    assert work.num_made < 10
    assert work.has_closed.is_set()
    assert isinstance(job.error, ValueError)
    assert len(notifications) == 1


# -- progress --------------------------------------------------------------------------


def bar() -> ProgressBar:
    (each,) = progress._all_instances
    assert isinstance(each, ProgressBar)
    return each


def test_progress_is_in_napari_s_activity(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(progress._all_instances), timeout=WAIT)
    assert (bar().desc.rstrip(": "), bar().total, bar().n) == ("Predict cells", 5, 0)
    work.free(2)
    qtbot.waitUntil(lambda: bar().n == 2, timeout=WAIT)
    work.free()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert not progress._all_instances


def test_its_button_there_stops_the_job(qtbot: QtBot) -> None:
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    work.free(1)
    qtbot.waitUntil(lambda: bool(desk.taken), timeout=WAIT)
    qtbot.waitUntil(lambda: bool(progress._all_instances), timeout=WAIT)
    bar().cancel()
    assert desk.job.state is JobState.STOPPING
    work.free()
    qtbot.waitUntil(lambda: desk.ends == [JobState.STOPPED], timeout=WAIT)


def test_time_left_is_estimated_without_pauses(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now, sleep=time.sleep)
    monkeypatch.setattr(jobs, "time", clock)
    work = Work(20)
    desk = LayerSession(work, total=20)

    def make_one(seconds: float) -> None:
        nonlocal now
        now += seconds
        count = len(desk.taken) + 1
        work.free(1)
        qtbot.waitUntil(lambda: len(desk.taken) == count, timeout=WAIT)

    assert desk.job.seconds_left is None
    desk.job.start()
    assert desk.job.seconds_left is None
    make_one(60)  # the model is loaded
    assert desk.job.seconds_left == 19 * 60
    make_one(2)
    make_one(4)
    assert desk.job.seconds_left == 17 * 3
    qtbot.waitUntil(lambda: work.num_begun == 4, timeout=WAIT)
    desk.job.pause()
    make_one(3)
    qtbot.waitUntil(lambda: desk.job.state is JobState.PAUSED, timeout=WAIT)
    now += 1_000
    desk.job.resume()
    make_one(3)
    assert desk.job.seconds_left == 15 * 3
    for _ in range(8):
        make_one(1)
    assert desk.job.seconds_left == 7
    work.free()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.job.seconds_left == 0


def test_without_a_total_nobody_knows_the_time(qtbot: QtBot) -> None:
    work = Work()
    work.free()
    desk = LayerSession(work, total=0)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.job.seconds_left is None
    assert desk.job.done == 5


# -- letting go ------------------------------------------------------------------------


def test_a_job_that_nobody_holds_runs_to_its_end_and_goes(qtbot: QtBot) -> None:
    taken: list[int] = []
    ends: list[JobState] = []
    work = Work()
    job: Job[int] = Job(work, taken.append, title="Predict", total=5)
    job.ended.connect(ends.append)
    job.start()
    gone = weakref.ref(job)
    del job
    gc.collect()
    work.free()
    qtbot.waitUntil(lambda: ends == [JobState.DONE], timeout=WAIT)
    assert taken == [0, 1, 2, 3, 4]
    qtbot.wait(20)
    gc.collect()
    assert gone() is None


def test_a_job_that_has_ended_holds_on_to_no_work(qtbot: QtBot) -> None:
    work = Work()
    work.free()
    desk = LayerSession(work)
    desk.job.start()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    qtbot.wait(20)
    gone = weakref.ref(work)
    del work
    gc.collect()
    assert gone() is None


def test_in_a_viewer(make_napari_viewer: Callable[[], Any], qtbot: QtBot) -> None:
    viewer = make_napari_viewer()
    dialog = viewer.window._qt_window._activity_dialog
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    tasks = viewer.window._qt_window._window._task_status_manager
    work.free(2)
    qtbot.waitUntil(lambda: len(desk.taken) == 2, timeout=WAIT)
    assert dialog.get_pbar_from_prog(bar()).qt_progress_bar.value() == 2
    assert "Predict cells" in "\n".join(tasks.get_status())  # asked before closing
    work.free()
    qtbot.waitUntil(lambda: bool(desk.ends), timeout=WAIT)
    assert desk.taken == [0, 1, 2, 3, 4]
    assert not tasks.is_busy()
    gone = weakref.ref(work)
    del work
    qtbot.wait(20)
    gc.collect()
    assert gone() is None  # though napari keeps its tasks


def test_closing_the_window_ends_a_job(
    make_napari_viewer: Callable[[], Any], qtbot: QtBot
) -> None:
    viewer = make_napari_viewer()
    work = Work()
    desk = LayerSession(work)
    desk.job.start()
    desk.job.pause()
    work.free()
    qtbot.waitUntil(lambda: desk.job.state is JobState.PAUSED, timeout=WAIT)
    viewer.close()
    qtbot.waitUntil(lambda: desk.ends == [JobState.STOPPED], timeout=WAIT)
    assert desk.taken == [0]
