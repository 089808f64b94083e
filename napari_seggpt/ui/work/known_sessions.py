"""KnownSessions: the sessions of a workspace, one for each place that was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.ui.work.layer_session import LayerSession
from napari_seggpt.ui.work.shared_labels import crossing, take_over, tell_of_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from napari.viewer import Viewer

    from napari_seggpt.session import ModelCache
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.layers.layer_choice import LayerChoice


class KnownSessions:
    """Finds the session on what is chosen, and has those on the same labels agree.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are shown.
    models : ModelCache
        Where models are kept.
    lost : callable
        Called with a session, active or not, and the reason, when its layers do not
        fit each other any more.
    is_active : callable
        Whether a session is the one that is worked on.
    """

    def __init__(
        self,
        viewer: Viewer,
        models: ModelCache,
        lost: Callable[[LayerSession, str], object],
        is_active: Callable[[LayerSession], bool],
    ) -> None:
        self._viewer = viewer
        self._models = models
        self._lost = lost
        self._is_active = is_active
        self._is_telling = False
        self._by_place: dict[tuple[object, ...], LayerSession] = {}

    def __iter__(self) -> Iterator[LayerSession]:
        """Iterate over those that are there now, though some are closed meanwhile."""
        return iter([*self._by_place.values()])

    def on(self, choice: LayerChoice, settings: SessionSettings) -> LayerSession:
        """Return the session on what is chosen, a new one if there is none yet.

        Raises
        ------
        ValueError
            If the layers do not fit each other, or cannot be labelled this way.
        """
        known = self._by_place.get(choice.place)
        # Nobody labelled there: strokes of this session must not count as such.
        for each in crossing(choice, self._others(known)):
            self.close(each)
        if known is None:
            known = LayerSession(self._viewer, choice, settings, self._models)
            self._by_place[choice.place] = known
            self._follow(known)
            take_over(known, self._others(known))
            return known
        if not known.shows(choice):
            known.show_pictures(choice)
        take_over(known, self._others(known))
        # A person may have painted on frames not shown; runs of others are known.
        known.session.frames.labels_changed(None)
        return known

    def _follow(self, new: LayerSession) -> None:
        new.lost.connect(lambda reason: self._lost(new, reason))
        records = new.session.frames.records_changed
        records.connect(lambda frames: self._tell_of_runs(new, frames))

    def _others(self, known: LayerSession | None) -> list[LayerSession]:
        return [each for each in self if each is not known]

    def _tell_of_runs(self, own: LayerSession, frames: Iterable[int]) -> None:
        """Tell the others what runs of a session wrote, or what was undone.

        Also of one that was left, whose run ends with the frame that it is at.
        """
        if self._is_telling or not (self._is_active(own) or own.is_busy):
            return
        self._is_telling = True  # what the others are told is no news of theirs
        try:
            tell_of_runs(own, frames, self._others(own))
        finally:
            self._is_telling = False

    def close(self, layer_session: LayerSession) -> None:
        """Close a session for good."""
        self._by_place = {
            place: each
            for place, each in self._by_place.items()
            if each is not layer_session
        }
        layer_session.close()
