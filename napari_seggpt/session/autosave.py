"""Autosave: saves a session while a person works on it, in a thread of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_seggpt.session.store.saving_thread import SavingThread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_seggpt.session.frames.status import FrameRecord
    from napari_seggpt.session.session import Session
    from napari_seggpt.session.store.contents import About
    from napari_seggpt.session.store.folder import SessionStore
    from napari_seggpt.session.store.state import SessionState

COPYING_SECONDS = 0.008  # that frames are copied for before the window goes on
MAX_WAITING_BYTES = 1 << 27  # of copies that wait to be written
RETRY_SECONDS = 5.0  # after a failure, such as a full disk
CLOSE_SECONDS = 30.0  # that the end of the program waits for the last frames


class Autosave:
    """Notes which frames have changed, copies them, and has a thread write the copies.

    All of it is used on the thread of the session. Frames are copied the newest first,
    so that what a person did last waits for nothing.

    Parameters
    ----------
    session : Session
        What is saved.
    about : callable
        Returns what the window knows, see `store`; called at each `save`.
    is_scanning : callable, optional
        Whether what changes now was only found in labels that were there.

    Attributes
    ----------
    error : str or None
        Why nothing can be saved at present; it is tried again.
    failing_since : float or None
        Since when, on the clock of `time.monotonic`.
    is_touched : bool
        Whether anybody did anything; finding labels that were there does not count.
    touched : set of int
        The frames that it was done to.
    """

    def __init__(
        self,
        session: Session,
        about: Callable[[], About],
        *,
        is_scanning: Callable[[], bool] = lambda: False,
    ) -> None:
        self._session = session
        self._about = about
        self._is_scanning = is_scanning
        self._store: SessionStore | None = None
        self._thread: SavingThread | None = None
        self._changed: dict[int, None] = {}  # the newest at the end
        self._state: tuple[object, ...] = ()  # as it was written last
        self._again_at = 0.0
        self._is_gone = False
        self.error: str | None = None
        self.failing_since: float | None = None
        self.is_touched = False
        self.touched: set[int] = set()
        session.frames.records_changed.connect(self._on_records)

    @property
    def store(self) -> SessionStore | None:
        """Where it is saved; None before `begin`."""
        return self._store

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed what was saved: begin somewhere else."""
        return self._is_gone or (self._thread is not None and self._thread.is_gone)

    def look_for_folder(self) -> None:
        """Find out now, rather than within seconds, whether it `is_gone`."""
        if self._thread is not None:
            self._thread.look_for_folder()

    def begin(
        self, store: SessionStore, stored: Mapping[int, FrameRecord] | None = None
    ) -> None:
        """Save there, first of all what there is to say beside frames.

        All frames of which anything is known are saved, too.

        Parameters
        ----------
        store : SessionStore
            Where it is to be saved; closed at the end.
        stored : mapping of int to FrameRecord, optional
            Frames that are there already, with these records: they are left out.
        """
        self.end()
        self._store = store
        self._again_at, self._is_gone = 0.0, False
        known = (f for f in self._session.frames.known if f not in self._changed)
        self._changed = {**dict.fromkeys(known), **self._changed}
        for frame, record in (stored or {}).items():
            if self._session.frames.record(frame) == record:
                self.skip(frame)
        if store.labels_path is not None:
            self._note_some()
            self._session.frames.writer.before_write = self._announce
        self._state = ()
        self._thread = SavingThread(store)
        self._save_state(self._thread)

    def skip(self, frame: int) -> None:
        """Leave a frame out, because it is as it was stored, until it changes."""
        self._changed.pop(frame, None)

    @property
    def num_waiting(self) -> int:
        """How many frames are yet to be written."""
        return len(self._changed) + (len(self._thread) if self._thread else 0)

    # -- as the work goes on ---------------------------------------------------------

    def _on_records(self, frames: tuple[int, ...]) -> None:
        if not self._is_scanning():
            self.is_touched = True
            self.touched.update(frames)
        for frame in frames:
            self._changed.pop(frame, None)
            self._changed[frame] = None
        if self._store is not None and self._store.labels_path is not None:
            self._note_some()

    def _announce(self, frame: int, record: FrameRecord) -> None:
        """Note what a run is about to write into labels that are on disk."""
        assert self._store is not None
        self._store.note(frame, record, writing=True)

    def _note_some(self, seconds: float = COPYING_SECONDS) -> bool:
        """Note what has changed for so long; return whether there is more."""
        assert self._store is not None
        until = time.monotonic() + seconds
        while self._changed:
            frame = next(reversed(self._changed))
            try:
                self._store.note(frame, self._session.frames.record(frame))
            except OSError as error:
                self._is_gone = not self._store.is_there
                self._fail(str(error))
                return False
            del self._changed[frame]
            if time.monotonic() > until:
                break
        return bool(self._changed)

    def save(self, seconds: float = COPYING_SECONDS) -> bool:
        """Copy frames for so long, and have them written.

        Returns
        -------
        bool
            Whether there are more to copy.
        """
        store, thread = self._store, self._thread
        if store is None or thread is None or time.monotonic() < self._again_at:
            return False
        self.error = None
        self._take_failures(thread)
        self._save_state(thread)
        if store.labels_path is not None:
            is_more = self._note_some(seconds)
        else:
            is_more = self._copy_some(thread, seconds)
        if self.error is None and not self.num_waiting:
            self.failing_since = None
        return is_more

    def _copy_some(self, thread: SavingThread, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._changed and self.error is None:
            if thread.num_bytes > MAX_WAITING_BYTES:
                return True
            self._copy(next(reversed(self._changed)), thread)
            if time.monotonic() > until:
                return bool(self._changed)
        return False

    def _copy(self, frame: int, thread: SavingThread) -> None:
        try:
            labels = self._session.frames.writer.latest(frame)
        except (ValueError, IndexError) as error:  # the layer has other data by now
            self._fail(str(error))
            return
        del self._changed[frame]
        thread.add(frame, labels, self._session.frames.record(frame))

    def _save_state(self, thread: SavingThread) -> None:
        """Have written what is known beside the frames, if it has changed."""
        state, about = self._session.state, self._about()
        content = _state_key(state, about)
        if content != self._state:
            self._state = content
            thread.add_state(state, about)

    def _take_failures(self, thread: SavingThread) -> None:
        for frame, reason in thread.take_failures():
            if frame is None:
                self._state = ()
            else:
                self._changed.setdefault(frame)
            self._fail(reason)
        unheard = thread.take_unheard()
        for frame in unheard:  # what was stored may be undone without a word, too
            self._changed.setdefault(frame)
        if unheard:
            self._session.frames.labels_changed(unheard)

    def _fail(self, reason: str) -> None:
        now = time.monotonic()
        self.error = reason
        self.failing_since = self.failing_since or now
        self._again_at = now + RETRY_SECONDS

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Write all that waits; returns whether that was done in the time."""
        until = time.monotonic() + seconds
        self._again_at = 0.0
        while time.monotonic() < until:
            if self.save(seconds):
                time.sleep(0.005)
                continue
            if self._thread is not None:
                self._thread.wait(max(0.0, until - time.monotonic()))
                self._take_failures(self._thread)
            if self.error is not None or not self.num_waiting:
                break
        return not self.num_waiting

    def end(self) -> None:
        """Write what waits, and save no more until `begin`."""
        if self._store is not None:
            self.flush()
            self.abandon()

    def abandon(self) -> None:
        """Save no more until `begin`, whatever waits to be written."""
        self._session.frames.writer.before_write = None
        if self._thread is not None:
            self._thread.stop(CLOSE_SECONDS)
            self._thread = None
        if self._store is not None:
            self._store.close()
            self._store = None

    def leave(self) -> bool:
        """Write what waits, and go on elsewhere once anybody does more.

        Returns
        -------
        bool
            Whether all is saved; if not, there is something to save already.
        """
        is_saved = self.flush() if self._store is not None else not self.is_touched
        self.abandon()
        self.is_touched = not is_saved
        if is_saved:
            self.touched.clear()
        return is_saved

    def close(self) -> bool:
        """Write what waits, and let go of the session; whether all of it is saved."""
        self._session.frames.records_changed.disconnect(self._on_records)
        return self.leave()


def _state_key(state: SessionState, about: About) -> tuple[object, ...]:
    """Return what is equal if there is nothing new to write.

    Prompts are equal if they are the same object. The key holds them, because another
    prompt may have the identity of one that is gone.
    """
    examples = tuple((x.name, x.enabled, x.prompt) for x in state.examples)
    return (state.settings, state.stacks, state.locked, examples, state.tuned, about)
