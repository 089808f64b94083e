"""What a worker does: it predicts frames, writes each, and tells of it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import WorkerPlugin, get_worker

from napari_seggpt.inference.memory import Memory, remember
from napari_seggpt.inference.watching import UnreadableFrame, read_frame
from napari_seggpt.preprocessing import is_flat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Worker
    from numpy.typing import NDArray

    from napari_seggpt.cluster.job import Job
    from napari_seggpt.inference.asked import ClassPredictor
    from napari_seggpt.inference.prediction import Prediction
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
        steps = self._chain if self._job.memory else self._batch
        for index, prediction in steps(frames, done, report):
            self._output.finish(index, prediction.labels)
            report.finished.append(index)
            tell(index)
            if self._is_stopped.is_set():
                break
        return report

    def close(self) -> None:
        """Release the files."""
        self._output.close()
        self._stack.close()

    def _batch(
        self, frames: Sequence[int], done: set[int], report: FramesReport
    ) -> Iterator[tuple[int, Prediction]]:
        read = {i: self._read(i, report) for i in frames if i not in done}
        pictures = {i: frame for i, frame in read.items() if frame is not None}
        if pictures:
            predictions = self._predictor.predict_batch(
                list(pictures.values()), indices=list(pictures)
            )
            yield from zip(pictures, predictions, strict=True)

    def _chain(
        self, frames: Sequence[int], done: set[int], report: FramesReport
    ) -> Iterator[tuple[int, Prediction]]:
        """Predict frames one after the other, each with the last ones in memory.

        What a worker that died had finished is read back; the others are predicted as
        if one worker had done all, but for what the model saw on its own grid, and for
        how sure it was.
        """
        size = self._job.memory
        memory = Memory(size)
        recalled = {*[frame for frame in frames if frame in done][-size:]}
        for index in frames:
            if index in done and index not in recalled:
                continue
            frame = self._read(index, report)
            if frame is None:
                continue
            if index in done:
                stored = np.asarray(self._output[index])
                remember(memory, self._predictor, frame, index, stored)
                continue
            (prediction,) = self._predictor.predict_batch(
                [frame], indices=[index], memory=memory
            )
            yield index, prediction
            remember(memory, self._predictor, frame, index, prediction)

    def _read(self, index: int, report: FramesReport) -> NDArray[Any] | None:
        frame = read_frame(self._stack, index)
        if isinstance(frame, UnreadableFrame):
            # Not every error can be sent to another process.
            report.unreadable.append(replace(frame, error=None))
            return None
        if is_flat(frame):
            report.flat.append(index)
        return frame
