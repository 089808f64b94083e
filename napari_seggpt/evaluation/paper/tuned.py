"""Tuned prompts of Tables 5 and 6: given, or tuned first, and what they paint."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.evaluation.paper.plan import Preparation
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.prompts import TunedPrompt
from napari_seggpt.training.dataset_tuning import tune_on_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import ImageDataset, Sample
    from napari_seggpt.evaluation.paper.plan import PaperOptions
    from napari_seggpt.palette import Palette


class TunedPrompts:
    """Prompts for the classes of a data set.

    Parameters
    ----------
    options : PaperOptions
        How they are tuned, if they are not given.
    given : sequence of TunedPrompt
        Those that are.
    name : str
        Of the file that they are tuned into.
    palette : Palette
        The classes to learn.
    """

    def __init__(
        self,
        options: PaperOptions,
        given: Sequence[TunedPrompt],
        name: str,
        palette: Palette,
    ) -> None:
        self._options = options
        self._given = tuple(given)
        self._file = options.results / f"{name}.safetensors"
        self._palette = palette
        self.predictor = lru_cache(maxsize=1)(self._make_predictor)

    def preparations(self, dataset: ImageDataset[Sample]) -> list[Preparation]:
        """Return what tunes them on a data set, if they are not given."""
        if self._given:
            return []
        return [
            Preparation(
                title=f"Tuning on {len(dataset)} images of {dataset.title}",
                file=self._file,
                steps=partial(self._tune, dataset),
                total=self._options.tuning.steps,
            )
        ]

    def _tune(self, dataset: ImageDataset[Sample]) -> Iterator[object]:
        state = self._file.with_suffix(".state")
        steps = tune_on_dataset(
            self._options.model,
            dataset,
            self._palette,
            settings=self._options.tuning,
            prediction=self._options.prediction,
            state_file=state,
        )
        for step in steps:
            yield step
            best = step.best
        best.save(self._file)
        state.unlink(missing_ok=True)

    def facts(self) -> list[str]:
        """Say what they are."""
        if self._given:
            return [prompt.digest.hex() for prompt in self._given]
        return [repr(self._options.tuning)]

    def _make_predictor(self) -> Predictor:
        prompts = self._given or (TunedPrompt.load(self._file),)
        return Predictor(
            self._options.model, tuned=prompts, settings=self._options.prediction
        )


def nearest_classes(predictor: Predictor, image: NDArray[Any]) -> NDArray[np.int64]:
    """Return the class of every pixel (H, W) of an image; background is none.

    Of several passes the one counts whose colour is the clearest, and where none
    paints any class, the one that paints brightest.
    """
    prediction = predictor.predict(image)
    read = [
        palette.decode(colors, background=False)[0]
        for palette, colors in zip(predictor.palettes, prediction.colors, strict=True)
    ]
    if len(read) == 1:
        return read[0]
    brightness = [colors.mean(-1) for colors in prediction.colors]
    brightest = np.argmax(brightness, axis=0)
    fallback = np.take_along_axis(np.stack(read), brightest[None], axis=0)[0]
    return np.where(prediction.labels != 0, prediction.labels, fallback)
