"""Labelled sequences on disk: what is measured on, and which frames are given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.frames import evenly
from napari_seggpt.io import read_frame
from napari_seggpt.prompts import Prompt
from napari_seggpt.training.coloring import find_border, find_known
from napari_seggpt.training.dataset import (
    UNKNOWN,
    DataError,
    find_datasets,
    guess_kind,
    pair_files,
    read_labels,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Where less than this is background, objects fill the frame: the task is their border.
TILED_BACKGROUND = 0.05
CACHED_LABELS = 32  # frames; most sequences are shorter


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledSequence:
    """Frames with true labels, in order: a stack, a time series or a set of images.

    Attributes
    ----------
    dataset, name : str
        The data set and the sequence in it.
    task : {"semantic", "objects", "border"}
        What is to be segmented: the classes, all objects, or where objects meet.
    files : tuple of (Path, Path)
        Image and labels of each frame.
    unknown : int, optional
        The value in label files of pixels that are unknown, beside those below 0.
    numbers : tuple of int
        The number of each frame in the whole sequence, if it was thinned.
    """

    dataset: str
    name: str
    task: str
    files: tuple[tuple[Path, Path], ...]
    unknown: int | None = None
    numbers: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return read_frame(self.files[index][0])

    def labels(self, index: int) -> NDArray[np.integer[Any]]:
        """Return the true labels (H, W) of the task; not to be written to.

        What is unknown is background: see `known`.
        """
        return _read_labels(self.files[index][1], self.task, self.unknown)[0]

    def known(self, index: int) -> NDArray[np.bool_]:
        """Return where (H, W) the labels of the task are known; elsewhere none count.

        Not to be written to.
        """
        return _read_labels(self.files[index][1], self.task, self.unknown)[1]

    def counted(
        self, index: int, labels: NDArray[np.integer[Any]]
    ) -> NDArray[np.integer[Any]]:
        """Return labels (H, W) of a frame, empty where nobody knows what is there.

        So nothing counts there as found or missed.
        """
        return np.where(self.known(index), labels, 0)

    def objects(self, index: int) -> NDArray[np.integer[Any]]:
        """Return the labels (H, W) as they are in the file: one id an object.

        What is unknown is background.
        """
        return np.maximum(read_labels(self.files[index][1], self.unknown), 0)

    def number(self, index: int) -> int:
        """Return where in the whole sequence a frame is."""
        return self.numbers[index] if self.numbers else index

    def labelled(self) -> list[int]:
        """Return the frames in which there is something to segment."""
        return [i for i in range(len(self)) if self.labels(i).any()]

    def classes(self) -> list[int]:
        """Return the ids that occur in any frame, without 0, in order."""
        found = {int(i) for k in range(len(self)) for i in np.unique(self.labels(k))}
        return sorted(found - {0})

    def thinned(self, frames: int) -> LabelledSequence:
        """Return the sequence with at most so many frames, evenly spread."""
        if frames < 2:
            raise ValueError(f"Expected 2 or more frames, got {frames}.")
        if len(self) <= frames:
            return self
        kept = evenly(range(len(self)), frames)
        return replace(
            self,
            files=tuple(self.files[i] for i in kept),
            numbers=tuple(self.number(i) for i in kept),
        )


@lru_cache(maxsize=CACHED_LABELS)
def _read_labels(
    file: Path, task: str, unknown: int | None
) -> tuple[NDArray[np.integer[Any]], NDArray[np.bool_]]:
    """Read labels, once for the choice of references and once for their use."""
    raw = read_labels(file, unknown)
    labels, known = _of_task(raw, task), find_known(raw, border=task == "border")
    for array in (labels, known):
        array.setflags(write=False)  # the next who asks gets the same array
    return labels, known


def find_sequences(root: Path) -> list[LabelledSequence]:
    """Find the sequences of a folder of data sets, or of one data set.

    A data set has `images/` and `labels/`. A `datasets.json` beside data sets tells
    `label_kind` and `sequences`; a set without sequences is one sequence.

    Raises
    ------
    DataError
        If there is none.
    """
    found = [
        sequence
        for folder, facts in find_datasets(root)
        for sequence in _sequences_of(folder, facts)
    ]
    if not found:
        raise DataError(f"Expected sequences of 2 or more frames in {root}, got none.")
    return found


def _sequences_of(folder: Path, facts: dict[str, Any]) -> list[LabelledSequence]:
    pairs = {image.name: (image, labels) for image, labels in pair_files(folder)}
    if len(pairs) < 2:
        return []
    first = next(iter(pairs.values()))[1]
    unknown = facts.get(UNKNOWN)
    task = _task(read_labels(first, unknown), facts.get("label_kind"))
    named = facts.get("sequences") or {folder.name: list(pairs)}
    return [
        LabelledSequence(
            dataset=folder.name,
            name=name,
            task=task,
            files=tuple(pairs[file] for file in files if file in pairs),
            unknown=unknown,
        )
        for name, files in named.items()
        if len(files) > 1
    ]


def _task(labels: NDArray[np.integer[Any]], kind: str | None) -> str:
    if (kind or guess_kind(labels)) != "instance":
        return "semantic"
    return "border" if (labels <= 0).mean() < TILED_BACKGROUND else "objects"


def _of_task(labels: NDArray[np.integer[Any]], task: str) -> NDArray[np.integer[Any]]:
    if task == "objects":
        return (labels > 0).astype(np.uint8)
    if task == "border":
        return find_border(labels).astype(np.uint8)
    return np.maximum(labels, 0)


def spread_references(labelled: Sequence[int], count: int) -> list[int]:
    """Choose references evenly among labelled frames: the middle one, and so on."""
    places = (np.arange(count) + 0.5) / count * len(labelled)
    return sorted({labelled[int(place)] for place in places})


def given_frames(sequence: LabelledSequence, indices: Iterable[int]) -> list[Prompt]:
    """Return frames with their true labels as prompts."""
    return [
        Prompt(image=sequence[i], labels=sequence.labels(i), index=i) for i in indices
    ]
