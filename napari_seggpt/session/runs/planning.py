"""Which frames a run predicts, and what its predictions depend on."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from napari_seggpt.object_settings import CleanupSettings, ObjectSettings
from napari_seggpt.session.frames.status import PROTECTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.object_settings import LinkedAxis
    from napari_seggpt.session.frames.status import FrameStatus
    from napari_seggpt.settings import Direction, PropagationSettings, SessionSettings

Scope = Literal[
    "frame", "range", "forward", "backward", "all", "row", "column", "stale", "between"
]
LINES: dict[Scope, int] = {"row": 1, "column": 0}  # the axis of the grid they run along


def line_axis(grid: FrameGrid, axis: LinkedAxis, own: LinkedAxis) -> int:
    """Return the axis of a grid, 0 or 1, that frames follow each other along.

    Along others, such as positions on a slide, nothing is carried on.

    Parameters
    ----------
    grid : FrameGrid
        How frames lie.
    axis : {"t", "z"}
        What they follow each other in, as a person has it.
    own : {"t", "z"}
        What they do so in by themselves.
    """
    for name in (axis, own):
        if name in grid.names:
            return grid.names.index(name)
    return 0 if axis == "t" else 1  # of axes without names time is the first


def frames_in_scope(
    scope: Scope, current: int, grid: FrameGrid, settings: PropagationSettings
) -> range:
    """Return the frames that a scope means, in ascending order.

    Of a stack along two axes, such as time and depth, "row" means all that the current
    frame shares its place on the first axis with, "column" that on the second.

    Raises
    ------
    ValueError
        If there is no such scope, or no such frame.
    """
    if scope not in get_args(Scope):
        raise ValueError(
            f"Expected one of {', '.join(get_args(Scope))}, got {scope!r}."
        )
    length = grid.shape[0] * grid.shape[1]
    if not 0 <= current < length:
        raise ValueError(f"Expected a frame from 0 to {length - 1}, got {current}.")
    if scope == "frame":
        return range(current, current + 1)
    if scope in LINES:
        lines = grid.along(LINES[scope])
        return lines.frames_of(lines.line(current))
    if scope == "forward":
        return range(current, length)
    if scope == "backward":
        return range(current + 1)
    if scope == "range":
        stop = length if settings.stop is None else min(settings.stop, length)
        return range(settings.start, stop, settings.step)
    return range(length)


def direction_of(scope: Scope, settings: PropagationSettings) -> Direction:
    """Return where to go from a reference: as set, in a range or the whole stack.

    Elsewhere the person has said which frames are meant, and the nearest reference on
    either side serves.
    """
    return settings.direction if scope in ("range", "all") else "both"


def step_of(scope: Scope, settings: PropagationSettings, grid: FrameGrid) -> int:
    """Return every how many frames of a line a run predicts one: as set, in a range.

    Elsewhere frames between those of a run are left out as they are labelled already,
    and count as frames that its objects are followed through.
    """
    return grid.spacing(settings.step) if scope == "range" else 1


def reachable(
    frames: Iterable[int],
    references: Sequence[int],
    direction: Direction,
    grid: FrameGrid,
) -> list[int]:
    """Return the frames that have a reference on the side the direction asks for.

    Parameters
    ----------
    frames : iterable of int
        None of them a reference.
    references : sequence of int
        In ascending order. Without any, all frames are reached, from examples that
        are not in the stack.
    direction : {"both", "forward", "backward"}
        Where to go from a reference, in the lines of the grid.
    grid : FrameGrid
        How frames lie.
    """
    if not references or direction == "both":
        return list(frames)
    places = [grid.place(reference) for reference in references]
    if direction == "forward":
        return [frame for frame in frames if grid.place(frame) >= min(places)]
    return [frame for frame in frames if grid.place(frame) <= max(places)]


def neighbours(
    frame: int, references: Sequence[int], grid: FrameGrid
) -> tuple[int, int] | None:
    """Return the next reference on either side in the line of a frame, if both are.

    Parameters
    ----------
    frame : int
        No reference.
    references : sequence of int
        In ascending order.
    grid : FrameGrid
        How frames lie.
    """
    line = grid.line(frame)
    inside = [r for r in references if grid.line(r) == line]
    at = bisect_left(inside, frame)
    return (inside[at - 1], inside[at]) if 0 < at < len(inside) else None


def between(
    frames: Iterable[int], references: Sequence[int], grid: FrameGrid
) -> list[int]:
    """Return the frames that have a reference on both sides in their line.

    Parameters
    ----------
    frames : iterable of int
        None of them a reference.
    references : sequence of int
        In ascending order.
    grid : FrameGrid
        How frames lie.
    """
    lines: dict[int, list[int]] = {}
    for reference in references:
        lines.setdefault(grid.line(reference), []).append(reference)
    ends = {line: (inside[0], inside[-1]) for line, inside in lines.items()}
    return [
        frame
        for frame in frames
        if (end := ends.get(grid.line(frame))) is not None and end[0] < frame < end[1]
    ]


def refusal(scope: Scope, current: str, status: FrameStatus) -> str:
    """Say why a run has no frame to predict; `current` is the name of a frame."""
    if scope == "stale":
        return "Expected stale frames, got none: what is predicted is up to date."
    if scope == "frame" and status in PROTECTED:
        return (
            f"Expected a frame that may be predicted, got frame {current}, which you "
            f"vouch for ({status.value})."
        )
    if scope == "between":
        return (
            "Expected frames between two references in use, got none: paint on a "
            "frame on either side."
        )
    return (
        "Expected frames to predict, got none: those meant are protected, or no "
        "reference lies on the side that the direction asks for."
    )


def prediction_basis(
    settings: SessionSettings, num_stacks: int, digests: Iterable[bytes]
) -> bytes:
    """Return a digest of what predictions depend on, beside the reference frames.

    Parameters
    ----------
    settings : SessionSettings
        Of the session.
    num_stacks : int
        How many stacks the session was given, one by one.
    digests : iterable of bytes
        Of examples and the tuned prompt.
    """
    # Where and how fast the network computes changes no prediction.
    prediction = replace(settings.prediction, device="auto", precision="auto", batch=1)
    memory = settings.propagation.memory
    direction = settings.propagation.direction if memory else None
    parts: tuple[object, ...] = (
        settings.model, prediction, settings.contrast, memory, direction, num_stacks,
        *digests,
    )  # fmt: skip
    answers = (settings.objects, settings.cleanup)
    if answers != (ObjectSettings(), CleanupSettings()):
        parts += answers  # else the key is that of earlier versions
    return hashlib.sha256(repr(parts).encode()).digest()
