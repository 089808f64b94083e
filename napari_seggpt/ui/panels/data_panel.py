"""The panel of step 1: which layers, and which part of them, are worked on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QMenu, QSpinBox, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_seggpt.ui.layers.frame_axes import axes_of, stack_axes
from napari_seggpt.ui.layers.image_stack import MAX_CHANNELS, level_data, num_levels
from napari_seggpt.ui.layers.layer_choice import (
    axis_titles,
    fits,
    is_labels,
    is_picture,
    mixable,
    unwrapped,
)
from napari_seggpt.ui.layers.navigation import place_in
from napari_seggpt.ui.panels.panel import Panel
from napari_seggpt.ui.widgets.controls import (
    Combo,
    FormRows,
    allow,
    as_tooltip,
    button,
    compact_spin,
    describe,
)
from napari_seggpt.ui.work.actions import show_place, show_slices
from napari_seggpt.ui.work.axis_words import in_words
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

    from napari_seggpt.ui.layers.frame_axes import Along
    from napari_seggpt.ui.layers.layer_choice import LayerChoice
    from napari_seggpt.ui.widgets.controls import FormRow
    from napari_seggpt.ui.work.workspace import Workspace


class DataPanel(Panel):
    """Chooses image, axis, channels, level and labels."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("1  Data", workspace)
        self.image_box, self.axis_box = Combo(), Combo()
        self.level_box, self.labels_box = Combo(), Combo()
        self.channels_button = _Multiple(self._on_channels, MAX_CHANNELS)
        self.mix_button = _Multiple(self._on_mixed, MAX_CHANNELS - 1)
        self.new_button = button("New", _NEW, workspace.make_labels)
        self._rows = FormRows()
        image = QWidget()
        beside = QHBoxLayout(image)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(4)
        beside.addWidget(self.image_box, 1)
        beside.addWidget(self.axis_box)
        self._rows.add("Image", image, _IMAGE)
        self.image_box.setToolTip(_IMAGE)
        self.axis_box.setToolTip(_AXIS)
        self._offered: list[Along] = []  # what frames may run along
        self._other_axes: list[tuple[FormRow, _OtherAxis]] = []
        self._add_further_rows()
        self.rows.addLayout(self._rows)
        for box, slot in (
            (self.image_box, self._on_image),
            (self.axis_box, self._on_axis),
            (self.level_box, self._on_level),
            (self.labels_box, self._on_labels),
        ):
            box.currentIndexChanged.connect(slot)
        workspace.choice_changed.connect(self.refresh)
        workspace.active_changed.connect(self._summarise)

    def _add_further_rows(self) -> None:
        for _ in range(MAX_OTHER_AXES):
            other = _OtherAxis(self._on_fixed, self._on_channel_axis)
            self._other_axes.append((self._rows.add("", other, _FIXED), other))
        self._channels_row = self._rows.add("Channels", self._channels(), _CHANNELS)
        self.channels_button.setToolTip(_CHANNELS)
        self._mix_row = self._rows.add("Mix with", self.mix_button, _MIX)
        self._level_row = self._rows.add("Level", self.level_box, _LEVEL)
        field = QWidget()
        self.labels_row = QHBoxLayout(field)
        self.labels_row.setContentsMargins(0, 0, 0, 0)
        self.labels_row.setSpacing(4)
        self.labels_row.addWidget(self.labels_box, 1)
        self.labels_row.addWidget(self.new_button)
        self._rows.add("Labels", field, _LABELS)
        self.labels_box.setToolTip(_LABELS)

    def _channels(self) -> QWidget:
        """Make the field that chooses channels, or takes their axis for another one."""
        self.channels_check = QCheckBox("channels")
        self.channels_check.setChecked(True)
        self.channels_check.setToolTip(_AS_CHANNELS)
        self.channels_check.toggled.connect(self._on_no_channels)
        field = QWidget()
        beside = QHBoxLayout(field)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.addWidget(self.channels_button, 1)
        beside.addWidget(self.channels_check)
        return field

    @property
    def num_further_rows(self) -> int:
        """How many rows there are beside image and labels."""
        rows = [self._channels_row, self._mix_row, self._level_row]
        rows += [row for row, _ in self._other_axes]
        return sum(not row.field.isHidden() for row in rows)

    # -- showing -------------------------------------------------------------------

    @property
    def _layers(self) -> list[Layer]:
        return [unwrapped(layer) for layer in self._workspace.viewer.layers]

    def refresh(self) -> None:
        """Show the layers that there are, and what is chosen of them."""
        choice, layers = self._workspace.choice, self._layers
        images = [layer for layer in layers if is_picture(layer)]
        self.image_box.fill([(x.name, x) for x in images] or [_NONE], choice.image)
        describe(self.image_box, _about(choice.image, _IMAGE))
        allow(self.image_box, "" if images else _NO_IMAGE)
        self._show_labels(choice, layers)
        self.axis_box.setVisible(False)
        for row in (self._channels_row, self._mix_row, self._level_row):
            row.set_visible(False)
        for row, _ in self._other_axes:
            row.set_visible(False)
        if choice.image is not None:
            self._show_axes(choice.image, choice)
            self._show_pictures(choice.image, choice, layers)
        self._summarise()

    def _show_labels(self, choice: LayerChoice, layers: list[Layer]) -> None:
        found: list[tuple[str, object]] = [
            (layer.name, layer) for layer in layers if is_labels(layer)
        ]
        self.labels_box.fill(
            found if choice.labels is not None else [_NOT_YET, *found], choice.labels
        )
        no_image = "" if choice.image is not None else _NO_IMAGE
        describe(self.labels_box, _about(choice.labels, _LABELS))
        allow(self.labels_box, no_image or ("" if found else _NO_LABELS))
        allow(self.new_button, no_image)

    def _show_axes(self, image: Image, choice: LayerChoice) -> None:
        axes = stack_axes(image)
        titles = [(in_words(image, text), along) for text, along in axis_titles(image)]
        self.axis_box.setVisible(bool(axes))
        self._offered = [along for _, along in titles]
        is_known = choice.axis in self._offered
        chosen = self._offered.index(choice.axis) if is_known else None
        names: list[tuple[str, object]] = [(x[0], i) for i, x in enumerate(titles)]
        self.axis_box.fill(names, chosen)
        # The header has the numbers; here the name of the image needs the room.
        short = [title.partition(":")[0] for title, _ in titles]
        self.axis_box.shorten(short)
        text_width = self.axis_box.fontMetrics().horizontalAdvance
        widest = max(map(text_width, short), default=0)
        self.axis_box.setMinimumWidth(min(MAX_AXIS_WIDTH, widest + ARROW_WIDTH))
        shape, taken = level_data(image, 0).shape, {*axes_of(choice.axis)}
        taken |= {*choice.spanned}
        if choice.channel_axis is not None:  # it has a row of its own
            taken.add(choice.channel_axis)
        others = [x for x in axes if x[0] not in taken and shape[x[0]] > 1]
        for (row, field), (at, name) in zip(self._other_axes, others, strict=False):
            row.set_visible(True)
            row.label.setText(in_words(image, name).capitalize())
            index = dict(choice.fixed).get(at, 0)
            field.show_axis(at, shape[at], index, can_mix=not image.rgb)

    def _show_pictures(
        self, image: Image, choice: LayerChoice, layers: list[Layer]
    ) -> None:
        if choice.channel_axis is not None:
            count = level_data(image, 0).shape[choice.channel_axis]
            names: list[tuple[str, object]] = [(str(i), i) for i in range(count)]
            self._channels_row.set_visible(True)
            self.channels_button.fill(names, choice.channels)
        elif others := mixable(image, layers):
            self._mix_row.set_visible(True)
            self.mix_button.fill([(x.name, x) for x in others], choice.mixed)
        levels = num_levels(image)
        self._level_row.set_visible(levels > 1)
        sizes = [level_data(image, level).shape for level in range(levels)]
        self.level_box.fill(
            [(f"{i}: {' x '.join(map(str, s))}", i) for i, s in enumerate(sizes)],
            choice.level,
        )

    def _summarise(self) -> None:
        layer_session = self._workspace.active
        if layer_session is None:
            self.set_summary("")
            return
        height, width = layer_session.labels.frame_shape
        grid = layer_session.session.grid
        frames = count_of(len(layer_session.labels), "frame")
        if grid.has_two_axes:
            frames += " ({} x {})".format(*grid.shape)
        self.set_summary(f"{frames}, {width} x {height}")

    # -- choosing ------------------------------------------------------------------

    def _on_image(self, _: int) -> None:
        self._workspace.choose_image(self.image_box.currentData(), self._layers)

    def _on_axis(self, _: int) -> None:
        choice = self._workspace.choice
        if choice.image is not None:
            place = place_in(self._workspace.viewer, choice.image)
            along = self._offered[self.axis_box.currentData()]
            self._choose(choice.with_axis(along, place))
            show_slices(self._workspace)

    def _on_fixed(self, at: int, index: int) -> None:
        self._choose(self._workspace.choice.with_fixed(at, index))
        show_place(self._workspace)

    def _on_channel_axis(self, at: int) -> None:
        self._choose(self._workspace.choice.with_channel_axis(at))

    def _on_no_channels(self, _: bool) -> None:
        """Fix the axis of channels at an index instead, which its row then chooses."""
        with signals_blocked(self.channels_check):
            self.channels_check.setChecked(True)  # the row is hidden
        self._choose(self._workspace.choice.with_channel_axis(None))

    def _on_channels(self, chosen: list[object]) -> None:
        channels = tuple(x for x in chosen if isinstance(x, int))
        self._choose(replace(self._workspace.choice, channels=channels))

    def _on_mixed(self, chosen: list[object]) -> None:
        layers = tuple(x for x in chosen if isinstance(x, Image))
        self._choose(replace(self._workspace.choice, mixed=layers))

    def _on_level(self, _: int) -> None:
        self._choose(
            replace(self._workspace.choice, level=self.level_box.currentData())
        )

    def _on_labels(self, _: int) -> None:
        self._choose(
            replace(self._workspace.choice, labels=self.labels_box.currentData())
        )

    def _choose(self, choice: LayerChoice) -> None:
        """Choose, but not labels that no longer fit: others do, or new ones."""
        if choice.labels is None or choice.labels is not self._workspace.choice.labels:
            self._workspace.choose(choice)
            return
        try:
            is_fit = fits(choice.stack(), choice.labels)
        except ValueError:
            is_fit = False
        self._workspace.choose(choice if is_fit else replace(choice, labels=None))


def _about(layer: Layer | None, about: str) -> str:
    """Return a tooltip that begins with the whole name of a layer."""
    return about if layer is None else as_tooltip(f"{layer.name}: {about}")


class _OtherAxis(QWidget):
    """An index on an axis that all frames lie at, or the mark that it has channels."""

    def __init__(
        self,
        on_index: Callable[[int, int], None],
        on_channels: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._at = 0
        self.spin = QSpinBox()
        compact_spin(self.spin).setToolTip(_FIXED)
        self.spin.setKeyboardTracking(False)
        self.check = QCheckBox("channels")
        self.check.setToolTip(_AS_CHANNELS)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.spin, 1)
        layout.addWidget(self.check)
        self.spin.valueChanged.connect(lambda index: on_index(self._at, index))
        self.check.toggled.connect(lambda _: on_channels(self._at))

    def show_axis(self, at: int, length: int, index: int, *, can_mix: bool) -> None:
        """Show an axis, without a signal."""
        self._at = at
        for part in (self.spin, self.check):
            part.blockSignals(True)
        self.spin.setRange(0, length - 1)
        self.spin.setValue(index)
        self.spin.setPrefix("at ")
        self.check.setChecked(False)  # an axis of channels has another row
        self.check.setVisible(can_mix)
        for part in (self.spin, self.check):
            part.blockSignals(False)


class _Multiple(QToolButton):
    """A button whose menu ticks some of several things."""

    def __init__(self, on_chosen: Callable[[list[object]], None], limit: int) -> None:
        super().__init__()
        self._on_chosen = on_chosen
        self._limit = limit
        self._menu = QMenu(self)
        self.setMenu(self._menu)
        self.setProperty("role", "flat")
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setSizePolicy(Combo().sizePolicy())

    def fill(self, choices: list[tuple[str, object]], chosen: object) -> None:
        """Offer choices; `chosen` has those that are ticked."""
        ticked = list(chosen) if isinstance(chosen, tuple) else []
        self._menu.clear()
        names = []
        for text, data in choices:
            is_ticked = any(data is each or data == each for each in ticked)
            names += [text] if is_ticked else []
            action = self._menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(is_ticked)
            action.setData(data)
            action.triggered.connect(self._on_triggered)
        self.setText(", ".join(names) or "none")

    def _on_triggered(self, _: bool) -> None:
        chosen = [a.data() for a in self._menu.actions() if a.isChecked()]
        self._on_chosen(chosen[: self._limit])


MAX_OTHER_AXES = 3
MAX_AXIS_WIDTH, ARROW_WIDTH = 140, 44  # pixels; the image's name takes the rest
_NONE = ("open an image first", None)
_NOT_YET = ("none yet", None)
_IMAGE = "The image layer to be labelled."
_NO_IMAGE = "Open an image first: drop a file on the window."
_NO_LABELS = "There is no labels layer: press New."
_AXIS = (
    "What frames run along: time, depth (z), or time and z. Along both, what you label "
    "at any time and depth is an example for all. A volume can be cut the other ways, "
    "too: use labels of their own for these, to compare them."
)
_FIXED = "All frames lie at this index of the axis."
_AS_CHANNELS = "The axis has channels: up to three are shown to the model as colours."
_CHANNELS = "Channels that the model is shown, up to three."
_MIX = "Other grey layers that the model is shown as further channels, up to two."
_LEVEL = "Resolution: 0 is the finest. Labels are made at the level that is chosen."
_LABELS = (
    "The labels layer that holds your references and gets the result. Labels that are "
    "in it already count as yours and are never changed."
)
_NEW = "Make an empty labels layer that lies on the image."
