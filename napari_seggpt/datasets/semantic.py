"""Images with the class of every pixel: ADE20K, Cityscapes, LIP, LoveDA and iSAID."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import (
    IGNORED,
    ImageDataset,
    PairedSample,
    as_it_is,
    check_any,
    class_table,
    list_files,
    lookup,
    numbered,
    read_lines,
    understood,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels

ADE20K_CLASSES = 150

# The label ids of Cityscapes that are trained and scored.
CITYSCAPES = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain",
    23: "sky", 24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus",
    31: "train", 32: "motorcycle", 33: "bicycle",
}  # fmt: skip
LIP = (
    "hat", "hair", "glove", "sunglasses", "upper clothes", "dress", "coat", "socks",
    "pants", "jumpsuits", "scarf", "skirt", "face", "left arm", "right arm",
    "left leg", "right leg", "left shoe", "right shoe",
)  # fmt: skip
LOVEDA = ("building", "road", "water", "barren", "forest", "agriculture")
LOVEDA_BACKGROUND = 1  # 0 is where there are no data
ISAID = {
    "ship": (0, 0, 63),
    "storage tank": (0, 63, 63),
    "baseball diamond": (0, 63, 0),
    "tennis court": (0, 63, 127),
    "basketball court": (0, 63, 191),
    "ground track field": (0, 63, 255),
    "bridge": (0, 127, 63),
    "large vehicle": (0, 127, 127),
    "small vehicle": (0, 0, 127),
    "helicopter": (0, 0, 191),
    "swimming pool": (0, 0, 255),
    "roundabout": (0, 191, 127),
    "soccer ball field": (0, 127, 191),
    "plane": (0, 127, 255),
    "harbor": (0, 100, 155),
}


def open_ade20k(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open ADE20K with 150 classes (SceneParse150); what has none is ignored."""
    file = folder / "objectInfo150.txt"
    names = _ade20k_names(file) if file.is_file() else {}
    return ImageDataset(
        title="ADE20K",
        subset=subset,
        classes={i: names.get(i, str(i)) for i in range(1, ADE20K_CLASSES + 1)},
        samples=_paired(
            folder / "images" / subset,
            folder / "annotations" / subset,
            partial(lookup, class_table({i: i for i in range(1, 151)})),
        ),
    )


def _ade20k_names(file: Path) -> dict[int, str]:
    """Read a table of number, shares and names; the first of several names is taken."""
    rows = [line.split("\t") for line in read_lines(file)[1:]]
    with understood("the classes of ADE20K", file):
        return {int(row[0]): row[-1].split(",")[0].strip() for row in rows}


def open_cityscapes(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open Cityscapes with its fine annotations and the 19 classes that are scored."""
    tail = "_leftImg8bit.png"
    images = list_files(folder / "leftImg8bit" / subset, f"*/*{tail}")
    decode = partial(lookup, class_table({value: value for value in CITYSCAPES}))
    samples = [
        PairedSample(
            name=image.name.removesuffix(tail),
            image_file=image,
            label_file=folder / "gtFine" / subset / image.parent.name
            / image.name.replace(tail, "_gtFine_labelIds.png"),
            decode=decode,
        )
        for image in images
    ]  # fmt: skip
    return ImageDataset(
        title="Cityscapes",
        subset=subset,
        classes=CITYSCAPES,
        samples=check_any(samples, "images with labels", folder),
    )


def open_lip(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open LIP (Look into Person): the parts of single persons."""
    # Unpacked in place, each archive has a folder of its own name.
    images, labels = (
        next(
            inner
            for inner in (folder / name / name, folder / name)
            if inner.is_dir()
        )
        for name in ("TrainVal_images", "TrainVal_parsing_annotations")
    )  # fmt: skip
    return ImageDataset(
        title="LIP",
        subset=subset,
        classes=numbered(LIP),
        samples=_paired(
            images / f"{subset}_images",
            labels / f"{subset}_segmentations",
            as_it_is(len(LIP)),
        ),
    )


def open_loveda(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open LoveDA: town and country from above; where data are missing is ignored."""
    values = {LOVEDA_BACKGROUND + i: i for i in range(len(LOVEDA) + 1)}
    decode = partial(lookup, class_table(values))
    samples = [
        sample
        for place in ("Urban", "Rural")
        if (folder / subset / place / "masks_png").is_dir()
        for sample in _paired(
            folder / subset / place / "images_png",
            folder / subset / place / "masks_png",
            decode,
        )
    ]
    return ImageDataset(
        title="LoveDA",
        subset=subset,
        classes=numbered(LOVEDA),
        samples=check_any(samples, "images with labels", folder / subset),
    )


def open_isaid(folder: Path, subset: str) -> ImageDataset[PairedSample]:
    """Open iSAID: whole aerial images, and their classes as colours."""
    return ImageDataset(
        title="iSAID",
        subset=subset,
        classes=numbered(list(ISAID)),
        samples=_paired(
            _flat(folder / subset / "images"),
            _flat(folder / subset / "Semantic_masks"),
            _colors_to_isaid,
            tail="_instance_color_RGB",
        ),
    )


def _flat(folder: Path) -> Path:
    """Return where the files are: the archives have `images` in them once more."""
    inner = folder / "images"
    return inner if inner.is_dir() else folder


def _colors_to_isaid(colors: NDArray[Any]) -> Labels:
    rgb = colors[..., :3].astype(np.int64)
    packed = (rgb[..., 0] << 16) + (rgb[..., 1] << 8) + rgb[..., 2]
    labels = np.full(packed.shape, IGNORED, np.int32)
    labels[packed == 0] = 0
    for class_id, (red, green, blue) in enumerate(ISAID.values(), 1):
        labels[packed == (red << 16) + (green << 8) + blue] = class_id
    return labels


def _paired(
    images: Path,
    labels: Path,
    decode: Callable[[NDArray[Any]], Labels],
    *,
    tail: str = "",
) -> list[PairedSample]:
    """Pair the images of a folder with label files of equal name, but for a tail."""
    files: Mapping[str, Path] = {
        file.stem.removesuffix(tail): file for file in list_files(labels)
    }
    samples = [
        PairedSample(
            name=image.stem,
            image_file=image,
            label_file=files[image.stem],
            decode=decode,
        )
        for image in list_files(images)
        if image.stem in files
    ]
    return check_any(samples, "images with labels", images)
