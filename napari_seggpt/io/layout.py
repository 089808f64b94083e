"""What every source of frames tells: names and lengths of its axes, and units.

The names are those of `axes`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    Calibration = Mapping[str, tuple[float, str]]
    Index = tuple[int | slice, ...]

Item = TypeVar("Item")

UNNAMED = "?"
MAYBE_COLORS, MAYBE_CHANNELS = "?s", "?c"  # what the file calls so, perhaps by mistake
FRAME_AXES = ("y", "x")
ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")

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

    Attributes
    ----------
    calibration : mapping
        For an axis the distance of two neighbours and its unit; axes of unknown
        calibration are left out.
    notes : tuple of str
        What a person should know of how the file is read.
    is_lossy : bool
        Whether values were blurred by JPEG.
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    calibration: Calibration
    notes: tuple[str, ...] = ()
    is_lossy: bool = False

    def __post_init__(self) -> None:
        """Check that the data holds frames: axes y and x, and at least one pixel."""
        named = [axis for axis in self.axes if axis != UNNAMED]
        if not set(FRAME_AXES) <= set(named) or len(set(named)) != len(named):
            raise StackError(
                f"Expected axes that include y and x once each, got {self.axes}."
            )
        if 0 in self.shape:
            raise StackError(f"Expected at least one pixel, got shape {self.shape}.")


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


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr array or group; zarr itself is not loaded."""
    return any((path / name).is_file() for name in ZARR_FILES)
