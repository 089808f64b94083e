"""Videos with objects: DAVIS, YouTube-VOS, MOSE and the Cell Tracking Challenge."""

from __future__ import annotations

import json
from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import (
    VOID,
    DatasetError,
    check_any,
    list_files,
    read_lines,
    read_rgb,
    read_values,
    understood,
)
from napari_seggpt.io import read_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels

HALF = 128  # of grey; DAVIS 2016 has masks as black and white


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoObject:
    """An object of a video: the frame that it is first given in, and what it is."""

    first: int
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """Frames in order, some or all of them with the ids of objects.

    Attributes
    ----------
    image_files : tuple of Path
        One a frame.
    label_files : tuple of Path or None
        Of the frames that have labels.
    decode : callable
        Makes object ids (H, W) of the values in a label file.
    objects : mapping of int to VideoObject or None
        By id; None where they are all those of the first labelled frame.
    read : callable
        Reads an image file.
    """

    name: str
    image_files: tuple[Path, ...]
    label_files: tuple[Path | None, ...]
    decode: Callable[[NDArray[Any]], Labels]
    objects: Mapping[int, VideoObject] | None = None
    read: Callable[[Path], NDArray[Any]] = read_rgb

    def __len__(self) -> int:
        return len(self.image_files)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.read(self.image_files[index])

    def frame_name(self, index: int) -> str:
        """Return what result files of a frame are called, without their ending."""
        return self.image_files[index].stem

    def labels(self, index: int) -> Labels | None:
        """Return the objects (H, W) of a frame by their ids, if it has labels."""
        file = self.label_files[index]
        return None if file is None else self.decode(read_values(file))

    def known_objects(self) -> dict[int, VideoObject]:
        """Return the objects by their ids, and in which frame each is given.

        Raises
        ------
        DatasetError
            If no frame has labels.
        """
        if self.objects is not None:
            return dict(self.objects)
        for index in range(len(self)):
            labels = self.labels(index)
            if labels is not None:
                ids = [int(i) for i in np.unique(labels) if i]
                return {i: VideoObject(first=index) for i in ids}
        raise DatasetError(f"Expected a labelled frame in {self.name}, got none.")

    def is_labelled_throughout(self) -> bool:
        """Tell whether there are labels from the first labelled frame to the end.

        Of a public test set only the frames that objects are given in have some.
        """
        there = [file is not None for file in self.label_files]
        first = there.index(True) if any(there) else len(there)
        return len(there) - first > 1 and all(there[first:])


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoDataset:
    """A subset of a published data set of videos.

    Attributes
    ----------
    title, subset : str
        What it is, and which part of it.
    videos : sequence of Video
        None of which has been read yet.
    seen : frozenset of str or None
        The categories that training videos have, if there are categories.
    """

    title: str
    subset: str
    videos: Sequence[Video]
    seen: frozenset[str] | None = None

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, index: int) -> Video:
        return self.videos[index]


# -- DAVIS -------------------------------------------------------------------------


def open_davis2017(folder: Path, subset: str) -> VideoDataset:
    """Open DAVIS 2017: the objects are those of the first frame."""
    names = read_lines(folder / "ImageSets" / "2017" / f"{subset}.txt")
    videos = [_davis_video(folder, name, _indices) for name in names]
    return VideoDataset(
        title="DAVIS 2017", subset=subset, videos=check_any(videos, "videos", folder)
    )


def open_davis2016(folder: Path, subset: str) -> VideoDataset:
    """Open DAVIS 2016: one object, the foreground.

    Its list is in ImageSets/480p/, with the files of a frame a line, or in
    ImageSets/2016/ of DAVIS 2017.
    """
    listed = [folder / "ImageSets" / x / f"{subset}.txt" for x in ("480p", "2016")]
    lines = read_lines(next((x for x in listed if x.is_file()), listed[0]))
    names = [line.split()[0].split("/")[-2] if "/" in line else line for line in lines]
    videos = [_davis_video(folder, name, _foreground) for name in dict.fromkeys(names)]
    return VideoDataset(
        title="DAVIS 2016", subset=subset, videos=check_any(videos, "videos", folder)
    )


def _davis_video(
    folder: Path, name: str, decode: Callable[[NDArray[Any]], Labels]
) -> Video:
    images, labels = (
        folder / kind / "480p" / name for kind in ("JPEGImages", "Annotations")
    )
    return _video(name, list_files(images, "*.jpg"), labels, decode)


def _indices(values: NDArray[Any]) -> Labels:
    """Take the indices of a palette image as ids; void counts as background."""
    return np.where(values == VOID, 0, values).astype(np.int32)


def _foreground(values: NDArray[Any]) -> Labels:
    """Take what is bright, or has an id, as the one object."""
    grey = values.max(-1) if values.ndim == 3 else values
    is_picture = grey.max(initial=0) >= HALF
    return np.asarray(grey >= (HALF if is_picture else 1), dtype=np.int32)


# -- YouTube-VOS and MOSE ----------------------------------------------------------


def open_youtube_vos(folder: Path, subset: str) -> VideoDataset:
    """Open YouTube-VOS: objects may begin late, and have categories."""
    part = folder / subset
    file = part / "meta.json"
    with understood("videos and their objects", file):
        videos = [
            _youtube_video(part, name, facts["objects"])
            for name, facts in _read_meta(file).items()
        ]
    return VideoDataset(
        title="YouTube-VOS 2018",
        subset=subset,
        videos=check_any(videos, "videos", part),
        seen=_categories(folder / "train" / "meta.json"),
    )


def _youtube_video(part: Path, name: str, objects: Mapping[str, Any]) -> Video:
    images = list_files(part / "JPEGImages" / name, "*.jpg")
    video = _video(name, images, part / "Annotations" / name, _indices)
    places = {image.stem: index for index, image in enumerate(images)}
    frames = {
        i: [places[frame] for frame in one["frames"] if frame in places]
        for i, one in objects.items()
    }
    known = {
        int(i): VideoObject(first=min(frames[i]), category=one["category"])
        for i, one in objects.items()
        if frames[i]
    }
    return replace(video, objects=known)


def _read_meta(file: Path) -> dict[str, Any]:
    with understood("videos", file):
        videos = json.loads(file.read_bytes())["videos"]
        return dict(sorted(videos.items()))


def _categories(file: Path) -> frozenset[str] | None:
    """Return the categories of the training videos, if their list is there."""
    if not file.is_file():
        return None
    videos = _read_meta(file).values()
    return frozenset(
        one["category"] for video in videos for one in video["objects"].values()
    )


def open_mose(folder: Path, subset: str) -> VideoDataset:
    """Open MOSE: the objects are those of the first frame."""
    part = folder / subset
    videos = [
        _video(x.name, list_files(x, "*.jpg"), part / "Annotations" / x.name, _indices)
        for x in sorted((part / "JPEGImages").glob("*/"))
    ]
    return VideoDataset(
        title="MOSE", subset=subset, videos=check_any(videos, "videos", part)
    )


def _video(
    name: str,
    images: list[Path],
    labels: Path,
    decode: Callable[[NDArray[Any]], Labels],
) -> Video:
    files = (labels / f"{image.stem}.png" for image in images)
    return Video(
        name=name,
        image_files=tuple(check_any(images, "frames", name)),
        label_files=tuple(file if file.is_file() else None for file in files),
        decode=decode,
    )


# -- Cell Tracking Challenge -------------------------------------------------------

CTC_LABELS = {
    "gold": ("GT", "SEG", "man_seg"),
    "silver": ("ST", "SEG", "man_seg"),
    "tracking": ("GT", "TRA", "man_track"),
}


def open_cell_tracking(folder: Path, subset: str) -> VideoDataset:
    """Open a set of the Cell Tracking Challenge, whose videos are two-dimensional.

    Parameters
    ----------
    folder : Path
        With 01/, 01_GT/ and so on.
    subset : {"gold", "silver", "tracking"}
        Which annotations: the gold segmentation of some frames, the silver one of all,
        or the markers by which cells are tracked; those of the last keep their ids.
    """
    videos = []
    for images in sorted(folder.glob("[0-9][0-9]/")):
        files = list_files(images, "t*.tif")
        corpus, kind, stem = CTC_LABELS[subset]
        labels = folder / f"{images.name}_{corpus}" / kind
        names = [labels / f"{stem}{file.stem[1:]}.tif" for file in files]
        video = Video(
            name=images.name,
            image_files=tuple(check_any(files, "frames", images.name)),
            label_files=tuple(x if x.is_file() else None for x in names),
            decode=_ids,
            objects=_tracks(labels / "man_track.txt", files) if kind == "TRA" else None,
            read=_read_plane,
        )
        if any(video.label_files):
            videos.append(video)
    return VideoDataset(
        title=f"Cell Tracking Challenge, {folder.name}",
        subset=subset,
        videos=check_any(videos, "videos", folder),
    )


def _read_plane(file: Path) -> NDArray[Any]:
    try:
        return read_frame(file)
    except ValueError as error:
        raise DatasetError(f"Expected a two-dimensional frame: {error}") from None


def _ids(values: NDArray[Any]) -> Labels:
    return values.astype(np.int32)


def _tracks(file: Path, images: Sequence[Path]) -> dict[int, VideoObject]:
    """Read a table of tracks: id, first time point, last time point, parent.

    Time points are those in the names of the frames, which need not begin at 0.
    """
    with understood("tracks", file):
        times = [int(image.stem[1:]) for image in images]
        rows = [[int(x) for x in line.split()] for line in read_lines(file)]
        places = {row[0]: bisect_left(times, row[1]) for row in rows}
    return {
        i: VideoObject(first=place) for i, place in places.items() if place < len(times)
    }
