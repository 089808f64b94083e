"""PromptTuning: a prompt learns from the references, and is compared with them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_seggpt.frames import DAMAGE
from napari_seggpt.objects.kinds import task_of
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.runs.models import Stoppable, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.object_settings import ObjectTask
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.settings import TuningSettings
    from napari_seggpt.training.tuning import TuneStep

NUM_COMPARED_FRAMES = 6  # frames that are predicted both ways after tuning


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A frame as the references predict it, and as a tuned prompt does.

    Attributes
    ----------
    index : int
        The frame.
    image : NDArray
        (H, W) or (H, W, C).
    before, after : NDArray
        (H, W), labels.
    alike : float
        Mean Dice of one against the other.
    """

    index: int
    image: NDArray[Any]
    before: NDArray[Any]
    after: NDArray[Any]
    alike: float


class PromptTuning(Stoppable):
    """Tunes a prompt on labelled frames; made by `Session.start_tuning`.

    Attributes
    ----------
    count : int
        Labelled frames that it learns from.
    settings : TuningSettings
        How it learns.
    unreadable : list of UnreadableFrame
        References that are left out since their image cannot be read.
    """

    def __init__(
        self,
        predictors: PredictorCache,
        request: RunRequest,
        settings: TuningSettings,
        class_names: Mapping[int, str],
    ) -> None:
        super().__init__()
        self.count = len(request.sources)
        self.settings = settings
        self.unreadable: list[UnreadableFrame] = []
        self._predictors = predictors
        self._request = request
        self._class_names = dict(class_names)

    def steps(self) -> Iterator[TuneStep]:
        """Tune, in a worker.

        Raises
        ------
        ModelUnavailableError, CheckpointError, FrameError, ValueError, RuntimeError
            As `load_model` and `tune_prompt` do.
        """
        from napari_seggpt.training.tuning import tune_prompt

        try:
            request = self._readable()
            model, prompts, limits = self._predictors.material(request)
        except StoppedError:
            return
        self._request = request  # frames are compared with what it learned from
        steps = tune_prompt(
            model,
            prompts,
            settings=self.settings,
            prediction=request.settings.prediction,
            limits=limits,
            class_names=self._class_names,
        )
        with closing(steps):
            while not self.is_stopped:
                with self._predictors.models.lock:
                    step = next(steps, None)
                if step is None:
                    return
                yield step

    def _readable(self) -> RunRequest:
        """Leave out references that cannot be read, as a run does."""
        request, self.unreadable = self._predictors.readable(
            self._request, self.report_download
        )
        self.count = len(request.sources)
        labels = [source.labels for source in request.sources]
        check_tunable(labels, request.settings.objects.task)
        return request

    def compare(
        self, tuned: TunedPrompt, frames: Sequence[int]
    ) -> Iterator[Comparison]:
        """Predict some frames both ways, in a worker; but those that it can read."""
        requests = (self._request, replace(self._request, tuned=(tuned,)))
        lock = self._predictors.models.lock
        with lock:
            predictors = [self._predictors.new_predictor(each) for each in requests]
        for index in frames:
            try:
                image = self._request.stack[index]
            except DAMAGE:
                continue
            with lock:
                before, after = (
                    compact(predictor.predict(image, index=index).labels)
                    for predictor in predictors
                )
            yield _compared(index, image, before, after)


def _compared(
    index: int, image: NDArray[Any], before: NDArray[Any], after: NDArray[Any]
) -> Comparison:
    from napari_seggpt.metrics.pixels import mean_dice

    alike = mean_dice(after, before)
    return Comparison(index=index, image=image, before=before, after=after, alike=alike)


def check_tunable(labels: Sequence[NDArray[Any]], wanted: ObjectTask) -> None:
    """Raise ValueError unless a prompt can be tuned on labels (H, W) of references.

    Parameters
    ----------
    labels : sequence of NDArray
        With labels each.
    wanted : str
        As of `ObjectSettings.task`.
    """
    if len(labels) < 2:
        raise ValueError(
            "Expected two or more references with labels to tune on, got "
            f"{len(labels)}: paint or correct another frame."
        )
    if task_of(wanted, labels).kind != "classes":
        raise ValueError(
            "Expected classes to tune a prompt on, got objects: choose classes "
            "under Objects."
        )
