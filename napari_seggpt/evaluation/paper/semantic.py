"""Table 5 and Table S1: all classes of ADE20K, by a tuned prompt or by examples."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets.layouts import find_folders, needs_of
from napari_seggpt.datasets.semantic import open_ade20k
from napari_seggpt.evaluation.paper import choices, published
from napari_seggpt.evaluation.paper.few_shot import check_found
from napari_seggpt.evaluation.paper.plan import Plan, Preparation, Unit, blocks
from napari_seggpt.evaluation.paper.report import Report, Row, paper_row, percent
from napari_seggpt.evaluation.paper.tuned import TunedPrompts, nearest_classes
from napari_seggpt.files import write_whole
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.metrics.semantic import ClassCounts, count_classes
from napari_seggpt.palette import Palette
from napari_seggpt.prompts import Prompt
from napari_seggpt.wording import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_seggpt.datasets.base import ImageDataset, PairedSample
    from napari_seggpt.evaluation.paper.plan import PaperOptions

BLOCK = 20  # images of a unit
MIOU, MACC = "mIoU", "mAcc"


def _open(options: PaperOptions) -> tuple[ImageDataset[PairedSample], ...]:
    """Return the images to learn from, and those that are tested."""
    found = find_folders(options.data, needs_of("ade20k"))
    check_found(found, ("ade20k",), options.data)
    tested = open_ade20k(found["ade20k"], options.subset or "validation")
    tested = replace(tested, samples=options.first(tested.samples))
    return open_ade20k(found["ade20k"], "training"), tested


def _to_json(counts: ClassCounts) -> dict[str, dict[int, int]]:
    return {
        "common": dict(counts.common),
        "predicted": dict(counts.predicted),
        "true": dict(counts.true),
    }


def _from_json(values: Iterable[Mapping[str, Mapping[str, int]]]) -> ClassCounts:
    return ClassCounts.sum(
        ClassCounts(**{
            name: {int(i): n for i, n in counts.items()} for name, counts in one.items()
        })
        for one in values
    )  # fmt: skip


def _scores(counts: ClassCounts) -> dict[str, float]:
    return percent({MIOU: counts.mean_iou, MACC: counts.mean_accuracy})


def _notes(options: PaperOptions) -> tuple[str, ...]:
    limit = options.limit
    return () if limit is None else (f"Only {limit} images were tested.",)


# -- Table 5 -----------------------------------------------------------------------


def plan_table_5(options: PaperOptions) -> Plan:
    """Plan Table 5: ADE20K with a tuned prompt."""
    training, tested = _open(options)
    palette = Palette.painter(tested.classes)
    prompts = TunedPrompts(options, options.prompts, "prompt", palette)

    def summarise(done: Mapping[str, Any]) -> Report:
        rows = [
            paper_row(name, (MIOU,), (value,))
            for name, value in published.ADE20K.items()
        ]
        ours = _scores(_from_json(done.values()))
        rows.append(Row(name="SegGPT, tuned", values=ours, ours=True))
        return Report(
            title="Table 5: semantic segmentation of ADE20K, in %",
            columns=(MIOU, MACC),
            rows=tuple(rows),
            choices=choices.ADE20K,
            notes=_notes(options),
        )

    return Plan(
        units=[
            Unit(
                key=f"{block.start:05}",
                run=partial(_run_tuned, prompts, tested, block),
            )
            for block in blocks(len(tested), BLOCK)
        ],
        summarise=summarise,
        facts={"ADE20K": [tested.subset, len(tested)], "prompts": prompts.facts()},
        preparations=prompts.preparations(training),
    )


def _run_tuned(
    prompts: TunedPrompts, tested: ImageDataset[PairedSample], block: range
) -> dict[str, dict[int, int]]:
    predictor = prompts.predictor()
    counts = [
        count_classes(
            nearest_classes(predictor, tested[index].image()), tested[index].labels()
        )
        for index in block
    ]
    return _to_json(ClassCounts.sum(counts))


# -- Table S1 ----------------------------------------------------------------------


def plan_table_s1(options: PaperOptions) -> Plan:
    """Plan Table S1: ADE20K by 1 to 32 examples of each class, best of four seeds."""
    training, tested = _open(options)
    shown = _ShownClasses(training, options.results / "training-classes.json")
    counts = options.examples or tuple(published.EXAMPLES)
    seeds = options.seeds or published.S1_SEEDS

    def summarise(done: Mapping[str, Any]) -> Report:
        rows = []
        for count in counts:
            name = count_of(count, "example")
            if count in published.EXAMPLES:
                theirs = published.EXAMPLES[count]
                rows.append(paper_row(name, (MIOU, MACC), theirs))
            by_seed = [
                _scores(_from_json(_starting(done, f"{count}/seed-{seed}/")))
                for seed in seeds
            ]
            best = max(by_seed, key=lambda scores: scores[MIOU])
            rows.append(Row(name=name, values=best, ours=True))
        rows.append(paper_row("tuned", (MIOU, MACC), published.TUNED_EXAMPLE))
        return Report(
            title=f"Table S1: ADE20K by examples, best of {len(seeds)} seeds, in %",
            columns=(MIOU, MACC),
            rows=tuple(rows),
            choices=choices.EXAMPLES,
            notes=_notes(options),
        )

    units = [
        Unit(
            key=f"{count}/seed-{seed}/{block.start:05}",
            run=partial(_run_examples, options, shown, tested, count, seed, block),
        )
        for count in counts
        for seed in seeds
        for block in blocks(len(tested), BLOCK)
    ]
    return Plan(
        units=units,
        summarise=summarise,
        facts={"ADE20K": [tested.subset, len(tested)], "training": len(training)},
        preparations=[shown.preparation()],
    )


def _starting(done: Mapping[str, Any], start: str) -> Iterator[Any]:
    return (value for key, value in done.items() if key.startswith(start))


class _ShownClasses:
    """Which training images show each class, found once and kept in a file."""

    def __init__(self, training: ImageDataset[PairedSample], file: Path) -> None:
        self.training = training
        self._file = file
        self._shown = lru_cache(maxsize=1)(self._read)

    def preparation(self) -> Preparation:
        """Return what makes the file."""
        return Preparation(
            title="Looking for the classes of training images",
            file=self._file,
            steps=self._find,
            total=len(self.training),
        )

    def _find(self) -> Iterator[object]:
        found: dict[int, list[int]] = {}
        for index, sample in enumerate(self.training.samples):
            for i in np.unique(sample.labels()).tolist():
                if i > 0:
                    found.setdefault(i, []).append(index)
            yield index
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps(found).encode())

    def _read(self) -> dict[int, list[int]]:
        found = json.loads(self._file.read_text())
        return {int(i): images for i, images in sorted(found.items())}

    def classes(self) -> list[int]:
        """Return the classes that any image shows."""
        return sorted(self._shown())

    def draw(self, class_id: int, count: int, seed: int) -> list[Prompt]:
        """Draw examples of a class, as masks: fewer are the first of more."""
        images = self._shown()[class_id]
        rng = np.random.default_rng((seed, class_id))
        samples = (
            self.training[images[i]] for i in rng.permutation(len(images))[:count]
        )
        return [
            Prompt(
                image=sample.image(),
                labels=(sample.labels() == class_id).astype(np.uint8),
            )
            for sample in samples
        ]


def _run_examples(
    options: PaperOptions,
    shown: _ShownClasses,
    tested: ImageDataset[PairedSample],
    count: int,
    seed: int,
    block: range,
) -> dict[str, dict[int, int]]:
    """Paint each class in a pass of its own, and take the brightest.

    The classes are the outer loop, so that the examples of one are read once for a
    block of images.
    """
    images = [tested[index].image() for index in block]
    brightest = [np.full(image.shape[:2], -1.0, np.float32) for image in images]
    predicted = [np.zeros(image.shape[:2], np.int64) for image in images]
    settings = replace(options.prediction, max_prompts=count)
    predictor = Predictor(options.model, settings=settings)
    for class_id in shown.classes():
        predictor.set_prompts(shown.draw(class_id, count, seed))
        for place, painted in enumerate(_paint(predictor, images)):
            better = painted > brightest[place]
            brightest[place][better] = painted[better]
            predicted[place][better] = class_id
    counts = [
        count_classes(one, tested[index].labels())
        for one, index in zip(predicted, block, strict=True)
    ]
    return _to_json(ClassCounts.sum(counts))


def _paint(
    predictor: Predictor, images: Sequence[NDArray[Any]]
) -> Iterator[NDArray[np.float32]]:
    """Yield how brightly each image (H, W) is painted."""
    for part in blocks(len(images), predictor.settings.batch):
        for one in predictor.predict_batch([images[i] for i in part]):
            yield one.colors[0].mean(-1)
