"""`napari-seggpt evaluate`: how well frames are segmented from a few references."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.cli.effort import run_annotator
from napari_seggpt.cli.tables import collect, facts, table
from napari_seggpt.cli.tune import add_tuning, tuning_settings
from napari_seggpt.settings import PropagationSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from napari_seggpt.cli.tables import Row
    from napari_seggpt.evaluation.annotator import AnnotatorStep
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.evaluation.protocol import DataSetScore, FrameScore
    from napari_seggpt.evaluation.ranking import RankedFrame
    from napari_seggpt.evaluation.tuned_methods import TunedMethods
    from napari_seggpt.model.seggpt import SegGPT

    Steps = Mapping[str, Sequence[AnnotatorStep]]  # on one sequence, by method
    Curves = Mapping[str, Sequence[Sequence[AnnotatorStep]]]

ORDERS = ("unsure", "even", "unlike")  # those of evaluation.annotator
PEERS = ("pixels", "copied", "warped")  # those of evaluation.peers, known without it


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="compare predicted with true labels",
        description="Give some frames of every sequence as references, predict the "
        "others, and compare with their true labels; beside it, what a person would "
        "take instead.",
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
    parser.add_argument(
        "--frames",
        type=int,
        metavar="N",
        help="thin longer sequences to N frames, evenly (default: all, and 24 with "
        "--annotator)",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        default=["copied"],
        metavar="PEER",
        help="what to compare with: a pixel classifier (pixels), the nearest "
        "reference's labels as they are (copied) or moved by optical flow (warped) "
        "(default: copied)",
    )
    parser.add_argument(
        "--tune",
        action="store_true",
        help="also tune a prompt on the references of every sequence, and use it alone "
        "and beside them",
    )
    more = parser.add_mutually_exclusive_group()
    more.add_argument(
        "--measures",
        action="store_true",
        help="also IoU, J&F of DAVIS, and F1, AP50 and PQ of objects",
    )
    more.add_argument(
        "--ranking",
        action="store_true",
        help="instead measure how well frames are ranked by their true error, by the "
        "confidence that is shown and by other signals",
    )
    more.add_argument(
        "--annotator",
        action="store_true",
        help="instead label one more frame, again and again, until the mean Dice is "
        "0.90, and count the frames",
    )
    parser.add_argument(
        "--orders",
        nargs="+",
        choices=ORDERS,
        default=["unsure"],
        metavar="ORDER",
        help="which frame is labelled next with --annotator: the least certain "
        "(unsure), the farthest from the labelled ones (even), the one that looks "
        "least like them (unlike) (default: unsure)",
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="draw figures there (PNG)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_tuning(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; returns the exit code."""
    from napari_seggpt.evaluation.figures import check_matplotlib

    if args.references < 1:
        raise ValueError(f"Expected 1 or more references, got {args.references}.")
    if args.annotator and args.references > 1:
        raise ValueError(
            "Expected 1 reference for --annotator to start with, "
            f"got {args.references}."
        )
    if args.tune and args.references < 2 and not args.annotator:
        raise ValueError(
            f"Expected 2 or more references for --tune, got {args.references}."
        )
    if args.figures is not None:
        check_matplotlib()
        args.figures.mkdir(parents=True, exist_ok=True)
    how = {
        "prediction": arguments.prediction_settings(args),
        "propagation": PropagationSettings(memory=args.memory),
        "auto_tiles": args.tiles == "auto",
    }
    sequences = _find(args)
    peers = _peers(args.peers)
    model = arguments.load_named_model(args.model)
    tuning = _tuning(args, model, how) if args.tune else None
    if tuning is not None:
        peers |= tuning.peers()
    if args.ranking:
        return _run_ranking(args, sequences, model, how)
    if args.annotator:
        return run_annotator(args, sequences, model, peers, how)
    return _run_protocol(args, sequences, model, peers, how, tuning)


def _tuning(
    args: argparse.Namespace, model: SegGPT, how: Mapping[str, Any]
) -> TunedMethods:
    from napari_seggpt.evaluation.tuned_methods import TunedMethods

    return TunedMethods(
        model,
        prediction=how["prediction"],
        tuning=tuning_settings(args),
        auto_tiles=how["auto_tiles"],
    )


def _find(args: argparse.Namespace) -> list[LabelledSequence]:
    from napari_seggpt.evaluation.datasets import find_sequences

    sequences = find_sequences(args.data)
    if args.sets:
        sequences = [one for one in sequences if one.dataset in args.sets]
    if not sequences:
        raise ValueError(f"Expected data sets of {args.data}, got {args.sets}.")
    if args.frames is not None:
        sequences = [one.thinned(args.frames) for one in sequences]
    return sequences


def _peers(flags: Sequence[str]) -> dict[str, MakeSegmenter]:
    from napari_seggpt.evaluation.peers import PEERS as MAKERS
    from napari_seggpt.evaluation.peers import check_scikit_learn

    if "pixels" in flags:
        check_scikit_learn()
    return dict(MAKERS[flag] for flag in flags)


# -- some references, all other frames ---------------------------------------------


def _run_protocol(
    args: argparse.Namespace,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
    how: Mapping[str, Any],
    tuning: TunedMethods | None,
) -> int:
    from napari_seggpt.evaluation.figures import draw_dice, draw_distance
    from napari_seggpt.evaluation.measures import Measures
    from napari_seggpt.evaluation.protocol import evaluate_sequence, summarise

    measures = Measures() if args.measures else None
    steps = (
        score
        for sequence in sequences
        for score in evaluate_sequence(
            sequence,
            model,
            references=args.references,
            peers=peers,
            measures=measures,
            **how,
        )
    )
    total = sum(max(0, len(one) - args.references) for one in sequences)
    scores: list[FrameScore] = []
    code = collect(steps, scores, total=total, unit="frame")
    if not scores and code == 0:
        raise ValueError("Expected more labelled frames than references, got none.")
    if not scores:
        return code
    results = summarise(scores, measures)
    if args.figures is not None:
        draw_dice(results, args.figures / "dice.png")
        draw_distance(scores, args.figures / "distance.png")
    text = _as_json(args, results, scores, tuning) if args.json else _as_table(results)
    print(text)
    return code


def _as_json(
    args: argparse.Namespace,
    results: Sequence[DataSetScore],
    scores: Sequence[FrameScore],
    tuning: TunedMethods | None,
) -> str:
    report = {
        **facts(args),
        "datasets": [asdict(result) for result in results],
        "mean": _means(results),
        "frames": [asdict(score) for score in scores],
    }
    if tuning is not None:
        report["tuning"] = {
            "settings": asdict(tuning_settings(args)),
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


# -- ranking -----------------------------------------------------------------------


def _run_ranking(
    args: argparse.Namespace,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    how: Mapping[str, Any],
) -> int:
    from napari_seggpt.evaluation.ranking import rank_sequence, score_signals

    steps = (
        frame
        for sequence in sequences
        for frame in rank_sequence(sequence, model, references=args.references, **how)
    )
    total = sum(max(0, len(one) - args.references) for one in sequences)
    frames: list[RankedFrame] = []
    code = collect(steps, frames, total=total, unit="frame")
    scores = {name: asdict(x) for name, x in score_signals(frames).items()}
    if not scores and code == 0:
        raise ValueError(
            "Expected frames that can be ranked, of 5 or more in a sequence, got none."
        )
    if args.json and frames:
        found = {"signals": scores, "frames": [asdict(frame) for frame in frames]}
        print(json.dumps(facts(args) | found, indent=2))
    elif scores:
        print("How well signals rank frames by their true Dice:")
        print(table(list(scores.items()), head="signal"))
    return code
