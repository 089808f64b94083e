"""What a worker finds out for a person: do the references fit, and what to label next.

It loads torch, but only when its generators are run.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.frames import DAMAGE
from napari_seggpt.io.layout import StackError
from napari_seggpt.objects.kinds import task_of
from napari_seggpt.session.runs.preview import Preview
from napari_seggpt.session.runs.region import RegionFrames

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from napari_seggpt.frames import Frames
    from napari_seggpt.object_settings import ObjectTask
    from napari_seggpt.objects.kinds import TaskGuess
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.session.frames.frame_labels import FrameLabels
    from napari_seggpt.session.frames.labelled_frames import LabelledFrames
    from napari_seggpt.session.references.references import References
    from napari_seggpt.session.runs.planner import RunPlanner
    from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
    from napari_seggpt.session.runs.region import Region
    from napari_seggpt.session.runs.runs import Runs


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedReference:
    """How well a reference was predicted from the others.

    Attributes
    ----------
    key : int or str
        The frame, or the name of an example from elsewhere.
    dice : dict of int to float
        By label, of those that other references show, too; of objects it is empty.
    score : float or None
        Their mean; None if no other reference shows any of its labels.
    gain : float or None
        How much higher the others score without it; known of those that score lowest.
    left_out : str
        Why its image cannot be read, so that nothing is known of it; else "".
    """

    key: int | str
    dice: dict[int, float]
    score: float | None
    gain: float | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Advice:
    """What a person can have found out of a session; the results are a worker's.

    Attributes
    ----------
    planner : RunPlanner
        What runs would be shown.
    predictors : PredictorCache
        What predicts.
    frames, references, runs
        Of the session.
    """

    planner: RunPlanner
    predictors: PredictorCache
    frames: LabelledFrames
    references: References
    runs: Runs

    def task(self) -> Iterator[TaskGuess]:
        """Find out what labels stand for, classes or objects, and why.

        Raises
        ------
        ValueError
            If objects are wanted that cannot be had; see `task_of`.
        """
        return find_task(
            self.planner.settings.objects.task,
            self.frames.labels,
            self.references.nearest_start,
            [each.prompt for each in self.references.examples if each.enabled],
            has_tuned=self.references.tuned is not None,
        )

    def check_references(
        self, region: Region | None = None
    ) -> Iterator[CheckedReference]:
        """Predict each reference from all the others.

        Parameters
        ----------
        region : Region, optional
            The part of frames that is predicted, if not all.

        Raises
        ------
        ValueError
            If there are fewer than two, a run is on, or no reference shows a label in
            the region.
        """
        self.runs.check_free("a check")
        sources = self.planner.sources_to_compare()
        request = self.planner.request(sources, with_tuned=False)
        if region is not None:
            request = region.within(request)
        return check_references(self.predictors, request, self.runs)

    def preview_frame(self, frame: int, region: Region | None = None) -> Preview:
        """Return what predicts a frame by the present settings, and writes nothing.

        Parameters
        ----------
        frame : int
            The frame.
        region : Region, optional
            The part of frames that runs are limited to, if they are.

        Raises
        ------
        ValueError
            If a run is on, or no reference with labels, in the region, is switched on.
        """
        self.runs.check_free("a preview")
        request = self.planner.request(self.planner.sources((frame,)))
        if region is not None:
            request = region.within(request)
        return Preview(
            self.predictors,
            request,
            frame,
            self.runs,
            self.frames.writer.prepare,
            self.frames.locks,
            region,
        )

    def least_certain_in(self, region: Region) -> Iterator[int | None]:
        """Find the predicted frame that a region is least certain in.

        Yields None for each frame that is looked at, and the frame last; None if none
        is predicted. What is known of a frame from earlier sessions is its confidence
        as a whole, which counts then.
        """
        return least_certain_in(region, self.frames, self.runs)

    def suggest_frame(self, region: Region | None = None) -> Iterator[int | None]:
        """Find the frame whose labels would help most.

        That is the least certain one if all are predicted, else the one least like
        those that a person vouches for. Yields None for each frame that is read, of a
        sample, and the frame last; None if there is none.

        Parameters
        ----------
        region : Region, optional
            The part of frames that is looked at, if not all.
        """
        return suggest_frame(self.planner.stack, self.frames, self.runs, region)


def check_references(
    predictors: PredictorCache, request: RunRequest, runs: Runs
) -> Iterator[CheckedReference]:
    """Predict each reference from all the others, in a worker.

    Yields one a reference, first of all those that cannot be read; then those that
    score lowest again, with their gain. It yields nothing if a run has begun before,
    whose prompts must stay.
    """
    from napari_seggpt.inference.checks import check_prompts

    with predictors.models.lock:
        if runs.is_running:
            return
        request, unreadable = predictors.readable(request)
        predictor = predictors.predictor(request)
        steps = check_prompts(predictor.predictor, request.grid)
    for each in unreadable:
        yield CheckedReference(
            key=each.index, dice={}, score=None, left_out=each.reason
        )
    while True:
        with predictors.models.lock:
            found = next(steps, None)
        if found is None:
            return
        source = request.sources[found.number]
        yield CheckedReference(
            key=str(source.identity[0]) if source.frame is None else source.frame,
            dice={} if predictor.are_objects else found.dice,
            score=found.score,
            gain=found.gain,
        )


def misfit(checked: Sequence[CheckedReference]) -> CheckedReference | None:
    """Return the reference that does not fit the rest, if there is one."""
    from napari_seggpt.inference.checks import misfit as find

    number = find([each.gain for each in checked])
    return None if number is None else checked[number]


def find_task(
    wanted: ObjectTask,
    labels: FrameLabels,
    frames: Sequence[int],
    examples: Sequence[Prompt | None],
    *,
    has_tuned: bool,
) -> Iterator[TaskGuess]:
    """Read labels, in a worker; yields what they stand for, classes or objects.

    Parameters
    ----------
    wanted : str
        As of `ObjectSettings.task`.
    labels : FrameLabels
        Where labels are read.
    frames : sequence of int
        Of references.
    examples : sequence of Prompt
        From elsewhere; None is left out.
    has_tuned : bool
        Whether there is a tuned prompt.
    """
    shown = [prompt.labels for prompt in examples if prompt is not None]
    for frame in frames:
        with suppress(StackError):  # other references tell
            shown.append(labels.read(frame))
    yield task_of(wanted, shown, has_tuned=has_tuned)


def suggest_frame(
    stack: Frames, frames: LabelledFrames, runs: Runs, region: Region | None
) -> Iterator[int | None]:
    """Find the frame whose labels would help most: see `Advice.suggest_frame`."""
    known = frames.protected
    num_predicted = sum(1 for _ in frames.records.predicted())
    frame = frames.least_certain()
    if len(known) + num_predicted == len(frames) and frame is not None:
        return (
            iter((frame,)) if region is None else least_certain_in(region, frames, runs)
        )
    return _unlike_frame(
        stack if region is None else RegionFrames(stack, region), known
    )


def _unlike_frame(stack: Frames, labelled: Collection[int]) -> Iterator[int | None]:
    """Read some frames, in a worker; yields None after each, then the frame.

    Parameters
    ----------
    stack : Frames
        The images.
    labelled : collection of int
        Frames that a person vouches for.

    Yields
    ------
    int or None
        At last the frame to label next; None if all are labelled.
    """
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.inference.suggestion import (
        sampled_frames,
        suggest,
        thumbnail_vector,
    )
    from napari_seggpt.preprocessing import measure_limits

    limits = measure_limits(sample_frames(stack))
    vectors = {}
    for frame in sampled_frames(len(stack), labelled):
        with suppress(*DAMAGE):  # what cannot be read is no frame to label
            vectors[frame] = thumbnail_vector(stack[frame], limits)
        yield None
    yield suggest(vectors, labelled)


def least_certain_in(
    region: Region, frames: LabelledFrames, runs: Runs
) -> Iterator[int | None]:
    """Find the predicted frame that a region is least certain in, in a worker.

    What is known of a frame as a whole counts where it is not kept any more how sure
    the run was of each place.
    """
    found = [(f, r.confidence) for f, r in frames.records.predicted()]
    known = {frame: value for frame, value in found if value is not None}
    return _least_certain(region, frames.labels, runs, known)


def _least_certain(
    region: Region, labels: FrameLabels, runs: Runs, known: Mapping[int, float]
) -> Iterator[int | None]:
    """Look at how sure runs were inside a region; yields None a frame, then the frame.

    Parameters
    ----------
    region : Region
        What counts of each frame.
    labels : FrameLabels
        Where the labels are read.
    runs : Runs
        Where it is kept how sure they were of each place.
    known : mapping of int to float
        The confidence of each predicted frame as a whole, which counts where the map
        is not kept any more.

    Yields
    ------
    int or None
        At last the frame; None if there is none.
    """
    from napari_seggpt.inference.confidence import frame_confidence, map_step

    step = map_step(region.mask.shape)
    inside = region.mask[::step, ::step]
    sure = dict(known)
    for frame in known:
        with suppress(*DAMAGE):  # what cannot be read keeps its confidence
            values = runs.confidence_map(frame)
            if values is not None:
                found = labels.read(frame)[::step, ::step]
                margin = np.where(inside, values / 255, 1.0)
                sure[frame] = frame_confidence(np.where(inside, found, 0), margin)
        yield None
    yield min(sure, key=lambda frame: (sure[frame], frame), default=None)
