"""What a worker does: it predicts frames, writes each, and tells of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from distributed import WorkerPlugin, get_worker

from napari_seggpt.inference.propagation import FramePrediction, predict_chain
from napari_seggpt.inference.watching import (
    UnreadableFrame,
    WatchedFrames,
    read_frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Worker

    from napari_seggpt.cluster.job import Job
    from napari_seggpt.inference.asked import ClassPredictor
    from napari_seggpt.io import Stack
    from napari_seggpt.io.zarr_labels import ZarrLabels


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
    """

    def __init__(self, job: Job, name: str) -> None:
        self._job = job
        self.name = name

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
                self._labelling = FrameLabelling(self._job, self._is_stopped)
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


def label_frames(name: str, frames: Sequence[int]) -> FramesReport:
    """Label frames of a job on the worker that this runs on, and tell of each.

    Parameters
    ----------
    name : str
        Of the job's plugin, and of the topic under which finished frames are told.
    frames : sequence of int
        A batch, or with memory a chain in its order.
    """
    worker = get_worker()
    plugin = worker.plugins[name]
    assert isinstance(plugin, JobPlugin)
    with plugin.opened() as labelling:
        return labelling.run(frames, lambda index: worker.log_event(name, index))


class FrameLabelling:
    """The model, the images and the labels of a job, opened in this process.

    Parameters
    ----------
    job : Job
        What is labelled.
    is_stopped : Event, optional
        Set by whoever wants the work to end after the present frame.
    """

    def __init__(self, job: Job, is_stopped: threading.Event | None = None) -> None:
        self._job = job
        self._is_stopped = is_stopped or threading.Event()
        self._output: ZarrLabels = job.open_output()
        self._stack: Stack = job.open_stack()
        self._predictor: ClassPredictor = job.make_predictor()

    def run(self, frames: Sequence[int], tell: Callable[[int], None]) -> FramesReport:
        """Label those frames that are not finished; `tell` is called after each."""
        report = FramesReport()
        done = {frame for frame in frames if self._output.is_finished(frame)}
        report.finished += [frame for frame in frames if frame in done]
        watched = WatchedFrames(self._stack)
        for step in self._steps(frames, done, watched):
            if isinstance(step, UnreadableFrame):
                # Not every error can be sent to another process.
                report.unreadable.append(replace(step, error=None))
                continue
            self._output.finish(step.index, step.prediction.labels)
            report.finished.append(step.index)
            tell(step.index)
            if self._is_stopped.is_set():
                break
        report.flat += watched.flat
        return report

    def close(self) -> None:
        """Release the files."""
        self._output.close()
        self._stack.close()

    def _steps(
        self, frames: Sequence[int], done: set[int], watched: WatchedFrames
    ) -> Iterator[FramePrediction | UnreadableFrame]:
        """Predict a batch, or with memory a chain.

        In a chain, what a worker that died had finished is read back; the others are
        predicted as if one worker had done all, but for what the model saw on its own
        grid, and for how sure it was.
        """
        if not self._job.memory:
            return self._batch([i for i in frames if i not in done], watched)
        return predict_chain(
            watched,
            self._predictor,
            frames,
            self._job.memory,
            kept=done,
            known=self._output.__getitem__,
        )

    def _batch(
        self, frames: Sequence[int], watched: WatchedFrames
    ) -> Iterator[FramePrediction | UnreadableFrame]:
        read = {index: read_frame(watched, index) for index in frames}
        pictures = {i: x for i, x in read.items() if not isinstance(x, UnreadableFrame)}
        yield from (x for x in read.values() if isinstance(x, UnreadableFrame))
        if pictures:
            predictions = self._predictor.predict_batch(
                list(pictures.values()), indices=list(pictures)
            )
            for index, prediction in zip(pictures, predictions, strict=True):
                yield FramePrediction(index=index, prediction=prediction)
