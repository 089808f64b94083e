"""What labels a stack: this process, workers, or one that waits for frames."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from napari_seggpt.cli.cluster import label_on_workers, make_job
from napari_seggpt.cli.follow import follow
from napari_seggpt.cli.reading import opener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from napari_seggpt.cli.predict import PredictRequest
    from napari_seggpt.cli.references import LabelledFrames
    from napari_seggpt.inference.labelling import LabelledFrame
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames
    from napari_seggpt.io import LabelsWriter, Stack


def check_axes(request: PredictRequest, client: Client | None, stack: Stack) -> None:
    """Refuse frames along time and depth where they are taken for a single row.

    Raises
    ------
    ValueError
        If they are, with the flags that need one axis.
    """
    needs = {
        "--tracks": request.tracks,
        "--follow": request.is_growing,
        "--workers or --scheduler": client is not None,
    }
    found = [flag for flag, is_given in needs.items() if is_given]
    if stack.grid.has_two_axes and found:
        raise ValueError(
            f"Expected frames along one axis with {found[0]}, got time and z."
        )


def check_objects(
    request: PredictRequest, client: Client | None, predictor: TaskPredictor
) -> None:
    """Refuse objects where they cannot be linked, before anything is written.

    Raises
    ------
    ValueError
        If labels are objects, and workers or one who waits label them; or if they are
        not, and their tracks are wanted.
    """
    is_alone = client is None and not request.is_growing
    if predictor.are_objects and not is_alone:
        raise ValueError(
            "Expected classes (--objects classes) with --workers, --scheduler or "
            "--follow, got objects, which are linked frame after frame."
        )
    if request.tracks and not predictor.are_objects:
        raise ValueError("Expected objects for --tracks, got classes: try --objects.")


def label_steps(
    request: PredictRequest,
    client: Client | None,
    predictor: TaskPredictor,
    frames: WatchedFrames,
    labelled: LabelledFrames,
    output: LabelsWriter,
) -> Iterator[LabelledFrame | UnreadableFrame]:
    """Return what labels the stack: this process, workers, or one who waits."""
    from napari_seggpt.inference.labelling import label_stack

    settings, reading = request.settings, request.reading
    if request.follow is not None:
        return follow(
            request.stack,
            reading,
            predictor,
            output,
            labelled,
            settings.propagation,
            request.follow,
        )
    if client is not None:
        again = opener(reading, request.stack)
        job = make_job(again, request.output, predictor, settings)
        return label_on_workers(client, job, labelled, settings.propagation, frames)
    return label_stack(
        frames,
        labelled,
        output,
        predictor=predictor,
        settings=settings,
        resume=request.resume,
        skip_unreadable=True,
    )


@contextmanager
def stack_at_end(request: PredictRequest, stack: Stack) -> Iterator[Stack]:
    """Open the stack anew if frames have come since it was opened."""
    if not request.is_growing:
        yield stack
        return
    with opener(request.reading, request.stack, growing=True)() as grown:
        yield grown
