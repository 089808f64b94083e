"""SettingsForm: editors for the fields of settings dataclasses, made from them."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from functools import cache
from inspect import cleandoc
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from psygnal import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_seggpt.ui.widgets.controls import Combo, FormRows, compact_spin, muted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

LABEL_WIDTH = 104
LARGEST = 10**6
STEP = 0.05  # of numbers from 0 to 1


class SettingsForm(QWidget):
    """Editors for settings and the settings in them; `changed` has the new ones.

    Labels come from the names of the fields, tooltips from the documentation of the
    class, and the limits of numbers are those that the class accepts.

    Parameters
    ----------
    settings : dataclass
        Frozen; its fields are bool, int, float, str, Literal, pairs of floats, or
        dataclasses.
    skip : collection of str
        Fields that are edited elsewhere, as "field" or "field.field".
    suggestions : mapping of str to object
        What an optional field starts with when it is switched on.
    """

    changed = Signal(object)
    refused = Signal(str)

    def __init__(
        self,
        settings: Any,
        *,
        skip: Collection[str] = (),
        suggestions: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._skip = frozenset(skip)
        self.suggestions = dict(suggestions or {})
        self._editors: dict[str, _Editor] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._add_group(settings, "")

    @property
    def settings(self) -> Any:
        """What the form shows."""
        return self._settings

    def show_settings(self, settings: Any) -> None:
        """Show other settings, without a signal."""
        self._settings = settings
        for path, editor in self._editors.items():
            editor.put(_at(settings, path))

    def editor(self, path: str) -> QWidget:
        """Return the editor of a field."""
        return self._editors[path]

    def _add_group(self, settings: Any, prefix: str) -> None:
        kind: Any = type(settings)
        rows, nested = FormRows(), []
        hints, about = _hints(kind), documentation(kind)
        for each in fields(settings):
            path, value = prefix + each.name, getattr(settings, each.name)
            if path in self._skip:
                continue
            if is_dataclass(value):
                nested.append((each.name, path))
                continue
            editor = self._make(settings, each.name, path, hints[each.name])
            editor.put(value)
            self._editors[path] = editor
            row = rows.add(humanised(each.name), editor, about.get(each.name, ""))
            row.label.setWordWrap(True)
            row.label.setFixedWidth(LABEL_WIDTH)
        if rows.count():
            if prefix:
                self._layout.addWidget(muted(humanised(prefix.split(".")[-2])))
            self._layout.addLayout(rows)
        for name, path in nested:
            self._add_group(getattr(settings, name), path + ".")

    def _make(self, owner: Any, name: str, path: str, hint: Any) -> _Editor:
        def take(value: object) -> None:
            self._take(path, value)

        hint, is_optional = _without_none(hint)
        if is_optional:
            return _Optional(
                _pair(), take, suggest=lambda: self.suggestions.get(path, (0.0, 255.0))
            )
        if hint is bool:
            return _Switch(take)
        if get_origin(hint) is Literal:
            return _Choice([str(x) for x in get_args(hint)], take)
        if hint is int:
            spin = QSpinBox()
            low, high = accepted_limits(owner, name, whole=True)
            spin.setRange(int(low), int(high))
            return _Number(spin, take)
        if hint is float:
            return _Number(_float_spin(*accepted_limits(owner, name)), take)
        if get_origin(hint) is tuple:
            return _Pair(_pair(), take)
        return _Text(take)

    def _take(self, path: str, value: object) -> None:
        """Take a value; if the class refuses it, show the present one again."""
        try:
            settings = _with(self._settings, path, value)
        except ValueError as error:
            self._editors[path].put(_at(self._settings, path))
            self.refused.emit(str(error))
            return
        if settings != self._settings:
            self._settings = settings
            self.changed.emit(settings)


# -- editors -----------------------------------------------------------------------


class _Editor(QWidget):
    """Edits one value; `take` is called when a person changes it."""

    def __init__(self, take: Callable[[object], None], *widgets: QWidget) -> None:
        super().__init__()
        self._take = take
        self._is_showing = False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in widgets:
            layout.addWidget(widget, 1)
        if widgets:
            self.setFocusProxy(widgets[0])

    def put(self, value: Any) -> None:
        """Show a value without taking it."""
        self._is_showing = True
        self._set(value)
        self._is_showing = False

    def _set(self, value: Any) -> None:
        raise NotImplementedError

    def _give(self, value: object) -> None:
        if not self._is_showing:
            self._take(value)


class _Switch(_Editor):
    def __init__(self, take: Callable[[object], None]) -> None:
        self.box = QCheckBox()
        super().__init__(take, self.box)
        self.box.toggled.connect(self._give)

    def _set(self, value: Any) -> None:
        self.box.setChecked(value)


class _Choice(_Editor):
    def __init__(self, choices: list[str], take: Callable[[object], None]) -> None:
        self.box = Combo()
        super().__init__(take, self.box)
        self.box.fill([(choice, choice) for choice in choices], None)
        self.box.currentIndexChanged.connect(
            lambda _: self._give(self.box.currentData())
        )

    def _set(self, value: Any) -> None:
        self.box.choose(value)


class _Number(_Editor):
    def __init__(
        self, spin: QSpinBox | QDoubleSpinBox, take: Callable[[object], None]
    ) -> None:
        self.box = compact_spin(spin)
        super().__init__(take, spin)
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(self._give)

    def _set(self, value: Any) -> None:
        self.box.setValue(value)


class _Pair(_Editor):
    def __init__(
        self,
        spins: tuple[QDoubleSpinBox, QDoubleSpinBox],
        take: Callable[[object], None],
    ) -> None:
        self.boxes = spins
        super().__init__(take, *spins)
        for spin in spins:
            spin.valueChanged.connect(lambda _: self._give(self.value))

    @property
    def value(self) -> tuple[float, float]:
        low, high = self.boxes
        return low.value(), high.value()

    def _set(self, value: Any) -> None:
        for spin, number in zip(self.boxes, value, strict=True):
            spin.setValue(number)


class _Optional(_Pair):
    """A pair that can be switched off."""

    def __init__(
        self,
        spins: tuple[QDoubleSpinBox, QDoubleSpinBox],
        take: Callable[[object], None],
        *,
        suggest: Callable[[], object],
    ) -> None:
        super().__init__(spins, take)
        self._suggest = suggest
        self.switch = QCheckBox()
        self.layout().insertWidget(0, self.switch)
        self.layout().setStretch(0, 0)
        self.switch.toggled.connect(self._on_switched)
        self._enable(False)

    def _on_switched(self, is_on: bool) -> None:
        self._enable(is_on)
        if is_on and not self._is_showing:
            self.put(self._suggest())
        self._give(self.value if is_on else None)

    def _enable(self, is_on: bool) -> None:
        for spin in self.boxes:
            spin.setVisible(is_on)

    def _set(self, value: Any) -> None:
        self.switch.setChecked(value is not None)
        self._enable(value is not None)
        if value is not None:
            super()._set(value)


class _Text(_Editor):
    def __init__(self, take: Callable[[object], None]) -> None:
        self.box = QLineEdit()
        super().__init__(take, self.box)
        self.box.editingFinished.connect(lambda: self._give(self.box.text()))

    def _set(self, value: Any) -> None:
        self.box.setText(value)


def _float_spin(low: float, high: float) -> QDoubleSpinBox:
    spin = QDoubleSpinBox()
    spin.setDecimals(2)
    spin.setRange(low, high)
    spin.setSingleStep(STEP if high <= 10 else 1.0)
    return spin


def _pair() -> tuple[QDoubleSpinBox, QDoubleSpinBox]:
    spins = _float_spin(-LARGEST, LARGEST), _float_spin(-LARGEST, LARGEST)
    for spin in spins:
        compact_spin(spin)
        spin.setKeyboardTracking(False)
        spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
    return spins


# -- what the dataclasses say --------------------------------------------------------


def humanised(name: str) -> str:
    """Return a field's name as a label."""
    return name.replace("_", " ").capitalize()


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return kinds[0], len(kinds) < len(get_args(hint))
    return hint, False


@cache
def documentation(kind: type) -> dict[str, str]:
    """Return what the docstring of a class says about each of its attributes."""
    text = cleandoc(kind.__doc__ or "")
    _, _, text = text.partition("Attributes\n----------\n")
    text = re.split(r"\n\w+\n-{3,}\n", text)[0]
    about: dict[str, str] = {}
    names: list[str] = []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(" : ")[0].split(",")]
        elif line.strip():
            for name in names:
                about[name] = f"{about.get(name, '')} {line.strip()}".strip()
    return about


def accepted_limits(
    settings: Any, name: str, *, whole: bool = False
) -> tuple[float, float]:
    """Return the least and the greatest number that a class accepts for a field."""
    unit = 1.0 if whole else 0.01

    def is_accepted(steps: int) -> bool:
        number = steps if whole else steps * unit
        try:
            replace(settings, **{name: number})
        except ValueError:
            return False
        return True

    here = round(getattr(settings, name) / unit)
    low = _furthest(here, 0, is_accepted)
    high = _furthest(here, round(LARGEST / unit), is_accepted)
    return low * unit, high * unit


def _furthest(here: int, end: int, is_accepted: Callable[[int], bool]) -> int:
    """Return the last accepted number on the way to the end."""
    if is_accepted(end):
        return end
    good, bad = here, end
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if is_accepted(middle) else (good, middle)
    return good


def _at(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


def _with(settings: Any, path: str, value: object) -> Any:
    """Return settings with another value at a path."""
    name, _, rest = path.partition(".")
    if rest:
        value = _with(getattr(settings, name), rest, value)
    return replace(settings, **{name: value})
