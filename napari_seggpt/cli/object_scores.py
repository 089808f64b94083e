"""`evaluate --objects`: how well objects are told apart, and keep their ids."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say
from napari_seggpt.cli.tables import collect, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from napari_seggpt.cli.evaluate import EvaluateRequest
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.objects import ObjectScore
    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.model.seggpt import SegGPT

DISTANCES = (1, 3, 6, 11)  # frames from the reference, after which ids are looked at
WITH_OBJECTS = ("objects", "border")  # the tasks of sequences whose labels are objects


def run_objects(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
) -> int:
    """Measure objects and print; returns the exit code."""
    chosen = [one for one in sequences if one.task in WITH_OBJECTS]
    if not chosen:
        raise ValueError("Expected data sets whose labels are objects, got none.")
    steps = _scores(request, chosen, model, peers)
    scores: list[ObjectScore] = []
    total = request.num_predicted(chosen)
    code = collect(steps, scores, total=total, unit="frame")
    if scores:
        _report(request, scores)
    return code


def _scores(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
) -> Iterator[ObjectScore]:
    from napari_seggpt.evaluation.objects import evaluate_objects
    from napari_seggpt.evaluation.peers import PEERS

    pixels, _ = PEERS["pixels"]
    objects = replace(request.settings.objects, task="objects")
    for sequence in sequences:
        yield from evaluate_objects(
            sequence,
            model,
            references=request.references,
            settings=replace(request.settings, objects=objects),
            auto_tiles=request.auto_tiles,
            peers={name: make for name, make in peers.items() if name == pixels},
        )


def _report(request: EvaluateRequest, scores: Sequence[ObjectScore]) -> None:
    from napari_seggpt.evaluation.objects import ids_by_distance, summarise_objects
    from napari_seggpt.evaluation.protocol import means

    rows = summarise_objects(scores)
    rows.append(("mean", means([row for _, row in rows])))
    kept = ids_by_distance(scores, DISTANCES)
    if request.json:
        report = {
            **request.facts,
            "datasets": [{"dataset": name, **row} for name, row in rows],
            "same_id": [{"dataset": name, **row} for name, row in kept],
            "frames": [asdict(score) for score in scores],
        }
        say(json.dumps(report, indent=2))
        return
    say("Objects: F1 at IoU 0.5, and mean AP over IoU from 0.5 to 0.95:")
    say(table(rows))
    if kept:
        say("Share of objects that have the reference's id after so many frames:")
        say(table(kept))
