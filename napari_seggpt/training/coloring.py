"""In-context colouring: which regions are coloured, and how (paper, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from napari_seggpt.palette import random_colors, separated_colors

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_OBJECTS = 4  # chosen objects, each of its own colour
MAX_CLASSES = 6
# Of instance data: all objects alike, chosen objects, or the border between them.
ALL_OBJECTS, BORDER = 0.55, 0.2
WHITE_ALONE = 0.4  # a single region is white so often, as it is when predicting


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is coloured in an example, the same for prompts and query.

    Attributes
    ----------
    groups : tuple of tuple of int
        The label ids of each coloured region; empty where all objects are one region.
    border : bool
        Whether the objects' border is coloured, too, as the last region.
    is_instance : bool
        Whether the regions are objects rather than classes.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    border: bool = False
    is_instance: bool = False

    @property
    def num_regions(self) -> int:
        """How many colours the task has, besides the background's."""
        return max(1, len(self.groups)) + self.border

    def regions(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
        """Number the coloured regions of a label image (H, W) from 1; 0 is the rest."""
        regions = np.zeros(labels.shape, dtype=np.intp)
        if not self.groups:
            regions[labels > 0] = 1
        for number, ids in enumerate(self.groups, start=1):
            regions[np.isin(labels, ids)] = number
        if self.border:
            edge = find_boundaries(labels, mode="thick")
            regions[edge] = self.num_regions
        return regions

    def palette(
        self, rng: np.random.Generator, *, coloured_background: bool
    ) -> NDArray[np.float32]:
        """Draw colours (1 + regions, 3); the first is the background's."""
        count = self.num_regions
        if coloured_background:
            return random_colors(count + 1, rng)
        if rng.random() < WHITE_ALONE:
            colors = rng.permutation(separated_colors(count))
        else:
            colors = random_colors(count, rng)
        return np.vstack([np.zeros((1, 3)), colors]).astype(np.float32)


def draw_task(
    labels: NDArray[np.integer[Any]],
    label_kind: str,
    *,
    same_image: bool,
    rng: np.random.Generator,
) -> Task:
    """Draw what is coloured in the examples of a label image (H, W).

    Chosen objects are drawn only for two views of one image: an object has no
    counterpart in another.
    """
    ids = np.unique(labels)
    ids = ids[ids > 0]
    if label_kind != "instance":
        return _draw_classes(ids, rng)
    dice = rng.random()
    if dice < ALL_OBJECTS or (not same_image and dice >= ALL_OBJECTS + BORDER):
        return Task()
    if dice < ALL_OBJECTS + BORDER:
        return Task(border=True)
    count = min(len(ids), int(rng.integers(1, MAX_OBJECTS + 1)))
    chosen = rng.permutation(ids)[:count]
    return Task(groups=tuple((int(i),) for i in chosen), is_instance=True)


def _draw_classes(ids: NDArray[np.integer[Any]], rng: np.random.Generator) -> Task:
    if len(ids) == 0:
        return Task()
    count = int(rng.integers(1, min(len(ids), MAX_CLASSES) + 1))
    chosen = rng.permutation(ids)[:count]
    return Task(groups=tuple((int(i),) for i in chosen))
