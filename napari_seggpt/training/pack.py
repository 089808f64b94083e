"""write_pack: labelled images made small enough to be carried to another machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from napari_seggpt.training.dataset import MANIFEST, UNKNOWN, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.training.dataset import DataSet

BYTE, SHORT = (int(np.iinfo(kind).max) for kind in (np.uint8, np.uint16))
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
        If the folder exists, two sets have one name, or an id is above 65535; above
        65534 where pixels are unknown.
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
    unknown = _unknown_value(data)
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True)
    labels.mkdir()
    for number, one in enumerate(data.images):
        picture = Image.fromarray(one.image)
        picture.save(images / _name(number, ".jpg"), quality=QUALITY, optimize=True)
        small = _small(one.labels, unknown)
        Image.fromarray(small).save(labels / _name(number, ".png"))
    return {
        **({} if unknown is None else {UNKNOWN: unknown}),
        "label_kind": data.label_kind,
        "weight": data.weight,
        "sequences": {
            str(number): [_name(place, ".jpg") for place in places]
            for number, places in enumerate(data.sequences)
        },
    }


def _name(number: int, suffix: str) -> str:
    return f"{number:05d}{suffix}"


def _unknown_value(data: DataSet) -> int | None:
    """Return what stands for unknown pixels (below 0) in a set; None without any.

    PNG has no numbers below 0.
    """
    largest = max((int(one.labels.max(initial=0)) for one in data.images), default=0)
    has_unknown = any((one.labels < 0).any() for one in data.images)
    limit = SHORT - has_unknown
    if largest > limit:
        raise DataError(f"Expected label ids up to {limit}, got {largest}.")
    if not has_unknown:
        return None
    return BYTE if largest < BYTE else SHORT


def _small(
    labels: NDArray[np.integer[Any]], unknown: int | None
) -> NDArray[np.integer[Any]]:
    stored = labels if unknown is None else np.where(labels < 0, unknown, labels)
    return stored.astype(np.uint8 if stored.max(initial=0) <= BYTE else np.uint16)
