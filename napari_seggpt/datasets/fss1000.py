"""FSS-1000: a thousand categories with ten images each (Li et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.datasets.base import (
    ImageDataset,
    check_any,
    list_files,
    numbered,
    read_grey,
    read_lines,
    read_rgb,
)
from napari_seggpt.datasets.few_shot import Episode, draw_supports

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_seggpt.datasets.base import Labels, Picture

IMAGES = 10  # of each category
HALF = 128  # of grey; above is the object
NEEDS = ("*/1.jpg", "*/1.png")  # what its folder has in it


@dataclass(frozen=True, slots=True, kw_only=True)
class FssFold:
    """Categories of FSS-1000, each with ten images; every image is a query once."""

    folder: Path
    names: tuple[str, ...]

    @property
    def classes(self) -> Sequence[int]:
        """One id a category, in the order of their names."""
        return range(1, len(self.names) + 1)

    def queries(self) -> int:
        """Return how many images there are, each of which is a query once."""
        return len(self._queries())

    def episodes(
        self, shots: int, seed: int, count: int | None = None
    ) -> Iterator[Episode]:
        """Yield an episode for every image, or the first so many."""
        rng = np.random.RandomState(seed)
        numbers = range(1, IMAGES + 1)
        for class_id, name, query in self._queries()[:count]:
            supports = draw_supports(numbers, query, shots, rng)
            yield Episode(
                class_id=class_id,
                query=_fss_sample(self.folder / name, query),
                supports=tuple(_fss_sample(self.folder / name, x) for x in supports),
            )

    def _queries(self) -> list[tuple[int, str, int]]:
        """List class, category and number of the images, in the order of testing."""
        return [
            (class_id, name, int(file.stem))
            for class_id, name in enumerate(self.names, 1)
            for file in list_files(self.folder / name, "*.jpg")
        ]


def fss_fold(folder: Path, splits: Path | None = None) -> FssFold:
    """Return the test categories of FSS-1000: those of HSNet's list, else all."""
    if splits is None:
        names = [x.name for x in folder.glob("*/") if (x / "1.jpg").is_file()]
    else:
        names = read_lines(splits / "fss" / "test.txt")
    return FssFold(
        folder=folder, names=tuple(sorted(check_any(names, "categories", folder)))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FssSample:
    """An image that shows one category, and its mask: white, by HSNet's threshold."""

    name: str
    image_file: Path
    class_id: int

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def labels(self) -> Labels:
        """Return the category (H, W)."""
        grey = read_grey(self.image_file.with_suffix(".png"))
        return np.where(grey >= HALF, self.class_id, 0).astype(np.int32)


def _fss_sample(folder: Path, number: int, class_id: int = 1) -> FssSample:
    return FssSample(
        name=f"{folder.name}/{number}",
        image_file=folder / f"{number}.jpg",
        class_id=class_id,
    )


def open_fss1000(folder: Path, subset: str) -> ImageDataset[FssSample]:
    """Open FSS-1000 as one data set of all its categories."""
    names = fss_fold(folder).names
    samples = [
        _fss_sample(folder / name, int(file.stem), class_id)
        for class_id, name in enumerate(names, 1)
        for file in list_files(folder / name, "*.jpg")
    ]
    return ImageDataset(
        title="FSS-1000", subset=subset, classes=numbered(names), samples=samples
    )
