"""label_on_cluster(): frames of a job as tasks of a cluster; each is done once."""

from __future__ import annotations

import logging
import queue
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distributed import KilledWorker

from napari_seggpt.cluster.clients import replace_ended_workers
from napari_seggpt.cluster.worker import FramesReport, JobPlugin, label_frames
from napari_seggpt.inference.propagation import plan
from napari_seggpt.inference.watching import UnreadableFrame

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from distributed import Client, Future

    from napari_seggpt.cluster.job import Job
    from napari_seggpt.io.zarr_labels import ZarrLabels
    from napari_seggpt.settings import PropagationSettings

logger = logging.getLogger(__name__)

TASKS_PER_WORKER = 4  # at least, where frames suffice: so that none waits at the end
LOOK_SECONDS = 0.5  # Windows lets Ctrl-C through only between two looks


def label_on_cluster(
    client: Client,
    job: Job,
    tasks: Sequence[Sequence[int]],
) -> Iterator[int | FramesReport]:
    """Label the frames of a job on the workers of a cluster.

    A frame is written by the worker that predicts it, and is in the file wholly or
    not at all. What a worker had not finished when it died is done again by another
    one; what it had finished is not. Closing the generator early stops the workers
    after their present frames.

    Parameters
    ----------
    client : Client
        Of the cluster.
    job : Job
        What is labelled.
    tasks : sequence of sequence of int
        The frames of each task, from `plan_tasks`.

    Yields
    ------
    int or FramesReport
        The index of every frame as soon as it is finished, once; and what is known of
        the frames of a task at its end.

    Raises
    ------
    Exception
        What a worker raised, other than that a frame cannot be read.
    ConnectionError
        If the connection to the scheduler was lost.
    """
    run = _Run(client, job, tasks)
    try:
        yield from run.steps()
    finally:
        run.close()


def plan_tasks(
    job: Job,
    output: ZarrLabels,
    propagation: PropagationSettings,
    *,
    num_workers: int,
    protected: Collection[int] = (),
) -> list[list[int]]:
    """Divide the frames that are not finished among tasks.

    Parameters
    ----------
    job : Job
        With memory, each chain is one task, in its order and with its finished frames,
        which the others remember; without, a task is a batch of frames.
    output : ZarrLabels
        Says which frames are finished.
    propagation : PropagationSettings
        Range, step and direction.
    num_workers : int
        Batches are made so small that each worker gets some.
    protected : collection of int
        Frames that must not be written.
    """
    chains = plan(len(output), job.references, propagation, protected=protected)
    if job.memory:
        return [
            chain
            for chain in chains
            if not all(output.is_finished(frame) for frame in chain)
        ]
    frames = [i for chain in chains for i in chain if not output.is_finished(i)]
    fair = len(frames) // (TASKS_PER_WORKER * max(1, num_workers))
    size = max(1, min(job.settings.batch, fair))
    return [frames[start : start + size] for start in range(0, len(frames), size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """Frames that were submitted, and how many of them were not finished then."""

    frames: list[int]
    num_missing: int


class _Run:
    """The tasks of one run, and what comes back of them."""

    def __init__(
        self, client: Client, job: Job, tasks: Sequence[Sequence[int]]
    ) -> None:
        self._client = client
        self._job = job
        self._name = f"napari-seggpt-{uuid.uuid4().hex}"
        self._waiting = [list(frames) for frames in tasks]
        self._tasks: dict[Future, _Task] = {}
        # Finished frames and ended tasks, in the order in which they are heard of.
        self._news: queue.SimpleQueue[int | Future] = queue.SimpleQueue()
        self._output = job.open_output()
        self._output.remove_drafts()
        everything = {frame for frames in self._waiting for frame in frames}
        self._finished = everything - {*self._missing(sorted(everything))}

    def steps(self) -> Iterator[int | FramesReport]:
        self._client.register_plugin(JobPlugin(self._job, self._name), name=self._name)
        self._client.subscribe_topic(self._name, lambda event: self._news.put(event[1]))
        for frames in self._waiting:
            self._submit(frames)
        while self._tasks:
            try:
                news = self._news.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._check_connection()
                replace_ended_workers(self._client)
                continue
            if isinstance(news, int):
                yield from self._new([news])
                continue
            replace_ended_workers(self._client)
            report = self._report(news, self._tasks.pop(news))
            yield from self._new(report.finished)
            yield report
        self._output.remove_drafts()

    def _missing(self, frames: Sequence[int]) -> list[int]:
        return [frame for frame in frames if not self._output.is_finished(frame)]

    def _submit(self, frames: list[int]) -> None:
        # A key of its own each time: dask would return a failure that it knows.
        key = f"{self._name}-{frames[0]}-{uuid.uuid4().hex}"
        future = self._client.submit(label_frames, self._name, frames, key=key)
        num_missing = len(self._missing(frames))
        self._tasks[future] = _Task(frames=frames, num_missing=num_missing)
        future.add_done_callback(self._news.put)

    def _new(self, frames: list[int]) -> Iterator[int]:
        """Yield those that were not yet yielded."""
        for frame in frames:
            if frame not in self._finished:
                self._finished.add(frame)
                yield frame

    def _report(self, future: Future, task: _Task) -> FramesReport:
        """Return what became of a task, or do again what its workers died of."""
        if future.status == "finished":
            report: FramesReport = future.result()
            return report
        if future.status != "error":
            raise ConnectionError(
                f"Expected the result of frames {task.frames}, got none: the "
                "connection to the scheduler was lost, or the work was cancelled there."
            )
        error = future.exception()
        if not isinstance(error, KilledWorker):
            raise error
        return self._after_deaths(task)

    def _after_deaths(self, task: _Task) -> FramesReport:
        """Submit the rest of a task again, but for a frame that kills its workers."""
        missing = self._missing(task.frames)
        report = FramesReport(finished=[i for i in task.frames if i not in missing])
        if len(missing) > 1 and not self._job.memory:
            for frame in missing:
                self._submit([frame])
            return report
        rest = task.frames
        if missing and len(missing) == task.num_missing:
            killer = missing.pop(0)
            reason = "every worker that tried it died, maybe for want of memory"
            report.unreadable.append(UnreadableFrame(index=killer, reason=reason))
            rest = [frame for frame in rest if frame != killer]
        if missing:
            self._submit(rest)
        return report

    def _check_connection(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise ConnectionError(
                "Expected a connection to the scheduler, got none: it ended."
            )

    def close(self) -> None:
        """Take back what is not done, and let workers end after their frame."""
        self._output.close()
        if self._client.status != "running":
            return
        self._client.unsubscribe_topic(self._name)
        self._client.cancel(list(self._tasks))
        try:
            self._client.unregister_worker_plugin(self._name)
        except OSError as error:  # also of a worker that is dying just now
            logger.warning("Some workers were not told to stop: %s", error)
