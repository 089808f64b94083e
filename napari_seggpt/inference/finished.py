"""Frames that an output holds already when a stack is gone on with."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from napari_seggpt.frames import DAMAGE
from napari_seggpt.inference.confidence import frame_confidence
from napari_seggpt.inference.memory import SURE
from napari_seggpt.inference.watching import UnreadableFrame, read_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid, Frames
    from napari_seggpt.inference.task_predictors import TaskPredictor

logger = logging.getLogger(__name__)

ASKED_AGAIN = 4  # finished frames, for each that memory holds


class FinishedFrames:
    """Reads the labels of finished frames that are worth to be remembered.

    How sure the model was of them is not stored, and it is asked again: a few times,
    so that going on with a stack of which it is not sure costs little.
    """

    def __init__(
        self,
        stack: Frames,
        output: Frames,
        predictor: TaskPredictor,
        memory: int,
        grid: FrameGrid | None,
    ) -> None:
        self._stack = stack
        self._output = output
        self._predictor = predictor
        self._left_to_ask = ASKED_AGAIN * memory
        self._grid = grid

    def __call__(self, index: int) -> NDArray[Any] | None:
        """Return the labels (H, W) of a frame; None if they are worth no memory."""
        labels = read_finished(self._output, index)
        if labels is None or not labels.any():
            return labels
        is_known = self._predictor.has_calibrated_confidence
        return labels if not is_known or self._is_sure(index, labels) else None

    def _is_sure(self, index: int, labels: NDArray[Any]) -> bool:
        if not self._left_to_ask:
            return False
        self._left_to_ask -= 1
        frame = read_frame(self._stack, index)
        if isinstance(frame, UnreadableFrame):
            return False
        margin = self._predictor.predict(frame, index=index, grid=self._grid).confidence
        return frame_confidence(labels, margin) >= SURE


def read_finished(labels: Frames, index: int) -> NDArray[Any] | None:
    """Return the labels (H, W) of a frame; None, with a warning, if it is damaged."""
    try:
        return labels[index]
    except DAMAGE as error:
        logger.warning("Frame %d of the output is left as it is: %s", index, error)
        return None
