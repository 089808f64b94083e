"""tune_on_dataset(): one learnable picture for a whole data set (paper, section 3.3).

It is `tuning.tune_prompt`, but the queries are drawn from the data set and read one by
one, and the prompt is judged by some images that are never drawn. Pixels that the
authors do not score are learned as background.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.preprocessing import (
    measure_limits,
    resize_labels,
    resize_rgb,
    to_rgb,
)
from napari_seggpt.settings import PredictionSettings, TuningSettings
from napari_seggpt.training.tuning import Tuner
from napari_seggpt.training.tuning_data import FrameTile, TuningData
from napari_seggpt.training.tuning_state import StateFile

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import ImageDataset, Sample
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.palette import Palette
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.training.tuning import TuneStep

# The paper gives neither rate nor steps; a rate of 0.1 is its authors' advice for
# Painter. The loss is that of training alone, and the views are like those of training.
DATASET_TUNING = TuningSettings(
    steps=2000,
    weighing_rate=0.0,
    image_rate=0.1,
    dice_weight=0.0,
    start="grid",
    num_prompts=4,
    queries_per_step=4,
    crop=0.55,
    flip=True,
    brightness=True,
    check_every=100,
    patience=20,
)
JUDGES = 16  # images that the prompt is judged by
TRIES = 64  # images that are looked at for one that shows what is wanted
CANDIDATES = 8  # images to choose each of the first prompts from
LIMITS_FROM = 9  # images that the contrast is measured from


class TooFewImagesError(ValueError):
    """A data set without enough images that show the classes of a palette."""


def tune_on_dataset(
    model: SegGPT,
    dataset: ImageDataset[Sample],
    palette: Palette,
    *,
    settings: TuningSettings = DATASET_TUNING,
    prediction: PredictionSettings | None = None,
    class_names: Mapping[int, str] | None = None,
    state_file: Path | None = None,
) -> Generator[TuneStep]:
    """Tune a prompt on a data set; the generator yields after every update.

    Parameters
    ----------
    model : SegGPT
        Its weights stay as they are.
    dataset : ImageDataset
        Read an image at a time.
    palette : Palette
        The classes to learn, and their colours; all others are background. Data sets
        of more classes than a palette can have take a prompt for each of several.
    settings : TuningSettings
        What learns, from what, and how fast. `num_prompts` images make the grid that
        the one tensor starts from; with another start there are as many tensors.
    prediction : PredictionSettings, optional
        The device, precision and type embedding; images are never cut into tiles.
    class_names : mapping of int to str, optional
        What the classes are called; by default as in the data set.
    state_file : Path, optional
        Written at every check. If it is there, tuning goes on from it.

    Raises
    ------
    TooFewImagesError
        At once, if too few images show any of the classes.
    TuningStateError
        With the first step, if the file is that of another tuning.
    """
    prediction = prediction or PredictionSettings()
    size = model.config.seen_size(model.config.image_size)
    source = _Source(dataset, palette, size, settings.seed)
    names = dataset.classes if class_names is None else class_names
    data = TuningData(
        tiles=tuple(source.first_tiles(settings.num_prompts)),
        palette=palette,
        frames=len(dataset),
        held_back=None,
        zoom=1.0,
    )
    file = None
    if state_file is not None:
        asked = _asked(dataset, palette, settings, prediction, model_hash(model))
        file = StateFile(state_file, asked)
    tuner = _DatasetTuner(
        source,
        model,
        data,
        settings,
        replace(prediction, tiling=replace(prediction.tiling, enabled=False)),
        {i: names[i] for i in palette.ids.tolist() if i in names},
        file,
    )
    return tuner.run()


def _asked(
    dataset: ImageDataset[Sample],
    palette: Palette,
    settings: TuningSettings,
    prediction: PredictionSettings,
    digest: str,
) -> str:
    """Say what the result is a function of."""
    facts = (
        dataset.title, dataset.subset, len(dataset), palette.ids.tolist(),
        palette.colors.tolist(), asdict(settings), prediction.seg_type, digest,
    )  # fmt: skip
    return repr(facts)


class _DatasetTuner(Tuner):
    """A run whose queries are drawn from a data set."""

    def __init__(self, source: _Source, *args: Any) -> None:
        self._source = source
        super().__init__(*args)

    def _queries_of(self, step: int, rng: np.random.Generator) -> list[FrameTile]:
        del step
        return [self._source.draw(rng) for _ in range(self._settings.queries_per_step)]

    def _choose_judges(self) -> list[FrameTile]:
        return self._source.judges()


class _Source:
    """A data set as pictures of the model's size, with the classes of a palette."""

    def __init__(
        self,
        dataset: ImageDataset[Sample],
        palette: Palette,
        size: tuple[int, int],
        seed: int,
    ) -> None:
        self._dataset = dataset
        self._palette = palette
        self._size = size
        order = np.random.default_rng((seed, 1)).permutation(len(dataset))
        # The last of a random order are for judging, at most a quarter of all.
        judges = min(JUDGES, len(dataset) // 4)
        self._drawn = order[: len(dataset) - judges]
        self._held_back = order[len(dataset) - judges :]
        self._limits = self._measure_limits()

    def _measure_limits(self) -> Limits:
        return measure_limits(
            self._dataset[int(i)].image() for i in self._drawn[:LIMITS_FROM]
        )

    def tile(self, index: int) -> FrameTile:
        """Return an image as the model sees it."""
        sample = self._dataset[index]
        labels = resize_labels(sample.labels(), self._size)
        known = np.isin(labels, self._palette.ids)
        return FrameTile(
            picture=resize_rgb(to_rgb(sample.image(), self._limits), self._size),
            labels=np.where(known, labels, 0),
            frame=index,
            place=float(index),
            center=(0.5, 0.5),
        )

    def draw(self, rng: np.random.Generator) -> FrameTile:
        """Draw an image that shows any of the classes."""
        for _ in range(TRIES):
            tile = self.tile(int(rng.choice(self._drawn)))
            if tile.labels.any():
                return tile
        raise TooFewImagesError(
            f"Expected images of {self._dataset.title} with any of the classes "
            f"{self._palette.ids.tolist()}, got none in {TRIES}."
        )

    def judges(self) -> list[FrameTile]:
        """Return images that are never drawn, or a few if there are none to spare."""
        held_back = [self.tile(int(i)) for i in self._held_back]
        shown = [tile for tile in held_back if tile.labels.any()]
        return shown or [self.tile(int(i)) for i in self._drawn[:JUDGES]]

    def first_tiles(self, count: int) -> list[FrameTile]:
        """Choose images for the first prompts, which show many classes together.

        They are drawn as queries no more, if others are left.
        """
        pool = self._pool(count)
        chosen: list[FrameTile] = []
        shown: set[int] = set()
        for _ in range(min(count, len(pool))):
            best = max(pool, key=lambda tile: len(_ids(tile.labels) - shown))
            pool = [tile for tile in pool if tile is not best]
            shown |= _ids(best.labels)
            chosen.append(best)
        rest = np.setdiff1d(self._drawn, [tile.frame for tile in chosen])
        self._drawn = rest if rest.size else self._drawn
        # With the number of no image, each may be the prompt of any.
        return [replace(tile, frame=-1 - i) for i, tile in enumerate(chosen)]

    def _pool(self, count: int) -> Sequence[FrameTile]:
        pool: list[FrameTile] = []
        for index in self._drawn[: max(TRIES, CANDIDATES * count)]:
            tile = self.tile(int(index))
            if tile.labels.any():
                pool.append(tile)
            if len(pool) == CANDIDATES * count:
                break
        if not pool:
            raise TooFewImagesError(
                f"Expected images of {self._dataset.title} with any of the classes "
                f"{self._palette.ids.tolist()}, got none."
            )
        return pool


def _ids(labels: NDArray[np.integer[Any]]) -> set[int]:
    return {int(i) for i in np.unique(labels)} - {0}
