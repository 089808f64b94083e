"""COCO: instances, stuff and panoptic; and PACO, which is written in the same way.

The file of annotations is read whole, as pycocotools does; that of train2017 takes some
gigabytes of memory meanwhile. Masks are decoded one by one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import (
    IGNORED,
    DatasetError,
    ImageDataset,
    ObjectMask,
    PairedSample,
    check_any,
    class_table,
    list_files,
    lookup,
    read_rgb,
    read_values,
    understood,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels, Picture

STUFF_CLASSES = 182  # with things; stuff begins at 92
PACO_PREFIX = "paco_lvis_v1_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """An object as the file has it.

    Attributes
    ----------
    segmentation : list or dict
        Polygons, or runs of pixels, compressed or not.
    """

    class_id: int
    segmentation: Any
    area: float
    is_crowd: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoSample:
    """An image and its objects."""

    name: str
    image_file: Path
    shape: tuple[int, int]
    annotations: tuple[Annotation, ...]

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def objects(self) -> Iterator[ObjectMask]:
        """Yield the objects in the order of the file."""
        for one in self.annotations:
            yield ObjectMask(
                class_id=one.class_id,
                mask=decode_mask(one.segmentation, self.shape),
                is_crowd=one.is_crowd,
            )

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W); small objects lie over large ones."""
        labels = np.zeros(self.shape, np.int32)
        for one in sorted(self.annotations, key=lambda x: -x.area):
            labels[decode_mask(one.segmentation, self.shape)] = one.class_id
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A part of a panoptic image: an object, or all that there is of some stuff."""

    class_id: int
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticSample:
    """An image whose pixels belong to one segment each.

    Attributes
    ----------
    segments : mapping of int to Segment
        By the id that `segment_map` has.
    """

    name: str
    image_id: int
    image_file: Path
    label_file: Path
    segments: Mapping[int, Segment]

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def segment_map(self) -> Labels:
        """Return the segment of each pixel (H, W); 0 belongs to none."""
        return unpack_ids(read_values(self.label_file))

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W); what is in no segment is ignored."""
        ids = self.segment_map()
        labels = np.full(ids.shape, IGNORED, np.int32)
        for number, segment in self.segments.items():
            labels[ids == number] = segment.class_id
        return labels


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticDataset(ImageDataset[PanopticSample]):
    """A subset of a panoptic data set.

    Attributes
    ----------
    things : frozenset of int
        The classes whose objects are told apart.
    """

    things: frozenset[int]


# -- opening -----------------------------------------------------------------------


def open_instances(folder: Path, subset: str) -> ImageDataset[CocoSample]:
    """Open the instances of COCO, 80 classes; all else is background."""
    file = folder / "annotations" / f"instances_{subset}.json"
    with understood("objects", file):
        return _open_objects("COCO instances", folder, subset, file)


def open_paco(folder: Path, subset: str) -> ImageDataset[CocoSample]:
    """Open PACO-LVIS: objects, and their parts, which lie over them."""
    file = folder / "annotations" / f"{PACO_PREFIX}{subset}.json"
    with understood("objects", file):
        return _open_objects("PACO", folder, subset, file)


def open_stuff(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open COCO-Stuff: stuff and things as maps of pixels; unlabelled is ignored."""
    file = folder / "annotations" / f"stuff_{subset}.json"
    names = _class_names(_read(file)) if file.is_file() else {}
    maps = folder / "stuffthingmaps" / subset
    decode = partial(
        lookup, class_table({i: i + 1 for i in range(STUFF_CLASSES)})
    )  # fmt: skip
    samples = [
        PairedSample(
            name=labels.stem,
            image_file=_image_folder(folder, subset) / f"{labels.stem}.jpg",
            label_file=labels,
            decode=decode,
        )
        for labels in list_files(maps, "*.png")
    ]
    return ImageDataset(
        title="COCO-Stuff",
        subset=subset,
        classes={i: names.get(i, str(i)) for i in range(1, STUFF_CLASSES + 1)},
        samples=check_any(samples, "images with labels", maps),
    )


def open_panoptic(folder: Path, subset: str) -> PanopticDataset:
    """Open the panoptic COCO: 80 kinds of things and 53 of stuff."""
    file = folder / "annotations" / f"panoptic_{subset}.json"
    with understood("segments", file):
        return _open_segments(folder, subset, file)


def _open_segments(folder: Path, subset: str, file: Path) -> PanopticDataset:
    content = _read(file)
    maps = next(
        (x for x in (file.with_suffix(""), folder / file.stem) if x.is_dir()), None
    )
    if maps is None:
        raise DatasetError(f"Expected the PNG files of {file.name} in {file.stem}/.")
    images = {one["id"]: one for one in content["images"]}
    samples = [
        PanopticSample(
            name=Path(one["file_name"]).stem,
            image_id=one["image_id"],
            image_file=_image_file(folder, subset, images[one["image_id"]]),
            label_file=maps / one["file_name"],
            segments={
                part["id"]: Segment(
                    class_id=part["category_id"], is_crowd=bool(part.get("iscrowd"))
                )
                for part in one["segments_info"]
            },
        )
        for one in content["annotations"]
    ]
    return PanopticDataset(
        title="COCO panoptic",
        subset=subset,
        classes=_class_names(content),
        samples=check_any(samples, "images with labels", file),
        things=frozenset(x["id"] for x in content["categories"] if x.get("isthing")),
    )


def _open_objects(
    title: str, folder: Path, subset: str, file: Path
) -> ImageDataset[CocoSample]:
    content = _read(file)
    by_image: dict[int, list[Annotation]] = {}
    for one in content["annotations"]:
        annotation = Annotation(
            class_id=one["category_id"],
            segmentation=one["segmentation"],
            area=float(one["area"]),
            is_crowd=bool(one.get("iscrowd")),
        )
        by_image.setdefault(one["image_id"], []).append(annotation)
    samples = [
        CocoSample(
            name=Path(one["file_name"]).stem,
            image_file=_image_file(folder, subset, one),
            shape=(one["height"], one["width"]),
            annotations=tuple(by_image.get(one["id"], ())),
        )
        for one in content["images"]
    ]
    return ImageDataset(
        title=title,
        subset=subset,
        classes=_class_names(content),
        samples=check_any(samples, "images with labels", file),
    )


def _read(file: Path) -> dict[str, Any]:
    with understood("annotations", file):
        content = json.loads(file.read_bytes())
    needed = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(name in content for name in needed):
        raise DatasetError(f"Expected {', '.join(needed)} in {file}, got another file.")
    return content


def _class_names(content: Mapping[str, Any]) -> dict[int, str]:
    return {one["id"]: one["name"] for one in content["categories"]}


def _image_file(folder: Path, subset: str, image: Mapping[str, Any]) -> Path:
    """Say where an image is: PACO takes it from another subset than its own."""
    named = Path(image.get("coco_url") or image["file_name"])
    origin = named.parent.name or subset
    return _image_folder(folder, origin) / named.name


def _image_folder(folder: Path, subset: str) -> Path:
    inner = folder / "images" / subset
    return inner if inner.is_dir() else folder / subset


# -- masks -------------------------------------------------------------------------


def decode_mask(segmentation: Any, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return polygons or runs of pixels as a mask (H, W), as pycocotools draws them.

    Raises
    ------
    DatasetError
        If pycocotools is not installed.
    """
    try:
        from pycocotools import mask as masks
    except ImportError:
        raise DatasetError(
            "Expected pycocotools for the masks of COCO, got none: "
            "pip install 'napari-seggpt[paper]'."
        ) from None
    if isinstance(segmentation, list):
        runs = masks.merge(masks.frPyObjects(segmentation, *shape))
    elif isinstance(segmentation["counts"], list):
        runs = masks.frPyObjects(segmentation, *shape)
    else:
        runs = segmentation
    return np.asarray(masks.decode(runs), dtype=bool)


def unpack_ids(colors: NDArray[np.uint8]) -> Labels:
    """Return the ids (H, W) that a panoptic PNG (H, W, 3) holds as colours."""
    low, middle, high = np.moveaxis(colors[..., :3].astype(np.int32), -1, 0)
    return low + (middle << 8) + (high << 16)


def pack_ids(ids: NDArray[np.integer[Any]]) -> Picture:
    """Return ids (H, W) as the colours (H, W, 3) of a panoptic PNG."""
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], -1).astype(np.uint8)


def subsets(folder: Path, prefix: str) -> Sequence[str]:
    """Return the subsets that there are annotations of."""
    files = list_files(folder / "annotations", f"{prefix}*.json")
    return [file.stem.removeprefix(prefix) for file in files]
