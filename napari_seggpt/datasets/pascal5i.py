"""PASCAL-5i: four folds of five classes of PASCAL VOC (Shaban et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.datasets.base import check_any, read_lines
from napari_seggpt.datasets.few_shot import (
    EPISODES,
    FEWEST_PIXELS,
    FOLDS,
    Episode,
    OneClass,
    draw_supports,
)
from napari_seggpt.datasets.voc import VOC, voc_sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_seggpt.datasets.base import Sample

NEEDS = ("JPEGImages", "SegmentationClass*")  # what its folder has in it


@dataclass(frozen=True, slots=True, kw_only=True)
class PascalFold:
    """A fold of PASCAL-5i: five classes in turn.

    Attributes
    ----------
    listed : sequence of (str, int)
        Images and the class from 1 that each is tested on, in the order of testing.
    """

    folder: Path
    classes: tuple[int, ...]
    listed: Sequence[tuple[str, int]]

    def episodes(
        self, shots: int, seed: int, count: int | None = None
    ) -> Iterator[Episode]:
        """Yield 1000 episodes, or so many; after the last image comes the first."""
        rng = np.random.RandomState(seed)
        by_class: dict[int, list[str]] = {}
        for name, class_id in self.listed:
            by_class.setdefault(class_id, []).append(name)
        for number in range(EPISODES if count is None else count):
            query, class_id = self.listed[number % len(self.listed)]
            supports = draw_supports(by_class[class_id], query, shots, rng)
            yield Episode(
                class_id=class_id,
                query=self._sample(query, class_id),
                supports=tuple(self._sample(str(x), class_id) for x in supports),
            )

    def _sample(self, name: str, class_id: int) -> Sample:
        return OneClass(sample=voc_sample(self.folder, name), class_id=class_id)


def pascal_fold(folder: Path, number: int, splits: Path | None = None) -> PascalFold:
    """Return a fold of PASCAL-5i, 0 to 3.

    Parameters
    ----------
    folder : Path
        PASCAL VOC 2012.
    number : int
        Which fold.
    splits : Path, optional
        `data/splits` of HSNet. Without it the images are those of VOC's val set that
        show 2048 pixels or more of a class.
    """
    width = len(VOC) // FOLDS
    classes = tuple(range(number * width + 1, (number + 1) * width + 1))
    if splits is None:
        listed = _list_pascal(folder, classes)
    else:
        lines = read_lines(splits / "pascal" / "val" / f"fold{number}.txt")
        pairs = (line.split("__") for line in lines)
        listed = [(name, int(class_id)) for name, class_id in pairs]
    return PascalFold(
        folder=folder, classes=classes, listed=check_any(listed, "images", folder)
    )


def _list_pascal(folder: Path, classes: Sequence[int]) -> list[tuple[str, int]]:
    names = read_lines(folder / "ImageSets" / "Segmentation" / "val.txt")
    found = []
    for name in names:
        labels = voc_sample(folder, name).labels()
        shown = np.bincount(labels[labels > 0], minlength=len(VOC) + 1)
        found += [(name, i) for i in classes if shown[i] >= FEWEST_PIXELS]
    return found
