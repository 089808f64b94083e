"""Prompt: one labelled example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """An image and the labels that somebody vouches for.

    Attributes
    ----------
    image : NDArray
        (H, W) or (H, W, C), of any dtype that `preprocessing.to_rgb` takes.
    labels : NDArray
        (H, W), integers; 0 is background.
    index : int, optional
        The frame of the stack that it was taken from, if any.
    """

    image: NDArray[Any]
    labels: NDArray[np.integer[Any]]
    index: int | None = None

    def __post_init__(self) -> None:
        """Refuse an image and labels that do not belong together."""
        if self.image.ndim not in (2, 3):
            raise ValueError(
                f"Expected an image (H, W) or (H, W, C), got shape {self.image.shape}."
            )
        if self.labels.shape != self.image.shape[:2]:
            raise ValueError(
                f"Expected labels of the image's shape {self.image.shape[:2]}, "
                f"got {self.labels.shape}."
            )
        if not (
            np.issubdtype(self.labels.dtype, np.integer) or self.labels.dtype == bool
        ):
            raise ValueError(
                f"Expected labels of an integer type, got {self.labels.dtype}."
            )

    @property
    def ids(self) -> NDArray[np.int64]:
        """The label ids that occur, without 0, in order."""
        ids = np.unique(self.labels).astype(np.int64)
        return ids[ids != 0]
