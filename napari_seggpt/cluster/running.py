"""label_on_cluster(): frames of a job as tasks of a cluster; each is done once."""

from __future__ import annotations

import logging
import queue
import uuid
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distributed import CancelledError, KilledWorker

from napari_seggpt.cluster.clients import replace_ended_workers
from napari_seggpt.cluster.worker import BEGUN, FramesReport, JobPlugin, label_frames
from napari_seggpt.inference.chains import plan
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
# A frame is given up when so many workers died before it was finished: fewer may have
# died for another reason, as where a cluster takes its machines back.
DEATHS_OF_A_FRAME = 8
# All is given up when so many workers died and no frame was finished meanwhile, as
# where the model does not fit into their memory.
DEATHS_IN_VAIN = 50


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
    """Frames that were submitted.

    Attributes
    ----------
    number : int
        It stays with the task when it is submitted again.
    frames : list of int
        A batch, or with memory a chain.
    """

    number: int
    frames: list[int]


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
        # What is told of frames, and ended tasks, in the order in which they are heard.
        self._news: queue.SimpleQueue[tuple[str, int] | Future] = queue.SimpleQueue()
        self._output = job.open_output()
        self._output.remove_drafts()
        everything = {frame for frames in self._waiting for frame in frames}
        self._finished = everything - {*self._missing(sorted(everything))}
        self._begun: Counter[int] = Counter()
        # Workers that died since a frame was finished or given up; several tasks may
        # have waited for one of them.
        self._dead: set[str] = set()

    def steps(self) -> Iterator[int | FramesReport]:
        plugin = JobPlugin(self._job, self._name, frozenset(self._finished))
        self._client.register_plugin(plugin, name=self._name)
        self._client.subscribe_topic(
            self._name, lambda event: self._news.put(tuple(event[1]))
        )
        for number, frames in enumerate(self._waiting):
            self._submit(_Task(number=number, frames=frames))
        while self._tasks:
            try:
                news = self._news.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._check_connection()
                replace_ended_workers(self._client)
                continue
            if isinstance(news, tuple):
                yield from self._hear(*news)
                continue
            replace_ended_workers(self._client)
            report = self._report(news, self._tasks.pop(news))
            yield from self._new(report.finished)
            yield report
        self._output.remove_drafts()

    def _missing(self, frames: Sequence[int]) -> list[int]:
        return [frame for frame in frames if not self._output.is_finished(frame)]

    def _submit(self, task: _Task) -> None:
        # A key of its own each time: dask would return a failure that it knows.
        key = f"{self._name}-{task.frames[0]}-{uuid.uuid4().hex}"
        future = self._client.submit(
            label_frames, self._name, task.number, task.frames, key=key
        )
        self._tasks[future] = task
        future.add_done_callback(self._news.put)

    def _hear(self, what: str, frame: int) -> Iterator[int]:
        if what == BEGUN:
            self._begun[frame] += 1
        else:
            yield from self._new([frame])

    def _new(self, frames: list[int]) -> Iterator[int]:
        """Yield those that were not yet yielded."""
        for frame in frames:
            if frame not in self._finished:
                self._finished.add(frame)
                self._dead.clear()
                yield frame

    def _report(self, future: Future, task: _Task) -> FramesReport:
        """Return what became of a task, or do again what its workers died of."""
        if future.status in ("finished", "error"):
            try:
                report: FramesReport = future.result()
                return report
            except KilledWorker as error:
                return self._after_death(task, error.last_worker.address)
            except CancelledError as error:
                logger.info("Frames %s: %s", task.frames, error)
        raise ConnectionError(
            f"Expected the result of frames {task.frames}, got none: the connection "
            "to the scheduler was lost, or the work was cancelled there."
        )

    def _after_death(self, task: _Task, worker: str) -> FramesReport:
        """Submit the rest of a task again, but for frames that kill their workers."""
        missing = self._missing(task.frames)
        killers = {i for i in missing if self._begun[i] >= DEATHS_OF_A_FRAME}
        self._dead = set() if killers else self._dead | {worker}
        if len(self._dead) > DEATHS_IN_VAIN:
            raise RuntimeError(
                "Expected workers that live long enough to label a frame, got "
                f"{len(self._dead)} that died, maybe for want of memory."
            )
        rest = [frame for frame in missing if frame not in killers]
        if rest and self._job.memory:
            chain = [frame for frame in task.frames if frame not in killers]
            self._submit(_Task(number=task.number, frames=chain))
        else:
            for frame in rest:
                self._submit(_Task(number=task.number, frames=[frame]))
        reason = "every worker that tried it died, maybe for want of memory"
        return FramesReport(
            finished=[i for i in task.frames if i not in missing],
            unreadable=[
                UnreadableFrame(index=index, reason=reason) for index in sorted(killers)
            ],
        )

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
            self._client.set_metadata(self._name, None)  # where tasks were noted
        except OSError as error:  # also of a worker that is dying just now
            logger.warning("Some workers were not told to stop: %s", error)
