"""SavedSessions: saves sessions while they are worked on, and resumes saved ones."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning
from psygnal import Signal
from qtpy.QtCore import QTimer

from napari_seggpt.session.autosave import RETRY_SECONDS, Autosave
from napari_seggpt.session.store.beginning import begin_session
from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.places import session_bases
from napari_seggpt.ui.layers.navigation import show_places
from napari_seggpt.ui.layers.new_labels import image_path
from napari_seggpt.ui.work.about_layers import about, labels_path
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.resuming import SessionResume
from napari_seggpt.ui.work.session_search import SessionSearch, choice_at

if TYPE_CHECKING:
    from pathlib import Path

    from napari.layers import Image

    from napari_seggpt.session.store.finding import FoundSessions, SavedWork
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Workspace

SAVE_MS = 250  # between two times that frames are copied
SAVE_REST_MS = 40  # the same, while there are more to copy
MOVE_SECONDS = 30.0  # that saving fails, until it is tried at another place


class SavedSessions:
    """Saves the sessions of a workspace, and resumes those that were saved.

    Attributes
    ----------
    unsaved : str or None
        Why work is not saved at present; it is tried again and again.
    changed : Signal
        There are other sessions to resume, or `unsaved` has changed.
    """

    changed = Signal()

    def __init__(self, workspace: Workspace) -> None:
        self.unsaved: str | None = None
        self._workspace = workspace
        self._search = SessionSearch()
        self._resuming: SessionResume | None = None
        self._autosaves: dict[LayerSession, Autosave] = {}
        self._refused: dict[LayerSession, str] = {}  # why none could be begun
        self._again_at: dict[LayerSession, float] = {}
        self._is_closed = False
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.save)
        self._search.changed.connect(self._on_found)
        self._search.outdated.connect(self._on_other_data)
        workspace.choice_changed.connect(self._search_and_save)
        workspace.active_changed.connect(self._search_and_save)

    # -- what there is ---------------------------------------------------------------

    @property
    def sessions(self) -> tuple[SavedWork, ...]:
        """The sessions of the present image, the newest first."""
        found = self._found(self._workspace.choice)
        return () if found is None or self._resuming is not None else found.sessions

    def _found(self, choice: LayerChoice) -> FoundSessions | None:
        result = self._search.result(choice)
        return None if result is None else result.found

    @property
    def offer(self) -> SavedWork | None:
        """The session to resume, if nothing was done yet without it."""
        if self.autosave is not None and self.autosave.store is not None:
            return None
        return next((each for each in self.sessions if not each.is_open), None)

    @property
    def elsewhere(self) -> LayerChoice | None:
        """Other frames of the image that were worked on, if these ones were not."""
        choice = self._workspace.choice
        found = self._found(choice)
        if found is None or found.sessions or self.is_busy:
            return None
        if self.autosave is not None and self.autosave.store is not None:
            return None
        others = (choice_at(choice, place) for place in found.elsewhere)
        return next((each for each in others if each is not None), None)

    def show_elsewhere(self) -> None:
        """Work on the other frames of the image that were worked on."""
        there = self.elsewhere
        if there is not None:
            self._workspace.choose(replace(there, labels=None))
            show_places(self._workspace.viewer.dims, there.image, dict(there.fixed))

    @property
    def autosave(self) -> Autosave | None:
        """What saves the active session."""
        active = self._workspace.active
        return None if active is None else self._autosaves.get(active)

    @property
    def is_busy(self) -> bool:
        """Whether it searches for sessions, or resumes one."""
        return self._search.is_on or self._resuming is not None

    @property
    def is_resuming(self) -> bool:
        """Whether a session is being brought back."""
        return self._resuming is not None

    def _search_and_save(self) -> None:
        """Search for sessions of a newly chosen image; save a new session."""
        layer_session = self._workspace.active
        if layer_session is not None and layer_session not in self._autosaves:
            self._watch(layer_session)
        self._search.look(self._workspace.choice)
        self.changed.emit()  # what was found of another image is not looked for again

    def _on_other_data(self, image: Image) -> None:
        """Look for the sessions of the data that an image layer has now."""
        if self._resuming is not None and self._resuming.image is image:
            self._stop_resuming()
            reason = f"the data of {image} were replaced meanwhile"
            text = f"The session was not resumed: {reason}."
            self._workspace.show_message(text, Tone.ERROR)
        self._search_and_save()

    def _on_found(self, choice: LayerChoice) -> None:
        found = self._found(choice)
        is_present = choice.image is self._workspace.choice.image
        if found is not None and found.refused and is_present:
            said = (self._workspace.problem, found.refused)  # neither hides the other
            self._workspace.show_message(" ".join(filter(None, said)), Tone.WARNING)
        self._search.look(self._workspace.choice)  # it may be another by now
        self.changed.emit()

    # -- saving ----------------------------------------------------------------------

    def _watch(self, layer_session: LayerSession) -> None:
        self._autosaves[layer_session] = Autosave(
            layer_session.session,
            lambda: about(layer_session),
            is_scanning=lambda: layer_session.is_finding,
        )
        layer_session.closing.connect(lambda: self._let_go(layer_session))
        layer_session.data_replaced.connect(lambda: self._leave(layer_session))
        self._timer.start(SAVE_MS)

    def _let_go(self, layer_session: LayerSession) -> None:
        """Save the last of a session that is closed; a run of it ends before that."""
        autosave = self._autosaves.get(layer_session)
        if autosave is None:
            return
        layer_session.runs.close()
        if self._resuming is not None and self._resuming.layer_session is layer_session:
            self._stop_resuming()
        self._again_at.pop(layer_session, None)
        autosave.look_for_folder()
        self._keep_saving(layer_session, autosave)
        refused = self._refused.pop(layer_session, None)
        self._again_at.pop(layer_session, None)
        del self._autosaves[layer_session]
        if not autosave.close():
            reason = refused or autosave.error or "it took too long"
            show_warning(f"The last of your work was not saved: {reason}")
        if not self._is_closed:  # it can be resumed now
            self._search.mark_stale(layer_session.choice)
            self._search.look(self._workspace.choice, again=True)

    def _leave(self, layer_session: LayerSession) -> None:
        """Save the last of what was done on the data that an image had until now.

        What is done from now on is of another image, and another session.
        """
        autosave = self._autosaves.get(layer_session)
        if autosave is None:
            return
        self._again_at.pop(layer_session, None)
        self._keep_saving(layer_session, autosave)
        autosave.leave()
        self._again_at.pop(layer_session, None)

    def save(self) -> None:
        """Save what has changed; called again and again."""
        is_more = False
        for layer_session, autosave in list(self._autosaves.items()):
            self._keep_saving(layer_session, autosave)
            is_more = autosave.save() or is_more
        self._tell_unsaved()
        self._timer.start(SAVE_REST_MS if is_more else SAVE_MS)

    def _keep_saving(self, layer_session: LayerSession, autosave: Autosave) -> None:
        """Begin a session once there is something to save, or if it lies wrong now."""
        if self._is_resuming(layer_session) or not self._is_time(layer_session):
            return
        store = autosave.store
        if store is None:
            if autosave.is_touched:
                self._begin(layer_session, autosave)
        elif autosave.is_gone:
            if self._begin(layer_session, autosave):
                self._tell_place(autosave, f"{store.path.name} was removed")
        elif store.labels_path != labels_path(
            layer_session
        ):  # the layer has other data
            self._begin(layer_session, autosave)
        elif _has_failed_for_long(autosave):
            self._begin(layer_session, autosave, other_than=store.path.parent)
        else:
            self._refused.pop(layer_session, None)

    def _is_resuming(self, layer_session: LayerSession) -> bool:
        """Whether frames come back in a session, or may do so soon."""
        if self._resuming is None:
            return False
        return layer_session is (self._resuming.layer_session or self._workspace.active)

    def _is_time(self, layer_session: LayerSession) -> bool:
        return time.monotonic() >= self._again_at.get(layer_session, 0.0)

    def _begin(
        self,
        layer_session: LayerSession,
        autosave: Autosave,
        other_than: Path | None = None,
    ) -> bool:
        """Begin a new session, in which all is saved that is known.

        Parameters
        ----------
        layer_session, autosave
            What is saved.
        other_than : Path, optional
            A folder in which it is not to lie.

        Returns
        -------
        bool
            Whether that was done; if not, it is tried again later.
        """
        found = self._found_of(layer_session)
        if found is None:
            return False
        self._again_at[layer_session] = time.monotonic() + RETRY_SECONDS
        bases = session_bases(
            image_path(layer_session.image),
            str(layer_session.image.name),
            found.signature.short,
        )
        places = [base for base in bases if base.parent != other_than]
        if not places:
            return False
        try:
            begun = begin_session(
                places,
                found.signature,
                labels_path(layer_session),
                about(layer_session),
            )
        except SessionError as error:
            self._refused[layer_session] = str(error)
            return False
        self._refused.pop(layer_session, None)
        autosave.abandon()
        autosave.begin(begun.store)
        if begun.refused:
            self._tell_place(autosave, begun.refused)
        self._search.look(layer_session.choice, again=True)
        self.changed.emit()
        return True

    def _found_of(self, layer_session: LayerSession) -> FoundSessions | None:
        """Return what is known of the image of a session; have it looked for if not."""
        choice = layer_session.choice
        result = self._search.result(choice)
        if result is not None and result.problem is not None:
            self._refused[layer_session] = result.problem
            self._again_at[layer_session] = time.monotonic() + RETRY_SECONDS
            self._search.look(choice, again=True)
        else:
            self._search.look(choice)
        return None if result is None else result.found

    def _tell_place(self, autosave: Autosave, reason: str) -> None:
        if autosave.store is not None:
            text = f"Your work is saved in {autosave.store.path}, because {reason}"
            self._workspace.show_message(text, Tone.WARNING)

    def _tell_unsaved(self) -> None:
        reasons = [
            reason
            for layer_session, autosave in self._autosaves.items()
            if (reason := self._refused.get(layer_session) or autosave.error)
        ]
        unsaved = reasons[0] if reasons else None
        if unsaved != self.unsaved:
            self.unsaved = unsaved
            self.changed.emit()

    def close(self) -> None:
        """Save what waits, and let go of everything."""
        self._is_closed = True
        self._workspace.choice_changed.disconnect(self._search_and_save)
        self._workspace.active_changed.disconnect(self._search_and_save)
        self._timer.stop()
        self._search.close()
        self._search.changed.disconnect(self._on_found)
        self._search.outdated.disconnect(self._on_other_data)
        self._stop_resuming()
        for layer_session in list(self._autosaves):
            self._let_go(layer_session)

    # -- resuming --------------------------------------------------------------------

    def resume(self, work: SavedWork | None = None) -> None:
        """Go on with a session; with the one that is offered, if none is named."""
        chosen, workspace = work or self.offer, self._workspace
        found = self._found(workspace.choice)
        if chosen is None or found is None or self._resuming is not None:
            return
        if workspace.is_busy:
            text = "Wait until the run has ended, or stop it, then resume."
            workspace.show_message(text, Tone.WARNING)
            return
        self._resuming = SessionResume(workspace, chosen.stored, found.signature)
        self._resuming.ended.connect(self._on_resumed)
        workspace.hold(_RESUMING)
        self._resuming.start()
        self.changed.emit()

    def _stop_resuming(self) -> None:
        """Resume no further; the session that was saved is not begun anew."""
        resuming, self._resuming = self._resuming, None
        if resuming is not None:
            resuming.close(self._autosave_of(resuming))
            self._workspace.hold("")

    def _autosave_of(self, resuming: SessionResume) -> Autosave | None:
        layer_session = resuming.layer_session
        return None if layer_session is None else self._autosaves.get(layer_session)

    def _on_resumed(self, report: str, tone: Tone) -> None:
        resuming, self._resuming = self._resuming, None
        if resuming is None:
            return
        self._workspace.hold("")
        layer_session, autosave = resuming.layer_session, self._autosave_of(resuming)
        if tone is Tone.ERROR or autosave is None or layer_session is None:
            resuming.let_go(autosave)
        else:
            self._go_on(resuming, layer_session, autosave)
        self._workspace.show_message(report, tone)
        self._search.look(self._workspace.choice, again=True)
        self.changed.emit()

    def _go_on(
        self, resuming: SessionResume, layer_session: LayerSession, autosave: Autosave
    ) -> None:
        """Save on where the session was saved, but not what is there already."""
        layer_session.is_touched = True
        store = resuming.store
        if store is None:  # it can be read, but not written: a new one is begun
            autosave.end()
            autosave.is_touched = True
            return
        was_elsewhere = store.labels_path != labels_path(layer_session)
        store.move_labels(labels_path(layer_session))
        autosave.begin(store, {} if was_elsewhere else resuming.same)


def _has_failed_for_long(autosave: Autosave) -> bool:
    since = autosave.failing_since
    return since is not None and time.monotonic() - since > MOVE_SECONDS


_RESUMING = "Your last work is being brought back: wait until all frames are there."
