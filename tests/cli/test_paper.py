"""Every table, end to end, on made-up data and with random weights."""

import json
import re
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.cli import build_parser
from napari_seggpt.cli import paper as paper_command
from napari_seggpt.evaluation.paper.report import Report, Row

QUICK_TUNING = ("--steps", 2, "--queries-per-step", 1)


@pytest.fixture
def paper(run, tmp_path):
    """Measure a table; returns code, output, errors and the folder of results."""

    def call(table, data, *options):
        folder = tmp_path / "results"
        result = run("paper", table, "--data", data, "--output", folder, *options)
        return *result, folder

    return call


@pytest.fixture(scope="session")
def few_shot_data(miniatures, tmp_path_factory):
    root = tmp_path_factory.mktemp("few")
    for name, place in (
        ("voc", "VOC2012"),
        ("coco-20i", "COCO2014"),
        ("fss-1000", "FSS-1000"),
        ("hsnet-splits", "splits"),
    ):
        miniatures.write(name, root / place)
    return root


@pytest.fixture(scope="session")
def video_data(miniatures, tmp_path_factory):
    root = tmp_path_factory.mktemp("videos")
    for name in ("davis2017", "youtube-vos", "mose", "fss-1000"):
        miniatures.write(name, root / name)
    return root


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


def ours(folder):
    return {x["name"]: x["values"] for x in report_of(folder)["rows"] if x["ours"]}


@pytest.mark.slow
def test_table_1(paper, few_shot_data):
    code, out, _, folder = paper(
        "1", few_shot_data, "--splits", few_shot_data / "splits", "--limit", 2
    )
    assert code == 0
    assert "SegGPT, paper" in out
    assert "83.2" in out
    assert "SegGPT, here" in out
    assert "What the paper leaves open was chosen so:" in out
    assert "Note: Only 2 episodes of a fold were tested." in out
    values = ours(folder)["SegGPT"]
    for column in ("COCO-20i one", "COCO-20i few", "PASCAL-5i one", "PASCAL-5i few"):
        assert 0 <= values[column] <= 100
        assert 0 <= values[f"{column} FB"] <= 100
    assert (folder / "report.png").stat().st_size > 1000


def test_table_2(paper, few_shot_data):
    code, out, _, folder = paper("2", few_shot_data / "FSS-1000", "--shots", 1)
    assert code == 0
    assert "Without --splits" in out
    assert set(ours(folder)["SegGPT"]) == {"FSS-1000 one", "FSS-1000 one FB"}


def test_every_number_of_shots_has_its_column(paper, few_shot_data):
    options = ("--shots", 1, 2, 3, "--limit", 2)
    code, out, _, folder = paper("2", few_shot_data / "FSS-1000", *options)
    assert code == 0
    columns = ("FSS-1000 one", "FSS-1000 2 shots", "FSS-1000 3 shots")
    assert set(ours(folder)["SegGPT"]) == {
        name for column in columns for name in (column, f"{column} FB")
    }
    assert "mIoU is the mean over the classes that were looked for" in out


def test_every_number_of_examples_has_its_row(paper, video_data):
    options = ("--examples", 1, 3, "--limit", 1)
    code, _, _, folder = paper("3", video_data / "davis2017", *options)
    assert code == 0
    rows = ours(folder)
    assert list(rows) == ["SegGPT, 1 example", "SegGPT, 3 examples"]
    assert all("DAVIS17 J&F" in values for values in rows.values())
    for count in ("1-example", "3-examples"):
        assert (folder / "davis2017" / count / "Annotations").is_dir()


def test_without_the_training_categories_no_object_is_unseen(
    paper, miniatures, tmp_path
):
    data = miniatures.write("youtube-vos", tmp_path / "youtube-vos")
    (data / "train" / "meta.json").unlink()
    code, out, _, folder = paper("3", data, "--examples", 1)
    assert code == 0
    assert ours(folder) == {"SegGPT, 1 example": {}}
    assert "Without train/meta.json" in out


def test_table_3(paper, video_data):
    code, out, _, folder = paper("3", video_data / "davis2017", "--examples", 2)
    assert code == 0
    assert "Note: YTVOS was not found." in out
    values = ours(folder)["SegGPT, 2 examples"]
    mean = (values["DAVIS17 J"] + values["DAVIS17 F"]) / 2
    assert values["DAVIS17 J&F"] == pytest.approx(mean)
    assert "DAVIS16 J&F" in values


@pytest.mark.slow
def test_table_3_of_another_subset(paper, video_data):
    options = ("--subset", "train", "--limit", 1, "--examples", 1)
    code, _, _, folder = paper("3", video_data / "mose", *options)
    assert code == 0
    assert set(ours(folder)["SegGPT, 1 example"]) == {"MOSE J&F", "MOSE J", "MOSE F"}


@pytest.mark.slow
def test_table_3_with_late_objects_and_secret_labels(paper, video_data, miniatures):
    code, out, _, folder = paper("3", video_data)
    assert code == 0
    values = ours(folder)["SegGPT, 8 examples"]
    assert 0 <= values["YTVOS G"] <= 100
    assert "MOSE J&F" not in values
    assert "The labels of MOSE (valid) are not public" in out
    result = folder / "youtube-vos" / "Annotations" / "bbb"
    assert sorted(x.name for x in result.iterdir()) == [
        f"{5 * i:05}.png" for i in range(6)
    ]
    frames = [Image.open(result / f"{5 * i:05}.png") for i in range(6)]
    assert {frame.mode for frame in frames} == {"P"}
    assert frames[0].getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    ids = [set(np.unique(np.asarray(frame))) for frame in frames]
    assert ids[0] == {0, 1}
    assert ids[1] <= {0, 1}
    assert 3 in ids[2]  # given there
    truth = miniatures.frames(6, [1, 3], late={3: 2})
    assert ((np.asarray(frames[2]) == 3) == (truth[2] == 3)).all()
    assert len(list((folder / "mose" / "Annotations" / "0a1b").iterdir())) == 4


def test_table_4a(paper, video_data):
    code, _, _, folder = paper("4a", video_data, "--limit", 1)
    assert code == 0
    rows = ours(folder)
    assert list(rows) == ["1 none", "4 spatial", "4 feature", "8 feature"]
    for values in rows.values():
        assert set(values) == {
            "DAVIS17 J&F", "DAVIS17 J", "DAVIS17 F", "FSS mIoU", "FSS FB-IoU",
        }  # fmt: skip
    theirs = [x for x in report_of(folder)["rows"] if not x["ours"]]
    assert theirs[1]["values"]["FSS mIoU"] == 89.3


def test_table_4b(paper, video_data):
    code, _, _, folder = paper("4b", video_data, "--frames", 1, 4)
    assert code == 0
    rows = ours(folder)
    assert list(rows) == ["1 frame", "4 frames"]
    assert rows["1 frame"] != rows["4 frames"]


def test_table_5(paper, published):
    code, out, errors, folder = paper("5", published("ade20k"), *QUICK_TUNING)
    assert code == 0
    assert "Tuning on 3 images of ADE20K" in errors
    assert (folder / "prompt.safetensors").exists()
    assert set(ours(folder)["SegGPT, tuned"]) == {"mIoU", "mAcc"}
    assert "Mask2Former, paper" in out


def test_table_5_with_a_prompt_of_ones_own(paper, run, published, tmp_path):
    file = tmp_path / "mine.safetensors"
    data = published("ade20k")
    options = ("--palette", "painter", *QUICK_TUNING)
    assert run("tune", data, "--output", file, *options)[0] == 0
    code, _, errors, folder = paper("5", data, "--prompt", file)
    assert code == 0
    assert "Tuning" not in errors
    assert not (folder / "prompt.safetensors").exists()


def test_table_6(paper, published):
    code, out, _, folder = paper("6", published("coco-panoptic"), *QUICK_TUNING)
    assert code == 0
    values = ours(folder)["SegGPT, tuned"]
    for name in ("PQ", "SQ", "RQ"):
        assert set(values) >= {name, f"{name} things", f"{name} stuff"}
    content = json.loads((folder / "panoptic_val2017.json").read_text())
    assert [x["image_id"] for x in content["annotations"]] == [1, 2]
    for one in content["annotations"]:
        image = Image.open(folder / "panoptic_val2017" / one["file_name"])
        shown = {int(i) for i in np.unique(np.asarray(image)[..., 0])} - {0}
        assert shown == {x["id"] for x in one["segments_info"]}
    assert "43.4" in out


def test_table_s1(paper, published):
    code, _, errors, folder = paper(
        "s1", published("ade20k"), "--examples", 1, 2, "--seeds", 1000, 2000
    )
    assert code == 0
    assert "Looking for the classes" in errors
    report = report_of(folder)
    assert "best of 2 seeds" in report["title"]
    assert list(ours(folder)) == ["1 example", "2 examples"]


# -- interruptions, parts, mistakes ------------------------------------------------


@pytest.mark.slow
def test_parts_make_the_same_table_as_the_whole(paper, run, few_shot_data, tmp_path):
    command = ("paper", "1", "--data", few_shot_data, "--limit", 2, "--shots", 1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(*command, "--output", whole)[0] == 0
    for part in ("2/3", "1/3"):
        code, out, errors = run(*command, "--output", parts, "--part", part)
        assert (code, out) == (0, "")
        assert "pieces are done. The same command goes on" in errors
    # Part 3 never ran; the last call does its work.
    code, out, _ = run(*command, "--output", parts)
    assert code == 0
    assert out == (whole / "report.txt").read_text()
    assert ours(parts) == ours(whole)
    assert len(list(parts.glob("part-*.jsonl"))) == 3


def test_it_goes_on_where_it_was_stopped(paper, published, monkeypatch):
    from napari_seggpt.cli import paper as command
    from napari_seggpt.cli.interrupt import StopAtNextStep

    class Impatient(StopAtNextStep):
        asked = property(lambda self: True, lambda self, value: None)

    with monkeypatch.context() as patch:
        patch.setattr(command, "StopAtNextStep", Impatient)
        code, _, errors, folder = paper("4b", published("davis2017"), "--frames", 1)
        assert code == 130
        assert "1 of 2 pieces are done" in errors
        code, _, errors, _ = paper("5", published("ade20k"), *QUICK_TUNING)
        assert code == 2  # the folder is that of another table
    (line,) = (folder / "part-1-of-1.jsonl").read_text().splitlines()
    with (folder / "part-1-of-1.jsonl").open("a") as file:
        file.write('["davis2017/1-feature/cow", {"1"')  # a process was killed
    code, _, _, _ = paper("4b", published("davis2017"), "--frames", 1)
    assert code == 0
    lines = (folder / "part-1-of-1.jsonl").read_text().splitlines()
    assert lines[0] == line
    assert len(lines) == 3


def test_stopped_tuning_goes_on(paper, published, monkeypatch):
    from napari_seggpt.cli import paper as command
    from napari_seggpt.cli.interrupt import StopAtNextStep

    class Impatient(StopAtNextStep):
        asked = property(lambda self: True, lambda self, value: None)

    with monkeypatch.context() as patch:
        patch.setattr(command, "StopAtNextStep", Impatient)
        code, _, errors, folder = paper("5", published("ade20k"), *QUICK_TUNING)
    assert code == 130
    assert "The same command goes on" in errors
    assert (folder / "prompt.state").exists()
    assert paper("5", published("ade20k"), *QUICK_TUNING)[0] == 0
    assert not (folder / "prompt.state").exists()


def test_other_settings_need_another_folder(paper, few_shot_data):
    folder = few_shot_data / "FSS-1000"
    assert paper("2", folder, "--limit", 1)[0] == 0
    code, _, errors, _ = paper("2", folder, "--limit", 2)
    assert code == 2
    assert "Expected results of the same episodes in" in errors


def test_a_folder_with_something_else_is_refused(run, published):
    data = published("davis2017")
    code, _, errors = run("paper", "4b", "--data", data, "--output", data)
    assert code == 2
    assert "Expected a new folder, or one of results" in errors


def test_only_the_first_part_tunes(paper, published):
    code, _, errors, _ = paper("5", published("ade20k"), "--part", "2/2")
    assert code == 2
    assert "which part 1/2 makes, got none yet" in errors


def test_mistakes_are_one_line(paper, tmp_path, published):
    code, _, errors, _ = paper("1", tmp_path / "nowhere")
    assert code == 2
    assert "Expected a folder of data sets" in errors
    (tmp_path / "empty").mkdir()
    for table, needed in (("1", "coco-20i, pascal-5i"), ("3", "davis2017"),
                          ("5", "ade20k"), ("6", "coco-panoptic")):  # fmt: skip
        code, _, errors, _ = paper(table, tmp_path / "empty")
        assert code == 2
        assert needed in errors
    code, _, errors, _ = paper("1", published("voc"), "--part", "3/2")
    assert code == 2
    assert "expected I/N, from 1/N to N/N, got '3/2'" in errors
    code, _, errors, _ = paper("1", published("voc"), "--limit", 0)
    assert code == 2
    assert "Expected a --limit of 1 or more" in errors
    for table, option in (("1", "subset"), ("3", "shots"), ("5", "examples")):
        code, _, errors, _ = paper(table, published("voc"), f"--{option}", 3)
        assert code == 2
        assert f"Expected --{option} with table" in errors
    code, _, errors, _ = paper("7", published("voc"))
    assert code == 2


def test_the_commands_of_the_docs_are_understood():
    docs = Path(__file__).parents[2] / ".docs"
    page = (docs / "reference" / "paper.md").read_text("utf-8")
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", page, flags=re.DOTALL))
    blocks = blocks.replace("\\\n", " ")
    commands = re.findall(r"napari-seggpt ((?:paper|tune) [^&#\n]*)", blocks)
    assert len(commands) == 5
    for command in commands:
        assert callable(build_parser().parse_args(command.split()).run)


def test_a_terminal_obeys_nothing_of_a_report(tmp_path, capsys):
    rows = (Row(name="here", values={"Dice": 50.0}, ours=True),)
    notes = ("red \x1b[31m",)
    report = Report(title="", columns=("Dice",), rows=rows, choices=(), notes=notes)
    plan = SimpleNamespace(units=[], summarise=lambda _: report)
    results = SimpleNamespace(done=dict, folder=tmp_path)
    args = Namespace(json=False)
    assert paper_command._finish(args, plan, results, stopped=False) == 0
    out, _ = capsys.readouterr()
    assert "red \\x1b[31m" in out
    assert "\x1b" not in out
