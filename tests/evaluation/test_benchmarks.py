import json
from dataclasses import asdict, replace

import numpy as np
import psutil
import pytest
import torch

from napari_seggpt.cli import main
from napari_seggpt.evaluation import benchmarks
from napari_seggpt.evaluation.benchmarks import (
    benchmark_ensemble,
    benchmark_frame,
    benchmark_parts,
    benchmark_peers,
    benchmark_scale,
    frame,
    peers,
    scale,
)
from napari_seggpt.evaluation.benchmarks.scale import ScaleCase, ScaleRanges
from napari_seggpt.evaluation.figures import draw_scale
from napari_seggpt.model.checkpoint import save_checkpoint
from napari_seggpt.model.config import SMALL, TINY
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.seggpt import SegGPT


@pytest.mark.slow
def test_the_benchmark_compares_equal_functions():
    report = benchmark_ensemble([1, 3], runs=2, config=TINY)
    assert [row["prompts"] for row in report["rows"]] == [1, 3]
    for row in report["rows"]:
        assert row["largest_difference"] < 1e-4 * row["output_deviation"]
        assert row["ratio"] == row["transformers_seconds"] / row["seconds"]
        assert len(row["all_seconds"]) == len(row["all_transformers_seconds"]) == 2
        assert row["gflops"] > 0
    assert report["matmul_gflops"] > 0


@pytest.mark.slow
def test_our_work_grows_slower_than_theirs():
    one, eight = benchmark_ensemble([1, 8], runs=1, config=TINY)["rows"]
    ours = eight["gflops"] * eight["seconds"] / (one["gflops"] * one["seconds"])
    theirs = (
        eight["transformers_gflops"]
        * eight["transformers_seconds"]
        / (one["transformers_gflops"] * one["transformers_seconds"])
    )
    assert ours < 0.8 * theirs


@pytest.fixture(scope="module")
def small_model():
    """A network in the manner of the built-in one."""
    config = replace(
        SMALL, image_size=(32, 32), embed_dim=24, depth=2, num_heads=2,
        tap_indices=(1,), stem_widths=(4,) * 6, stem_dim=8, match_dim=16,
        decoder_dim=8, fine_sides=(32, 64),
    )  # fmt: skip
    return SegGPT(config).eval()


def test_a_frame_is_timed_with_any_number_of_prompts(small_model):
    report = benchmark_frame([1, 5], runs=2, side=48, model=small_model, large=TINY)
    assert report["frame"] == [48, 48]
    assert [row["prompts"] for row in report["rows"]] == [1, 5]
    ours, theirs = report["builtin"], report["vit_large"]
    assert ours["prompts"] == theirs["prompts"] == 4
    assert theirs["picture"] == [32, 32]
    for row in (ours, *report["rows"]):  # at multiples of 32 pixels
        assert row["picture"] == [64, 64]
    for row in (ours, theirs, *report["rows"]):
        assert len(row["all_seconds"]) == 2
        assert 0 < row["network_seconds"] < row["seconds"]
        assert row["encode_seconds"] > 0
    assert report["ratio"] == theirs["seconds"] / ours["seconds"]
    assert report["network_ratio"] == (
        theirs["network_seconds"] / ours["network_seconds"]
    )
    assert "probabilities" not in vars(small_model)  # nothing is left of the clock


def test_the_clock_starts_when_prompts_are_encoded(small_model, monkeypatch):
    happened = []

    def record(name):
        original = getattr(SegGPT, name)

        def recorded(self, *args, **more):
            happened.append((name, self.config.decoder))
            return original(self, *args, **more)

        monkeypatch.setattr(SegGPT, name, recorded)

    record("encode_prompts")
    record("probabilities")
    record("forward")
    benchmark_frame([2], runs=1, side=32, model=small_model, large=TINY)
    assert happened == [
        *[("encode_prompts", "readout")] * 4,
        *[("encode_prompts", "paint")] * 4,
        ("probabilities", "readout"),
        ("forward", "paint"),
        *[("encode_prompts", "readout")] * 2,
        ("probabilities", "readout"),
    ]


def test_shared_memory_of_prompts_counts_once():
    both = torch.zeros(1, 1, 6)
    encoded = EncodedPrompts(
        grid=(1, 1),
        seg_type=torch.zeros(1, 1, dtype=torch.int64),
        keys=(both[..., :2],),
        values=(both[..., 2:4],),
    )
    assert frame._held_bytes(encoded) == 6 * 4 + 8


def test_the_command_prints_what_was_measured(monkeypatch, capsys):
    def report(prompts, runs, threads):
        row = {
            "picture": [256, 256], "prompts": 4, "seconds": 0.25,
            "network_seconds": 0.2, "encode_seconds": 0.1, "prompt_bytes": 8_000_000,
        }  # fmt: skip
        return {
            "torch": "2", "threads": threads, "frame": [448, 448], "builtin": row,
            "vit_large": {**row, "seconds": 25.0}, "ratio": 100.0,
            "network_ratio": 90.0, "rows": [{**row, "prompts": n} for n in prompts],
        }  # fmt: skip

    monkeypatch.setattr(benchmarks, "benchmark_frame", report)
    assert main(["benchmark", "frame", "--json", "--threads", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == report([1, 4, 16, 64], 3, 2)
    assert main(["benchmark", "frame", "--prompts", "7", "--threads", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2][-4:] == ["25.000", "0.200", "0.100", "8.0"]
    assert lines[-2:] == [
        ["ratio", "100.0", "90.0"],
        ["built-in", "256", "x", "256", "7", "0.250", "0.200", "0.100", "8.0"],
    ]


@pytest.mark.slow
def test_growth_is_measured_in_processes_of_their_own(small_model, tmp_path):
    path = tmp_path / "small.safetensors"
    save_checkpoint(small_model, path)
    ranges = ScaleRanges(
        base=ScaleCase(side=32, frames=4),
        side=(),
        frames=(),
        references=(3,),
        classes=(),
        objects=(2,),
    )
    report = benchmark_scale(ranges, threads=1, model=str(path))
    rows = report["rows"]
    assert [row["varied"] for row in rows] == ["references", "objects"]
    assert [row["frames"] for row in rows] == [5, 4]
    for row in rows:
        assert 0 < row["seconds_a_frame"] < row["seconds"]
        assert row["cpu_seconds_a_frame"] > 0
        assert 50 < row["peak_mib"] < 2000  # Python and torch alone are hundreds
    draw_scale(rows, tmp_path / "scale.png")
    assert (tmp_path / "scale.png").stat().st_size > 10_000


def test_drawn_frames_show_what_is_labelled():
    for case in (ScaleCase(side=64, classes=5), ScaleCase(side=64, objects=9)):
        stack = scale.DrawnStack(case)
        labels, frame = stack.labels(3), stack[3]
        assert [*np.unique(labels)] == [*range(1 + (case.objects or case.classes))]
        assert frame[labels > 0].mean() > frame[labels == 0].mean() + 50
        assert (stack.labels(2) != labels).any()


def test_the_peak_of_a_process_is_at_least_what_it_has():
    now = psutil.Process().memory_info().rss
    assert 0.9 * now < scale.peak_bytes() < 20 * now


def test_parts_add_up_to_a_frame(small_model):
    report = benchmark_parts([1, 3], runs=1, model=small_model)
    assert [row["prompts"] for row in report["rows"]] == [1, 3]
    for row in report["rows"]:
        assert sum(row["parts"].values()) == pytest.approx(row["seconds"])
        assert min(row["parts"].values()) > 0
    original = SegGPT.probabilities
    assert "call" not in original.__qualname__  # nothing is left of the clock
    assert not hasattr(original, "__wrapped__")


def test_peers_take_the_same_frames(small_model, monkeypatch):
    asked = []

    class Peer:
        def __init__(self, prompts, limits):
            asked.append([prompt.index for prompt in prompts])

        def segment(self, frame, index):
            asked.append(index)

    made = {name: (name, Peer) for name in peers.TIMED_PEERS}
    monkeypatch.setattr(peers, "PEERS", made)
    report = benchmark_peers(["organs"], runs=2, model=small_model)
    assert asked == [[12], [12], 0, 0, 1, 1]
    ours, *others = report["rows"]
    assert ours["method"] == "built-in"
    assert ours["ratio"] == 1
    assert [row["method"] for row in others] == [*peers.TIMED_PEERS]
    for row in others:
        assert row["ratio"] == row["seconds"] / ours["seconds"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("scale", ["side", "448", "2", "0.25", "300"]),
        ("peers", ["organs", "built-in", "0.25", "1.00"]),
        ("parts", ["clean-up", "250.0"]),
    ],
)
def test_the_other_tables(monkeypatch, capsys, tmp_path, name, words):
    row = {
        "varied": "side", **asdict(ScaleCase()), "seconds_a_frame": 0.25,
        "cpu_seconds_a_frame": 0.5,
        "seconds": 0.25, "peak_mib": 300.0, "sample": "organs", "method": "built-in",
        "learn_seconds": 1.0, "ratio": 1.0, "prompts": 1, "parts": {"clean-up": 0.25},
    }  # fmt: skip
    report = {"torch": "2", "threads": 2, "model": "m", "sample": "s", "rows": [row]}
    monkeypatch.setattr(benchmarks, f"benchmark_{name}", lambda *_, **__: report)
    assert main(["benchmark", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    figure = ["--figure", str(tmp_path / "a.png")] if name == "scale" else []
    assert main(["benchmark", name, *figure]) == 0
    printed = capsys.readouterr().out.split()
    assert all(word in printed for word in words)
    assert (tmp_path / "a.png").exists() == bool(figure)
