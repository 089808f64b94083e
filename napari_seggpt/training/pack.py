"""write_pack: labelled images made small enough to be carried to another machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.training.dataset import MANIFEST, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.training.dataset import DataSet

QUALITY = 78  # of JPEG; training blurs and bends the pictures more than that


def write_pack(datasets: Iterable[DataSet], folder: Path) -> int:
    """Write data sets as they are held for training, so that they can be read again.

    Images are as small as training takes them, and JPEG; labels are PNG. Both lie in
    folders as `read_datasets` expects them.

    Parameters
    ----------
    datasets : iterable of DataSet
        As they were read.
    folder : Path
        It is made, and must not exist.

    Returns
    -------
    int
        How many bytes were written.

    Raises
    ------
    DataError
        If the folder exists, two sets have one name, or an id is above 65535.
    """
    if folder.exists():
        raise DataError(f"Expected a folder that does not exist, got {folder}.")
    facts: dict[str, dict[str, Any]] = {}
    for data in datasets:
        if data.name in facts:
            raise DataError(f"Expected data sets of different names, got {data.name}.")
        facts[data.name] = _write_set(data, folder / data.name)
    (folder / MANIFEST).write_text(json.dumps(facts, indent=1) + "\n")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_set(data: DataSet, folder: Path) -> dict[str, Any]:
    """Write the images of one set; return what the manifest tells of it."""
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True)
    labels.mkdir()
    for number, one in enumerate(data.images):
        picture = Image.fromarray(one.image)
        picture.save(images / _name(number, ".jpg"), quality=QUALITY, optimize=True)
        Image.fromarray(_small(one.labels)).save(labels / _name(number, ".png"))
    return {
        "label_kind": data.label_kind,
        "weight": data.weight,
        "sequences": {
            str(number): [_name(place, ".jpg") for place in places]
            for number, places in enumerate(data.sequences)
        },
    }


def _name(number: int, suffix: str) -> str:
    return f"{number:05d}{suffix}"


def _small(labels: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    largest = int(labels.max(initial=0))
    if largest > np.iinfo(np.uint16).max:
        raise DataError(f"Expected label ids up to 65535, got {largest}.")
    return labels.astype(np.uint8 if largest < 256 else np.uint16)
