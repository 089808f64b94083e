"""Videos: their objects followed from the frame that each is given in, and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.inference.decoding import combine_passes
from napari_seggpt.inference.memory import Memory
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.metrics.video import ObjectScore, score_objects
from napari_seggpt.palette import Palette
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.videos import Video
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import PredictionSettings

    Labels = NDArray[np.integer[Any]]

COLORS = 256  # of a palette image


class _Group:
    """Objects that are given in one frame and coloured in one picture.

    What is remembered is of them alone: a frame without any of them would teach the
    next that they are gone.

    Parameters
    ----------
    model : SegGPT
        By which they are followed.
    given : Prompt
        The frame, with these objects alone.
    settings : PredictionSettings
        How it is predicted.
    memory : int
        How many predicted frames are examples, too.
    """

    def __init__(
        self, model: SegGPT, given: Prompt, settings: PredictionSettings, memory: int
    ) -> None:
        self.ids = given.ids
        self._predictor = Predictor(model, [given], settings=settings)
        self._memory = Memory(memory) if memory else None

    def predict(
        self, frame: NDArray[Any], index: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return where the objects are in a frame, and how clearly."""
        (prediction,) = self._predictor.predict_batch(
            [frame], indices=[index], memory=self._memory
        )
        return prediction.labels, prediction.confidence

    def remember(self, frame: NDArray[Any], labels: Labels, index: int) -> None:
        """Take a predicted frame as an example for those that come."""
        if self._memory is not None:
            own = np.where(np.isin(labels, self.ids), labels, 0)
            prompt = Prompt(image=frame, labels=own, index=index)
            self._memory.add(self._predictor.prepare(prompt, predicted=True))


def follow_objects(
    model: SegGPT, video: Video, *, settings: PredictionSettings, memory: int
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Follow the objects of a video through all its frames.

    Ids are kept. An object begins in the frame that it is given in; before any does,
    frames are empty.

    Parameters
    ----------
    model : SegGPT
        What predicts.
    video : Video
        Read a frame at a time.
    settings : PredictionSettings
        How a frame is predicted.
    memory : int
        How many of the last predicted frames are examples, too.

    Yields
    ------
    tuple of int and NDArray
        Index and objects (H, W) of every frame.

    Raises
    ------
    DatasetError
        If an object is not in the frame in which it should be given.
    """
    objects = video.known_objects()
    groups: list[_Group] = []
    for index in range(len(video)):
        frame = video[index]
        labels = _predict(groups, frame, index)
        new = [i for i, one in objects.items() if one.first == index]
        given = _given(video, index, new)
        labels = np.where(given != 0, given, labels) if new else labels
        if index + 1 < len(video):
            for group in groups:
                group.remember(frame, labels, index)
        for palette in Palette.of(new).split(settings.labels_per_pass) if new else ():
            own = np.where(np.isin(given, palette.ids), given, 0)
            prompt = Prompt(image=frame, labels=own, index=index)
            groups.append(_Group(model, prompt, settings, memory))
        yield index, labels


def _predict(
    groups: Sequence[_Group], frame: NDArray[Any], index: int
) -> NDArray[np.int64]:
    if not groups:
        return np.zeros(frame.shape[:2], np.int64)
    labels, _ = combine_passes([group.predict(frame, index) for group in groups])
    return labels


def _given(video: Video, index: int, new: Sequence[int]) -> Labels:
    """Return the objects (H, W) that are given in a frame."""
    if not new:
        return np.zeros((0, 0), np.int64)
    labels = video.labels(index)
    present = () if labels is None else np.unique(labels).tolist()
    missing = [i for i in new if i not in present]
    if labels is None or missing:
        raise DatasetError(
            f"Expected the objects {missing} of {video.name} in its frame "
            f"{video.frame_name(index)}, got none."
        )
    return np.where(np.isin(labels, new), labels, 0)


def score_video(
    model: SegGPT,
    video: Video,
    *,
    settings: PredictionSettings,
    memory: int,
    skips_last: bool,
    folder: Path | None = None,
) -> dict[int, ObjectScore]:
    """Follow the objects of a video, write them, and score them.

    Parameters
    ----------
    model, video, settings, memory
        As in `follow_objects`.
    skips_last : bool
        Whether the last frame does not count, as in DAVIS.
    folder : Path, optional
        Where a PNG is written for every frame, as the servers of the challenges take
        them.

    Returns
    -------
    dict of int to ObjectScore
        By object; none if the video's labels are not public.
    """
    frames = follow_objects(model, video, settings=settings, memory=memory)
    if folder is not None:
        frames = _written(frames, video, folder)
    objects = video.known_objects()
    if not video.is_labelled_throughout():
        for _ in frames:
            pass
        return {}
    first = {i: one.first for i, one in objects.items()}
    return score_objects(_counted(frames, video, skips_last=skips_last), first)


def _written(
    frames: Iterable[tuple[int, NDArray[np.int64]]], video: Video, folder: Path
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    folder.mkdir(parents=True, exist_ok=True)
    for index, labels in frames:
        write_objects(folder / f"{video.frame_name(index)}.png", labels)
        yield index, labels


def _counted(
    frames: Iterable[tuple[int, NDArray[np.int64]]], video: Video, *, skips_last: bool
) -> Iterator[tuple[int, Labels, Labels]]:
    last = len(video) - 1
    for index, labels in frames:
        true = video.labels(index)
        if true is not None and not (index == last and skips_last):
            yield index, labels, true


def write_objects(file: Path, labels: Labels) -> None:
    """Write objects (H, W) as a palette image in the colours of PASCAL VOC.

    Raises
    ------
    ValueError
        If there are ids above 255.
    """
    if labels.max(initial=0) >= COLORS:
        raise ValueError(f"Expected ids up to 255, got {labels.max()}.")
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc_colors().tobytes())
    image.save(file)


def voc_colors() -> NDArray[np.uint8]:
    """Return the colours (256, 3) of PASCAL VOC and DAVIS.

    The bits of an id, lowest first, go to red, green and blue in turn, and there from
    the highest bit down.
    """
    colors = np.zeros((COLORS, 3), np.uint8)
    ids = np.arange(COLORS)
    for bit in range(8):
        colors[:, bit % 3] |= ((ids >> bit & 1) << (7 - bit // 3)).astype(np.uint8)
    return colors
