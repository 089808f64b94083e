"""`napari-seggpt evaluate`: how well frames are segmented from a few references."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.console import say
from napari_seggpt.cli.effort import run_annotator
from napari_seggpt.cli.object_scores import run_objects
from napari_seggpt.cli.tables import collect, table
from napari_seggpt.settings import SessionSettings, TuningSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from napari_seggpt.cli.tables import Row
    from napari_seggpt.evaluation.annotator import Order
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter
    from napari_seggpt.evaluation.protocol import DataSetScore, FrameScore
    from napari_seggpt.evaluation.ranking import RankedFrame
    from napari_seggpt.evaluation.tuned_methods import TunedMethods
    from napari_seggpt.model.seggpt import SegGPT

ORDERS = ("unsure", "even", "unlike")  # those of evaluation.annotator
PEERS = ("pixels", "copied", "warped")  # those of evaluation.peers, known without it


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """What is to be evaluated on what, and how it is told.

    Attributes
    ----------
    data : Path
        A data set, or a folder of data sets.
    sets : tuple of str, optional
        The only data sets that are taken.
    frames : int, optional
        Longer sequences are thinned to so many frames.
    references : int
        Labelled frames given of each sequence.
    peers : tuple of str
        What it is compared with.
    tune : bool
        Whether prompts are tuned, too.
    measures, objects, ranking, annotator : bool
        What is measured.
    orders : tuple of str
        Which frame is labelled next.
    figures : Path, optional
        The folder of figures.
    json : bool
        Whether JSON is printed instead of a table.
    settings : SessionSettings
        The model, and how it is used.
    auto_tiles : bool
        Whether frames are cut into tiles where objects are small.
    tuning : TuningSettings
        How prompts are tuned.
    """

    data: Path
    sets: tuple[str, ...] | None
    frames: int | None
    references: int
    peers: tuple[str, ...]
    tune: bool
    measures: bool
    objects: bool
    ranking: bool
    annotator: bool
    orders: tuple[Order, ...]
    figures: Path | None
    json: bool
    settings: SessionSettings
    auto_tiles: bool
    tuning: TuningSettings

    @property
    def how(self) -> dict[str, Any]:
        """How frames are predicted, as `protocol.seggpt` takes it."""
        return {
            "prediction": self.settings.prediction,
            "propagation": self.settings.propagation,
            "auto_tiles": self.auto_tiles,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What was asked for, for reports."""
        tiling = self.settings.prediction.tiling
        tiles = tiling.scale if tiling.enabled else "off"
        return {
            "model": self.settings.model,
            "references": self.references,
            "peers": self.peers,
            "orders": self.orders,
            "memory": self.settings.propagation.memory,
            "tiles": "auto" if self.auto_tiles else tiles,
            "max_frames": self.frames,
        }


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
        "--objects",
        action="store_true",
        help="instead give the ids of objects, and measure how well objects are told "
        "apart and keep their ids; beside it the connected regions of predicted "
        "classes and, with --peers pixels, a watershed of these",
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
    arguments.add_tuning(parser)
    arguments.add_linking(parser)
    arguments.add_prediction(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print; returns the exit code."""
    request = parsed(
        EvaluateRequest,
        args,
        settings=with_flags(args, SessionSettings()),
        tuning=with_flags(args, TuningSettings()),
    )
    _check(request)
    return _evaluate(request)


def _check(request: EvaluateRequest) -> None:
    """Refuse what cannot be done, and make the folder of the figures."""
    from napari_seggpt.evaluation.figures import check_matplotlib

    if request.references < 1:
        raise ValueError(f"Expected 1 or more references, got {request.references}.")
    if request.annotator and request.references > 1:
        raise ValueError(
            "Expected 1 reference for --annotator to start with, "
            f"got {request.references}."
        )
    if request.tune and request.references < 2 and not request.annotator:
        raise ValueError(
            f"Expected 2 or more references for --tune, got {request.references}."
        )
    if request.figures is not None:
        check_matplotlib()
        request.figures.mkdir(parents=True, exist_ok=True)


def _evaluate(request: EvaluateRequest) -> int:
    sequences = _find(request)
    peers = _peers(request.peers)
    model = arguments.load_named_model(request.settings.model)
    tuning = _tuning(request, model) if request.tune else None
    if tuning is not None:
        peers |= tuning.peers()
    if request.ranking:
        return _run_ranking(request, sequences, model)
    if request.annotator:
        return run_annotator(request, sequences, model, peers)
    if request.objects:
        return run_objects(request, sequences, model, peers)
    return _run_protocol(request, sequences, model, peers, tuning)


def _tuning(request: EvaluateRequest, model: SegGPT) -> TunedMethods:
    from napari_seggpt.evaluation.tuned_methods import TunedMethods

    return TunedMethods(
        model,
        prediction=request.settings.prediction,
        tuning=request.tuning,
        auto_tiles=request.auto_tiles,
    )


def _find(request: EvaluateRequest) -> list[LabelledSequence]:
    from napari_seggpt.evaluation.datasets import find_sequences

    sequences = find_sequences(request.data)
    if request.sets:
        sequences = [one for one in sequences if one.dataset in request.sets]
    if not sequences:
        raise ValueError(f"Expected data sets of {request.data}, got {request.sets}.")
    if request.frames is not None:
        sequences = [one.thinned(request.frames) for one in sequences]
    return sequences


def _peers(flags: Sequence[str]) -> dict[str, MakeSegmenter]:
    from napari_seggpt.evaluation.peers import PEERS as MAKERS
    from napari_seggpt.evaluation.peers import check_scikit_learn

    if "pixels" in flags:
        check_scikit_learn()
    return dict(MAKERS[flag] for flag in flags)


# -- some references, all other frames ---------------------------------------------


def _run_protocol(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
    peers: Mapping[str, MakeSegmenter],
    tuning: TunedMethods | None,
) -> int:
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
    total = sum(max(0, len(one) - request.references) for one in sequences)
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


# -- ranking -----------------------------------------------------------------------


def _run_ranking(
    request: EvaluateRequest,
    sequences: Sequence[LabelledSequence],
    model: SegGPT,
) -> int:
    from napari_seggpt.evaluation.ranking import rank_sequence, score_signals

    steps = (
        frame
        for sequence in sequences
        for frame in rank_sequence(
            sequence, model, references=request.references, **request.how
        )
    )
    total = sum(max(0, len(one) - request.references) for one in sequences)
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
