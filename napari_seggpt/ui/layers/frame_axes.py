"""FrameAxes: where the frames of a stack lie in the array of a layer."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.frames import FrameGrid
from napari_seggpt.io.layout import axis_name
from napari_seggpt.ui.layers.file_axes import axis_lengths, file_axis_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from napari.layers import Layer
    from numpy.typing import NDArray

    Index = tuple[int | slice, ...]
    Along = int | tuple[int, ...] | None  # the axis or axes that frames run along

_UNNAMED = re.compile(r"(axis )?-?\d*")  # what napari calls an axis without a name
AXIS_RANKS = {"t": 0, "z": 1, "c": 3}  # of names; frames rarely run along channels


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAxes:
    """Where the frames of a stack lie in an array.

    Attributes
    ----------
    shape : tuple of int
        Of the array, without the axis of colours.
    along : tuple of int
        The axes that frames run along: none for a lone frame, or two, of which frames
        are numbered along the last one first.
    fixed : tuple of (int, int)
        Axis and index, of the axes that all frames lie at one index of.
    """

    shape: tuple[int, ...]
    along: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls,
        shape: Sequence[int],
        axis: Along,
        fixed: Mapping[int, int] | None = None,
    ) -> Self:
        """Check where frames lie; axes may be counted from the end.

        Parameters
        ----------
        shape : sequence of int
            Of the array.
        axis : int, tuple of int or None
            The axis or axes that frames run along.
        fixed : mapping of int to int, optional
            Axis and index, of the others that a frame does not span.

        Raises
        ------
        ValueError
            If an axis or index is not in the array, or other than two axes are left.
        """
        shape = tuple(int(length) for length in shape)
        along = tuple(checked_axis(at, shape) for at in axes_of(axis))
        places = {checked_axis(at, shape): i for at, i in (fixed or {}).items()}
        for at in along:
            if at in places:
                raise ValueError(f"Expected axis {at} to be free, got it fixed.")
        for at, index in places.items():
            if not 0 <= index < shape[at]:
                raise ValueError(
                    f"Expected an index from 0 to {shape[at] - 1} on axis {at}, "
                    f"got {index}."
                )
        left = len(shape) - len(places) - len({*along})
        if left != 2 or len({*along}) < len(along):
            raise ValueError(
                "Expected frames of two axes, "
                f"got {left} in data of shape {shape} with axis {axis} for frames "
                f"and {len(places)} fixed."
            )
        return cls(shape=shape, along=along, fixed=tuple(sorted(places.items())))

    def __len__(self) -> int:
        """Return the number of frames."""
        return math.prod(self.lengths)

    @property
    def lengths(self) -> tuple[int, ...]:
        """How many frames there are along each axis that they run along."""
        return tuple(self.shape[at] for at in self.along)

    def grid(self, names: Sequence[str]) -> FrameGrid:
        """Return how frames lie, given the name of each axis that they run along."""
        if len(self.along) != 2:
            return FrameGrid.row(len(self))
        (rows, columns), (first, second) = self.lengths, names
        return FrameGrid(shape=(rows, columns), names=(first, second))

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        height, width = (self.shape[at] for at in self.spanned)
        return height, width

    @property
    def spanned(self) -> tuple[int, ...]:
        """The two axes that a frame spans, rows first."""
        taken = {*self.along, *dict(self.fixed)}
        return tuple(at for at in range(len(self.shape)) if at not in taken)

    def index(self, frame: int) -> Index:
        """Return where a frame lies: one integer or full slice per axis."""
        places = {**dict(self.fixed), **self.places(frame)}
        return tuple(places.get(at, slice(None)) for at in range(len(self.shape)))

    def places(self, frame: int) -> dict[int, int]:
        """Return the index of a frame on each axis that frames run along."""
        found = {}
        for at in self.along[:0:-1]:
            frame, found[at] = divmod(frame, self.shape[at])
        return {**found, self.along[0]: frame} if self.along else {}

    def frame_at(self, places: Mapping[int, int]) -> int:
        """Return the frame at an index of each axis that frames run along."""
        frame = 0
        for at, length in zip(self.along, self.lengths, strict=True):
            frame = frame * length + places[at]
        return frame

    def frame_of(self, index: Index) -> int | None:
        """Return the frame that lies at an `index`; None if none lies just there."""
        places = {at: x for at, x in enumerate(index) if not isinstance(x, slice)}
        is_cut_so = places.keys() == {*self.along, *dict(self.fixed)}
        if not is_cut_so or any(places[at] != place for at, place in self.fixed):
            return None
        return self.frame_at({at: places[at] for at in self.along})

    def frames_in(self, box: Sequence[slice]) -> frozenset[int]:
        """Return the frames that a box of the array touches."""
        for at, index in self.fixed:
            if index not in range(*box[at].indices(self.shape[at])):
                return frozenset()
        touched = (range(*box[at].indices(self.shape[at])) for at in self.along)
        return frozenset(
            self.frame_at(dict(zip(self.along, places, strict=True)))
            for places in itertools.product(*touched)
        )

    def frames_at(self, pixels: Sequence[NDArray[np.integer]]) -> frozenset[int]:
        """Return the frames that pixels lie on, given as an array (P,) per axis."""
        inside = np.ones(pixels[0].shape, bool)
        for at, index in self.fixed:
            inside &= pixels[at] == index
        if not self.along:
            return frozenset({0} if inside.any() else ())
        places = tuple(pixels[at][inside] for at in self.along)
        return frozenset(np.unique(np.ravel_multi_index(places, self.lengths)).tolist())


def axes_of(axis: Along) -> tuple[int, ...]:
    """Return the axes that frames run along: none, one, or several."""
    if axis is None:
        return ()
    return axis if isinstance(axis, tuple) else (axis,)


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
    """Return the lower-case names of a layer's axes, None where it names none.

    Of a layer that names no axis, those in the TIFF that it was read from.
    """
    labels = [str(label).strip() for label in layer.axis_labels]
    names = [None if _UNNAMED.fullmatch(x) else axis_name(x) for x in labels]
    return names if any(names) else file_axis_names(layer) or names


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
    lengths = axis_lengths(layer)
    axes = [at for at in range(layer.ndim) if at not in spanned]
    axes.sort(key=lambda at: (lengths[at] == 1, AXIS_RANKS.get(names[at] or "", 2), at))
    return [(at, names[at] or f"axis {at}") for at in axes]


def axis_pair(layer: Layer) -> tuple[int, int] | None:
    """Return the two likeliest axes that frames may run along both, if there are two.

    Time comes before depth, and depth last: frames are the slices of volumes, also of
    one volume a position. Channels are not among them.
    """
    lengths, names = axis_lengths(layer), dict(stack_axes(layer))
    axes = [at for at, name in names.items() if name != "c" and lengths[at] > 1]
    if len(axes) < 2:
        return None
    one, other = axes[:2]
    return (other, one) if names[one] == "z" else (one, other)


def plane_axes(layer: Layer) -> list[tuple[int, str]]:
    """List the axes that a volume may be cut along instead of depth.

    Returns
    -------
    list of (int, str)
        The axis of rows, which gives slices of columns and depth, and that of columns,
        with what people call these slices; none for a layer that is no volume.
    """
    if volume_axis(layer) is None:
        return []
    names = axis_names(layer)
    rows, columns = sorted(_spanned_axes(names))
    row, column = (
        names[at] or default for at, default in ((rows, "y"), (columns, "x"))
    )
    return [(rows, f"{column}-z slices"), (columns, f"{row}-z slices")]


def volume_axis(layer: Layer) -> int | None:
    """Return the axis of depth: the one named z, or the only one without a name."""
    if getattr(layer, "rgb", False):
        return None
    axes = dict(stack_axes(layer))
    named = [at for at, name in axes.items() if name == "z"]
    unnamed = [at for at, name in axes.items() if name.startswith("axis ")]
    depths = named or (unnamed if len(axes) == 1 else [])
    if not depths:
        return None
    low, high = layer.extent.data[:, depths[0]]
    return depths[0] if high > low else None


def _spanned_axes(names: Sequence[str | None]) -> set[int]:
    """Return the two axes that an image spans: those named y and x, or the last."""
    if "y" in names and "x" in names:
        return {names.index("y"), names.index("x")}
    return {len(names) - 2, len(names) - 1}


def channel_axis(layer: Layer) -> int | None:
    """Return the axis that a layer names as that of its channels, if it does."""
    names = axis_names(layer)
    return names.index("c") if "c" in names and len(names) > 2 else None
