"""`napari-seggpt evaluate`: how well frames are predicted from a few references."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from napari_seggpt.cli import arguments
from napari_seggpt.cli.interrupt import INTERRUPTED
from napari_seggpt.settings import PropagationSettings

if TYPE_CHECKING:
    import argparse

    from napari_seggpt.evaluation.protocol import DataSetScore


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="compare predicted with true labels",
        description="Give some frames of every sequence as references, predict the "
        "others, and compare with their true labels; beside it, what copying the "
        "nearest reference's labels would give.",
    )
    parser.add_argument(
        "data", type=Path, help="a folder with images/ and labels/, or of such folders"
    )
    parser.add_argument(
        "--references",
        type=int,
        default=1,
        metavar="N",
        help="labelled frames given of each sequence (default: 1)",
    )
    parser.add_argument(
        "--sets", nargs="+", metavar="NAME", help="only these data sets"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; returns the exit code."""
    from napari_seggpt.evaluation.protocol import (
        evaluate_sequence,
        find_sequences,
        summarise,
    )

    if args.references < 1:
        raise ValueError(f"Expected 1 or more references, got {args.references}.")
    prediction = arguments.prediction_settings(args)
    propagation = PropagationSettings(memory=args.memory)
    sequences = find_sequences(args.data)
    if args.sets:
        sequences = [one for one in sequences if one.dataset in args.sets]
    if not sequences:
        raise ValueError(f"Expected data sets of {args.data}, got {args.sets}.")
    model = arguments.load_named_model(args.model)
    scores = []
    total = sum(max(0, len(one) - args.references) for one in sequences)
    steps = (
        score
        for sequence in sequences
        for score in evaluate_sequence(
            sequence,
            model,
            references=args.references,
            prediction=prediction,
            propagation=propagation,
            auto_tiles=args.tiles == "auto",
        )
    )
    code = 0
    try:
        for score in tqdm(steps, total=total, unit="frame", desc="Evaluating"):
            scores.append(score)
    except KeyboardInterrupt:
        print(f"Stopped after {len(scores)} of {total} frames.", file=sys.stderr)
        code = INTERRUPTED
    if not scores:
        raise ValueError("Expected more labelled frames than references, got none.")
    results = summarise(scores)
    print(_as_json(results, args) if args.json else _as_table(results))
    return code


def _means(results: list[DataSetScore]) -> dict[str, float]:
    return {
        "dice": float(np.mean([result.dice for result in results])),
        "copied": float(np.mean([result.copied for result in results])),
    }


def _as_json(results: list[DataSetScore], args: argparse.Namespace) -> str:
    return json.dumps(
        {
            "model": args.model,
            "references": args.references,
            "memory": args.memory,
            "tiles": args.tiles,
            "datasets": [asdict(result) for result in results],
            "mean": _means(results),
        },
        indent=2,
    )


def _as_table(results: list[DataSetScore]) -> str:
    lines = [f"{'data set':28}{'frames':>8}{'Dice':>8}{'copied':>8}"]
    lines += [
        f"{one.dataset:28}{one.frames:8d}{one.dice:8.3f}{one.copied:8.3f}"
        for one in results
    ]
    mean = _means(results)
    lines.append(f"{'mean':28}{'':8}{mean['dice']:8.3f}{mean['copied']:8.3f}")
    return "\n".join(lines)
