"""What is counted: frames by status, and the seconds that a frame takes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_seggpt.session import FrameStatus, Session
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.preferences import Preferences


class StatusCounts:
    """Counts frames by status, without asking for all of them each time."""

    def __init__(self) -> None:
        self._statuses: list[FrameStatus] = []
        self._counts: Counter[FrameStatus] = Counter()

    def __getitem__(self, status: FrameStatus) -> int:
        """Return how many frames have a status."""
        return self._counts[status]

    def begin(self, session: Session | None) -> None:
        """Count the frames of a session."""
        self._statuses = list(session.statuses) if session is not None else []
        self._counts = Counter(self._statuses)

    def update(self, session: Session, frames: Iterable[int]) -> None:
        """Count some frames of the session again."""
        for frame in frames:
            status = session.status(frame)
            self._counts[self._statuses[frame]] -= 1
            self._counts[status] += 1
            self._statuses[frame] = status


class FrameTimes:
    """What a frame took on this computer, by what the time depends on."""

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
    prediction = settings.prediction
    parts = [settings.model, prediction.device, prediction.ensemble]
    if prediction.tiling.enabled:
        parts.append(f"tiles {prediction.tiling.scale}")
    if settings.propagation.memory:
        parts.append(f"memory {settings.propagation.memory}")
    return ", ".join(parts)
