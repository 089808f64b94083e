"""Which axes stored data has, and which of them the frames of a stack run along.

Axes are lower-case names: ``y`` and ``x`` span a frame, ``c`` (channels) and ``s``
(colour samples) lie within it, and frames run along one of the others, mostly ``z``
or ``t``. A file may leave an axis unnamed, written ``?`` until `name_axes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    Calibration = Mapping[str, tuple[float, str]]
    Index = tuple[int | slice, ...]

Item = TypeVar("Item")

UNNAMED = "?"
FRAME_AXES = ("y", "x")
CHANNEL_AXES = ("c", "s")

_UNIT_SPELLINGS = {
    "micrometer": ("µm", "μm", "um", "micron", "microns", "micrometre", r"\u00b5m"),
    "nanometer": ("nm", "nanometre"),
    "millimeter": ("mm", "millimetre"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "angstrom": ("å", "a"),
    "inch": ("in", "inches"),
    "second": ("s", "sec", "secs", "seconds"),
    "millisecond": ("ms", "msec", "milliseconds"),
    "minute": ("min", "mins", "minutes"),
    "hour": ("h", "hr", "hours"),
    "pixel": ("px", "pixels"),
    "frame": ("frames", "reference frame"),
}
_CANONICAL_UNITS = {
    spelling: unit
    for unit, spellings in _UNIT_SPELLINGS.items()
    for spelling in (unit, unit + "s", *spellings)
}


class StackError(ValueError):
    """A stack or label file that cannot be read or written, and why, in one line."""


class Source(Protocol):
    """Where the pixels of a stack come from: one implementation per format."""

    @property
    def layout(self) -> Layout:
        """The axes of the data, known without reading a pixel."""

    def read(self, index: Index) -> npt.NDArray[Any]:
        """Return the block at one integer or full slice per axis, as numpy would."""

    def close(self) -> None:
        """Release the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Names and lengths of the axes of stored data, its dtype and its calibration.

    `calibration` gives for an axis the distance of two neighbours and its unit;
    axes of unknown calibration are left out.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    calibration: Calibration

    def __post_init__(self) -> None:
        """Check that the data holds frames: axes y and x, and at least one pixel."""
        named = [axis for axis in self.axes if axis != UNNAMED]
        if not set(FRAME_AXES) <= set(named) or len(set(named)) != len(named):
            raise StackError(
                f"Expected axes that include y and x once each, got {self.axes}."
            )
        if 0 in self.shape:
            raise StackError(f"Expected at least one pixel, got shape {self.shape}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Where frames lie in stored data.

    `fixed` has for every axis the index of all frames, or None where a frame takes
    the whole axis; `position` is the axis that frames run along, None for a lone
    frame. `block_lengths` are the axes, in stored order, that a frame has.
    """

    axis: str
    length: int
    fixed: tuple[int | None, ...]
    position: int | None
    block_lengths: Mapping[str, int]

    def index(self, frame: int) -> Index:
        """Return where a frame lies: one integer or full slice per axis."""
        return tuple(
            frame if i == self.position else slice(None) if at is None else at
            for i, at in enumerate(self.fixed)
        )


def normalize_unit(unit: str | None) -> str:
    """Return the full name of a unit: "µm", "um" and "micron" are "micrometer".

    Unknown spellings are returned as they are, None as "".
    """
    text = (unit or "").strip()
    return _CANONICAL_UNITS.get(text.lower(), text)


def axis_name(name: str) -> str:
    """Return the lower-case name of an axis, "t" for "time", "c" for "channel"."""
    return {"time": "t", "channel": "c"}.get(name.lower(), name.lower())


def positive(value: object) -> float | None:
    """Return `value` as a positive finite float, None if it is no such number."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def choose(items: Sequence[Item], index: int, what: str) -> Item:
    """Return the item a caller asked for by its index.

    Raises
    ------
    StackError
        If there is no such item.
    """
    if not 0 <= index < len(items):
        raise StackError(f"Expected {what} from 0 to {len(items) - 1}, got {index}.")
    return items[index]


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type if it has none."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def guess_axes(shape: Sequence[int]) -> tuple[str, ...]:
    """Return axes for data that names none: frames, then y, x, then 3 or 4 colours.

    Raises
    ------
    StackError
        If the data has not 2 to 4 axes.
    """
    colors = ("s",) if len(shape) > 2 and shape[-1] in (3, 4) else ()
    leading = len(shape) - 2 - len(colors)
    if not 0 <= leading <= 2:
        raise StackError(
            "Expected data of 2 to 4 axes where the axes are not named, "
            f"got shape {tuple(shape)}."
        )
    return (*[UNNAMED] * leading, *FRAME_AXES, *colors)


def name_axes(layout: Layout, wanted: str | None) -> tuple[str, ...]:
    """Return the axes with every unnamed one named: `wanted` if it is alone, or t, z.

    Raises
    ------
    StackError
        If more than two axes have no name.
    """
    axes = list(layout.axes)
    unnamed = [i for i, axis in enumerate(axes) if axis == UNNAMED]
    lengths = dict(zip(axes, layout.shape, strict=True))
    # ImageJ files may count all their images on an axis of its own and leave z and t
    # at length 1: such a z or t holds nothing and gives its name away.
    names = [name for name in ("z", "t") if lengths.get(name, 1) == 1]
    if len(unnamed) == 1 and wanted is not None and lengths.get(wanted, 1) == 1:
        names = [wanted]
    if len(unnamed) > len(names):
        raise StackError(
            f"Expected at most {len(names)} axes without a name, "
            f"got {len(unnamed)} in shape {layout.shape}."
        )
    for position, name in zip(reversed(unnamed), names, strict=False):
        if name in axes:
            axes[axes.index(name)] = f"empty {name}"
        axes[position] = name
    return tuple(axes)


def select_frames(layout: Layout, axis: str | None, at: int) -> Selection:
    """Decide which axis the frames run along and where the other one is fixed.

    Raises
    ------
    StackError
        If the axis is not in the data, is ambiguous, or `at` lies outside.
    """
    axis = None if axis is None else axis_name(axis)
    if axis in (*FRAME_AXES, "s"):
        raise StackError(f"Expected an axis that frames can run along, got {axis!r}.")
    axes = name_axes(layout, axis)
    lengths = dict(zip(axes, layout.shape, strict=True))
    choices = {name: n for name, n in lengths.items() if name not in (*FRAME_AXES, "s")}
    stacked = {name: n for name, n in choices.items() if name != "c"}
    if axis is None:
        axis = _default_axis(stacked)
    elif stacked and axis not in choices:
        raise StackError(f"Expected an axis among {_sizes(choices)}, got {axis!r}.")
    others = {name: n for name, n in stacked.items() if name != axis and n > 1}
    _check_others(others, at)
    inside = {*FRAME_AXES, *CHANNEL_AXES} - {axis}
    return Selection(
        axis=axis,
        length=lengths.get(axis, 1),
        fixed=tuple(
            None if name in inside else at if name in others else 0 for name in axes
        ),
        position=axes.index(axis) if axis in axes else None,
        block_lengths={name: n for name, n in lengths.items() if name in inside},
    )


def _default_axis(stacked: Mapping[str, int]) -> str:
    """Return the only axis longer than 1, else z, else whatever there is."""
    long = [name for name, n in stacked.items() if n > 1]
    if len(long) > 1:
        raise StackError(
            f"Expected the axis that the frames run along, as the data has "
            f"{_sizes(stacked)}: pass axis={long[0]!r} or axis={long[1]!r}, "
            "and at= for the index on the other one."
        )
    return long[0] if long else "z" if "z" in stacked else next(iter(stacked), "z")


def _check_others(others: Mapping[str, int], at: int) -> None:
    """Check that `at` fixes the axes that frames neither run along nor contain."""
    if len(others) > 1:
        raise StackError(
            f"Expected at most one axis besides that of the frames, "
            f"got {_sizes(others)}."
        )
    limit = next(iter(others.values()), 1)
    if not 0 <= at < limit:
        where = _sizes(others) or "no other axis"
        raise StackError(f"Expected at from 0 to {limit - 1} ({where}), got {at}.")


def _sizes(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={n}" for name, n in lengths.items())
