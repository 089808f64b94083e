"""Predictors for a task: classes, cleaned up, or single objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.tiling import make_tiles
from napari_seggpt.objects.class_ids import CLASS_BLOCK
from napari_seggpt.objects.cleanup import UsualRegions, clean
from napari_seggpt.objects.decoding import SeedRule, find_objects
from napari_seggpt.objects.encoding import ObjectEncoding
from napari_seggpt.objects.kinds import object_classes, task_of
from napari_seggpt.objects.new_ids import NewIds
from napari_seggpt.objects.regions import with_names
from napari_seggpt.objects.scores import class_scores, weigh_background
from napari_seggpt.preprocessing import resize_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.memory import Memory, PromptTile
    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.object_settings import CleanupSettings
    from napari_seggpt.palette import Palette
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.settings import PredictionSettings, SessionSettings

    Labels = NDArray[np.integer[Any]]

# Networks with a readout paint objects too large: their rare border reaches over what
# lies just outside. Background counts so many times.
BACKGROUND = 1.8


def task_predictor(predictor: Predictor, settings: SessionSettings) -> TaskPredictor:
    """Return what predicts classes or objects, as settings and prompts tell.

    The predictor stays as it is: objects are shown to a copy of it.

    Raises
    ------
    ValueError
        As of `task_of`.
    """
    labels = [prompt.labels for prompt in predictor.prompts if prompt.labels.any()]
    guess = task_of(settings.objects.task, labels, has_tuned=bool(predictor.tuned))
    if guess.kind == "classes":
        return ClassPredictor(predictor, settings.cleanup)
    return ObjectPredictor(
        predictor,
        settings.cleanup,
        have_classes=guess.kind == "objects of several classes",
        enlarge=settings.objects.enlarge,
    )


class TaskPredictor:
    """Predicts classes or objects, by a predictor of the labels that are shown to it.

    It serves as a `Predictor` does, with prompts and memory in the labels of a person.

    Parameters
    ----------
    predictor : Predictor
        What predicts.
    cleanup : CleanupSettings
        What is cleaned up in its answers.

    Attributes
    ----------
    predictor : Predictor
        What predicts; its prompts have the labels that the model is shown.
    prompts : tuple of Prompt
        The prompts as a person labelled them.
    are_objects : bool
        Whether labels are single objects.
    kinds : tuple of int
        The classes that the id of an object tells, see `class_of_id`; without them
        there are none, or no objects.
    """

    are_objects = False
    kinds: tuple[int, ...] = ()

    def __init__(self, predictor: Predictor, cleanup: CleanupSettings) -> None:
        self.predictor = predictor
        self.cleanup = cleanup
        self.prompts = tuple(predictor.prompts)

    @property
    def references(self) -> dict[int, Prompt]:
        """The prompts that are frames of the stack, by their index."""
        return {p.index: p for p in self.prompts if p.index is not None}

    @property
    def settings(self) -> PredictionSettings:
        """How the model and the prompts are used."""
        return self.predictor.settings

    @property
    def limits(self) -> Limits | None:
        """The contrast of prompts and frames."""
        return self.predictor.limits

    @property
    def num_parts(self) -> int:
        """How many enlarged tiles a frame is cut into; 1 if nothing is enlarged."""
        return 1

    @property
    def tuned(self) -> tuple[TunedPrompt, ...]:
        """Learned prompts."""
        return self.predictor.tuned

    @property
    def palettes(self) -> list[Palette]:
        """The colours of each pass."""
        return self.predictor.palettes

    @property
    def before_pass(self) -> Callable[[], object] | None:
        """What is called before every pass of the model; see `Predictor`."""
        return self.predictor.before_pass

    @before_pass.setter
    def before_pass(self, called: Callable[[], object] | None) -> None:
        self.predictor.before_pass = called

    @property
    def encoding_seconds(self) -> float:
        """What the encoding of prompts took that a person gave."""
        return self.predictor.encoding_seconds

    @property
    def has_calibrated_confidence(self) -> bool:
        """Whether the confidence of a frame estimates its Dice; see `Predictor`."""
        return self.predictor.has_calibrated_confidence

    @property
    def frames_at_once(self) -> int:
        """How many frames are predicted together; see `Predictor`."""
        return self.predictor.frames_at_once

    def prepare(
        self,
        prompt: Prompt,
        *,
        predicted: bool = False,
        seen: Sequence[Labels] | None = None,
    ) -> list[PromptTile]:
        """Cut a prompt into tiles of the model's size; see `Predictor.prepare`."""
        shown = prompt if seen is not None else self._shown(prompt)
        return self.predictor.prepare(shown, predicted=predicted, seen=seen)

    def predict(
        self,
        frame: NDArray[Any],
        *,
        index: int | None = None,
        grid: FrameGrid | None = None,
    ) -> Prediction:
        """Predict the labels of one frame; see `Predictor.predict_batch`."""
        return self.predict_batch([frame], indices=[index], grid=grid)[0]

    def predict_batch(
        self,
        frames: Sequence[NDArray[Any]],
        *,
        indices: Sequence[int | None] | None = None,
        memory: Memory | None = None,
        grid: FrameGrid | None = None,
    ) -> list[Prediction]:
        """Predict the labels of frames; see `Predictor.predict_batch`."""
        found = self.predictor.predict_batch(
            frames, indices=indices, memory=memory, grid=grid, as_seen=self.are_objects
        )
        return [
            self._answer(each, (frame.shape[0], frame.shape[1]))
            for each, frame in zip(found, frames, strict=True)
        ]

    def _shown(self, prompt: Prompt) -> Prompt:
        """Return a prompt with the labels that the model is shown."""
        return prompt

    def _answer(self, found: Prediction, shape: tuple[int, int]) -> Prediction:
        """Return what was found in a frame (H, W), with the labels asked for."""
        raise NotImplementedError


class ClassPredictor(TaskPredictor):
    """Predicts classes, cleaned up."""

    def __init__(self, predictor: Predictor, cleanup: CleanupSettings) -> None:
        super().__init__(predictor, cleanup)
        self._usual = UsualRegions.of_classes([p.labels for p in self.prompts])

    def _answer(self, found: Prediction, shape: tuple[int, int]) -> Prediction:
        scores = (1 + found.confidence) / 2
        cleaned = clean(found.labels, self.cleanup, self._usual, scores=scores)
        return replace(found, labels=np.asarray(cleaned, dtype=np.int64))


class ObjectPredictor(TaskPredictor):
    """Predicts objects, numbered on each frame anew, whatever their number in one pass.

    The model is shown interior, border and background; see `ObjectEncoding`.

    Parameters
    ----------
    predictor, cleanup
        As of `TaskPredictor`.
    have_classes : bool
        Whether ids tell the class of an object.
    enlarge : bool
        Whether frames are cut into enlarged tiles where whole ones would not show what
        lies between objects.

    Attributes
    ----------
    encoding : ObjectEncoding
        How objects are shown.
    rule : SeedRule
        What tells objects apart that grew together.
    """

    are_objects = True

    def __init__(
        self,
        predictor: Predictor,
        cleanup: CleanupSettings,
        *,
        have_classes: bool = False,
        enlarge: bool = True,
    ) -> None:
        super().__init__(predictor, cleanup)
        labels = [prompt.labels for prompt in self.prompts if prompt.labels.any()]
        ids = {int(i) for prompt in self.prompts for i in prompt.ids}
        kinds = object_classes(sorted(ids)) if have_classes else dict.fromkeys(ids, 1)
        self.encoding = ObjectEncoding.of(labels, kinds)
        self.kinds = self.encoding.kinds if have_classes else ()
        self.rule = SeedRule.of(labels, self.encoding)
        sizes = self.encoding.sizes
        self._usual = UsualRegions(
            any_smallest=sizes.smallest, have_holes=sizes.have_holes
        )
        self.predictor = predictor.with_prompts(
            map(self._shown, self.prompts),
            finest=self.encoding.border_width if enlarge else None,
        )

    @property
    def num_parts(self) -> int:
        """How many enlarged tiles a frame is cut into; 1 if nothing is enlarged."""
        tiling = self.predictor.tiling
        if not self.prompts or tiling == self.predictor.settings.tiling:
            return 1
        size = self.predictor.model.config.tile_size
        return len(make_tiles(self.prompts[0].labels.shape, size, tiling))

    def _shown(self, prompt: Prompt) -> Prompt:
        return replace(prompt, labels=self.encoding.encode(prompt.labels))

    def _answer(self, found: Prediction, shape: tuple[int, int]) -> Prediction:
        # The prediction may be smaller than the frame, as the model saw it.
        scores = class_scores(
            found.labels,
            found.confidence,
            self.encoding.border,
            colors=found.colors,
            palettes=self.predictor.palettes,
        )
        sure = None
        if any(self.cleanup.thresholds):
            sure = resize_values(1 - scores[0], shape)
        if self.has_calibrated_confidence:
            scores = weigh_background(scores, BACKGROUND)
        objects = find_objects(scores, self.encoding, self.rule, shape=shape)
        kinds = dict(enumerate(objects.classes.tolist(), start=1))
        cleaned = clean(
            objects.labels,
            self.cleanup,
            self._usual,
            scores=sure,
            classes=kinds,
        )
        labels = np.asarray(cleaned, dtype=np.int64)
        if self.kinds:
            new_ids = NewIds(1, kinds=self.kinds)
            names = {i: new_ids.take(kind * CLASS_BLOCK) for i, kind in kinds.items()}
            labels = with_names(labels, names)
        confidence = resize_values(found.confidence, shape)
        return replace(found, labels=labels, confidence=confidence)
