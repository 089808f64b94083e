"""Workbench: what is worked on in a viewer, and all that a person can do with it."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.model.cards import model_config
from napari_seggpt.session import PROTECTED, FrameStatus, ModelCache
from napari_seggpt.ui.layers.layer_choice import Choice, first_choice, likely_labels
from napari_seggpt.ui.layers.navigation import place_in
from napari_seggpt.ui.work.layer_session import Desk
from napari_seggpt.ui.work.messages import Message, Tone
from napari_seggpt.ui.work.status_counts import FrameTimes, Tally
from napari_seggpt.ui.work.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_seggpt.session import Scope, Session
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.preferences import Preferences


NEWS_MS = 100  # what comes in quick succession is shown so often


class Workbench:
    """Holds the layers that were chosen, their session, and what is done with them.

    The panels, keys and commands of the dock call it and show what it knows. What goes
    wrong is said, never raised.

    Attributes
    ----------
    viewer : Viewer
        The viewer.
    choice : Choice
        What was chosen.
    desk : Desk or None
        The session on it; None while something is missing or does not fit.
    problem : str or None
        Why there is no desk, if it was tried.
    message : Message or None
        What was said last; None after something else was done.
    """

    choice_changed = Signal()  # or layers came, went, were renamed
    desk_changed = Signal()
    current_changed = Signal(int)
    statuses_changed = Signal(tuple)
    references_changed = Signal()
    looks_changed = Signal()
    locks_changed = Signal()
    runs_changed = Signal()
    settings_changed = Signal()
    message_changed = Signal()

    def __init__(
        self,
        viewer: Viewer,
        preferences: Preferences,
        *,
        models: ModelCache | None = None,
    ) -> None:
        self.viewer = viewer
        self.preferences = preferences
        self.models = models or ModelCache()
        self.choice = Choice()
        self.desk: Desk | None = None
        self.problem: str | None = None
        self.message: Message | None = None
        self.scope: Scope = "all"
        self._settings = preferences.load_settings()
        self._times = FrameTimes(preferences)
        self._desks: dict[tuple[object, ...], Desk] = {}
        self._tally = Tally()
        self._show_references = Throttle(self._on_references, NEWS_MS)

    # -- what is worked on ---------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """The session, if there is one."""
        return self.desk.session if self.desk else None

    def count(self, status: FrameStatus) -> int:
        """Return how many frames have a status."""
        return self._tally[status]

    @property
    def current(self) -> int:
        """The frame that is shown."""
        return self.desk.navigation.current if self.desk else 0

    def choose_image(self, image: Image | None, layers: Sequence[Layer]) -> None:
        """Work on another image, with the labels layer that likely belongs to it."""
        if image is None:
            self.choose(Choice())
            return
        choice = first_choice(image, place_in(self.viewer, image))
        try:
            labels = likely_labels(choice.stack(), layers)
        except ValueError:
            labels = None
        self.choose(replace(choice, labels=labels))

    def choose(self, choice: Choice) -> None:
        """Work on something; a run on something else ends, and keeps what it did."""
        old, self.choice = self.choice, choice
        self.problem = None
        if self.desk is not None and choice.place == old.place:
            if choice.pictures != old.pictures:
                self._show_other_pictures()
        else:
            self._open()
        self.choice_changed.emit()

    def make_labels(self) -> None:
        """Add an empty labels layer like the image, and work on it."""
        if self.choice.image is None:
            return
        try:
            layer = self.choice.new_labels()
        except (ValueError, OSError) as error:
            self.say(str(error), Tone.ERROR)
            return
        selected = set(self.viewer.layers.selection)
        self.viewer.add_layer(layer)
        self.choose(replace(self.choice, labels=layer))
        if not selected:
            self.viewer.layers.selection.active = layer

    def forget_layer(self, layer: Layer) -> None:
        """Let go of a layer that was removed."""
        for place, desk in list(self._desks.items()):
            if layer in (desk.image, desk.labels.layer):
                del self._desks[place]
                if desk is self.desk:
                    self._leave()
                desk.close()

    def _open(self) -> None:
        """Go to the session on the choice, a new one unless it was left before."""
        self._leave()
        if self.choice.image is None or self.choice.labels is None:
            self.desk_changed.emit()
            return
        desk = self._desks.get(self.choice.place)
        try:
            if desk is None:
                desk = Desk(self.viewer, self.choice, self._settings, self.models)
                self._desks[self.choice.place] = desk
            elif not desk.shows(self.choice):
                desk.show_pictures(self.choice)
        except ValueError as error:
            self.problem = str(error)
            self.desk_changed.emit()
            return
        self._enter(desk)

    def _enter(self, desk: Desk) -> None:
        self.desk = desk
        desk.session.settings = self._settings
        self._tally.begin(desk.session)
        for signal, slot in self._connections(desk):
            signal.connect(slot)
        self.desk_changed.emit()
        self._ask_for_looks()

    def _leave(self) -> None:
        desk, self.desk = self.desk, None
        self._tally.begin(None)
        if desk is None:
            return
        desk.runs.stop()
        for signal, slot in self._connections(desk):
            signal.disconnect(slot)

    def _connections(self, desk: Desk) -> Iterator[tuple[Any, Callable[..., Any]]]:
        session = desk.session
        yield session.statuses_changed, self._on_statuses
        yield session.references_changed, self._show_references
        yield session.locks_changed, self.locks_changed.emit
        yield session.runs_changed, self.runs_changed.emit
        yield desk.runs.changed, self._on_runs
        yield desk.tuning.changed, self.runs_changed.emit
        yield desk.runs.ended, self._on_run_ended
        yield desk.navigation.changed, self.current_changed.emit
        yield desk.looks.changed, self.looks_changed.emit
        yield desk.painted, self._ask_for_looks
        yield desk.scanned, self.message_changed.emit
        yield desk.labels.history_shortened, self._on_history_shortened
        yield desk.lost, self._on_lost

    def _show_other_pictures(self) -> None:
        assert self.desk is not None
        try:
            self.desk.show_pictures(self.choice)
        except ValueError as error:
            self.problem = str(error)
            self._leave()
        self.desk_changed.emit()

    def close(self) -> None:
        """End what is on, and let go of everything; labels stay."""
        self._show_references.stop()
        self._leave()
        for desk in self._desks.values():
            desk.close()
        self._desks = {}

    # -- settings ------------------------------------------------------------------

    @property
    def settings(self) -> SessionSettings:
        """The settings, with or without a session."""
        return self._settings

    @settings.setter
    def settings(self, settings: SessionSettings) -> None:
        if settings == self._settings:
            return
        model_changed = settings.model != self._settings.model
        self._settings = settings
        if self.desk is not None:
            self.desk.session.settings = settings
        self.preferences.save_settings(settings)
        self.settings_changed.emit()
        if model_changed:
            self._ask_for_looks()

    @property
    def seconds_per_frame(self) -> float | None:
        """What a frame took with these settings, now or in an earlier session."""
        return self._times.get(self._settings)

    # -- acts on frames ------------------------------------------------------------

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        if self.desk is not None:
            self.desk.navigation.go_to(frame)

    def toggle_reference(self) -> None:
        """Make the current frame a reference, or one no longer."""
        desk = self._ready()
        if desk is None:
            return
        session, frame = desk.session, self.current
        found = [r for r in session.references if r.frame == frame]
        if found:
            session.remove_reference(frame)
            self.say(f"Frame {frame} is no reference any more. Its labels stay.")
            return
        session.add_reference(frame)
        if not any(r.is_labelled for r in session.references if r.frame == frame):
            self.say(
                f"Frame {frame} is a reference without labels: it tells the model "
                "that nothing is there.",
                Tone.WARNING,
            )

    def toggle_approval(self) -> None:
        """Approve the current frame as it is, or take that back."""
        desk = self._ready()
        if desk is None:
            return
        session, frame = desk.session, self.current
        if session.status(frame) is FrameStatus.APPROVED:
            session.unapprove(frame)
        else:
            session.approve(frame)
        self.say("")

    def review(self, step: int) -> None:
        """Go to the next frame that nobody has looked at, or the one before.

        After the last one comes the first.
        """
        self._go_to_found(lambda session: next_in_circle(session, self.current, step))

    def go_to_least_certain(self) -> None:
        """Go to the frame that the model is least sure of."""
        self._go_to_found(lambda session: session.least_certain())

    def _go_to_found(self, find: Callable[[Session], int | None]) -> None:
        desk = self._ready()
        if desk is None:
            return
        frame = find(desk.session)
        if frame is None:
            self.say("There is no predicted frame left to look at.")
            return
        self.go_to(frame)
        self.say("")

    # -- runs ----------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a run or tuning is on, or a run being undone."""
        desk = self.desk
        return desk is not None and (desk.runs.is_busy or desk.tuning.is_on)

    @property
    def is_running(self) -> bool:
        """Whether a run is on, be it paused or not."""
        return self.desk is not None and self.desk.runs.is_running

    def start(self, scope: Scope) -> None:
        """Start a run."""
        desk = self._ready()
        if desk is None:
            return
        self.say("")
        try:
            desk.tuning.check_free()
            desk.runs.start(scope, self.current)
        except ValueError as error:
            self.say(str(error), Tone.WARNING)

    def propagate(self) -> None:
        """Start a run over the frames that were chosen; during one, pause or go on."""
        if self.desk is not None and self.is_running:
            self.desk.runs.pause_or_resume()
        else:
            self.start(self.scope)

    def stop(self) -> None:
        """End the run after the present frame."""
        if self.desk is not None:
            self.desk.runs.stop()

    def undo_run(self) -> None:
        """Undo the last run."""
        if self.desk is None or self.desk.runs.is_busy:
            return
        if self.desk.session.can_undo:
            self.say("")
            self.desk.runs.undo()
        else:
            self.say("There is no run to undo.")

    # -- what is said --------------------------------------------------------------

    def say(self, text: str, tone: Tone = Tone.HINT) -> None:
        """Say something until something else is done; nothing lets the hint show."""
        self.message = Message(text=escape(text), tone=tone) if text else None
        self.message_changed.emit()

    def _ready(self) -> Desk | None:
        """Return the desk; if there is none, say what is missing."""
        if self.desk is None and self.problem is None:
            self.say("Choose an image and a labels layer first.", Tone.WARNING)
        return self.desk

    # -- news ----------------------------------------------------------------------

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        if self.session is not None:
            self._tally.update(self.session, frames)
        self.statuses_changed.emit(frames)
        mine = any(
            self.session is not None and self.session.status(frame) in PROTECTED
            for frame in frames
        )
        if mine and self.message is not None and not self.is_busy:
            self.say("")  # what was said is about what was before

    def _on_references(self) -> None:
        self.references_changed.emit()
        self._ask_for_looks()

    def _ask_for_looks(self) -> None:
        if self.desk is not None:
            config = model_config(self._settings.model)
            self.desk.looks.ask(self.desk.session.references, config)
            self.looks_changed.emit()

    def _on_runs(self) -> None:
        measured = self.desk.runs.measured if self.desk is not None else None
        if measured is not None:
            self._times.note(*measured)
        self.runs_changed.emit()

    def _on_run_ended(self, report: str, went_wrong: bool) -> None:
        self._times.save()
        self.say(report, Tone.ERROR if went_wrong else Tone.GOOD)

    def _on_history_shortened(self) -> None:
        self.say(
            "Napari's undo (Ctrl+Z) no longer reaches frames that a run has written: "
            "use Undo run for these."
        )

    def _on_lost(self, reason: str) -> None:
        desk = self.desk
        self._leave()
        if desk is not None:
            self._desks = {k: v for k, v in self._desks.items() if v is not desk}
            desk.close()
        self.problem = reason
        self.desk_changed.emit()


def next_in_circle(session: Session, current: int, step: int) -> int | None:
    """Return the next frame to review; after the last one comes the first."""
    frame = session.next_to_review(current, step)
    if frame is None:
        frame = session.next_to_review(-1 if step > 0 else len(session), step)
    return frame
