"""In-context examples from two views of an image, two images or a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.training.augmentation import (
    Look,
    bend_labels,
    draw_bend,
    draw_views,
)
from napari_seggpt.training.coloring import Task, draw_task
from napari_seggpt.training.dataset import DataError, DataSet, LabelledImage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_seggpt.training.recipe import Recipe

TRIES = 1000  # until an example with something to segment is drawn
CANDIDATES = 4  # of so many images, the one most alike becomes the partner
SPOILED_BEND = 0.02  # deviation of a wrong outline, in shares of a side
MISSED_SIDE = (0.1, 0.5)  # of a rectangle in which labels were missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """K prompts and one query (the last), to be coloured alike.

    Attributes
    ----------
    images : NDArray[np.uint8]
        (K + 1, S, S, 3), before their look is changed.
    regions : NDArray[np.uint8]
        (K + 1, S, S), which colour of the palette each pixel has.
    palette : NDArray[np.float32]
        (1 + regions, 3), 0 to 1; the first is the background's.
    looks : tuple of Look
        Of each picture.
    is_instance : bool
        Which type embedding it trains.
    """

    images: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    palette: NDArray[np.float32]
    looks: tuple[Look, ...]
    is_instance: bool


class ExampleSampler:
    """Draws examples for training from real and simulated data sets."""

    def __init__(
        self, real: Iterable[DataSet], simulated: Iterable[DataSet], recipe: Recipe
    ) -> None:
        self._real = list(real)
        self._simulated = list(simulated)
        if not self._real and not self._simulated:
            raise DataError(
                "Expected real or simulated data sets to train on, got none."
            )
        self._recipe = recipe
        weights = np.array([one.weight for one in self._real])
        self._weights = weights / weights.sum() if self._real else weights

    def draw(self, rng: np.random.Generator, *, prompts: int, size: int) -> Example:
        """Draw one example with so many prompts; a function of the generator alone.

        Raises
        ------
        DataError
            If no image has anything to segment.
        """
        may_be_empty = bool(rng.random() < self._recipe.empty_queries)
        for _ in range(TRIES):
            data = self._draw_set(rng)
            example = self._draw_example(data, prompts, size, rng)
            *prompts_show, query_shows = (bool(x.any()) for x in example.regions)
            if any(prompts_show) and (query_shows or may_be_empty):
                return example
        raise DataError(f"Expected labels to learn from, got none in {TRIES} tries.")

    def _draw_set(self, rng: np.random.Generator) -> DataSet:
        simulate = rng.random() < self._recipe.simulated
        if self._simulated and (simulate or not self._real):
            return self._simulated[rng.integers(len(self._simulated))]
        return self._real[rng.choice(len(self._real), p=self._weights)]

    def _draw_example(
        self, data: DataSet, prompts: int, size: int, rng: np.random.Generator
    ) -> Example:
        recipe = self._recipe
        query = data.images[rng.integers(len(data.images))]
        alone = not data.is_sequence and (
            len(data.images) == 1 or rng.random() < recipe.same_image
        )
        task = draw_task(
            query.labels,
            data.label_kind,
            ids_persist=alone or data.is_sequence,
            rng=rng,
        )
        if alone:
            sources = [query] * (prompts + 1)
        elif data.is_sequence:
            others = rng.integers(len(data.images), size=prompts)
            sources = [*(data.images[i] for i in others), query]
        else:
            sources = [*(_partner(query, data, rng) for _ in range(prompts)), query]
        near = (alone or data.is_sequence) and rng.random() < recipe.near_views
        views = draw_views(prompts + 1, near=near, rng=rng)
        if rng.random() < recipe.mixed_context:
            return self._mix(sources, data, task, size, rng)
        pairs = list(zip(sources, views, strict=True))
        images = [view.image(one.image, size) for one, view in pairs]
        regions = [task.regions(view.labels(one.labels, size)) for one, view in pairs]
        return self._finish(images, regions, task, rng)

    def _mix(
        self,
        sources: list[LabelledImage],
        data: DataSet,
        task: Task,
        size: int,
        rng: np.random.Generator,
    ) -> Example:
        """Stitch each picture from views of two images, with one colour map."""
        images, regions = [], []
        for source in sources:
            other = data.images[rng.integers(len(data.images))]
            one, two = draw_views(2, near=False, rng=rng)
            # Chosen objects have no counterpart in another image.
            far = source if task.is_instance else other
            seam = int(rng.uniform(0.3, 0.7) * size)
            place = np.arange(size) < seam
            place = place[:, None] if rng.random() < 0.5 else place[None]
            images.append(
                np.where(
                    place[..., None],
                    one.image(source.image, size),
                    two.image(far.image, size),
                )
            )
            regions.append(
                np.where(
                    place,
                    task.regions(one.labels(source.labels, size)),
                    task.regions(two.labels(far.labels, size)),
                )
            )
        return self._finish(images, regions, task, rng)

    def _finish(
        self,
        images: list[NDArray[np.uint8]],
        regions: list[NDArray[np.uint8]],
        task: Task,
        rng: np.random.Generator,
    ) -> Example:
        recipe = self._recipe
        coloured = rng.random() < recipe.coloured_background
        if rng.random() < recipe.spoiled_prompts:
            one = int(rng.integers(len(regions) - 1))
            regions[one] = spoil(regions[one], rng)
        look = Look.draw(rng)
        return Example(
            images=np.stack(images),
            regions=np.stack(regions),
            palette=task.palette(rng, coloured_background=coloured),
            looks=tuple(look.vary(rng) for _ in regions),
            is_instance=task.is_instance,
        )


def spoil(regions: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Spoil regions (H, W) as a hasty person does: outlines wrong, a part left out."""
    spoiled = bend_labels(regions, draw_bend(rng, SPOILED_BEND)).astype(regions.dtype)
    if rng.random() < 0.5:
        height, width = regions.shape
        part_height, part_width = (
            rng.uniform(*MISSED_SIDE, size=2) * regions.shape
        ).astype(int)
        top = int(rng.integers(height - part_height + 1))
        left = int(rng.integers(width - part_width + 1))
        spoiled[top : top + part_height, left : left + part_width] = 0
    return spoiled


def _partner(
    query: LabelledImage, data: DataSet, rng: np.random.Generator
) -> LabelledImage:
    """Draw another image of the set that looks rather like the query.

    Some sets mix stains and microscopes; a person's references would match.
    """
    indices = rng.integers(len(data.images), size=CANDIDATES)
    others = [data.images[i] for i in indices if data.images[i] is not query]
    if not others:
        return next(one for one in data.images if one is not query)
    mean = query.image.mean()
    return min(others, key=lambda one: abs(float(one.image.mean() - mean)))
