"""tune_prompt(): the network is frozen, the prompt learns (paper, section 3.3).

What learns are the image tensors of the paper, their colours, or, in a network with a
readout, how what is read of the prompts is weighed. In every update one labelled
frame is the query, and the tensors that come from other frames are its prompts: a frame
predicted from itself would teach nothing.

Which update was best is decided by the mean Dice of all frames, each predicted from the
others. Of many, one is held back: it is never a query. By itself it would decide worse:
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
from napari_seggpt.inference.seg_type import choose_seg_type
from napari_seggpt.inference.tuned import palette_tensor
from napari_seggpt.metrics.pixels import mean_dice
from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.preprocessing import denormalise, normalise
from napari_seggpt.prompts import TunedPrompt, TuningFigures
from napari_seggpt.settings import PredictionSettings, TuningSettings
from napari_seggpt.training.batches import pixel_weights
from napari_seggpt.training.frozen import frozen
from napari_seggpt.training.learned import LearnedPrompt
from napari_seggpt.training.losses import color_loss, score_loss, soft_dice_loss
from napari_seggpt.training.recipe import Recipe
from napari_seggpt.training.tuning_data import TuningData, augment, neighbour
from napari_seggpt.training.tuning_state import Dices, TuningState

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_seggpt.model.encoding import EncodedPrompts
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.training.tuning_data import FrameTile
    from napari_seggpt.training.tuning_state import StateFile

RECIPE = Recipe()  # the loss is that of training
SHARPNESS = 2.0  # of the choice among colours in the soft Dice
LEAST_JUDGES = 8  # tiles, if there are as many


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
        Two or more labelled frames. With five or more, one is held back.
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
    tuner = Tuner(model, data, settings, prediction, dict(class_names or {}))
    return tuner.run()


class Tuner:
    """A run: the learned prompt, and what it learns from."""

    def __init__(
        self,
        model: SegGPT,
        data: TuningData,
        settings: TuningSettings,
        prediction: PredictionSettings,
        class_names: Mapping[int, str],
        state_file: StateFile | None = None,
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
        self._seg_type = choose_seg_type(prediction.seg_type, model.config)
        tiling = prediction.tiling
        self._tile_scale = tiling.scale if tiling.enabled else None
        self._class_names = dict(class_names)
        self._state_file = state_file
        self._learned = LearnedPrompt(data, settings, model, self._seg_type)
        self._queries = [x for x in data.queries() if self._learned.usable(x.frame)]
        self._judges = self._choose_judges()
        self._is_readout = model.config.decoder == "readout"
        self._known = palette_tensor(data.palette)[0].to(self._device)

    def run(self) -> Generator[TuneStep]:
        """Yield the prompt before any update, and then after every update."""
        # On a CPU memory is cheaper than time, but not the 14 GB that ViT-L takes.
        is_small = self._device.type == "cpu" and self._is_readout
        checkpointing = self._learned.moves_pictures and not is_small
        with frozen(self._model, checkpointing=checkpointing):
            yield from self._steps()

    def _steps(self) -> Generator[TuneStep]:
        self._started = time.perf_counter()
        self._optimizer = self._learned.optimizer(self._settings)
        self._hash = model_hash(self._model)
        state, dices = self._begin()
        yield _step(state.step, None, dices, state.best)
        for step in range(state.step + 1, self._settings.steps + 1):
            if state.without_gain >= self._settings.patience:
                return
            rng = np.random.default_rng((self._settings.seed, step))
            loss = self._update(step, self._queries_of(step, rng), rng)
            state, dices = self._judge(replace(state, step=step))
            yield _step(step, loss, dices, state.best)

    def _begin(self) -> tuple[TuningState, Dices | None]:
        """Take up what was stopped, or begin; returns the Dices of a beginning."""
        if self._state_file is not None:
            found = self._state_file.load(self._learned, self._optimizer)
            if found is not None:
                self._started -= found.seconds
                return found, None
        first = self._measure(self._learned)
        plain = self._settings.start == "reference"
        before = first if plain else self._measure_plain()
        best = self._snapshot(0, before, first)
        state = TuningState(step=0, before=before, best=best, highest=first.mean)
        self._save(state)
        return state, first

    def _judge(self, state: TuningState) -> tuple[TuningState, Dices | None]:
        """Measure the prompt if it is time, and keep it if it is the best."""
        settings, step = self._settings, state.step
        if step % settings.check_every and step != settings.steps:
            return state, None
        dices = self._measure(self._learned)
        state = replace(state, seconds=self._seconds())
        if dices.mean > state.highest:
            best = self._snapshot(step, state.before, dices)
            state = replace(state, best=best, highest=dices.mean, without_gain=0)
        else:
            state = replace(state, without_gain=state.without_gain + 1)
        self._save(state)
        return state, dices

    def _save(self, state: TuningState) -> None:
        if self._state_file is not None:
            self._state_file.save(state, self._learned, self._optimizer)

    def _seconds(self) -> float:
        return round(time.perf_counter() - self._started, 1)

    def _snapshot(self, step: int, before: Dices, after: Dices) -> TunedPrompt:
        images, colors = self._learned.arrays()
        return TunedPrompt(
            images=images,
            colors=colors,
            palette=self._data.palette,
            class_names=self._class_names,
            model_hash=self._hash,
            seg_type=self._seg_type,
            tile_scale=self._tile_scale,
            settings=self._settings,
            figures=TuningFigures(
                frames=self._data.frames,
                steps=step,
                seconds=self._seconds(),
                dice_before=before.mean,
                dice_after=after.mean,
                held_back_before=before.held_back,
                held_back_after=after.held_back,
            ),
            weighing=self._learned.weighing_arrays(),
            zoom=self._data.zoom,
        )

    # -- updates -------------------------------------------------------------------

    def _queries_of(self, step: int, rng: np.random.Generator) -> list[FrameTile]:
        """Return the queries of an update: all in a random order, over and over."""
        count, among = self._settings.queries_per_step, len(self._queries)
        places = range((step - 1) * count, step * count)
        return [self._queries[self._order(i // among)[i % among]] for i in places]

    def _order(self, round_: int) -> NDArray[np.intp]:
        rng = np.random.default_rng((self._settings.seed, 0, round_))
        return rng.permutation(len(self._queries))

    def _update(
        self, step: int, queries: Sequence[FrameTile], rng: np.random.Generator
    ) -> float:
        """Make an update from some queries; returns their mean loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = group["rate"] * (1 - (step - 1) / self._settings.steps)
        self._optimizer.zero_grad()
        total = 0.0
        for query in queries:
            loss = self._loss(query, rng) / len(queries)
            if not torch.isfinite(loss):
                raise RuntimeError("Expected a finite loss, got NaN: use lower rates.")
            loss.backward()
            total += loss.item()
        self._optimizer.step()
        self._learned.pull_back()
        return total

    def _loss(self, query: FrameTile, rng: np.random.Generator) -> Tensor:
        picture, labels, near, flipped = self._example(query, rng)
        tensor = self._tensor(picture)
        regions = self._regions(labels)
        with autocast(self._device, self._dtype):
            prompts = self._learned.encode(near, flipped=flipped)
            if self._is_readout:
                return score_loss(self._learned.model.scores(tensor, prompts), regions)
            colors = self._model(tensor, prompts)
        target = self._tensor(self._data.palette.encode(labels))
        weight = pixel_weights(regions > 0, RECIPE.foreground_weight)
        loss = color_loss(colors, target, weight, RECIPE.beta)
        share = self._settings.dice_weight
        if share == 0:  # of many colours it takes much memory
            return loss
        shares = (-SHARPNESS * self._distances(colors.float())).softmax(1)
        truth = F.one_hot(regions, shares.shape[1]).movedim(-1, 1).float()
        return loss + share * soft_dice_loss(shares, truth)

    def _example(
        self, query: FrameTile, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.integer[Any]], list[int], bool]:
        """Draw a picture, its labels, the tensors beside it, and if these are flipped.

        References are farther from each other than frames are from references. So that
        a readout does not unlearn to trust what is near, some pictures are made-up
        neighbours of a frame that is among the prompts.
        """
        settings, learned = self._settings, self._learned
        count = settings.prompts_per_step
        if learned.learns_weighing and rng.random() < settings.neighbours:
            near = learned.nearest(query, count, own=True)
            return *neighbour(query, rng), near, False
        picture, labels, flipped = augment(query, settings, rng)
        return picture, labels, learned.nearest(query, count), flipped

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
        """Choose tiles of several frames, or those alone that a grid does not show.

        There are more of them than tensors where these are few: a frame is predicted
        from the tensors of others only.
        """
        tiles = self._data.starts(max(self._settings.num_prompts, LEAST_JUDGES))
        unseen = [x for x in tiles if self._data.is_held_back(x)]
        if self._learned.shows_queries:
            return unseen or tiles
        return [x for x in tiles if self._learned.usable(x.frame)]

    @torch.no_grad()
    def _measure(self, learned: LearnedPrompt) -> Dices:
        """Predict labelled tiles, each from the tensors of other frames."""
        scores, held_back = [], []
        for tile in self._judges:
            others = learned.usable(tile.frame)
            if not others:  # the only prompt is this frame
                continue
            with autocast(self._device, self._dtype):
                prompts = learned.encode(others)
                labels = self._predict(learned.model, tile, prompts)
            scores.append(mean_dice(labels, tile.labels))
            if self._data.is_held_back(tile):
                held_back.append(scores[-1])
        own = float(np.mean(held_back)) if held_back else None
        return Dices(mean=float(np.mean(scores)), held_back=own)

    def _predict(
        self, model: SegGPT, tile: FrameTile, prompts: EncodedPrompts
    ) -> NDArray[np.integer[Any]]:
        query, palette = self._tensor(tile.picture), self._data.palette
        if self._is_readout:
            shares = model.probabilities(query, prompts)[0]
            painted = shares.float().movedim(0, -1).cpu().numpy()
        else:
            colors = model(query, prompts)
            painted = denormalise(colors.float().cpu().numpy())[0]
        return read_labels(painted, palette, are_shares=self._is_readout)[0]


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
