"""In-context colouring: which regions are coloured, and how (paper, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import binary_dilation
from skimage.segmentation import find_boundaries

from napari_seggpt.palette import random_colors, separated_colors

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_OBJECTS = 4  # chosen objects, each of its own colour
MAX_CLASSES = 4
MAX_REGIONS = max(MAX_OBJECTS, MAX_CLASSES, 2)  # 2: all objects, and their border
# Of instance data: all objects alike, objects and their border, the border alone, or
# (the rest) chosen objects.
ALL_OBJECTS, OBJECTS_AND_BORDER = 0.6, 0.2  # in the others only the border
# Where objects fill the picture, all of them against the rest is no task.
FILLED = 0.9
MERGED_CLASSES = 0.15  # two classes have one colour so often
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
    objects : bool
        Whether anything but the border is coloured.
    is_instance : bool
        Whether the regions are objects rather than classes.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    border: bool = False
    objects: bool = True
    is_instance: bool = False

    @property
    def num_regions(self) -> int:
        """How many colours the task has, besides the background's."""
        return self.objects * max(1, len(self.groups)) + self.border

    def regions(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """Number the coloured regions of a label image (H, W) from 1; 0 is the rest."""
        regions = np.zeros(labels.shape, dtype=np.uint8)
        if self.objects and not self.groups:
            regions[labels > 0] = 1
        for number, ids in enumerate(self.groups, start=1):
            regions[np.isin(labels, ids)] = number
        if self.border:
            regions[find_border(labels)] = self.num_regions
        return regions

    def known(self, labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return where the regions of a label image (H, W) are known."""
        return find_known(labels, border=self.border)

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


def find_border(labels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return where labels (H, W) meet, a pixel to either side of the line.

    Where they meet what is unknown (below 0), there need not be a border.
    """
    edge: NDArray[np.bool_] = find_boundaries(np.maximum(labels, 0), mode="thick")
    return edge & find_known(labels, border=True)


def find_known(labels: NDArray[np.integer[Any]], *, border: bool) -> NDArray[np.bool_]:
    """Return where labels (H, W) are known: not below 0.

    With `border`, where it is known whether they meet: the next pixels are known, too.
    """
    unknown: NDArray[np.bool_] = labels < 0
    return ~(binary_dilation(unknown) if border and unknown.any() else unknown)


def draw_task(
    labels: NDArray[np.integer[Any]],
    label_kind: str,
    *,
    chosen: float,
    rng: np.random.Generator,
) -> Task:
    """Draw what is coloured in the examples of a label image (H, W).

    Parameters
    ----------
    labels : NDArray
        (H, W).
    label_kind : str
        "instance", or anything else for classes.
    chosen : float
        How often some objects have a colour each. It is 0 where they have no
        counterparts, as they have in two views of an image or in a sequence.
    rng : numpy.random.Generator
        What is drawn with.
    """
    ids = np.unique(labels)
    ids = ids[ids > 0]
    if label_kind != "instance":
        return _draw_classes(ids, rng)
    if len(ids) and rng.random() < chosen:
        count = min(len(ids), int(rng.integers(1, MAX_OBJECTS + 1)))
        groups = tuple((int(i),) for i in rng.permutation(ids)[:count])
        return Task(groups=groups, is_instance=True)
    dice = rng.random()
    if dice < ALL_OBJECTS:
        is_filled = bool(np.count_nonzero(labels > 0) > FILLED * labels.size)
        return Task(border=is_filled, objects=not is_filled)
    return Task(border=True, objects=dice < ALL_OBJECTS + OBJECTS_AND_BORDER)


def _draw_classes(ids: NDArray[np.integer[Any]], rng: np.random.Generator) -> Task:
    if len(ids) == 0:
        return Task()
    count = int(rng.integers(1, min(len(ids), MAX_CLASSES) + 1))
    chosen = [int(i) for i in rng.permutation(ids)[:count]]
    if count > 1 and rng.random() < MERGED_CLASSES:
        return Task(groups=((chosen[0], chosen[1]), *((i,) for i in chosen[2:])))
    return Task(groups=tuple((i,) for i in chosen))
