"""Which axes stored data has, and which of them the frames of a stack run along.

Axes are lower-case names: ``y`` and ``x`` span a frame, ``c`` (channels) and ``s``
(colour samples) lie within it, and frames run along one of the others, mostly ``z``
or ``t``. A file may leave an axis unnamed, written ``?`` until `name_axes`, or may call
frames by mistake colours (``?s``) or channels (``?c``). Axes of length 1 do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.io.layout import (
    FRAME_AXES,
    MAYBE_CHANNELS,
    MAYBE_COLORS,
    UNNAMED,
    StackError,
    axis_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_seggpt.io.layout import Index, Layout

CHANNEL_AXES = ("c", "s")
TIME_AND_DEPTH = "tz"  # frames that run along both: one volume after the other
MOST_CHANNELS = 4  # more images in an unnamed row are frames rather than channels
MOST_FRAMES = 1_000_000  # nine hours of video


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Where frames lie in stored data.

    `fixed` has for every axis the index of all frames, or None where a frame takes
    the whole axis; `position` is the axis that frames run along, None for a lone
    frame. If they run along two, `outer` is that of the volumes, of which there are
    `num_outer`. `block_lengths` are the axes, in stored order, that a frame has, and
    `long_axes` those of all data that are longer than 1. `notes` say what else the
    data could be taken for.
    """

    axis: str
    length: int
    fixed: tuple[int | None, ...]
    position: int | None
    block_lengths: Mapping[str, int]
    long_axes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    outer: int | None = None
    num_outer: int = 1

    def index(self, frame: int) -> Index:
        """Return where a frame lies: one integer or full slice per axis."""
        row, column = divmod(frame, self.length // self.num_outer)
        places = {self.position: column, self.outer: row}
        return tuple(
            places[i] if i in places else slice(None) if at is None else at
            for i, at in enumerate(self.fixed)
        )


def guess_axes(shape: Sequence[int], *, labels: bool = False) -> tuple[str, ...]:
    """Return axes for data that names none: frames, then y, x, then 3 or 4 colours.

    Labels have no colours.

    Raises
    ------
    StackError
        If the data has not 2 to 4 axes longer than 1.
    """
    has_colors = not labels and len(shape) > 2 and shape[-1] in (3, 4)
    colors = ("s",) if has_colors else ()
    leading = shape[: len(shape) - 2 - len(colors)]
    if len(shape) < 2 or sum(length > 1 for length in leading) > 2:
        raise StackError(
            "Expected data of 2 to 4 axes where the axes are not named, "
            f"got shape {tuple(shape)}."
        )
    return (*[UNNAMED] * len(leading), *FRAME_AXES, *colors)


def name_axes(
    layout: Layout, wanted: str | None, *, channels: bool | None = None
) -> tuple[str, ...]:
    """Return the axes with every unnamed one named: `wanted` if it is alone, or t, z.

    Parameters
    ----------
    layout : Layout
        What is stored.
    wanted : str, optional
        The axis that frames are to run along.
    channels : bool, optional
        Whether what may be channels is taken for channels, or for frames. By default
        it is decided as napari shows it, or by its length.

    Raises
    ------
    StackError
        If more than two axes longer than 1 have no name.
    """
    axes = _without_doubt(layout, channels)
    lengths = dict(zip(axes, layout.shape, strict=True))
    unnamed = [i for i, axis in enumerate(axes) if axis == UNNAMED]
    for place in [i for i in unnamed if layout.shape[i] == 1]:
        axes[place] = f"empty {place}"
    unnamed = [i for i in unnamed if layout.shape[i] > 1]
    # ImageJ files may count all their images on an axis of its own and leave z and t
    # at length 1: such a z or t holds nothing and gives its name away.
    names = [name for name in ("z", "t") if lengths.get(name, 1) == 1]
    if len(unnamed) == 1:
        if channels and lengths.get("c", 1) == lengths.get("s", 1) == 1:
            names = ["c"]
        elif wanted is not None and lengths.get(wanted, 1) == 1:
            names = [wanted]
    if len(unnamed) > len(names):
        raise StackError(
            f"Expected at most {len(names)} axes without a name, "
            f"got {len(unnamed)} in shape {layout.shape}."
        )
    for place, name in zip(reversed(unnamed), names, strict=False):
        if name in axes:
            axes[axes.index(name)] = f"empty {name}"
        axes[place] = name
    return tuple(axes)


def _without_doubt(layout: Layout, channels: bool | None) -> list[str]:
    """Return the axes with each that may be colours or channels decided."""
    others = (*FRAME_AXES, *CHANNEL_AXES, MAYBE_COLORS, MAYBE_CHANNELS)
    pairs = list(zip(layout.axes, layout.shape, strict=True))
    is_alone = all(length == 1 for axis, length in pairs if axis not in others)
    decided = []
    for axis, length in pairs:
        if axis == MAYBE_COLORS:
            is_stack = channels is False or (channels is None and is_alone)
            axis = UNNAMED if is_stack else "s"
        elif axis == MAYBE_CHANNELS:
            is_stack = channels is None and is_alone and length > MOST_CHANNELS
            axis = UNNAMED if is_stack else "c"
        elif axis == "s" and channels is False:
            axis = UNNAMED
        decided.append(axis)
    return decided


def select_frames(
    layout: Layout, axis: str | None, at: int, *, channels: bool | None = None
) -> Selection:
    """Decide which axis the frames run along and where the other one is fixed.

    Parameters
    ----------
    layout : Layout
        What is stored.
    axis : str, optional
        The axis that frames run along; by default the only one longer than 1, or z.
        "tz" means both, where both are longer than 1.
    at : int
        Index on the other axis.
    channels : bool, optional
        As of `name_axes`; False takes every channel for a frame.

    Raises
    ------
    StackError
        If the axis is not in the data, is ambiguous, or `at` lies outside.
    """
    axis = wanted = None if axis is None else axis_name(axis)
    if axis in (*FRAME_AXES, "s"):
        raise StackError(f"Expected an axis that frames can run along, got {axis!r}.")
    is_pair = axis == TIME_AND_DEPTH
    if is_pair:
        axis = None
    axes = name_axes(layout, axis, channels=channels)
    lengths = dict(zip(axes, layout.shape, strict=True))
    choices = {
        name: length
        for name, length in lengths.items()
        if name not in (*FRAME_AXES, "s") and not name.startswith("empty")
    }
    inside = {*FRAME_AXES} if channels is False else {*FRAME_AXES, *CHANNEL_AXES}
    stacked = {name: n for name, n in choices.items() if name not in inside}
    is_pair = is_pair and min(stacked.get("t", 1), stacked.get("z", 1)) > 1
    if is_pair:
        axis = "z"
    elif axis is None:
        axis = _default_axis(stacked)
    elif stacked and axis not in choices:
        raise StackError(f"Expected an axis among {_sizes(choices)}, got {axis!r}.")
    along = ("t", "z") if is_pair else (axis,)
    others = {name: n for name, n in stacked.items() if name not in along and n > 1}
    _check_others(others, at)
    times = lengths["t"] if is_pair else 1
    length = lengths.get(axis, 1) * times
    if length > MOST_FRAMES:
        raise StackError(f"Expected at most {MOST_FRAMES} frames, got {length}.")
    inside -= {axis}
    # What was asked for needs no explanation.
    is_chosen = channels is not None or wanted == "c"
    notes = [] if is_chosen else [*_doubts(layout, axes, inside, length)]
    if length == 1 and others:
        notes.append(f"one frame along {axis}, of data with {_sizes(others)}")
    return Selection(
        axis=axis,
        length=length,
        fixed=tuple(
            None if name in inside else at if name in others else 0 for name in axes
        ),
        position=axes.index(axis) if axis in axes else None,
        block_lengths={name: n for name, n in lengths.items() if name in inside},
        long_axes=tuple(name for name, n in lengths.items() if n > 1),
        notes=tuple(notes),
        outer=axes.index("t") if is_pair else None,
        num_outer=times,
    )


def _doubts(
    layout: Layout, axes: Sequence[str], inside: set[str], length: int
) -> Iterator[str]:
    """Say what else the data could be taken for."""
    for stored, name, count in zip(layout.axes, axes, layout.shape, strict=True):
        is_doubtful = stored in (MAYBE_COLORS, MAYBE_CHANNELS)
        what = "colours" if stored == MAYBE_COLORS else "channels"
        if count == 1:
            continue
        if is_doubtful and name not in inside:
            yield (
                f"{count} frames, which the file calls {what} of one picture: "
                "channels=True (--channels yes) reads it so"
            )
        elif stored == MAYBE_COLORS or (name == "c" and name in inside and length == 1):
            yield (
                f"{length} frame(s) of {count} {what}: channels=False "
                f"(--channels no) reads each of the {count} as a frame"
            )


def _default_axis(stacked: Mapping[str, int]) -> str:
    """Return the only axis longer than 1, else z, else whatever there is."""
    long = [name for name, n in stacked.items() if n > 1]
    if len(long) > 1:
        raise StackError(
            f"Expected the axis that the frames run along, as the data has "
            f"{_sizes(stacked)}: pass axis={long[0]!r} or axis={long[1]!r}, "
            f"and at= for the index on the other one{_both(long)}."
        )
    return long[0] if long else "z" if "z" in stacked else next(iter(stacked), "z")


def _both(long: Sequence[str]) -> str:
    """Return how both axes are asked for, if they are time and depth."""
    return f", or axis={TIME_AND_DEPTH!r} for both" if {*long} == {"t", "z"} else ""


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
