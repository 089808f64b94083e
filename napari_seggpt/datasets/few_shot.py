"""Episodes of few-shot segmentation, drawn as HSNet draws them.

The episodes are those that HSNet draws in its tests, number for number, where its lists
are at hand (`data/splits` of its repository). Where they are not, the lists are made of
the annotations, which gives other episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_seggpt.datasets.base import IGNORED, DatasetError, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels

FOLDS = 4
EPISODES = 1000  # of a fold of PASCAL-5i and COCO-20i
FEWEST_PIXELS = 2048  # of a class in an image, where we list the images ourselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """A class, some images in which it is marked, and one in which it is looked for.

    Attributes
    ----------
    class_id : int
        From 1.
    query, supports : Sample
        Their labels are the class as 1, else 0 or `IGNORED`.
    """

    class_id: int
    query: Sample
    supports: tuple[Sample, ...]


class Fold(Protocol):
    """The classes that are tested together."""

    @property
    def classes(self) -> Sequence[int]:
        """The ids of its classes."""

    def episodes(self, shots: int, seed: int, count: int | None) -> Iterator[Episode]:
        """Yield so many episodes, or as many as is usual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneClass:
    """A sample of which only one class is wanted."""

    sample: Sample
    class_id: int

    @property
    def name(self) -> str:
        """That of the sample."""
        return self.sample.name

    def image(self) -> NDArray[Any]:
        """Return the image (H, W, 3)."""
        return self.sample.image()

    def labels(self) -> Labels:
        """Return the class (H, W) as 1; what is ignored stays so."""
        labels = self.sample.labels()
        wanted = (labels == self.class_id).astype(np.int32)
        wanted[labels == IGNORED] = IGNORED
        return wanted


def draw_supports(
    names: Sequence[Any], query: Any, shots: int, rng: np.random.RandomState
) -> list[Any]:
    """Draw until there are enough that are not the query; one may come twice.

    Raises
    ------
    DatasetError
        If there is nothing but the query to draw from.
    """
    if all(name == query for name in names):
        raise DatasetError(f"Expected several images of the class of {query}, got one.")
    drawn: list[Any] = []
    while len(drawn) < shots:
        name = rng.choice(names, 1, replace=False)[0]
        if name != query:
            drawn.append(name)
    return drawn
