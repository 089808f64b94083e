"""`napari-seggpt evaluate`: how well frames are segmented from a few references."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import parsed, with_flags
from napari_seggpt.cli.dice_scores import run_dice
from napari_seggpt.cli.effort import run_annotator
from napari_seggpt.cli.object_scores import run_objects
from napari_seggpt.cli.ranking_scores import run_ranking
from napari_seggpt.settings import SessionSettings, TuningSettings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

    from napari_seggpt.evaluation.annotator import Order
    from napari_seggpt.evaluation.datasets import LabelledSequence
    from napari_seggpt.evaluation.peers import MakeSegmenter
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

    def num_predicted(self, sequences: Iterable[LabelledSequence]) -> int:
        """Return how many frames are predicted: all of a sequence but references."""
        return sum(max(0, len(one) - self.references) for one in sequences)


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="compare predicted with true labels",
        description="Give some frames of every sequence as references, predict the "
        "others, and compare with their true labels; beside it, what a person would "
        "take instead.",
    )
    _add_data(parser)
    _add_compared(parser)
    _add_measured(parser.add_mutually_exclusive_group())
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


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Add which frames are predicted, and from how many."""
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


def _add_compared(parser: argparse.ArgumentParser) -> None:
    """Add what SegGPT is compared with."""
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


def _add_measured(group: argparse._MutuallyExclusiveGroup) -> None:
    """Add what can be measured."""
    group.add_argument(
        "--measures",
        action="store_true",
        help="also IoU, J&F of DAVIS, and F1, AP50 and PQ of objects",
    )
    group.add_argument(
        "--objects",
        action="store_true",
        help="instead give the ids of objects, and measure how well objects are told "
        "apart and keep their ids; beside it the connected regions of predicted "
        "classes and, with --peers pixels, a watershed of these",
    )
    group.add_argument(
        "--ranking",
        action="store_true",
        help="instead measure how well frames are ranked by their true error, by the "
        "confidence that is shown and by other signals",
    )
    group.add_argument(
        "--annotator",
        action="store_true",
        help="instead label one more frame, again and again, until the mean Dice is "
        "0.90, and count the frames",
    )


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
    figures = request.figures is not None
    given = [f"--{x}" for x in ("objects", "ranking") if getattr(request, x)]
    extra = ["--figures"] * figures + ["--tune"] * request.tune
    if given and extra:
        raise ValueError(f"Expected {given[0]} alone, got {extra[0]}, too.")
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
        return run_ranking(request, sequences, model)
    if request.annotator:
        return run_annotator(request, sequences, model, peers)
    if request.objects:
        return run_objects(request, sequences, model, peers)
    return run_dice(request, sequences, model, peers, tuning)


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
