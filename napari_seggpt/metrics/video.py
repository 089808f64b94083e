"""J, F and J&F of the objects of videos, and G of YouTube-VOS."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.metrics.pixels import boundary_f, region_similarity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectScore:
    """Region similarity J and boundary accuracy F, means over frames; 0 to 1."""

    j: float
    f: float

    @property
    def j_and_f(self) -> float:
        """The mean of both."""
        return (self.j + self.f) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenScore:
    """The scores of YouTube-VOS; NaN where there are no such objects.

    Attributes
    ----------
    seen, unseen : ObjectScore
        Of objects whose category training videos have, and of the others.
    """

    seen: ObjectScore
    unseen: ObjectScore

    @property
    def g(self) -> float:
        """The mean of the four."""
        return (self.seen.j_and_f + self.unseen.j_and_f) / 2


def score_objects(
    frames: Iterable[tuple[int, Labels, Labels]], first: Mapping[int, int]
) -> dict[int, ObjectScore]:
    """Score the objects of a video, each from the frame after it is given.

    Parameters
    ----------
    frames : iterable of (int, NDArray, NDArray)
        Index, predicted and true objects (H, W) of the frames that count. The first
        and last frame of a video of DAVIS do not.
    first : mapping of int to int
        By object, the frame that it is given in.

    Returns
    -------
    dict of int to ObjectScore
        Of the objects that any frame counts for.

    Raises
    ------
    ValueError
        If the shapes of a frame differ.
    """
    found: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for index, predicted, true in frames:
        for one, given in first.items():
            if index > given:
                masks = predicted == one, true == one
                found[one].append((region_similarity(*masks), boundary_f(*masks)))
    means = {one: np.mean(rows, axis=0) for one, rows in found.items()}
    return {i: ObjectScore(j=float(j), f=float(f)) for i, (j, f) in means.items()}


def mean_score(objects: Iterable[ObjectScore]) -> ObjectScore:
    """Average over objects, each of which counts once; NaN without any."""
    rows = [(one.j, one.f) for one in objects]
    j, f = np.mean(rows, axis=0) if rows else (np.nan, np.nan)
    return ObjectScore(j=float(j), f=float(f))


def score_seen(objects: Iterable[tuple[ObjectScore, bool]]) -> SeenScore:
    """Average over objects of seen and of unseen categories."""
    known = list(objects)
    seen, unseen = (
        mean_score(score for score, is_seen in known if is_seen == wanted)
        for wanted in (True, False)
    )
    return SeenScore(seen=seen, unseen=unseen)
