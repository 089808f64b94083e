"""`predict --blocks`: frames too large for memory, block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tqdm import tqdm

from napari_seggpt.cli import arguments, references
from napari_seggpt.cli.console import say
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.cli.reading import open_images
from napari_seggpt.settings import SessionSettings
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari_seggpt.cli.predict import PredictRequest
    from napari_seggpt.cli.reading import Reading
    from napari_seggpt.inference.blocks import LabelledBlock
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.io import Stack
    from napari_seggpt.io.block_labels import BlockLabels
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.session.store.task_file import Task
    from napari_seggpt.settings import PredictionSettings

DEFAULT_BLOCK = 1024  # pixels
FLAGS_OF_STACKS = (
    "each", "workers", "scheduler", "follow", "overlay", "tracks", "labels", "frames",
    "reference",
)  # fmt: skip
SETTINGS_OF_STACKS = ("propagation.direction", "propagation.memory")


def add_blocks(parser: argparse.ArgumentParser) -> None:
    """Add whether frames are read and written in parts."""
    group = parser.add_argument_group("frames too large for memory")
    group.add_argument(
        "--blocks",
        type=int,
        nargs="?",
        const=DEFAULT_BLOCK,
        metavar="SIZE",
        help="read tiles of a zarr, predict and write blocks of so many pixels, a "
        f"power of 2 (default: {DEFAULT_BLOCK}); references are --prompt or --task, "
        "and --output is a .zarr with resolution levels",
    )
    group.add_argument(
        "--skip-flat",
        type=float,
        metavar="SHARE",
        help="leave blocks empty whose grey levels, at the coarsest resolution level, "
        "differ by at most this share of the range from black to white, as 0.1",
    )


def check_blocks(args: argparse.Namespace) -> None:
    """Refuse flags that do not go with blocks."""
    if args.blocks is None and args.skip_flat is None:
        return
    if args.blocks is None:
        raise ValueError("Expected --blocks with --skip-flat, got none.")
    for flag in FLAGS_OF_STACKS:
        if getattr(args, flag):
            raise ValueError(
                f"Expected --prompt or --task with --blocks, got --{flag}."
            )
    unheeded = _unheeded(args)
    if unheeded:
        raise ValueError(
            f"Expected flags that --blocks goes by, got {unheeded[0]}: blocks are "
            "labelled in tiles, one by one, as classes."
        )
    if args.output.suffix.lower() != ".zarr":
        raise ValueError(
            f"Expected an --output ending in .zarr with --blocks, got {args.output}."
        )


def _unheeded(args: argparse.Namespace) -> list[str]:
    """Return the flags that were given and change nothing in blocks."""
    paths = (*arguments.OBJECTS, *arguments.CLEANUP, *SETTINGS_OF_STACKS)
    flags = arguments.given(args, SessionSettings, paths)
    if flags.get("--objects") in ("auto", "classes"):
        del flags["--objects"]
    return [*flags, *(["--tiles off"] if arguments.are_tiles_off(args) else [])]


def label_in_blocks(
    request: PredictRequest, task: Task | None, load: Callable[[str], SegGPT]
) -> int:
    """Label the frames of a zarr in blocks; returns the exit code."""
    from napari_seggpt.inference.blocks import label_blocks
    from napari_seggpt.inference.labelling import frames_in_range

    with open_images(request.reading, request.stack) as stack:
        if stack.grid.has_two_axes:
            raise ValueError("Expected frames along one axis with --blocks, got tz.")
        frames = frames_in_range(len(stack), {}, request.settings.propagation)
        if not frames:
            raise ValueError("Expected frames to predict in the range, got none.")
        predictor = _make_predictor(request, task, load, stack)
        coarse = None
        if request.skip_flat is not None:
            coarse = _open_coarsest(request.reading, request.stack)
        output = _open_output(request, stack, predictor)
        steps = label_blocks(
            stack,
            predictor,
            output,
            frames=frames,
            coarse=coarse,
            flat=request.skip_flat or 0.0,
        )
        return _show(steps, request.output)


def _make_predictor(
    request: PredictRequest,
    task: Task | None,
    load: Callable[[str], SegGPT],
    stack: Stack,
) -> Predictor:
    from napari_seggpt.inference.blocks import measure_parts
    from napari_seggpt.inference.predictor import Predictor
    from napari_seggpt.io import ColorIds
    from napari_seggpt.preprocessing import measure_limits

    prompts = references.other_prompts(request.files, ColorIds(), request.reading)
    prompts, tuned = references.with_task(
        request.files, prompts, task, "--prompt or --task"
    )
    _check_classes(request.settings, prompts, has_tuned=bool(tuned))
    settings, model = request.settings, load(request.settings.model)
    prediction = _with_tiles(settings.prediction, prompts, model.config)
    limits = measure_limits(measure_parts(stack), settings.contrast)
    return Predictor(model, prompts, tuned=tuned, settings=prediction, limits=limits)


def _check_classes(
    settings: SessionSettings, prompts: list[Prompt], *, has_tuned: bool
) -> None:
    """Refuse objects, which a task may ask for, or the look of the labels."""
    from napari_seggpt.objects.kinds import KINDS, task_of

    wanted, labels = settings.objects.task, [prompt.labels for prompt in prompts]
    kind = KINDS.get(wanted) or task_of("auto", labels, has_tuned=has_tuned).kind
    if kind != "classes":
        raise ValueError(
            f"Expected classes with --blocks, got {kind}: blocks are labelled in "
            "tiles, one by one, as classes (--objects classes takes each label for "
            "one)."
        )


def _with_tiles(
    settings: PredictionSettings, prompts: list[Prompt], config: SegGPTConfig
) -> PredictionSettings:
    """Choose tiles by the smallest objects of the references, unless they are given."""
    from napari_seggpt.inference.tiling import LARGEST_SCALE
    from napari_seggpt.preprocessing import object_side

    if settings.tiling.enabled:
        return settings
    side = min((object_side(prompt.labels) for prompt in prompts), default=float("inf"))
    scale = min(max(1.0, 2 * config.smallest_object / side), LARGEST_SCALE)
    say(f"Tiles show the model {scale:.2g} pixels for each pixel of the frame.")
    tiling = replace(settings.tiling, enabled=True, scale=round(scale, 2))
    return replace(settings, tiling=tiling)


def _open_output(
    request: PredictRequest, stack: Stack, predictor: Predictor
) -> BlockLabels:
    from napari_seggpt.io import check_output, smallest_dtype
    from napari_seggpt.io.block_labels import BlockLabels
    from napari_seggpt.io.labels import LabelsGeometry

    if request.resume and request.output.exists():
        return BlockLabels(request.output)
    check_output(request.output, overwrite=request.overwrite)
    known = {int(each) for palette in predictor.palettes for each in palette.ids}
    geometry = LabelsGeometry.like(stack, smallest_dtype(known))
    assert request.blocks is not None
    return BlockLabels.create(request.output, geometry, block=request.blocks)


def _open_coarsest(reading: Reading, path: Path) -> Stack:
    from napari_seggpt.io.ome_zarr import find_image

    last = find_image(path).num_levels - 1
    if last <= reading.level:
        raise ValueError(
            f"Expected several resolution levels with --skip-flat, got {last + 1}."
        )
    return open_images(replace(reading, level=last), path)


def _show(steps: Iterator[LabelledBlock], output: Path) -> int:
    """Show the progress, and at the end what was done; returns the exit code."""
    code = done = total = skipped = 0
    with tqdm(unit="block", desc="Predicting") as bar:
        try:
            for step in steps:
                bar.total = total = step.total
                done, skipped = step.done, skipped + step.is_skipped
                bar.update(step.done - bar.n)
        except KeyboardInterrupt:
            code = INTERRUPTED
    flat = f", {skipped} of them flat and left empty" if skipped else ""
    rest = "" if done == total else "; --resume goes on"
    say(f"{done} of {count_of(total, 'block')} done{flat}, in {output}{rest}")
    return code
