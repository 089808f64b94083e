"""A table of the labelled objects of a stack."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label as connected
from skimage.measure import regionprops_table

from napari_seggpt.untrusted import safe_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO

    from numpy.typing import NDArray

    from napari_seggpt.frames import Frames

MEASURES = {
    "num_pixels": "pixels",
    "area": "area",
    "centroid-0": "centroid_y",
    "centroid-1": "centroid_x",
    "equivalent_diameter_area": "diameter",
    "axis_major_length": "major_axis",
    "axis_minor_length": "minor_axis",
    "eccentricity": "eccentricity",
    "orientation": "orientation",
    "bbox-0": "top",
    "bbox-1": "left",
    "bbox-2": "bottom",
    "bbox-3": "right",
}
INTENSITY = "intensity"
DIGITS = 12  # of a measure: pixels are whole in any mosaic, and noise is not shown
PROPERTIES = tuple(dict.fromkeys(name.split("-")[0] for name in MEASURES))

Row = dict[str, Any]


def measure_frame(
    labels: NDArray[np.integer[Any]],
    spacing: Sequence[float] = (1.0, 1.0),
    *,
    objects: bool = False,
    image: NDArray[Any] | None = None,
) -> Iterator[Row]:
    """Measure the labels of a frame (H, W).

    Parameters
    ----------
    labels : NDArray
        (H, W), integers; 0 is background.
    spacing : sequence of float
        Height and width of a pixel. Lengths and areas are in its unit; `pixels` and the
        box from `top` to `right` are in pixels.
    objects : bool
        Whether each connected region of a label is an object of its own, numbered from
        1 in each frame; else all pixels of a label are one.
    image : NDArray, optional
        (H, W) or (H, W, C), whose mean in each object is then measured, too.
    """
    if objects:
        regions = connected(labels, connectivity=2)
    else:  # ids from 1 on, since the time it takes grows with the largest
        regions = np.unique(labels, return_inverse=True)[1].reshape(labels.shape) + 1
        regions[labels == 0] = 0
    if not regions.any():
        return
    numbers, places = np.unique(regions, return_index=True)
    ids = dict(zip(numbers.tolist(), labels.flat[places].tolist(), strict=True))
    table = regionprops_table(
        regions, properties=("label", *PROPERTIES), spacing=tuple(spacing)
    )
    means = None if image is None else region_means(image, regions)
    for at, region in enumerate(table["label"].tolist()):
        row: Row = {"label": ids[region]}
        if objects:
            row["object"] = region
        row |= {name: _plain(table[key][at]) for key, name in MEASURES.items()}
        if means is not None:
            row[INTENSITY] = _plain(means[region])
        yield row


def region_means(
    image: NDArray[Any], regions: NDArray[np.integer[Any]]
) -> NDArray[np.float64]:
    """Return the mean of an image in each region, by its number; 0 where there is none.

    Parameters
    ----------
    image : NDArray
        (H, W) or (H, W, C).
    regions : NDArray
        (H, W), numbers from 0 on; the time it takes grows with the largest.

    Raises
    ------
    ValueError
        If the image is of another shape.
    """
    grey = image.mean(axis=2) if image.ndim == 3 else image
    if grey.shape != regions.shape:
        raise ValueError(
            f"Expected an image of the labels' shape {regions.shape}, got {grey.shape}."
        )
    sums = np.bincount(regions.ravel(), np.asarray(grey, np.float64).ravel())
    means: NDArray[np.float64] = sums / np.maximum(1, np.bincount(regions.ravel()))
    return means


def _plain(value: Any) -> float | int:
    if np.issubdtype(type(value), np.integer):
        return int(value)
    return float(f"{value:.{DIGITS}g}")


def write_table(
    file: IO[str],
    frames: Iterable[tuple[int, NDArray[np.integer[Any]], Mapping[str, Any]]],
    *,
    spacing: Sequence[float] = (1.0, 1.0),
    unit: str = "pixel",
    classes: Mapping[int, str] | None = None,
    objects: bool = False,
    images: Frames | None = None,
) -> Iterator[int]:
    """Write what `measure_frame` finds as CSV, a row an object, as it is iterated over.

    Parameters
    ----------
    file : text file
        Opened with ``newline=""``.
    frames : iterable of (int, NDArray, mapping)
        Number and labels of each frame, and what else there is to say of it: all with
        the same keys.
    spacing, objects
        As of `measure_frame`.
    unit : str
        Of the spacing.
    classes : mapping, optional
        Names of labels.
    images : Frames, optional
        The images of the frames, whose mean in each object is then a column.

    Raises
    ------
    ValueError
        If an image is of another shape than its labels.

    Yields
    ------
    int
        How many objects a frame has, once they are written.
    """
    writer: csv.DictWriter[str] | None = None
    for index, labels, facts in frames:
        if writer is None:
            names = [
                "frame",
                "label",
                "class",
                *(["object"] if objects else []),
                *facts,
            ]
            more = [] if images is None else [INTENSITY]
            writer = csv.DictWriter(file, [*names, "unit", *MEASURES.values(), *more])
            writer.writeheader()
        image = None if images is None else images[index]
        rows = list(measure_frame(labels, spacing, objects=objects, image=image))
        for row in rows:
            name = (classes or {}).get(row["label"], "")
            cells = {"frame": index, "class": name, "unit": unit, **facts, **row}
            writer.writerow({key: safe_cell(cell) for key, cell in cells.items()})
        yield len(rows)
