import csv
import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.cli import benchmark as benchmark_command
from napari_seggpt.cli import main, train
from napari_seggpt.cli.arguments import load_named_model
from napari_seggpt.model import zoo
from napari_seggpt.model.checkpoint import load_checkpoint
from napari_seggpt.training import trainer


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    labels = np.zeros((40, 40), np.uint8)
    labels[10:30, 10:30] = 1
    for index in range(4):
        shifted = np.roll(labels, index, axis=0)
        Image.fromarray(shifted).save(folder / "labels" / f"{index}.png")
        Image.fromarray(shifted * 90 + 20).save(folder / "images" / f"{index}.png")
    return folder


def test_evaluate_prints_json(run, data):
    code, out, _ = run("evaluate", data, "--memory", 1, "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["references"], report["memory"]) == (1, 1)
    (only,) = report["datasets"]
    assert (only["dataset"], only["frames"]) == ("data", 3)
    assert only["copied"] > 0.9
    assert report["mean"]["dice"] == only["dice"]


def test_evaluate_prints_a_table(run, data):
    code, out, _ = run("evaluate", data)
    assert code == 0
    rows = [line.split() for line in out.strip().splitlines()]
    assert [row[0] for row in rows] == ["data", "data", "mean"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sets", "nothing"], "Expected data sets"),
        (["--references", "0"], "Expected 1 or more references"),
        (["--references", "9"], "Expected more labelled frames than references"),
    ],
)
def test_evaluate_says_what_is_wrong(run, data, arguments, message):
    code, _, errors = run("evaluate", data, *arguments)
    assert code == 2
    assert message in errors


def write_recipe(tmp_path, **values):
    toy = {
        "config": "small", "image_size": 64, "batch_size": 1, "max_prompts": 1,
        "steps": 2, "simulated_groups": 1, "save_every": 1,
    }  # fmt: skip
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({**toy, **values}))
    return path


def test_train_writes_weights_that_load_and_resumes(data, tmp_path, capfd):
    recipe = write_recipe(tmp_path)
    command = ["train", str(data), "--recipe", str(recipe), "--output"]
    assert main([*command, str(tmp_path / "run")]) == 0
    assert main([*command, str(tmp_path / "run")]) == 0  # nothing left to do
    folder = tmp_path / "run"
    assert load_checkpoint(folder / train.WEIGHTS).config.stem_dim > 0
    with (folder / train.LOG).open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0", "1"]
    assert json.loads((folder / train.RECIPE).read_text())["image_size"] == 64


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": 1}, "got 'colour'"),
        ({"config": "huge"}, "got 'huge'"),
        ({"save_every": 0}, "save_every above 0"),
        ({"steps": "10"}, "Expected steps as 4000"),
        ({"simulated": 2.0}, "simulated of 0 to 1"),
    ],
)
def test_train_says_what_is_wrong(data, tmp_path, capfd, values, message):
    recipe = write_recipe(tmp_path, **values)
    code = main(
        ["train", str(data), "--recipe", str(recipe), "--output", str(tmp_path / "run")]
    )
    assert code == 2
    assert message in capfd.readouterr().err


def test_a_refused_recipe_leaves_a_finished_run(data, tmp_path, capfd):
    recipe, folder = write_recipe(tmp_path), tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main(command) == 0
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert main([*command, "--steps", "3"]) == 2
    assert "Expected the recipe of the run" in capfd.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_stopped_training_goes_on(data, tmp_path, capfd, monkeypatch):
    recipe, folder = write_recipe(tmp_path, steps=4, save_every=100), tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    original, made = trainer.coloring_loss, []

    def press_control_c_in_the_second_step(*args):
        made.append(1)
        if len(made) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "coloring_loss", press_control_c_in_the_second_step)
        assert main(command) == 130
    assert "goes on" in capfd.readouterr().err
    assert main(command) == 0
    with (folder / train.LOG).open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]


def test_a_download_shows_licence_and_progress(monkeypatch, capfd, tiny_model):
    def download(name, *, progress):
        for done in (10, 60, 100):
            progress(done, 100)
        return tiny_model

    monkeypatch.setattr(zoo, "locate", lambda *_, **__: None)
    monkeypatch.setattr(zoo, "load_model", download)
    assert load_named_model("seggpt-vit-large") is tiny_model
    errors = capfd.readouterr().err
    assert "MIT" in errors
    assert "100/100" in errors


def test_benchmark_prints_what_was_measured(monkeypatch, capsys):
    report = {
        "torch": "2", "threads": 2, "matmul_gflops": 100.0,
        "rows": [
            {
                "prompts": 4, "seconds": 1.0, "transformers_seconds": 2.5, "ratio": 2.5,
                "gflops": 80.0, "transformers_gflops": 60.0, "largest_difference": 1e-6,
            }
        ],
    }  # fmt: skip
    monkeypatch.setattr(
        "napari_seggpt.evaluation.benchmarks.benchmark_ensemble",
        lambda prompts, runs, threads: report,
    )
    assert main(["benchmark", "ensemble", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert "2.50" in benchmark_command._as_table(report)


def test_info_names_models_and_device(capsys):
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert "builtin" in out
    assert "seggpt-vit-large" in out
    assert "MIT" in out


def test_info_describes_a_stack(stack, capsys):
    assert main(["info", str(stack / "stack.tif")]) == 0
    out = capsys.readouterr().out
    assert "6 frames along z" in out
    assert "40 x 48" in out
    assert "0.25 micrometer" in out


@pytest.mark.parametrize("argv", [[], ["predict"], ["nothing"], ["info", "--x"]])
def test_a_wrong_command_is_one_line(argv, capsys):
    with pytest.raises(SystemExit) as error:
        main(argv)
    assert error.value.code == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_debug_shows_where_an_error_came_from(tmp_path):
    with pytest.raises(ValueError, match="none"):
        main(["--debug", "info", str(tmp_path / "none.tif")])
