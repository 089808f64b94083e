"""In-context examples from two views of an image, two images or a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label

from napari_seggpt.training.augmentation import (
    Look,
    View,
    ViewKind,
    bend_labels,
    draw_bend,
    draw_views,
)
from napari_seggpt.training.coloring import Task, draw_task, find_border
from napari_seggpt.training.dataset import DataError, DataSet, LabelledImage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_seggpt.training.recipe import Recipe

TRIES = 1000  # until an example with something to segment is drawn
CANDIDATES = 6  # of so many images, the one that shows most becomes the partner
FARTHEST = 10  # frames between a query of a sequence and its prompts
KEPT_OBJECTS = (0.02, 0.4)  # share of the objects of a frame that is half done
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
    known : NDArray[np.uint8]
        (K + 1, S, S), 0 where nobody says what is there.
    palette : NDArray[np.float32]
        (1 + regions, 3), 0 to 1; the first is the background's.
    looks : tuple of Look
        Of each picture.
    is_instance : bool
        Which type embedding it trains.
    """

    images: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    known: NDArray[np.uint8]
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
        scene = self._draw_scene(data, prompts, rng)
        if rng.random() < self._recipe.mixed_context:
            return self._mix(scene, data, size, rng)
        pairs = list(zip(scene.sources, scene.views, strict=True))
        images = [view.image(one.image, size) for one, view in pairs]
        shown = [_shown(scene.task, one.labels, view, size) for one, view in pairs]
        return self._finish(images, shown, scene.task, rng)

    def _draw_scene(
        self, data: DataSet, prompts: int, rng: np.random.Generator
    ) -> _Scene:
        """Draw what an example shows: frames of a sequence, one image, or several."""
        recipe, count = self._recipe, prompts + 1
        if data.sequences and rng.random() < recipe.neighbours:
            frames = _neighbours(data, count, rng)
            kind: ViewKind = "near" if rng.random() < recipe.near_views else "alike"
            task = self._draw_task(data, frames[-1], rng, ids_persist=True)
            return _Scene(task=task, sources=frames, views=draw_views(
                count, kind=kind, rng=rng))  # fmt: skip
        place = int(rng.integers(len(data.images)))
        query = data.images[place]
        has_objects = data.label_kind == "instance"
        same = recipe.same_image_of_objects if has_objects else recipe.same_image
        if len(data.images) == 1 or rng.random() < same:
            kind = "near" if rng.random() < recipe.near_views else "free"
            task = self._draw_task(data, query, rng, ids_persist=True)
            return _Scene(task=task, sources=[query] * count, views=draw_views(
                count, kind=kind, rng=rng))  # fmt: skip
        kind = "alike" if rng.random() < recipe.alike_views else "free"
        task = self._draw_task(data, query, rng, ids_persist=False)
        wanted = frozenset(i for group in task.groups for i in group)
        others = [_partner(place, wanted, data, rng) for _ in range(prompts)]
        return _Scene(task=task, sources=[*others, query], views=draw_views(
            count, kind=kind, rng=rng))  # fmt: skip

    def _draw_task(
        self,
        data: DataSet,
        query: LabelledImage,
        rng: np.random.Generator,
        *,
        ids_persist: bool,
    ) -> Task:
        chosen = self._recipe.chosen_objects if ids_persist else 0.0
        return draw_task(query.labels, data.label_kind, chosen=chosen, rng=rng)

    def _mix(
        self, scene: _Scene, data: DataSet, size: int, rng: np.random.Generator
    ) -> Example:
        """Stitch each picture from views of two images, with one colour map."""
        images, shown, task = [], [], scene.task
        for source in scene.sources:
            other = data.images[int(rng.integers(len(data.images)))]
            one, two = draw_views(2, kind="free", rng=rng)
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
            pair = (
                _shown(task, source.labels, one, size),
                _shown(task, far.labels, two, size),
            )
            shown.append(np.where(place, *pair))
        return self._finish(images, shown, task, rng)

    def _finish(
        self,
        images: list[NDArray[np.uint8]],
        shown: list[NDArray[np.uint8]],
        task: Task,
        rng: np.random.Generator,
    ) -> Example:
        """Make an example of images, their regions and what is known: (2, S, S)."""
        recipe = self._recipe
        coloured = rng.random() < recipe.coloured_background
        regions = [one for one, _ in shown]
        known = np.stack([one for _, one in shown])
        prompts = len(regions) - 1
        if rng.random() < recipe.spoiled_prompts:
            one = int(rng.integers(prompts))
            regions[one] = spoil(regions[one], rng)
        if prompts > 1 and rng.random() < recipe.partial_prompts:
            one = int(rng.integers(prompts))
            regions[one] = keep_few(regions[one], rng)
            # A hint: what is not labelled says nothing.
            if rng.random() < 0.5 and regions[one].any():
                known[one] &= regions[one] > 0
        look = Look.draw(rng)
        return Example(
            images=np.stack(images),
            regions=np.stack(regions),
            known=known,
            palette=task.palette(rng, coloured_background=coloured),
            looks=tuple(look.vary(rng) for _ in regions),
            is_instance=task.is_instance,
        )


def _shown(
    task: Task, labels: NDArray[np.integer[Any]], view: View, size: int
) -> NDArray[np.uint8]:
    """Return the regions of a view of labels, and which are known: (2, S, S).

    A border is enlarged with its frame, as that of a small frame is when predicting,
    and never thinner than it is in a frame of the view's size.
    """
    seen = view.labels(labels, size)
    regions = task.regions(seen)
    if task.border:
        border = view.labels(find_border(labels).astype(np.uint8), size)
        regions[border > 0] = task.num_regions
    return np.stack([regions, task.known(seen).astype(np.uint8)])


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


def keep_few(regions: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Keep few of the objects in regions (H, W), as on a frame that is half done."""
    objects, count = label(regions, connectivity=1, return_num=True)
    if count < 2:
        return regions
    share = rng.uniform(*KEPT_OBJECTS)
    kept = rng.random(count + 1) < share
    kept[rng.integers(1, count + 1)] = True
    return np.where(kept[objects], regions, 0).astype(regions.dtype)


def _neighbours(
    data: DataSet, count: int, rng: np.random.Generator
) -> list[LabelledImage]:
    """Draw frames of one sequence near each other; the last is the query."""
    frames = data.sequences[rng.integers(len(data.sequences))]
    query = int(rng.integers(len(frames)))
    others = [i for i in range(len(frames)) if 0 < abs(i - query) <= FARTHEST] or [
        query
    ]
    places = rng.choice(others, size=count - 1, replace=len(others) < count - 1)
    return [data.images[frames[i]] for i in (*places, query)]


def _partner(
    query: int, wanted: frozenset[int], data: DataSet, rng: np.random.Generator
) -> LabelledImage:
    """Draw another image of the set that shows most of what is wanted.

    A person's references show what they want to find; without ids that mean the same
    in all images, any image with labels does.
    """
    others = [int(i) for i in rng.integers(len(data.images), size=CANDIDATES)]
    others = [i for i in others if i != query] or [(query + 1) % len(data.images)]
    best = max(
        others,
        key=lambda i: len(wanted & data.shown(i)) if wanted else bool(data.shown(i)),
    )
    return data.images[best]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """What an example shows: its task, and of each picture the image and the view."""

    task: Task
    sources: list[LabelledImage]
    views: list[View]
