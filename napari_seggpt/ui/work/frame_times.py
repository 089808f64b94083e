"""FrameTimes: the seconds that a frame took on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.preferences import Preferences


class FrameTimes:
    """What a frame took on this computer, by what the time depends on.

    Parameters
    ----------
    preferences : Preferences
        Where the times are kept between sessions of napari.
    """

    def __init__(self, preferences: Preferences) -> None:
        self._preferences = preferences
        self._seconds = preferences.load_times()

    def get(self, settings: SessionSettings) -> float | None:
        """Return the seconds that a frame took with such settings, if measured."""
        return self._seconds.get(_conditions(settings))

    def note(self, settings: SessionSettings, seconds: float) -> None:
        """Note what was measured."""
        self._seconds[_conditions(settings)] = round(seconds, 4)

    def save(self) -> None:
        """Keep what was noted for the next session of napari."""
        self._preferences.save_times(self._seconds)


def _conditions(settings: SessionSettings) -> str:
    """Return a text that is equal for settings with which a frame takes as long."""
    prediction = settings.prediction
    parts = [settings.model, prediction.device, prediction.ensemble]
    if prediction.tiling.enabled:
        parts.append(f"tiles {prediction.tiling.scale}")
    if settings.propagation.memory:
        parts.append(f"memory {settings.propagation.memory}")
    return ", ".join(parts)
