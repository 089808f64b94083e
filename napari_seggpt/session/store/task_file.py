"""Task: references, classes and settings as one file, for other stacks.

The file is a zip that holds

``task.json``
    JSON object: ``format``: "napari-seggpt task", ``version``: 1, ``package``,
    ``settings`` as of `settings.SessionSettings`, ``classes`` (label id to name),
    ``references`` (``image``, ``labels``: names of files in the zip) and ``tuned``: the
    name of the file of a tuned prompt in the zip, or null.
``references/*.tif``
    Images as 8-bit RGB, as the model was shown them, and labels, deflated.

It runs no code: it is read as JSON and TIFF.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from msgspec import Struct

from napari_seggpt.files import whole_file
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.watching import UnreadableFrame, read_frame
from napari_seggpt.preprocessing import measure_limits, to_rgb
from napari_seggpt.prompts import Prompt, TunedPrompt
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.store.errors import DAMAGED_FILE_ERRORS
from napari_seggpt.settings import SessionSettings
from napari_seggpt.untrusted import (
    as_type,
    check_fits_memory,
    check_regular,
    parse_json,
    read_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.session.references.reference import PromptSource

FORMAT, VERSION = "napari-seggpt task", 1
TASK_FILE, TUNED_FILE = "task.json", "tuned.safetensors"


class ReferenceContent(Struct, frozen=True, kw_only=True):
    """The files of a reference in the zip."""

    image: str
    labels: str


class TaskContent(Struct, frozen=True, kw_only=True):
    """What `task.json` holds, beside format and version."""

    references: tuple[ReferenceContent, ...]
    settings: dict[str, Any] = {}
    classes: dict[int, str] = {}
    tuned: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What is to be labelled, and how: to be applied to any stack.

    Attributes
    ----------
    prompts : tuple of Prompt
        The references; images are 8-bit RGB (H, W, 3).
    classes : dict of int to str
        Names of labels.
    settings : SessionSettings
        The model, and how it is used; without a range of frames.
    tuned : TunedPrompt or None
        A prompt that has learned.
    """

    prompts: tuple[Prompt, ...]
    classes: dict[int, str] = field(default_factory=dict)
    settings: SessionSettings = field(default_factory=SessionSettings)
    tuned: TunedPrompt | None = None

    def __post_init__(self) -> None:
        """Refuse images that are no RGB pictures, and a task without any label."""
        for prompt in self.prompts:
            if prompt.image.dtype != np.uint8 or prompt.image.shape[2:] != (3,):
                raise ValueError(
                    "Expected references as 8-bit RGB, got "
                    f"{prompt.image.dtype} of shape {prompt.image.shape}."
                )
        if self.tuned is None and not any(len(p.ids) for p in self.prompts):
            raise ValueError("Expected references with at least one label, got none.")

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with whole_file(path) as draft, zipfile.ZipFile(draft, "w") as file:
            names = [self._save_prompt(file, i) for i in range(len(self.prompts))]
            if self.tuned is not None:
                file.writestr(TUNED_FILE, self.tuned.to_bytes())
            file.writestr(TASK_FILE, json.dumps(self._to_json(names), indent=1))

    def _to_json(self, references: list[dict[str, str]]) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "package": metadata.version("napari-seggpt"),
            "settings": asdict(self.settings),
            "classes": {str(label): name for label, name in self.classes.items()},
            "references": references,
            "tuned": None if self.tuned is None else TUNED_FILE,
        }

    def _save_prompt(self, file: zipfile.ZipFile, index: int) -> dict[str, str]:
        prompt = self.prompts[index]
        names = {}
        arrays = {"image": prompt.image, "labels": compact(prompt.labels)}
        for kind, array in arrays.items():
            names[kind] = f"references/{index:03}_{kind}.tif"
            file.writestr(names[kind], _tiff(array))
        return names

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file.

        Raises
        ------
        ValueError
            If it is no task, is of another version, or cannot be read.
        """
        check_regular(path)
        if not zipfile.is_zipfile(path):
            raise ValueError(f"Expected a task file, got {path.name}.")
        try:
            with zipfile.ZipFile(path) as file:
                content = parse_json(read_entry(file, TASK_FILE), dict[str, Any])
                _check_format(content)
                return cls._read(file, as_type(content, TaskContent))
        except DAMAGED_FILE_ERRORS as error:
            raise ValueError(
                f"Expected a task file, got {path.name}: {error}"
            ) from None

    @classmethod
    def _read(cls, file: zipfile.ZipFile, content: TaskContent) -> Self:
        if len(content.references) > len(file.infolist()):
            raise ValueError("it names more references than it has files")
        prompts = [
            Prompt(
                image=_array(read_entry(file, names.image)),
                labels=_array(read_entry(file, names.labels)),
            )
            for names in content.references
        ]
        return cls(
            prompts=tuple(prompts),
            classes=content.classes,
            settings=as_type(content.settings, SessionSettings).for_anybody(),
            tuned=_tuned(file, content.tuned),
        )


def make_task(
    stack: Frames,
    sources: Iterable[PromptSource],
    settings: SessionSettings,
    *,
    tuned: TunedPrompt | None = None,
    classes: Mapping[int, str],
    unreadable: list[UnreadableFrame],
) -> Iterator[Task]:
    """Make a task of what a run would be shown; yields it once, for a worker.

    References whose image cannot be read are left out, and added to `unreadable`.

    Raises
    ------
    ValueError
        If no reference with labels can be read, and there is no tuned prompt.
    """
    limits = measure_limits(sample_frames(stack), settings.contrast)
    prompts = []
    for source in sources:
        if source.frame is None:
            assert source.image is not None
            rgb = to_rgb(source.image, measure_limits([source.image]))
        else:
            image = read_frame(stack, source.frame)
            if isinstance(image, UnreadableFrame):
                unreadable.append(image)
                continue
            rgb = to_rgb(image, limits)
        prompts.append(Prompt(image=rgb, labels=source.labels))
    has_labels = any(prompt.labels.any() for prompt in prompts)
    if unreadable and not has_labels and tuned is None:
        reason = unreadable[-1].reason
        raise ValueError(f"Expected a reference that can be read, got none: {reason}")
    yield Task(
        prompts=tuple(prompts),
        classes=dict(classes),
        settings=settings.for_anybody(),
        tuned=tuned,
    )


def _tuned(file: zipfile.ZipFile, name: str | None) -> TunedPrompt | None:
    return None if name is None else TunedPrompt.from_bytes(read_entry(file, name))


def _check_format(content: dict[str, Any]) -> None:
    if content.get("format") != FORMAT:
        raise ValueError("it is none of napari-seggpt")
    version = content.get("version")
    if version != VERSION:
        raise ValueError(
            f"it is of version {str(version)[:20]}, which this napari-seggpt does not "
            "know"
        )


def _tiff(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    kind = "rgb" if array.ndim == 3 else "minisblack"
    tifffile.imwrite(buffer, array, compression="zlib", photometric=kind, metadata=None)
    return buffer.getvalue()


def _array(data: bytes) -> NDArray[Any]:
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        num_bytes = page.size * (page.dtype.itemsize if page.dtype else 1)
        check_fits_memory(num_bytes, "a reference")
        return np.asarray(page.asarray())
