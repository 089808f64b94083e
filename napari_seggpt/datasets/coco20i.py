"""COCO-20i: four folds of 20 classes of COCO 2014 (Nguyen and Todorovic 2019)."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import (
    DatasetError,
    PairedSample,
    as_it_is,
    check_any,
    list_files,
    understood,
)
from napari_seggpt.datasets.coco import open_instances
from napari_seggpt.datasets.few_shot import (
    EPISODES,
    FEWEST_PIXELS,
    FOLDS,
    Episode,
    OneClass,
    draw_supports,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import ImageDataset, Labels, Sample
    from napari_seggpt.datasets.coco import CocoSample

COCO_CLASSES = 80
NEEDS = ("val2014", "annotations/*val2014*")  # what its folder has in it


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFold:
    """A fold of COCO-20i: every fourth of the 80 classes.

    Attributes
    ----------
    by_class : mapping of int to sequence of Sample
        By class from 1, the images that show it.
    """

    classes: tuple[int, ...]
    by_class: Mapping[int, Sequence[Sample]]

    def episodes(
        self, shots: int, seed: int, count: int | None = None
    ) -> Iterator[Episode]:
        """Yield 1000 episodes, or so many: a class at random, then its images."""
        rng = np.random.RandomState(seed)
        for _ in range(EPISODES if count is None else count):
            class_id = int(rng.choice(self.classes, 1, replace=False)[0])
            samples = self.by_class[class_id]
            places = np.arange(len(samples))
            query = rng.choice(places, 1, replace=False)[0]
            supports = draw_supports(list(places), query, shots, rng)
            yield Episode(
                class_id=class_id,
                query=OneClass(sample=samples[query], class_id=class_id),
                supports=tuple(
                    OneClass(sample=samples[x], class_id=class_id) for x in supports
                ),
            )


def coco_fold(folder: Path, number: int, splits: Path | None = None) -> CocoFold:
    """Return a fold of COCO-20i, 0 to 3.

    HSNet's lists are read wherever the classes are: in maps or in instances.

    Parameters
    ----------
    folder : Path
        COCO 2014, with maps of classes as PNG in annotations/val2014/ as HSNet has
        them, or with annotations/instances_val2014.json.
    number : int
        Which fold.
    splits : Path, optional
        `data/splits` of HSNet. Without it the images are those of val2014 that show
        2048 pixels or more of a class.

    Raises
    ------
    DatasetError
        If there is no fold, no list, or not what the list names.
    """
    classes = tuple(range(number + 1, COCO_CLASSES + 1, FOLDS))
    maps = folder / "annotations" / "val2014"
    by_class: dict[int, Sequence[Sample]]
    if splits is not None:
        names = _read_lists(splits / "coco" / "val" / f"fold{number}.pkl")
        find = partial(_mapped, folder) if maps.is_dir() else _by_name(folder)
        by_class = {i: [find(name) for name in names.get(i - 1, ())] for i in classes}
    else:
        by_class = _list_coco(folder, classes, maps)
    present = tuple(i for i in classes if len(by_class[i]) > 1)
    return CocoFold(
        classes=tuple(check_any(list(present), "classes with images", folder)),
        by_class=by_class,
    )


def _mapped(folder: Path, name: str) -> PairedSample:
    """Return an image by its path in COCO 2014, as val2014/COCO_val2014_1.jpg."""
    return PairedSample(
        name=name.rpartition("/")[2].removesuffix(".jpg"),
        image_file=folder / name,
        label_file=(folder / "annotations" / name).with_suffix(".png"),
        decode=as_it_is(COCO_CLASSES),
    )


def _by_name(folder: Path) -> Callable[[str], Sample]:
    """Return what finds an image of the instances by its path in COCO 2014."""
    dataset, numbers = _open_instances(folder)
    samples = {one.name: one for one in dataset.samples}

    def find(name: str) -> Sample:
        stem = PurePosixPath(name).stem
        if stem not in samples:
            raise DatasetError(
                f"Expected {name} in instances_val2014.json of {folder}, as the lists "
                "of --splits name it, got none."
            )
        return Renumbered(sample=samples[stem], numbers=numbers)

    return find


def _open_instances(
    folder: Path,
) -> tuple[ImageDataset[CocoSample], dict[int, int]]:
    """Open the instances, and number their classes from 1 without gaps."""
    dataset = open_instances(folder, "val2014")
    return dataset, {i: place for place, i in enumerate(sorted(dataset.classes), 1)}


def _list_coco(
    folder: Path, classes: Sequence[int], maps: Path
) -> dict[int, Sequence[Sample]]:
    by_class: dict[int, list[Sample]] = {i: [] for i in classes}
    if maps.is_dir():
        for file in list_files(maps, "*.png"):
            sample = _mapped(folder, f"val2014/{file.stem}.jpg")
            labels = sample.labels()
            shown = np.bincount(labels[labels > 0], minlength=COCO_CLASSES + 1)
            for i in classes:
                if shown[i] >= FEWEST_PIXELS:
                    by_class[i].append(sample)
        return dict(by_class)
    dataset, numbers = _open_instances(folder)
    for each in dataset.samples:
        areas: dict[int, float] = {}
        for one in each.annotations:
            number = numbers[one.class_id]
            areas[number] = areas.get(number, 0.0) + one.area
        for i in classes:
            if areas.get(i, 0.0) >= FEWEST_PIXELS:
                by_class[i].append(Renumbered(sample=each, numbers=numbers))
    return dict(by_class)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renumbered:
    """A sample whose classes get other ids."""

    sample: Sample
    numbers: Mapping[int, int]

    @property
    def name(self) -> str:
        """That of the sample."""
        return self.sample.name

    def image(self) -> NDArray[Any]:
        """Return the image (H, W, 3)."""
        return self.sample.image()

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W) by its new id."""
        labels = self.sample.labels()
        renumbered = np.minimum(labels, 0)
        for old, new in self.numbers.items():
            renumbered[labels == old] = new
        return renumbered


class _Lists(pickle.Unpickler):
    """Reads lists, dicts, numbers and text; whatever else a file names is refused."""

    def find_class(self, module: str, name: str, /) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} instead of lists of names")


def _read_lists(file: Path) -> dict[int, list[str]]:
    """Read which images show each class, from 0."""
    with understood("lists of images", file):
        try:
            lists = _Lists(io.BytesIO(file.read_bytes())).load()
        except (EOFError, pickle.UnpicklingError) as error:
            raise ValueError(error) from error
        return {int(i): [str(name) for name in names] for i, names in lists.items()}
