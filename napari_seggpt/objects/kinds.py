"""What the references ask for: classes, objects, or objects of several classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from skimage.measure import label as connected
from skimage.measure import regionprops_table

from napari_seggpt.objects.class_ids import class_of_id, told_classes
from napari_seggpt.objects.neighbours import find_contacts
from napari_seggpt.objects.shapes import largest_pieces, separate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.object_settings import ObjectTask

    Labels = NDArray[np.integer[Any]]

TaskKind = Literal["classes", "objects", "objects of several classes"]

MANY_IDS = 16  # with more ids on a frame, they are taken for objects
SEVERAL_IDS = 8  # more than one pass colours; objects if they are of one kind
LEAST_IDS = 3  # on each of several frames, to tell that no id comes back
SCATTERED = 0.25  # labels are classes if so many of them mark several regions
SPECK = 0.1  # a region below this share of its label's largest one is no second piece
MAX_AREA_RATIO = 4.0  # objects of one kind differ at most so much in area
COMPACT = 0.7  # share of its convex hull that a single object fills
NESTED = 0.6  # a region with this share of its outline at another one lies inside it
KINDS: dict[str, TaskKind] = {
    "classes": "classes",
    "objects": "objects",
    "objects-of-classes": "objects of several classes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskGuess:
    """What the references seem to ask for: a proposal that a person may overrule.

    Attributes
    ----------
    kind : TaskKind
        What is wanted.
    reason : str
        One sentence in plain words that says why.
    """

    kind: TaskKind
    reason: str


def task_of(
    wanted: ObjectTask, references: Sequence[Labels], *, has_tuned: bool = False
) -> TaskGuess:
    """Return whether labels are classes or objects, and why in one sentence.

    Parameters
    ----------
    wanted : str
        What a person chose; "auto" looks at the references.
    references : sequence of NDArray
        (H, W) each.
    has_tuned : bool
        Whether there is a tuned prompt, which knows its classes only.

    Raises
    ------
    ValueError
        If objects are wanted where a tuned prompt knows classes, or where no reference
        shows an object.
    """
    has_objects = any(separate(labels).any() for labels in references)
    if wanted == "auto":
        if has_tuned:
            return TaskGuess(kind="classes", reason="A tuned prompt knows its classes.")
        guess = guess_task(references)
        return guess if has_objects else replace(guess, kind="classes")
    if wanted != "classes" and has_tuned:
        raise ValueError("Expected no tuned prompt for objects, got one: leave it out.")
    if wanted != "classes" and not has_objects:
        raise ValueError("Expected references with objects of 3 x 3 pixels, got none.")
    return TaskGuess(kind=KINDS[wanted], reason="You chose so.")


def guess_task(
    references: Sequence[Labels], classes: Mapping[int, int] | None = None
) -> TaskGuess:
    """Decide from the labels of the references what is wanted.

    Many ids on a frame, regions of different ids that touch and look alike, or ids
    that never come back on another frame mean objects.

    Parameters
    ----------
    references : sequence of NDArray
        (H, W) each, integers; 0 is background.
    classes : mapping of int to int, optional
        The class of each object id, where a person has said it.
    """
    frames = [_Frame.of(labels) for labels in references]
    reason = _why_objects([frame for frame in frames if frame.areas])
    if reason is None:
        return TaskGuess(kind="classes", reason=_why_classes(frames))
    ids = {i for frame in frames for i in frame.areas}
    known = set(object_classes(ids, classes).values())
    if len(known) < 2:
        return TaskGuess(kind="objects", reason=reason)
    return TaskGuess(
        kind="objects of several classes",
        reason=f"{reason[:-1]}, and they are of {len(known)} classes.",
    )


def object_classes(
    ids: Iterable[int], classes: Mapping[int, int] | None = None
) -> dict[int, int]:
    """Return the class of each object id.

    It is the one that a person gave; or what `class_of_id` tells, if all ids tell a
    class and these differ; or else 1 for all.

    Parameters
    ----------
    ids : iterable of int
        Object ids, without 0.
    classes : mapping of int to int, optional
        What a person said; an id that it lacks is of its smallest class.
    """
    ids = [int(i) for i in ids]
    if classes:
        least = min(classes.values())
        return {i: classes.get(i, least) for i in ids}
    are_told = bool(told_classes(ids))
    return {i: class_of_id(i) if are_told else 1 for i in ids}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What is looked at of a reference.

    Attributes
    ----------
    areas : dict of int to int
        Pixels of each id.
    scattered : list of int
        Ids that mark several separate regions.
    touching : tuple of int, optional
        Two ids whose regions touch and look alike.
    """

    areas: dict[int, int]
    scattered: list[int]
    touching: tuple[int, int] | None

    @property
    def is_scattered(self) -> bool:
        """Whether the ids cannot be those of single objects."""
        return len(self.scattered) > SCATTERED * len(self.areas)

    @classmethod
    def of(cls, labels: Labels) -> _Frame:
        ids, flat, counts = np.unique(labels, return_inverse=True, return_counts=True)
        areas = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        areas.pop(0, None)
        if not 2 <= len(areas) <= MANY_IDS:  # one id or very many decide alone
            return cls(areas=areas, scattered=[], touching=None)
        places = flat.reshape(labels.shape) + 1
        places[labels == 0] = 0
        return cls(
            areas=areas,
            scattered=[int(ids[place - 1]) for place in _scattered(places)],
            touching=_touching(np.where(largest_pieces(places), places, 0), ids),
        )


def _scattered(places: Labels) -> list[int]:
    """Return the labels with a second region that is no speck."""
    regions = connected(places, connectivity=2)
    numbers, at, areas = np.unique(regions, return_index=True, return_counts=True)
    owners = places.ravel()[at]
    found = []
    for place in np.unique(owners[owners > 0]):
        pieces = areas[(owners == place) & (numbers > 0)]
        if np.count_nonzero(pieces >= SPECK * pieces.max()) > 1:
            found.append(int(place))
    return found


def _touching(places: Labels, ids: NDArray[Any]) -> tuple[int, int] | None:
    """Return two ids whose regions touch, are of like size, and compact."""
    table = regionprops_table(places, properties=("label", "area", "solidity"))
    area = dict(zip(table["label"].tolist(), table["area"].tolist(), strict=True))
    compact = set(table["label"][table["solidity"] >= COMPACT].tolist())
    contacts = find_contacts(places)
    outline = np.bincount(contacts.own, contacts.edges)
    for own, other, edges in zip(
        contacts.own.tolist(), contacts.other.tolist(), contacts.edges, strict=True
    ):
        if own not in compact or other not in compact or own > other:
            continue
        nested = edges >= NESTED * min(outline[own], outline[other])
        sizes = sorted((area[own], area[other]))
        if not nested and sizes[1] <= MAX_AREA_RATIO * sizes[0]:
            return int(ids[own - 1]), int(ids[other - 1])
    return None


def _why_objects(frames: Sequence[_Frame]) -> str | None:
    """Say why objects are wanted, or return None if they are not."""
    most = max((len(frame.areas) for frame in frames), default=0)
    if most > MANY_IDS:
        return f"A frame has {most} labels: each is an object."
    if any(frame.is_scattered for frame in frames):
        return None
    touching = next((frame.touching for frame in frames if frame.touching), None)
    if touching is not None:
        one, other = touching
        return f"Regions {one} and {other} touch and look alike: each is an object."
    if most >= SEVERAL_IDS and all(_alike(frame) for frame in frames):
        return f"A frame has {most} labels of like size: each is an object."
    if _never_again(frames):
        return "No label comes back on another frame: each is an object."
    return None


def _alike(frame: _Frame) -> bool:
    small, large = np.percentile(list(frame.areas.values()), [25, 75])
    return bool(large <= MAX_AREA_RATIO * small)


def _never_again(frames: Sequence[_Frame]) -> bool:
    ids = [i for frame in frames for i in frame.areas]
    enough = all(len(frame.areas) >= LEAST_IDS for frame in frames)
    return len(frames) > 1 and enough and len(set(ids)) == len(ids)


def _why_classes(frames: Sequence[_Frame]) -> str:
    ids = {i for frame in frames for i in frame.areas}
    scattered = next((one.scattered[0] for one in frames if one.is_scattered), None)
    if scattered is not None:
        return f"Label {scattered} marks several separate regions: it is a class."
    if len(ids) == 1:
        return "There is one label: it is a class."
    return f"There are {len(ids)} labels that do not look like one kind of object."
