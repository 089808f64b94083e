"""Session: the work on one stack; what the dock shows, and all that it may do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_seggpt.frames import evenly
from napari_seggpt.inference.references import choose_references
from napari_seggpt.session.annotation import Annotation
from napari_seggpt.session.frames.confidence_maps import ConfidenceMaps
from napari_seggpt.session.frames.frame_labels import NOTHING
from napari_seggpt.session.frames.undo import UndoHistory, UndoStep
from napari_seggpt.session.references import PromptSource
from napari_seggpt.session.runs.advice import check_references, suggest_frame
from napari_seggpt.session.runs.engine import Engine, Request
from napari_seggpt.session.runs.models import ModelCache
from napari_seggpt.session.runs.planning import (
    direction_of,
    frames_in_scope,
    reachable,
    refusal,
)
from napari_seggpt.session.runs.prompt_tuning import COMPARED, Tuning
from napari_seggpt.session.runs.run import Run
from napari_seggpt.session.store.task_file import Task, make_task
from napari_seggpt.settings import TuningSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.session.frames.frame_labels import FrameLabels
    from napari_seggpt.session.runs.advice import CheckedReference
    from napari_seggpt.session.runs.planning import Scope
    from napari_seggpt.session.runs.run import FrameResult
    from napari_seggpt.settings import SessionSettings


class Session(Annotation):
    """The work on one stack: status of its frames, references, runs and their undo.

    A frame that a person labelled, corrected or approved is written by no run and no
    undo. Every frame is looked at again right before it is written, so that this holds
    even if nobody told the session of a stroke.

    Parameters
    ----------
    stack : Frames
        The images; read by workers only.
    labels : FrameLabels
        Where the labels are; as many frames as the stack.
    settings : SessionSettings, optional
        The model, and how it is used.
    models : ModelCache, optional
        Where models are kept; shared by sessions that follow each other.

    Attributes
    ----------
    runs_changed : Signal
        A run began, ended or was undone.
    """

    runs_changed = Signal()

    def __init__(
        self,
        stack: Frames,
        labels: FrameLabels,
        settings: SessionSettings | None = None,
        *,
        models: ModelCache | None = None,
    ) -> None:
        super().__init__(stack, labels, settings)
        self._engine = Engine(models or ModelCache())
        self._history = UndoHistory()
        self._maps = ConfidenceMaps()
        self._run: Run | None = None
        self._runs = 0
        self._step = UndoStep()  # of the run that is on

    def close(self) -> None:
        """Stop the run that is on, and let go of predictor and undo; labels stay."""
        self.finish()
        self._history.close()
        self._maps.close()
        self._engine = Engine(self._engine.models)  # a worker may still use the old

    # -- which frames, and what they are predicted from ----------------------------

    def plan(self, scope: Scope, current: int) -> tuple[int, ...]:
        """Return the frames that a run would predict, in ascending order.

        Protected frames are never among them; predicted ones are predicted anew.
        """
        settings = self._settings.propagation
        frames: Iterable[int] = frames_in_scope(scope, current, len(self), settings)
        if scope == "stale":
            wanted = {f for f, r in self._book.predicted() if r.key != self._book.key}
            frames = [frame for frame in frames if frame in wanted]
        free = (frame for frame in frames if not self._book[frame].is_protected)
        direction = direction_of(scope, settings)
        return tuple(reachable(free, self._used_references(), direction))

    def _used_references(self) -> list[int]:
        return [f for f in self._book.references if self._book[f].is_enabled]

    def start(self, scope: Scope, current: int) -> Run:
        """Begin a run; its results are made by a worker and handed to `commit`.

        Raises
        ------
        ValueError
            If a run is on, no reference with labels is switched on, or there is no
            frame to predict.
        """
        if self._run is not None:
            raise ValueError("Expected the last run to have ended; one is on.")
        try:
            sources = self._sources(self.plan(scope, current) or (current,))
        finally:
            self._publish()
        chosen = [source.frame for source in sources if source.frame is not None]
        direction = direction_of(scope, self._settings.propagation)
        frames = tuple(reachable(self.plan(scope, current), chosen, direction))
        if not frames:
            raise ValueError(refusal(scope, current, self.status(current)))
        request = self._request(sources)
        self._runs += 1
        self._step = UndoStep()
        self._run = Run(
            self._engine,
            request,
            frames,
            number=self._runs,
            key=self._book.key,
            direction=direction,
        )
        self.runs_changed.emit()
        return self._run

    def _request(self, sources: Sequence[PromptSource]) -> Request:
        return Request(
            stack=self._stack,
            settings=self._settings,
            sources=tuple(sources),
            tuned=() if self._tuned is None else (self._tuned,),
        )

    def _sources(self, frames: tuple[int, ...]) -> list[PromptSource]:
        """Copy the examples that a run is to be shown."""
        chosen = choose_references(
            self._used_references(),
            frames,
            max_prompts=self._settings.prediction.max_prompts,
            is_labelled=lambda frame: self._book[frame].checksum != NOTHING,
        )
        sources = []
        for frame in chosen:
            labels = self._writer.look(frame)
            record = self._book[frame]
            if record.is_used:
                identity = (frame, record.checksum)
                sources.append(
                    PromptSource(identity=identity, frame=frame, labels=labels)
                )
        sources.extend(self._examples.sources)
        if self._tuned is None and not any(source.labels.any() for source in sources):
            raise ValueError(
                "Expected a reference with labels, got none: paint on a frame, or "
                "switch a reference on."
            )
        return sources

    # -- tuning --------------------------------------------------------------------

    def start_tuning(
        self,
        settings: TuningSettings | None = None,
        class_names: Mapping[int, str] | None = None,
    ) -> Tuning:
        """Begin to tune a prompt on the references that are switched on.

        Raises
        ------
        ValueError
            If a run is on, or fewer than two references have labels.
        """
        if self._run is not None:
            raise ValueError("Expected the run to have ended before tuning.")
        frames = tuple(self._used_references())
        sources = [x for x in self._sources(frames or (0,)) if x.labels.any()]
        if len(sources) < 2:
            raise ValueError(
                "Expected two or more references with labels to tune on, got "
                f"{len(sources)}: paint or correct another frame."
            )
        request = replace(self._request(sources), tuned=())
        return Tuning(
            self._engine, request, settings or TuningSettings(), class_names or {}
        )

    def frames_to_compare(self) -> list[int]:
        """Return frames that a tuned prompt is shown on: any that runs may write."""
        free = [f for f in range(len(self)) if not self._book[f].is_protected]
        return evenly(free, COMPARED)

    # -- advice --------------------------------------------------------------------

    def check_references(self) -> Iterator[CheckedReference]:
        """Predict each reference from all the others; the results are a worker's.

        Raises
        ------
        ValueError
            If there are fewer than two, or a run is on.
        """
        if self._run is not None:
            raise ValueError("Expected the run to have ended before a check.")
        if not len(self):
            raise ValueError("Expected a stack with frames, got none.")
        try:
            sources = self._sources((0, len(self) - 1))
        finally:
            self._publish()
        if len(sources) < 2:
            raise ValueError(
                "Expected 2 or more references in use to compare, got 1: label "
                "another frame."
            )
        request = replace(self._request(sources), tuned=())
        return check_references(self._engine, request)

    def suggest_frame(self) -> Iterator[int | None]:
        """Find the frame whose labels would help most; the results are a worker's.

        That is the least certain one if all are predicted, else the one least like
        those that a person vouches for. Yields None for each frame that is looked at,
        of a sample, and the frame last; None if there is none.
        """
        known = self.protected
        is_predicted = len(known) + sum(1 for _ in self._book.predicted()) == len(self)
        frame = self.least_certain()
        if is_predicted and frame is not None:
            return iter((frame,))
        return suggest_frame(self._stack, known)

    def make_task(self, class_names: Mapping[int, str] | None = None) -> Iterator[Task]:
        """Put references in use, settings and tuned prompt into a task, in a worker.

        Raises
        ------
        ValueError
            At once, if there is no reference with labels and no tuned prompt.
        """
        sources = self._sources(tuple(self._used_references()) or (0,))
        return make_task(
            self._stack,
            sources,
            self._settings,
            tuned=self._tuned,
            classes=class_names or {},
        )

    # -- a run ---------------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """The run that is on."""
        return self._run

    @property
    def is_running(self) -> bool:
        """Whether a run is on."""
        return self._run is not None

    def commit(self, result: FrameResult) -> bool:
        """Write what the run that is on has predicted for a frame.

        Returns
        -------
        bool
            Whether it was written: not if a person vouches for the frame by now, nor
            if the run has ended.

        Raises
        ------
        ValueError
            If an id does not fit the type of the labels; nothing is written.
        OSError
            If what was there cannot be stored for undo; nothing is written.
        """
        run = self._run
        if run is None or result.run != run.number or result.index not in run:
            return False
        try:
            was_written = self._writer.write(
                result.index,
                result.labels,
                self._step,
                key=run.key,
                confidence=result.confidence,
            )
            if was_written and result.confidence_map is not None:
                written = self._book[result.index].checksum
                self._maps.put(result.index, written, result.confidence_map)
            return was_written
        finally:
            self._publish()

    def confidence_map(self, frame: int) -> NDArray[np.uint8] | None:
        """Return where a frame is how sure, while what a run wrote is there.

        It is smaller than a large frame: see `inference.confidence.confidence_map`.
        """
        if self.confidence(frame) is None:
            return None
        return self._maps.get(frame, self._book[frame].checksum)

    def finish(self) -> None:
        """End the run, after its worker ended, was stopped or failed."""
        if self._run is None:
            return
        self._run.stop()
        self._run = None
        self._history.add(self._step)
        self.runs_changed.emit()

    @property
    def can_undo(self) -> bool:
        """Whether there is a run to undo, and none is on."""
        return self._run is None and self._history.last is not None

    def undo_run(self) -> tuple[int, ...]:
        """Bring back labels and statuses as they were before the last run.

        Returns
        -------
        tuple of int
            The frames that were brought back. Those that a person changed or vouched
            for since the run are left alone.
        """
        return tuple(self.undo_steps())

    def undo_steps(self) -> Iterator[int]:
        """Do as `undo_run`, a frame at a time, for long runs.

        A generator for the same thread. Closed early, it leaves the rest of the run to
        be undone later.
        """
        if self._run is not None:
            raise ValueError("Expected the run to have ended before it is undone.")
        step = self._history.last
        if step is None:
            return
        while self._run is None and (frame := step.last) is not None:
            try:
                was_brought_back = self._writer.bring_back(frame, step)
            finally:
                self._publish()
            if not len(step):
                self._history.remove(step)
                self.runs_changed.emit()
            if was_brought_back:
                yield frame
