"""SegGPTWidget: the dock, its panels in the order of the work."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakSet

from napari.layers import Image, Labels
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFrame, QScrollArea, QShortcut, QVBoxLayout, QWidget

from napari_seggpt.ui.keys import KEYS, KeyBindings
from napari_seggpt.ui.layers.layer_choice import (
    LayerChoice,
    fits,
    is_labels,
    is_picture,
    unwrapped,
)
from napari_seggpt.ui.panels.corner_menu import CornerMenu
from napari_seggpt.ui.panels.data_panel import DataPanel
from napari_seggpt.ui.panels.objects_panel import ObjectsPanel
from napari_seggpt.ui.panels.preview_button import PreviewButton
from napari_seggpt.ui.panels.references_panel import ReferencesPanel
from napari_seggpt.ui.panels.review_panel import ReviewPanel
from napari_seggpt.ui.panels.run_panel import RunPanel
from napari_seggpt.ui.panels.sessions_button import SessionsButton
from napari_seggpt.ui.panels.tune_panel import TunePanel
from napari_seggpt.ui.widgets.class_list import ROW_HEIGHT
from napari_seggpt.ui.widgets.controls import FoldingSection
from napari_seggpt.ui.widgets.hint_line import HintLine
from napari_seggpt.ui.widgets.room import RoomMaker
from napari_seggpt.ui.widgets.settings_form import SettingsForm
from napari_seggpt.ui.widgets.style import style_sheet, tones
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.closing import Closing
from napari_seggpt.ui.work.hints import message_to_show
from napari_seggpt.ui.work.links import Links
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.preferences import Preferences
from napari_seggpt.ui.work.preloading import Preloading
from napari_seggpt.ui.work.saved_sessions import SavedSessions
from napari_seggpt.ui.work.sliders import SliderFollower
from napari_seggpt.ui.work.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.utils.events import Event
    from napari.viewer import Viewer
    from qtpy.QtGui import QResizeEvent, QShowEvent

    from napari_seggpt.session import ModelCache
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.panels.panel import Panel
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.workspace import Connections

HINT_MS = 50
_HAS_ONE = "Expected a viewer without this dock, got one: see SegGPTWidget.of(viewer)."
FULL_HEIGHT = 680  # pixels in which all steps are seen, with tuning and settings folded
FURTHER_HEIGHT = 23  # of each row that the data has besides image and labels
ELSEWHERE = (
    "model", "scheduler", "prediction.device", "objects.task", "propagation.start",
    "propagation.stop", "propagation.step",
)  # fmt: skip


class SegGPTWidget(QWidget):
    """Label a few frames of a stack; SegGPT labels the rest.

    Parameters
    ----------
    napari_viewer : Viewer
        The viewer that the dock is in.
    models : ModelCache, optional
        Where models come from.

    Raises
    ------
    RuntimeError
        If the viewer has one: each would take predictions of the other for a person's.
    """

    _open: ClassVar[WeakSet[SegGPTWidget]] = WeakSet()

    def __init__(
        self, napari_viewer: Viewer, *, models: ModelCache | None = None
    ) -> None:
        if self.of(napari_viewer) is not None:
            raise RuntimeError(_HAS_ONE)
        super().__init__()
        self.viewer = napari_viewer
        self.preferences = Preferences()
        self.workspace = Workspace(napari_viewer, self.preferences, models=models)
        self.saved_sessions = SavedSessions(self.workspace)
        self.links = Links(self.workspace, self.saved_sessions)
        self.preloading = Preloading(self.workspace)
        self.sliders = SliderFollower(self.workspace, self.saved_sessions)
        self.hint_line = HintLine()
        self.corner_menu = CornerMenu(self.workspace)
        self.hint_line.add_corner(self.corner_menu)
        self.data_panel = DataPanel(self.workspace)
        self.sessions_button = SessionsButton(self.saved_sessions)
        self.data_panel.labels_row.addWidget(self.sessions_button)
        self.references_panel = ReferencesPanel(self.workspace)
        self.run_panel = RunPanel(self.workspace)
        self.review_panel = ReviewPanel(self.workspace)
        self.objects_panel = ObjectsPanel(self.workspace)
        self.tune_panel = TunePanel(self.workspace)
        self.form = SettingsForm(self.workspace.settings, skip=ELSEWHERE)
        self.advanced_panel = FoldingSection("Model and settings")
        self.preview = PreviewButton(self.workspace)
        self.advanced_panel.rows.addWidget(self.run_panel.model_rows)
        self.advanced_panel.rows.addWidget(self.preview.button)
        self.advanced_panel.rows.addWidget(self.form)
        self._panels: tuple[Panel, ...] = (
            self.data_panel,
            self.references_panel,
            self.run_panel,
            self.review_panel,
            self.objects_panel,
            self.tune_panel,
        )
        self._sections = (*self._panels, self.advanced_panel)
        self._hint_timer = QTimer()
        self._hint_timer.setSingleShot(True)
        self._hint_timer.setInterval(HINT_MS)
        self._hint_timer.timeout.connect(self._show_hint)
        self._labels_keys: KeyBindings | None = None
        self._is_docked = False
        self._closing = Closing()
        self._lay_out()
        self._connect()
        self._restore_folds()
        self.room = RoomMaker(
            self._area,
            (self.objects_panel, self.tune_panel, self.advanced_panel),
            (self.data_panel, self.review_panel, self.references_panel),
        )
        for section in self._sections:
            section.folded.connect(self._save_folds)
        self._bind_keys()
        self._on_theme()
        self._choose_first()
        self._open.add(self)

    @classmethod
    def of(cls, viewer: Viewer) -> SegGPTWidget | None:
        """Return the dock that is open in a viewer, if there is one."""
        wanted = unwrapped(viewer)
        docks = (dock for dock in cls._open if not dock._closing.is_done)
        return next((d for d in docks if unwrapped(d.viewer) is wanted), None)

    # -- building ------------------------------------------------------------------

    def _lay_out(self) -> None:
        content = QWidget()
        rows = QVBoxLayout(content)
        rows.setContentsMargins(6, 0, 6, 0)
        rows.setSpacing(2)
        for section in self._sections:
            rows.addWidget(section)
        rows.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        self._content, self._area = content, area
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(2)
        layout.addWidget(self.hint_line)
        layout.addWidget(area, 1)

    def sizeHint(self) -> QSize:
        """Return the size that is best."""
        return QSize(self.minimumSizeHint().width(), FULL_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which nothing is cut off, but by scrolling."""
        bar = self._area.verticalScrollBar().sizeHint().width()
        wide = self._content.minimumSizeHint().width() + bar + 4
        return QSize(max(310, wide), 160)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show more labels where there is room, and less of all where there is none."""
        super().resizeEvent(event)
        self._share_height()

    def _share_height(self) -> None:
        further = self.data_panel.num_further_rows * FURTHER_HEIGHT
        spare = self.height() - FULL_HEIGHT - further
        self.references_panel.classes.take(spare)
        is_low = spare < -ROW_HEIGHT  # more is needed than the labels can give
        self.hint_line.set_low(is_low)
        self.references_panel.thumbnails.set_low(is_low)

    def _connect(self) -> None:
        workspace, layers = self.workspace, self.viewer.layers
        for signal in (
            workspace.choice_changed,
            workspace.active_changed,
            workspace.message_changed,
            self.saved_sessions.changed,
        ):
            signal.connect(self._hint_later)
        workspace.follow(self._connections)
        workspace.choice_changed.connect(self._share_height)
        workspace.active_changed.connect(self._bind_labels_keys)
        workspace.settings_changed.connect(self._show_settings)
        self.form.changed.connect(self._on_form)
        self.form.refused.connect(self._on_refused)
        self.hint_line.link_clicked.connect(self.links.follow)
        self.run_panel.model_rows.described.connect(self.advanced_panel.set_summary)
        self.run_panel.model_rows.refresh()
        for event, slot in (
            (layers.events.inserted, self._on_inserted),
            (layers.events.removed, self._on_removed),
            (layers.events.reordered, self._on_layers),
            (layers.events.renamed, self._on_layers),
            (self.viewer.dims.events.point, self._hint_later),
            (self.viewer.events.theme, self._on_theme),
        ):
            event.connect(slot)
            self._closing.add(partial(event.disconnect, slot))
        self._closing.add(self._hint_timer.stop)
        for panel in self._panels:
            self._closing.add(panel.release)
        self._closing.add(self.preview.close)
        self._closing.add(self.preloading.close)
        self._closing.add(self.sliders.close)
        self._closing.add(self.corner_menu.exporting.close)
        self._closing.add(self.corner_menu.merging.close)
        self._closing.add(self.saved_sessions.close)
        self._closing.add(workspace.close)
        self.destroyed.connect(self._closing)  # the viewer was closed

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.frames.statuses_changed, self._hint_later
        yield active.session.references.changed, self._hint_later
        yield active.previews.changed, self._hint_later
        yield active.runs.changed, self._hint_later
        yield active.tuning.changed, self._hint_later

    def _restore_folds(self) -> None:
        folds = self.preferences.load_folds()
        for section in self._sections:
            is_open = section not in (
                self.objects_panel,
                self.tune_panel,
                self.advanced_panel,
            )
            section.set_open(folds.get(section.title, is_open))

    def _save_folds(self, _: bool) -> None:
        for_a_while = self.room.folded
        self.preferences.save_folds(
            {s.title: s.is_open or s in for_a_while for s in self._sections}
        )

    def showEvent(self, event: QShowEvent | None) -> None:
        """Make room for what was left open, once the height is known."""
        super().showEvent(event)
        self.room.make_soon()

    # -- keys ----------------------------------------------------------------------

    @property
    def actions_by_key(self) -> dict[str, Callable[[], object]]:
        """What the keys do, by their names in `KEYS`."""
        acts: dict[str, Callable[[Workspace], object]] = {
            "frame": lambda workspace: actions.start_run(workspace, "frame"),
            "propagate": actions.run_or_pause,
            "reference": actions.toggle_reference,
            "approve": actions.toggle_approval,
            "next": actions.review_next,
            "previous": actions.review_previous,
            "undo": actions.undo_run,
        }
        return {key: partial(act, self.workspace) for key, act in acts.items()}

    def _bind_keys(self) -> None:
        keys = KeyBindings(unwrapped(self.viewer), self.actions_by_key)
        self._closing.add(keys.release)
        self._closing.add(self._release_labels_keys)
        for name, action in self.actions_by_key.items():
            shortcut = QShortcut(QKeySequence(KEYS[name]), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(action)

    def _bind_labels_keys(self) -> None:
        """Bind keys on the labels layer, too: its keys come before the viewer's."""
        self._release_labels_keys()
        if self.workspace.active is not None:
            layer = self.workspace.active.labels.layer
            self._labels_keys = KeyBindings(layer, self.actions_by_key)

    def _release_labels_keys(self) -> None:
        keys, self._labels_keys = self._labels_keys, None
        if keys is not None:
            keys.release()

    # -- layers --------------------------------------------------------------------

    def _choose_first(self) -> None:
        """Choose the active image, or the first one there is."""
        layers = [unwrapped(layer) for layer in self.viewer.layers]
        images = [layer for layer in layers if is_picture(layer)]
        active = unwrapped(self.viewer.layers.selection.active)
        image = active if active in images else next(iter(images), None)
        self.workspace.choose_image(image, layers)

    def _on_layers(self, event: Event | None = None) -> None:
        self.workspace.choice_changed.emit()

    def _on_inserted(self, event: Event) -> None:
        """Take a new layer, if what it is for is missing."""
        layer, choice = unwrapped(event.value), self.workspace.choice
        if isinstance(layer, Image) and choice.image is None:
            self._choose_first()
        elif is_labels(layer) and choice.image and choice.labels is None:
            self._take_labels(layer, choice)
        else:
            self._on_layers()

    def _take_labels(self, layer: Labels, choice: LayerChoice) -> None:
        try:
            is_fit = fits(choice.stack(), layer)
        except ValueError:
            is_fit = False
        if is_fit:
            self.workspace.choose(replace(choice, labels=layer))
        else:
            self._on_layers()

    def _on_removed(self, event: Event) -> None:
        layer, choice = unwrapped(event.value), self.workspace.choice
        self.workspace.forget_layer(layer)
        if layer is choice.image:
            self._choose_first()
        elif layer is choice.labels:
            self.workspace.choose(replace(choice, labels=None))
        elif layer in choice.mixed:
            mixed = tuple(each for each in choice.mixed if each is not layer)
            self.workspace.choose(replace(choice, mixed=mixed))
        else:
            self._on_layers()

    # -- settings, hints, theme ----------------------------------------------------

    def _on_form(self, settings: SessionSettings) -> None:
        self.workspace.settings = settings

    def _on_refused(self, reason: str) -> None:
        self.workspace.show_message(reason, Tone.WARNING)

    def _show_settings(self) -> None:
        self.form.show_settings(self.workspace.settings)

    def _hint_later(self, *_: object) -> None:
        if not self._hint_timer.isActive():
            self._hint_timer.start()

    def _show_hint(self) -> None:
        self.hint_line.show_message(
            message_to_show(self.workspace, self.saved_sessions)
        )

    def _on_theme(self, event: object = None) -> None:
        colors = tones(self.viewer.theme)
        self.setStyleSheet(style_sheet(colors))
        self.hint_line.set_tones(colors)
        for panel in self._panels:
            panel.set_tones(colors)
        self._show_hint()

    # -- the end -------------------------------------------------------------------

    def event(self, event: QEvent | None) -> bool:
        """Notice that napari takes the widget out of its dock, which ends it."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self.parent() is not None:
                self._is_docked = True
            elif self._is_docked:
                self.release()
        return bool(super().event(event))

    def closeEvent(self, event: object) -> None:
        """End what is on."""
        self.release()
        super().closeEvent(event)

    def release(self) -> None:
        """End what is on, and let go of viewer, layers and keys; labels stay."""
        self._closing()
