"""ReferencePreviews: small pictures of references, made in a worker."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal
from skimage.measure import label as connected

from napari_seggpt.inference.tiling import suggest_scale
from napari_seggpt.io.layout import StackError
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

PREVIEW_SIDE = 64  # pixels of the longer side of a picture
SHRUNK = 0.9  # of a side; sizes are rounded by a few per cent in any case
OWN_PIXELS = 1.0  # the scale of tiles that show a frame as it is
MAX_PREVIEWS = 100  # reference frames of which pictures are made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Preview:
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
        Of the tiles that would help, if objects are too small because the frame is
        shrunk for the model. Larger ones than the frame's own pixels are not advised:
        their time grows with the square.
    objects : int
        How many separate ones are labelled.
    share : float
        Of the frame's pixels that are labelled.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.integer[Any]]
    ids: tuple[int, ...]
    side: float
    scale: float | None
    objects: int = 0
    share: float = 0.0


def reference_key(reference: Reference) -> Key:
    """Return what a reference is known by: its frame, or the name it was given."""
    return reference.name or "" if reference.frame is None else reference.frame


def pictured(references: Iterable[Reference]) -> list[Reference]:
    """Return those of which pictures are made: of many frames of the stack the first.

    Examples from elsewhere are all among them: they are nowhere else to be seen.
    """
    known = list(references)
    frames = [each for each in known if each.frame is not None]
    return frames[:MAX_PREVIEWS] + [each for each in known if each.frame is None]


class ReferencePreviews:
    """Makes previews of references when they are requested, and keeps them.

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
        self._previews: dict[Key, Preview] = {}
        self._wanted: dict[Key, Reference] = {}  # by the last request
        self._requested: set[Key] = set()
        self._queue: deque[tuple[Key, Reference]] = deque()
        self._outdated: set[Key] = set()
        self._job: Job[tuple[Key, Preview | None]] | None = None
        self._is_closed = False

    def get(self, reference: Reference) -> Preview | None:
        """Return the preview of a reference, if it was made by now."""
        return self._previews.get(reference_key(reference))

    def request(self, references: Iterable[Reference], config: SegGPTConfig) -> None:
        """Have previews made where there is none, for a model of this config."""
        if config != self._config:
            self._config = config
            self.forget(None)
        wanted = {reference_key(each): each for each in pictured(references)}
        self._wanted = wanted
        for gone in self._previews.keys() - wanted.keys():
            del self._previews[gone]
        for key, reference in wanted.items():
            is_there = key in self._previews and key not in self._outdated
            if not is_there and key not in self._requested:
                self._enqueue(key, reference)
        self._work()

    def _enqueue(self, key: Key, reference: Reference) -> None:
        self._outdated.discard(key)
        self._requested.add(key)
        self._queue.append((key, reference))

    def forget(self, frames: Iterable[int] | None) -> None:
        """Make previews of some frames anew when requested; None for all frames."""
        known = self._previews.keys() | self._requested
        self._outdated.update(known if frames is None else frames)

    def show_stack(self, stack: Frames) -> None:
        """Make all previews anew, from other images."""
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

    def _make(self) -> Iterator[tuple[Key, Preview | None]]:
        """Make previews, in the worker, until all that were requested are made."""
        while self._queue:
            key, reference = self._queue.popleft()
            yield key, self._preview(reference)

    def _preview(self, reference: Reference) -> Preview | None:
        if reference.prompt is not None:
            return make_preview(
                reference.prompt.image, reference.prompt.labels, self._config
            )
        if reference.frame is None:
            return None
        try:
            labels = self._labels.read(reference.frame)
            image = self._stack[reference.frame]
        except StackError:
            return None  # a run names it; the previews of others are made
        return make_preview(image, labels, self._config)

    def _take(self, made: tuple[Key, Preview | None]) -> None:
        key, preview = made
        self._requested.discard(key)
        if preview is not None:
            self._previews[key] = preview
        if key in self._outdated and key in self._wanted:  # painted on meanwhile
            self._enqueue(key, self._wanted[key])
        self.changed.emit()

    def _on_ended(self, state: JobState) -> None:
        self._job = None
        if state is JobState.FAILED:
            self._requested.clear()
        self._work()


def make_preview(
    image: NDArray[Any], labels: NDArray[np.integer[Any]], config: SegGPTConfig
) -> Preview:
    """Make a preview of an image and its labels, for a model of this config."""
    small = _small_shape(labels.shape[:2])
    rgb = resize_rgb(to_rgb(image, measure_limits([image])), small)
    side, scale = suggest_scale([labels], config)
    if not _is_shrunk(labels.shape, config):
        scale = None
    elif scale is not None:
        scale = min(scale, OWN_PIXELS)
    ids = tuple(int(i) for i in np.unique(labels) if i)
    return Preview(
        rgb=rgb,
        labels=resize_labels(labels, small),
        ids=ids,
        side=side,
        scale=scale,
        objects=int(connected(labels, background=0).max(initial=0)),
        share=np.count_nonzero(labels) / max(1, labels.size),
    )


def _is_shrunk(shape: tuple[int, ...], config: SegGPTConfig) -> bool:
    """Whether a model sees frames of a shape smaller than they are.

    Tiles were measured to help then. Others are enlarged in any case, and tiles made
    some better and some worse.
    """
    return max(config.seen_size(shape)) < SHRUNK * max(shape[:2])


def _small_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    factor = PREVIEW_SIDE / max(shape)
    height, width = (max(1, round(side * factor)) for side in shape)
    return height, width


def overlaid(
    preview: Preview, colors: NDArray[np.floating[Any]], opacity: float = 0.5
) -> NDArray[np.uint8]:
    """Return a preview's picture with its labels in colours (h, w, 4), 0 to 1."""
    share = colors[..., 3:] * opacity * (preview.labels != 0)[..., None]
    mixed = preview.rgb * (1 - share) + 255 * colors[..., :3] * share
    return np.ascontiguousarray(np.rint(mixed), dtype=np.uint8)
