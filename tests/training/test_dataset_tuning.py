from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.datasets.layouts import open_dataset
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.palette import Palette
from napari_seggpt.settings import PredictionSettings
from napari_seggpt.training import tuning
from napari_seggpt.training.dataset_tuning import (
    DATASET_TUNING,
    TooFewImagesError,
    tune_on_dataset,
)
from napari_seggpt.training.tuning_state import TuningStateError

CPU = PredictionSettings(device="cpu")
QUICK = replace(
    DATASET_TUNING, steps=4, check_every=2, queries_per_step=2, num_prompts=2
)


@pytest.fixture
def dataset(published):
    return open_dataset(published("plain"))


@pytest.fixture
def ade20k(published):
    return open_dataset(published("ade20k"), subset="training")


def tune(model, dataset, palette, settings=QUICK, **more):
    steps = tune_on_dataset(
        model, dataset, palette, settings=settings, prediction=CPU, **more
    )
    return list(steps)


@pytest.mark.parametrize("start", ["grid", "noise", "reference"])
def test_one_tensor_learns_and_the_network_does_not(tiny_model, dataset, start):
    before = model_hash(tiny_model)
    settings = replace(QUICK, start=start, num_prompts=1)
    steps = tune(tiny_model, dataset, Palette.of([1, 3]), settings)
    assert [step.step for step in steps] == [0, 1, 2, 3, 4]
    assert [step.dice is None for step in steps] == [False, True, False, True, False]
    best = steps[-1].best
    assert best.images.shape == (1, 3, 32, 32)
    assert best.figures.frames == 4
    assert model_hash(tiny_model) == before


def test_the_loss_falls(tiny_model, dataset):
    settings = replace(QUICK, steps=30, check_every=30, brightness=False, crop=1.0)
    steps = tune(tiny_model, dataset, Palette.of([1, 3]), settings)
    losses = [step.loss for step in steps[1:]]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_150_classes_learn_in_one_tensor(tiny_model, ade20k):
    palette = Palette.painter(ade20k.classes)
    best = tune(tiny_model, ade20k, palette)[-1].best
    assert len(best.palette.ids) == 150
    assert best.class_names[7] == "class 7"
    predicted = Predictor(tiny_model, tuned=[best], settings=CPU).predict(
        ade20k[0].image()
    )
    assert predicted.labels.shape == ade20k[0].labels().shape
    assert set(np.unique(predicted.labels)) <= set(range(151))


def test_the_colours_learn_if_asked(tiny_model, dataset, monkeypatch):
    from napari_seggpt.training import tuning

    values = iter(np.linspace(0, 1, 100))  # the last is the best
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: next(values))
    first, *_, last = tune(
        tiny_model, dataset, Palette.of([1, 3]), replace(QUICK, color_rate=0.1)
    )
    assert not np.array_equal(first.best.images, last.best.images)
    assert not np.array_equal(first.best.colors, last.best.colors)


def test_it_goes_on_as_if_it_had_not_been_stopped(tiny_model, dataset, tmp_path):
    palette = Palette.of([1, 3])
    settings = replace(QUICK, steps=6)
    whole = tune(tiny_model, dataset, palette, settings)
    file = tmp_path / "state.pt"
    begun = tune_on_dataset(
        tiny_model, dataset, palette, settings=settings, prediction=CPU,
        state_file=file,
    )  # fmt: skip
    for step in begun:
        if step.step == 3:  # the state is that of step 2
            begun.close()
    rest = tune(tiny_model, dataset, palette, settings, state_file=file)
    assert [step.step for step in rest] == [2, 3, 4, 5, 6]
    assert [x.loss for x in rest[1:]] == [x.loss for x in whole[3:]]
    assert rest[-1].dice == whole[-1].dice


def test_it_does_not_go_on_where_nothing_was_gained(
    tiny_model, dataset, tmp_path, monkeypatch
):
    palette, file = Palette.of([1, 3]), tmp_path / "state.pt"
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: 0.5)
    settings = replace(QUICK, steps=20, patience=2)
    first = tune(tiny_model, dataset, palette, settings, state_file=file)
    again = tune(tiny_model, dataset, palette, settings, state_file=file)
    assert first[-1].step < 20
    assert [step.step for step in again] == [first[-1].step]


def test_another_tuning_does_not_go_on(tiny_model, dataset, tmp_path):
    file = tmp_path / "state.pt"
    tune(tiny_model, dataset, Palette.of([1, 3]), state_file=file)
    other = replace(QUICK, seed=1)
    with pytest.raises(TuningStateError, match="got that of another"):
        tune(tiny_model, dataset, Palette.of([1, 3]), other, state_file=file)
    file.write_bytes(b"text")
    with pytest.raises(TuningStateError, match="Expected the state of a tuning in"):
        tune(tiny_model, dataset, Palette.of([1, 3]), state_file=file)


def test_a_class_that_no_image_shows_is_refused(tiny_model, dataset):
    with pytest.raises(TooFewImagesError, match=r"any of the classes \[9\], got none"):
        tune(tiny_model, dataset, Palette.of([9]))


def test_images_are_read_when_they_are_drawn(tiny_model, ade20k, monkeypatch):
    from napari_seggpt.datasets import base

    read = []
    original = base.read_rgb
    monkeypatch.setattr(
        base, "read_rgb", lambda file: read.append(file) or original(file)
    )
    steps = tune_on_dataset(
        tiny_model, ade20k, Palette.of([1, 2]), settings=QUICK, prediction=CPU
    )
    next(steps)
    before = len(read)
    next(steps)
    assert len(read) == before + QUICK.queries_per_step


def test_a_network_with_a_readout_learns_too(new_model, dataset):
    model = new_model()
    best = tune(model, dataset, Palette.of([1, 3]))[-1].best
    assert best.images.shape[-2:] == model.config.seen_size(model.config.image_size)
    predicted = Predictor(model, tuned=[best], settings=CPU).predict(dataset[0].image())
    assert set(np.unique(predicted.labels)) <= {0, 1, 3}


def test_a_readout_has_no_room_for_150_classes(new_model, ade20k):
    palette = Palette.painter(ade20k.classes)
    with pytest.raises(ValueError, match="colours"):
        tune(new_model(), ade20k, palette)
