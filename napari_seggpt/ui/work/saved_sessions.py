"""SessionKeeper: saves what is worked on as the work goes on, and offers to resume."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session.autosave import SessionSaver
from napari_seggpt.session.store.finding import Found, find_session
from napari_seggpt.session.store.folder import SessionError, SessionStore
from napari_seggpt.session.store.places import bases, is_writable, new_session_at
from napari_seggpt.ui.layers.new_labels import image_path
from napari_seggpt.ui.work.jobs import Job, JobState
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.resuming import Resuming, about, labels_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Image

    from napari_seggpt.session.store.folder import StoredSession
    from napari_seggpt.ui.layers.image_stack import ImageStack, MixedStack
    from napari_seggpt.ui.layers.layer_choice import Choice
    from napari_seggpt.ui.work.dock_state import Workbench
    from napari_seggpt.ui.work.layer_session import Desk

    Key = tuple[object, ...]

SAVE_MS = 250  # what has changed is copied so often
MORE_MS = 40  # while there is more to copy


class SessionKeeper:
    """Saves the sessions of a workbench, and resumes those that were saved.

    Attributes
    ----------
    changed : Signal
        There is an offer, or none any more.
    """

    changed = Signal()

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._found: WeakKeyDictionary[Image, dict[Key, Found | None]]
        self._found = WeakKeyDictionary()
        self._search: Job[Found | None] | None = None
        self._resuming: Resuming | None = None
        self._savers: dict[Desk, SessionSaver] = {}
        self._told: str | None = None
        self._given_up: WeakSet[Desk] = WeakSet()
        self._is_closed = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save)
        bench.choice_changed.connect(self._look)
        bench.desk_changed.connect(self._look)

    # -- what there is ---------------------------------------------------------------

    @property
    def offer(self) -> StoredSession | None:
        """The session that can be resumed; none once the work has begun without it."""
        found = self._known(self._bench.choice)
        if found is None or self._resuming is not None:
            return None
        saver = self.saver
        return None if saver is not None and saver.store else found.stored

    @property
    def saver(self) -> SessionSaver | None:
        """What saves the present desk."""
        return self._savers.get(self._bench.desk) if self._bench.desk else None

    @property
    def is_busy(self) -> bool:
        """Whether it looks for a session, or resumes one."""
        return self._search is not None or self._resuming is not None

    def _look(self) -> None:
        """Look for sessions of an image that is new here, and save a desk that is."""
        desk, choice = self._bench.desk, self._bench.choice
        if desk is not None and desk not in self._savers:
            self._watch(desk)
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

    def _take_found(self, choice: Choice, found: Found | None) -> None:
        assert choice.image is not None
        self._found.setdefault(choice.image, {})[_key(choice)] = found
        is_present = choice.image is self._bench.choice.image
        if found is not None and found.refused and is_present:
            self._bench.say(found.refused, Tone.WARNING)
        self.changed.emit()

    def _known(self, choice: Choice) -> Found | None:
        if choice.image is None:
            return None
        return self._found.get(choice.image, {}).get(_key(choice))

    def _on_searched(self, state: JobState) -> None:
        self._search = None
        if state is JobState.DONE and not self._is_closed:
            self._look()  # another image may have been chosen meanwhile

    # -- saving ----------------------------------------------------------------------

    def _watch(self, desk: Desk) -> None:
        self._savers[desk] = SessionSaver(
            desk.session, lambda: about(desk), is_scanning=lambda: desk.is_finding
        )
        desk.closing.connect(lambda: self._let_go(desk))
        self._timer.start(SAVE_MS)

    def _let_go(self, desk: Desk) -> None:
        saver = self._savers.pop(desk, None)
        if saver is not None:
            self._begin_if_touched(desk, saver)
            saver.close()

    def save(self) -> None:
        """Save what has changed; called again and again."""
        is_more = False
        for desk, saver in self._savers.items():
            self._begin_if_touched(desk, saver)
            is_more = saver.save() or is_more
            if saver.error is not None:
                self._warn(saver.error)
        self._timer.start(MORE_MS if is_more else SAVE_MS)

    def _begin_if_touched(self, desk: Desk, saver: SessionSaver) -> None:
        """Begin a new session, once there is anything of it to save."""
        if saver.store or not saver.is_touched or desk in self._given_up:
            return
        if self._resuming is not None and self._resuming.desk in (None, desk):
            return
        found = self._known(desk.choice)
        if found is None:
            return
        places = bases(
            image_path(desk.image), str(desk.image.name), found.signature.short
        )
        base = next((x for x in places if is_writable(x)), places[-1])
        try:
            folder = new_session_at(base)
            saver.begin(SessionStore(folder, found.signature, labels_path(desk)))
        except (OSError, SessionError) as error:
            self._given_up.add(desk)
            self._warn(str(error))
            return
        self.changed.emit()

    def _warn(self, reason: str) -> None:
        """Say once that nothing is saved."""
        if reason != self._told:
            self._told = reason
            text = f"Your work is not saved as it goes on: {reason}"
            self._bench.say(text, Tone.WARNING)

    def close(self) -> None:
        """Save what waits, and let go of everything."""
        self._is_closed = True
        self._bench.choice_changed.disconnect(self._look)
        self._bench.desk_changed.disconnect(self._look)
        self._timer.stop()
        if self._search is not None:
            self._search.close()
        if self._resuming is not None:
            self._resuming.close()
        for desk in list(self._savers):
            self._let_go(desk)

    # -- resuming --------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with the session that is offered."""
        offer, bench = self.offer, self._bench
        if offer is None or bench.is_busy:
            return
        try:
            store = SessionStore(offer.path, offer.signature, offer.labels_path)
        except SessionError as error:
            bench.say(str(error), Tone.WARNING)
            return
        self._resuming = Resuming(bench, offer, store)
        self._resuming.ended.connect(self._on_resumed)
        self._resuming.start()
        self.changed.emit()

    def _on_resumed(self, report: str, tone: Tone) -> None:
        resuming, self._resuming = self._resuming, None
        if resuming is None:
            return
        saver = self._savers.get(resuming.desk) if resuming.desk else None
        if tone is Tone.ERROR or saver is None or resuming.desk is None:
            resuming.store.close()
        else:
            self._go_on(resuming, resuming.desk, saver)
        self._bench.say(report, tone)
        self.changed.emit()

    def _go_on(self, resuming: Resuming, desk: Desk, saver: SessionSaver) -> None:
        """Save on where the session was saved, but not what is there already."""
        resuming.store.move_labels(labels_path(desk))
        saver.begin(resuming.store)
        for frame, record in resuming.same.items():
            if desk.session.record(frame) == record:
                saver.skip(frame)


def _search_for(choice: Choice) -> Callable[[], Iterator[Found | None]]:
    """Return the work of looking for sessions of an image."""
    assert choice.image is not None
    path, name, place = image_path(choice.image), str(choice.image.name), _place(choice)
    stack: ImageStack | MixedStack | None = None
    with suppress(ValueError):
        stack = choice.plain().stack()

    def work() -> Iterator[Found | None]:
        found = None
        if stack is not None:
            with suppress(ValueError, OSError, IndexError):  # frames that are damaged
                found = find_session(stack, place, path, name)
        yield found

    return work


def _key(choice: Choice) -> Key:
    return (choice.axis, choice.channel_axis, choice.fixed)


def _place(choice: Choice) -> str:
    """Return which frames of an image are meant, whatever the channels."""
    fixed = "".join(f", {at} at {index}" for at, index in choice.fixed)
    return f"axis {choice.axis}{fixed}"
