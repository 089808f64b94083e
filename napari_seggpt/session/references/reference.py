"""References as they are shown, and as they are handed to a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import evenly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_seggpt.prompts import Prompt

# Labels and images of so many reference frames are held in memory by a run, or of
# `max_prompts` if that is more.
MAX_REFERENCES_IN_MEMORY = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One example that the model is shown.

    Attributes
    ----------
    frame : int or None
        The frame of the stack; None if it comes from elsewhere.
    enabled : bool
        Whether it is used.
    is_labelled : bool
        Whether it has any label; one without shows what is background.
    name : str or None
        What an example from elsewhere was called when it was added.
    prompt : Prompt or None
        The example from elsewhere.
    """

    frame: int | None = None
    enabled: bool = True
    is_labelled: bool = True
    name: str | None = None
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptSource:
    """What a worker makes a prompt of.

    Attributes
    ----------
    identity : tuple
        Equal for two sources only if they make equal prompts.
    labels : NDArray
        (H, W), a copy.
    frame : int or None
        The frame of the stack that the image is read from.
    image : NDArray or None
        The image, if it comes from elsewhere.
    """

    identity: tuple[object, ...]
    labels: NDArray[np.integer[Any]]
    frame: int | None = None
    image: NDArray[Any] | None = None


def choose_references(
    references: Sequence[int], frames: Sequence[int], limit: int
) -> list[int]:
    """Choose at most so many references for some frames, so that memory is bounded.

    Those among the frames and the next ones on both sides come first, evenly spread,
    then those nearest to them.

    Parameters
    ----------
    references, frames : sequence of int
        In ascending order; at least one frame.
    limit : int
        At least 1.
    """
    if len(references) <= limit:
        return list(references)
    first, last = frames[0], frames[-1]
    start = int(np.searchsorted(references, first))
    stop = int(np.searchsorted(references, last, side="right"))
    near = list(references[max(start - 1, 0) : stop + 1])
    if len(near) > limit:
        return evenly(near, limit)
    far = sorted(
        {*references} - {*near}, key=lambda r: first - r if r < first else r - last
    )
    return sorted(near + far[: limit - len(near)])
