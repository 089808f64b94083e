"""Workspace: the layers that were chosen in a viewer, and the session on them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_seggpt.session import PROTECTED, ModelCache
from napari_seggpt.session.runs.region import Region
from napari_seggpt.ui.layers.data_listener import DataListener
from napari_seggpt.ui.layers.drawn_region import drawn_mask
from napari_seggpt.ui.layers.layer_choice import (
    LayerChoice,
    first_choice,
    likely_labels,
)
from napari_seggpt.ui.layers.navigation import place_in
from napari_seggpt.ui.layers.new_labels import DEFAULT_DTYPE
from napari_seggpt.ui.work.frame_times import (
    FrameTimes,
    RunConditions,
    conditions_of,
)
from napari_seggpt.ui.work.known_sessions import KnownSessions
from napari_seggpt.ui.work.messages import Message, Tone
from napari_seggpt.ui.work.preferences import Preferences, chosen_for_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy as np
    from napari.layers import Image, Layer, Shapes
    from napari.viewer import Viewer
    from psygnal import SignalInstance

    from napari_seggpt.session import Scope, Session
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.layer_session import LayerSession

    Connections = Iterable[tuple[SignalInstance, Callable[..., Any]]]


class Workspace:
    """Holds the layers that were chosen, their session, the settings and a message.

    Whoever shows the session connects to the session itself, see `follow`. What goes
    wrong is shown as a message, never raised.

    Parameters
    ----------
    viewer : Viewer
        The viewer.
    preferences : Preferences
        Where settings and times are kept between sessions of napari.
    models : ModelCache, optional
        Where models are kept.

    Attributes
    ----------
    choice : LayerChoice
        What was chosen.
    active : LayerSession or None
        The session on it; None while something is missing or does not fit.
    problem : str or None
        Why there is no session on the layers that were chosen.
    message : Message or None
        The last message; None after something else was done.
    scope : str
        Which frames the next run is to label.
    region_layer : Shapes or None
        Where the region is drawn that runs are limited to, if they are.
    held : str
        Why nothing that writes labels may be begun at present, see `hold`; else "".
    choice_changed : Signal
        Other layers were chosen, or layers came, went or were renamed.
    active_changed : Signal
        There is another session, none any more, or it has other images.
    settings_changed, message_changed : Signal
        Settings or message changed.
    """

    choice_changed = Signal()
    active_changed = Signal()
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
        self.region_layer: Shapes | None = None
        self.held = ""
        self.frame_times = FrameTimes(preferences)
        self._settings = preferences.load_settings()
        self._known = KnownSessions(
            viewer, self.models, self._on_lost, lambda each: each is self.active
        )
        self._awaited = DataListener(self._on_data)
        self._followers: list[Callable[[LayerSession], Connections]] = []
        self.follow(self._connections)

    # -- the session ---------------------------------------------------------------

    def follow(self, connections: Callable[[LayerSession], Connections]) -> None:
        """Have signals of the active session connected, whichever session that is.

        Parameters
        ----------
        connections : callable
            Returns, for a session, pairs of a signal and what it is connected to.
        """
        self._followers.append(connections)
        if self.active is not None:
            self._connect(connections, self.active)

    def _connect(
        self, connections: Callable[[LayerSession], Connections], active: LayerSession
    ) -> None:
        for signal, slot in connections(active):
            signal.connect(slot)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.frames.statuses_changed, self._on_statuses
        yield active.runs.changed, self._note_time
        yield active.runs.ended, self._on_run_ended
        yield active.scanned, self.message_changed.emit
        yield active.labels.history_shortened, self._on_history_shortened
        yield active.undone_elsewhere, self._on_undone_elsewhere

    @property
    def session(self) -> Session | None:
        """The session, if there is one."""
        return self.active.session if self.active else None

    @property
    def current(self) -> int:
        """The frame that is shown."""
        return self.active.navigation.current if self.active else 0

    def name(self, frame: int) -> str:
        """Return what people call a frame, such as "12" or "t 3, z 12"."""
        return str(frame) if self.active is None else self.active.name(frame)

    @property
    def is_busy(self) -> bool:
        """Whether a run or tuning is on, a run is being undone, or all is held."""
        return bool(self.held) or (self.active is not None and self.active.is_busy)

    def hold(self, reason: str) -> None:
        """Let no run, undo or tuning begin, for a reason; "" lets them again."""
        self.held = reason
        if self.active is not None:  # whoever shows what can be begun looks again
            self.active.runs.changed.emit()
            self.active.tuning.changed.emit()

    @property
    def is_running(self) -> bool:
        """Whether a run is on, be it paused or not."""
        return self.active is not None and self.active.runs.is_running

    # -- choosing layers -----------------------------------------------------------

    def choose_image(self, image: Image | None, layers: Sequence[Layer]) -> None:
        """Work on another image, with the labels layer that likely belongs to it."""
        if image is None:
            self.choose(LayerChoice())
            return
        choice = first_choice(image, place_in(self.viewer, image))
        if choice.kind is not None:
            kept = self.preferences.load_channels(choice.kind)
            choice = choice.with_channels(kept)
        try:
            labels = likely_labels(choice.stack(), layers)
        except ValueError:
            labels = None
        self.choose(replace(choice, labels=labels))
        self._take_settings_of_kind()

    def _take_settings_of_kind(self) -> None:
        """Take the settings that were last chosen for images of the present kind."""
        before, kind = self._settings, self.choice.image_kind
        if kind is not None:
            self.settings = self.preferences.load_kind(kind, before)
        if self._settings != before and self.problem is None:
            kept = "Contrast, objects, clean-up and tiles are as you last set them"
            self.show_message(f"{kept} for such images.", Tone.GOOD)

    def choose(self, choice: LayerChoice) -> None:
        """Work on something; a run on something else ends, and keeps what it did."""
        old, self.choice = self.choice, choice
        self._note_problem(None)
        self._note_channels(old, choice)
        if self.active is not None and choice.place == old.place:
            if choice.pictures != old.pictures:
                self._show_other_pictures(self.active)
        else:
            self._open()
        self.choice_changed.emit()

    def _note_channels(self, old: LayerChoice, choice: LayerChoice) -> None:
        """Remember which channels a person has chosen, for images of this kind."""
        is_same = (old.image, old.channel_axis) == (choice.image, choice.channel_axis)
        if is_same and choice.channels not in ((), old.channels) and choice.kind:
            self.preferences.save_channels(choice.kind, choice.channels)

    def make_labels(self, dtype: np.dtype[Any] = DEFAULT_DTYPE) -> None:
        """Add an empty labels layer like the image, and work on it.

        Parameters
        ----------
        dtype : dtype
            An integer type that its ids will fit.
        """
        if self.choice.image is None:
            return
        try:
            layer = self.choice.new_labels(dtype=dtype)
        except (ValueError, OSError) as error:
            self.show_message(str(error), Tone.ERROR)
            return
        self.viewer.add_layer(layer)
        self.choose(replace(self.choice, labels=layer))
        self.viewer.layers.selection.active = layer
        layer.mode = "paint"  # whoever makes labels paints next

    def forget_layer(self, layer: Layer) -> None:
        """Let go of a layer that was removed."""
        if layer is self.region_layer:
            self.region_layer = None
        for each in self._known:
            if layer in (each.image, each.labels.layer):
                self.close_session(each)

    def _open(self) -> None:
        """Activate the session on the chosen layers, a new one if there is none yet."""
        self._leave()
        self.show_message("")  # it was about other layers
        if self.choice.image is not None and self.choice.labels is not None:
            try:
                self._enter(self._known.on(self.choice, self._settings))
            except ValueError as error:
                self._note_problem(str(error))
        self.active_changed.emit()
        if self.active is not None:
            self.active.request_previews()

    def _enter(self, active: LayerSession) -> None:
        self.active = active
        active.session.settings = self._settings
        for each in self._followers:
            self._connect(each, active)

    def _leave(self) -> None:
        active, self.active = self.active, None
        if active is None:
            return
        active.runs.stop()
        for each in self._followers:
            for signal, slot in each(active):
                signal.disconnect(slot)

    def close_session(self, layer_session: LayerSession) -> None:
        """Close a session for good."""
        if layer_session is self.active:
            self._leave()
        self._known.close(layer_session)

    def _show_other_pictures(self, active: LayerSession) -> None:
        try:
            active.show_pictures(self.choice)
        except ValueError as error:
            self._note_problem(str(error))
            self._leave()
        self.active_changed.emit()

    def close(self) -> None:
        """End what is on, and let go of everything; labels stay."""
        self._awaited.listen_to(())
        for each in self._known:
            self.close_session(each)
        # Not here, because a worker that is about to end may hold the models.
        threading.Thread(target=self.models.leave, daemon=True).start()

    # -- settings and messages -----------------------------------------------------

    @property
    def settings(self) -> SessionSettings:
        """The settings, with or without a session."""
        return self._settings

    @settings.setter
    def settings(self, settings: SessionSettings) -> None:
        if settings == self._settings:
            return
        before, self._settings = self._settings, settings
        if self.active is not None:
            self.active.session.settings = settings
        self.preferences.save_settings(settings)
        is_of_kind = chosen_for_kind(settings) != chosen_for_kind(before)
        if is_of_kind and (kind := self.choice.image_kind) is not None:
            self.preferences.save_kind(kind, settings)
        self.settings_changed.emit()
        if settings.model != before.model and self.active is not None:
            self.active.request_previews()

    def show_message(self, text: str, tone: Tone = Tone.HINT) -> None:
        """Show a message until something else is done; without text show the hint."""
        self.message = Message.plain(text, tone) if text else None
        self.message_changed.emit()

    def show_question(self, text: str) -> None:
        """Show rich text with links, in which all that is from files is escaped."""
        self.message = Message(text=text, tone=Tone.WARNING)
        self.message_changed.emit()

    # -- what happens to the session -----------------------------------------------

    def _on_statuses(self, frames: tuple[int, ...]) -> None:
        """Take the message away when a person goes on: it is about what was before."""
        if self.active is None or self.message is None or self.is_busy:
            return
        statuses = (self.active.session.frames.status(frame) for frame in frames)
        if any(status in PROTECTED for status in statuses):
            self.show_message("")

    @property
    def region(self) -> Region | None:
        """The region that is drawn now, if runs are limited to one.

        Raises
        ------
        ValueError
            If nothing that is drawn lies on the frames.
        """
        if self.active is None or self.region_layer is None:
            return None
        return Region(mask=drawn_mask(self.region_layer, self.active.labels))

    @property
    def conditions(self) -> RunConditions | None:
        """What the time of a frame of the next run depends on."""
        return None if self.active is None else conditions_of(self.active)

    def _note_time(self) -> None:
        """Note what frames take; a part of a frame says nothing of that."""
        if self.active is not None and self.region_layer is None:
            self.frame_times.note_run(self.active)

    def _on_run_ended(self, report: str, tone: Tone) -> None:
        self.frame_times.save()
        self.show_message(report, tone)

    def _on_history_shortened(self) -> None:
        self.show_message(
            "Napari's undo (Ctrl+Z) no longer reaches frames that a run has written: "
            "use Undo run for these."
        )

    def _on_undone_elsewhere(self, frame: int) -> None:
        name = self.name(frame)
        self.show_message(f"Napari's undo or redo changed frame {name}: here it is.")

    def _on_lost(self, layer_session: LayerSession, reason: str) -> None:
        is_active = layer_session is self.active
        self.close_session(layer_session)
        if is_active:
            self._note_problem(reason)
            self.active_changed.emit()

    def _note_problem(self, reason: str | None) -> None:
        """Take note of what is wrong with the layers; other data may mend it."""
        self.problem = reason
        layers: list[Layer] = [*self.choice.images] if reason else []
        if reason and self.choice.labels is not None:
            layers.append(self.choice.labels)
        self._awaited.listen_to(layers)

    def _on_data(self, _: Layer) -> None:
        self._note_problem(None)
        self._open()
        self.choice_changed.emit()
