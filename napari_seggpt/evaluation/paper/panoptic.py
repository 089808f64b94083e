"""Table 6: panoptic segmentation of COCO, by two tuned prompts."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from skimage.measure import label

from napari_seggpt.datasets.base import ImageDataset
from napari_seggpt.datasets.coco import open_panoptic, pack_ids
from napari_seggpt.datasets.layouts import find_folders, needs_of
from napari_seggpt.evaluation.paper import choices, published
from napari_seggpt.evaluation.paper.few_shot import check_found
from napari_seggpt.evaluation.paper.plan import Plan, Unit, blocks
from napari_seggpt.evaluation.paper.report import Report, Row, paper_row, percent
from napari_seggpt.evaluation.paper.tuned import TunedPrompts, nearest_classes
from napari_seggpt.files import write_whole
from napari_seggpt.metrics.panoptic import (
    SegmentCounts,
    count_segments,
    score_segments,
    sum_segments,
)
from napari_seggpt.palette import Palette

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import Labels
    from napari_seggpt.datasets.coco import PanopticDataset, PanopticSample
    from napari_seggpt.evaluation.paper.plan import PaperOptions

BLOCK = 20  # images of a unit
LEVELS = 7  # of each colour channel, for the classes of COCO in Painter
GRID = 8  # places that the centre of an object may have, along each side
SMALLEST_THING = 256  # pixels
SMALLEST_STUFF = 4096
LEARNED_FROM, TESTED = "train2017", "val2017"
PQ = "PQ"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedObjects:
    """A panoptic image whose objects are labelled by where their centre is."""

    sample: PanopticSample
    things: frozenset[int]

    @property
    def name(self) -> str:
        """That of the sample."""
        return self.sample.name

    def image(self) -> NDArray[Any]:
        """Return the image (H, W, 3)."""
        return self.sample.image()

    def labels(self) -> Labels:
        """Return the place (H, W), from 1, of the centre of the object at a pixel."""
        ids = self.sample.segment_map()
        labels = np.zeros(ids.shape, np.int32)
        for number, segment in self.sample.segments.items():
            if segment.class_id in self.things and not segment.is_crowd:
                mask = ids == number
                if mask.any():
                    labels[mask] = place_of(mask)
        return labels


def place_of(mask: NDArray[np.bool_]) -> int:
    """Return the place of the centre of a mask (H, W): its cell of a grid, from 1."""
    row, column = (
        int(places.mean() / side * GRID)
        for places, side in zip(np.nonzero(mask), mask.shape, strict=True)
    )
    return row * GRID + column + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PanopticPrediction:
    """Segments of an image.

    Attributes
    ----------
    ids : NDArray[np.int64]
        (H, W), from 1; 0 is void.
    classes : dict of int to int
        Of each segment.
    """

    ids: NDArray[np.int64]
    classes: dict[int, int]


def join(
    classes: NDArray[np.int64], places: NDArray[np.int64], things: Collection[int]
) -> PanopticPrediction:
    """Join a map of classes with one of objects.

    Parameters
    ----------
    classes : NDArray[np.int64]
        (H, W), things and stuff.
    places : NDArray[np.int64]
        (H, W), where an object is, the place of its centre.
    things : collection of int
        The classes that have objects.

    Returns
    -------
    PanopticPrediction
        A segment for every connected region of one place that is large enough and
        shows a thing, and one for each kind of stuff elsewhere.
    """
    ids = np.zeros(classes.shape, np.int64)
    found: dict[int, int] = {}
    regions, sizes = _regions(places)
    is_thing = np.isin(classes, list(things))
    for number in np.flatnonzero(sizes >= SMALLEST_THING):
        mask = regions == number
        shown = classes[mask & is_thing]
        if number and shown.size:
            found[len(found) + 1] = int(np.bincount(shown).argmax())
            ids[mask] = len(found)
    rest = (ids == 0) & ~is_thing
    for class_id in np.unique(classes[rest]):
        mask = rest & (classes == class_id)
        if np.count_nonzero(mask) >= SMALLEST_STUFF:
            found[len(found) + 1] = int(class_id)
            ids[mask] = len(found)
    return PanopticPrediction(ids=ids, classes=found)


def _regions(places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    regions: NDArray[np.int64] = label(places, connectivity=1, background=0)
    return regions, np.bincount(regions.ravel())


# -- the table ---------------------------------------------------------------------


def plan_table_6(options: PaperOptions) -> Plan:
    """Plan Table 6: a prompt for classes and one for objects, joined.

    The result is written as the challenge's server takes it, too.
    """
    found = find_folders(options.data, needs_of("coco-panoptic"))
    check_found(found, ("coco-panoptic",), options.data)
    tested = open_panoptic(found["coco-panoptic"], options.subset or TESTED)
    tested = replace(tested, samples=options.first(tested.samples))
    training = open_panoptic(found["coco-panoptic"], LEARNED_FROM)
    prompts = TunedPrompts(
        options, options.prompts, "classes", Palette.painter(tested.classes, LEVELS)
    )
    # A view would show an object at another place than that which it is labelled by.
    whole = replace(options.tuning, crop=1.0, flip=False)
    places = TunedPrompts(
        replace(options, tuning=whole),
        options.instance_prompts,
        "objects",
        Palette.of(range(1, GRID * GRID + 1)),
    )
    folder = options.results / f"panoptic_{tested.subset}"

    def summarise(done: Mapping[str, Any]) -> Report:
        _write_annotations(folder.with_suffix(".json"), done)
        return _summarise(options, tested, done, folder)

    return Plan(
        units=[
            Unit(
                key=f"{block.start:05}",
                run=partial(_run, prompts, places, tested, block, folder),
            )
            for block in blocks(len(tested), BLOCK)
        ],
        summarise=summarise,
        facts={
            "COCO panoptic": [tested.subset, len(tested)],
            "prompts": [*prompts.facts(), *places.facts()],
        },
        preparations=[
            *prompts.preparations(training),
            *places.preparations(_placed(training)),
        ],
    )


def _placed(training: PanopticDataset) -> ImageDataset[PlacedObjects]:
    return ImageDataset(
        title=f"{training.title}, objects",
        subset=training.subset,
        classes={i: f"place {i}" for i in range(1, GRID * GRID + 1)},
        samples=[
            PlacedObjects(sample=one, things=training.things)
            for one in training.samples
        ],
    )


def _run(
    prompts: TunedPrompts,
    places: TunedPrompts,
    tested: PanopticDataset,
    block: range,
    folder: Path,
) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for index in block:
        sample = tested[index]
        image = sample.image()
        predicted = join(
            nearest_classes(prompts.predictor(), image),
            places.predictor().predict(image).labels,
            tested.things,
        )
        images.append(_count(predicted, sample))
        file = f"{sample.name}.png"
        Image.fromarray(pack_ids(predicted.ids)).save(folder / file)
        annotations.append(_annotation(predicted, sample, file))
    counts = sum_segments(images)
    return {
        "counts": {i: [x.iou, x.matched, x.wrong, x.missed] for i, x in counts.items()},
        "annotations": annotations,
    }


def _count(
    predicted: PanopticPrediction, sample: PanopticSample
) -> dict[int, SegmentCounts]:
    return count_segments(
        predicted.ids,
        predicted.classes,
        sample.segment_map(),
        {i: one.class_id for i, one in sample.segments.items()},
        {i for i, one in sample.segments.items() if one.is_crowd},
    )


def _annotation(
    predicted: PanopticPrediction, sample: PanopticSample, file: str
) -> dict[str, Any]:
    return {
        "image_id": sample.image_id,
        "file_name": file,
        "segments_info": [
            {"id": number, "category_id": class_id}
            for number, class_id in predicted.classes.items()
        ],
    }


def _write_annotations(file: Path, done: Mapping[str, Any]) -> None:
    annotations = [
        one for _, value in sorted(done.items()) for one in value["annotations"]
    ]
    write_whole(file, json.dumps({"annotations": annotations}).encode())


def _summarise(
    options: PaperOptions,
    tested: PanopticDataset,
    done: Mapping[str, Any],
    folder: Path,
) -> Report:
    counts = sum_segments(
        {
            int(i): SegmentCounts(iou=x[0], matched=x[1], wrong=x[2], missed=x[3])
            for i, x in value["counts"].items()
        }
        for value in done.values()
    )
    ours: dict[str, float] = {}
    for name, classes in (
        ("", tested.classes.keys()),
        (" things", tested.things),
        (" stuff", tested.classes.keys() - tested.things),
    ):
        score = score_segments(counts, classes)
        parts = {"PQ": score.pq, "SQ": score.sq, "RQ": score.rq}
        ours |= {f"{part}{name}": x for part, x in parts.items()}
    rows = [paper_row(x, (PQ,), (value,)) for x, value in published.PANOPTIC.items()]
    rows.append(Row(name="SegGPT, tuned", values=percent(ours), ours=True))
    notes = [f"Result files for the server are in {folder}."]
    if options.limit is not None:
        notes.append(f"Only {options.limit} images were tested.")
    return Report(
        title="Table 6: panoptic segmentation of COCO, in %",
        columns=tuple(ours),
        rows=tuple(rows),
        choices=choices.PANOPTIC,
        notes=tuple(notes),
    )
