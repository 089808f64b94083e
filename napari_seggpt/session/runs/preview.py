"""Preview: a frame as a run would predict it now, of which nothing is written."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.session.runs.models import Stoppable, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.session.frames.locked_labels import LockedLabels
    from napari_seggpt.session.runs.base_run import Prepare
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.session.runs.runs import Runs

    Labels = NDArray[np.integer[Any]]


class Preview(Stoppable):
    """One frame that is predicted, without the memory and the linked ids of a run.

    Parameters
    ----------
    predictors, request
        What the frame is predicted with.
    frame : int
        The frame.
    runs : Runs
        The runs of the session: while one is on, nothing is predicted.
    prepare : callable
        As of `BaseRun`: it says where locked labels stay.
    locks : LockedLabels
        Which those are: no predicted object is numbered as one of them.
    region : Region, optional
        What a run would write of the frame; the request is limited to its box.
    """

    def __init__(
        self,
        predictors: PredictorCache,
        request: RunRequest,
        frame: int,
        runs: Runs,
        prepare: Prepare,
        locks: LockedLabels,
        region: Region | None = None,
    ) -> None:
        super().__init__()
        self._predictors, self._request = predictors, request
        self._frame, self._region = frame, region
        self._runs, self._prepare, self._locks = runs, prepare, locks

    def results(self) -> Iterator[Labels | None]:
        """Predict the frame, in a worker.

        Yields its labels (H, W), or None if it cannot be read; nothing if the preview
        was told to stop, or a run has begun. References that cannot be read are left
        out, as in a run.
        """
        from napari_seggpt.inference.watching import UnreadableFrame, read_frame

        image = read_frame(self._request.stack, self._frame)
        if isinstance(image, UnreadableFrame):
            yield None
            return
        with suppress(StoppedError):
            labels = self._predict(image)
            prepared = self._prepare(self._frame, labels)
            yield labels if prepared is None else prepared.new

    def _predict(self, image: NDArray[Any]) -> Labels:
        from napari_seggpt.objects.new_ids import numbered_beside

        # A run takes the kept predictor once, under the lock. After that its prompts
        # must stay; a run that begins later takes it when this has ended.
        with self._predictors.models.lock:
            self.check_stopped()
            if self._runs.is_running:
                raise StoppedError
            request, _ = self._predictors.readable(self._request, self.report_download)
            predictor = self._predictors.predictor(
                request, self.report_download, self.report_upload
            )
            predictor.before_pass = self.check_stopped
            try:
                found = predictor.predict(image, index=self._frame, grid=request.grid)
            finally:
                predictor.before_pass = None
        labels: Labels = found.labels
        if predictor.are_objects:
            labels = numbered_beside(labels, self._locks.labels, predictor.kinds)
        if self._region is not None:
            nothing = np.zeros(self._region.mask.shape, labels.dtype)
            labels, _ = self._region.paste(labels, found.confidence, nothing)
        return labels
