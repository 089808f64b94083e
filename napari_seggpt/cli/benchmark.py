"""`napari-seggpt benchmark`: performance claims, as ratios side by side in one run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_seggpt.cli.arguments import parsed
from napari_seggpt.cli.console import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

PROMPTS = {"ensemble": [1, 4, 8], "frame": [1, 4, 16, 64], "parts": [1, 8]}
NAMES = (*PROMPTS, "peers", "scale")


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
    figure : Path, optional
        Where growth is drawn.
    """

    name: str
    prompts: tuple[int, ...] | None
    runs: int
    threads: int | None
    json: bool
    figure: Path | None


def add_parser(commands: Any) -> None:
    """Add the command to the parser of all commands."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "benchmark",
        help="measure time and memory, also against other methods",
        description="ensemble: ViT-L with random weights against transformers' SegGPT "
        "(pip install transformers). frame: what you wait for with the built-in model "
        "and with ViT-L. parts: where the time of a frame goes. peers: the samples by "
        "the built-in model and by what you might take instead. Several runs in turn, "
        "the median of each. scale: how memory and time grow with the side and number "
        "of frames, with references, classes and objects; it takes some minutes.",
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument(
        "--prompts",
        type=int,
        nargs="+",
        metavar="K",
        help="numbers of prompts to measure (default: 1 4 8; for frame 1 4 16 64; for "
        "parts 1 8; not of peers and scale)",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each (default: 3)")
    parser.add_argument("--threads", type=int, help="of torch (default: its own)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="draw what scale has measured there"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns the exit code."""
    return _measure(parsed(BenchmarkRequest, args))


def _measure(request: BenchmarkRequest) -> int:
    from napari_seggpt.evaluation import benchmarks

    if request.name == "scale":
        return _measure_scale(request)
    options: dict[str, Any] = {"runs": request.runs, "threads": request.threads}
    if request.name != "peers":
        options["prompts"] = list(request.prompts or PROMPTS[request.name])
    measures: dict[str, tuple[Callable[..., Any], Callable[[Any], str]]] = {
        "ensemble": (benchmarks.benchmark_ensemble, _as_table),
        "frame": (benchmarks.benchmark_frame, _as_frame_table),
        "parts": (benchmarks.benchmark_parts, _as_parts_table),
        "peers": (benchmarks.benchmark_peers, _as_peers_table),
    }
    measure, table = measures[request.name]
    report = measure(**options)
    say(json.dumps(report, indent=2) if request.json else table(report))
    return 0


def _measure_scale(request: BenchmarkRequest) -> int:
    from napari_seggpt.evaluation import benchmarks
    from napari_seggpt.evaluation.figures import check_matplotlib, draw_scale

    if request.figure is not None:
        check_matplotlib()
    report = benchmarks.benchmark_scale(threads=request.threads)
    if request.figure is not None:
        draw_scale(report["rows"], request.figure)
    say(json.dumps(report, indent=2) if request.json else _as_scale_table(report))
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


def _as_peers_table(report: dict[str, Any]) -> str:
    lines = [
        f"torch {report['torch']}, {report['threads']} threads",
        f"{'sample':12}{'method':18}{'learn s':>9}{'frame s':>9}{'ratio':>7}",
    ]
    lines += [
        f"{row['sample']:12}{row['method']:18}{row['learn_seconds']:9.2f}"
        f"{row['seconds']:9.2f}{row['ratio']:7.2f}"
        for row in report["rows"]
    ]
    return "\n".join(lines)


def _as_parts_table(report: dict[str, Any]) -> str:
    rows = report["rows"]
    lines = [
        f"torch {report['torch']}, {report['threads']} threads, {report['sample']}",
        f"{'ms with K prompts':36}" + "".join(f"{row['prompts']:8d}" for row in rows),
    ]
    lines += [
        f"{part:36}" + "".join(f"{1000 * row['parts'][part]:8.1f}" for row in rows)
        for part in rows[0]["parts"]
    ]
    lines.append(f"{'':36}" + "".join(f"{1000 * row['seconds']:8.1f}" for row in rows))
    return "\n".join(lines)


def _as_scale_table(report: dict[str, Any]) -> str:
    names = ("side", "frames", "references", "classes", "objects")
    lines = [
        f"torch {report['torch']}, {report['threads']} threads, {report['model']}",
        f"{'varied':12}"
        + "".join(f"{name:>12}" for name in (*names, "frame s", "CPU s", "peak MiB")),
    ]
    lines += [
        f"{row['varied']:12}"
        + "".join(f"{row[name]:12d}" for name in names)
        + f"{row['seconds_a_frame']:12.2f}{row['cpu_seconds_a_frame']:12.2f}"
        + f"{row['peak_mib']:12.0f}"
        for row in report["rows"]
    ]
    return "\n".join(lines)
