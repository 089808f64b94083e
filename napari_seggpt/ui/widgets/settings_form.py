"""SettingsForm: magicgui's editors for settings, made of their annotated types."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, TupleEdit, create_widget
from magicgui.widgets.bases import RangedWidget
from psygnal import Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_seggpt.fields import own_fields, value_at, with_value
from napari_seggpt.ui.widgets.controls import (
    FormRows,
    compact_spin,
    leave_wheel,
    muted,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from magicgui.widgets.bases import BaseValueWidget

    from napari_seggpt.fields import Field, Kind

LABEL_WIDTH = 112  # pixels, so that the editors of all groups are aligned
LARGEST = 10**6  # the end of spin boxes whose numbers have no limit
MIN_DECIMALS, MAX_DECIMALS = 2, 6
FINEST: dict[type, float] = {
    int: 1,
    float: 0.01,
}  # how far a number stays from a limit it may not take
STEP = 0.05  # of numbers from 0 to 1
FIRST_PAIR = (0.0, 255.0)  # shown when a pair is switched on for the first time


class SettingsForm(QWidget):
    """Editors for settings and the settings in them; `changed` has the new ones.

    Labels, tooltips, choices and limits are those of the annotated types.

    Parameters
    ----------
    settings : dataclass
        Its annotated fields are bool, int, float, str, choices, tuples of two numbers,
        or such dataclasses, as those in `settings`.
    skip : collection of str
        Paths of fields that are edited elsewhere, as "model" or "propagation.memory".
    """

    changed = Signal(object)
    refused = Signal(str)

    def __init__(self, settings: Any, *, skip: Collection[str] = ()) -> None:
        super().__init__()
        self._settings = settings
        self._skip = frozenset(skip)
        self._editors: dict[str, Any] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._add_group(type(settings), "", "")
        self.show_settings(settings)

    @property
    def settings(self) -> Any:
        """What the form shows."""
        return self._settings

    def show_settings(self, settings: Any) -> None:
        """Show other settings, without a signal."""
        self._settings = settings
        for path in self._editors:
            self._show(path)

    def editor(self, path: str) -> Any:
        """Return the editor of a field, a value widget or an `OptionalEdit`."""
        return self._editors[path]

    def _add_group(self, kind: type, prefix: str, title: str) -> None:
        """Add the fields of a dataclass, then those of the dataclasses in it."""
        rows, nested = FormRows(), []
        for name, field in own_fields(kind).items():
            path = prefix + name
            if is_dataclass(field.kind.type):
                nested.append((field.kind.type, f"{path}.", field.label))
            elif path not in self._skip:
                self._add_row(rows, path, field)
        if rows.count():
            if title:
                self._layout.addWidget(muted(title))
            self._layout.addLayout(rows)
        for group in nested:
            self._add_group(*group)

    def _add_row(self, rows: FormRows, path: str, field: Field) -> None:
        editor = self._editors[path] = make_editor(field)
        editor.changed.connect(lambda value: self._take(path, value))
        if field.kind.type is bool:  # a check box has its label beside it
            rows.addWidget(editor.native, rows.rowCount(), 0, 1, 2)
            return
        row = rows.add(field.label, editor.native, field.help)
        row.label.setMinimumWidth(LABEL_WIDTH)

    def _show(self, path: str) -> None:
        editor, value = self._editors[path], value_at(self._settings, path)
        with editor.changed.blocked():
            if isinstance(editor, OptionalEdit):
                editor.switch.value = value is not None
                editor = editor.edit
            if value is not None:
                if not isinstance(editor, NumbersEdit):
                    _make_room(editor, value)
                editor.value = value

    def _take(self, path: str, value: object) -> None:
        """Take a value; if the settings refuse it, show the present one again."""
        try:
            settings = with_value(self._settings, path, value)
        except ValueError as error:
            self._show(path)
            self.refused.emit(str(error))
            return
        if settings != self._settings:
            self._settings = settings
            self.changed.emit(settings)


class NumbersEdit:
    """A line of one or more numbers with commas between them.

    Parameters
    ----------
    number : type
        int or float.
    tooltip : str
        What the line says about itself.
    """

    changed = Signal(object)

    def __init__(self, number: type, tooltip: str) -> None:
        self._number = number
        self.native = QLineEdit()
        self.native.setToolTip(tooltip)
        self.native.editingFinished.connect(lambda: self.changed.emit(self.value))

    @property
    def value(self) -> object:
        """The numbers, or the text as it is where it has others."""
        text = self.native.text()
        try:
            return tuple(self._number(each) for each in text.split(","))
        except ValueError:
            return text

    @value.setter
    def value(self, numbers: tuple[float, ...]) -> None:
        self.native.setText(", ".join(f"{each:g}" for each in numbers))


class OptionalEdit:
    """An editor that can be switched off; the value is None then.

    Parameters
    ----------
    edit : BaseValueWidget
        Shown while it is switched on.
    """

    changed = Signal(object)

    def __init__(self, edit: BaseValueWidget) -> None:
        self.switch, self.edit = CheckBox(value=False, text=""), edit
        if isinstance(edit, TupleEdit):
            edit.value = FIRST_PAIR
        self.native = QWidget()
        row = QHBoxLayout(self.native)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.switch.native)
        row.addWidget(edit.native, 1)
        edit.native.setVisible(False)
        self.switch.changed.connect(self._on_switched)
        edit.changed.connect(self.changed.emit)

    @property
    def value(self) -> Any:
        """What is edited, or None."""
        return self.edit.value if self.switch.value else None

    def _on_switched(self, is_on: bool) -> None:
        self.edit.native.setVisible(is_on)
        self.changed.emit(self.value)


# -- editors -----------------------------------------------------------------------


def make_editor(field: Field) -> Any:
    """Make the editor of a field, within its limits."""
    kind = field.kind
    annotation: Any = kind.type
    options: dict[str, Any] = {"tooltip": field.help}
    if kind.item is not None and kind.count is None:
        return NumbersEdit(kind.item.type, field.help)
    if kind.choices:
        options["choices"] = kind.choices
    elif kind.item is not None:
        annotation = tuple[(kind.item.type,) * (kind.count or 1)]  # type: ignore[misc]
        options["options"] = _spin_options(kind.item)
    else:
        options |= _spin_options(kind)
    edit: Any = create_widget(
        annotation=None if kind.choices else annotation,
        label=field.label,
        options=options,
    )
    for part in _parts(edit):
        _compact(part.native, is_alone=part is edit)
        part.native.setToolTip(field.help)
    if not kind.is_optional:
        return edit
    optional = OptionalEdit(edit)
    for part in (optional.native, optional.switch.native):
        part.setToolTip(field.help)
    return optional


def _spin_options(kind: Kind) -> dict[str, float]:
    """Return the ends and steps of a spin box for numbers of a kind."""
    if kind.type not in FINEST:
        return {}
    limits: Any = kind.limits
    finest = FINEST[kind.type]
    low = limits.ge if limits.gt is None else limits.gt + finest
    high = limits.le if limits.lt is None else limits.lt - finest
    options = {
        "min": -LARGEST if low is None else low,
        "max": LARGEST if high is None else high,
    }
    if kind.type is float and options["max"] <= 1:
        options["step"] = STEP
    return options


def _parts(edit: Any) -> list[Any]:
    """Return the editors of single values that an editor consists of."""
    return list(edit) if isinstance(edit, TupleEdit) else [edit]


def _compact(native: QWidget, *, is_alone: bool) -> None:
    """Let an editor take little room, and change by no accident."""
    if isinstance(native, QAbstractSpinBox):
        compact_spin(native)
        if not is_alone:
            native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        native.setKeyboardTracking(False)  # a number is taken when it is complete
    elif isinstance(native, QComboBox):
        leave_wheel(native)


def _make_room(edit: Any, value: Any) -> None:
    """Let spin boxes show numbers that are larger or finer than what they can hold."""
    numbers = value if isinstance(value, tuple) else (value,)
    for part, number in zip(_parts(edit), numbers, strict=True):
        if isinstance(part, RangedWidget):
            if isinstance(part.native, QDoubleSpinBox):
                decimals = len(f"{number:.{MAX_DECIMALS}f}".rstrip("0").split(".")[1])
                part.native.setDecimals(max(MIN_DECIMALS, decimals))
            part.range = min(part.min, number), max(part.max, number)
