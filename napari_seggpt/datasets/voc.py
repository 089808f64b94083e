"""PASCAL VOC 2012 and SBD (Hariharan et al. 2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import (
    VOID,
    DatasetError,
    ImageDataset,
    ObjectMask,
    as_it_is,
    check_any,
    numbered,
    read_lines,
    read_rgb,
    read_values,
    understood,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels, Picture

VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "dining table", "dog", "horse", "motorbike", "person", "potted plant",
    "sheep", "sofa", "train", "tv monitor",
)  # fmt: skip
decode = as_it_is(len(VOC))


@dataclass(frozen=True, slots=True, kw_only=True)
class VocSample:
    """An image with a file of classes and one of objects.

    Attributes
    ----------
    object_file : Path or None
        Not all images with classes have objects.
    """

    name: str
    image_file: Path
    label_file: Path
    object_file: Path | None = None

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W)."""
        return decode(self._values(self.label_file, "GTcls"))

    def objects(self) -> Iterator[ObjectMask]:
        """Yield the objects; each is of the class that most of its pixels have.

        Raises
        ------
        DatasetError
            If nobody has told objects apart in this image.
        """
        if self.object_file is None or not self.object_file.is_file():
            raise DatasetError(f"Expected objects of {self.name}, got classes alone.")
        numbers = self._values(self.object_file, "GTinst")
        labels = self.labels()
        for number in np.unique(numbers):
            if number not in (0, VOID):
                mask = numbers == number
                inside = labels[mask & (labels > 0)]
                if inside.size:
                    yield ObjectMask(
                        class_id=int(np.bincount(inside).argmax()), mask=mask
                    )

    def _values(self, file: Path, key: str) -> NDArray[Any]:
        return _read_matlab(file, key) if file.suffix == ".mat" else read_values(file)


def _read_matlab(file: Path, key: str) -> NDArray[Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    with understood(f"{key} of SBD", file):
        try:
            content = loadmat(file, squeeze_me=True, struct_as_record=False)
        except (MatReadError, NotImplementedError) as error:
            raise ValueError(error) from error
        return np.asarray(content[key].Segmentation)


def open_voc(folder: Path, subset: str) -> ImageDataset[VocSample]:
    """Open PASCAL VOC; pixels at the borders of objects are ignored."""
    names = read_lines(folder / "ImageSets" / "Segmentation" / f"{subset}.txt")
    samples = [voc_sample(folder, name) for name in names]
    return _dataset("PASCAL VOC", subset, samples, folder)


def voc_sample(folder: Path, name: str) -> VocSample:
    """Return an image of PASCAL VOC by its name.

    What VOC has no labels of may have some in `SegmentationClassAug/`, a folder that
    others made of VOC and SBD.
    """
    file = f"{name}.png"
    augmented = folder / "SegmentationClassAug" / file
    own = folder / "SegmentationClass" / file
    return VocSample(
        name=name,
        image_file=folder / "JPEGImages" / f"{name}.jpg",
        label_file=own if own.is_file() else augmented,
        object_file=folder / "SegmentationObject" / file,
    )


def open_sbd(folder: Path, subset: str) -> ImageDataset[VocSample]:
    """Open SBD: further images of PASCAL VOC, whose labels are Matlab files."""
    inner = folder / "dataset"
    root = inner if inner.is_dir() else folder
    samples = [
        VocSample(
            name=name,
            image_file=root / "img" / f"{name}.jpg",
            label_file=root / "cls" / f"{name}.mat",
            object_file=root / "inst" / f"{name}.mat",
        )
        for name in read_lines(root / f"{subset}.txt")
    ]
    return _dataset("SBD", subset, samples, root)


def _dataset(
    title: str, subset: str, samples: list[VocSample], where: Path
) -> ImageDataset[VocSample]:
    return ImageDataset(
        title=title,
        subset=subset,
        classes=numbered(VOC),
        samples=check_any(samples, "images with labels", where),
    )
