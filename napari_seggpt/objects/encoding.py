"""Objects as few class colours: background, interior and border."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.objects.class_ids import class_of_id
from napari_seggpt.objects.kinds import object_classes
from napari_seggpt.objects.shapes import (
    ObjectSizes,
    largest_pieces,
    measure_depths,
    measure_sizes,
    separate,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]

# The border of an object is as wide as this share of a typical radius, but takes no
# more than that share of the object's own depth, and at least a pixel.
BORDER = 0.3
OWN_BORDER = 0.5
NO_BACKGROUND = 0.05  # where less than this share is background, objects fill a frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectEncoding:
    """How instance labels become class labels: so one prompt shows any number.

    A pixel is background (0), interior of an object, or border: the outer part of an
    object, along its whole outline. The interiors of one class have one label. Each
    object has one connected interior, and interiors never touch.

    Attributes
    ----------
    sizes : ObjectSizes
        Of the references' objects.
    fills_frame : bool
        Whether there is hardly any background.
    classes : dict of int to int
        The class of each object id that the references have.
    """

    sizes: ObjectSizes
    fills_frame: bool = False
    classes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, references: Sequence[Labels], classes: Mapping[int, int] | None = None
    ) -> ObjectEncoding:
        """Measure the objects of the references.

        Parameters
        ----------
        references : sequence of NDArray
            (H, W) each, one id an object.
        classes : mapping of int to int, optional
            The class of each id; see `kinds.object_classes`.

        Raises
        ------
        ValueError
            If there is no object of 3 x 3 pixels.
        """
        ids = {int(i) for labels in references for i in np.unique(labels)} - {0}
        background = np.mean([np.mean(labels == 0) for labels in references])
        return cls(
            sizes=measure_sizes(separate(labels) for labels in references),
            fills_frame=bool(background < NO_BACKGROUND),
            classes=object_classes(sorted(ids), classes),
        )

    @property
    def kinds(self) -> tuple[int, ...]:
        """The classes, in order; the interior of the first has label 1, and so on."""
        return tuple(sorted(set(self.classes.values()))) or (1,)

    @property
    def border_width(self) -> float:
        """How wide a border of a typical object is, in pixels."""
        return BORDER * self.sizes.radius

    @property
    def border(self) -> int:
        """The label of borders: after those of all interiors."""
        return len(self.kinds) + 1

    def encode(self, labels: Labels) -> NDArray[np.uint8]:
        """Turn instance labels (H, W) into class labels (H, W).

        Regions of less than 3 x 3 pixels have no interior, only border.
        """
        objects = separate(labels)
        interior = self._interior(objects)
        encoded = np.zeros(labels.shape, dtype=np.uint8)
        encoded[labels != 0] = self.border
        encoded[interior] = 1  # an id that tells no known class is of the first
        kinds = self.kinds
        if len(kinds) == 1:
            return encoded
        ids = np.unique(labels).tolist()
        # Predicted ids are of no reference, but tell their class.
        classes = {i: class_of_id(i) for i in ids} | dict(self.classes)
        for number, kind in enumerate(kinds[1:], start=2):
            of_kind = [i for i in ids if classes[i] == kind]
            encoded[interior & np.isin(labels, of_kind)] = number
        return encoded

    def _interior(self, objects: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mark the interiors of objects numbered from 1: one piece of each."""
        depths = measure_depths(objects)
        width = self._widths(objects, depths.deepest)[tuple(depths.nearest)]
        deepest = depths.deepest[objects]
        inside = (depths.pixels > width) | (depths.pixels >= deepest)
        return largest_pieces(np.where(inside, objects, 0))

    def _widths(
        self, objects: NDArray[np.int64], deepest: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return how wide the border is at each pixel (H, W) of an outline.

        Where two objects touch it is equally wide on both sides: half way between
        their interiors is then where they meet.
        """
        widths = np.minimum(self.border_width, OWN_BORDER * deepest)
        widths = np.maximum(widths, 1.0)
        widths[0] = np.inf
        own = widths[objects]
        least = own.copy()
        for here, there in (
            (np.s_[1:], np.s_[:-1]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ):
            least[here] = np.minimum(least[here], own[there])
        return least
