"""Vessels of the retina: DRIVE, STARE, CHASE_DB1 and HRF."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.datasets.base import (
    IGNORED,
    ImageDataset,
    check_any,
    list_files,
    read_rgb,
    read_values,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels, Picture

VESSEL = {1: "vessel"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VesselSample:
    """A fundus image, the vessels drawn by the first observer, and the field of view.

    Attributes
    ----------
    view_file : Path or None
        Where the camera saw something; what lies outside is ignored.
    """

    name: str
    image_file: Path
    label_file: Path
    view_file: Path | None = None

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def labels(self) -> Labels:
        """Return the vessels (H, W) as 1."""
        labels = _is_white(self.label_file).astype(np.int32)
        if self.view_file is not None:
            labels[~_is_white(self.view_file)] = IGNORED
        return labels


def _is_white(file: Path) -> NDArray[np.bool_]:
    values = read_values(file)
    grey = values.max(-1) if values.ndim == 3 else values
    return np.asarray(grey > grey.max() / 2) if grey.any() else grey > 0


def open_drive(folder: Path, subset: str) -> ImageDataset[VesselSample]:
    """Open DRIVE: `training` or `test`, each with a field of view."""
    part = folder / subset
    samples = [
        VesselSample(
            name=image.stem,
            image_file=image,
            label_file=part / "1st_manual" / f"{image.stem[:2]}_manual1.gif",
            view_file=part / "mask" / f"{image.stem}_mask.gif",
        )
        for image in list_files(part / "images", "*.tif")
    ]
    return _dataset("DRIVE", subset, samples, part)


def open_stare(folder: Path, subset: str) -> ImageDataset[VesselSample]:
    """Open STARE with the labels of Adam Hoover, packed or not."""
    labels = {
        file.name.partition(".")[0]: file for file in list_files(folder, "*/*.ah.ppm*")
    }
    images = {
        file.name.partition(".")[0]: file
        for file in list_files(folder, "*/*.ppm*")
        if ".ah." not in file.name and ".vk." not in file.name
    }
    samples = [
        VesselSample(name=name, image_file=images[name], label_file=file)
        for name, file in labels.items()
        if name in images
    ]
    return _dataset("STARE", subset, samples, folder)


def open_chase_db1(folder: Path, subset: str) -> ImageDataset[VesselSample]:
    """Open CHASE_DB1 with the labels of the first observer."""
    samples = [
        VesselSample(
            name=image.stem,
            image_file=image,
            label_file=image.with_name(f"{image.stem}_1stHO.png"),
        )
        for image in list_files(folder, "Image_*.jpg")
    ]
    return _dataset("CHASE_DB1", subset, samples, folder)


def open_hrf(folder: Path, subset: str) -> ImageDataset[VesselSample]:
    """Open HRF: healthy, glaucomatous and diabetic eyes in high resolution."""
    samples = [
        VesselSample(
            name=image.stem,
            image_file=image,
            label_file=folder / "manual1" / f"{image.stem}.tif",
            view_file=folder / "mask" / f"{image.stem}_mask.tif",
        )
        for image in list_files(folder / "images")
    ]
    return _dataset("HRF", subset, samples, folder)


def _dataset(
    title: str, subset: str, samples: list[VesselSample], where: Path
) -> ImageDataset[VesselSample]:
    there = [x for x in samples if x.label_file.is_file()]
    return ImageDataset(
        title=title,
        subset=subset,
        classes=VESSEL,
        samples=check_any(there, "images with labels", where),
    )
