"""FrameTimes: the seconds that a frame took on this computer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.session import Run

if TYPE_CHECKING:
    from napari_seggpt.session.runs.base_run import BaseRun
    from napari_seggpt.settings import SessionSettings
    from napari_seggpt.ui.work.layer_session import LayerSession
    from napari_seggpt.ui.work.preferences import Preferences

MAX_TIMES = 200  # that are kept; the oldest are dropped
SEPARATOR = ", references "
NUMBER = re.compile("[0-9]{1,6}")  # of references, as the file of another may say it


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConditions:
    """What the time of a frame depends on.

    Attributes
    ----------
    settings : SessionSettings
        Model, device and how they are used.
    frame_shape : tuple of int
        (H, W) of a frame.
    references : int
        How many the model is shown for a frame.
    passes : int
        How often the network is run for a frame, because of its many labels.
    task : str
        What labels stand for: objects, if that is known, else what the settings say.
    """

    settings: SessionSettings
    frame_shape: tuple[int, int]
    references: int
    passes: int = 1
    task: str = "auto"

    @property
    def text(self) -> str:
        """What is equal for runs in which a frame takes as long, but for references."""
        prediction = self.settings.prediction
        height, width = self.frame_shape
        parts = [
            self.settings.model,
            self.settings.scheduler or prediction.device,
            prediction.precision,
            prediction.ensemble,
            f"{width} x {height}",
            f"passes {self.passes}",
            f"labels {self.task}",
        ]
        if not self.settings.objects.enlarge:
            parts.append("not enlarged")
        if prediction.tiling.enabled:
            parts.append(f"tiles {prediction.tiling.scale}")
        if self.settings.propagation.memory:
            parts.append(f"memory {self.settings.propagation.memory}")
        return ", ".join(parts)


def conditions_of(active: LayerSession) -> RunConditions:
    """Return what the time of a frame of a session's next run depends on."""
    session, prediction = active.session, active.session.settings.prediction
    used = [each for each in session.references.all if each.enabled]
    previews = (active.previews.get(each) for each in used)
    ids = {i for preview in previews if preview is not None for i in preview.ids}
    task: str = session.settings.objects.task
    num_shown = len(ids)
    if active.task is not None and active.task.startswith("objects"):
        # Objects are told apart in one pass, however many they are.
        task, num_shown = active.task, 1
    return RunConditions(
        settings=session.settings,
        frame_shape=active.labels.frame_shape,
        references=min(len(used), prediction.max_prompts)
        + (session.references.tuned is not None),
        passes=max(1, -(-num_shown // prediction.labels_per_pass)),
        task=task,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTime:
    """What a frame took.

    Attributes
    ----------
    seconds : float
        Without loading the model and encoding the references.
    references : int
        With so many references.
    """

    seconds: float
    references: int


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
        self._timed: tuple[BaseRun, RunConditions] | None = None  # the last run

    def get(self, conditions: RunConditions) -> FrameTime | None:
        """Return what a frame took, with the nearest number of references measured."""
        found = [
            FrameTime(seconds=seconds, references=int(number))
            for key, seconds in self._seconds.items()
            for text, _, number in (key.rpartition(SEPARATOR),)
            if text == conditions.text and NUMBER.fullmatch(number)
        ]
        return min(
            found,
            key=lambda each: abs(each.references - conditions.references),
            default=None,
        )

    def note(self, conditions: RunConditions, seconds: float) -> None:
        """Note what was measured."""
        key = f"{conditions.text}{SEPARATOR}{conditions.references}"
        self._seconds.pop(key, None)
        self._seconds[key] = round(seconds, 4)
        while len(self._seconds) > MAX_TIMES:
            del self._seconds[next(iter(self._seconds))]

    def note_run(self, active: LayerSession) -> None:
        """Note what a frame takes in the run of a session, if the model predicts whole.

        That is noted under what was so when the run began.
        """
        run, seconds = active.runs.run, active.runs.seconds_a_frame
        if run is None:
            return
        if self._timed is None or self._timed[0] is not run:
            self._timed = (run, conditions_of(active))
        if isinstance(run, Run) and seconds is not None:
            self.note(self._timed[1], seconds)

    def save(self) -> None:
        """Keep what was noted for the next session of napari."""
        self._preferences.save_times(self._seconds)
