"""Which labelled frames of a stack are shown to a model, so that memory is bounded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import DAMAGE, evenly
from napari_seggpt.objects.class_ids import ids_in
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid, Frames

logger = logging.getLogger(__name__)

MAX_HELD = 32  # reference frames that are held in memory, if max_prompts is not more
MAX_SEARCHED = 128  # of the others, that are looked at for labels which those lack


def choose_references(
    references: Sequence[int],
    frames: Sequence[int],
    *,
    max_prompts: int,
    shown: Callable[[int], Collection[int]],
    grid: FrameGrid | None = None,
) -> list[int]:
    """Choose so few references for some frames that they can be held in memory.

    They are the nearest ones, but for labels that only others show: the nearest that
    shows such a label takes the place of one, unless these labels are so many that
    they must be ids of objects.

    Parameters
    ----------
    references, frames : sequence of int
        In ascending order; at least one frame.
    max_prompts : int
        How many references a frame is predicted from; so many are held in any case.
    shown : callable
        Returns the labels above 0 of a reference. It is asked only where there are
        more references than can be held.
    grid : FrameGrid, optional
        How frames lie, if along two axes.

    Returns
    -------
    list of int
        At most `MAX_HELD` or `max_prompts` references, in ascending order.
    """
    limit = max(MAX_HELD, max_prompts)
    if len(references) <= limit:
        return list(references)
    near = nearest_references(references, frames, limit, grid)
    labels = {frame: _asked(shown, frame) for frame in near}
    if len(frozenset().union(*labels.values())) > limit:  # ids of objects
        return near
    searched = nearest_references(references, frames, limit + MAX_SEARCHED, grid)
    labels |= {frame: _asked(shown, frame) for frame in {*searched} - {*near}}
    if not any(labels.values()):
        labels |= _first_labelled({*references} - {*labels}, shown)
    every, added = frozenset().union(*labels.values()), set[int]()
    while missing := every.difference(*(labels[frame] for frame in (*near, *added))):
        are_objects = len(missing) > limit // 2 and len(missing) < len(every)
        if are_objects or len(added) >= limit // 2:
            break
        wanted = min(missing)
        showing = sorted(frame for frame in labels if wanted in labels[frame])
        added |= {*nearest_references(showing, frames, 1, grid)}
        others = sorted({*labels} - added)
        near = nearest_references(others, frames, limit - len(added), grid)
    return sorted({*near, *added})


def _first_labelled(
    references: Iterable[int], shown: Callable[[int], Collection[int]]
) -> dict[int, frozenset[int]]:
    """Return the first reference that shows anything, with its labels."""
    for frame in sorted(references):
        if labels := _asked(shown, frame):
            return {frame: labels}
    return {}


def _asked(shown: Callable[[int], Collection[int]], frame: int) -> frozenset[int]:
    """Return what a reference shows; nothing, if its labels cannot be read."""
    try:
        return frozenset(shown(frame))
    except DAMAGE:
        return frozenset()


def labels_in(labels: NDArray[np.integer[Any]]) -> frozenset[int]:
    """Return the labels above 0 of a label image."""
    return frozenset(ids_in(labels).tolist()) - {0}


def nearest_references(
    references: Sequence[int],
    frames: Sequence[int],
    limit: int,
    grid: FrameGrid | None = None,
) -> list[int]:
    """Choose at most so many references, those nearest to some frames.

    Those among the frames and the next ones on both sides come first, evenly spread,
    then those nearest to them. Along two axes those within the reach of the frames on
    both axes come first, then those nearest to that.

    Parameters
    ----------
    references, frames : sequence of int
        In ascending order; at least one frame.
    limit : int
        At least 1.
    grid : FrameGrid, optional
        How frames lie, if along two axes.
    """
    if len(references) <= limit:
        return list(references)
    if grid is not None and grid.has_two_axes:
        away = grid.distances_to(frames)
        near = [r for r in references if away(r) == 0]
        if len(near) > limit:
            return evenly(near, limit)
        return sorted(sorted(references, key=away)[:limit])
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


def read_references(
    stack: Frames,
    references: Mapping[int, NDArray[np.integer[Any]]],
    frames: Sequence[int],
    *,
    max_prompts: int,
    grid: FrameGrid | None = None,
) -> list[Prompt]:
    """Read a bounded number of the labelled frames of a stack, with their labels.

    Parameters
    ----------
    stack : Frames
        The images; only those of the chosen references are read.
    references : mapping of int to NDArray
        Labels (H, W) by frame. A mapping that reads labels when it is asked for them
        keeps memory from growing with their number.
    frames : sequence of int
        What they are chosen for, in ascending order.
    max_prompts : int
        As of `choose_references`.
    grid : FrameGrid, optional
        How frames lie, if along two axes.

    A reference whose image cannot be read is left out, with a warning.

    Raises
    ------
    ValueError
        If labels do not fit their image.
    """
    chosen = choose_references(
        sorted(references),
        frames,
        max_prompts=max_prompts,
        shown=lambda frame: labels_in(references[frame]),
        grid=grid,
    )
    prompts = []
    for frame in chosen:
        try:
            image = stack[frame]
        except DAMAGE as error:
            logger.warning("Reference %d is left out: %s", frame, error)
            continue
        prompts.append(Prompt(image=image, labels=references[frame], index=frame))
    return prompts
