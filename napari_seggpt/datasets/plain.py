"""One's own data set: a folder with `images/` and `labels/` of equal names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.base import ImageDataset, check_any, list_files
from napari_seggpt.io import read_frame

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainSample:
    """An image of any kind that stacks may have, and labels of equal name."""

    name: str
    image_file: Path
    label_file: Path

    def image(self) -> NDArray[Any]:
        """Return the image (H, W) or (H, W, C), of its own dtype."""
        return read_frame(self.image_file)

    def labels(self) -> Labels:
        """Return the labels (H, W); 0 is background."""
        return read_frame(self.label_file, labels=True).astype(np.int32)


def open_plain(folder: Path, subset: str) -> ImageDataset[PlainSample]:
    """Open a folder with `images/` and `labels/`.

    Which classes there are is only known by reading all labels: `classes` is empty.
    """
    labels = {file.stem: file for file in list_files(folder / "labels")}
    samples = [
        PlainSample(name=image.stem, image_file=image, label_file=labels[image.stem])
        for image in list_files(folder / "images")
        if image.stem in labels
    ]
    return ImageDataset(
        title=folder.name,
        subset=subset,
        classes={},
        samples=check_any(samples, "images with labels", folder),
    )
