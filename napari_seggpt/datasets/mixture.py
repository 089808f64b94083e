"""The mixture of data sets that SegGPT was trained on (paper, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_seggpt.datasets.base import DatasetError, ImageDataset
from napari_seggpt.datasets.layouts import (
    NoTrainingSubsetError,
    find_folders,
    needs_of,
    open_dataset,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Kind = Literal["semantic", "instance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePart:
    """One line of the appendix: data sets that are drawn together.

    Attributes
    ----------
    name : str
        As in the paper.
    weight : float
        How often it is drawn, as printed; the printed weights sum to 0.99.
    layouts : tuple of str
        The data sets of it.
    kind : {"semantic", "instance"}
        Whether colours are drawn for classes or for objects.
    """

    name: str
    weight: float
    layouts: tuple[str, ...]
    kind: Kind = "semantic"


PAPER_MIXTURE = (
    MixturePart(
        name="COCO instance",
        weight=0.22,
        layouts=("coco-instances",),
        kind="instance",
    ),
    MixturePart(name="ADE20K semantic", weight=0.15, layouts=("ade20k",)),
    MixturePart(
        name="COCO panoptic as semantic", weight=0.15, layouts=("coco-panoptic",)
    ),
    MixturePart(name="Cityscapes", weight=0.07, layouts=("cityscapes",)),
    MixturePart(name="COCO stuff", weight=0.07, layouts=("coco-stuff",)),
    MixturePart(name="LIP", weight=0.07, layouts=("lip",)),
    MixturePart(name="PASCAL VOC", weight=0.07, layouts=("voc",)),
    MixturePart(name="PACO", weight=0.07, layouts=("paco",)),
    MixturePart(name="iSAID and LoveDA", weight=0.06, layouts=("isaid", "loveda")),
    MixturePart(
        name="vessels", weight=0.06, layouts=("chase-db1", "drive", "hrf", "stare")
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedDataset:
    """A data set of a mixture.

    Attributes
    ----------
    dataset : ImageDataset
        None of whose images has been read yet.
    kind : {"semantic", "instance"}
        Whether colours are drawn for classes or for objects.
    weight : float
        How often it is drawn; the weights of a mixture sum to 1.
    """

    dataset: ImageDataset[Any]
    kind: Kind
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The data sets that were found, and the names of the parts that were not."""

    datasets: tuple[MixedDataset, ...]
    missing: tuple[str, ...]


def open_mixture(root: Path, parts: Sequence[MixturePart] = PAPER_MIXTURE) -> Mixture:
    """Open the parts of a mixture that lie in a folder, or below it, for training.

    A data set without its training subset counts as missing.

    Within a part, data sets are drawn by their numbers of images; the weights of what
    was found are scaled to sum to 1.

    Raises
    ------
    DatasetError
        If none of them is there.
    """
    names = [name for part in parts for name in part.layouts]
    folders = find_folders(root, needs_of(*names))
    found: list[MixedDataset] = []
    missing = []
    for part in parts:
        opened = [
            dataset
            for x in part.layouts
            if x in folders and (dataset := _open(folders[x], x)) is not None
        ]
        images = sum(len(dataset) for dataset in opened)
        found += [
            MixedDataset(
                dataset=dataset,
                kind=part.kind,
                weight=part.weight * len(dataset) / images,
            )
            for dataset in opened
        ]
        missing += [] if opened else [part.name]
    total = sum(one.weight for one in found)
    if not total:
        raise DatasetError(
            f"Expected one of {', '.join(x.name for x in parts)} in {root}, got none."
        )
    scaled = [
        MixedDataset(dataset=x.dataset, kind=x.kind, weight=x.weight / total)
        for x in found
    ]
    return Mixture(datasets=tuple(scaled), missing=tuple(missing))


def _open(folder: Path, layout: str) -> ImageDataset[Any] | None:
    try:
        dataset = open_dataset(folder, layout=layout, to_learn_from=True)
    except NoTrainingSubsetError:
        return None
    assert isinstance(dataset, ImageDataset)  # no part has videos
    return dataset
