"""Published data sets to train on, read one image at a time (paper, appendix A)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from napari_seggpt.datasets.base import IGNORED
from napari_seggpt.datasets.mixture import open_mixture
from napari_seggpt.training.dataset import DataSet, LabelledImage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import ImageDataset, ObjectMask
    from napari_seggpt.datasets.mixture import MixedDataset

HELD_IMAGES = 8  # of each data set: those of an example, which are asked for twice


class PublishedImages(Sequence[LabelledImage]):
    """The images of a published data set at full size, read when they are drawn.

    Parameters
    ----------
    dataset : ImageDataset
        None of whose images has been read yet.
    objects : bool
        Whether labels are objects, numbered from 1, rather than classes.
    """

    def __init__(self, dataset: ImageDataset[Any], *, objects: bool) -> None:
        self._dataset = dataset
        self._objects = objects
        self._read = lru_cache(HELD_IMAGES)(self._read_image)

    def __len__(self) -> int:
        return len(self._dataset)

    @overload
    def __getitem__(self, place: int) -> LabelledImage: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[LabelledImage]: ...

    def __getitem__(
        self, place: int | slice
    ) -> LabelledImage | Sequence[LabelledImage]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        return self._read(range(len(self))[place])

    def _read_image(self, place: int) -> LabelledImage:
        sample = self._dataset[place]
        image = sample.image()
        if self._objects:
            labels = number_objects(sample.objects(), image.shape[:2])
        else:
            labels = sample.labels()
        return LabelledImage(image=image, labels=labels)

    def __reduce__(self) -> tuple[Any, ...]:
        # What was read stays here: processes that draw batches read for themselves.
        return partial(PublishedImages, objects=self._objects), (self._dataset,)


def number_objects(
    objects: Iterable[ObjectMask], shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Number objects from 1 in labels (H, W); small ones lie over large ones.

    Crowds, of which nobody told the objects apart, are `IGNORED`.
    """
    labels = np.zeros(shape, np.int32)
    drawn = sorted(objects, key=lambda one: (not one.is_crowd, -int(one.mask.sum())))
    for number, one in enumerate(drawn, start=1):
        labels[one.mask] = IGNORED if one.is_crowd else number
    return labels


def read_mixture(root: Path) -> tuple[list[DataSet], tuple[str, ...]]:
    """Open the data sets of the paper's mixture that lie in a folder, or below it.

    Returns
    -------
    tuple
        The data sets, with the paper's weights, and the names of the parts that are
        not there.

    Raises
    ------
    DatasetError
        If none of them is there.
    """
    mixture = open_mixture(root)
    return [_data_set(one) for one in mixture.datasets], mixture.missing


def _data_set(mixed: MixedDataset) -> DataSet:
    return DataSet(
        name=f"{mixed.dataset.title}, {mixed.dataset.subset}",
        label_kind=mixed.kind,
        images=PublishedImages(mixed.dataset, objects=mixed.kind == "instance"),
        weight=mixed.weight,
    )
