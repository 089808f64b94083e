"""Region: a part of every frame, to which a run is limited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.session.frames.frame_labels import with_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.session.references.reference import PromptSource
    from napari_seggpt.session.runs.predictor_cache import RunRequest

    Labels = NDArray[np.integer[Any]]

CONTEXT = 0.1  # of the region's sides that the model is shown around it
MIN_CONTEXT = 16  # pixels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """The pixels that a run may write, the same ones in every frame.

    Attributes
    ----------
    mask : NDArray
        (H, W), true inside.

    Raises
    ------
    ValueError
        If nothing is inside.
    """

    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse a region without pixels."""
        if not self.mask.any():
            raise ValueError("Expected a region that lies on the frames, got none.")

    @property
    def box(self) -> tuple[slice, slice]:
        """Rows and columns that the model is shown: the region and what is around."""
        rows, columns = (
            _with_context(np.flatnonzero(self.mask.any(axis=1 - axis)), length)
            for axis, length in enumerate(self.mask.shape)
        )
        return rows, columns

    def paste(
        self, labels: Labels, confidence: NDArray[np.float32], old: Labels
    ) -> tuple[Labels, NDArray[np.float32]]:
        """Put what was predicted in the box into a frame; outside nothing changes.

        Parameters
        ----------
        labels, confidence : NDArray
            (h, w), of the box.
        old : NDArray
            (H, W), the labels of the frame as they are.

        Returns
        -------
        labels, confidence : NDArray
            (H, W); outside the region the confidence is 1.
        """
        box, inside = self.box, self.mask[self.box]
        whole = np.zeros(old.shape, labels.dtype)
        whole[box] = labels
        sure = np.ones(old.shape, np.float32)
        sure[box][inside] = confidence[inside]
        return with_labels(old, whole, self.mask), sure

    def within(self, request: RunRequest) -> RunRequest:
        """Return the request of a run that sees only the box.

        Raises
        ------
        ValueError
            If no reference has labels there, and there is no tuned prompt.
        """
        sources = tuple(self.crop(source) for source in request.sources)
        if not request.tuned and not any(source.labels.any() for source in sources):
            raise ValueError(
                "Expected a reference with labels in the region, got none."
            )
        stack = RegionFrames(request.stack, self)
        return replace(request, sources=sources, stack=stack)

    def crop(self, source: PromptSource) -> PromptSource:
        """Return what the model is shown of a frame of the stack; others stay."""
        if source.frame is None:
            return source
        rows, columns = self.box
        place = (rows.start, rows.stop, columns.start, columns.stop)
        return replace(
            source,
            identity=(*source.identity, place),
            labels=source.labels[self.box].copy(),
        )


class RegionFrames:
    """The box of a region of every frame of a stack.

    Two are equal if they show the same box of the same stack.

    Parameters
    ----------
    stack : Frames
        Whole frames.
    region : Region
        What is shown of them.
    """

    def __init__(self, stack: Frames, region: Region) -> None:
        self._stack = stack
        self._box = region.box

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, RegionFrames)
            and other._stack is self._stack
            and other._box == self._box
        )

    def __hash__(self) -> int:
        return hash((id(self._stack), repr(self._box)))

    def __len__(self) -> int:
        return len(self._stack)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self._stack[index][self._box]


def _with_context(places: NDArray[np.intp], length: int) -> slice:
    first, last = int(places[0]), int(places[-1]) + 1
    context = max(MIN_CONTEXT, round(CONTEXT * (last - first)))
    return slice(max(0, first - context), min(length, last + context))
