"""FrameAxes: where the frames of a stack lie in the array of a layer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.io.layout import axis_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from napari.layers import Layer

    Index = tuple[int | slice, ...]

_UNNAMED = re.compile(r"(axis )?-?\d*")  # what napari calls an axis without a name
AXIS_RANKS = {"t": 0, "z": 1, "c": 3}  # of names; frames rarely run along channels


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAxes:
    """Where the frames of a stack lie in an array.

    Attributes
    ----------
    shape : tuple of int
        Of the array, without the axis of colours.
    axis : int or None
        The axis that frames run along; None for a lone frame.
    fixed : tuple of (int, int)
        Axis and index, of the axes that all frames lie at one index of.
    """

    shape: tuple[int, ...]
    axis: int | None
    fixed: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        axis: int | None,
        fixed: Mapping[int, int] | None = None,
    ) -> Self:
        """Check where frames lie; axes may be counted from the end.

        Raises
        ------
        ValueError
            If an axis or index is not in the array, or other than two axes are left.
        """
        shape = tuple(int(length) for length in shape)
        axis = None if axis is None else checked_axis(axis, shape)
        places = {checked_axis(at, shape): i for at, i in (fixed or {}).items()}
        if axis in places:
            raise ValueError(f"Expected axis {axis} to be free, got it fixed.")
        for at, index in places.items():
            if not 0 <= index < shape[at]:
                raise ValueError(
                    f"Expected an index from 0 to {shape[at] - 1} on axis {at}, "
                    f"got {index}."
                )
        left = len(shape) - len(places) - (axis is not None)
        if left != 2:
            raise ValueError(
                "Expected frames of two axes, "
                f"got {left} in data of shape {shape} with axis {axis} for frames "
                f"and {len(places)} fixed."
            )
        return cls(shape=shape, axis=axis, fixed=tuple(sorted(places.items())))

    def __len__(self) -> int:
        """Return the number of frames."""
        return 1 if self.axis is None else self.shape[self.axis]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        taken = {self.axis, *dict(self.fixed)}
        height, width = (n for at, n in enumerate(self.shape) if at not in taken)
        return height, width

    def index(self, frame: int) -> Index:
        """Return where a frame lies: one integer or full slice per axis."""
        places = dict(self.fixed)
        if self.axis is not None:
            places[self.axis] = frame
        return tuple(places.get(at, slice(None)) for at in range(len(self.shape)))

    def frames_in(self, box: Sequence[slice]) -> frozenset[int]:
        """Return the frames that a box of the array touches."""
        for at, index in self.fixed:
            if index not in range(*box[at].indices(self.shape[at])):
                return frozenset()
        if self.axis is None:
            return frozenset({0})
        return frozenset(range(*box[self.axis].indices(self.shape[self.axis])))


def checked_axis(axis: int, shape: Sequence[int]) -> int:
    """Return an axis counted from the start; refuse one that data has not.

    Raises
    ------
    ValueError
        If there is no such axis.
    """
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"Expected an axis of data of shape {shape}, got {axis}.")
    return axis % len(shape)


def axis_names(layer: Layer) -> list[str | None]:
    """Return the lower-case names of a layer's axes, None where it names none."""
    labels = [str(label).strip() for label in layer.axis_labels]
    return [None if _UNNAMED.fullmatch(x) else axis_name(x) for x in labels]


def stack_axes(layer: Layer) -> list[tuple[int, str]]:
    """List the axes of a layer that frames may run along, the likeliest first.

    Time comes before depth, and channels last; axes of length 1 come after all others.

    Returns
    -------
    list of (int, str)
        Axis and its name; none for a layer of one image.
    """
    names = axis_names(layer)
    spanned = _spanned_axes(names)
    lengths = [int(high - low) + 1 for low, high in layer.extent.data.T]
    axes = [at for at in range(layer.ndim) if at not in spanned]
    axes.sort(key=lambda at: (lengths[at] == 1, AXIS_RANKS.get(names[at] or "", 2), at))
    return [(at, names[at] or f"axis {at}") for at in axes]


def _spanned_axes(names: Sequence[str | None]) -> set[int]:
    """Return the two axes that an image spans: those named y and x, or the last."""
    if "y" in names and "x" in names:
        return {names.index("y"), names.index("x")}
    return {len(names) - 2, len(names) - 1}


def channel_axis(layer: Layer) -> int | None:
    """Return the axis that a layer names as that of its channels, if it does."""
    names = axis_names(layer)
    return names.index("c") if "c" in names and len(names) > 2 else None
