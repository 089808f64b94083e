"""Tuned prompts among what SegGPT is compared with, on the same frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_seggpt.inference.confidence import frame_confidence
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.tiling import suggest_scale, with_tiles
from napari_seggpt.training.tuning import tune_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings, TuningSettings

TUNED, JOINED = "tuned", "tuned and plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictorSegmenter:
    """A predictor that segments one frame after the other."""

    predictor: Predictor

    def segment(self, frame: NDArray[Any], index: int) -> tuple[NDArray[Any], float]:
        """Segment one frame; see `peers.Segmenter`."""
        prediction = self.predictor.predict(frame, index=index)
        return prediction.labels, frame_confidence(
            prediction.labels, prediction.confidence
        )


class TunedMethods:
    """Tunes a prompt on the frames of each sequence, once for all who use it.

    Parameters
    ----------
    model : SegGPT
        It stays as it is.
    prediction : PredictionSettings
        As of the plain prompts.
    tuning : TuningSettings
        How prompts are tuned.
    auto_tiles : bool
        As of `protocol.seggpt`.

    Attributes
    ----------
    figures : list of dict
        Of each tuned prompt, in the order of the sequences.
    """

    def __init__(
        self,
        model: SegGPT,
        *,
        prediction: PredictionSettings,
        tuning: TuningSettings,
        auto_tiles: bool = False,
    ) -> None:
        self._model = model
        self._prediction = prediction
        self._tuning = tuning
        self._auto_tiles = auto_tiles
        self._last: tuple[Sequence[Prompt], list[TunedPrompt]] = ((), [])
        self.figures: list[dict[str, Any]] = []

    def peers(self) -> dict[str, MakeSegmenter]:
        """Return the tuned prompt alone, and beside the frames it was tuned on.

        Where there is one frame, too few to tune on, both are the plain prompt.
        """

        def alone(prompts: Sequence[Prompt], limits: Limits) -> PredictorSegmenter:
            tuned = self._tune(prompts, limits)
            return self._segmenter([] if tuned else prompts, tuned, prompts, limits)

        def joined(prompts: Sequence[Prompt], limits: Limits) -> PredictorSegmenter:
            tuned = self._tune(prompts, limits)
            return self._segmenter(prompts, tuned, prompts, limits)

        return {TUNED: alone, JOINED: joined}

    def _settings(self, prompts: Sequence[Prompt]) -> PredictionSettings:
        if not self._auto_tiles:
            return self._prediction
        labels = [prompt.labels for prompt in prompts]
        _, scale = suggest_scale(labels, self._model.config)
        return with_tiles(self._prediction, scale)

    def _segmenter(
        self,
        plain: Sequence[Prompt],
        tuned: Sequence[TunedPrompt],
        given: Sequence[Prompt],
        limits: Limits,
    ) -> PredictorSegmenter:
        predictor = Predictor(
            self._model,
            plain,
            tuned=tuned,
            settings=self._settings(given),
            limits=limits,
        )
        return PredictorSegmenter(predictor=predictor)

    def _tune(self, prompts: Sequence[Prompt], limits: Limits) -> list[TunedPrompt]:
        """Tune on these prompts, unless that is what was done last."""
        known, tuned = self._last
        if known is prompts:
            return tuned
        tuned = []
        if sum(1 for prompt in prompts if len(prompt.ids)) > 1:
            *_, last = tune_prompt(
                self._model,
                prompts,
                settings=self._tuning,
                prediction=self._settings(prompts),
                limits=limits,
            )
            tuned = [last.best]
            self.figures.append(asdict(last.best.figures))
        self._last = (prompts, tuned)
        return tuned
