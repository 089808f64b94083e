"""survey(): where every object of a session is, how bright, and which divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.io.table import region_means
from napari_seggpt.objects.tracks import Tracer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.objects.tracks import Tracks
    from napari_seggpt.session import FrameLabels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectSurvey:
    """All objects of a stack.

    Attributes
    ----------
    tracks : Tracks
        Where each is on each frame.
    intensities : NDArray[np.float64]
        (P,), the mean of the image in each object, in the order of the tracks' rows.
    """

    tracks: Tracks
    intensities: NDArray[np.float64]


def survey(
    stack: Frames, labels: FrameLabels, *, divisions: bool
) -> Iterator[int | ObjectSurvey]:
    """Look at all frames, in a worker; yields each frame, then what was found.

    Parameters
    ----------
    stack : Frames
        The images.
    labels : FrameLabels
        Their labels, whose ids hold along the stack.
    divisions : bool
        Whether objects may divide.
    """
    tracer = Tracer(divisions=divisions)
    means: dict[tuple[int, int], float] = {}
    for frame in range(len(labels)):
        found = labels.read(frame)
        if found.any():
            tracer.take(frame, found)
            ids, places = np.unique(found, return_inverse=True)
            brightness = region_means(stack[frame], places.reshape(found.shape))
            keys = ((i, frame) for i in ids.tolist())
            means |= dict(zip(keys, brightness.tolist(), strict=True))
        yield frame
    tracks = tracer.tracks
    rows = zip(tracks.ids.tolist(), tracks.frames.tolist(), strict=True)
    yield ObjectSurvey(
        tracks=tracks,
        intensities=np.array([means[row] for row in rows], dtype=np.float64),
    )
