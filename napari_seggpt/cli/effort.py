"""`evaluate --annotator`: how many frames a person would have to label."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from napari_seggpt.cli.console import say
from napari_seggpt.cli.tables import collect, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from napari_seggpt.cli.evaluate import EvaluateRequest
    from napari_seggpt.cli.tables import Row
    from napari_seggpt.evaluation.annotator import AnnotatorStep, Order
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter, Method
    from napari_seggpt.model.seggpt import SegGPT

    Steps = Mapping[str, Sequence[AnnotatorStep]]  # on one sequence, by method
    Curves = Mapping[str, Sequence[Sequence[AnnotatorStep]]]


def run_annotator(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
) -> int:
    """Measure how many frames must be labelled; returns the exit code."""
    from napari_seggpt.evaluation.figures import draw_effort
    from napari_seggpt.evaluation.peers import one_by_one
    from napari_seggpt.evaluation.protocol import SEGGPT, means, seggpt

    methods = {SEGGPT: seggpt(model, **request.how)}
    methods |= {name: one_by_one(make) for name, make in peers.items()}
    labelled = [sequence for sequence in sequences if sequence.labelled()]
    if not labelled:
        raise ValueError("Expected sequences with labels, got none.")
    done: list[Steps] = []
    annotated = _annotate(labelled, methods, request.orders, request.frames)
    code = collect(annotated, done, total=len(labelled), unit="sequence")
    if not done:
        return code
    curves = {name: [steps[name] for steps in done] for name in done[0]}
    if request.figures is not None:
        draw_effort(curves, request.figures / "effort.png")
    rows = _efforts(curves)
    if request.json:
        say(_annotator_json(request, curves, rows))
    else:
        say("Share of frames labelled until the mean Dice of all was 0.90:")
        say(table([*rows, ("mean", means([row for _, row in rows]))]))
    return code


def _annotate(
    sequences: Iterable[LabelledSequence],
    methods: Mapping[str, Method],
    orders: Sequence[Order],
    frames: int | None,
) -> Iterator[Steps]:
    """Yield the steps on one sequence after the other, of all methods and orders."""
    from napari_seggpt.evaluation.annotator import MAX_FRAMES, simulate_annotator

    for sequence in sequences:
        yield {
            name if len(orders) == 1 else f"{name} ({order})": list(
                simulate_annotator(
                    sequence, method, order=order, max_frames=frames or MAX_FRAMES
                )
            )
            for name, method in methods.items()
            for order in orders
        }


def _efforts(curves: Curves) -> list[Row]:
    """Average the effort over the sequences of each data set, by method."""
    from napari_seggpt.evaluation.annotator import effort

    names = [steps[0].dataset for steps in next(iter(curves.values()))]
    efforts = {m: [effort(steps) for steps in each] for m, each in curves.items()}
    rows: list[Row] = []
    for dataset in dict.fromkeys(names):
        chosen = [name == dataset for name in names]
        row = {m: float(np.mean(np.array(x)[chosen])) for m, x in efforts.items()}
        rows.append((dataset, row))
    return rows


def _annotator_json(
    request: EvaluateRequest, curves: Curves, rows: Sequence[Row]
) -> str:
    from napari_seggpt.evaluation.annotator import TARGET
    from napari_seggpt.evaluation.protocol import means

    report = {
        **request.facts,
        "target": TARGET,
        "datasets": [{"dataset": name, "effort": row} for name, row in rows],
        "mean": {"effort": means([row for _, row in rows])},
        "steps": {
            method: [[asdict(step) for step in steps] for steps in each]
            for method, each in curves.items()
        },
    }
    return json.dumps(report, indent=2)
