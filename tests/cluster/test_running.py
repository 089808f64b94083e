"""Frames on processes that die: each is done once, and as by one process."""

import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from distributed import KilledWorker

from napari_seggpt.cluster.clients import open_client
from napari_seggpt.cluster.running import (
    DEATHS_IN_VAIN,
    DEATHS_OF_A_FRAME,
    label_on_cluster,
    plan_tasks,
)
from napari_seggpt.cluster.worker import BEGUN, FINISHED, FramesReport
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.io import open_stack
from napari_seggpt.settings import PropagationSettings

KILLS = int(os.environ.get("SEGGPT_KILLS", "2"))


# -- deaths, as a client hears of them -----------------------------------------------


class Task:
    """What came of frames that were submitted: a report, or a death."""

    def __init__(self, report, worker):
        self._report, self._worker = report, worker
        self.status = "error" if report is None else "finished"

    def add_done_callback(self, call):
        call(self)

    def result(self):
        if self._report is None:
            raise KilledWorker("task", self._worker, 0)
        return self._report


class OneWorker:
    """Stands for a cluster: tasks are done at once, by `work`, or end in a death."""

    status, cluster = "running", None

    def __init__(self, work, size=1):
        self._work, self._size = work, size  # so many tasks wait for each worker
        self.submitted, self.metadata = [], {}

    def register_plugin(self, plugin, name):
        self.plugin = plugin

    def unregister_worker_plugin(self, name):
        assert name == self.plugin.name

    def subscribe_topic(self, name, hear):
        self._hear = hear

    def unsubscribe_topic(self, name):
        del self._hear

    def cancel(self, futures):
        assert not futures

    def set_metadata(self, name, value):
        self.metadata[name] = value

    def submit(self, function, name, number, frames, *, key):
        worker = SimpleNamespace(address=f"tcp://{len(self.submitted) // self._size}")
        self.submitted.append((number, frames))
        return Task(self._work(frames, lambda *news: self._hear((0, news))), worker)


def killed_at(job, killer):
    """A worker that labels frames, but dies at one of them."""

    def work(frames, tell):
        with job.open_output() as output:
            for frame in (i for i in frames if not output.is_finished(i)):
                tell(BEGUN, frame)
                if frame == killer:
                    return None
                output.finish(frame, np.zeros(output.geometry.frame_shape, np.uint8))
                tell(FINISHED, frame)
        return FramesReport(finished=list(frames))

    return work


@pytest.mark.parametrize("memory", [0, 2])
def test_only_a_frame_that_kills_each_worker_is_left_out(make_job, memory):
    job = make_job(memory=memory)
    client = OneWorker(killed_at(job, 3))
    steps = list(label_on_cluster(client, job, [[1, 2, 3, 4], [5, 6]]))
    frames = [step for step in steps if not isinstance(step, FramesReport)]
    assert sorted(frames) == [1, 2, 4, 5, 6]
    reports = [step for step in steps if isinstance(step, FramesReport)]
    assert [x.index for report in reports for x in report.unreadable] == [3]
    tries = [task for task in client.submitted if 3 in task[1]]
    assert len(tries) == DEATHS_OF_A_FRAME
    rest = [(0, [1, 2, 4])] if memory else [(0, [4])]
    assert [task for task in client.submitted if task[1] == rest[0][1]] == rest


def test_deaths_before_a_frame_is_begun_are_not_those_of_a_frame(make_job):
    job = make_job(memory=2)
    deaths, work = iter(range(2 * DEATHS_OF_A_FRAME)), killed_at(job, None)
    client = OneWorker(
        lambda frames, tell: work(frames, tell) if next(deaths, None) is None else None
    )
    steps = list(label_on_cluster(client, job, [[1, 2]]))
    assert [step for step in steps if not isinstance(step, FramesReport)] == [1, 2]
    assert not any(x.unreadable for x in steps if isinstance(x, FramesReport))


@pytest.mark.parametrize("size", [1, 3])
def test_workers_that_never_begin_end_the_run(make_job, size):
    client = OneWorker(lambda frames, tell: None, size)
    with pytest.raises(RuntimeError, match="live long enough"):
        list(label_on_cluster(client, make_job(memory=2), [[1, 2]]))
    deaths = (len(client.submitted) - 1) // size  # of whom nothing was finished
    assert deaths == DEATHS_IN_VAIN
    assert [*client.metadata.values()] == [None]


# -- processes that are killed -------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    with open_client(workers=2) as client:
        yield client


class SlowFrames:
    """Frames that take a while, so that workers die at work."""

    def __init__(self, path, seconds):
        self._stack = open_stack(path)
        self._seconds = seconds
        self.close = self._stack.close

    def __len__(self):
        return len(self._stack)

    def __getitem__(self, index):
        time.sleep(self._seconds)
        return self._stack[index]


def chunk(job, index):
    found = (job.output / "0" / "c" / str(index) / "0" / "0").stat()
    return found.st_ino, found.st_mtime_ns


def pids(client):
    try:
        return list(client.run(os.getpid).values())
    except OSError:  # one of them is dying just now
        return []


def kill_at_random(client, count, ended):
    """Kill workers, each a moment after the last one, until it is enough."""
    chance = random.Random(0)
    while count and not ended.is_set():
        time.sleep(chance.uniform(0.1, 0.6))
        alive = pids(client)
        if alive:
            os.kill(chance.choice(alive), signal.SIGKILL)
            count -= 1
    return count


def run_all(client, job, memory, *, during=lambda: None):
    """Run a job; returns each frame as it was heard of, with its chunk, and reports."""
    propagation = PropagationSettings(memory=memory)
    with job.open_output() as output:
        tasks = plan_tasks(job, output, propagation, num_workers=2)
    heard, reports = [], []
    for step in label_on_cluster(client, job, tasks):
        if isinstance(step, FramesReport):
            reports.append(step)
        else:
            heard.append((step, chunk(job, step)))
            during()
    return heard, reports


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("memory", [0, 2])
def test_workers_that_die_cost_no_frame_and_double_none(
    client, make_job, tmp_path, memory
):
    slow = partial(SlowFrames, tmp_path / "stack.tif", 0.3)
    job = make_job(memory=memory, open_stack=slow)
    ended, left = threading.Event(), []
    killer = threading.Thread(
        target=lambda: left.append(kill_at_random(client, KILLS, ended))
    )
    start = threading.Event()

    def begin():
        if not start.is_set():
            start.set()
            killer.start()

    heard, reports = run_all(client, job, memory, during=begin)
    ended.set()
    killer.join()
    assert left == [0]
    frames = [index for index, _ in heard]
    assert sorted(frames) == [i for i in range(14) if i not in (0, 9)]
    assert [chunk(job, index) for index in frames] == [found for _, found in heard]
    assert not any(report.unreadable for report in reports)
    assert 5 in {index for report in reports for index in report.flat}
    assert not list(Path(job.output).rglob("*.partial"))
    settings = PropagationSettings(memory=memory)
    with open_stack(tmp_path / "stack.tif") as stack, job.open_output() as output:
        for step in predict_stack(stack, job.make_predictor(), settings=settings):
            np.testing.assert_array_equal(output[step.index], step.prediction.labels)
