"""Checkpoint: how far a chain is and what it remembers, for who takes it up."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.inference.memory import Memory
from napari_seggpt.inference.watching import UnreadableFrame, read_frame
from napari_seggpt.io.label_values import smallest_dtype
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.inference.task_predictors import TaskPredictor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Checkpoint:
    """How far a chain is, and what the model saw of the frames that it remembers.

    It is small: images are read again, and labels are at the model's size. Labels as
    they were written would do less: resized to the model's grid they are others.

    Attributes
    ----------
    last : int
        The frame up to which all is done.
    flat : tuple of int
        Frames that show nothing, of those that were read.
    remembered : dict of int to NDArray
        Labels (tiles, h, w) of the frames in memory, the oldest frame first.
    """

    last: int
    flat: tuple[int, ...]
    remembered: Mapping[int, NDArray[np.integer[Any]]]

    @classmethod
    def of(cls, last: int, flat: Sequence[int], memory: Memory) -> Checkpoint:
        """Note what a memory holds."""
        remembered = {}
        for tiles in memory.frames:
            assert tiles[0].index is not None  # it is a frame of the stack
            remembered[tiles[0].index] = _compact([tile.labels for tile in tiles])
        return cls(last=last, flat=tuple(flat), remembered=remembered)

    def memory(
        self, size: int, frames: Frames, predictor: TaskPredictor, labels: Frames
    ) -> Memory:
        """Return a memory of so many frames that holds what was noted.

        Parameters
        ----------
        size : int
            Of the memory.
        frames, labels : Frames
            The images, and the labels that were written.
        predictor : TaskPredictor
            What predicts.
        """
        memory = Memory(size)
        for index, seen in self.remembered.items():
            frame = read_frame(frames, index)
            if isinstance(frame, UnreadableFrame):
                continue
            prompt = Prompt(image=frame, labels=labels[index], index=index)
            memory.add(predictor.prepare(prompt, predicted=True, seen=list(seen)))
        return memory

    def pack(self) -> list[Any]:
        """Return it as numbers and bytes, which travel through a scheduler."""
        file = BytesIO()
        arrays: dict[str, Any] = {str(i): seen for i, seen in self.remembered.items()}
        np.savez_compressed(file, **arrays)
        return [self.last, list(self.flat), file.getvalue()]

    @classmethod
    def unpack(cls, packed: Sequence[Any]) -> Checkpoint:
        """Return what was packed."""
        last, flat, arrays = packed
        with np.load(BytesIO(arrays), allow_pickle=False) as file:
            remembered = {int(name): file[name] for name in file.files}
        return cls(last=last, flat=tuple(flat), remembered=remembered)


def _compact(labels: Sequence[NDArray[np.integer[Any]]]) -> NDArray[np.integer[Any]]:
    """Return labels of tiles as one array of a small type."""
    stacked = np.stack(labels)
    ends = stacked.min(initial=0), stacked.max(initial=0)
    return stacked.astype(smallest_dtype(map(int, ends)))
