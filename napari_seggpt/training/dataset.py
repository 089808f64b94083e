"""Labelled images to train on: read from folders, or simulated."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
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
from napari_seggpt.training.synthesis import simulate_pair, simulate_sequence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.training.recipe import Recipe

MOST_CLASSES = 16  # with more ids in an image, they are taken for objects
MANIFEST = "datasets.json"
UNKNOWN = "unknown"  # in the manifest, the value in label files of unknown pixels
LONGEST_SIDE = 512  # larger images are shrunk once, when they are read
VOLUME_NAME = re.compile(r"(.*\d)_(\d+)")
SEQUENCE_LENGTH = 8  # frames of a simulated sequence


class DataError(ValueError):
    """A folder that is no data set: what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """An 8-bit image (H, W) or (H, W, 3) and its labels (H, W); below 0 is unknown."""

    image: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Labelled images of one kind: equal ids mean equal things, unless instances.

    Attributes
    ----------
    label_kind : str
        "semantic", "instance" or "binary".
    weight : float
        How often it is drawn, against the other sets.
    sequences : tuple of tuple of int
        The places of consecutive frames, in which an object keeps its id.
    """

    name: str
    label_kind: str
    images: Sequence[LabelledImage]
    weight: float = 1.0
    sequences: tuple[tuple[int, ...], ...] = ()
    _shown: dict[int, frozenset[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def shown(self, place: int) -> frozenset[int]:
        """Return the ids above 0 that occur in an image."""
        if place not in self._shown:
            ids = np.unique(self.images[place].labels)
            self._shown[place] = frozenset(int(i) for i in ids if i > 0)
        return self._shown[place]


def read_datasets(root: Path) -> list[DataSet]:
    """Read a folder with `images/` and `labels/`, or one of such folders.

    A `datasets.json` beside the folders may tell each one's `label_kind`, without
    which a set with more than 16 ids in its first image counts as instances, its
    `weight`, without which it is the fourth root of the number of images, the value
    that stands for `unknown` pixels in its labels, beside those below 0, and the file
    names of its `sequences`. Without sequences, files of classes named `p7_12` and
    `p7_15` count as slices of one volume; ids of objects may mean another in each.

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
    file = folder / MANIFEST
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
    pairs = pair_files(folder)
    images = tuple(_read_pair(*pair, facts.get(UNKNOWN)) for pair in pairs)
    kind = facts.get("label_kind") or guess_kind(images[0].labels)
    # A set of 400 images teaches more than one of 20, but not 20 times more.
    weight = float(facts.get("weight", len(images) ** 0.25))
    if not 0 <= weight < math.inf:
        raise DataError(f"Expected a weight of 0 or more of {folder}, got {weight}.")
    sequences = _told_sequences(pairs, facts)
    if not sequences and kind != "instance":
        sequences = _volumes([image.stem for image, _ in pairs])
    return DataSet(
        name=folder.name,
        label_kind=kind,
        images=images,
        weight=weight,
        sequences=tuple(sequences),
    )


def _told_sequences(
    pairs: list[tuple[Path, Path]], facts: dict[str, Any]
) -> list[tuple[int, ...]]:
    """Return the places of the frames of each sequence that a manifest tells of."""
    places = {image.name: place for place, (image, _) in enumerate(pairs)}
    told = [
        tuple(places[name] for name in names if name in places)
        for names in facts.get("sequences", {}).values()
    ]
    return [sequence for sequence in told if sequence]


def _volumes(names: list[str]) -> list[tuple[int, ...]]:
    """Group slices of one volume by name: the volume's, with a digit, and a number."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):  # sorted: slice 2 comes before slice 10
        if match := VOLUME_NAME.fullmatch(name):
            groups.setdefault(match[1], []).append(place)
    return [tuple(places) for places in groups.values() if len(places) > 1]


def pair_files(folder: Path) -> list[tuple[Path, Path]]:
    """List the images of a data set that have labels of the same name."""
    if not (folder / "images").is_dir() or not (folder / "labels").is_dir():
        return []
    labels = {path.stem: path for path in image_files(folder / "labels")}
    images = image_files(folder / "images")
    return [(path, labels[path.stem]) for path in images if path.stem in labels]


def read_labels(path: Path, unknown: int | None) -> NDArray[np.integer[Any]]:
    """Read labels (H, W); those of the value that stands for unknown become -1."""
    labels = read_frame(path, labels=True)
    if unknown is None:
        return labels
    return np.where(labels == unknown, -1, labels.astype(np.int64))


def _read_pair(
    image_path: Path, label_path: Path, unknown: int | None
) -> LabelledImage:
    frame = read_frame(image_path)
    # Grey stays one channel: all images of a run are kept in memory.
    is_shown = frame.dtype == np.uint8 and frame.ndim == 2
    image = frame if is_shown else to_rgb(frame, measure_limits([frame]))
    labels = read_labels(label_path, unknown)
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


def simulated_datasets(recipe: Recipe) -> Iterator[DataSet]:
    """Simulate what the recipe asks for: pairs of images, and sequences.

    Each is a data set of its own look, and a function of the seed and its number.
    """
    size = recipe.simulated_size
    for index in range(recipe.simulated_groups if recipe.simulated > 0 else 0):
        rng = np.random.default_rng((recipe.seed, index))
        is_sequence = rng.random() < recipe.sequences
        images = (
            simulate_sequence(rng, length=SEQUENCE_LENGTH, size=size)
            if is_sequence
            else simulate_pair(rng, size=size)
        )
        yield DataSet(
            name=images[0].kind,
            label_kind=images[0].label_kind,
            images=tuple(LabelledImage(image=x.image, labels=x.labels) for x in images),
            sequences=(tuple(range(len(images))),) if is_sequence else (),
        )
