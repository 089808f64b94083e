"""tune_prompt(): the network is frozen, the prompt learns (paper, section 3.3).

What learns are the image tensors of the paper, their colours, or, in a network with a
readout, a small map of what the prompts offer to be read. In every update one labelled
frame is the query, and the tensors that come from other frames are its prompts: a frame
predicted from itself would teach nothing.

Which update was best is decided by the mean Dice of all frames, each predicted from the
others. One of them is held back: it is never a query. By itself it would decide worse:
frames differ far more from each other than the updates do.

Axes: K tensors, H W pixels of the model's input.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from napari_seggpt.inference.decoding import read_labels
from napari_seggpt.inference.device import autocast, pick_device, pick_dtype
from napari_seggpt.inference.tuned import palette_tensor
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.preprocessing import denormalise, normalise
from napari_seggpt.prompts import TunedPrompt, TuningFigures
from napari_seggpt.settings import PredictionSettings, TuningSettings
from napari_seggpt.training.batches import pixel_weights
from napari_seggpt.training.frozen import frozen
from napari_seggpt.training.learned import LearnedPrompt
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.training.trainer import color_loss, score_loss, soft_dice_loss
from napari_seggpt.training.tuning_data import TuningData, augment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor
    from torch.optim import Optimizer

    from napari_seggpt.model.encoding import EncodedPrompts
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.training.tuning_data import FrameTile

RECIPE = Recipe()  # the loss is that of training
SHARPNESS = 2.0  # of the choice among colours in the soft Dice


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneStep:
    """What one update did, and the best prompt so far.

    Attributes
    ----------
    step : int
        Updates done; the first step yielded is 0, the prompt before any.
    loss : float or None
        Of the update.
    dice : float or None
        Mean over the frames, each predicted from the others, where it was taken.
    held_back_dice : float or None
        That of the held-back frame, if there is one.
    best : TunedPrompt
        To be kept if nothing better comes, or if the caller stops here.
    """

    step: int
    loss: float | None
    dice: float | None
    held_back_dice: float | None
    best: TunedPrompt


def tune_prompt(
    model: SegGPT,
    examples: Sequence[Prompt],
    *,
    settings: TuningSettings | None = None,
    prediction: PredictionSettings | None = None,
    limits: Limits | None = None,
    class_names: Mapping[int, str] | None = None,
) -> Generator[TuneStep]:
    """Tune a prompt on labelled frames; the generator yields after every update.

    It may be closed at any time: the last step has the best prompt so far.

    Parameters
    ----------
    model : SegGPT
        Its weights stay as they are.
    examples : sequence of Prompt
        Two or more labelled frames. With three or more, one is held back.
    settings : TuningSettings, optional
        What learns, from what, and how fast.
    prediction : PredictionSettings, optional
        The device, precision, type embedding, labels in a pass and tiles.
    limits : Limits, optional
        The contrast of the frames; without them the frames' own.
    class_names : mapping of int to str, optional
        What the labels mean, to be kept with the prompt.

    Raises
    ------
    ValueError
        At once, if there are too few frames, too many labels, or nothing to learn.
    """
    settings = settings or TuningSettings()
    prediction = prediction or PredictionSettings()
    data = TuningData.of(
        examples,
        model.config,
        prediction=prediction,
        limits=limits,
        hold_back=settings.hold_back,
    )
    tuner = _Tuner(model, data, settings, prediction, dict(class_names or {}))
    return tuner.run()


class _Tuner:
    """A run: the learned prompt, and what it learns from."""

    def __init__(
        self,
        model: SegGPT,
        data: TuningData,
        settings: TuningSettings,
        prediction: PredictionSettings,
        class_names: Mapping[int, str],
    ) -> None:
        self._device = pick_device(prediction.device)
        self._dtype = pick_dtype(prediction.precision, self._device)
        if self._dtype == torch.float16:
            raise ValueError(
                "Expected float32 or bfloat16 for tuning, got float16, in which "
                "gradients vanish."
            )
        self._model = model.to(self._device)
        self._data = data
        self._settings = settings
        self._seg_type = prediction.seg_type
        tiling = prediction.tiling
        self._tile_scale = tiling.scale if tiling.enabled else None
        self._class_names = dict(class_names)
        self._learned = LearnedPrompt(data, settings, model, self._seg_type)
        self._queries = [x for x in data.queries() if self._learned.usable(x.frame)]
        self._judges = self._choose_judges()
        self._is_readout = model.config.decoder == "readout"
        self._known = palette_tensor(data.palette)[0].to(self._device)

    def run(self) -> Generator[TuneStep]:
        """Yield the prompt before any update, and then after every update."""
        # On a CPU memory is cheaper than time.
        checkpointing = self._learned.moves_pictures and self._device.type != "cpu"
        with frozen(self._model, checkpointing=checkpointing):
            yield from self._steps()

    def _steps(self) -> Generator[TuneStep]:
        settings, started = self._settings, time.perf_counter()
        rng = np.random.default_rng(settings.seed)
        optimizer = self._learned.optimizer(settings)
        hash_ = model_hash(self._model)
        first = self._measure(self._learned)
        before = first if settings.start == "reference" else self._measure_plain()

        def snapshot(step: int, after: Dices) -> TunedPrompt:
            figures = TuningFigures(
                frames=self._data.frames,
                steps=step,
                seconds=round(time.perf_counter() - started, 1),
                dice_before=before.mean,
                dice_after=after.mean,
                held_back_before=before.held_back,
                held_back_after=after.held_back,
            )
            return self._snapshot(figures, hash_)

        best, highest, without_gain = snapshot(0, first), first.mean, 0
        yield _step(0, None, first, best)
        for step in range(1, settings.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = group["rate"] * (1 - (step - 1) / settings.steps)
            loss = self._update(optimizer, self._query_of(step, rng), rng)
            dices = None
            if step % settings.check_every == 0 or step == settings.steps:
                dices = self._measure(self._learned)
                without_gain += 1
                if dices.mean > highest:
                    without_gain = 0
                    best, highest = snapshot(step, dices), dices.mean
            yield _step(step, loss, dices, best)
            if without_gain == settings.patience:
                return

    def _snapshot(self, figures: TuningFigures, hash_: str) -> TunedPrompt:
        images, colors = self._learned.arrays()
        return TunedPrompt(
            images=images,
            colors=colors,
            palette=self._data.palette,
            class_names=self._class_names,
            model_hash=hash_,
            seg_type=self._seg_type,
            tile_scale=self._tile_scale,
            settings=self._settings,
            figures=figures,
            prompt_map=self._learned.map_arrays(),
        )

    # -- updates -------------------------------------------------------------------

    def _query_of(self, step: int, rng: np.random.Generator) -> FrameTile:
        """Return the queries in a new random order, over and over."""
        place = (step - 1) % len(self._queries)
        if place == 0:
            self._order = rng.permutation(len(self._queries))
        return self._queries[self._order[place]]

    def _update(
        self, optimizer: Optimizer, query: FrameTile, rng: np.random.Generator
    ) -> float:
        """Make an update from one query; returns its loss."""
        optimizer.zero_grad()
        loss = self._loss(query, rng)
        if not torch.isfinite(loss):
            raise RuntimeError("Expected a finite loss, got NaN: use lower rates.")
        loss.backward()
        optimizer.step()
        self._learned.pull_back()
        return loss.item()

    def _loss(self, query: FrameTile, rng: np.random.Generator) -> Tensor:
        picture, labels, flipped = augment(query, self._settings, rng)
        near = self._learned.nearest(query, self._settings.prompts_per_step)
        tensor = self._tensor(picture)
        regions = self._regions(labels)
        with autocast(self._device, self._dtype):
            prompts = self._learned.encode(near, flipped=flipped)
            if self._is_readout:
                return score_loss(self._model.scores(tensor, prompts), regions)
            colors = self._model(tensor, prompts)
        target = self._tensor(self._data.palette.encode(labels))
        weight = pixel_weights(regions > 0, RECIPE.foreground_weight)
        shares = (-SHARPNESS * self._distances(colors.float())).softmax(1)
        truth = F.one_hot(regions, shares.shape[1]).movedim(-1, 1).float()
        dice = self._settings.dice_weight * soft_dice_loss(shares, truth)
        return color_loss(colors, target, weight, RECIPE.beta) + dice

    def _regions(self, labels: NDArray[np.integer[Any]]) -> Tensor:
        """Return the place of each label (h, w) in the palette, after black."""
        regions = np.zeros(labels.shape, np.int64)
        for number, i in enumerate(self._data.palette.ids, start=1):
            regions[labels == i] = number
        return torch.from_numpy(regions)[None].to(self._device)

    def _distances(self, colors: Tensor) -> Tensor:
        """Return how far colours (1, 3, h, w) are from each known one: (1, L, h, w)."""
        known = self._known[None, :, :, None, None]
        return (colors[:, None] - known).square().mean(2)

    def _tensor(self, picture: NDArray[Any]) -> Tensor:
        """Normalise (h, w, 3) as (1, 3, h, w) on the device."""
        values = np.ascontiguousarray(normalise(picture[None]))
        return torch.from_numpy(values).to(self._device)

    # -- how good it is ------------------------------------------------------------

    def _measure_plain(self) -> Dices:
        """Measure what the real prompts give."""
        settings = replace(self._settings, start="reference")
        return self._measure(
            LearnedPrompt(self._data, settings, self._model, self._seg_type)
        )

    def _choose_judges(self) -> list[FrameTile]:
        """Choose tiles of all frames, or those alone that a grid does not show."""
        tiles = self._data.starts(self._settings.num_prompts)
        unseen = [x for x in tiles if self._data.is_held_back(x)]
        return unseen if self._learned.shows_queries and unseen else tiles

    @torch.no_grad()
    def _measure(self, learned: LearnedPrompt) -> Dices:
        """Predict labelled tiles, each from the tensors of other frames."""
        scores, held_back = [], []
        for tile in self._judges:
            with autocast(self._device, self._dtype):
                prompts = learned.encode(learned.usable(tile.frame))
                labels = self._predict(tile, prompts)
            scores.append(mean_dice(labels, tile.labels))
            if self._data.is_held_back(tile):
                held_back.append(scores[-1])
        own = float(np.mean(held_back)) if held_back else None
        return Dices(mean=float(np.mean(scores)), held_back=own)

    def _predict(
        self, tile: FrameTile, prompts: EncodedPrompts
    ) -> NDArray[np.integer[Any]]:
        query, palette = self._tensor(tile.picture), self._data.palette
        if self._is_readout:
            shares = self._model.probabilities(query, prompts)[0]
            painted = shares.float().movedim(0, -1).cpu().numpy()
        else:
            colors = self._model(query, prompts)
            painted = denormalise(colors.float().cpu().numpy())[0]
        return read_labels(painted, palette, are_shares=self._is_readout)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dices:
    """Mean Dice of frames that are predicted from the others, and of one of them."""

    mean: float
    held_back: float | None


def _step(
    step: int, loss: float | None, dices: Dices | None, best: TunedPrompt
) -> TuneStep:
    return TuneStep(
        step=step,
        loss=loss,
        dice=None if dices is None else dices.mean,
        held_back_dice=None if dices is None else dices.held_back,
        best=best,
    )
