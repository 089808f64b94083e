"""Which frame to label next, before any is predicted: one unlike those labelled.

The frames are compared by small pictures. A few dozen of them, evenly spread, are
enough for a stack of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import evenly
from napari_seggpt.inference.memory import thumbnail
from napari_seggpt.preprocessing import to_rgb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.preprocessing import Limits

MAX_SAMPLED_FRAMES = 64  # frames that are read


def sampled_frames(length: int, labelled: Collection[int]) -> list[int]:
    """Return the frames to read: some that are labelled, and others, evenly."""
    free = [frame for frame in range(length) if frame not in labelled]
    known = evenly(sorted(labelled), MAX_SAMPLED_FRAMES)
    return sorted({*evenly(free, MAX_SAMPLED_FRAMES), *known})


def thumbnail_vector(frame: NDArray[Any], limits: Limits) -> NDArray[np.float32]:
    """Return what frames are compared by: a picture of 8 x 8 pixels, as a vector."""
    return thumbnail(to_rgb(frame, limits)).ravel()


def suggest(
    vectors: Mapping[int, NDArray[np.float32]], labelled: Collection[int]
) -> int | None:
    """Choose the frame that is least like those that are labelled.

    Parameters
    ----------
    vectors : mapping of int to NDArray
        What `thumbnail_vector` returned for the frames that were read.
    labelled : collection of int
        Frames that are labelled; of those in `vectors` the others are candidates.

    Returns
    -------
    int or None
        Without labelled frames the one that is most like all others. None without
        candidates.
    """
    free = [frame for frame in vectors if frame not in labelled]
    known = [vectors[frame] for frame in vectors if frame in labelled]
    if not free:
        return None
    here = np.stack([vectors[frame] for frame in free])
    if not known:
        return free[int(_distances(here, here).mean(axis=1).argmin())]
    return free[int(_distances(here, np.stack(known)).min(axis=1).argmax())]


def _distances(
    some: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    return np.abs(some[:, None] - others[None]).mean(axis=2)
