"""Run: frames that are being predicted or linked, and what comes of each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING, Any

from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.runs.models import Stoppable, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.inference.asked import AskedPredictor
    from napari_seggpt.inference.linking import RenamedFrame
    from napari_seggpt.inference.propagation import FramePrediction
    from napari_seggpt.session.frames.prepared_frame import PreparedFrame
    from napari_seggpt.session.runs.known_ids import KnownIds
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.settings import Direction

    Step = FramePrediction | UnreadableFrame | RenamedFrame
    Prepare = Callable[[int, NDArray[np.integer[Any]]], PreparedFrame | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameResult:
    """What a run predicted for one frame.

    Attributes
    ----------
    run : int
        Number of the run.
    index : int
        The frame.
    labels : NDArray
        (H, W), in the smallest type that its ids need.
    confidence : float
        Of the frame, from 0 to 1; see `inference.confidence`.
    confidence_map : NDArray[np.uint8], optional
        (h, w), where it is how sure; see `inference.confidence.confidence_map`.
    seconds : float
        How long it took since the result before.
    prepared : PreparedFrame, optional
        What is computed for writing it, so that the window need not compute it.
    """

    run: int
    index: int
    labels: NDArray[np.integer[Any]]
    confidence: float
    confidence_map: NDArray[np.uint8] | None = None
    seconds: float = 0.0
    prepared: PreparedFrame | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RenamedResult:
    """Objects of a frame that get other ids; all else of the frame stays.

    Attributes
    ----------
    run : int
        Number of the run.
    index : int
        The frame.
    names : dict of int to int
        The new id of each id that changes.
    is_counted : bool
        Whether it is one of the results that the run is made for.
    """

    run: int
    index: int
    names: dict[int, int]
    is_counted: bool = False


class Run(Stoppable):
    """Some frames of a stack that are to be predicted; made by `Session.start`.

    Attributes
    ----------
    number : int
        Of the runs of a session, counted from 1.
    frames : tuple of int
        What will be predicted, in ascending order.
    key : bytes
        The references and settings that the frames are predicted with.
    num_written : int
        Frames that `Runs.commit` has written by now.
    num_damaged : int
        Frames that it has left out because their labels cannot be read.
    seconds : list of float
        What each frame took that was handed to `Runs.commit`.
    unreadable : list of UnreadableFrame
        What is left out since it cannot be read: images, and labels.
    watched : WatchedFrames
        The images, and what was noticed of them; to be asked when the run has ended.

    Parameters
    ----------
    predictors, request
        What the frames are predicted with.
    frames : tuple of int
        What will be predicted, in ascending order.
    number, key
        See the attributes.
    direction : str
        Where to go from a reference.
    prepare : callable, optional
        Computes, in the worker, what is needed to write a frame; see `FrameWriter`.
    known : KnownIds, optional
        The labels that there are, which objects are linked with.
    """

    def __init__(
        self,
        predictors: PredictorCache,
        request: RunRequest,
        frames: tuple[int, ...],
        *,
        number: int = 1,
        key: bytes = b"",
        direction: Direction = "both",
        prepare: Prepare | None = None,
        known: KnownIds | None = None,
    ) -> None:
        super().__init__()
        self.number = number
        self.frames = frames
        self.key = key
        self.num_written = self.num_damaged = 0
        self.seconds: list[float] = []
        self._predictors = predictors
        self._request = request
        self._direction = direction
        self._prepare = prepare
        self._known = known
        self._members = frozenset(frames)
        self.watched = WatchedFrames(request.stack)
        self.unreadable = self.watched.unreadable

    def lines(self, most: int) -> list[str]:
        """Say what was noticed, of at most so many frames one by one."""
        return self.watched.lines(most)

    def __contains__(self, frame: object) -> bool:
        return frame in self._members

    def results(self) -> Iterator[FrameResult | RenamedResult]:
        """Predict the frames, in a worker.

        The frame order is that of `inference.propagation`: away from the references.
        A run that is told to stop ends before the next pass of the model. Frames that
        cannot be read are left out, references too: see `watched`. Objects are linked
        as they come; where two chains meet, frames that were yielded before get other
        ids.

        Raises
        ------
        ModelUnavailableError, CheckpointError, FrameError, ValueError, RuntimeError
            As `load_model`, `Predictor` and `predict_stack` do.
        """
        from napari_seggpt.inference.linking import RenamedFrame

        with suppress(StoppedError):
            request, left_out = self._predictors.readable(
                self._request, self.report_download
            )
            self.watched.unreadable += left_out
            predictor = self._predictors.predictor(request)
            steps = self._steps(predictor)
            began = perf_counter()  # so that the time to load the model is left out
            while (step := self._next(steps, predictor)) is not None:
                now = perf_counter()
                if isinstance(step, UnreadableFrame):
                    self.watched.unreadable.append(step)
                elif isinstance(step, RenamedFrame):
                    names = step.names
                    yield RenamedResult(run=self.number, index=step.index, names=names)
                    continue
                else:
                    yield self._result(step, now - began)
                began = perf_counter()

    def _next(self, steps: Iterator[Step], predictor: AskedPredictor) -> Step | None:
        """Predict the next frame, unless the run is told to stop before that is done.

        Raises
        ------
        StoppedError
            If it is; nothing of the frame is kept.
        """
        with self._predictors.models.lock:
            self.check_stopped()
            predictor.before_pass = self.check_stopped
            try:
                return next(steps, None)
            finally:
                predictor.before_pass = None

    def _steps(self, predictor: AskedPredictor) -> Iterator[Step]:
        from napari_seggpt.inference.propagation import predict_stack

        first, stop = self.frames[0], self.frames[-1] + 1
        settings = replace(
            self._request.settings.propagation,
            start=first,
            stop=stop,
            step=1,
            direction=self._direction,
        )
        others = {*range(first, stop)} - {*self.frames}
        steps = predict_stack(
            self.watched,
            predictor,
            settings=settings,
            protected=others,
            skip_unreadable=True,
        )
        linking = self._request.settings.objects.linking
        if self._known is None or not (predictor.are_objects and linking.enabled):
            return steps
        return self._linked(steps, predictor, self._known)

    def _linked(
        self,
        steps: Iterator[FramePrediction | UnreadableFrame],
        predictor: AskedPredictor,
        known: KnownIds,
    ) -> Iterator[Step]:
        from napari_seggpt.inference.linking import StackLinker, frames_lie_along

        linking = self._request.settings.objects.linking
        axis = frames_lie_along(self._request.axis, linking.along)
        linker = StackLinker(
            replace(linking, along=axis),
            references=predictor.references,
            frames=self.frames,
            length=len(known),
            read=known.read,
            vouched=known.vouched,
            new_ids=known.new_ids(predictor.kinds),
            direction=self._direction,
            step=_least_step(self.frames),
        )
        return linker.link(steps)

    def _result(self, step: FramePrediction, seconds: float) -> FrameResult:
        from napari_seggpt.inference.confidence import confidence_map, frame_confidence

        confidence = step.prediction.confidence
        labels = compact(step.prediction.labels)
        prepare = self._prepare
        return FrameResult(
            run=self.number,
            index=step.index,
            labels=labels,
            prepared=None if prepare is None else prepare(step.index, labels),
            confidence=frame_confidence(step.prediction.labels, confidence),
            confidence_map=confidence_map(confidence),
            seconds=seconds,
        )


def _least_step(frames: tuple[int, ...]) -> int:
    """Return how far apart the nearest two of some frames are, in ascending order."""
    return min((after - one for one, after in pairwise(frames)), default=1)
