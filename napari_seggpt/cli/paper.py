"""`napari-seggpt paper TABLE`: a table of the paper, from its data to its figures."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from napari_seggpt.cli import arguments
from napari_seggpt.cli.arguments import with_flags
from napari_seggpt.cli.console import say, warn
from napari_seggpt.cli.interrupt import INTERRUPTED, StopAtNextStep
from napari_seggpt.settings import PredictionSettings, SessionSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_seggpt.evaluation.paper.plan import PaperOptions, Plan
    from napari_seggpt.evaluation.paper.report import Report
    from napari_seggpt.evaluation.paper.results import Part, Results
    from napari_seggpt.prompts import TunedPrompt

# Those of evaluation.paper.tables, known without loading it.
TABLES = {
    "1": "few shots: COCO-20i, PASCAL-5i",
    "2": "few shots: FSS-1000",
    "3": "objects of videos: YouTube-VOS 2018, DAVIS 2017 (and 2016), MOSE",
    "4a": "ensembles: DAVIS 2017, FSS-1000",
    "4b": "frames: DAVIS 2017",
    "5": "ADE20K, tuned",
    "6": "COCO panoptic, tuned",
    "s1": "ADE20K by examples",
}
# The options that only some tables depend on, and which.
USED_BY = {
    "splits": ("1", "2", "4a"),
    "subset": ("3", "4a", "4b", "5", "6", "s1"),
    "seeds": ("1", "2", "4a", "s1"),
    "shots": ("1", "2"),
    "examples": ("3", "s1"),
    "frames": ("4b",),
    "prompt": ("5", "6"),
    "instance_prompt": ("6",),
}
# How an example is predicted; of a video one object is coloured in a picture.
FLAGS = (
    "prediction.seg_type",
    "prediction.ensemble",
    "prediction.labels_per_pass",
    "prediction.batch",
)
DEFAULTS = SessionSettings(prediction=PredictionSettings(labels_per_pass=1))


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    known = "; ".join(f"{name}: {what}" for name, what in TABLES.items())
    parser: argparse.ArgumentParser = commands.add_parser(
        "paper",
        help="measure a table of the SegGPT paper on its published data",
        description="Measure a table of the paper and print our figures beside the "
        f"paper's. {known}. Stopped, it goes on; several processes may share the work.",
    )
    parser.add_argument("table", choices=list(TABLES), metavar="TABLE")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the table's data sets as their archives unpack, or a folder of them",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where results are kept (default: paper-TABLE)",
    )
    parser.add_argument(
        "--part",
        type=_part,
        default=(1, 1),
        metavar="I/N",
        help="do only every Nth piece of the work, from the Ith on, for example on one "
        "of N GPUs; a last call without it prints the table",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_protocol(parser)
    group = parser.add_argument_group("prediction")
    arguments.add_settings(group, SessionSettings, FLAGS)
    arguments.add_tuning(parser)
    arguments.add_model(parser)
    parser.set_defaults(run=run)


def _add_protocol(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("protocol")
    group.add_argument(
        "--splits",
        type=Path,
        metavar="FOLDER",
        help="data/splits of HSNet's repository: its lists of images (tables 1, 2, 4a)",
    )
    group.add_argument("--subset", metavar="NAME", help="another part of the data")
    for name, what in (
        ("seeds", "what is drawn at random (1, 2, 4a, s1)"),
        ("shots", "examples of a class (1, 2)"),
        ("examples", "examples of a class (s1) or in a video (3)"),
        ("frames", "frames of a video that are examples (4b)"),
    ):
        group.add_argument(
            f"--{name}",
            type=int,
            nargs="+",
            metavar="N",
            help=f"{what} (default: the paper's)",
        )
    group.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="a quick look: at most N episodes of a fold, images, or videos of a set",
    )
    for name, what in (
        ("prompt", "classes (5, 6)"),
        ("instance-prompt", "objects (6)"),
    ):
        group.add_argument(
            f"--{name}",
            type=Path,
            nargs="+",
            default=[],
            metavar="FILE",
            help=f"tuned prompts for {what}; without, they are tuned first",
        )


def _part(text: str) -> Part:
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise argparse.ArgumentTypeError(f"expected I/N, from 1/N to N/N, got {text!r}")
    return int(number), int(count)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from napari_seggpt.evaluation.paper.results import Results, run_units
    from napari_seggpt.evaluation.paper.tables import TABLES as PLANS

    _check(args)
    options = _options(args)
    plan = PLANS[args.table](options)
    results = Results(options.results, _facts(args, options, plan))
    with StopAtNextStep() as interrupt:
        if not _prepare(args.part, plan, interrupt):
            return INTERRUPTED
        whole = len(plan.units[args.part[0] - 1 :: args.part[1]])
        with tqdm(total=whole, unit="block", desc=f"Table {args.table}") as bar:
            for key in run_units(plan, results, args.part):
                bar.update()
                bar.set_postfix_str(key)
                if interrupt.asked:
                    break
    return _finish(args, plan, results, stopped=interrupt.asked)


def _check(args: argparse.Namespace) -> None:
    """Refuse what makes no sense before anything is read."""
    if not args.data.is_dir():
        raise ValueError(f"Expected a folder of data sets, got {args.data}.")
    for name in ("shots", "examples", "frames"):
        if any(value < 1 for value in getattr(args, name) or ()):
            raise ValueError(f"Expected --{name} of 1 or more, got less.")
    for name, tables in USED_BY.items():
        if getattr(args, name) and args.table not in tables:
            raise ValueError(
                f"Expected --{name.replace('_', '-')} with table "
                f"{' or '.join(tables)}, got it with {args.table}, which does not "
                "depend on it."
            )
    if args.limit is not None and args.limit < 1:
        raise ValueError(f"Expected a --limit of 1 or more, got {args.limit}.")


def _folder(args: argparse.Namespace) -> Path:
    return Path(args.output or f"paper-{args.table}")


def _options(args: argparse.Namespace) -> PaperOptions:
    from napari_seggpt.evaluation.paper.plan import PaperOptions
    from napari_seggpt.training.dataset_tuning import DATASET_TUNING

    settings = with_flags(args, DEFAULTS)
    return PaperOptions(
        data=args.data,
        results=_folder(args),
        model=arguments.load_named_model(settings.model),
        prediction=settings.prediction,
        tuning=with_flags(args, DATASET_TUNING),
        prompts=_load(args.prompt),
        instance_prompts=_load(args.instance_prompt),
        splits=args.splits,
        subset=args.subset,
        seeds=args.seeds,
        shots=args.shots,
        examples=args.examples,
        frames=args.frames,
        limit=args.limit,
    )


def _load(files: Sequence[Path]) -> list[TunedPrompt]:
    from napari_seggpt.prompts import TunedPrompt

    return [TunedPrompt.load(file) for file in files]


def _facts(
    args: argparse.Namespace, options: PaperOptions, plan: Plan
) -> dict[str, Any]:
    """Say what the results are a function of."""
    from napari_seggpt.inference.seg_type import choose_seg_type
    from napari_seggpt.model.checkpoint import model_hash

    prediction = options.prediction
    return {
        "table": args.table,
        "model": model_hash(options.model),
        "seg-type": choose_seg_type(prediction.seg_type, options.model.config),
        "ensemble": prediction.ensemble,
        "labels-per-pass": prediction.labels_per_pass,
        "precision": prediction.precision,
        "splits": options.splits is not None,
        **plan.facts,
    }


def _prepare(part: Part, plan: Plan, interrupt: StopAtNextStep) -> bool:
    """Make the files that are needed first; returns False if that was stopped."""
    for one in plan.preparations:
        if one.file.exists():
            continue
        if part[0] > 1:
            raise ValueError(
                f"Expected {one.file}, which part 1/{part[1]} makes, got none yet."
            )
        with tqdm(total=one.total, desc=one.title) as bar:
            for _ in one.steps():
                bar.update()
                if interrupt.asked:
                    warn("Stopped. The same command goes on.")
                    return False
    return True


def _finish(
    args: argparse.Namespace, plan: Plan, results: Results, *, stopped: bool
) -> int:
    """Print the table if all is done, and else what is missing."""
    done = results.done()
    missing = sum(unit.key not in done for unit in plan.units)
    if missing:
        warn(
            f"{len(plan.units) - missing} of {len(plan.units)} pieces are done. The "
            "same command goes on; without --part it does all that is left."
        )
        return INTERRUPTED if stopped else 0
    report = plan.summarise({unit.key: done[unit.key] for unit in plan.units})
    _write(report, results.folder)
    say(report.as_json() if args.json else report.as_text())
    return 0


def _write(report: Report, folder: Path) -> None:
    (folder / "report.txt").write_text(report.as_text() + "\n")
    (folder / "report.json").write_text(report.as_json() + "\n")
    if find_spec("matplotlib"):
        report.draw(folder / "report.png")
    else:
        warn("No figure: pip install 'napari-seggpt[paper]'.")
