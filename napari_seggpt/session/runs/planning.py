"""Which frames a run predicts, and what its predictions depend on."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from napari_seggpt.session.frames.status import PROTECTED
from napari_seggpt.settings import CleanupSettings, ObjectSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_seggpt.session.frames.status import FrameStatus
    from napari_seggpt.settings import Direction, PropagationSettings, SessionSettings

Scope = Literal["frame", "range", "forward", "backward", "all", "stale", "between"]


def frames_in_scope(
    scope: Scope, current: int, length: int, settings: PropagationSettings
) -> range:
    """Return the frames that a scope means, in ascending order.

    Raises
    ------
    ValueError
        If there is no such scope, or no such frame.
    """
    if scope not in get_args(Scope):
        raise ValueError(
            f"Expected one of {', '.join(get_args(Scope))}, got {scope!r}."
        )
    if not 0 <= current < length:
        raise ValueError(f"Expected a frame from 0 to {length - 1}, got {current}.")
    if scope == "frame":
        return range(current, current + 1)
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


def reachable(
    frames: Iterable[int], references: Sequence[int], direction: Direction
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
        Where to go from a reference.
    """
    if not references or direction == "both":
        return list(frames)
    if direction == "forward":
        return [frame for frame in frames if bisect_left(references, frame) > 0]
    return [
        frame for frame in frames if bisect_left(references, frame) < len(references)
    ]


def between(frames: Iterable[int], references: Sequence[int]) -> list[int]:
    """Return the frames that have a reference on both sides.

    Parameters
    ----------
    frames : iterable of int
        None of them a reference.
    references : sequence of int
        In ascending order.
    """
    return [f for f in frames if 0 < bisect_left(references, f) < len(references)]


def refusal(scope: Scope, current: int, status: FrameStatus) -> str:
    """Say why a run has no frame to predict."""
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
