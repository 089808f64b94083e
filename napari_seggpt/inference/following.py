"""follow_stack(): frames are predicted as a microscope writes them."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.memory import Memory, remember
from napari_seggpt.inference.propagation import FramePrediction
from napari_seggpt.inference.watching import UnreadableFrame, read_frame
from napari_seggpt.settings import PropagationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.io.growing import GrowingFrames
    from napari_seggpt.io.zarr_labels import ZarrLabels

SECONDS_BETWEEN_LOOKS = 1.0
MOST_TRIES = 10  # to read a frame, one a look: who writes it may be slow


def follow_stack(
    frames: GrowingFrames,
    predictor: TaskPredictor,
    output: ZarrLabels,
    *,
    references: Mapping[int, NDArray[Any]],
    settings: PropagationSettings | None = None,
    patience: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[FramePrediction | UnreadableFrame]:
    """Predict the frames of a growing stack in their order, as they arrive.

    A frame that cannot be read is tried again at the next looks, while others follow;
    so is one of another shape than the output.
    A frame is written as soon as it is predicted, so closing the generator early
    leaves everything that was yielded. Frames that are finished in the output stay as
    they are; with memory, they are remembered.

    Parameters
    ----------
    frames : GrowingFrames
        What arrives.
    predictor : TaskPredictor
        With at least one prompt.
    output : ZarrLabels
        Where labels go; it grows with the frames.
    references : mapping of int to NDArray
        Labels (H, W) that are written as they are.
    settings : PropagationSettings, optional
        Memory, and the range of frames; the direction is forward.
    patience : float, optional
        It ends after so many seconds in which nothing came; without it, it does not.
        The last frames of a zarr with several frames a chunk are predicted then.
    pause : callable
        Waits for so many seconds.

    Yields
    ------
    FramePrediction or UnreadableFrame
        Every frame that arrives, but references and finished ones.
    """
    following = _Following(frames, predictor, output, settings or PropagationSettings())
    waited, place = 0.0, 0
    while True:
        arrived = frames.look()
        output.extend(arrived)
        if arrived > place or frames.is_changing:
            waited = 0.0
        is_over = patience is not None and waited >= patience
        if is_over:
            output.extend(arrived := frames.look_no_more())
        yield from following.missed_frames()
        for index in range(place, arrived):
            if index in references:
                if not output.is_finished(index):
                    output.finish(index, references[index])
            else:
                yield from following.frame(index)
        place = arrived
        stop = following.settings.stop
        is_whole = stop is not None and place >= stop and not following.missed
        if is_whole or is_over:
            yield from following.missed.values()
            return
        pause(SECONDS_BETWEEN_LOOKS)
        waited += SECONDS_BETWEEN_LOOKS


class _Following:
    """One pass through a growing stack.

    Attributes
    ----------
    missed : dict of int to UnreadableFrame
        Frames that could not be read, and are to be tried again.
    """

    def __init__(
        self,
        frames: GrowingFrames,
        predictor: TaskPredictor,
        output: ZarrLabels,
        settings: PropagationSettings,
    ) -> None:
        self.settings = settings
        self._frames = frames
        self._predictor = predictor
        self._output = output
        self.missed: dict[int, UnreadableFrame] = {}
        self._tries: Counter[int] = Counter()
        self._memory = Memory(settings.memory) if settings.memory else None

    def frame(self, index: int) -> Iterator[FramePrediction | UnreadableFrame]:
        """Predict, write and remember one frame, if it is in the range."""
        stop = self.settings.stop
        after = index - self.settings.start
        if (
            after < 0
            or after % self.settings.step
            or (stop is not None and index >= stop)
        ):
            return
        is_finished = self._output.is_finished(index)
        if is_finished and self._memory is None:
            return
        frame = self._read(index)
        if isinstance(frame, UnreadableFrame):
            self._tries[index] += 1
            self.missed[index] = frame
            if self._tries[index] >= MOST_TRIES:
                yield self.missed.pop(index)
            return
        self.missed.pop(index, None)
        if is_finished:
            self._remember(index, frame, np.asarray(self._output[index]))
            return
        (prediction,) = self._predictor.predict_batch(
            [frame], indices=[index], memory=self._memory
        )
        self._output.finish(index, prediction.labels)
        yield FramePrediction(index=index, prediction=prediction)
        self._remember(index, frame, prediction)

    def missed_frames(self) -> Iterator[FramePrediction | UnreadableFrame]:
        """Try those once more that could not be read."""
        for index in [*self.missed]:
            yield from self.frame(index)

    def _read(self, index: int) -> NDArray[Any] | UnreadableFrame:
        """Read a frame; one whose labels the output does not take cannot be read."""
        frame = read_frame(self._frames, index)
        shape = self._output.geometry.frame_shape
        if isinstance(frame, UnreadableFrame) or frame.shape[:2] == shape:
            return frame
        reason = f"Expected a frame of shape {shape}, got {frame.shape[:2]}."
        return UnreadableFrame(index=index, reason=reason)

    def _remember(
        self,
        index: int,
        frame: NDArray[Any],
        predicted: Prediction | NDArray[np.integer[Any]],
    ) -> None:
        if self._memory is not None:
            remember(self._memory, self._predictor, frame, index, predicted)
