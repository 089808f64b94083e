"""Looks: small pictures of references and what is said of them, made in a worker."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_seggpt.inference.tiling import suggest_scale
from napari_seggpt.model.config import VIT_LARGE
from napari_seggpt.preprocessing import (
    measure_limits,
    resize_labels,
    resize_rgb,
    to_rgb,
)
from napari_seggpt.ui.work.jobs import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.session import FrameLabels, Reference

    Key = int | str

SIDE = 64  # pixels of the longer side of a picture
MANY = 100  # references of which pictures are made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What is shown of a reference.

    Attributes
    ----------
    rgb : NDArray[np.uint8]
        (h, w, 3).
    labels : NDArray
        (h, w).
    ids : tuple of int
        The labels that occur in the frame, without 0.
    side : float
        Of the smallest object, in pixels of the model.
    scale : float or None
        Of the tiles that would help, if objects are too small.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    ids: tuple[int, ...]
    side: float
    scale: float | None


def key_of(reference: Reference) -> Key:
    """Return what a reference is known by: its frame, or the name it was given."""
    return reference.name or "" if reference.frame is None else reference.frame


class Looks:
    """Makes looks of references as they are asked for, and keeps them.

    `changed` is emitted whenever there is a new one.

    Parameters
    ----------
    stack : Frames
        The images.
    labels : FrameLabels
        The labels.
    """

    changed = Signal()

    def __init__(self, stack: Frames, labels: FrameLabels) -> None:
        self._stack = stack
        self._labels = labels
        self._config = VIT_LARGE
        self._looks: dict[Key, Look] = {}
        self._asked: set[Key] = set()
        self._queue: deque[tuple[Key, Reference]] = deque()
        self._outdated: set[Key] = set()
        self._job: Job[tuple[Key, Look | None]] | None = None
        self._is_closed = False

    def get(self, reference: Reference) -> Look | None:
        """Return the look of a reference, if there is one by now."""
        return self._looks.get(key_of(reference))

    def ask(self, references: Iterable[Reference], config: SegGPTConfig) -> None:
        """Have looks made of references that have none, for a model of this config."""
        if config != self._config:
            self._config = config
            self._outdated.update(self._looks)
        wanted = {key_of(each): each for each in list(references)[:MANY]}
        for gone in self._looks.keys() - wanted.keys():
            del self._looks[gone]
        for key, reference in wanted.items():
            is_there = key in self._looks and key not in self._outdated
            if not is_there and key not in self._asked:
                self._outdated.discard(key)
                self._asked.add(key)
                self._queue.append((key, reference))
        self._work()

    def forget(self, frames: Iterable[int] | None) -> None:
        """Make new looks of frames that were painted on, None for all, when asked."""
        self._outdated.update(self._looks if frames is None else frames)

    def show_stack(self, stack: Frames) -> None:
        """Make all looks anew, of other images."""
        self._stack = stack
        self.forget(None)

    def close(self) -> None:
        """Make no more."""
        self._is_closed = True
        self._queue.clear()
        if self._job is not None:
            self._job.close()

    def _work(self) -> None:
        if self._job is not None or not self._queue or self._is_closed:
            return
        self._job = Job(self._make, self._take, title="Looking at references")
        self._job.ended.connect(self._on_ended)
        self._job.start()

    def _make(self) -> Iterator[tuple[Key, Look | None]]:
        """Make looks, in the worker, until nothing is asked for any more."""
        while self._queue:
            key, reference = self._queue.popleft()
            yield key, self._look(reference)

    def _look(self, reference: Reference) -> Look | None:
        if reference.prompt is not None:
            return look_at(
                reference.prompt.image, reference.prompt.labels, self._config
            )
        if reference.frame is None:
            return None
        labels = self._labels.read(reference.frame)
        return look_at(self._stack[reference.frame], labels, self._config)

    def _take(self, made: tuple[Key, Look | None]) -> None:
        key, look = made
        self._asked.discard(key)
        if look is not None:
            self._looks[key] = look
        self.changed.emit()

    def _on_ended(self, state: JobState) -> None:
        self._job = None
        if state is JobState.FAILED:
            self._asked.clear()
        self._work()


def look_at(
    image: NDArray[Any], labels: NDArray[np.integer[Any]], config: SegGPTConfig
) -> Look:
    """Make a look of an image and its labels, for a model of this config."""
    small = _small_shape(labels.shape[:2])
    rgb = resize_rgb(to_rgb(image, measure_limits([image])), small)
    side, scale = suggest_scale([labels], config)
    ids = tuple(int(i) for i in np.unique(labels) if i)
    return Look(
        rgb=rgb, labels=resize_labels(labels, small), ids=ids, side=side, scale=scale
    )


def _small_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    factor = SIDE / max(shape)
    height, width = (max(1, round(side * factor)) for side in shape)
    return height, width


def overlaid(
    look: Look, colors: NDArray[np.floating[Any]], opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Return the picture of a look with its labels in colours (h, w, 4), 0 to 1."""
    share = colors[..., 3:] * opacity * (look.labels != 0)[..., None]
    mixed = look.rgb * (1 - share) + 255 * colors[..., :3] * share
    return np.ascontiguousarray(np.rint(mixed), dtype=np.uint8)
