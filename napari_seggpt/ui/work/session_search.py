"""SessionSearch: looks for the sessions that were saved of an image, in a worker."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from psygnal import Signal

from napari_seggpt.session.store.errors import DAMAGED_FILE_ERRORS
from napari_seggpt.session.store.finding import FoundSessions, find_sessions
from napari_seggpt.session.store.signature import LevelSignatures
from napari_seggpt.ui.layers.frame_axes import axes_of
from napari_seggpt.ui.layers.layer_choice import axis_titles
from napari_seggpt.ui.layers.new_labels import image_path
from napari_seggpt.ui.work.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image
    from napari.utils.events import Event

    from napari_seggpt.session.store.signature import ImageSignature
    from napari_seggpt.ui.layers.layer_choice import LayerChoice

    Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SearchResult:
    """What came of a search.

    Attributes
    ----------
    found : FoundSessions or None
        The sessions; None if that could not be found out.
    problem : str or None
        Why not.
    signatures : dict of int to ImageSignature
        Those of the image that were made, by level, so that they are made once.
    is_stale : bool
        Whether there may be others by now.
    """

    found: FoundSessions | None = None
    problem: str | None = None
    signatures: dict[int, ImageSignature] = field(default_factory=dict)
    is_stale: bool = False


class SessionSearch:
    """Looks for sessions, and keeps for each image what was found.

    Attributes
    ----------
    changed : Signal
        Something was found for a choice of layers.
    outdated : Signal
        An image layer has other data: what was found of it is forgotten. Emitted after
        those who work on the layer have heard of that.
    """

    changed = Signal(object)
    outdated = Signal(object)

    def __init__(self) -> None:
        self._results: WeakKeyDictionary[Image, dict[Key, SearchResult]]
        self._results = WeakKeyDictionary()
        self._followed: WeakSet[Image] = WeakSet()
        self._job: Job[SearchResult] | None = None
        self._present: LayerChoice | None = None  # that it is looking for
        self._next: LayerChoice | None = None  # that it will look for then

    @property
    def is_on(self) -> bool:
        """Whether it is looking."""
        return self._job is not None

    def result(self, choice: LayerChoice) -> SearchResult | None:
        """Return what was found for a choice; None before it was looked for."""
        if choice.image is None:
            return None
        return self._results.get(choice.image, {}).get(_key(choice))

    def look(self, choice: LayerChoice, *, again: bool = False) -> None:
        """Look for sessions of the image of a choice, unless they are known.

        Parameters
        ----------
        choice : LayerChoice
            What is worked on.
        again : bool
            Whether to look though it was done: there may be others by now.
        """
        self._follow(choice.image)
        result = self.result(choice)
        is_known = result is not None and not result.is_stale
        if choice.image is None or (is_known and not again):
            return
        if self._job is not None:
            if again or not _is_same(choice, self._present):
                self._next = choice
            return
        self._present = choice
        self._job = Job(
            _search_for(choice, {} if result is None else result.signatures),
            lambda result: self._take(choice, result),
            title="Looking for your last work",
        )
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _follow(self, image: Image | None) -> None:
        """Hear of other data of an image layer."""
        if image is not None and image not in self._followed:
            self._followed.add(image)
            image.events.data.connect(self._on_data, position="last")

    def _on_data(self, event: Event) -> None:
        """Forget all of an image that has other data, also what is being looked for."""
        image = event.source
        self._results.pop(image, None)
        if self._present is not None and self._present.image is image:
            self._present = None
        self.outdated.emit(image)

    def mark_stale(self, choice: LayerChoice) -> None:
        """Have the sessions of an image looked for when it is chosen the next time."""
        result = self.result(choice)
        if choice.image is not None and result is not None:
            self._results[choice.image][_key(choice)] = replace(result, is_stale=True)

    def _take(self, choice: LayerChoice, result: SearchResult) -> None:
        if choice is not self._present:  # the image has other data by now
            return
        assert choice.image is not None
        self._results.setdefault(choice.image, {})[_key(choice)] = result
        self.changed.emit(choice)

    def _on_ended(self) -> None:
        self._job = self._present = None
        choice, self._next = self._next, None
        if choice is not None:
            self.look(choice, again=True)

    def close(self) -> None:
        """Look no more; what is found within a moment is still taken."""
        for image in self._followed:
            image.events.data.disconnect(self._on_data)
        self._followed.clear()
        self._next = None
        if self._job is not None:
            self._job.close()


def _search_for(
    choice: LayerChoice, known: dict[int, ImageSignature]
) -> Callable[[], Iterator[SearchResult]]:
    """Return the job of searching for sessions of an image."""
    assert choice.image is not None
    path, name, place = image_path(choice.image), str(choice.image.name), _place(choice)
    try:
        levels = choice.levels()
    except ValueError as error:
        problem = SearchResult(problem=str(error))
        return lambda: iter((problem,))

    def work() -> Iterator[SearchResult]:
        signatures = LevelSignatures(levels, place, known)
        try:
            found = find_sessions(signatures, path, name)
        except DAMAGED_FILE_ERRORS as error:
            yield SearchResult(problem=str(error), signatures=signatures.known)
        else:
            yield SearchResult(found=found, signatures=signatures.known)

    return work


def _is_same(choice: LayerChoice, other: LayerChoice | None) -> bool:
    if other is None or choice.image is not other.image:
        return False
    return _key(choice) == _key(other)


def _key(choice: LayerChoice) -> Key:
    return (choice.axis, choice.channel_axis, choice.fixed)


def choice_at(choice: LayerChoice, place: str) -> LayerChoice | None:
    """Return the choice of the frames that a place means; None if there are no such.

    Parameters
    ----------
    choice : LayerChoice
        What is chosen of the image now.
    place : str
        As `ImageSignature.place` of a session has it; sessions may be of others.
    """
    told = _PLACE.fullmatch(place)
    if told is None or choice.image is None:
        return None
    axes = tuple(map(int, re.findall(r"\d+", told["axes"])))
    pairs = re.findall(r"(\d+) at (\d+)", told["fixed"])
    try:
        along = axes[0] if len(axes) == 1 else axes or None
        if along is not None and along not in dict(axis_titles(choice.image)).values():
            return None
        fixed = tuple((int(at), int(index)) for at, index in pairs)
        there = _with_fixed_axes(choice.with_axis(along), set(dict(fixed)))
        if there is None:
            return None
        there = replace(there, fixed=fixed)
        there.stack()
    except ValueError:
        return None
    return there


def _with_fixed_axes(choice: LayerChoice, axes: set[int]) -> LayerChoice | None:
    """Return a choice whose fixed axes are these; None if it cannot have them.

    A person may have taken a fixed axis for that of channels, or the other way round.
    """
    fixed = set(dict(choice.fixed))
    if fixed - axes:
        at = min(fixed - axes)
        choice = choice.with_channel_axis(at)
    elif axes - fixed:
        choice = choice.with_channel_axis(None)
    return choice if set(dict(choice.fixed)) == axes else None


_PLACE = re.compile(
    r"axis (?P<axes>None|\d{1,2}( and \d{1,2})?)(?P<fixed>(, \d{1,2} at \d{1,9})*)"
)


def _place(choice: LayerChoice) -> str:
    """Return which frames of an image are meant, whatever the channels."""
    fixed = "".join(f", {at} at {index}" for at, index in choice.fixed)
    axes = " and ".join(str(at) for at in axes_of(choice.axis)) or None
    return f"axis {axes}{fixed}"
