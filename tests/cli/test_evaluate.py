import json
import sys
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.cli import evaluate as command
from napari_seggpt.evaluation import annotator, peers
from napari_seggpt.evaluation.annotator import AnnotatorStep
from napari_seggpt.evaluation.figures import draw_dice, draw_distance
from napari_seggpt.evaluation.protocol import DataSetScore, FrameScore


@pytest.fixture
def data(tmp_path):
    """Two data sets, of six and three frames, with a square that moves."""
    root = tmp_path / "data"
    for name, length in (("long", 6), ("short", 3)):
        for folder in ("images", "labels"):
            (root / name / folder).mkdir(parents=True)
        labels = np.zeros((40, 40), np.uint8)
        labels[8:28, 10:30] = 1
        for index in range(length):
            moved = np.roll(labels, index, axis=0)
            file = f"{index}.png"
            Image.fromarray(moved).save(root / name / "labels" / file)
            Image.fromarray(moved * 90 + 20).save(root / name / "images" / file)
    facts = {name: {"label_kind": "instance"} for name in ("long", "short")}
    (root / "datasets.json").write_text(json.dumps(facts))
    return root


def test_prints_json(run, data):
    code, out, _ = run("evaluate", data, "--memory", 1, "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["references"], report["memory"]) == (1, 1)
    results = [DataSetScore(**row) for row in report["datasets"]]
    assert [(one.dataset, one.frames) for one in results] == [("long", 5), ("short", 2)]
    assert set(results[0].dice) == {"seggpt", "copied"}
    assert results[1].dice["copied"] > 0.9
    mean = (results[0].dice["copied"] + results[1].dice["copied"]) / 2
    assert report["mean"]["dice"]["copied"] == pytest.approx(mean)
    assert len(report["frames"]) == 7


def test_figures_can_be_drawn_again_from_json(run, data, tmp_path):
    code, out, _ = run("evaluate", data, "--json", "--figures", tmp_path / "a" / "b")
    assert code == 0
    report = json.loads(out)
    draw_dice([DataSetScore(**row) for row in report["datasets"]], tmp_path / "d.png")
    draw_distance([FrameScore(**row) for row in report["frames"]], tmp_path / "f.png")
    for again, name in (("d.png", "dice.png"), ("f.png", "distance.png")):
        assert (tmp_path / again).read_bytes() == (
            tmp_path / "a" / "b" / name
        ).read_bytes()


def test_prints_a_table(run, data):
    code, out, _ = run("evaluate", data)
    assert code == 0
    rows = [line.split() for line in out.strip().splitlines()]
    assert rows[0] == ["data", "set", "frames", "seggpt", "copied"]
    assert [row[0] for row in rows[1:]] == ["long", "short", "mean"]
    assert [len(row) for row in rows[1:]] == [4, 4, 3]


def test_compares_with_the_peers_asked_for(run, data):
    options = ["--sets", "short", "--json", "--peers"]
    _, out, _ = run("evaluate", data, *options, "pixels", "warped")
    dice = json.loads(out)["mean"]["dice"]
    assert set(dice) == {"seggpt", "pixel classifier", "warped"}
    assert dice["pixel classifier"] > 0.9
    _, out, _ = run("evaluate", data, *options)
    assert set(json.loads(out)["mean"]["dice"]) == {"seggpt"}


def test_the_flags_of_peers_are_theirs():
    assert tuple(peers.PEERS) == command.PEERS


def test_takes_measures(run, data):
    code, out, _ = run("evaluate", data, "--measures", "--json")
    assert code == 0
    report = json.loads(out)
    ours = {"iou", "j", "f", "boundary_f_2px", "f1", "ap50", "pq", "f1_of_true_mask"}
    assert set(report["frames"][0]["measures"]) == ours
    assert set(report["mean"]["measures"]) == ours | {
        "miou",
        "fb_iou",
        "area_ratio",
    }
    _, out, _ = run("evaluate", data, "--measures")
    assert "fb_iou" in out


def test_long_sequences_are_thinned(run, data):
    _, out, _ = run("evaluate", data, "--frames", 3, "--json")
    report = json.loads(out)
    assert [one["frames"] for one in report["datasets"]] == [2, 2]
    numbers = [row["index"] for row in report["frames"] if row["dataset"] == "long"]
    assert sorted(numbers) == [0, 5]


def test_simulates_an_annotator(run, data, tmp_path):
    code, out, _ = run(
        "evaluate", data, "--annotator", "--json", "--figures", tmp_path / "figures"
    )
    assert code == 0
    report = json.loads(out)
    short = report["datasets"][1]["effort"]
    assert short["copied"] == pytest.approx(1 / 3)  # enough as it is
    assert 1 / 3 <= short["seggpt"] <= 1
    steps = [AnnotatorStep(**row) for row in report["steps"]["seggpt"][0]]
    assert (steps[0].labelled, steps[0].frames) == (1, 6)
    assert (tmp_path / "figures" / "effort.png").stat().st_size > 0


def test_prints_efforts_as_a_table(run, data):
    code, out, _ = run("evaluate", data, "--annotator", "--frames", 3)
    assert code == 0
    rows = [line.split() for line in out.strip().splitlines()]
    assert [row[0] for row in rows] == ["Share", "data", "long", "short", "mean"]
    efforts = [float(row[2]) for row in rows[2:]]
    assert efforts[2] == pytest.approx((efforts[0] + efforts[1]) / 2, abs=1e-3)


def test_compares_with_tuned_prompts(run, data):
    code, out, _ = run(
        "evaluate", data, "--tune", "--references", 3, "--steps", 2, "--sets", "long",
        "--peers", "--json",
    )  # fmt: skip
    assert code == 0
    report = json.loads(out)
    assert set(report["mean"]["dice"]) == {"seggpt", "tuned", "tuned and plain"}
    assert report["tuning"]["settings"]["steps"] == 2
    (figures,) = report["tuning"]["prompts"]
    assert figures["frames"] == 3
    code, _, errors = run("evaluate", data, "--tune")
    assert code == 2
    assert "Expected 2 or more references for --tune, got 1" in errors


def test_compares_orders_of_labelling(run, data):
    options = ["--annotator", "--frames", 3, "--peers", "--json", "--orders"]
    code, out, _ = run("evaluate", data, *options, "unsure", "even")
    assert code == 0
    report = json.loads(out)
    assert set(report["steps"]) == {"seggpt (unsure)", "seggpt (even)"}
    assert report["orders"] == ["unsure", "even"]


def test_the_orders_are_those_of_the_annotator():
    assert get_args(annotator.Order) == command.ORDERS


def test_measures_how_well_frames_are_ranked(run, data):
    code, out, _ = run("evaluate", data, "--ranking", "--json")
    assert code == 0
    report = json.loads(out)
    assert len(report["frames"]) == 7
    assert {"confidence", "mean margin"} <= set(report["frames"][0]["signals"])
    if report["signals"]:
        assert set(report["signals"]["confidence"]) == {
            "within", "pooled", "worst_tenth", "apart", "sets",
        }  # fmt: skip


def test_prints_ranking_as_a_table(run, data):
    code, out, _ = run("evaluate", data, "--ranking")
    assert code == 0
    rows = [line.split() for line in out.strip().splitlines()]
    assert rows[1] == ["signal", "within", "pooled", "worst_tenth", "apart", "sets"]
    assert "confidence" in [row[0] for row in rows]


def test_too_few_frames_are_not_ranked(run, data):
    code, out, errors = run("evaluate", data, "--sets", "short", "--ranking")
    assert (code, out) == (2, "")
    assert "Expected frames that can be ranked" in errors


@pytest.mark.parametrize(
    ("module", "options"),
    [("sklearn.ensemble", ["--peers", "pixels"]), ("matplotlib.figure", ["--figures"])],
)
def test_says_early_what_to_install(run, data, tmp_path, monkeypatch, module, options):
    monkeypatch.setitem(sys.modules, module, None)
    folder = [tmp_path / "figures"] if options == ["--figures"] else []
    code, out, errors = run("evaluate", data, *options, *folder)
    assert (code, out) == (2, "")
    assert "pip install 'napari-seggpt[evaluation]'" in errors
    assert "Evaluating" not in errors


@pytest.mark.parametrize("options", [[], ["--annotator"]])
@pytest.mark.parametrize("calls", [0, 3])
def test_stopping_prints_what_was_done(run, data, monkeypatch, options, calls):
    done = []
    original = peers.Copied.segment

    def stop(self, frame, index):
        if len(done) == calls:
            raise KeyboardInterrupt
        done.append(index)
        return original(self, frame, index)

    monkeypatch.setattr(peers.Copied, "segment", stop)
    code, out, errors = run("evaluate", data, *options)
    assert code == 130
    assert "Stopped after" in errors
    if calls == 3 and not options:
        assert "Stopped after 3 of 7 frames." in errors
        assert out.split()[5:7] == ["long", "3"]
    if calls == 0:
        assert out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sets", "nothing"], "Expected data sets"),
        (["--references", "0"], "Expected 1 or more references"),
        (["--references", "9"], "Expected more labelled frames than references"),
        (["--frames", "1"], "Expected 2 or more frames, got 1"),
        (["--annotator", "--references", "2"], "Expected 1 reference for --annotator"),
        (["--annotator", "--measures"], "not allowed with"),
        (["--objects", "--figures", "f"], "Expected --objects alone, got --figures"),
        (["--ranking", "--tune", "--references", "2"], "--ranking alone, got --tune"),
        (["--peers", "cellpose"], "invalid choice: 'cellpose'"),
    ],
)
def test_says_what_is_wrong(run, data, monkeypatch, options, message):
    monkeypatch.chdir(data)
    code, out, errors = run("evaluate", data, *options)
    assert code == 2
    assert message in errors
    assert out == ""
    assert not (data / "f").exists()


def test_objects_are_measured_where_labels_are_objects(run, data):
    code, out, _ = run("evaluate", data, "--objects", "--json")
    assert code == 0
    report = json.loads(out)
    rows = {row["dataset"]: row for row in report["datasets"]}
    assert set(rows) == {"long", "short", "mean"}
    assert {"f1 objects", "ap objects", "f1 regions"} < set(rows["long"])
    assert len(report["frames"]) == 7
    code, out, _ = run("evaluate", data, "--objects", "--sets", "short")
    assert code == 0
    assert "Objects: F1 at IoU 0.5" in out
