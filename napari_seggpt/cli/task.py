"""`napari-seggpt task`: references, classes and settings as one file."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments, references
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.paths import check_apart, check_new
from napari_seggpt.cli.reading import Reading, open_images
from napari_seggpt.settings import SessionSettings
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from napari_seggpt.io import Stack
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.store.results import SessionLabels
    from napari_seggpt.session.store.signature import ImageSignature
    from napari_seggpt.session.store.task_file import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """What a task is made of, and where it goes.

    Attributes
    ----------
    source : Path
        A saved session, or images.
    stack : Path, optional
        The images of a session, if they were moved.
    reading : Reading
        How images are taken.
    files : ReferenceFiles
        Labelled frames and images.
    tuned : Path, optional
        The file of a tuned prompt.
    settings : SessionSettings
        The model, and how it is used; a session has its own.
    output : Path
        The task file.
    overwrite : bool
        Whether a file that is there is replaced.
    """

    source: Path
    stack: Path | None
    reading: Reading
    files: references.ReferenceFiles
    tuned: Path | None
    settings: SessionSettings
    output: Path
    overwrite: bool


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
    arguments.add_order(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the task; returns the exit code."""
    from napari_seggpt.session.store.results import SessionLabels, is_session

    labels = SessionLabels(args.source) if is_session(args.source) else None
    known = SessionSettings() if labels is None else labels.stored.state.settings
    request = parsed(
        TaskRequest,
        args,
        reading=parsed(Reading, args),
        files=parsed(references.ReferenceFiles, args),
        settings=with_flags(args, known.for_anybody()),
    )
    return _write(request, labels)


def _write(request: TaskRequest, labels: SessionLabels | None) -> int:
    _check(request, is_session=labels is not None)
    tuned = _tuned(request)
    if labels is None:
        task = _of_stack(request, tuned)
    else:
        task = _of_session(request, labels, tuned)
    task.save(request.output)
    ids = sorted({int(i) for prompt in task.prompts for i in prompt.ids})
    references = count_of(len(task.prompts), "reference")
    say(f"{references} with labels {ids} in {request.output}")
    return 0


def _check(request: TaskRequest, *, is_session: bool) -> None:
    """Refuse to write over what is read, and flags of the other kind of source."""
    files = request.files
    others = [path for path in (request.stack, request.tuned) if path is not None]
    check_apart([request.output], [request.source, *files.paths, *others])
    check_new(request.output, overwrite=request.overwrite)
    if not is_session and request.stack is not None:
        raise ValueError(f"Expected a session with --stack, got {request.source}.")
    given = [f"--{name}" for name in files.of_frames]
    given += ["--prompt IMAGE LABELS"] if any(len(x) > 1 for x in files.prompt) else []
    if is_session and given:
        raise ValueError(
            f"Expected the references of the session only, got {given[0]}."
        )


def _tuned(request: TaskRequest) -> TunedPrompt | None:
    """Read the tuned prompt, which is that of --tuned or a single file of --prompt."""
    from napari_seggpt.prompts import TunedPrompt

    tuned = references.read_tuned(request.files)
    if request.tuned is not None:
        tuned.append(TunedPrompt.load(request.tuned))
    if len(tuned) > 1:
        raise ValueError(f"Expected one tuned prompt in a task, got {len(tuned)}.")
    return tuned[0] if tuned else None


def _of_stack(request: TaskRequest, tuned: TunedPrompt | None) -> Task:
    """Make a task of labelled frames of a stack, or of other images."""
    from napari_seggpt.io import ColorIds
    from napari_seggpt.session.store.task_file import Task

    files, reading, settings = request.files, request.reading, request.settings
    colors = ColorIds()
    with open_images(reading, request.source) as stack:
        frames = references.frame_prompts(
            files, stack, reading, colors, max_prompts=settings.prediction.max_prompts
        )
        prompts = _pictures(frames, stack, settings)
    prompts += references.other_prompts(files, colors, reading)
    return Task(prompts=tuple(prompts), settings=settings, tuned=tuned)


def _of_session(
    request: TaskRequest, labels: SessionLabels, tuned: TunedPrompt | None
) -> Task:
    """Make a task of the references that are switched on in a session.

    Mere hints are left out, as in the dock: a task cannot say what is unknown.
    """
    from napari_seggpt.inference.references import choose_references, labels_in
    from napari_seggpt.session.store.task_file import Task

    state = labels.stored.state
    path = request.stack or _image_of(request.source)
    with open_images(request.reading, path) as stack:
        _check_stack(stack, labels, path, request.reading)
        chosen = choose_references(
            labels.whole_references(),
            range(len(stack)),
            max_prompts=request.settings.prediction.max_prompts,
            shown=lambda index: labels_in(labels[index]),
        )
        frames = list(_read(stack, labels, chosen))
        prompts = _pictures(frames, stack, request.settings, labels)
    for example in state.examples:
        if example.enabled and example.prompt is not None:
            prompts.append(_own_contrast(example.prompt))
    return Task(
        prompts=tuple(prompts),
        classes=labels.classes,
        settings=request.settings,
        tuned=tuned or state.tuned,
    )


def _read(
    stack: Stack, labels: SessionLabels, frames: Iterable[int]
) -> Iterator[Prompt]:
    """Read references; one whose image cannot be read is left out, with a warning."""
    from napari_seggpt.inference.watching import UnreadableFrame, read_frame
    from napari_seggpt.prompts import Prompt

    for frame in frames:
        image = read_frame(stack, frame)
        if isinstance(image, UnreadableFrame):
            warn(f"Reference {frame} is left out: {image.reason}")
            continue
        yield Prompt(image=_channels(image, labels), labels=labels[frame])


def _image_of(session: Path) -> Path:
    """Return the image that a session lies beside."""
    image = session.with_name(re.sub(r"(\.\d+)?\.seggpt$", "", session.name))
    if image == session or not image.exists():
        raise ValueError(f"Expected --stack with {session.name}, got none.")
    return image


def _check_stack(
    stack: Stack, labels: SessionLabels, path: Path, reading: Reading
) -> None:
    """Refuse images that are not those of the session."""
    known = labels.stored.signature
    difference = _signature(stack, known, path, reading).difference(known)
    if difference is None:
        return
    is_alike = len(stack) == known.length and stack.frame_shape == labels.frame_shape
    if not is_alike or stack.num_channels == 1:
        raise ValueError(f"Expected the images of the session in {path}: {difference}.")


def _signature(
    stack: Stack, known: ImageSignature, path: Path, reading: Reading
) -> ImageSignature:
    """Return the signature of a stack, of the level that one of a session is of."""
    from napari_seggpt.session.store.signature import ImageSignature

    if known.level == 0:
        return ImageSignature.of(stack, known.place)
    with open_images(replace(reading, level=known.level), path) as hashed:
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
