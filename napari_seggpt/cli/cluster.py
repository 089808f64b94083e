"""`predict --workers` and `predict --scheduler`: frames as tasks of a cluster."""

from __future__ import annotations

import argparse
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_seggpt.cli.arguments import parsed
from napari_seggpt.cluster.extra import check_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from napari_seggpt.cli.references import LabelledFrames
    from napari_seggpt.cluster.job import Job
    from napari_seggpt.inference.labelling import LabelledFrame
    from napari_seggpt.inference.task_predictors import TaskPredictor
    from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames
    from napari_seggpt.io import Stack
    from napari_seggpt.settings import PropagationSettings, SessionSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlace:
    """Where frames are predicted: by workers here, or those of a scheduler.

    Attributes
    ----------
    workers : int, optional
        So many processes on this computer.
    scheduler : str, optional
        The address of a scheduler, or the file that it wrote.
    """

    workers: int | None
    scheduler: str | None


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add where frames are predicted, if not in this process."""
    group = parser.add_argument_group("cluster (napari-seggpt[distributed])")
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        "--workers",
        type=_positive,
        metavar="N",
        help="predict on N processes of this computer, each with a model; --output is "
        "then a .zarr",
    )
    place.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="predict on the workers of a dask scheduler: its address, or the file "
        "that it wrote; they read and write the same files as this computer",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of 1 or more, got {text!r}"
        )
    return int(text)


def check_place(args: argparse.Namespace) -> None:
    """Refuse an output that several processes cannot write at once."""
    place = parsed(ClusterPlace, args)
    is_cluster = place.workers is not None or place.scheduler is not None
    if is_cluster and not args.each and args.output.suffix.lower() != ".zarr":
        raise ValueError(
            "Expected an --output ending in .zarr with --workers or --scheduler, got "
            f"{args.output.name}."
        )


@contextmanager
def opened_cluster(args: argparse.Namespace) -> Iterator[Client | None]:
    """Start or find the workers that the flags name; None without such flags."""
    place = parsed(ClusterPlace, args)
    if place.workers is None and place.scheduler is None:
        yield None
        return
    check_installed("--workers and --scheduler")
    from napari_seggpt.cluster.clients import open_client

    with open_client(workers=place.workers, scheduler=place.scheduler) as client:
        yield client


def make_job(
    open_stack: Callable[[], Stack],
    output: Path,
    predictor: TaskPredictor,
    settings: SessionSettings,
) -> Job:
    """Return what workers must know to predict as a predictor does."""
    from napari_seggpt.cluster.job import Job

    file = Path(settings.model)
    return Job(
        open_stack=open_stack,
        output=output.resolve(),
        model=str(file.resolve()) if file.exists() else settings.model,
        prompts=predictor.prompts,
        tuned=predictor.tuned,
        settings=predictor.settings,
        limits=predictor.limits,
        cleanup=settings.cleanup,
        memory=settings.propagation.memory,
    )


def label_on_workers(
    client: Client,
    job: Job,
    labelled: LabelledFrames,
    propagation: PropagationSettings,
    frames: WatchedFrames,
) -> Iterator[LabelledFrame | UnreadableFrame]:
    """Label a stack as `label_stack` does, but on the workers of a cluster.

    Frames that are finished in the output stay as they are.
    """
    from napari_seggpt.cluster.running import label_on_cluster, plan_tasks
    from napari_seggpt.cluster.worker import FramesReport
    from napari_seggpt.inference.labelling import LabelledFrame

    with job.open_output() as output:
        tasks = plan_tasks(
            job,
            output,
            propagation,
            num_workers=sum(client.nthreads().values()),
            protected=labelled,
        )
        total = len({i for task in tasks for i in task if not output.is_finished(i)})
        for index in labelled:
            if not output.is_finished(index):
                output.finish(index, labelled[index])
                yield LabelledFrame(index=index, prediction=None, done=0, total=total)
    done = 0
    for step in label_on_cluster(client, job, tasks):
        if isinstance(step, FramesReport):
            frames.add_flat(step.flat)
            yield from step.unreadable
            continue
        done += 1
        yield LabelledFrame(index=step, prediction=None, done=done, total=total)
