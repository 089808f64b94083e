"""`napari-seggpt task`: references, classes and settings as one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments, references
from napari_seggpt.cli.paths import check_apart, check_new

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from napari_seggpt.io import Stack
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.store.results import SessionLabels
    from napari_seggpt.session.store.signature import ImageSignature
    from napari_seggpt.session.store.task_file import Task


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "task",
        help="put references and settings into one file, for predict --task",
        description="Put the references, classes and settings of a session that the "
        "dock saved, or labelled frames of a stack, into one file that can be applied "
        "to other stacks: predict STACK --task FILE --output ...",
    )
    parser.add_argument(
        "source", type=Path, help="a session (a folder ending in .seggpt) or a stack"
    )
    parser.add_argument("--output", type=Path, required=True, help="the task file")
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    parser.add_argument(
        "--stack", type=Path, help="of a session: its images, if they were moved"
    )
    parser.add_argument(
        "--tuned", type=Path, metavar="FILE", help="a tuned prompt to be put in, too"
    )
    references.add_references(parser)
    arguments.add_range(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the task; returns the exit code."""
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session.store.results import is_session

    check_apart([args.output], [args.source])
    check_new(args.output, overwrite=args.overwrite)
    tuned = None if args.tuned is None else TunedPrompt.load(args.tuned)
    task = _of_session(args, tuned) if is_session(args.source) else _of(args, tuned)
    task.save(args.output)
    labels = sorted({int(i) for prompt in task.prompts for i in prompt.ids})
    print(f"{len(task.prompts)} references with labels {labels} in {args.output}")
    return 0


def _of(args: argparse.Namespace, tuned: TunedPrompt | None) -> Task:
    """Make a task of labelled frames of a stack, or of other images."""
    from napari_seggpt.io import open_stack
    from napari_seggpt.session.store.task_file import Task
    from napari_seggpt.settings import SessionSettings

    contrast = arguments.contrast_settings(args)
    settings = SessionSettings(
        model=args.model,
        prediction=arguments.prediction_settings(args),
        propagation=arguments.propagation_settings(args),
        contrast=contrast,
    )
    with open_stack(args.source, axis=args.axis, at=args.at, level=args.level) as stack:
        prompts = _pictures(references.references_of(args, stack), stack, settings)
    prompts += references.other_prompts(args)
    return Task(prompts=tuple(prompts), settings=settings, tuned=tuned)


def _of_session(args: argparse.Namespace, tuned: TunedPrompt | None) -> Task:
    """Make a task of the references that are switched on in a session."""
    from napari_seggpt.io import open_stack
    from napari_seggpt.prompts import Prompt
    from napari_seggpt.session.store.results import SessionLabels
    from napari_seggpt.session.store.task_file import Task

    labels = SessionLabels(args.source)
    state = labels.stored.state
    path = args.stack or _image_of(args.source)
    with open_stack(path, axis=args.axis, at=args.at, level=args.level) as stack:
        _check_stack(stack, labels, path, args)
        frames = [
            Prompt(image=_channels(stack[index], labels), labels=labels[index])
            for index in labels.references()
        ]
        prompts = _pictures(frames, stack, state.settings, labels)
    for example in state.examples:
        if example.enabled and example.prompt is not None:
            prompts.append(_own_contrast(example.prompt))
    return Task(
        prompts=tuple(prompts),
        classes=labels.classes,
        settings=state.settings,
        tuned=tuned or state.tuned,
    )


def _image_of(session: Path) -> Path:
    """Return the image that a session lies beside."""
    image = session.with_name(re.sub(r"(\.\d+)?\.seggpt$", "", session.name))
    if image == session or not image.exists():
        raise ValueError(f"Expected --stack with {session.name}, got none.")
    return image


def _check_stack(
    stack: Stack, labels: SessionLabels, path: Path, args: argparse.Namespace
) -> None:
    """Refuse images that are not those of the session."""
    known = labels.stored.signature
    difference = _signature(stack, known, path, args).difference(known)
    if difference is None:
        return
    is_alike = len(stack) == known.length and stack.frame_shape == labels.frame_shape
    if not is_alike or stack.num_channels == 1:
        raise ValueError(f"Expected the images of the session in {path}: {difference}.")


def _signature(
    stack: Stack, known: ImageSignature, path: Path, args: argparse.Namespace
) -> ImageSignature:
    """Return the signature of a stack, of the level that one of a session is of."""
    from napari_seggpt.io import open_stack
    from napari_seggpt.session.store.signature import ImageSignature

    if known.level == 0:
        return ImageSignature.of(stack, known.place)
    with open_stack(path, axis=args.axis, at=args.at, level=known.level) as hashed:
        return ImageSignature.of(stack, known.place, hashed=hashed, level=known.level)


def _channels(frame: Any, labels: SessionLabels) -> Any:
    """Return a frame with the channels that the session was worked with."""
    channels = labels.stored.about.channels
    if frame.ndim == 2 or not channels:
        return frame
    chosen = frame[..., list(channels)]
    return chosen[..., 0] if chosen.shape[-1] == 1 else chosen


def _pictures(
    prompts: list[Prompt],
    stack: Stack,
    settings: Any,
    labels: SessionLabels | None = None,
) -> list[Prompt]:
    """Make 8-bit RGB of frames, with the contrast of their stack."""
    from napari_seggpt.frames import sample_frames
    from napari_seggpt.preprocessing import measure_limits, to_rgb
    from napari_seggpt.prompts import Prompt

    if not prompts:
        return []
    frames: Iterable[Any] = sample_frames(stack)
    if labels is not None:
        frames = [_channels(frame, labels) for frame in frames]
    limits = measure_limits(frames, settings.contrast)
    return [
        Prompt(image=to_rgb(prompt.image, limits), labels=prompt.labels)
        for prompt in prompts
    ]


def _own_contrast(prompt: Prompt) -> Prompt:
    from napari_seggpt.preprocessing import measure_limits, to_rgb
    from napari_seggpt.prompts import Prompt

    rgb = to_rgb(prompt.image, measure_limits([prompt.image]))
    return Prompt(image=rgb, labels=prompt.labels)
