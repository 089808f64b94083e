"""The panel of step 2: the examples that the model is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel

from napari_seggpt.session import FrameStatus
from napari_seggpt.ui.keys import with_key
from napari_seggpt.ui.layers.class_names import class_names, name_class
from napari_seggpt.ui.panels.advice_buttons import Advice, described
from napari_seggpt.ui.panels.examples_form import ExamplesForm
from napari_seggpt.ui.widgets.class_list import ClassList
from napari_seggpt.ui.widgets.controls import Section, button, muted, row_of
from napari_seggpt.ui.widgets.thumbnails import Thumbnails
from napari_seggpt.ui.work.previews import MANY, key_of, overlaid

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_seggpt.session import Reference
    from napari_seggpt.ui.widgets.style import Tones
    from napari_seggpt.ui.work.dock_state import Workbench
    from napari_seggpt.ui.work.previews import Key, Look


class ReferencesPanel(Section):
    """Shows references and labels, and says when objects are too small."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__("2  References")
        self._bench = bench
        self.thumbnails = Thumbnails()
        self.toggle_button = button("", _TOGGLE, bench.toggle_reference)
        self.others_button = button("Other layers", _OTHERS, self._toggle_others)
        self.others_button.setCheckable(True)
        self.advice = Advice(bench)
        self.examples = ExamplesForm(bench)
        self.examples.setVisible(False)
        self.classes = ClassList()
        self.none_label = muted("No frame has labels yet.")
        self.tiles_box, self.tiles_label, self.tiles_button = self._make_tiles_box()
        self.rows.addWidget(self.none_label)
        self.rows.addWidget(self.thumbnails)
        self.rows.addLayout(row_of(self.toggle_button, self.others_button))
        self.rows.addLayout(
            row_of(self.advice.check_button, self.advice.suggest_button)
        )
        self.rows.addWidget(self.examples)
        self.rows.addWidget(self.tiles_box)
        self.rows.addWidget(self.classes)
        self._connect()

    def _make_tiles_box(self) -> tuple[QFrame, QLabel, object]:
        box, label = QFrame(), QLabel()
        label.setWordWrap(True)
        fix = button("Use tiles", _TILES, self._use_tiles)
        layout = QHBoxLayout(box)
        layout.setContentsMargins(8, 2, 2, 2)
        layout.addWidget(label, 1)
        layout.addWidget(fix)
        return box, label, fix

    def _connect(self) -> None:
        bench = self._bench
        bench.desk_changed.connect(self.refresh)
        bench.references_changed.connect(self.refresh)
        bench.looks_changed.connect(self.refresh_looks)
        self.advice.changed.connect(self._show_captions)
        bench.locks_changed.connect(self._show_classes)
        bench.settings_changed.connect(self._show_tiles)
        bench.current_changed.connect(self._show_current)
        bench.choice_changed.connect(self._offer_layers)
        self.thumbnails.chosen.connect(self._on_chosen)
        self.thumbnails.ticked.connect(self._on_ticked)
        self.thumbnails.removed.connect(self._on_removed)
        self.examples.added.connect(self._toggle_others)
        self.classes.chosen.connect(self._on_label)
        self.classes.named.connect(self._on_named)
        self.classes.locked.connect(self._on_locked)

    def set_tones(self, colors: Tones) -> None:
        """Paint in the colours of another theme."""
        self.thumbnails.set_tones(colors)
        self.classes.set_tones(colors)
        self.tiles_box.setStyleSheet(
            f"QFrame {{ border-left: 4px solid {colors.warning.name()};"
            f" background: {colors.foreground.name()}; }}"
            "QLabel { border: none; background: transparent; }"
        )

    # -- showing -------------------------------------------------------------------

    @property
    def _references(self) -> list[Reference]:
        session = self._bench.session
        return list(session.references)[:MANY] if session else []

    def _look(self, reference: Reference) -> Look | None:
        desk = self._bench.desk
        return desk.looks.get(reference) if desk else None

    def refresh(self) -> None:
        """Show the references that there are."""
        references = self._references
        self.thumbnails.show_keys([key_of(each) for each in references])
        self._show_captions()
        self._show_current()
        self.others_button.setEnabled(self._bench.desk is not None)
        self.none_label.setVisible(not references)
        self.thumbnails.setVisible(bool(references))
        used = sum(each.enabled for each in references)
        self.set_summary(f"{used} in use" if references else "")
        self.refresh_looks()

    def _show_captions(self) -> None:
        found, desk = self.advice.found, self._bench.desk
        names = class_names(desk.labels.layer) if desk else {}
        for row, each in enumerate(self._references[: self.thumbnails.count()]):
            checked = found.get(key_of(each))
            caption = str(each.frame) if each.name is None else each.name
            if checked is not None and checked.score is not None:
                caption += f": {checked.score:.2f}"
            about = described(checked, names) if checked is not None else ""
            self.thumbnails.show_reference(
                row,
                caption=caption,
                tooltip=about + _tooltip(each),
                is_on=each.enabled,
            )

    def _show_current(self) -> None:
        frame, has_desk = self._bench.current, self._bench.desk is not None
        is_one = self.thumbnails.mark(frame)
        text = f"Remove {frame}" if is_one else f"Add {frame}"
        self.toggle_button.setText(with_key(text if has_desk else "Add", "reference"))
        self.toggle_button.setEnabled(has_desk)

    def refresh_looks(self) -> None:
        """Show the pictures and labels that are known by now."""
        desk = self._bench.desk
        for row, each in enumerate(self._references):
            look = self._look(each)
            if desk is None or look is None or row >= self.thumbnails.count():
                continue
            colors = _colors(desk.labels.layer, look.labels)
            self.thumbnails.show_picture(row, overlaid(look, colors))
        self._show_classes()
        self._show_tiles()

    def _show_classes(self) -> None:
        desk = self._bench.desk
        looks = [self._look(each) for each in self._references]
        found = {i for look in looks if look is not None for i in look.ids}
        locked = desk.session.locked_labels if desk else frozenset()
        labels = sorted(found | locked)
        self.classes.setVisible(bool(labels))
        if desk is None or not labels:
            return
        layer = desk.labels.layer
        values = _colors(layer, np.array(labels))
        colors = {
            label: QColor.fromRgbF(*(float(x) for x in value[:3]))
            for label, value in zip(labels, values, strict=True)
        }
        self.classes.show_labels(labels, colors, class_names(layer), locked)

    def _show_tiles(self) -> None:
        look = self._smallest
        settings = self._bench.settings.prediction.tiling
        is_needed = look is not None and look.scale is not None
        self.tiles_box.setVisible(is_needed and not settings.enabled)
        if look is not None:
            self.tiles_label.setText(
                f"Smallest objects: {look.side:.1f} pixels wide for the model, which "
                "squeezes frames and may miss them."
            )

    def _drawn(self, reference: Reference) -> bool:
        """Whether a person drew all of it: what was predicted may have specks."""
        session = self._bench.session
        if reference.frame is None or session is None:
            return True
        return session.status(reference.frame) is FrameStatus.REFERENCE

    @property
    def _smallest(self) -> Look | None:
        drawn = [x for x in self._references if x.enabled and self._drawn(x)]
        looks = [self._look(each) for each in drawn]
        known = [look for look in looks if look is not None]
        return min(known, key=lambda look: look.side, default=None)

    # -- acting --------------------------------------------------------------------

    def _use_tiles(self) -> None:
        look, settings = self._smallest, self._bench.settings
        if look is None or look.scale is None:
            return
        tiling = replace(settings.prediction.tiling, enabled=True, scale=look.scale)
        prediction = replace(settings.prediction, tiling=tiling)
        self._bench.settings = replace(settings, prediction=prediction)
        self._bench.say(
            "Frames are cut into tiles now, which takes longer. Advanced settings "
            "switch it off."
        )

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
            self._bench.go_to(key)

    def _on_ticked(self, key: Key, is_on: bool) -> None:
        session = self._bench.session
        if session is None:
            return
        if isinstance(key, int):
            session.set_reference_enabled(key, is_on)
        else:
            session.set_prompt_enabled(key, is_on)

    def _on_removed(self, key: Key) -> None:
        session = self._bench.session
        if session is None:
            return
        if isinstance(key, int):
            session.remove_reference(key)
        else:
            session.remove_prompt(key)

    def _on_label(self, label: int) -> None:
        if self._bench.desk is not None:
            self._bench.desk.labels.layer.selected_label = label

    def _on_named(self, label: int, name: str) -> None:
        if self._bench.desk is not None:
            name_class(self._bench.desk.labels.layer, label, name)

    def _on_locked(self, label: int, is_on: bool) -> None:
        session = self._bench.session
        if session is not None:
            (session.lock_label if is_on else session.unlock_label)(label)


def _colors(layer: Labels, labels: np.ndarray) -> np.ndarray:
    """Return the colours (..., 4) that a layer shows labels in."""
    return np.asarray(layer.colormap.map(labels))


def _tooltip(reference: Reference) -> str:
    name = f"frame {reference.frame}" if reference.name is None else reference.name
    state = "in use" if reference.enabled else "not in use"
    labels = "" if reference.is_labelled else ", without labels: nothing is there"
    go_there = "Click to go there. " if reference.frame is not None else ""
    return (
        f"{name.capitalize()}, {state}{labels}. {go_there}The tick switches it on and "
        "off; Delete removes it, its labels stay."
    )


_TOGGLE = (
    "Show the current frame to the model as an example, or do so no longer. Frames "
    "that you paint on become references by themselves."
)
_OTHERS = "Add labelled images from other layers as references."
_TILES = "Cut frames into overlapping tiles, so that the model sees small objects."
