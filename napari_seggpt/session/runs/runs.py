"""Runs: the run that is on, what it writes, and undo and redo of the last ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psygnal import Signal

from napari_seggpt.io.layout import StackError
from napari_seggpt.session.frames.confidence_maps import ConfidenceMaps
from napari_seggpt.session.frames.frame_labels import checksum, names_beside_locked
from napari_seggpt.session.frames.undo import UndoHistory, UndoStep
from napari_seggpt.session.runs.base_run import BaseRun
from napari_seggpt.session.runs.known_ids import KnownIds
from napari_seggpt.session.runs.linking_run import LinkingRun
from napari_seggpt.session.runs.run import RenamedResult, Run
from napari_seggpt.session.runs.shape_run import ShapeRun

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.object_settings import LinkingSettings
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.session.runs.run import FrameResult
    from napari_seggpt.settings import Direction

AnyRun = TypeVar("AnyRun", bound=BaseRun)


class Runs:
    """The runs of a session, one at a time, and their undo.

    Parameters
    ----------
    frames : LabelledFrames
        The frames that runs write, by its `writer`.

    Attributes
    ----------
    changed : Signal
        A run began, ended or was undone.
    """

    changed = Signal()

    def __init__(self, frames: LabelledFrames) -> None:
        self._frames = frames
        self._history, self._undone = UndoHistory(), UndoHistory()
        self._maps = ConfidenceMaps()
        self._current: BaseRun | None = None
        self._step = UndoStep()  # of the run that is on
        self._num_runs = 0

    @property
    def current(self) -> BaseRun | None:
        """The run that is on."""
        return self._current

    @property
    def is_running(self) -> bool:
        """Whether a run is on."""
        return self._current is not None

    def check_free(self, what: str) -> None:
        """Raise ValueError while a run is on; `what` has to wait for its end."""
        if self._current is not None:
            raise ValueError(f"Expected the run to have ended before {what}.")

    def begin(
        self,
        predictors: PredictorCache,
        request: RunRequest,
        frames: tuple[int, ...],
        direction: Direction,
        begun: Mapping[int, NDArray[np.integer[Any]]] | None = None,
        *,
        step: int = 1,
        region: Region | None = None,
        goes_on: bool = False,
    ) -> Run:
        """Begin a run over some frames, none of them protected but those begun.

        Parameters
        ----------
        predictors, request, frames, direction, begun, step, region
            As of `Run`.
        goes_on : bool
            Whether frames that are up to date are left out; see `left_of`. With memory,
            those after them remember their labels.
        """
        recalled = {}
        if goes_on:
            frames = self.left_of(frames)
            recalled = self._up_to_date()
            for frame in frames:
                recalled.pop(frame, None)
        run = Run(
            predictors,
            request,
            frames,
            number=self._num_runs + 1,
            key=self._key_of_run(frames if begun else ()),
            direction=direction,
            step=step,
            prepare=self._frames.writer.prepare,
            begun=begun,
            known=KnownIds(self._frames, region),
            region=region,
            recalled=recalled,
        )
        return self._begin(run)

    def begin_bridging(
        self, references: Sequence[int], frames: tuple[int, ...], grid: FrameGrid
    ) -> ShapeRun:
        """Begin a run that needs no model, over unprotected frames between others."""
        return self._begin(
            ShapeRun(
                self._frames.labels,
                references,
                frames,
                grid,
                number=self._num_runs + 1,
                key=self._frames.key,
                prepare=self._frames.writer.prepare,
            )
        )

    def begin_linking(
        self,
        frames: tuple[int, ...],
        source: int,
        settings: LinkingSettings,
        grid: FrameGrid,
        telling: Sequence[int] = (),
    ) -> LinkingRun:
        """Begin to carry the ids of a frame on over others, none of them protected.

        Parameters
        ----------
        frames, source, settings, grid, telling
            As of `LinkingRun`.
        """
        return self._begin(
            LinkingRun(
                KnownIds(self._frames),
                frames,
                source,
                settings,
                grid,
                telling=telling,
                number=self._num_runs + 1,
                key=self._frames.key,
            )
        )

    def _begin(self, run: AnyRun) -> AnyRun:
        self._num_runs = run.number
        self._undone.close()
        self._step = UndoStep()
        self._current = run
        self.changed.emit()
        return run

    def _key_of_run(self, begun: tuple[int, ...]) -> bytes:
        """Return the key of a run; a frame that it completes is no reference then."""
        if not begun:
            return self._frames.key
        return self._frames.records.key_without(begun[0])

    def commit(self, result: FrameResult | RenamedResult) -> bool:
        """Write what the run that is on has found for a frame.

        Returns
        -------
        bool
            Whether it was written: not if a person vouches for the frame by now, if
            its labels are damaged, which `BaseRun.unreadable` tells, or if the run has
            ended.

        Raises
        ------
        ValueError
            If an id does not fit the type of the labels; nothing is written.
        OSError
            If what was there cannot be stored for undo; nothing is written.
        """
        run = self._current
        if run is None or result.run != run.number or result.index not in run:
            return False
        try:
            if isinstance(result, RenamedResult):
                was_written = self._rename(run, result)
            else:
                was_written = self._write(run, result)
        except StackError as error:  # what cannot be read may be a person's
            run.leave_out(result.index, error)
            run.num_damaged += result.is_counted
            return False
        finally:
            self._frames.publish()
        run.num_written += was_written and result.is_counted
        return was_written

    def _write(self, run: BaseRun, result: FrameResult) -> bool:
        begun = run.begun.get(result.index)
        was_written = self._frames.writer.write(
            result.index,
            result.labels,
            self._step,
            key=run.key,
            confidence=result.confidence,
            is_part=isinstance(run, Run) and run.has_region,
            prepared=result.prepared,
            asked=None if begun is None else checksum(begun),
        )
        run.seconds.append(result.seconds)
        if was_written and result.confidence_map is not None:
            written = self._frames.records[result.index].checksum
            self._maps.put(result.index, written, result.confidence_map)
        return was_written

    def _rename(self, run: BaseRun, result: RenamedResult) -> bool:
        """Give objects of a frame other ids; whatever else is known of it stays.

        A label may have been locked since the names were found, so it is asked here.
        """
        from napari_seggpt.objects.regions import with_names

        writer, frame = self._frames.writer, result.index
        labels = writer.read(frame)
        names = names_beside_locked(result.names, self._frames.locks.labels)
        record = self._frames.records[frame]
        is_own = record.is_completed and record.is_untouched and frame in run.begun
        was_written = writer.write(
            frame,
            with_names(labels, names),
            self._step,
            key=record.key,
            confidence=record.confidence,
            is_part=record.is_part,
            asked=record.checksum if is_own else None,
        )
        if was_written:
            written = self._frames.records[frame].checksum
            self._maps.share(frame, record.checksum, written)
        return was_written

    def run_to_end(self, run: BaseRun) -> list[int]:
        """Label the frames of the run that is on, in this thread, and end the run.

        A window has the results made by a worker instead, hands each to `commit`, and
        calls `finish`. If an error ends the run, what was written stays.

        Returns
        -------
        list of int
            The frames that were written, in that order.

        Raises
        ------
        ValueError
            If the run is not the one that is on.
        Exception
            As `Run.results` and `commit` do.
        """
        if run is not self._current:
            raise ValueError(f"Expected the run that is on, got run {run.number}.")
        written = []
        try:
            for result in run.results():
                if self.commit(result) and result.is_counted:
                    written.append(result.index)
        finally:
            self.finish()
        return written

    def confidence_map(self, frame: int) -> NDArray[np.uint8] | None:
        """Return how sure a run was of each place of a frame.

        It is None unless what the run wrote is still there. The map is smaller than a
        large frame: see `inference.confidence.confidence_map`.
        """
        if self._frames.confidence(frame) is None:
            return None
        return self._maps.get(frame, self._frames.records[frame].checksum)

    def finish(self) -> None:
        """End the run, after its worker ended, was stopped or failed."""
        if self._current is None:
            return
        run, self._current = self._current, None
        run.stop()
        self._history.add(self._step)
        self.changed.emit()

    @property
    def up_to_date(self) -> set[int]:
        """The frames that the model need not predict again: the same would come of it.

        They were predicted whole, from what is known now. What was labelled by shapes
        alone, or in a region, is not among them.
        """
        return {*self._up_to_date()}

    def _up_to_date(self) -> dict[int, float]:
        """Return how sure runs were of the frames that are up to date."""
        records = self._frames.records
        return {
            frame: each.confidence
            for frame, each in records.predicted()
            if each.key == records.key
            and each.confidence is not None
            and not each.is_part
        }

    def left_of(self, frames: tuple[int, ...]) -> tuple[int, ...]:
        """Return those of some frames that are not up to date; all, if all of them are.

        Once all are, a person who starts a run means to have them predicted again.
        """
        done = self.up_to_date
        return tuple(frame for frame in frames if frame not in done) or frames

    @property
    def has_confidence_maps(self) -> bool:
        """Whether any frame has a map of how sure a run was; see `confidence_map`."""
        return any(
            each.confidence is not None and self._maps.has(frame, each.checksum)
            for frame, each in self._frames.records.predicted()
        )

    def close(self) -> None:
        """End the run, and drop what is kept for undo."""
        self.finish()
        self._history.close()
        self._undone.close()
        self._maps.close()

    # -- undo ----------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is a run to undo, and none is on."""
        return self._current is None and self._history.last is not None

    def undo(self) -> tuple[int, ...]:
        """Bring back labels and statuses as they were before the last run.

        Returns
        -------
        tuple of int
            The frames that were brought back. Those that a person changed or vouched
            for since the run are left alone.
        """
        return tuple(self.undo_steps())

    def undo_steps(self) -> Iterator[int]:
        """Do as `undo`, a frame at a time, for long runs.

        A generator for the same thread. Closed early, it leaves the rest of the run to
        be undone later.
        """
        self.check_free("it is undone")
        yield from self._take_back(self._history, self._undone)

    @property
    def can_redo(self) -> bool:
        """Whether the last run was undone, and none was begun since."""
        return self._current is None and self._undone.last is not None

    def redo_steps(self) -> Iterator[int]:
        """Write again what the last undo has taken back, as `undo_steps` does."""
        self.check_free("it is done again")
        yield from self._take_back(self._undone, self._history)

    def _take_back(self, source: UndoHistory, target: UndoHistory) -> Iterator[int]:
        """Take the last step of a history back; the other can take that back."""
        step, inverse = source.last, UndoStep()
        try:
            while step and self._current is None and (frame := step.last) is not None:
                try:
                    is_done = self._frames.writer.undo_frame(frame, step, inverse)
                finally:
                    self._frames.publish()
                if not len(step):
                    source.remove(step)
                if is_done:
                    yield frame
        finally:
            target.add(inverse)
            if step is not None:  # left off, too, it can be taken back now
                self.changed.emit()
