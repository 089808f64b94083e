"""label_stack(): some labelled frames of a stack in, labels of all its frames out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from napari_seggpt.frames import FrameGrid, Frames, sample_frames
from napari_seggpt.inference.chains import plan
from napari_seggpt.inference.finished import FinishedFrames, read_finished
from napari_seggpt.inference.linking import (
    RenamedFrame,
    StackLinker,
    frames_lie_along,
)
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import check_labelled, predict_chains
from napari_seggpt.inference.references import read_references
from napari_seggpt.inference.task_predictors import TaskPredictor, task_predictor
from napari_seggpt.inference.watching import UnreadableFrame
from napari_seggpt.io.array_labels import ArrayLabels
from napari_seggpt.objects.new_ids import NewIds
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from numpy.typing import NDArray

    from napari_seggpt.inference.prediction import Prediction
    from napari_seggpt.inference.propagation import FramePrediction
    from napari_seggpt.settings import PropagationSettings

    References = Mapping[int, NDArray[np.integer[Any]]]


class LabelsOutput(Frames, Protocol):
    """Where labels go, a frame at a time, such as what `create_labels` returns."""

    def write(self, index: int, labels: NDArray[Any], /) -> None:
        """Write the labels (H, W) of a frame."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledFrame:
    """A frame whose labels were written.

    Attributes
    ----------
    index : int
        The frame.
    prediction : Prediction or None
        What was predicted; None of a reference, whose labels are written as they are.
    done, total : int
        How many frames are predicted by now, and in all.
    """

    index: int
    prediction: Prediction | None
    done: int
    total: int


def label_stack(
    stack: Frames,
    references: References,
    output: LabelsOutput | NDArray[np.integer[Any]],
    *,
    predictor: Predictor | TaskPredictor | None = None,
    settings: SessionSettings | None = None,
    resume: bool = False,
    skip_unreadable: bool = False,
    grid: FrameGrid | None = None,
) -> Iterator[LabelledFrame | UnreadableFrame]:
    """Label the frames of a stack from some that are labelled, as `predict` does.

    References are written as they are, and no other frame is read or held before it is
    needed: memory grows neither with the stack nor with the number of references.
    Every frame is written as soon as it is predicted, so closing the generator early
    leaves everything that was yielded. Arguments are checked at once; the model is
    loaded when the first frame is asked for.

    Where labels are single objects, which the settings or the references tell, an
    object has its id of the references on all frames, and new ones get new ids. Frames
    that were written may then be written again, where it turns out that two ids are
    those of one object.

    Parameters
    ----------
    stack : Frames
        The images.
    references : mapping of int to NDArray
        Labels (H, W) by frame; see `read_references`.
    output : LabelsOutput or NDArray
        Where labels go; as many frames as the stack. An array (N, H, W) of integers is
        written in place; see `ArrayLabels`.
    predictor : Predictor or TaskPredictor, optional
        What predicts. By default it is made of the settings and of a bounded number of
        the references.
    settings : SessionSettings, optional
        The range of frames, their order and memory, whether labels are classes or
        objects, and clean-up; without a predictor also the model, how it is used, and
        the contrast. A scheduler is refused then: give a `RemotePredictor`.
    resume : bool
        Whether frames with labels in the output stay as they are, also those for which
        another reference is given: they may be a person's corrections.
    skip_unreadable : bool
        Whether a frame that cannot be read is told of and left out, rather than
        ending all.
    grid : FrameGrid, optional
        How frames lie, if along time and depth: references anywhere count for all
        frames, near ones on either axis more, and frames follow each other in lines. A
        `Stack` tells its own.

    Yields
    ------
    LabelledFrame or UnreadableFrame
        Every frame that is written, references first, then predictions; and those that
        were left out.

    Raises
    ------
    FrameError
        If a frame is no picture.
    ValueError
        If the output or the grid is of another length, there is no such frame, no
        reference shows a label, or the settings name a scheduler and no predictor is
        given.
    StackError, OSError
        If the output takes no such labels, or cannot be written.
    """
    settings = settings or SessionSettings()
    if isinstance(output, np.ndarray):
        output = ArrayLabels(output)
    _check(stack, references, output)
    lines = frame_lines(stack, grid, settings)
    if predictor is None:
        _check_sources(references, settings)
    else:
        check_labelled(predictor)
    return _label_frames(
        stack,
        references,
        output,
        predictor,
        settings,
        lines,
        resume=resume,
        skip_unreadable=skip_unreadable,
    )


def _label_frames(
    stack: Frames,
    references: References,
    output: LabelsOutput,
    predictor: Predictor | TaskPredictor | None,
    settings: SessionSettings,
    lines: FrameGrid | None,
    *,
    resume: bool,
    skip_unreadable: bool,
) -> Iterator[LabelledFrame | UnreadableFrame]:
    """Label frames by arguments that were checked; see `label_stack`."""
    if predictor is None:
        predictor = _make_predictor(stack, references, settings, lines)
    if not isinstance(predictor, TaskPredictor):
        predictor = task_predictor(predictor, settings)
    shown = {index: prompt.labels for index, prompt in predictor.references.items()}
    given = references.keys() | shown.keys()
    finished = labelled_frames(output) if resume else set()
    kept = given | finished
    chains = plan(len(stack), shown, settings.propagation, grid=lines)
    frames = [frame for chain in chains for frame in chain if frame not in kept]
    total = len(frames)
    for index in sorted(given - finished):
        labels = references[index] if index in references else shown[index]
        output.write(index, labels)
        yield LabelledFrame(index=index, prediction=None, done=0, total=total)
    steps: Iterator[FramePrediction | UnreadableFrame | RenamedFrame]
    steps = predicted = predict_chains(
        stack,
        predictor,
        chains,
        memory=settings.propagation.memory,
        protected=kept,
        grid=lines,
        known=FinishedFrames(
            stack, output, predictor, settings.propagation.memory, lines
        ),
        skip_unreadable=skip_unreadable,
    )
    if predictor.are_objects and settings.objects.linking.enabled:
        kinds = predictor.kinds
        linker = _make_linker(
            stack, output, settings, shown, frames, kept, kinds, lines
        )
        steps = linker.link(predicted)
    done = 0
    for step in steps:
        if isinstance(step, RenamedFrame):
            output.write(step.index, step.applied(output[step.index]))
            continue
        done += 1
        if isinstance(step, UnreadableFrame):
            yield step
            continue
        output.write(step.index, step.prediction.labels)
        yield LabelledFrame(
            index=step.index, prediction=step.prediction, done=done, total=total
        )


def _make_linker(
    stack: Frames,
    output: LabelsOutput,
    settings: SessionSettings,
    references: Collection[int],
    frames: Collection[int],
    kept: Collection[int],
    kinds: Collection[int],
    grid: FrameGrid | None,
) -> StackLinker:
    """Make what links objects, from an output that has the labels of `kept` frames.

    Those of `frames` are in it once they were predicted, which the linker knows.
    """
    linking, order = settings.objects.linking, settings.propagation
    new_ids = NewIds(1, kinds=kinds)
    labelled = {*kept, *frames}
    for index in kept:
        known = read_finished(output, index)
        if known is not None:
            new_ids.note(np.unique(known).tolist())
    return StackLinker(
        replace(
            linking, along=frames_lie_along(getattr(stack, "axis", None), linking.along)
        ),
        references=references,
        frames=frames,
        length=len(stack),
        read=lambda index: read_finished(output, index) if index in labelled else None,
        new_ids=new_ids,
        direction=order.direction,
        step=order.step if grid is None else grid.spacing(order.step),
        grid=grid,
    )


def frame_lines(
    stack: Frames, grid: FrameGrid | None, settings: SessionSettings
) -> FrameGrid | None:
    """Return how frames lie, in the lines that they follow each other in.

    Parameters
    ----------
    stack : Frames
        The images; a `Stack` tells its own grid.
    grid : FrameGrid, optional
        How frames lie, if the stack does not tell it.
    settings : SessionSettings
        Along what objects are linked.

    Returns
    -------
    FrameGrid or None
        None if all frames lie in one line.

    Raises
    ------
    ValueError
        If the grid is of another length.
    """
    grid = getattr(stack, "grid", None) if grid is None else grid
    if grid is None or not grid.has_two_axes:
        return None
    if grid.shape[0] * grid.shape[1] != len(stack):
        raise ValueError(
            f"Expected a grid of {len(stack)} frames, got "
            f"{grid.shape[0]} x {grid.shape[1]}."
        )
    along = frames_lie_along(
        getattr(stack, "axis", None), settings.objects.linking.along
    )
    return grid.along(0 if along == "t" else 1)


def labelled_frames(labels: Frames) -> set[int]:
    """Return the frames that have any label; each is read once.

    A frame that is damaged counts as labelled: there may be a person's work in it.
    """
    return {index for index in range(len(labels)) if _is_labelled(labels, index)}


def _is_labelled(labels: Frames, index: int) -> bool:
    found = read_finished(labels, index)
    return found is None or bool(found.any())


def frames_in_range(
    length: int, references: References, settings: PropagationSettings
) -> list[int]:
    """Return the frames that a range means, without the references."""
    stop = length if settings.stop is None else min(settings.stop, length)
    frames = range(settings.start, stop, settings.step)
    return [frame for frame in frames if frame not in references]


def _check(stack: Frames, references: References, output: LabelsOutput) -> None:
    if len(output) != len(stack):
        raise ValueError(
            f"Expected an output of {len(stack)} frames, got {len(output)}."
        )
    for index in references:
        if not 0 <= index < len(stack):
            raise ValueError(
                f"Expected reference frames from 0 to {len(stack) - 1}, got {index}."
            )


def _check_sources(references: References, settings: SessionSettings) -> None:
    """Check what a predictor is to be made of."""
    if settings.scheduler is not None:
        raise ValueError(
            "Expected settings without a scheduler, which sessions use, or a predictor "
            f"that computes there (RemotePredictor), got {settings.scheduler}."
        )
    if not any(labels.any() for labels in references.values()):
        raise ValueError("Expected references with at least one label, got none.")


def _make_predictor(
    stack: Frames,
    references: References,
    settings: SessionSettings,
    grid: FrameGrid | None,
) -> Predictor:
    """Make a predictor of so few references that they can be held in memory."""
    from napari_seggpt.model.zoo import load_model

    frames = frames_in_range(len(stack), references, settings.propagation)
    prompts = read_references(
        stack,
        references,
        frames or [0],
        max_prompts=settings.prediction.max_prompts,
        grid=grid,
    )
    if not any(len(prompt.ids) for prompt in prompts):
        raise ValueError("Expected references with at least one label, got none.")
    return Predictor(
        load_model(settings.model),
        prompts,
        settings=settings.prediction,
        limits=measure_limits(sample_frames(stack), settings.contrast),
    )
