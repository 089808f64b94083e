"""What the dock remembers between sessions of napari."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from typing import Any

from qtpy.QtCore import QSettings

from napari_seggpt.session.store.settings import restored
from napari_seggpt.settings import SessionSettings

TIMES = "frame seconds"  # another name than in version 0.1, which counted the loading
OF_A_KIND = ("contrast", "objects", "cleanup")  # settings that go with images


class Preferences:
    """Settings, folds, a limit and measured times, in the user's configuration."""

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
        self._write("settings", asdict(settings.for_any_stack()))

    def load_kind(self, kind: str, settings: SessionSettings) -> SessionSettings:
        """Return settings with those that were chosen for images of a kind, if any.

        Parameters
        ----------
        kind : str
            See `LayerChoice.image_kind`.
        settings : SessionSettings
            What holds where nothing was chosen, and for all that is of no kind: the
            model, and how it is used.
        """
        chosen = self._read("kinds").get(kind)
        kept = restored(settings, chosen if isinstance(chosen, dict) else {})
        tiling = kept.prediction.tiling
        return replace(
            settings,
            prediction=replace(settings.prediction, tiling=tiling),
            **{name: getattr(kept, name) for name in OF_A_KIND},
        )

    def save_kind(self, kind: str, settings: SessionSettings) -> None:
        """Remember what was chosen for images of a kind."""
        chosen = chosen_for_kind(settings)
        self._write("kinds", {**self._read("kinds"), kind: chosen})

    def load_times(self) -> dict[str, float]:
        """Return seconds a frame, by what was measured."""
        times = {key: _number(value) for key, value in self._read(TIMES).items()}
        return {key: value for key, value in times.items() if value is not None}

    def save_times(self, times: dict[str, float]) -> None:
        """Remember measured seconds a frame."""
        self._write(TIMES, times)

    def load_limit(self) -> float:
        """Return the confidence below which frames are marked; 0 if none was chosen."""
        return _number(self._read("review").get("limit")) or 0.0

    def save_limit(self, limit: float) -> None:
        """Remember the confidence below which frames are marked."""
        self._write("review", {"limit": limit})

    def load_channels(self, kind: str) -> tuple[int, ...]:
        """Return the channels that were chosen for images of a kind; () if none was."""
        chosen = self._read("channels").get(kind)
        found = chosen if isinstance(chosen, list) else []
        return tuple(each for each in found if isinstance(each, int) and each >= 0)

    def save_channels(self, kind: str, channels: tuple[int, ...]) -> None:
        """Remember the channels that were chosen for images of a kind."""
        self._write("channels", {**self._read("channels"), kind: list(channels)})

    def load_folds(self) -> dict[str, bool]:
        """Return which sections are open, by title."""
        return {str(k): bool(v) for k, v in self._read("open").items()}

    def save_folds(self, folds: dict[str, bool]) -> None:
        """Remember which sections are open."""
        self._write("open", folds)

    def _read(self, key: str) -> dict[str, Any]:
        try:
            found = json.loads(str(self._store.value(key, "{}")))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, key: str, value: dict[str, Any]) -> None:
        self._store.setValue(key, json.dumps(value))


def chosen_for_kind(settings: SessionSettings) -> dict[str, Any]:
    """Return what of settings goes with images of a kind."""
    chosen = {name: asdict(getattr(settings, name)) for name in OF_A_KIND}
    tiling = asdict(settings.prediction.tiling)
    return {**chosen, "prediction": {"tiling": tiling}}


def _number(value: Any) -> float | None:
    """Return a finite number that is not negative; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
