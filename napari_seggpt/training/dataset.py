"""In-context pairs from labelled images: two views of one image, or two of a kind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.io import read_frame
from napari_seggpt.io.folder import image_files
from napari_seggpt.preprocessing import (
    measure_limits,
    resize_labels,
    resize_rgb,
    to_rgb,
)
from napari_seggpt.training.augmentation import Photometric, View, draw_views
from napari_seggpt.training.coloring import Task, draw_task
from napari_seggpt.training.synthesis import simulate_pair

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.settings import Recipe

MOST_CLASSES = 16  # with more ids in an image, they are taken for objects
LONGEST_SIDE = 384  # larger images are shrunk once, when they are read
TRIES = 1000  # until an example with something to segment is drawn
CANDIDATES = 4  # of so many images, the one most alike becomes the partner


class DataError(ValueError):
    """A folder that is no data set: what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """An 8-bit image (H, W) or (H, W, 3) and its labels (H, W)."""

    image: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """Labelled images of one kind: equal ids mean equal things, unless instances.

    Attributes
    ----------
    label_kind : str
        "semantic", "instance" or "binary".
    weight : float
        How often it is drawn, against the other sets.
    """

    name: str
    label_kind: str
    images: tuple[LabelledImage, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """K prompts and one query (the last), coloured alike.

    Attributes
    ----------
    images : NDArray[np.uint8]
        (K + 1, S, S, 3).
    colors : NDArray[np.float32]
        (K + 1, S, S, 3), 0 to 1.
    foreground : NDArray[np.bool_]
        (S, S), where the query is coloured otherwise than its background.
    is_instance : bool
        Which type embedding it trains.
    """

    images: NDArray[np.uint8]
    colors: NDArray[np.float32]
    foreground: NDArray[np.bool_]
    is_instance: bool


def read_datasets(root: Path) -> list[DataSet]:
    """Read a folder with `images/` and `labels/`, or one of such folders.

    A `datasets.json` beside the folders tells each one's `label_kind`; without it a
    set with more than 16 ids in its first image counts as instances.

    Raises
    ------
    DataError
        If there is no pair of images and labels.
    """
    return [_read_set(folder, facts) for folder, facts in find_datasets(root)]


def find_datasets(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Find the folders of data sets, each with what a manifest tells of it.

    Raises
    ------
    DataError
        If no folder has a pair of images and labels, or the manifest is no JSON.
    """
    is_single = (root / "images").is_dir()
    folders = [root] if is_single else sorted(root.glob("*/"))
    facts = _read_manifest(root.resolve().parent if is_single else root)
    found = [(folder, facts.get(folder.name, {})) for folder in folders]
    found = [(folder, fact) for folder, fact in found if pair_files(folder)]
    if not found:
        raise DataError(
            f"Expected images/ and labels/ with equal names in {root}, got none."
        )
    return found


def _read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    file = folder / "datasets.json"
    if not file.is_file():
        return {}
    try:
        facts = json.loads(file.read_text())
    except ValueError as error:
        raise DataError(f"Expected JSON in {file}, got: {error}") from error
    if not isinstance(facts, dict):
        raise DataError(f"Expected a JSON object in {file}, got a list or value.")
    return facts


def guess_kind(labels: NDArray[np.integer[Any]]) -> str:
    """Guess from one image whether its labels are objects or classes."""
    return "instance" if len(np.unique(labels)) > MOST_CLASSES else "semantic"


def _read_set(folder: Path, facts: dict[str, Any]) -> DataSet:
    images = tuple(_read_pair(image, label) for image, label in pair_files(folder))
    kind = facts.get("label_kind") or guess_kind(images[0].labels)
    # A set of 400 images teaches more than one of 20, but not 20 times more.
    weight = len(images) ** 0.5
    return DataSet(name=folder.name, label_kind=kind, images=images, weight=weight)


def pair_files(folder: Path) -> list[tuple[Path, Path]]:
    """List the images of a data set that have labels of the same name."""
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        return []
    labels = {path.stem: path for path in image_files(folder / "labels")}
    images = image_files(folder / "images")
    return [(path, labels[path.stem]) for path in images if path.stem in labels]


def _read_pair(image_path: Path, label_path: Path) -> LabelledImage:
    frame = read_frame(image_path)
    # Grey stays one channel: all images of a run are kept in memory.
    is_shown = frame.dtype == np.uint8 and frame.ndim == 2
    image = frame if is_shown else to_rgb(frame, measure_limits([frame]))
    labels = read_frame(label_path, labels=True)
    if labels.shape != image.shape[:2]:
        raise DataError(
            f"Expected labels of shape {image.shape[:2]} in {label_path}, "
            f"got {labels.shape}."
        )
    scale = LONGEST_SIDE / max(labels.shape)
    if scale < 1:
        size = (round(labels.shape[0] * scale), round(labels.shape[1] * scale))
        image, labels = resize_rgb(image, size), resize_labels(labels, size)
    return LabelledImage(image=image, labels=labels)


def simulated_datasets(count: int, *, size: int, seed: int) -> Iterator[DataSet]:
    """Simulate pairs of images; each pair is a data set of its own look."""
    for index in range(count):
        pair = simulate_pair(np.random.default_rng((seed, index)), size=size)
        yield DataSet(
            name=pair[0].kind,
            label_kind=pair[0].label_kind,
            images=tuple(LabelledImage(image=x.image, labels=x.labels) for x in pair),
        )


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

    def draw(self, rng: np.random.Generator, *, prompts: int) -> Example:
        """Draw one example with so many prompts; a function of the generator alone."""
        for _ in range(TRIES):
            data = self._draw_set(rng)
            example = self._try_draw(data, prompts, rng)
            if example is not None:
                return example
        raise DataError(f"Expected labels to learn from, got none in {TRIES} tries.")

    def _draw_set(self, rng: np.random.Generator) -> DataSet:
        simulate = rng.random() < self._recipe.simulated
        if self._simulated and (simulate or not self._real):
            return self._simulated[rng.integers(len(self._simulated))]
        return self._real[rng.choice(len(self._real), p=self._weights)]

    def _try_draw(
        self, data: DataSet, prompts: int, rng: np.random.Generator
    ) -> Example | None:
        """Draw from one set; None where prompt or query would be left uncoloured."""
        query = data.images[rng.integers(len(data.images))]
        alone = len(data.images) == 1 or rng.random() < self._recipe.same_image
        task = draw_task(query.labels, data.label_kind, same_image=alone, rng=rng)
        if alone:
            near = rng.random() < self._recipe.near_views
            sources = [query] * (prompts + 1)
            views = draw_views(prompts + 1, near=near, rng=rng)
        else:
            sources = [_partner(query, data, rng) for _ in range(prompts)] + [query]
            views = draw_views(prompts + 1, near=False, rng=rng)
        return self._render(sources, views, task, rng)

    def _render(
        self,
        sources: list[LabelledImage],
        views: list[View],
        task: Task,
        rng: np.random.Generator,
    ) -> Example | None:
        size = self._recipe.image_size
        look = Photometric.draw(rng)
        coloured = rng.random() < self._recipe.coloured_background
        palette = task.palette(rng, coloured_background=coloured)
        images, colors, shown = [], [], []
        for source, view in zip(sources, views, strict=True):
            regions = task.regions(view.labels(source.labels, size))
            images.append(look.vary(rng).apply(view.image(source.image, size), rng))
            colors.append(palette[regions])
            shown.append(regions > 0)
        if not shown[-1].any() or not any(part.any() for part in shown[:-1]):
            return None
        return Example(
            images=np.stack(images),
            colors=np.stack(colors),
            foreground=shown[-1],
            is_instance=task.is_instance,
        )


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
