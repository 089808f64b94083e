"""Workspace: what is worked on in a viewer, and all that a person can do with it."""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.model.cards import model_config
from napari_seggpt.session import PROTECTED, FrameStatus, ModelCache
from napari_seggpt.ui.layers.layer_choice import (
    LayerChoice,
    first_choice,
    likely_labels,
)
from napari_seggpt.ui.layers.navigation import place_in
from napari_seggpt.ui.work.layer_session import LayerSession
from napari_seggpt.ui.work.messages import Message, Tone
from napari_seggpt.ui.work.status_counts import FrameTimes, StatusCounts
from napari_seggpt.ui.work.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_seggpt.session import Scope, Session
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.preferences import Preferences


THROTTLE_MS = 100  # what comes in quick succession is shown so often


class Workspace:
    """Holds the layers that were chosen, their session, and what is done with them.

    The panels, keys and commands of the dock call it and show what it knows. What goes
    wrong is said, never raised.

    Attributes
    ----------
    viewer : Viewer
        The viewer.
    choice : Choice
        What was chosen.
    active : LayerSession or None
        The session on it; None while something is missing or does not fit.
    problem : str or None
        Why there is no session on the layers that were chosen.
    message : Message or None
        What was said last; None after something else was done.
    """

    choice_changed = Signal()  # or layers came, went, were renamed
    active_changed = Signal()
    current_changed = Signal(int)
    statuses_changed = Signal(tuple)
    references_changed = Signal()
    previews_changed = Signal()
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
        self.choice = LayerChoice()
        self.active: LayerSession | None = None
        self.problem: str | None = None
        self.message: Message | None = None
        self.scope: Scope = "all"
        self._settings = preferences.load_settings()
        self._times = FrameTimes(preferences)
        self._layer_sessions: dict[tuple[object, ...], LayerSession] = {}
        self._status_counts = StatusCounts()
        self._show_references = Throttle(self._on_references, THROTTLE_MS)

    # -- what is worked on ---------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """The session, if there is one."""
        return self.active.session if self.active else None

    def count(self, status: FrameStatus) -> int:
        """Return how many frames have a status."""
        return self._status_counts[status]

    @property
    def current(self) -> int:
        """The frame that is shown."""
        return self.active.navigation.current if self.active else 0

    def choose_image(self, image: Image | None, layers: Sequence[Layer]) -> None:
        """Work on another image, with the labels layer that likely belongs to it."""
        if image is None:
            self.choose(LayerChoice())
            return
        choice = first_choice(image, place_in(self.viewer, image))
        try:
            labels = likely_labels(choice.stack(), layers)
        except ValueError:
            labels = None
        self.choose(replace(choice, labels=labels))

    def choose(self, choice: LayerChoice) -> None:
        """Work on something; a run on something else ends, and keeps what it did."""
        old, self.choice = self.choice, choice
        self.problem = None
        if self.active is not None and choice.place == old.place:
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
            self.show_message(str(error), Tone.ERROR)
            return
        selected = set(self.viewer.layers.selection)
        self.viewer.add_layer(layer)
        self.choose(replace(self.choice, labels=layer))
        if not selected:
            self.viewer.layers.selection.active = layer

    def forget_layer(self, layer: Layer) -> None:
        """Let go of a layer that was removed."""
        for place, layer_session in list(self._layer_sessions.items()):
            if layer in (layer_session.image, layer_session.labels.layer):
                del self._layer_sessions[place]
                if layer_session is self.active:
                    self._leave()
                layer_session.close()

    def _open(self) -> None:
        """Go to the session on the choice, a new one unless it was left before."""
        self._leave()
        if self.choice.image is None or self.choice.labels is None:
            self.active_changed.emit()
            return
        layer_session = self._layer_sessions.get(self.choice.place)
        try:
            if layer_session is None:
                layer_session = LayerSession(
                    self.viewer, self.choice, self._settings, self.models
                )
                self._layer_sessions[self.choice.place] = layer_session
            elif not layer_session.shows(self.choice):
                layer_session.show_pictures(self.choice)
        except ValueError as error:
            self.problem = str(error)
            self.active_changed.emit()
            return
        self._enter(layer_session)

    def _enter(self, layer_session: LayerSession) -> None:
        self.active = layer_session
        layer_session.session.settings = self._settings
        self._status_counts.begin(layer_session.session)
        for signal, slot in self._connections(layer_session):
            signal.connect(slot)
        self.active_changed.emit()
        self._request_previews()

    def _leave(self) -> None:
        layer_session, self.active = self.active, None
        self._status_counts.begin(None)
        if layer_session is None:
            return
        layer_session.runs.stop()
        for signal, slot in self._connections(layer_session):
            signal.disconnect(slot)

    def _connections(
        self, layer_session: LayerSession
    ) -> Iterator[tuple[Any, Callable[..., Any]]]:
        session = layer_session.session
        yield session.statuses_changed, self._on_statuses
        yield session.references_changed, self._show_references
        yield session.locks_changed, self.locks_changed.emit
        yield session.runs_changed, self.runs_changed.emit
        yield layer_session.runs.changed, self._on_runs
        yield layer_session.tuning.changed, self.runs_changed.emit
        yield layer_session.runs.ended, self._on_run_ended
        yield layer_session.navigation.changed, self.current_changed.emit
        yield layer_session.previews.changed, self.previews_changed.emit
        yield layer_session.painted, self._request_previews
        yield layer_session.scanned, self.message_changed.emit
        yield layer_session.labels.history_shortened, self._on_history_shortened
        yield layer_session.lost, self._on_lost

    def _show_other_pictures(self) -> None:
        assert self.active is not None
        try:
            self.active.show_pictures(self.choice)
        except ValueError as error:
            self.problem = str(error)
            self._leave()
        self.active_changed.emit()

    def close(self) -> None:
        """End what is on, and let go of everything; labels stay."""
        self._show_references.stop()
        self._leave()
        for layer_session in self._layer_sessions.values():
            layer_session.close()
        self._layer_sessions = {}

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
        if self.active is not None:
            self.active.session.settings = settings
        self.preferences.save_settings(settings)
        self.settings_changed.emit()
        if model_changed:
            self._request_previews()

    @property
    def seconds_per_frame(self) -> float | None:
        """What a frame took with these settings, now or in an earlier session."""
        return self._times.get(self._settings)

    # -- acts on frames ------------------------------------------------------------

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        if self.active is not None:
            self.active.navigation.go_to(frame)

    def toggle_reference(self) -> None:
        """Make the current frame a reference, or one no longer."""
        layer_session = self._ready()
        if layer_session is None:
            return
        session, frame = layer_session.session, self.current
        found = [r for r in session.references if r.frame == frame]
        if found:
            session.remove_reference(frame)
            self.show_message(
                f"Frame {frame} is no reference any more. Its labels stay."
            )
            return
        session.add_reference(frame)
        if not any(r.is_labelled for r in session.references if r.frame == frame):
            self.show_message(
                f"Frame {frame} is a reference without labels: it tells the model "
                "that nothing is there.",
                Tone.WARNING,
            )

    def toggle_approval(self) -> None:
        """Approve the current frame as it is, or take that back."""
        layer_session = self._ready()
        if layer_session is None:
            return
        session, frame = layer_session.session, self.current
        if session.status(frame) is FrameStatus.APPROVED:
            session.unapprove(frame)
        else:
            session.approve(frame)
        self.show_message("")

    def review(self, step: int) -> None:
        """Go to the next frame that nobody has looked at, or the one before.

        After the last one comes the first.
        """
        self._go_to_found(lambda session: next_in_circle(session, self.current, step))

    def go_to_least_certain(self) -> None:
        """Go to the frame that the model is least sure of."""
        self._go_to_found(lambda session: session.least_certain())

    def _go_to_found(self, find: Callable[[Session], int | None]) -> None:
        layer_session = self._ready()
        if layer_session is None:
            return
        frame = find(layer_session.session)
        if frame is None:
            self.show_message("There is no predicted frame left to look at.")
            return
        self.go_to(frame)
        self.show_message("")

    # -- runs ----------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether a run or tuning is on, or a run being undone."""
        layer_session = self.active
        return layer_session is not None and (
            layer_session.runs.is_busy or layer_session.tuning.is_on
        )

    @property
    def is_running(self) -> bool:
        """Whether a run is on, be it paused or not."""
        return self.active is not None and self.active.runs.is_running

    def start(self, scope: Scope) -> None:
        """Start a run."""
        layer_session = self._ready()
        if layer_session is None:
            return
        self.show_message("")
        try:
            layer_session.tuning.check_free()
            layer_session.runs.start(scope, self.current)
        except ValueError as error:
            self.show_message(str(error), Tone.WARNING)

    def propagate(self) -> None:
        """Start a run over the frames that were chosen; during one, pause or go on."""
        if self.active is not None and self.is_running:
            self.active.runs.pause_or_resume()
        else:
            self.start(self.scope)

    def stop(self) -> None:
        """End the run after the present frame."""
        if self.active is not None:
            self.active.runs.stop()

    def undo_run(self) -> None:
        """Undo the last run."""
        if self.active is None or self.active.runs.is_busy:
            return
        if self.active.session.can_undo:
            self.show_message("")
            self.active.runs.undo()
        else:
            self.show_message("There is no run to undo.")

    # -- what is said --------------------------------------------------------------

    def show_message(self, text: str, tone: Tone = Tone.HINT) -> None:
        """Say something until something else is done; nothing lets the hint show."""
        self.message = Message(text=escape(text), tone=tone) if text else None
        self.message_changed.emit()

    def _ready(self) -> LayerSession | None:
        """Return the active session; if there is none, say what is missing."""
        if self.active is None and self.problem is None:
            self.show_message("Choose an image and a labels layer first.", Tone.WARNING)
        return self.active

    # -- news ----------------------------------------------------------------------

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        if self.session is not None:
            self._status_counts.update(self.session, frames)
        self.statuses_changed.emit(frames)
        mine = any(
            self.session is not None and self.session.status(frame) in PROTECTED
            for frame in frames
        )
        if mine and self.message is not None and not self.is_busy:
            self.show_message("")  # what was said is about what was before

    def _on_references(self) -> None:
        self.references_changed.emit()
        self._request_previews()

    def _request_previews(self) -> None:
        if self.active is not None:
            config = model_config(self._settings.model)
            self.active.previews.request(self.active.session.references, config)
            self.previews_changed.emit()

    def _on_runs(self) -> None:
        measured = self.active.runs.measured if self.active is not None else None
        if measured is not None:
            self._times.note(*measured)
        self.runs_changed.emit()

    def _on_run_ended(self, report: str, went_wrong: bool) -> None:
        self._times.save()
        self.show_message(report, Tone.ERROR if went_wrong else Tone.GOOD)

    def _on_history_shortened(self) -> None:
        self.show_message(
            "Napari's undo (Ctrl+Z) no longer reaches frames that a run has written: "
            "use Undo run for these."
        )

    def _on_lost(self, reason: str) -> None:
        layer_session = self.active
        self._leave()
        if layer_session is not None:
            self._layer_sessions = {
                k: v for k, v in self._layer_sessions.items() if v is not layer_session
            }
            layer_session.close()
        self.problem = reason
        self.active_changed.emit()


def next_in_circle(session: Session, current: int, step: int) -> int | None:
    """Return the next frame to review; after the last one comes the first."""
    frame = session.next_to_review(current, step)
    if frame is None:
        frame = session.next_to_review(-1 if step > 0 else len(session), step)
    return frame
