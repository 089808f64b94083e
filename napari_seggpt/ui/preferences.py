"""What the dock remembers between sessions of napari."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from qtpy.QtCore import QSettings

from napari_seggpt.settings import PropagationSettings, SessionSettings

T = TypeVar("T")


class Preferences:
    """Settings, fold states and measured times, in the user's configuration."""

    def __init__(self) -> None:
        self._store = QSettings(
            QSettings.Format.IniFormat,
            QSettings.Scope.UserScope,
            "napari-seggpt",
            "napari-seggpt",
        )

    def load_settings(self) -> SessionSettings:
        """Return the settings as they were left; the default for what is unreadable."""
        return restored(SessionSettings(), self._read("settings"))

    def save_settings(self, settings: SessionSettings) -> None:
        """Remember settings, but for the range, which belongs to a stack."""
        everywhere = PropagationSettings(
            memory=settings.propagation.memory, direction=settings.propagation.direction
        )
        self._write("settings", asdict(replace(settings, propagation=everywhere)))

    def load_times(self) -> dict[str, float]:
        """Return seconds a frame, by what was measured."""
        times = self._read("seconds")
        return {
            str(key): float(value)
            for key, value in times.items()
            if isinstance(value, int | float)
        }

    def save_times(self, times: dict[str, float]) -> None:
        """Remember measured seconds a frame."""
        self._write("seconds", times)

    def load_folds(self) -> dict[str, bool]:
        """Return which sections are open, by title."""
        return {str(k): bool(v) for k, v in self._read("open").items()}

    def save_folds(self, folds: dict[str, bool]) -> None:
        """Remember which sections are open."""
        self._write("open", folds)

    def _read(self, key: str) -> dict[str, Any]:
        try:
            found = json.loads(str(self._store.value(key, "{}")))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, key: str, value: dict[str, Any]) -> None:
        self._store.setValue(key, json.dumps(value))


def restored(default: T, found: dict[str, Any]) -> T:
    """Return settings with the values that were found, where they are valid.

    Names and values that this version does not know are left out.
    """
    settings: Any = default
    hints = get_type_hints(type(settings))
    for each in fields(settings):
        if each.name not in found:
            continue
        value = found[each.name]
        present = getattr(settings, each.name)
        if is_dataclass(present):
            value = restored(present, value if isinstance(value, dict) else {})
        elif isinstance(value, list):
            value = tuple(value)
        elif not _is_kind(value, hints[each.name]):
            continue
        try:
            settings = replace(settings, **{each.name: value})
        except (TypeError, ValueError):
            continue
    return settings


def _is_kind(value: object, hint: Any) -> bool:
    """Whether a value could be of a plain type; others are left to validation."""
    if hint is bool:
        return isinstance(value, bool)
    if hint in (int, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is str:
        return isinstance(value, str)
    return True
