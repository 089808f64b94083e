"""RunPlanner: chooses the frames of a session's runs, and what the model is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_seggpt.session.runs.planning import (
    LINES,
    between,
    direction_of,
    frames_in_scope,
    line_axis,
    reachable,
    refusal,
    step_of,
)
from napari_seggpt.session.runs.predictor_cache import RunRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_seggpt.frames import FrameGrid, Frames
    from napari_seggpt.object_settings import LinkedAxis
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames
    from napari_seggpt.session.references.reference import PromptSource
    from napari_seggpt.session.references.references import References
    from napari_seggpt.session.runs.planning import Scope
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.settings import Direction, SessionSettings


class RunPlanner:
    """Chooses frames, never protected ones, and the references to predict them from.

    Parameters
    ----------
    frames : LabelledFrames
        The frames of the session.
    references : References
        What the model is shown.
    grid : FrameGrid
        How frames lie.

    Attributes
    ----------
    stack : Frames
        The images; as what follows kept up to date by the session.
    settings : SessionSettings
        The model, and how it is used.
    axis, own_axis : str
        What frames follow each other in, "t" or "z": as set, and as they lie.
    """

    stack: Frames
    settings: SessionSettings
    axis: LinkedAxis
    own_axis: LinkedAxis

    def __init__(
        self, frames: LabelledFrames, references: References, grid: FrameGrid
    ) -> None:
        self._frames = frames
        self._references = references
        self._grid = grid

    def lines(self, scope: Scope) -> FrameGrid:
        """Return how frames lie, in the lines that a run leads along.

        Where a person has chosen one line, it leads along that; else along what frames
        follow each other in.
        """
        usual = line_axis(self._grid, self.axis, self.own_axis)
        return self._grid.along(LINES.get(scope, usual))

    def plan(self, scope: Scope, current: int) -> tuple[int, ...]:
        """Return the frames that a run would predict, in ascending order."""
        records = self._frames.records
        frames: Iterable[int]
        frames = frames_in_scope(scope, current, self._grid, self.settings.propagation)
        if scope == "stale":
            stale = {f for f, r in records.predicted() if r.key != records.key}
            frames = [frame for frame in frames if frame in stale]
        free = [frame for frame in frames if not records[frame].is_protected]
        if scope == "between":
            whole = self._references.whole_frames
            return tuple(between(free, whole, self.lines(scope)))
        return self.reached(scope, free, self._references.used_frames)

    def reached(
        self, scope: Scope, frames: Iterable[int], references: Sequence[int]
    ) -> tuple[int, ...]:
        """Return those of some frames that a run can reach from some references."""
        direction, lines = self.direction(scope), self.lines(scope)
        return tuple(reachable(frames, references, direction, lines))

    def direction(self, scope: Scope) -> Direction:
        """Return where a run goes from a reference."""
        return direction_of(scope, self.settings.propagation)

    def step(self, scope: Scope) -> int:
        """Return every how many frames of a line a run predicts one."""
        return step_of(scope, self.settings.propagation, self.lines(scope))

    def linked(self, scope: Scope, current: int) -> tuple[int, ...]:
        """Return the predicted frames that the ids of a frame are carried on to.

        Raises
        ------
        ValueError
            If there are none, or the scope is neither "forward" nor "backward".
        """
        meant = frames_in_scope(scope, current, self._grid, self.settings.propagation)
        predicted = {frame for frame, _ in self._frames.records.predicted()}
        lines = self.lines(scope)
        line = lines.frames_of(lines.line(current))
        frames = tuple(
            f for f in meant if f in predicted and f in line and f != current
        )
        if scope not in ("forward", "backward") or not frames:
            raise ValueError(
                "Expected predicted frames to carry the ids on to, got none."
            )
        return frames

    def refusal(self, scope: Scope, current: int) -> str:
        """Say why a run has no frame to predict."""
        name = self._grid.name(current)
        return refusal(scope, name, self._frames.status(current))

    # -- what the model is shown ---------------------------------------------------

    @property
    def _max_prompts(self) -> int:
        return self.settings.prediction.max_prompts

    def sources(
        self, frames: tuple[int, ...], region: Region | None = None
    ) -> list[PromptSource]:
        """Copy what a run over some frames, at least one, is to be shown.

        With a region, references are chosen by their labels in its box.

        Raises
        ------
        ValueError
            If there is nothing with labels.
        """
        part = None if region is None else region.box
        return self._references.sources(frames, self._max_prompts, part)

    def whole_sources(self, frames: tuple[int, ...]) -> list[PromptSource]:
        """Return the sources of which all objects are labelled."""
        records = self._frames.records
        used = self._references.used_frames
        among = [frame for frame in used if not records[frame].is_hint]
        return self._references.sources(frames, self._max_prompts, among=among)

    def sources_beside(self, frame: int) -> list[PromptSource]:
        """Return the sources that a frame is completed from: without the frame itself.

        Raises
        ------
        ValueError
            If there is none with labels that is no hint.
        """
        among = [each for each in self._references.used_frames if each != frame]
        others = self._references.copies(among, (frame,), self._max_prompts)
        whole = [each for each in others if not each.is_hint]
        if not any(each.labels.any() for each in whole) and not self._references.tuned:
            raise ValueError(
                "Expected another reference to predict frame "
                f"{self._grid.name(frame)} from, got none."
            )
        return others

    def sources_to_compare(self) -> list[PromptSource]:
        """Return the whole sources for all of the stack, of which there are several.

        Raises
        ------
        ValueError
            If there are fewer than two.
        """
        if not len(self._frames):
            raise ValueError("Expected a stack with frames, got none.")
        sources = self.whole_sources((0, len(self._frames) - 1))
        if len(sources) < 2:
            raise ValueError(
                "Expected 2 or more references in use to compare, got 1: label "
                "another frame."
            )
        return sources

    def request(
        self,
        sources: Sequence[PromptSource],
        scope: Scope = "all",
        *,
        with_tuned: bool = True,
    ) -> RunRequest:
        """Return what a run over a scope needs to know, as it is now."""
        tuned = self._references.tuned if with_tuned else None
        return RunRequest(
            stack=self.stack,
            settings=self.settings,
            sources=tuple(sources),
            tuned=() if tuned is None else (tuned,),
            axis=self.axis,
            grid=self.lines(scope),
        )
