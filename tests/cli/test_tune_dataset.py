import pytest

from napari_seggpt.cli import tune_dataset
from napari_seggpt.cli.interrupt import StopAtNextStep
from napari_seggpt.prompts import TunedPrompt

QUICK = ("--steps", 2, "--queries-per-step", 1)


@pytest.fixture
def tune(run, tmp_path):
    """Tune on a data set; returns code, output, errors and the file."""

    def call(folder, *options):
        file = tmp_path / "prompt.safetensors"
        return *run("tune", folder, "--output", file, *QUICK, *options), file

    return call


def test_a_folder_of_images_and_labels_gives_a_prompt(tune, run, published, tmp_path):
    folder = published("plain")
    code, out, _, file = tune(folder, "--from", "noise", "--num-prompts", 1)
    assert code == 0
    assert "Tuned on 4 images: Dice of images that were not learned from" in out
    prompt = TunedPrompt.load(file)
    assert prompt.palette.ids.tolist() == [1, 3]
    assert prompt.images.shape == (1, 3, 32, 32)
    assert prompt.settings.start == "noise"
    assert not file.with_name(f"{file.name}.state").exists()

    code, out, _ = run(
        "predict", folder / "images", "--prompt", file, "--output", tmp_path / "a.tif"
    )
    assert code == 0
    assert "4 of 4 frames predicted from 1 tuned prompt" in out


def test_the_training_subset_is_taken_and_150_classes_fit(tune, published):
    code, _out, errors, file = tune(published("ade20k"), "--palette", "painter")
    assert code == 0
    assert "150 classes of ADE20K, training, 3 images" in errors
    prompt = TunedPrompt.load(file)
    assert len(prompt.palette.ids) == 150
    assert prompt.class_names[150] == "class 150"
    assert prompt.settings.image_rate == 0.1


def test_many_classes_take_several_prompts(tune, published, monkeypatch):
    folder = published("loveda")
    code, _, _, file = tune(folder, "--labels-per-pass", 2, "--subset", "Val")
    assert code == 2  # some of the classes are nowhere to be seen
    first = file.with_name("prompt-1.safetensors")
    assert TunedPrompt.load(first).palette.ids.tolist() == [1, 2]
    code, _, errors, _ = tune(folder, "--labels-per-pass", 2, "--subset", "Val")
    assert "prompt-1" not in errors  # it is there already
    assert "prompt-2.safetensors: 2 classes" in errors


def test_it_goes_on_where_it_was_stopped(tune, published, monkeypatch):
    class Impatient(StopAtNextStep):
        asked = property(lambda self: True, lambda self, value: None)

    with monkeypatch.context() as patch:
        patch.setattr(tune_dataset, "StopAtNextStep", Impatient)
        code, _, errors, file = tune(published("plain"))
    assert code == 130
    assert "Stopped. The best prompt so far" in errors
    assert TunedPrompt.load(file).figures.steps == 0
    state = file.with_name(f"{file.name}.state")
    assert state.exists()
    code, _out, _, _ = tune(published("plain"))
    assert code == 0
    assert not state.exists()
    code, _, errors, _ = tune(published("plain"))
    assert code == 2
    assert "Expected a new path or --overwrite" in errors
    state.write_bytes(b"damaged")
    code, _, errors, _ = tune(published("plain"))
    assert code == 2
    assert "Expected the state of a tuning" in errors
    assert tune(published("plain"), "--overwrite")[0] == 0


def test_mistakes_are_one_line(tune, published, tmp_path):
    (tmp_path / "folder").mkdir()
    code, _, errors, _ = tune(tmp_path / "folder")
    assert code == 2
    assert "Known are: ADE20K" in errors
    assert "give their labels with --labels" in errors
    code, _, errors, _ = tune(published("mose"))
    assert code == 2
    assert "Expected a data set of images, got MOSE." in errors
