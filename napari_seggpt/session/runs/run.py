"""Run: frames that are being predicted, and what comes of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.models import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.inference.propagation import FramePrediction
    from napari_seggpt.session.frames.prepared_frame import PreparedFrame
    from napari_seggpt.session.runs.base_run import Prepare
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.settings import Direction


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

    run: int
    index: int
    labels: NDArray[np.integer[Any]]
    confidence: float | None
    confidence_map: NDArray[np.uint8] | None = None
    seconds: float = 0.0
    prepared: PreparedFrame | None = None


class Run(BaseRun):
    """Some frames of a stack that are to be predicted; made by `Session.start`.

    Attributes
    ----------
    number, frames, key, num_written, seconds, is_loaded, begun
        As of `BaseRun`: what is labelled in frames that were begun stays.

    Parameters
    ----------
    predictors, request
        What the frames are predicted with.
    frames, number, key, prepare, begun
        As of `BaseRun`.
    direction : str
        Where to go from a reference.
    region : Region, optional
        What is written of each frame; the frames of the request are those of its box.
    read : callable, optional
        Reads the labels (H, W) of a frame, in the worker; needed with a region.
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
        begun: Mapping[int, NDArray[np.integer[Any]]] | None = None,
        region: Region | None = None,
        read: Callable[[int], NDArray[np.integer[Any]]] | None = None,
    ) -> None:
        super().__init__(frames, number=number, key=key, prepare=prepare, begun=begun)
        self._predictors = predictors
        self._request = request
        self._direction = direction
        self._region, self._read = region, read

    def results(self) -> Iterator[FrameResult]:
        """Predict the frames, in a worker.

        The frame order is that of `inference.propagation`: away from the references.

        Raises
        ------
        ModelUnavailableError, CheckpointError, FrameError, ValueError, RuntimeError
            As `load_model`, `Predictor` and `predict_stack` do.
        """
        try:
            steps = self._steps()
        except StoppedError:
            return
        self.is_loaded = True
        while not self.is_stopped:
            with self._predictors.models.lock:
                step = next(steps, None)
            if step is None:
                return
            yield self._result(step)

    def _steps(self) -> Iterator[FramePrediction]:
        from napari_seggpt.inference.propagation import predict_stack

        predictor = self._predictors.predictor(self._request, self.report_download)
        first, stop = self.frames[0], self.frames[-1] + 1
        settings = replace(
            self._request.settings.propagation,
            start=first,
            stop=stop,
            step=1,
            direction=self._direction,
        )
        others = {*range(first, stop)} - {*self.frames}
        return predict_stack(
            self._request.stack, predictor, settings=settings, protected=others
        )

    def _with_begun(
        self, frame: int, labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.integer[Any]]:
        """Return labels in which what a person has labelled is as it was."""
        begun = self.begun.get(frame)
        return labels if begun is None else np.where(begun != 0, begun, labels)

    def _result(self, step: FramePrediction) -> FrameResult:
        from napari_seggpt.inference.confidence import confidence_map, frame_confidence

        labels: NDArray[np.integer[Any]] = step.prediction.labels
        confidence = step.prediction.confidence
        certainty = frame_confidence(labels, confidence)
        if self._region is not None and self._read is not None:
            old = self._read(step.index)
            labels, confidence = self._region.paste(labels, confidence, old)
        labels = compact(self._with_begun(step.index, labels))
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
