"""What a worker does: it predicts frames, writes each, and tells of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from distributed import WorkerPlugin, get_client, get_worker

from napari_seggpt.cluster.checkpoint import Checkpoint
from napari_seggpt.inference.memory import Memory
from napari_seggpt.inference.propagation import FramePrediction, predict_chain
from napari_seggpt.inference.watching import (
    UnreadableFrame,
    WatchedFrames,
    read_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Worker
    from numpy.typing import NDArray

    from napari_seggpt.cluster.job import Job
    from napari_seggpt.frames import Frames
    from napari_seggpt.inference.task_predictors import ClassPredictor
    from napari_seggpt.io import Stack
    from napari_seggpt.io.zarr_labels import ZarrLabels

BEGUN, FINISHED = "begun", "finished"  # what is told of a frame


@dataclass(slots=True, kw_only=True)
class FramesReport:
    """What became of the frames of a task.

    Attributes
    ----------
    finished : list of int
        Frames whose labels are written, by this task or before.
    unreadable : list of UnreadableFrame
        Frames that were left out.
    flat : list of int
        Frames that show nothing, of those that were read.
    """

    finished: list[int] = field(default_factory=list)
    unreadable: list[UnreadableFrame] = field(default_factory=list)
    flat: list[int] = field(default_factory=list)


class JobPlugin(WorkerPlugin):
    """Keeps a job on each worker, also on those that start later.

    The model is loaded at the first frame, once; tasks that run side by side in the
    threads of a worker share it.

    Parameters
    ----------
    job : Job
        What is labelled.
    name : str
        Of this plugin, and of the topic under which is told what tasks do.
    kept : frozenset of int
        Frames that were finished before the job began; they stay as they are.
    """

    def __init__(self, job: Job, name: str, kept: frozenset[int]) -> None:
        self._job = job
        self.name = name
        self._kept = kept

    def setup(self, worker: Worker) -> None:
        """Start with nothing open; dask calls it in the worker."""
        self._lock = threading.Lock()
        self._labelling: FrameLabelling | None = None
        self._num_users = 0
        self._is_stopped = threading.Event()

    def teardown(self, worker: Worker) -> None:
        """Let tasks that are under way end after their present frame."""
        self._is_stopped.set()
        with self._lock:
            self._close_unused()

    @contextmanager
    def opened(self) -> Iterator[FrameLabelling]:
        """Give what labels frames; the first call loads the model."""
        with self._lock:
            if self._labelling is None:
                self._labelling = FrameLabelling(
                    self._job, self._kept, self._is_stopped
                )
            labelling = self._labelling
            self._num_users += 1
        try:
            yield labelling
        finally:
            with self._lock:
                self._num_users -= 1
                self._close_unused()

    def _close_unused(self) -> None:
        if self._is_stopped.is_set() and not self._num_users and self._labelling:
            self._labelling.close()
            self._labelling = None


class TaskNotes(Protocol):
    """What a task tells of its frames, and notes for a worker that takes it up.

    Nothing is lost with the worker, once a call has returned.
    """

    def begin(self, index: int) -> None:
        """Tell that a frame is begun: a worker that dies now may die of it."""

    def finish(self, index: int) -> None:
        """Tell that a frame is written."""

    def save(self, checkpoint: Checkpoint) -> None:
        """Note how far the task is."""

    def load(self) -> Checkpoint | None:
        """Return what another worker noted of this task, if one did."""


class SchedulerNotes:
    """Notes of a task that its scheduler keeps.

    Parameters
    ----------
    name : str
        Of the job's plugin and topic.
    task : int
        The number of the task.
    """

    def __init__(self, name: str, task: int) -> None:
        self._client = get_client()
        self._name = name
        self._place = [name, str(task)]

    def begin(self, index: int) -> None:
        """See `TaskNotes`."""
        self._client.log_event(self._name, (BEGUN, index))

    def finish(self, index: int) -> None:
        """See `TaskNotes`."""
        self._client.log_event(self._name, (FINISHED, index))

    def save(self, checkpoint: Checkpoint) -> None:
        """See `TaskNotes`."""
        self._client.set_metadata(self._place, checkpoint.pack())

    def load(self) -> Checkpoint | None:
        """See `TaskNotes`."""
        packed = self._client.get_metadata(self._place, None)
        return None if packed is None else Checkpoint.unpack(packed)


def label_frames(name: str, task: int, frames: Sequence[int]) -> FramesReport:
    """Label frames of a job on the worker that this runs on, and tell of each.

    Parameters
    ----------
    name : str
        Of the job's plugin and topic.
    task : int
        The number of the task, which it keeps when it is done again.
    frames : sequence of int
        A batch, or with memory a chain in its order.
    """
    plugin = get_worker().plugins[name]
    assert isinstance(plugin, JobPlugin)
    with plugin.opened() as labelling:
        return labelling.run(frames, SchedulerNotes(name, task))


class _ToldFrames:
    """Frames whose reading is told of.

    Parameters
    ----------
    frames : Frames
        What is read.
    tell : callable
        Called with the index of a frame before it is read.
    """

    def __init__(self, frames: Frames, tell: Callable[[int], None]) -> None:
        self._frames = frames
        self._tell = tell

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> NDArray[Any]:
        self._tell(index)
        return self._frames[index]


class FrameLabelling:
    """The model, the images and the labels of a job, opened in this process.

    Parameters
    ----------
    job : Job
        What is labelled.
    kept : frozenset of int
        Frames that were finished before the job began.
    is_stopped : Event, optional
        Set by whoever wants the work to end after the present frame.
    """

    def __init__(
        self,
        job: Job,
        kept: frozenset[int] = frozenset(),
        is_stopped: threading.Event | None = None,
    ) -> None:
        self._job = job
        self._kept = kept
        self._is_stopped = is_stopped or threading.Event()
        self._output: ZarrLabels = job.open_output()
        self._stack: Stack = job.open_stack()
        self._predictor: ClassPredictor = job.make_predictor()

    def run(self, frames: Sequence[int], notes: TaskNotes) -> FramesReport:
        """Label those frames that are not finished, and note each."""
        report = FramesReport()
        done = {frame for frame in frames if self._output.is_finished(frame)}
        report.finished += [frame for frame in frames if frame in done]
        watched = WatchedFrames(self._stack)
        for step in self._steps(frames, done, watched, notes):
            if isinstance(step, UnreadableFrame):
                # Not every error can be sent to another process.
                report.unreadable.append(replace(step, error=None))
                continue
            if step.index not in done:
                self._output.finish(step.index, step.prediction.labels)
                report.finished.append(step.index)
            notes.finish(step.index)
            if self._is_stopped.is_set():
                break
        report.flat += watched.flat
        return report

    def close(self) -> None:
        """Release the files."""
        self._output.close()
        self._stack.close()

    def _steps(
        self,
        frames: Sequence[int],
        done: set[int],
        watched: WatchedFrames,
        notes: TaskNotes,
    ) -> Iterator[FramePrediction | UnreadableFrame]:
        told = _ToldFrames(watched, notes.begin)
        if self._job.memory:
            return self._chain(frames, watched, told, notes)
        return self._batch([index for index in frames if index not in done], told)

    def _chain(
        self,
        frames: Sequence[int],
        watched: WatchedFrames,
        told: _ToldFrames,
        notes: TaskNotes,
    ) -> Iterator[FramePrediction | UnreadableFrame]:
        """Predict a chain, from where a worker that died had noted to be.

        A frame that it wrote, but did not note any more, is predicted again, since
        the next ones remember what the model saw of it; it is not written again.
        """
        memory, saved = Memory(self._job.memory), notes.load()
        if saved is not None:
            memory = saved.memory(memory.size, watched, self._predictor, self._output)
            watched.add_flat(saved.flat)
            frames = frames[frames.index(saved.last) + 1 :]
        read = self._output.__getitem__
        for step in predict_chain(
            told, self._predictor, frames, memory, self._kept, read
        ):
            yield step  # it is written before this goes on
            if not isinstance(step, UnreadableFrame):
                notes.save(Checkpoint.of(step.index, watched.flat, memory))

    def _batch(
        self, frames: Sequence[int], told: _ToldFrames
    ) -> Iterator[FramePrediction | UnreadableFrame]:
        read = {index: read_frame(told, index) for index in frames}
        pictures = {i: x for i, x in read.items() if not isinstance(x, UnreadableFrame)}
        yield from (x for x in read.values() if isinstance(x, UnreadableFrame))
        if pictures:
            predictions = self._predictor.predict_batch(
                list(pictures.values()), indices=list(pictures)
            )
            for index, prediction in zip(pictures, predictions, strict=True):
                yield FramePrediction(index=index, prediction=prediction)
