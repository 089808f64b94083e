"""Frames on two processes that die at random: each is done once, and as by one."""

import os
import random
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from napari_seggpt.cluster.clients import open_client
from napari_seggpt.cluster.running import label_on_cluster, plan_tasks
from napari_seggpt.cluster.worker import FramesReport
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.io import open_stack
from napari_seggpt.settings import PropagationSettings

KILLS = int(os.environ.get("SEGGPT_KILLS", "2"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL"),
]


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
            alike = (output[step.index] == step.prediction.labels).mean()
            assert alike == 1 or (memory and alike > 0.7)  # as it was read back
