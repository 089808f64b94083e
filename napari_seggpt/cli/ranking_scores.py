"""`evaluate --ranking`: how well the confidence ranks frames by their true error."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from napari_seggpt.cli.console import say
from napari_seggpt.cli.tables import collect, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_seggpt.cli.evaluate import EvaluateRequest
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.ranking import RankedFrame
    from napari_seggpt.model.seggpt import SegGPT


def run_ranking(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
) -> int:
    """Measure rankings and print; returns the exit code."""
    from napari_seggpt.evaluation.ranking import rank_sequence, score_signals

    steps = (
        frame
        for sequence in sequences
        for frame in rank_sequence(
            sequence, model, references=request.references, **request.how
        )
    )
    total = request.num_predicted(sequences)
    frames: list[RankedFrame] = []
    code = collect(steps, frames, total=total, unit="frame")
    scores = {name: asdict(x) for name, x in score_signals(frames).items()}
    if not scores and code == 0:
        raise ValueError(
            "Expected frames that can be ranked, of 5 or more in a sequence, got none."
        )
    if request.json and frames:
        found = {"signals": scores, "frames": [asdict(frame) for frame in frames]}
        say(json.dumps(request.facts | found, indent=2))
    elif scores:
        say("How well signals rank frames by their true Dice:")
        say(table(list(scores.items()), head="signal"))
    return code
