"""The labelled frames that a command is given, as prompts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.arguments import numbered
from napari_seggpt.cli.console import warn
from napari_seggpt.cli.reading import Reading, add_reading, open_labels, read_labels
from napari_seggpt.frames import DAMAGE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.io import ColorIds, Stack
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.prompts import Prompt, TunedPrompt
    from napari_seggpt.session.store.task_file import Task
    from napari_seggpt.settings import PredictionSettings

    ReadLabels = Callable[[], NDArray[Any]]

STACK_NAME = "{name}"  # in a path, of each stack of a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFiles:
    """Where labelled frames come from.

    Attributes
    ----------
    labels : Path, optional
        Labels of the stack.
    frames : tuple of int, optional
        The only frames of them that are taken.
    reference : tuple of (int, Path)
        Labels of single frames.
    prompt : tuple of tuple of Path
        Images and labels from elsewhere, or (one file) tuned prompts.
    """

    labels: Path | None
    frames: tuple[int, ...] | None
    reference: tuple[tuple[int, Path], ...]
    prompt: tuple[tuple[Path, ...], ...]

    @property
    def of_frames(self) -> list[str]:
        """The flags that name frames of one stack."""
        return [x for x in ("labels", "frames", "reference") if getattr(self, x)]

    @property
    def is_for_each(self) -> bool:
        """Whether the labels are those of many stacks, told by the stacks' names."""
        named = self.labels is not None and STACK_NAME in str(self.labels)
        return named and not self.reference

    def of_stack(self, name: str) -> ReferenceFiles:
        """Return the files of one of many stacks."""
        if self.labels is None:
            return self
        return replace(self, labels=Path(str(self.labels).replace(STACK_NAME, name)))

    @property
    def paths(self) -> list[Path]:
        """Every file, so that none of them is written over."""
        files = [file for _, file in self.reference]
        files += [file for each in self.prompt for file in each]
        return files if self.labels is None else [*files, self.labels]


def add_references(
    parser: argparse.ArgumentParser, *, takes_tuned: bool = True
) -> None:
    """Add where labelled frames come from, and along which axis frames lie.

    Parameters
    ----------
    parser : ArgumentParser
        Of a command.
    takes_tuned : bool
        Whether the command takes tuned prompts.
    """
    tuned = ", or (one file) a prompt that tune made" if takes_tuned else ""
    parser.add_argument(
        "--labels",
        type=Path,
        help="labels of the stack; its frames with any label are the references. In "
        "predict --each, {name} stands for the name of each stack without its ending",
    )
    parser.add_argument(
        "--frames",
        type=int,
        nargs="+",
        metavar="FRAME",
        help="take only these frames of --labels as references",
    )
    parser.add_argument(
        "--reference",
        type=_reference,
        action="append",
        default=[],
        metavar="FRAME=FILE",
        help="labels of one frame, counted from 0; may be repeated",
    )
    parser.add_argument(
        "--prompt",
        type=Path,
        nargs="+",
        action="append",
        default=[],
        metavar=("IMAGE", "LABELS"),
        help=f"another labelled image, shown with its own contrast{tuned}; may be "
        "repeated",
    )
    add_reading(parser)


def _reference(text: str) -> tuple[int, Path]:
    frame, file = numbered(text, "FRAME=FILE")
    return frame, Path(file)


def read_tuned(files: ReferenceFiles) -> list[TunedPrompt]:
    """Read the tuned prompts: single files given to --prompt."""
    from napari_seggpt.prompts import TunedPrompt

    return [TunedPrompt.load(each[0]) for each in files.prompt if len(each) == 1]


def with_task(
    files: ReferenceFiles, prompts: list[Prompt], task: Task | None, flags: str
) -> tuple[list[Prompt], list[TunedPrompt]]:
    """Return prompts and tuned prompts, with those of a task.

    Parameters
    ----------
    files : ReferenceFiles
        Where tuned prompts are.
    prompts : list of Prompt
        What comes from elsewhere.
    task : Task, optional
        What shows more.
    flags : str
        How prompts can be given, for the error.

    Raises
    ------
    ValueError
        If no label is shown.
    """
    tuned = read_tuned(files)
    if task is not None:
        prompts = [*prompts, *task.prompts]
        tuned += [] if task.tuned is None else [task.tuned]
    if not tuned and not any(len(prompt.ids) for prompt in prompts):
        raise ValueError(
            f"Expected references with at least one label ({flags}), got none."
        )
    return prompts, tuned


class LabelledFrames(Mapping[int, "NDArray[Any]"]):
    """Labels of some frames of a stack, read anew whenever they are asked for.

    Parameters
    ----------
    readers : dict of int to callable
        What reads the labels (H, W) of each frame.
    extremes : set of int
        The smallest and the largest label of each, for the choice of a file's type.
    num_unreadable : int
        How many frames were left out because they cannot be read.
    """

    def __init__(
        self, readers: dict[int, ReadLabels], extremes: set[int], num_unreadable: int
    ) -> None:
        self._readers = dict(sorted(readers.items()))
        self.extremes = extremes
        self.num_unreadable = num_unreadable

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self._readers[index]()

    def __contains__(self, index: object) -> bool:
        return index in self._readers  # that of Mapping would read the labels

    def __iter__(self) -> Iterator[int]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


@contextmanager
def open_references(
    files: ReferenceFiles, stack: Stack, reading: Reading, colors: ColorIds
) -> Iterator[LabelledFrames]:
    """Find the labelled frames of a stack; all labels are looked at, one by one.

    `colors` are those of all labels that the command reads: the same colour is the same
    label in all of them.
    """
    if files.frames and files.labels is None:
        raise ValueError("Expected --labels with --frames, got none.")
    with ExitStack() as opened:
        readers: dict[int, ReadLabels] = {}
        if files.labels is not None:
            labels = opened.enter_context(open_labels(reading, files.labels, colors))
            for index in _frames_of(labels, files, stack):
                readers[index] = partial(labels.__getitem__, index)
        # A frame that is named and empty is a reference, too: nothing is there.
        named = {*(files.frames or ()), *(index for index, _ in files.reference)}
        told: set[str] = set()
        for index, file in files.reference:
            readers[index] = partial(read_labels, file, colors, told)
        yield _looked_through(readers, named, stack)


def _frames_of(labels: Stack, files: ReferenceFiles, stack: Stack) -> Sequence[int]:
    """Return the frames of a label stack that may be references."""
    if len(labels) != len(stack):
        raise ValueError(
            f"Expected labels of all {len(stack)} frames, got {len(labels)} frames "
            f"in {files.labels}. For single frames use --reference FRAME=FILE."
        )
    if files.frames is None:
        return range(len(labels))
    outside = [index for index in files.frames if not 0 <= index < len(labels)]
    if outside:
        raise ValueError(
            f"Expected --frames from 0 to {len(labels) - 1}, got {outside[0]}."
        )
    return files.frames


def _looked_through(
    readers: dict[int, ReadLabels], named: set[int], stack: Stack
) -> LabelledFrames:
    """Keep the frames that are named or show a label."""
    found, extremes, num_unreadable = {}, set(), 0
    for index, read in readers.items():
        if not 0 <= index < len(stack):
            raise ValueError(
                f"Expected reference frames from 0 to {len(stack) - 1}, got {index}."
            )
        try:
            labels = read()
        except DAMAGE as error:
            warn(f"Label frame {index} is left out: {error}")
            num_unreadable += 1
            continue
        if labels.shape != stack.frame_shape:
            raise ValueError(
                f"Expected labels of the image's shape {stack.frame_shape}, got "
                f"{labels.shape} for frame {index}."
            )
        if index in named or labels.any():
            found[index] = read
            extremes |= {int(labels.min()), int(labels.max())}
    return LabelledFrames(found, extremes, num_unreadable)


def frame_prompts(
    files: ReferenceFiles,
    stack: Stack,
    reading: Reading,
    colors: ColorIds,
    *,
    max_prompts: int,
) -> list[Prompt]:
    """Make prompts of so few labelled frames that they can be held in memory."""
    from napari_seggpt.inference.references import read_references

    with open_references(files, stack, reading, colors) as labelled:
        prompts = read_references(
            stack, labelled, range(len(stack)), max_prompts=max_prompts
        )
    if len(prompts) < len(labelled):
        warn(f"{len(prompts)} of {len(labelled)} labelled frames are taken, evenly.")
    return prompts


def other_prompts(
    files: ReferenceFiles, colors: ColorIds, reading: Reading
) -> list[Prompt]:
    """Make prompts of images that are not in the stack, each with its own contrast.

    Those with channels are shown by the channels by which the stack is read.
    """
    from napari_seggpt.io import read_frame
    from napari_seggpt.preprocessing import measure_limits, to_rgb
    from napari_seggpt.prompts import Prompt

    prompts = []
    for each in files.prompt:
        if len(each) == 1:  # a tuned prompt
            continue
        if len(each) > 2:
            raise ValueError(
                "Expected --prompt IMAGE LABELS or a file that tune made, "
                f"got {len(each)} files."
            )
        image_file, labels_file = each
        # The one image that is asked for has no frames: "no" decides nothing here.
        image = read_frame(image_file, channels=True if reading.channels else None)
        image = reading.shown(image, image_file)
        rgb = to_rgb(image, measure_limits([image]))
        labels = read_labels(labels_file, colors)
        prompts.append(Prompt(image=rgb, labels=labels))
    return prompts


def advise_tiles(
    prompts: Sequence[Prompt],
    settings: PredictionSettings,
    config: SegGPTConfig,
    *,
    auto: bool,
) -> PredictionSettings:
    """Say how small objects become in the model's input; `auto` takes the advice."""
    from napari_seggpt.inference.tiling import suggest_scale, with_tiles

    if not prompts:
        return settings
    side, scale = suggest_scale([prompt.labels for prompt in prompts], config)
    small = f"The smallest labelled objects are {side:.1f} model pixels wide"
    if scale is None or settings.tiling.enabled:
        warn(f"{small} in a whole frame.")
        return settings
    if auto:
        warn(f"{small}: using tiles of scale {scale}.")
        return with_tiles(settings, scale)
    warn(f"{small} and may be missed: try --tiles {scale}.")
    return settings


def tiles_of_tuned(
    tuned: Sequence[TunedPrompt], settings: PredictionSettings, *, auto: bool
) -> PredictionSettings:
    """Say if tuned prompts show tiles of another scale; `auto` takes theirs."""
    from napari_seggpt.inference.tiling import with_tiles

    for prompt in tuned:
        own = settings.tiling.scale if settings.tiling.enabled else None
        scale = prompt.tile_scale
        if scale == own:
            continue
        if auto and not settings.tiling.enabled:
            warn(f"Using tiles of scale {scale}, as in tuning.")
            settings = with_tiles(settings, scale)
        else:
            advice = "off" if scale is None else f"{scale:g}"
            warn(f"The prompt was tuned with --tiles {advice}.")
    return settings
