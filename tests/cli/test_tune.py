import numpy as np
import pytest
import tifffile

from napari_seggpt.cli import interrupt
from napari_seggpt.io import open_stack
from napari_seggpt.model.checkpoint import save_checkpoint
from napari_seggpt.model.config import TINY
from napari_seggpt.prompts import TunedPrompt
from napari_seggpt.training import tuning


def one_line(text):
    return text.strip().splitlines()[-1]


@pytest.fixture
def tune(run, stack):
    """Tune on frames 0, 2, 3 and 5; returns code, output, errors and the file."""

    def call(*options, frames=(0, 2, 3, 5)):
        file = stack / "prompt.safetensors"
        result = run(
            "tune", stack / "stack.tif", "--labels", stack / "labels.tif",
            "--frames", *frames, "--output", file, "--steps", 3, *options,
        )  # fmt: skip
        return *result, file

    return call


@pytest.fixture
def improving(monkeypatch):
    """Every measurement is better than the one before."""
    values = iter(np.linspace(0.2, 0.9, 100))
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: next(values))


@pytest.mark.usefixtures("improving")
def test_a_tuned_prompt_labels_a_stack(tune, run, stack):
    code, out, _, file = tune("--names", "3=square", "--overwrite")
    assert code == 0
    assert "Tuned on 4 frames: Dice of frames predicted from the others" in out
    assert "(all of them were learned from)" in out
    assert "3 steps" in out
    prompt = TunedPrompt.load(file)
    assert prompt.class_names == {3: "square"}
    assert prompt.palette.ids.tolist() == [3]

    code, out, _ = run(
        "predict", stack / "stack.tif", "--prompt", file, "--output", stack / "a.tif"
    )
    assert code == 0
    assert "6 of 6 frames predicted from 1 tuned prompt" in out
    code, out, _ = run(
        "predict", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--frames", 1, "--prompt", file, "--output", stack / "b.tif",
        "--overlay", stack / "b.png",
    )  # fmt: skip
    assert code == 0
    assert "5 of 5 frames predicted from 1 reference and 1 tuned prompt" in out
    with open_stack(stack / "b.tif") as result:
        assert {int(i) for frame in result for i in np.unique(frame)} <= {0, 3}
        labels = tifffile.imread(stack / "labels.tif")
        np.testing.assert_array_equal(result[1], labels[1])


def test_what_gains_nothing_is_not_written_unless_asked(tune, monkeypatch):
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: 0.5)
    code, out, errors, file = tune()
    assert (code, out) == (1, "")
    assert "gained nothing over 4 frames as they are" in one_line(errors)
    assert not file.exists()
    code, out, _, file = tune("--keep", frames=(0, 1, 2, 3, 5))
    assert code == 0
    assert "0.500 before, 0.500 after (of the one held back 0.500 and 0.500)" in out
    assert TunedPrompt.load(file).figures.steps == 0


@pytest.mark.usefixtures("improving")
def test_stopping_keeps_the_best_so_far(tune, monkeypatch):
    class Impatient(interrupt.StopAtNextStep):
        asked = property(lambda self: True, lambda self, value: None)

    monkeypatch.setattr("napari_seggpt.cli.tune.StopAtNextStep", Impatient)
    code, out, _, file = tune("--keep")
    assert code == 130
    assert "0 steps" in out
    assert TunedPrompt.load(file).figures.steps == 0


@pytest.mark.usefixtures("improving")
def test_flags_are_settings(tune):
    _, _, _, file = tune(
        "--image-rate", 0.5, "--color-rate", 0.25, "--seed", 4, "--num-prompts", 2,
        "--from", "noise", "--seg-type", "instance",
    )  # fmt: skip
    prompt = TunedPrompt.load(file)
    settings = prompt.settings
    assert (settings.image_rate, settings.color_rate, settings.seed) == (0.5, 0.25, 4)
    assert (settings.start, settings.steps) == ("noise", 3)
    assert len(prompt.images) == 2
    assert prompt.seg_type == "instance"


@pytest.mark.usefixtures("improving")
def test_a_prompt_of_another_model_is_refused(tune, run, stack, make_model, tmp_path):
    *_, file = tune()
    prompt = TunedPrompt.load(file)
    save_checkpoint(make_model(TINY, seed=5), tmp_path / "other.safetensors")
    code, _, errors = run(
        "predict", stack / "stack.tif", "--output", stack / "a.tif",
        "--model", tmp_path / "other.safetensors", "--prompt", file, model=False,
    )  # fmt: skip
    assert code == 2
    assert f"got one for another model ({prompt.model_hash})" in one_line(errors)
    assert not (stack / "a.tif").exists()


def test_mistakes_are_one_line(tune, run, stack):
    code, _, errors, _ = tune(frames=[1])
    assert code == 2
    assert "Expected 2 or more labelled frames" in one_line(errors)
    code, _, errors = run(
        "tune", stack / "stack.tif", "--labels", stack / "labels.tif",
        "--output", stack / "prompt.pt",
    )  # fmt: skip
    assert code == 2
    assert "Expected an output .safetensors, got prompt.pt" in one_line(errors)
    command = ["predict", stack / "stack.tif", "--output", stack / "o.tif", "--prompt"]
    code, _, errors = run(*command, stack / "labels.tif")
    assert code == 2
    assert "Expected a tuned prompt" in one_line(errors)
    code, _, errors = run(*command, *[stack / "labels.tif"] * 3)
    assert code == 2
    assert "Expected --prompt IMAGE LABELS or a file that tune made" in one_line(errors)
    code, _, errors, _ = tune("--prompt", stack / "labels.tif")
    assert code == 2
    assert "Expected --prompt IMAGE LABELS to tune on" in one_line(errors)
    code, _, errors, _ = tune("--names", "square")
    assert code == 2
    assert "expected ID=NAME" in errors


@pytest.mark.usefixtures("improving")
def test_an_output_is_not_replaced_unasked(tune):
    assert tune()[0] == 0
    code, _, errors, _ = tune()
    assert code == 2
    assert "Expected a new path or --overwrite" in one_line(errors)


@pytest.mark.usefixtures("improving")
def test_tiles_of_the_prompt_are_taken_or_said(tune, run, stack):
    *_, file = tune("--tiles", 1.5)
    command = ["predict", stack / "stack.tif", "--prompt", file]
    code, _, errors = run(*command, "--output", stack / "a.tif")
    assert code == 0
    assert "tuned with --tiles 1.5" in errors
    code, _, errors = run(*command, "--output", stack / "b.tif", "--tiles", "auto")
    assert code == 0
    assert "Using tiles of scale 1.5" in errors
