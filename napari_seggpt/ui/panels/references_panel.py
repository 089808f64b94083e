"""The panel of step 2: the examples that the model is shown."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QMenu
from superqt.utils import qthrottled

from napari_seggpt.ui.keys import with_key
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.panels.advice_buttons import AdviceButtons, described
from napari_seggpt.ui.panels.examples_form import ExamplesForm
from napari_seggpt.ui.panels.panel import NO_SESSION, Panel
from napari_seggpt.ui.widgets.class_list import ClassList
from napari_seggpt.ui.widgets.controls import allow, button, describe, row_of
from napari_seggpt.ui.widgets.thumbnails import KEY_ROLE, Thumbnails
from napari_seggpt.ui.work.actions import (
    complete_frame,
    go_to,
    toggle_reference,
    use_as_hint,
)
from napari_seggpt.ui.work.previews import overlaid, pictured, reference_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Labels
    from qtpy.QtCore import QPoint

    from napari_seggpt.session import Reference
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.previews import Key, Preview
    from napari_seggpt.ui.work.workspace import Connections, Workspace


THROTTLE_MS = 100  # references that change in quick succession


class ReferencesPanel(Panel):
    """Shows references and labels, and finds out which references help."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("2  References", workspace)
        self.thumbnails = Thumbnails()
        self.toggle_button = button("", _TOGGLE, partial(toggle_reference, workspace))
        self.others_button = button("More", _OTHERS, self._toggle_others)
        self.others_button.setCheckable(True)
        self.advice = AdviceButtons(workspace)
        self.examples = ExamplesForm(workspace)
        self.examples.setVisible(False)
        self.classes = ClassList()
        self.rows.addWidget(self.thumbnails)
        self.rows.addLayout(
            row_of(
                self.toggle_button,
                self.advice.check_button,
                self.advice.suggest_button,
                self.others_button,
            )
        )
        self.rows.addWidget(self.classes)
        self.rows.addWidget(self.examples)
        self._connect()

    def _connect(self) -> None:
        workspace = self._workspace
        self._refresh_soon = qthrottled(self.refresh, timeout=THROTTLE_MS, parent=self)
        self._listen()
        self.advice.changed.connect(self._show_captions)
        workspace.choice_changed.connect(self._offer_layers)
        self.thumbnails.chosen.connect(self._on_chosen)
        self.thumbnails.ticked.connect(self._on_ticked)
        self.thumbnails.removed.connect(self._on_removed)
        self.thumbnails.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.thumbnails.customContextMenuRequested.connect(self._on_menu)
        self.examples.added.connect(self._toggle_others)
        self.classes.chosen.connect(self._on_label)
        self.classes.named.connect(self._on_named)
        self.classes.locked.connect(self._on_locked)

    def _connections(self, active: LayerSession) -> Connections:
        yield active.session.references.changed, self._refresh_soon
        yield active.session.frames.locks.changed, self._show_classes
        yield active.previews.changed, self.refresh_previews
        yield active.navigation.changed, self._show_current

    def release(self) -> None:
        """Stop what workers do for the panel."""
        self._refresh_soon.cancel()
        self.examples.close_job()
        self.advice.close()

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.thumbnails.set_tones(colors)
        self.classes.set_tones(colors)

    # -- showing -------------------------------------------------------------------

    @property
    def _references(self) -> list[Reference]:
        """Those that are shown; of many there are more."""
        session = self._workspace.session
        return pictured(session.references.all) if session else []

    def _preview(self, reference: Reference) -> Preview | None:
        layer_session = self._workspace.active
        return layer_session.previews.get(reference) if layer_session else None

    def refresh(self) -> None:
        """Show the references that there are."""
        references = self._references
        self.thumbnails.show_keys([reference_key(each) for each in references])
        self._show_captions()
        self._show_current()
        no_session = "" if self._workspace.active is not None else NO_SESSION
        allow(self.others_button, no_session)
        session = self._workspace.session
        used = sum(each.enabled for each in session.references.all) if session else 0
        self.set_summary(f"{used} in use" if references else "")
        self.refresh_previews()

    def _show_captions(self) -> None:
        found, layer_session = self.advice.found, self._workspace.active
        names = class_names(layer_session.labels.layer) if layer_session else {}
        for row, each in enumerate(self._references[: self.thumbnails.count()]):
            checked = found.get(reference_key(each))
            name = self._workspace.name
            caption = self._caption(each)
            if each.is_hint:
                caption += " hint"
            score = checked.score if checked is not None else None
            about = described(checked, names) if checked is not None else ""
            self.thumbnails.show_reference(
                row,
                caption=caption,
                score="" if score is None else f"{score:.2f}",
                tooltip=about + _tooltip(each, name),
                is_on=each.enabled,
            )

    def _caption(self, reference: Reference) -> str:
        session, frame = self._workspace.session, reference.frame
        if frame is None:
            return str(reference.name)
        return str(frame) if session is None else session.grid.short_name(frame)

    def _show_current(self, _: int = 0) -> None:
        frame, session = self._workspace.current, self._workspace.session
        self.thumbnails.mark(frame)
        is_one = session is not None and session.frames.record(frame).is_reference
        text = "Drop" if is_one else "Add"
        self.toggle_button.setText(with_key(text, "reference"))
        name = self._workspace.name(frame)
        act = f"no longer show frame {name}" if is_one else f"show frame {name}"
        describe(self.toggle_button, _TOGGLE.format(act=act))
        allow(self.toggle_button, "" if session is not None else NO_SESSION)

    def refresh_previews(self) -> None:
        """Show the pictures and labels that are known by now."""
        layer_session = self._workspace.active
        for row, each in enumerate(self._references):
            preview = self._preview(each)
            if (
                layer_session is None
                or preview is None
                or row >= self.thumbnails.count()
            ):
                continue
            colors = _colors(layer_session.labels.layer, preview.labels)
            self.thumbnails.show_picture(row, overlaid(preview, colors))
        self._show_classes()

    def _show_classes(self) -> None:
        layer_session = self._workspace.active
        previews = [self._preview(each) for each in self._references]
        found = {i for preview in previews if preview is not None for i in preview.ids}
        locked = (
            layer_session.session.frames.locks.labels if layer_session else frozenset()
        )
        labels = sorted(found | locked)
        if layer_session is None:
            self.classes.show_labels([], {}, {}, frozenset())
            return
        layer = layer_session.labels.layer
        is_large = max(labels, default=0) > np.iinfo(np.int64).max
        dtype = np.uint64 if is_large else np.int64
        values = _colors(layer, np.array(labels, dtype))
        colors = {
            label: QColor.fromRgbF(*(float(x) for x in value[:3]))
            for label, value in zip(labels, values, strict=True)
        }
        self.classes.show_labels(labels, colors, class_names(layer), locked)

    # -- acting --------------------------------------------------------------------

    def _toggle_others(self) -> None:
        is_open = self.examples.isHidden()
        self.others_button.setChecked(is_open)
        self.examples.setVisible(is_open)
        self._offer_layers()

    def _offer_layers(self) -> None:
        if not self.examples.isHidden():
            self.examples.refresh()

    def _on_chosen(self, key: Key) -> None:
        if isinstance(key, int):
            go_to(self._workspace, key)

    def _on_ticked(self, key: Key, is_on: bool) -> None:
        session = self._workspace.session
        if session is None:
            return
        if isinstance(key, int):
            session.references.set_enabled(key, is_on)
        else:
            session.references.set_example_enabled(key, is_on)

    def _on_removed(self, key: Key) -> None:
        session = self._workspace.session
        if session is None:
            return
        if isinstance(key, int):
            session.references.remove(key)
        else:
            session.references.remove_example(key)

    def _on_menu(self, place: QPoint) -> None:
        item = self.thumbnails.itemAt(place)
        menu = self.menu_of(item.data(KEY_ROLE)) if item is not None else None
        if menu is not None:
            menu.exec(self.thumbnails.viewport().mapToGlobal(place))

    def menu_of(self, key: Key) -> QMenu | None:
        """Make the menu of a reference frame; others have none."""
        found = next((x for x in self._references if x.frame == key), None)
        if found is None or not isinstance(key, int):
            return None
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        hint = menu.addAction("Only as a hint")
        hint.setCheckable(True)
        hint.setChecked(found.is_hint)
        hint.setToolTip(_HINT)
        hint.toggled.connect(partial(use_as_hint, self._workspace, key))
        rest = menu.addAction("Predict the rest, then correct")
        rest.setToolTip(_REST)
        rest.triggered.connect(lambda *_: complete_frame(self._workspace, key))
        remove = menu.addAction("Remove from the references")
        remove.triggered.connect(lambda *_: self._on_removed(key))
        return menu

    def _on_label(self, label: int) -> None:
        if self._workspace.active is not None:
            self._workspace.active.labels.layer.selected_label = label

    def _on_named(self, label: int, name: str) -> None:
        if self._workspace.active is not None:
            name_class(self._workspace.active.labels.layer, label, name)

    def _on_locked(self, label: int, is_on: bool) -> None:
        session = self._workspace.session
        if session is not None:
            (session.frames.locks.lock if is_on else session.frames.locks.unlock)(label)


def _colors(layer: Labels, labels: np.ndarray) -> np.ndarray:
    """Return the colours (..., 4) that a layer shows labels in."""
    return np.asarray(layer.colormap.map(labels))


def _tooltip(reference: Reference, name_of: Callable[[int], str]) -> str:
    frame = reference.frame
    name = str(reference.name) if frame is None else f"frame {name_of(frame)}"
    state = "in use" if reference.enabled else "not in use"
    labels = "" if reference.is_labelled else ", without labels: nothing is there"
    labels += ", only as a hint" if reference.is_hint else ""
    go_there = "Click to go there. " if reference.frame is not None else ""
    return (
        f"{name.capitalize()}, {state}{labels}. {go_there}The tick switches it on and "
        "off; Delete removes it, its labels stay. A right click has more."
    )


_HINT = "Some objects are not painted: what is unlabelled counts for nothing."
_REST = "What you have painted stays; the rest is predicted from the other references."
_TOGGLE = (
    "Press to {act} to the model as an example. Frames that you paint on become "
    "references by themselves."
)
_OTHERS = "References from other layers or from a file, and a file of your own."
