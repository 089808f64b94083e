"""`napari-seggpt benchmark`: performance claims, as ratios side by side in one run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "benchmark",
        help="measure speed against another implementation",
        description="ensemble: ViT-L with random weights against transformers' SegGPT "
        "(pip install transformers), several runs in turn, the median of each.",
    )
    parser.add_argument("name", choices=["ensemble"])
    parser.add_argument(
        "--prompts",
        type=int,
        nargs="+",
        default=[1, 4, 8],
        metavar="K",
        help="numbers of prompts to measure (default: 1 4 8)",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--threads", type=int, help="of torch (default: its own)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    from napari_seggpt.evaluation.benchmarks import benchmark_ensemble

    report = benchmark_ensemble(args.prompts, runs=args.runs, threads=args.threads)
    print(json.dumps(report, indent=2) if args.json else _as_table(report))
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
