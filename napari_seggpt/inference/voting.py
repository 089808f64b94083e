"""label_volume(): a volume labelled along each of its axes, and the vote of all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.labelling import LabelledFrame, label_stack
from napari_seggpt.io.label_values import as_labels
from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.inference.watching import UnreadableFrame

    Labels = NDArray[np.integer[Any]]


def vote(
    labels: Sequence[Labels], voters: Sequence[NDArray[np.bool_]] | None = None
) -> Labels:
    """Return the label that most of some label images have, pixel by pixel.

    Parameters
    ----------
    labels : sequence of NDArray
        At least one, all of one shape. Labels are classes: the ids of single objects
        differ from one image to another.
    voters : sequence of NDArray, optional
        Where each of them has a vote, in a shape that broadcasts to that of the
        images; everywhere by default.

    Returns
    -------
    NDArray
        Of the same shape, in a type that holds all labels. Where as many have one label
        as another, the label is that of the first image among these; where none has a
        vote, 0.

    Raises
    ------
    ValueError
        If there are none, their shapes differ, or a label needs more than 63 bits.
    """
    if not labels or len({each.shape for each in labels}) != 1:
        shapes = [each.shape for each in labels]
        raise ValueError(f"Expected label images of one shape, got {shapes}.")
    labels = [as_labels(each) for each in labels]  # no type holds uint64 and int64
    voters = [np.array(True)] * len(labels) if voters is None else voters
    merged = np.zeros(labels[0].shape, dtype=np.result_type(*labels))
    most = np.zeros(merged.shape, np.int16)
    for each, may in zip(labels, voters, strict=True):
        votes = np.zeros(merged.shape, np.int16)
        for other, has_vote in zip(labels, voters, strict=True):
            votes += (each == other) & has_vote
        is_more = (votes > most) & may
        merged[is_more], most[is_more] = each[is_more], votes[is_more]
    return merged


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSlice:
    """A slice of a volume that was labelled.

    Attributes
    ----------
    axis : int
        The axis that it lies across.
    frame : LabelledFrame
        The slice: its index is that on the axis.
    """

    axis: int
    frame: LabelledFrame


def label_volume(
    volume: NDArray[Any],
    references: Mapping[int, Mapping[int, Labels]],
    output: Labels,
    *,
    settings: SessionSettings | None = None,
    predictors: Mapping[int, Predictor | TaskPredictor] | None = None,
) -> Iterator[LabelledSlice]:
    """Label a volume slice by slice along several axes, and let the results vote.

    Mistakes along one axis are seldom made along another. Labels are classes. The
    volume and the labels of each axis are held in memory.

    Parameters
    ----------
    volume : NDArray
        (Z, Y, X).
    references : mapping of int to mapping of int to NDArray
        For each axis to go along, labels of some slices across it; those across axis 0
        are (Y, X), across axis 1 (Z, X), across axis 2 (Z, Y).
    output : NDArray
        (Z, Y, X), integers; it is written when all slices are labelled. References stay
        as they are; where two cross, that of the axis named first counts.
    settings : SessionSettings, optional
        As of `label_stack`; labels are taken for classes, whatever they look like.
    predictors : mapping of int to Predictor or TaskPredictor, optional
        What predicts along each axis; by default it is made of the references.

    Yields
    ------
    LabelledSlice
        Every slice, along one axis after the other.

    Raises
    ------
    ValueError
        If volume and output are not of one shape of three axes, there are no
        references, the output's type does not hold all labels, single objects are
        asked for, or as `label_stack` does.
    """
    if volume.ndim != 3 or volume.shape != output.shape or not references:
        raise ValueError(
            "Expected a volume (Z, Y, X), labels of its shape, and references along "
            f"one axis or more, got {volume.shape}, {output.shape} and references "
            f"along {len(references)}."
        )
    settings = _of_classes(settings or SessionSettings())
    predictors = predictors or {}
    _check_predictors(predictors.values())
    _check_ids(references.values(), predictors.values(), output.dtype)
    found, steps = [], {}
    for axis, given in references.items():
        found.append(np.zeros(volume.shape, output.dtype))
        steps[axis] = label_stack(
            np.moveaxis(volume, axis, 0),
            given,
            np.moveaxis(found[-1], axis, 0),
            predictor=predictors.get(axis),
            settings=settings,
        )
    return _label_axes(steps, found, references, output)


def _label_axes(
    steps: Mapping[int, Iterator[LabelledFrame | UnreadableFrame]],
    found: Sequence[Labels],
    references: Mapping[int, Mapping[int, Labels]],
    output: Labels,
) -> Iterator[LabelledSlice]:
    """Label along each axis, into the labels that are to vote; see `label_volume`."""
    voters = []
    for axis, frames in steps.items():
        is_labelled = np.zeros(output.shape[axis], np.bool_)
        for frame in frames:
            if isinstance(frame, LabelledFrame):
                is_labelled[frame.index] = True
                yield LabelledSlice(axis=axis, frame=frame)
        voters.append(np.expand_dims(is_labelled, [x for x in range(3) if x != axis]))
    output[...] = vote(found, voters)
    for axis, given in list(references.items())[::-1]:
        across = np.moveaxis(output, axis, 0)
        for index, labels in given.items():
            across[index] = labels


def _check_predictors(predictors: Iterable[Predictor | TaskPredictor]) -> None:
    """Refuse those that number single objects."""
    for each in predictors:
        if getattr(each, "are_objects", False):
            raise ValueError(
                "Expected predictors of classes, as ids of objects cannot vote, got "
                "one of objects."
            )


def _check_ids(
    references: Iterable[Mapping[int, Labels]],
    predictors: Iterable[Predictor | TaskPredictor],
    dtype: np.dtype[Any],
) -> None:
    """Refuse labels that would be others in the type of the output."""
    shown = (labels for given in references for labels in given.values())
    ids = {int(each) for labels in shown for each in (labels.min(), labels.max())}
    for predictor in predictors:
        ids |= {int(each) for palette in predictor.palettes for each in palette.ids}
    limits = np.iinfo(dtype)
    outside = [each for each in ids if not limits.min <= each <= limits.max]
    if outside:
        raise ValueError(
            f"Expected an output that holds all labels, got {dtype} for "
            f"{max(outside, key=abs)}."
        )


def _of_classes(settings: SessionSettings) -> SessionSettings:
    """Return settings for classes: ids of single objects differ along each axis."""
    if settings.objects.task not in ("auto", "classes"):
        raise ValueError(
            "Expected labels that are classes, as ids of objects cannot vote, got "
            f"{settings.objects.task!r}."
        )
    return replace(settings, objects=replace(settings.objects, task="classes"))
