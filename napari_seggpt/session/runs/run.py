"""Run: frames that are being predicted and linked, and what comes of each."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames
from napari_seggpt.io.layout import StackError
from napari_seggpt.session.frames.frame_labels import compact, with_labels
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.models import StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.inference.linking import RenamedFrame
    from napari_seggpt.inference.propagation import FramePrediction
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.objects.new_ids import NewIds
    from napari_seggpt.session.frames.prepared_frame import PreparedFrame
    from napari_seggpt.session.runs.base_run import Prepare
    from napari_seggpt.session.runs.known_ids import KnownIds
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.settings import Direction, PropagationSettings

    Labels = NDArray[np.integer[Any]]
    Step = FramePrediction | UnreadableFrame | RenamedFrame


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
    confidence : float or None
        Of the frame, from 0 to 1; see `inference.confidence`. None if no model made it.
    confidence_map : NDArray[np.uint8], optional
        (h, w), where it is how sure; see `inference.confidence.confidence_map`.
    seconds : float
        What it took, without the encoding of references, which is done once.
    prepared : PreparedFrame, optional
        What is computed for writing it, so that the window need not compute it.
    """

    is_counted: ClassVar[bool] = True

    run: int
    index: int
    labels: NDArray[np.integer[Any]]
    confidence: float | None
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


class Run(BaseRun):
    """Some frames of a stack that are to be predicted; made by `Session.start`.

    Attributes
    ----------
    number, frames, key, num_written, num_damaged, seconds, unreadable, is_loaded
    num_parts, begun
        As of `BaseRun`: what is labelled in frames that were begun stays.
    watched : WatchedFrames
        The images, and what was noticed of them; to be asked when the run has ended.

    Parameters
    ----------
    predictors, request
        What the frames are predicted with.
    frames, number, key, prepare, begun
        As of `BaseRun`.
    direction : str
        Where to go from a reference.
    step : int
        Every how many frames of a line one is predicted.
    known : KnownIds
        The labels that there are, which objects are linked with.
    region : Region, optional
        What is written of each frame; the frames of the request, and what is known,
        are those of its box.
    recalled : mapping of int to float
        Frames that earlier runs have predicted, which it goes on from, and how sure
        those were: with memory, frames after them remember them.
    """

    def __init__(
        self,
        predictors: PredictorCache,
        request: RunRequest,
        frames: tuple[int, ...],
        *,
        known: KnownIds,
        number: int = 1,
        key: bytes = b"",
        direction: Direction = "both",
        step: int = 1,
        prepare: Prepare | None = None,
        begun: Mapping[int, Labels] | None = None,
        region: Region | None = None,
        recalled: Mapping[int, float] | None = None,
    ) -> None:
        super().__init__(frames, number=number, key=key, prepare=prepare, begun=begun)
        self._predictors = predictors
        self._request = request
        self._direction, self._step = direction, step
        self._known, self._region = known, region
        self._new_ids: NewIds | None = None
        self._grid = request.grid or FrameGrid.row(len(request.stack))
        self.watched = WatchedFrames(request.stack, self._grid.name)
        self.watched.unreadable = self.unreadable
        self._recalled = dict(recalled or {})

    def lines(self, most: int) -> list[str]:
        """Say what was noticed, of at most so many frames one by one."""
        return self.watched.lines(most)

    def results(self) -> Iterator[FrameResult | RenamedResult]:
        """Predict the frames, in a worker.

        The frame order is that of `inference.chains`: away from the references.
        A run that is told to stop ends before the next pass of the model. Frames that
        cannot be read are left out, references too: see `unreadable`. Objects are
        linked as they come; where two chains meet, frames that were yielded before get
        other ids.

        Raises
        ------
        ModelUnavailableError, CheckpointError, FrameError, ValueError, RuntimeError
            As `load_model`, `Predictor` and `predict_stack` do.
        ConnectionError
            If the other computer that predicts cannot be reached any more.
        """
        with suppress(StoppedError):
            request, left_out = self._predictors.readable(
                self._request, self.report_download
            )
            self._request = request  # chains lead away from what could be read
            self.unreadable.extend(left_out)
            predictor = self._predictors.predictor(
                request, self.report_download, self.report_upload
            )
            self.num_parts = predictor.num_parts
            self.is_loaded = True
            steps = self._steps(predictor)
            while (step := self._next(steps, predictor)) is not None:
                result = self._result(step, predictor)
                if result is not None:
                    yield result

    @property
    def has_region(self) -> bool:
        """Whether it writes a part of frames only."""
        return self._region is not None

    @property
    def _order(self) -> PropagationSettings:
        return replace(
            self._request.settings.propagation,
            start=self._span.start,
            stop=self._span.stop,
            step=1,
            direction=self._direction,
        )

    @property
    def _others(self) -> set[int]:
        """Frames in between that are not to be predicted."""
        return {*self._span} - {*self.frames}

    @property
    def _span(self) -> range:
        """The frames that are predicted or remembered, and all in between."""
        known = {self.frames[0], self.frames[-1], *self._recalled}
        return range(min(known), max(known) + 1)

    def _next(self, steps: Iterator[Step], predictor: TaskPredictor) -> Step | None:
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

    def _steps(self, predictor: TaskPredictor) -> Iterator[Step]:
        from napari_seggpt.inference.propagation import predict_stack

        steps = predict_stack(
            self.watched,
            predictor,
            settings=self._order,
            protected=self._others,
            grid=self._grid,
            known=partial(self._recall, predictor) if self._recalled else None,
            skip_unreadable=True,
        )
        if not self._links(predictor):
            return steps
        return self._linked(steps, predictor)

    def _ids_for(self, predictor: TaskPredictor) -> NewIds:
        """Return what gives ids that nothing has, the same one for all of the run."""
        if self._new_ids is None:
            self._new_ids = self._known.new_ids(predictor.kinds)
        return self._new_ids

    def _links(self, predictor: TaskPredictor) -> bool:
        """Whether objects get the ids of those that they continue."""
        return predictor.are_objects and self._request.settings.objects.linking.enabled

    def _recall(self, predictor: TaskPredictor, frame: int) -> Labels | None:
        """Return the labels of a frame that an earlier run has remembered, too."""
        from napari_seggpt.inference.memory import SURE

        confidence = self._recalled.get(frame)
        if confidence is None:
            return None
        if predictor.has_calibrated_confidence and confidence < SURE:
            return None
        return self._known.read(frame)

    def _linked(
        self,
        steps: Iterator[FramePrediction | UnreadableFrame],
        predictor: TaskPredictor,
    ) -> Iterator[Step]:
        from napari_seggpt.inference.linking import StackLinker, frames_lie_along

        known, linking = self._known, self._request.settings.objects.linking
        axis = frames_lie_along(self._request.axis, linking.along)
        linker = StackLinker(
            replace(linking, along=axis),
            references=predictor.references,
            frames=self.frames,
            length=len(known),
            read=known.read,
            vouched=lambda i: None if i in self.begun else known.vouched(i),
            new_ids=self._ids_for(predictor),
            direction=self._direction,
            step=self._step,
            grid=self._grid,
        )
        return linker.link(steps)

    def _result(
        self, step: Step, predictor: TaskPredictor
    ) -> FrameResult | RenamedResult | None:
        """Return what comes of a step; None if its frame is left out."""
        from napari_seggpt.inference.linking import RenamedFrame

        if isinstance(step, UnreadableFrame):
            self.unreadable.append(step)
            return None
        if isinstance(step, RenamedFrame):
            return RenamedResult(run=self.number, index=step.index, names=step.names)
        try:
            return self._frame_result(step, predictor)
        except StackError as error:
            self.leave_out(step.index, error)
            return None

    def _frame_result(
        self, step: FramePrediction, predictor: TaskPredictor
    ) -> FrameResult:
        from napari_seggpt.inference.confidence import confidence_map, frame_confidence
        from napari_seggpt.objects.new_ids import numbered_beside

        labels: Labels = step.prediction.labels
        confidence = step.prediction.confidence
        certainty = frame_confidence(labels, confidence)
        old = self._around(step.index)
        if predictor.are_objects and not self._links(predictor):
            kept = self._kept_ids(step.index, old)
            labels = numbered_beside(labels, kept, predictor.kinds)
        if self._region is not None and old is not None:
            labels, confidence = self._region.paste(labels, confidence, old)
        labels = compact(self._with_begun(step.index, labels, predictor))
        prepare = self._prepare
        return FrameResult(
            run=self.number,
            index=step.index,
            labels=labels,
            prepared=None if prepare is None else prepare(step.index, labels),
            confidence=certainty,
            confidence_map=confidence_map(confidence),
            seconds=step.seconds,
        )

    def _around(self, frame: int) -> Labels | None:
        """Return the labels (H, W) that a region is pasted into; None without one."""
        return None if self._region is None else self._known.read_whole(frame)

    def _kept_ids(self, frame: int, around: Labels | None) -> set[int]:
        """Return the ids that a frame keeps, whatever is predicted in it."""
        kept = {*self._known.locked}
        if self._region is not None and around is not None:
            kept.update(np.unique(around[~self._region.mask]).tolist())
        if frame in self.begun:
            kept.update(np.unique(self.begun[frame]).tolist())
        return kept - {0}

    def _with_begun(
        self, frame: int, labels: Labels, predictor: TaskPredictor
    ) -> Labels:
        """Return labels in which what a person has labelled is as it was."""
        from napari_seggpt.objects.regions import continued

        begun = self.begun.get(frame)
        if begun is None:
            return labels
        if predictor.are_objects:
            labels = continued(labels, begun, self._ids_for(predictor))
        return with_labels(labels, begun, begun != 0)
