"""`napari-seggpt tune DATASET`: a prompt for all images of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_seggpt.cli import arguments
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED, StopAtNextStep
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator
    from pathlib import Path
    from typing import Any

    from napari_seggpt.cli.tune import TuneRequest
    from napari_seggpt.datasets.base import ImageDataset
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.palette import Palette
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import TuningSettings
    from napari_seggpt.training.tuning import TuneStep

PALETTES = ("separated", "painter")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetFlags:
    """Which data set is read, and how its classes are coloured.

    Attributes
    ----------
    layout, subset : str, optional
        The data set and the part of it, where it does not follow from the folder.
    palette : str
        One of `PALETTES`.
    """

    layout: str | None
    subset: str | None
    palette: str


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add which data set is read, and how its classes are coloured."""
    group = parser.add_argument_group(
        "data set",
        "Without references, a folder is a data set: one picture learns, from a grid "
        "of 4 images, at a rate of 0.1, for 2000 updates from 4 images each, and the "
        "best is kept. Stopped, it goes on from OUTPUT.state.",
    )
    group.add_argument(
        "--layout", metavar="NAME", help="which data set it is, if several fit"
    )
    group.add_argument(
        "--subset", metavar="NAME", help="which part of it (default: that for training)"
    )
    group.add_argument(
        "--palette",
        choices=PALETTES,
        default="separated",
        help="separated: classes get as few colours at once as --labels-per-pass says, "
        "and a prompt for each of several files; painter: all at once, in the colours "
        "of Painter's evaluation (default: separated)",
    )


def is_dataset(args: argparse.Namespace) -> bool:
    """Tell whether a folder without references is to be taken as a data set."""
    given = (args.labels, args.frames, args.reference, args.prompt)
    folder: Path = args.stack
    return folder.is_dir() and not any(given) and folder.suffix != ".zarr"


def defaults() -> TuningSettings:
    """Return how a prompt is tuned on a data set if the flags do not say."""
    from napari_seggpt.training.dataset_tuning import DATASET_TUNING

    return DATASET_TUNING


def run(request: TuneRequest, flags: DataSetFlags) -> int:
    """Tune a prompt for each palette and write it; returns the exit code."""
    dataset = _open(request.stack, flags)
    palettes = _palettes(request, flags, dataset)
    jobs = dict(zip(_files(request.output, len(palettes)), palettes, strict=True))
    check_apart([*jobs, *(_state(file) for file in jobs)], [request.stack])
    check_new(request.output, overwrite=True)  # its folder is there
    if request.overwrite:
        for file in jobs:
            _state(file).unlink(missing_ok=True)
    rest = [file for file in jobs if request.overwrite or not _is_done(file)]
    if not rest:
        check_new(next(iter(jobs)), overwrite=False)
    model = arguments.load_named_model(request.settings.model)
    for file in rest:
        _announce(file, jobs[file], dataset)
        steps = _start(request, model, dataset, jobs[file], _state(file))
        with StopAtNextStep() as interrupt:
            best = follow(steps, request.tuning.steps, interrupt)
        best.save(file)
        if interrupt.asked:
            warn(f"Stopped. The best prompt so far: {file}")
            return INTERRUPTED
        _state(file).unlink(missing_ok=True)
        _report(file, best)
    return 0


def _start(
    request: TuneRequest,
    model: SegGPT,
    dataset: ImageDataset[Any],
    palette: Palette,
    state: Path,
) -> Generator[TuneStep]:
    from napari_seggpt.training.dataset_tuning import tune_on_dataset

    return tune_on_dataset(
        model,
        dataset,
        palette,
        settings=request.tuning,
        prediction=request.settings.prediction,
        class_names={**dataset.classes, **dict(request.names)},
        state_file=state,
    )


def _open(folder: Path, flags: DataSetFlags) -> ImageDataset[Any]:
    from napari_seggpt.datasets.base import DatasetError, ImageDataset
    from napari_seggpt.datasets.layouts import open_dataset

    try:
        dataset = open_dataset(
            folder, layout=flags.layout, subset=flags.subset, to_learn_from=True
        )
    except DatasetError as error:
        raise DatasetError(
            f"{error} To tune on frames of a stack, give their labels with --labels."
        ) from None
    if not isinstance(dataset, ImageDataset):
        raise DatasetError(f"Expected a data set of images, got {dataset.title}.")
    return dataset


def _palettes(
    request: TuneRequest, flags: DataSetFlags, dataset: ImageDataset[Any]
) -> list[Palette]:
    from napari_seggpt.datasets.base import class_ids
    from napari_seggpt.palette import Palette

    ids = class_ids(dataset)
    if flags.palette == "painter":
        return [Palette.painter(ids)]
    return Palette.of(ids).split(request.settings.prediction.labels_per_pass)


def _files(output: Path, count: int) -> list[Path]:
    """Return where each of several prompts is written; a single one has no number."""
    if count == 1:
        return [output]
    stem, ending = output.stem, output.suffix
    return [output.with_name(f"{stem}-{i}{ending}") for i in range(1, count + 1)]


def _state(file: Path) -> Path:
    return file.with_name(f"{file.name}.state")


def _is_done(file: Path) -> bool:
    """Tell whether an earlier run has finished a prompt."""
    return file.exists() and not _state(file).exists()


def _announce(file: Path, palette: Palette, dataset: ImageDataset[Any]) -> None:
    warn(
        f"{file.name}: {len(palette.ids)} classes of {dataset.title}, "
        f"{dataset.subset}, {count_of(len(dataset), 'image')}"
    )


def follow(
    steps: Generator[TuneStep], total: int, interrupt: StopAtNextStep
) -> TunedPrompt:
    """Show loss and Dice as they come; returns the best prompt."""
    shown: dict[str, str] = {}
    best: TunedPrompt | None = None
    with tqdm(total=total, unit="step", desc="Tuning") as bar:
        for step in steps:
            best = step.best
            if step.loss is not None:
                shown["loss"] = f"{step.loss:.3f}"
            if step.dice is not None:
                shown["dice"] = f"{step.dice:.3f}"
            bar.update(step.step - bar.n)
            bar.set_postfix(shown)
            if interrupt.asked:
                break
    steps.close()
    assert best is not None  # the first step is there before any update
    return best


def _report(file: Path, best: TunedPrompt) -> None:
    figures = best.figures
    say(
        f"Tuned on {count_of(figures.frames, 'image')}: Dice of images that "
        f"were not learned from {figures.dice_before:.3f} before, "
        f"{figures.dice_after:.3f} after; "
        f"{figures.steps} steps, {figures.seconds:.0f} s. Prompt: {file}"
    )
