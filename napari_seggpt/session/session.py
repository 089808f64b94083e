"""Session: the work on one stack; it has frames, references and runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import FrameGrid, evenly
from napari_seggpt.io.array_labels import ArrayLabels
from napari_seggpt.session.frames.labelled_frames import LabelledFrames
from napari_seggpt.session.references.references import References
from napari_seggpt.session.runs.advice import Advice
from napari_seggpt.session.runs.models import ModelCache
from napari_seggpt.session.runs.planner import RunPlanner
from napari_seggpt.session.runs.planning import prediction_basis
from napari_seggpt.session.runs.predictor_cache import PredictorCache
from napari_seggpt.session.runs.prompt_tuning import (
    NUM_COMPARED_FRAMES,
    PromptTuning,
    check_tunable,
)
from napari_seggpt.session.runs.runs import Runs
from napari_seggpt.session.store.state import SessionState
from napari_seggpt.session.store.task_file import Task, make_task
from napari_seggpt.settings import SessionSettings, TuningSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.inference.watching import UnreadableFrame
    from napari_seggpt.object_settings import LinkedAxis
    from napari_seggpt.session.frames.frame_labels import FrameLabels
    from napari_seggpt.session.frames.locked_labels import LockedLabels
    from napari_seggpt.session.runs.base_run import BaseRun
    from napari_seggpt.session.runs.linking_run import LinkingRun
    from napari_seggpt.session.runs.planning import Scope
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.session.runs.run import Run


class Session:
    """The work on one stack: status of its frames, references, runs and their undo.

    A frame that a person labelled, corrected or approved is written by no run and no
    undo. Every frame is read again right before it is written, so that this holds even
    if nobody told the session of a stroke.

    Parameters
    ----------
    stack : Frames
        The images; read by workers only.
    labels : FrameLabels or NDArray
        Where the labels are; as many frames as the stack. An array (N, H, W) of
        integers is written in place; see `ArrayLabels`.
    settings : SessionSettings, optional
        The model, and how it is used.
    models : ModelCache, optional
        Where models are kept; shared by sessions that follow each other.
    axis : str
        What frames lie along: "t", in which objects may divide, or "z".
    grid : FrameGrid, optional
        How frames lie, if along two axes: time, then depth.
    locks : LockedLabels, optional
        Labels that keep their pixels, shared by sessions on the same labels.

    Attributes
    ----------
    frames : LabelledFrames
        Labels and status of each frame, and a person's acts on them.
    references : References
        What the model is shown.
    runs : Runs
        The run that is on, and the undo of the last ones.

    Raises
    ------
    ValueError
        If stack and labels have different numbers of frames.
    """

    def __init__(
        self,
        stack: Frames,
        labels: FrameLabels | NDArray[np.integer[Any]],
        settings: SessionSettings | None = None,
        *,
        models: ModelCache | None = None,
        axis: LinkedAxis = "z",
        grid: FrameGrid | None = None,
        locks: LockedLabels | None = None,
    ) -> None:
        if isinstance(labels, np.ndarray):
            labels = ArrayLabels(labels)
        if len(labels) != len(stack):
            raise ValueError(
                f"Expected labels of all {len(stack)} frames, got {len(labels)} frames."
            )
        self.frames = LabelledFrames(labels, locks)
        self.grid = grid or FrameGrid.row(len(stack))
        self.references = References(self.frames, grid)
        self.runs = Runs(self.frames)
        self._planner = RunPlanner(self.frames, self.references, self.grid)
        self._predictors = PredictorCache(models or ModelCache())
        self._axis = axis
        self._stack = stack
        self._num_stacks = 1  # how many stacks the session was given, one by one
        self._settings = settings or SessionSettings()
        self.references.examples_changed.connect(self._update_key)
        self._update_key()

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def axis(self) -> LinkedAxis:
        """What frames follow each other in: as set, else what they lie along."""
        along = self._settings.objects.linking.along
        return self._axis if along == "auto" else along

    def close(self) -> None:
        """Stop the run that is on, and let go of predictor and undo; labels stay."""
        self.runs.close()
        # A new one, because a worker may still use the old one.
        self._predictors = PredictorCache(self._predictors.models)

    # -- what predictions depend on ------------------------------------------------

    @property
    def stack(self) -> Frames:
        """The images."""
        return self._stack

    def set_stack(self, stack: Frames) -> None:
        """Show the model other images of the same frames: another channel or level.

        What was predicted before becomes stale.

        Raises
        ------
        ValueError
            If the stack has another number of frames.
        """
        if len(stack) != len(self):
            raise ValueError(f"Expected {len(self)} frames, got {len(stack)}.")
        self._stack = stack
        self._num_stacks += 1
        self._update_key()

    @property
    def settings(self) -> SessionSettings:
        """The model, and how it is used; runs that are on keep what they began with."""
        return self._settings

    @settings.setter
    def settings(self, settings: SessionSettings) -> None:
        self._settings = settings
        self._update_key()

    def _update_key(self) -> None:
        """Note what predictions depend on, beside the reference frames."""
        settings, planner = self._settings, self._planner
        planner.settings, planner.stack = settings, self._stack
        planner.axis, planner.own_axis = self.axis, self._axis
        self.frames.writer.corrections_become_references = (
            settings.corrections_become_references
        )
        basis = prediction_basis(settings, self._num_stacks, self.references.digests)
        self.frames.records.set_basis(basis)
        self.frames.publish()

    # -- what is saved beside the frames -------------------------------------------

    @property
    def state(self) -> SessionState:
        """What is known beside the frames."""
        return SessionState(
            settings=self._settings,
            stacks=self._num_stacks,
            locked=tuple(sorted(self.frames.locks.labels)),
            examples=tuple(self.references.examples),
            tuned=self.references.tuned,
        )

    def restore_state(self, state: SessionState) -> None:
        """Take what was known, beside the frames, in an earlier session."""
        self._settings = state.settings.computing_as(self._settings)
        self._num_stacks = max(self._num_stacks, state.stacks)
        self.frames.locks.lock(*state.locked)
        self.references.restore(state.examples, state.tuned)

    # -- runs ----------------------------------------------------------------------

    def plan(self, scope: Scope, current: int) -> tuple[int, ...]:
        """Return the frames that a run would predict, in ascending order.

        Protected frames are never among them; predicted ones are predicted anew.
        """
        return self._planner.plan(scope, current)

    def start(
        self,
        scope: Scope,
        current: int,
        region: Region | None = None,
        *,
        goes_on: bool = False,
    ) -> BaseRun:
        """Begin a run; `runs.run_to_end` carries it out.

        In a window its results are made by a worker and handed to `runs.commit`, and
        `runs.finish` ends it.

        The scope "between" labels the frames between references by shape, without a
        model. With a region the model is shown, and writes, only that part of frames;
        bridging by shape is not limited to it. A run that goes on, such as after one
        that was stopped, leaves out what is up to date; see `Runs.left_of`.

        Raises
        ------
        ValueError
            If a run is on, no reference with labels is switched on, or there is no
            frame to predict, or no reference shows a label in the region.
        """
        if self.runs.is_running:
            raise ValueError("Expected the last run to have ended; one is on.")
        if scope == "between":
            return self._start_bridging(current)
        planned = self.plan(scope, current) or (current,)
        sources = self._planner.sources(planned, region)
        # Planned again, as reading the sources may have shown that one is none.
        chosen = [source.frame for source in sources if source.frame is not None]
        frames = self._planner.reached(scope, self.plan(scope, current), chosen)
        if not frames:
            raise ValueError(self._planner.refusal(scope, current))
        request = self._planner.request(sources, scope)
        if region is not None:
            request = region.within(request)
        direction = self._planner.direction(scope)
        return self.runs.begin(
            self._predictors,
            request,
            frames,
            direction,
            step=self._planner.step(scope),
            region=region,
            goes_on=goes_on and region is None,
        )

    def _start_bridging(self, current: int) -> BaseRun:
        self.frames.labels_changed(self.references.used_frames)
        frames = self.plan("between", current)
        if not frames:
            raise ValueError(self._planner.refusal("between", current))
        lines = self._planner.lines("between")
        return self.runs.begin_bridging(self.references.whole_frames, frames, lines)

    def complete(self, frame: int) -> Run:
        """Begin a run that completes a frame which a person has begun to label.

        What is labelled in it stays, the rest is predicted from the other references.
        No later run writes it, since a person's labels are in it. It is no reference
        then, as what is predicted may be wrong, until somebody corrects or adds it.

        Raises
        ------
        ValueError
            If a run is on, the frame has no labels, or no other reference has.
        """
        self.runs.check_free("a frame is completed")
        labels = self.frames.writer.read(frame)
        self.frames.publish()
        if not labels.any():
            raise ValueError(
                f"Expected labels in frame {self.grid.name(frame)}, got none."
            )
        request = self._planner.request(self._planner.sources_beside(frame))
        begun = {frame: labels.copy()}
        return self.runs.begin(self._predictors, request, (frame,), "both", begun)

    def start_linking(self, scope: Scope, current: int) -> LinkingRun:
        """Begin to carry the ids of a frame on, without predicting anything.

        After a person has merged, split or exchanged objects on the current frame,
        those of the frames beyond, "forward" or "backward", get the ids that they have
        there. Frames that a person vouches for keep theirs.

        Raises
        ------
        ValueError
            If a run is on, or no frame beyond has predicted labels.
        """
        self.runs.check_free("ids are carried on")
        frames = self._planner.linked(scope, current)
        linking = replace(self._settings.objects.linking, along=self.axis)
        lines = self._planner.lines(scope)
        have_classes = self._settings.objects.task != "objects"
        telling = (current, *self.references.used_frames) if have_classes else ()
        return self.runs.begin_linking(frames, current, linking, lines, telling)

    # -- tuning --------------------------------------------------------------------

    def start_tuning(
        self,
        settings: TuningSettings | None = None,
        class_names: Mapping[int, str] | None = None,
    ) -> PromptTuning:
        """Begin to tune a prompt on the references that are switched on.

        Raises
        ------
        ValueError
            If a run is on, fewer than two references have labels, or these are objects.
        """
        self.runs.check_free("tuning")
        frames = tuple(self.references.used_frames)
        whole = self._planner.whole_sources(frames or (0,))
        sources = [each for each in whole if each.labels.any()]
        check_tunable([x.labels for x in sources], self._settings.objects.task)
        return PromptTuning(
            self._predictors,
            self._planner.request(sources, with_tuned=False),
            settings or TuningSettings(),
            class_names or {},
        )

    def frames_to_compare(self) -> list[int]:
        """Return frames that a tuned prompt is shown on: any that runs may write."""
        free = sorted({*range(len(self))} - self.frames.protected)
        return evenly(free, NUM_COMPARED_FRAMES)

    @property
    def advice(self) -> Advice:
        """What can be found out for a person."""
        return Advice(
            planner=self._planner,
            predictors=self._predictors,
            frames=self.frames,
            references=self.references,
            runs=self.runs,
        )

    def make_task(
        self,
        class_names: Mapping[int, str] | None = None,
        unreadable: list[UnreadableFrame] | None = None,
    ) -> Iterator[Task]:
        """Put references in use, settings and tuned prompt into a task, in a worker.

        Parameters
        ----------
        class_names : mapping of int to str, optional
            Names of labels.
        unreadable : list of UnreadableFrame, optional
            The references are added to it that are left out, as in a run, because their
            image cannot be read.

        Raises
        ------
        ValueError
            At once, if there is no reference with labels and no tuned prompt.
        """
        return make_task(
            self._stack,
            self._planner.whole_sources(tuple(self.references.used_frames) or (0,)),
            self._settings,
            tuned=self.references.tuned,
            classes=class_names or {},
            unreadable=[] if unreadable is None else unreadable,
        )
