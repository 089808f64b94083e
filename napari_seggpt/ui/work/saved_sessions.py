"""SavedSessions: saves sessions while they are worked on, and offers to resume."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.store.finding import FoundSession, find_session
from napari_seggpt.session.store.folder import SessionError, SessionStore
from napari_seggpt.session.store.places import (
    is_writable,
    new_session_at,
    session_bases,
)
from napari_seggpt.ui.layers.new_labels import image_path
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.resuming import SessionResume, about, labels_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image

    from napari_seggpt.session.store.folder import StoredSession
    from napari_seggpt.ui.layers.image_stack import ImageStack, MixedStack
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace

    Key = tuple[object, ...]

SAVE_MS = 250  # between two times that frames are copied
SAVE_REST_MS = 40  # the same, while there are more to copy


class SavedSessions:
    """Saves the sessions of a workspace, and resumes those that were saved.

    Attributes
    ----------
    changed : Signal
        There is an offer, or none any more.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._found: WeakKeyDictionary[Image, dict[Key, FoundSession | None]]
        self._found = WeakKeyDictionary()
        self._search: Job[FoundSession | None] | None = None
        self._resuming: SessionResume | None = None
        self._autosaves: dict[LayerSession, Autosave] = {}
        self._told: str | None = None
        self._given_up: WeakSet[LayerSession] = WeakSet()
        self._is_closed = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save)
        workspace.choice_changed.connect(self._search_and_save)
        workspace.active_changed.connect(self._search_and_save)

    # -- what there is ---------------------------------------------------------------

    @property
    def offer(self) -> StoredSession | None:
        """The session that can be resumed; none once the work has begun without it."""
        found = self._known(self._workspace.choice)
        if found is None or self._resuming is not None:
            return None
        autosave = self.autosave
        return None if autosave is not None and autosave.store else found.stored

    @property
    def autosave(self) -> Autosave | None:
        """What saves the active session."""
        return (
            self._autosaves.get(self._workspace.active)
            if self._workspace.active
            else None
        )

    @property
    def is_busy(self) -> bool:
        """Whether it searches for a session, or resumes one."""
        return self._search is not None or self._resuming is not None

    def _search_and_save(self) -> None:
        """Search for sessions of a newly chosen image; save a new session."""
        layer_session, choice = self._workspace.active, self._workspace.choice
        if layer_session is not None and layer_session not in self._autosaves:
            self._watch(layer_session)
        if choice.image is None or self._search is not None:
            return
        if _key(choice) in self._found.get(choice.image, {}):
            return
        self._search = Job(
            _search_for(choice),
            lambda found: self._take_found(choice, found),
            title="Looking for your last work",
        )
        self._search.ended.connect(self._on_searched)
        self._search.start()

    def _take_found(self, choice: LayerChoice, found: FoundSession | None) -> None:
        assert choice.image is not None
        self._found.setdefault(choice.image, {})[_key(choice)] = found
        is_present = choice.image is self._workspace.choice.image
        if found is not None and found.refused and is_present:
            self._workspace.show_message(found.refused, Tone.WARNING)
        self.changed.emit()

    def _known(self, choice: LayerChoice) -> FoundSession | None:
        if choice.image is None:
            return None
        return self._found.get(choice.image, {}).get(_key(choice))

    def _on_searched(self, state: JobState) -> None:
        self._search = None
        if state is JobState.DONE and not self._is_closed:
            self._search_and_save()  # another image may have been chosen meanwhile

    # -- saving ----------------------------------------------------------------------

    def _watch(self, layer_session: LayerSession) -> None:
        self._autosaves[layer_session] = Autosave(
            layer_session.session,
            lambda: about(layer_session),
            is_scanning=lambda: layer_session.is_finding,
        )
        layer_session.closing.connect(lambda: self._let_go(layer_session))
        self._timer.start(SAVE_MS)

    def _let_go(self, layer_session: LayerSession) -> None:
        autosave = self._autosaves.pop(layer_session, None)
        if autosave is not None:
            self._begin_if_touched(layer_session, autosave)
            autosave.close()

    def save(self) -> None:
        """Save what has changed; called again and again."""
        is_more = False
        for layer_session, autosave in self._autosaves.items():
            self._begin_if_touched(layer_session, autosave)
            is_more = autosave.save() or is_more
            if autosave.error is not None:
                self._warn(autosave.error)
        self._timer.start(SAVE_REST_MS if is_more else SAVE_MS)

    def _begin_if_touched(
        self, layer_session: LayerSession, autosave: Autosave
    ) -> None:
        """Begin a new session, once there is anything of it to save."""
        if autosave.store or not autosave.is_touched or layer_session in self._given_up:
            return
        if self._resuming is not None and self._resuming.layer_session in (
            None,
            layer_session,
        ):
            return
        found = self._known(layer_session.choice)
        if found is None:
            return
        places = session_bases(
            image_path(layer_session.image),
            str(layer_session.image.name),
            found.signature.short,
        )
        base = next((x for x in places if is_writable(x)), places[-1])
        try:
            folder = new_session_at(base)
            autosave.begin(
                SessionStore(folder, found.signature, labels_path(layer_session))
            )
        except (OSError, SessionError) as error:
            self._given_up.add(layer_session)
            self._warn(str(error))
            return
        self.changed.emit()

    def _warn(self, reason: str) -> None:
        """Say once that nothing is saved."""
        if reason != self._told:
            self._told = reason
            text = f"Your work is not saved as it goes on: {reason}"
            self._workspace.show_message(text, Tone.WARNING)

    def close(self) -> None:
        """Save what waits, and let go of everything."""
        self._is_closed = True
        self._workspace.choice_changed.disconnect(self._search_and_save)
        self._workspace.active_changed.disconnect(self._search_and_save)
        self._timer.stop()
        if self._search is not None:
            self._search.close()
        if self._resuming is not None:
            self._resuming.close()
        for layer_session in list(self._autosaves):
            self._let_go(layer_session)

    # -- resuming --------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with the session that is offered."""
        offer, workspace = self.offer, self._workspace
        if offer is None or workspace.is_busy:
            return
        try:
            store = SessionStore(offer.path, offer.signature, offer.labels_path)
        except SessionError as error:
            workspace.show_message(str(error), Tone.WARNING)
            return
        self._resuming = SessionResume(workspace, offer, store)
        self._resuming.ended.connect(self._on_resumed)
        self._resuming.start()
        self.changed.emit()

    def _on_resumed(self, report: str, tone: Tone) -> None:
        resuming, self._resuming = self._resuming, None
        if resuming is None:
            return
        autosave = (
            self._autosaves.get(resuming.layer_session)
            if resuming.layer_session
            else None
        )
        if tone is Tone.ERROR or autosave is None or resuming.layer_session is None:
            resuming.store.close()
        else:
            self._go_on(resuming, resuming.layer_session, autosave)
        self._workspace.show_message(report, tone)
        self.changed.emit()

    def _go_on(
        self, resuming: SessionResume, layer_session: LayerSession, autosave: Autosave
    ) -> None:
        """Save on where the session was saved, but not what is there already."""
        resuming.store.move_labels(labels_path(layer_session))
        autosave.begin(resuming.store)
        for frame, record in resuming.same.items():
            if layer_session.session.frames.record(frame) == record:
                autosave.skip(frame)


def _search_for(choice: LayerChoice) -> Callable[[], Iterator[FoundSession | None]]:
    """Return the job of searching for sessions of an image."""
    assert choice.image is not None
    path, name, place = image_path(choice.image), str(choice.image.name), _place(choice)
    stack: ImageStack | MixedStack | None = None
    with suppress(ValueError):
        stack = choice.plain().stack()

    def work() -> Iterator[FoundSession | None]:
        found = None
        if stack is not None:
            with suppress(ValueError, OSError, IndexError):  # frames that are damaged
                found = find_session(stack, place, path, name)
        yield found

    return work


def _key(choice: LayerChoice) -> Key:
    return (choice.axis, choice.channel_axis, choice.fixed)


def _place(choice: LayerChoice) -> str:
    """Return which frames of an image are meant, whatever the channels."""
    fixed = "".join(f", {at} at {index}" for at, index in choice.fixed)
    return f"axis {choice.axis}{fixed}"
