"""Tables 1 and 2: few-shot segmentation, and that part of Table 4a."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.datasets import coco20i, fss1000, pascal5i
from napari_seggpt.datasets.base import DatasetError
from napari_seggpt.datasets.few_shot import EPISODES, FOLDS
from napari_seggpt.datasets.layouts import find_folders
from napari_seggpt.evaluation.paper import choices, published
from napari_seggpt.evaluation.paper.plan import Plan, Unit, blocks
from napari_seggpt.evaluation.paper.report import Report, Row, paper_row, percent
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.metrics.few_shot import (
    EpisodeCounts,
    FewShotScore,
    count_episode,
    score_episodes,
)
from napari_seggpt.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_seggpt.datasets.few_shot import Episode, Fold
    from napari_seggpt.evaluation.paper.plan import PaperOptions
    from napari_seggpt.settings import Ensemble

BLOCK = 50  # episodes of a unit
SEEDS = (0,)  # HSNet tests with this one
SHOTS_OF_PAPER = {1: "one", 5: "few"}
HERE = "SegGPT"

NEEDS = {
    "coco-20i": coco20i.NEEDS,
    "pascal-5i": pascal5i.NEEDS,
    "fss-1000": fss1000.NEEDS,
}
TITLES = {"coco-20i": "COCO-20i", "pascal-5i": "PASCAL-5i", "fss-1000": "FSS-1000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A way to be given a class: how many examples, joined how, drawn how."""

    shots: int
    seed: int
    ensemble: Ensemble = "feature"

    @property
    def key(self) -> str:
        """What tells it from others."""
        return f"{self.shots}-{self.ensemble}/seed-{self.seed}"


class FewShotData:
    """The folds of the data sets that were found, each opened when it is needed."""

    def __init__(self, options: PaperOptions, names: Iterable[str]) -> None:
        wanted = {name: NEEDS[name] for name in names}
        self.folders = find_folders(options.data, wanted)
        self.missing = [name for name in wanted if name not in self.folders]
        self._options = options
        self._fold = lru_cache(maxsize=None)(self._open)

    def fold(self, name: str, number: int) -> Fold:
        """Return a fold of a data set."""
        return self._fold(name, number)

    def _open(self, name: str, number: int) -> Fold:
        folder, splits = self.folders[name], self._options.splits
        if name == "pascal-5i":
            return pascal5i.pascal_fold(folder, number, splits)
        if name == "coco-20i":
            return coco20i.coco_fold(folder, number, splits)
        return fss1000.fss_fold(folder, splits)

    def folds(self, name: str) -> range:
        """Return the numbers of the folds of a data set."""
        return range(1 if name == "fss-1000" else FOLDS)

    def episodes(self, name: str) -> int:
        """Return how many episodes of a fold are tested."""
        fold = self.fold(name, 0)
        count = fold.queries() if isinstance(fold, fss1000.FssFold) else EPISODES
        limit = self._options.limit
        return count if limit is None else min(count, limit)

    def scored(
        self, name: str, number: int, counts: Sequence[EpisodeCounts]
    ) -> Sequence[int]:
        """Return the classes that count: those of a fold.

        With a limit, only those that an episode looked for.
        """
        classes = self.fold(name, number).classes
        if self._options.limit is None:
            return classes
        drawn = {one.class_id for one in counts}
        return [i for i in classes if i in drawn]

    def notes(self) -> tuple[str, ...]:
        """Say what is missing, and what makes figures not comparable."""
        notes = [f"{TITLES[x]} was not found." for x in self.missing]
        if self._options.splits is None:
            notes.append(
                "Without --splits (data/splits of HSNet) images were listed here, so "
                "that the episodes are not HSNet's, and all categories of FSS-1000 "
                "are tested."
            )
        if self._options.limit is not None:
            notes.append(
                f"Only {self._options.limit} episodes of a fold were tested. mIoU is "
                "the mean over the classes that were looked for."
            )
        return tuple(notes)


def run_episodes(
    options: PaperOptions, fold: Fold, setting: Setting, block: range
) -> list[list[int]]:
    """Predict some episodes; returns counts by class, as rows of numbers."""
    settings = replace(
        options.prediction, ensemble=setting.ensemble, max_prompts=setting.shots
    )
    predictor = Predictor(options.model, settings=settings)
    counts: dict[int, EpisodeCounts] = {}
    episodes = fold.episodes(setting.shots, setting.seed, block.stop)
    for episode in islice(episodes, block.start, None):
        one = _run(predictor, episode)
        known = counts.get(one.class_id)
        counts[one.class_id] = one if known is None else known + one
    return [[i, *x.intersection, *x.union] for i, x in sorted(counts.items())]


def _run(predictor: Predictor, episode: Episode) -> EpisodeCounts:
    masks = [(x.labels() == 1).astype(np.uint8) for x in episode.supports]
    true = episode.query.labels()
    if any(mask.any() for mask in masks):
        predictor.set_prompts(
            Prompt(image=x.image(), labels=mask)
            for x, mask in zip(episode.supports, masks, strict=True)
        )
        predicted = predictor.predict(episode.query.image()).labels == 1
    else:  # nothing is shown, so that nothing can be found
        predicted = np.zeros(true.shape, bool)
    return count_episode(episode.class_id, predicted, true)


def units_of(
    options: PaperOptions,
    data: FewShotData,
    name: str,
    settings: Sequence[Setting],
) -> list[Unit]:
    """Return the work on a data set."""
    return [
        Unit(
            key=f"{name}/fold-{fold}/{setting.key}/{block.start:05}",
            run=partial(_run_block, options, data, name, fold, setting, block),
        )
        for setting in settings
        for fold in data.folds(name)
        for block in blocks(data.episodes(name), BLOCK)
    ]


def _run_block(
    options: PaperOptions,
    data: FewShotData,
    name: str,
    fold: int,
    setting: Setting,
    block: range,
) -> list[list[int]]:
    return run_episodes(options, data.fold(name, fold), setting, block)


def score(
    done: Mapping[str, Any], data: FewShotData, name: str, settings: Sequence[Setting]
) -> FewShotScore:
    """Average over the folds of a data set, and over settings that differ in seed."""
    scores = []
    for setting in settings:
        for fold in data.folds(name):
            start = f"{name}/fold-{fold}/{setting.key}/"
            counts = [
                EpisodeCounts(
                    class_id=row[0],
                    intersection=(row[1], row[2]),
                    union=(row[3], row[4]),
                )
                for key, rows in done.items()
                if key.startswith(start)
                for row in rows
            ]
            scores.append(score_episodes(counts, data.scored(name, fold, counts)))
    return FewShotScore(
        miou=float(np.mean([one.miou for one in scores])),
        fb_iou=float(np.mean([one.fb_iou for one in scores])),
    )


# -- the tables --------------------------------------------------------------------


def plan_table_1(options: PaperOptions) -> Plan:
    """Plan Table 1: COCO-20i and PASCAL-5i."""
    return _plan(
        options,
        ("coco-20i", "pascal-5i"),
        "Table 1: few-shot segmentation, mIoU in %",
        published.FEW_SHOT,
    )


def plan_table_2(options: PaperOptions) -> Plan:
    """Plan Table 2: FSS-1000."""
    return _plan(
        options,
        ("fss-1000",),
        "Table 2: few-shot segmentation of FSS-1000, mIoU in %",
        published.FSS_1000,
    )


def _plan(
    options: PaperOptions,
    names: tuple[str, ...],
    title: str,
    theirs: Mapping[str, tuple[float, ...]],
) -> Plan:
    data = FewShotData(options, names)
    check_found(data.folders, names, options.data)
    seeds, shots = options.seeds or SEEDS, options.shots or SHOTS_OF_PAPER
    settings = {n: [Setting(shots=n, seed=s) for s in seeds] for n in shots}
    every = [setting for each in settings.values() for setting in each]
    columns = tuple(f"{TITLES[x]} {n}" for x in names for n in SHOTS_OF_PAPER.values())

    def summarise(done: Mapping[str, Any]) -> Report:
        ours: dict[str, float] = {}
        for name in data.folders:
            for n, each in settings.items():
                found = score(done, data, name, each)
                column = f"{TITLES[name]} {SHOTS_OF_PAPER.get(n, f'{n} shots')}"
                ours |= {column: found.miou, f"{column} FB": found.fb_iou}
        more = tuple(column for column in ours if column not in columns)
        rows = [paper_row(name, columns, x) for name, x in theirs.items()]
        rows.append(Row(name=HERE, values=percent(ours), ours=True))
        return Report(
            title=title,
            columns=columns + more,
            rows=tuple(rows),
            choices=choices.FEW_SHOT,
            notes=data.notes(),
        )

    return Plan(
        units=[
            x for name in data.folders for x in units_of(options, data, name, every)
        ],
        summarise=summarise,
        facts=facts(data),
    )


def facts(data: FewShotData) -> dict[str, Any]:
    """Say what the episodes are a function of."""
    return {
        "few-shot data": sorted(data.folders),
        "episodes": {name: data.episodes(name) for name in sorted(data.folders)},
    }


def check_found(found: Mapping[str, Path], names: Sequence[str], where: Path) -> None:
    """Refuse a folder in which nothing of what a table needs was found.

    Raises
    ------
    DatasetError
        With what was looked for.
    """
    if not found:
        raise DatasetError(
            f"Expected one of {', '.join(names)} in {where} or below, got none."
        )
