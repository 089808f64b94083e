"""`napari-seggpt benchmark`: performance claims, as ratios side by side in one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.arguments import parsed
from napari_seggpt.cli.console import say

if TYPE_CHECKING:
    import argparse

PROMPTS = {"ensemble": [1, 4, 8], "frame": [1, 4, 16, 64]}


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkRequest:
    """What is measured, and how it is told.

    Attributes
    ----------
    name : str
        Of the benchmark.
    prompts : tuple of int, optional
        Numbers of prompts to measure.
    runs : int
        How often.
    threads : int, optional
        Of torch.
    json : bool
        Whether JSON is printed.
    """

    name: str
    prompts: tuple[int, ...] | None
    runs: int
    threads: int | None
    json: bool


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "benchmark",
        help="measure speed against another implementation or model",
        description="ensemble: ViT-L with random weights against transformers' SegGPT "
        "(pip install transformers). frame: what you wait for with the built-in model "
        "and with ViT-L. Several runs in turn, the median of each.",
    )
    parser.add_argument("name", choices=list(PROMPTS))
    parser.add_argument(
        "--prompts",
        type=int,
        nargs="+",
        metavar="K",
        help="numbers of prompts to measure (default: 1 4 8; for frame 1 4 16 64)",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--threads", type=int, help="of torch (default: its own)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    return _measure(parsed(BenchmarkRequest, args))


def _measure(request: BenchmarkRequest) -> int:
    from napari_seggpt.evaluation import benchmarks

    prompts = list(request.prompts or PROMPTS[request.name])
    options: dict[str, Any] = {"runs": request.runs, "threads": request.threads}
    if request.name == "frame":
        report = benchmarks.benchmark_frame(prompts, **options)
        table = _as_frame_table
    else:
        report = benchmarks.benchmark_ensemble(prompts, **options)
        table = _as_table
    say(json.dumps(report, indent=2) if request.json else table(report))
    return 0


def _as_table(report: dict[str, Any]) -> str:
    lines = [
        (
            f"torch {report['torch']}, {report['threads']} threads, large product "
            f"{report['matmul_gflops']:.0f} GFLOP/s"
        ),
        (
            f"{'K':>3}{'ours s':>10}{'transformers s':>16}{'ratio':>8}"
            f"{'ours GFLOP/s':>14}{'theirs':>8}{'difference':>12}"
        ),
    ]
    lines += [
        f"{row['prompts']:3d}{row['seconds']:10.2f}{row['transformers_seconds']:16.2f}"
        f"{row['ratio']:8.2f}{row['gflops']:14.0f}{row['transformers_gflops']:8.0f}"
        f"{row['largest_difference']:12.1e}"
        for row in report["rows"]
    ]
    return "\n".join(lines)


def _as_frame_table(report: dict[str, Any]) -> str:
    height, width = report["frame"]
    lines = [
        (
            f"torch {report['torch']}, {report['threads']} threads, "
            f"a frame of {height} x {width} pixels"
        ),
        (
            f"{'':10}{'pixels seen':>12}{'K':>4}{'frame s':>10}{'network s':>11}"
            f"{'prompt s':>10}{'MB':>7}"
        ),
        _frame_row("ViT-L", report["vit_large"]),
        _frame_row("built-in", report["builtin"]),
        f"{'ratio':26}{report['ratio']:10.1f}{report['network_ratio']:11.1f}",
    ]
    lines += [_frame_row("built-in", row) for row in report["rows"]]
    return "\n".join(lines)


def _frame_row(name: str, row: dict[str, Any]) -> str:
    seen = " x ".join(str(side) for side in row["picture"])
    return (
        f"{name:10}{seen:>12}{row['prompts']:4d}{row['seconds']:10.3f}"
        f"{row['network_seconds']:11.3f}{row['encode_seconds']:10.3f}"
        f"{row['prompt_bytes'] / 1e6:7.1f}"
    )
