"""`evaluate`: how well all other frames are segmented, from some references."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say
from napari_seggpt.cli.tables import collect, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_seggpt.cli.evaluate import EvaluateRequest
    from napari_seggpt.cli.tables import Row
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.evaluation.protocol import DataSetScore, FrameScore
    from napari_seggpt.evaluation.tuned_methods import TunedMethods
    from napari_seggpt.model.seggpt import SegGPT


def run_dice(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
    tuning: TunedMethods | None,
) -> int:
    """Compare all other frames with their labels and print; returns the exit code."""
    from napari_seggpt.evaluation.figures import draw_dice, draw_distance
    from napari_seggpt.evaluation.measures import Measures
    from napari_seggpt.evaluation.protocol import evaluate_sequence, summarise

    measures = Measures() if request.measures else None
    steps = (
        score
        for sequence in sequences
        for score in evaluate_sequence(
            sequence,
            model,
            references=request.references,
            peers=peers,
            measures=measures,
            **request.how,
        )
    )
    total = request.num_predicted(sequences)
    scores: list[FrameScore] = []
    code = collect(steps, scores, total=total, unit="frame")
    if not scores and code == 0:
        raise ValueError("Expected more labelled frames than references, got none.")
    if not scores:
        return code
    results = summarise(scores, measures)
    if request.figures is not None:
        draw_dice(results, request.figures / "dice.png")
        draw_distance(scores, request.figures / "distance.png")
    text = (
        _as_json(request, results, scores, tuning)
        if request.json
        else _as_table(results)
    )
    say(text)
    return code


def _as_json(
    request: EvaluateRequest,
    results: Sequence[DataSetScore],
    scores: Sequence[FrameScore],
    tuning: TunedMethods | None,
) -> str:
    report = {
        **request.facts,
        "datasets": [asdict(result) for result in results],
        "mean": _means(results),
        "frames": [asdict(score) for score in scores],
    }
    if tuning is not None:
        report["tuning"] = {
            "settings": asdict(request.tuning),
            "prompts": tuning.figures,
        }
    return json.dumps(report, indent=2)


def _means(results: Sequence[DataSetScore]) -> dict[str, dict[str, float]]:
    from napari_seggpt.evaluation.protocol import means

    return {
        "dice": means([result.dice for result in results]),
        "measures": means([result.measures for result in results]),
    }


def _as_table(results: Sequence[DataSetScore]) -> str:
    rows: list[Row] = [
        (one.dataset, {"frames": one.frames, **one.dice, **one.measures})
        for one in results
    ]
    mean = _means(results)
    rows.append(("mean", {**mean["dice"], **mean["measures"]}))
    return table(rows)
