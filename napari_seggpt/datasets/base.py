"""What the readers of published data sets have in common."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from napari_seggpt.io import read_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Labels = NDArray[np.int32]

IGNORED = -1  # the label of pixels that the authors do not score
MOST_CLASSES = 255
VOID = 255  # what marks such pixels in most published files
TIFF_SUFFIXES = (".tif", ".tiff")


class DatasetError(ValueError):
    """A folder that is no data set of the wanted kind: what was expected, what came."""


class Sample(Protocol):
    """An image and the classes of its pixels; both are read when they are asked for."""

    @property
    def name(self) -> str:
        """What the authors call it."""

    def image(self) -> NDArray[Any]:
        """Return the image (H, W) or (H, W, 3) at its full size."""

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W): 0 is background, or `IGNORED`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ObjectMask:
    """One object of an image.

    Attributes
    ----------
    class_id : int
        What it is.
    mask : NDArray[np.bool_]
        (H, W); objects may overlap.
    is_crowd : bool
        Whether it stands for several objects that nobody told apart.
    """

    class_id: int
    mask: NDArray[np.bool_]
    is_crowd: bool = False


Found = TypeVar("Found")
AnySample = TypeVar("AnySample", bound=Sample, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDataset(Generic[AnySample]):
    """A subset of a published data set of images.

    Attributes
    ----------
    title, subset : str
        What it is, as in a sentence, and which part of it.
    classes : mapping of int to str
        The class ids that labels may have besides 0 and `IGNORED`, and their names.
    samples : sequence of Sample
        None of which has been read yet.
    """

    title: str
    subset: str
    classes: Mapping[int, str]
    samples: Sequence[AnySample]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> AnySample:
        return self.samples[index]


def class_ids(dataset: ImageDataset[Sample]) -> list[int]:
    """Return the classes of a data set; all labels are read where it does not say.

    Raises
    ------
    DatasetError
        If there are more of them than colours can tell apart: they are objects.
    """
    if dataset.classes:
        return sorted(dataset.classes)
    found: set[int] = set()
    for sample in dataset.samples:
        found |= {int(i) for i in np.unique(sample.labels()) if i > 0}
        if len(found) > MOST_CLASSES:
            raise DatasetError(
                f"Expected labels that are classes in {dataset.title}, "
                f"got more than {MOST_CLASSES}."
            )
    return check_any(sorted(found), "labels", dataset.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedSample:
    """An image file and a label file.

    Attributes
    ----------
    image_file, label_file : Path
        Where they are.
    decode : callable
        Makes classes (H, W) of the values in the label file.
    """

    name: str
    image_file: Path
    label_file: Path
    decode: Callable[[NDArray[Any]], Labels]

    def image(self) -> Picture:
        """Return the image (H, W, 3)."""
        return read_rgb(self.image_file)

    def labels(self) -> Labels:
        """Return the class of each pixel (H, W)."""
        return self.decode(read_values(self.label_file))


# -- files -------------------------------------------------------------------------


def read_rgb(file: Path) -> Picture:
    """Read an image file of any kind as 8-bit RGB (H, W, 3), as the official code does.

    Raises
    ------
    DatasetError
        If it is no image.
    """
    with _opened(file) as image:
        return np.asarray(image.convert("RGB"))


def read_grey(file: Path) -> Picture:
    """Read an image file of any kind as 8-bit grey (H, W).

    Raises
    ------
    DatasetError
        If it is no image.
    """
    with _opened(file) as image:
        return np.asarray(image.convert("L"))


def read_values(file: Path) -> NDArray[Any]:
    """Read a label file as it is: of palette images the indices, not the colours.

    Raises
    ------
    DatasetError
        If it is no image.
    """
    if file.suffix.lower() in TIFF_SUFFIXES:
        return read_frame(file, labels=True)
    with _opened(file) as image:
        return np.asarray(image)


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """Open an image file, which may be packed with gzip."""
    opener: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rb") as stream, Image.open(stream) as image:
            yield image
    except OSError as error:
        raise DatasetError(f"Expected an image at {file}, got: {error}") from None


def list_files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files of a folder that match, in the order of their names."""
    files = sorted(folder.glob(pattern))
    return [file for file in files if file.is_file() and file.name[0] != "."]


def read_lines(file: Path) -> list[str]:
    """Return the lines of a list of samples that are not empty.

    Raises
    ------
    DatasetError
        If there is no such list.
    """
    try:
        lines = file.read_text().splitlines()
    except OSError as error:
        raise DatasetError(f"Expected a list of samples, got: {error}") from None
    return [line.strip() for line in lines if line.strip()]


@contextmanager
def understood(what: str, file: Path) -> Iterator[None]:
    """Say which file is not as it should be, where it makes no sense.

    Raises
    ------
    DatasetError
        Instead of what reading something else than expected raises.
    """
    try:
        yield
    except DatasetError:
        raise
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as e:
        reason = f"no {e}" if isinstance(e, KeyError) else str(e)
        raise DatasetError(f"Expected {what} in {file}, got: {reason}") from e


def check_any(found: list[Found], what: str, where: object) -> list[Found]:
    """Return what was found, of which there must be some.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if not found:
        raise DatasetError(f"Expected {what} in {where}, got none.")
    return found


# -- values to classes -------------------------------------------------------------


def class_table(classes: Mapping[int, int], *, others: int = IGNORED) -> Labels:
    """Return the class (256,) of every 8-bit value: `classes` by value, else `others`.

    It is what `lookup` takes.
    """
    table = np.full(256, others, np.int32)
    for value, class_id in classes.items():
        table[value] = class_id
    return table


def lookup(table: Labels, values: NDArray[Any]) -> Labels:
    """Return the class of each value (H, W), from a table."""
    return table[values]


def numbered(names: Sequence[str]) -> dict[int, str]:
    """Number the names of classes from 1."""
    return dict(enumerate(names, 1))


def as_it_is(last: int) -> Callable[[NDArray[Any]], Labels]:
    """Return how label files are decoded that hold classes 0 to `last`; 255 is void."""
    return partial(lookup, class_table({i: i for i in range(last + 1)}))
