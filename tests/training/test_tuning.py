from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.model.config import TINY
from napari_seggpt.preprocessing import AS_IT_IS, normalise
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings, TilingSettings, TuningSettings
from napari_seggpt.training import tuning
from napari_seggpt.training.frozen import frozen
from napari_seggpt.training.tuning import tune_prompt
from napari_seggpt.training.tuning_data import TuningData, augment, neighbour

CPU = PredictionSettings(device="cpu")
QUICK = TuningSettings(steps=4, check_every=2)


@pytest.fixture
def frames():
    """Five frames of a bright square that moves over noise."""
    rng = np.random.default_rng(0)
    made = []
    for index in range(5):
        labels = np.zeros((40, 36), np.uint8)
        labels[6 + 3 * index : 20 + 3 * index, 8:26] = 4
        image = (labels > 0) * 120.0 + rng.normal(60, 20, labels.shape)
        image = np.clip(image, 0, 255).astype(np.uint8)
        made.append(Prompt(image=image, labels=labels, index=10 * index))
    return made


def tune(model, frames, settings=QUICK, prediction=CPU, **more):
    return list(
        tune_prompt(model, frames, settings=settings, prediction=prediction, **more)
    )


def data_of(frames, config=TINY, **more):
    how = {"prediction": CPU, "limits": None, "hold_back": True}
    return TuningData.of(frames, config, **{**how, **more})


# -- the course --------------------------------------------------------------------


def test_yields_before_and_after_every_update(new_model, frames):
    steps = tune(new_model(), frames)
    assert [step.step for step in steps] == [0, 1, 2, 3, 4]
    assert [step.loss is None for step in steps] == [True] + [False] * 4
    assert [step.dice is None for step in steps] == [False, True, False, True, False]
    assert [step.held_back_dice is None for step in steps] == [
        step.dice is None for step in steps
    ]


def test_the_prompt_learns_and_the_network_does_not(new_model, frames):
    model = new_model()
    before = model_hash(model)
    # Neighbours are drawn anew each time, and their losses differ.
    course = {"steps": 24, "check_every": 24, "weighing_rate": 0.02}
    settings = replace(QUICK, neighbours=0.0, **course)
    steps = tune(model, frames, settings)
    assert model_hash(model) == before
    assert all(parameter.requires_grad for parameter in model.parameters())
    losses = [step.loss for step in steps[1:]]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    own, best = model.readout.weighing(), steps[-1].best.weighing
    assert set(best) == set(own)
    same = {name for name in own if (best[name] == own[name].detach().numpy()).all()}
    assert same == {"log_memory"}  # nothing here was predicted


def test_the_best_prompt_is_kept(new_model, frames):
    steps = tune(new_model(), frames, replace(QUICK, steps=12, weighing_rate=0.02))
    dices = [step.dice for step in steps if step.dice is not None]
    best = steps[-1].best
    assert best.figures.dice_before == dices[0]
    assert best.figures.dice_after == max(dices)
    taken = {step.step: step for step in steps}[best.figures.steps]
    assert taken.dice == max(dices)
    assert taken.held_back_dice == best.figures.held_back_after
    assert best.figures.frames == 5
    assert best.model_hash == model_hash(new_model())


def test_it_can_be_closed_at_any_time(new_model, frames):
    model = new_model()
    steps = tune_prompt(model, frames, settings=QUICK, prediction=CPU)
    first, second = next(steps), next(steps)
    steps.close()
    assert first.best.figures.steps == second.best.figures.steps == 0
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_it_stops_where_nothing_is_gained(new_model, frames, monkeypatch):
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: 0.5)
    steps = tune(new_model(), frames, replace(QUICK, steps=20, patience=2))
    assert steps[-1].step == 4
    assert not steps[-1].best.figures.has_gained


@pytest.mark.slow
def test_the_result_is_a_function_of_the_seed(new_model, frames):
    settings = replace(QUICK, brightness=True, crop=0.7, flip=True)
    losses = [
        [step.loss for step in tune(new_model(), frames, replace(settings, seed=seed))]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


def test_names_and_settings_are_kept(new_model, frames):
    best = tune(new_model(), frames, class_names={4: "square"})[-1].best
    assert best.class_names == {4: "square"}
    assert best.settings == QUICK
    assert best.palette.ids.tolist() == [4]
    assert best.tile_scale is None


# -- what learns -------------------------------------------------------------------


def test_the_pictures_stay_where_only_the_map_learns(new_model, frames):
    best = tune(new_model(), frames)[-1].best
    tiles = data_of(frames).starts(8)
    expected = normalise(np.stack([tile.picture for tile in tiles]))
    np.testing.assert_array_equal(best.images, expected)


@pytest.fixture
def improving(monkeypatch):
    """Every measurement is better than the one before."""
    values = iter(np.linspace(0, 1, 1000))
    monkeypatch.setattr(tuning, "mean_dice", lambda *_: next(values))


@pytest.mark.usefixtures("improving")
@pytest.mark.parametrize(
    ("network", "part"),
    [("readout", "image"), ("paint", "image"), ("paint", "color")],
)
def test_pictures_and_colours_learn_if_asked(
    new_model, tiny_model, frames, network, part
):
    model = new_model() if network == "readout" else tiny_model
    rates = {"image_rate": 0.0, "color_rate": 0.0, f"{part}_rate": 0.05}
    steps = tune(model, frames, replace(QUICK, weighing_rate=0.0, **rates))
    start, best = steps[0].best, steps[-1].best
    assert best.weighing == {}
    assert np.array_equal(best.images, start.images) == (part == "color")
    assert np.array_equal(best.colors, start.colors) == (part == "image")


@pytest.mark.usefixtures("improving")
def test_a_network_without_a_readout_learns_pictures(tiny_model, frames):
    steps = tune(tiny_model, frames)
    assert steps[-1].best.weighing == {}
    assert not np.array_equal(steps[-1].best.images, steps[0].best.images)


def test_colours_of_a_readout_cannot_learn(new_model, frames):
    settings = replace(QUICK, color_rate=0.1)
    with pytest.raises(ValueError, match=r"Expected a color_rate of 0, .* got 0\.1"):
        tune_prompt(new_model(), frames, settings=settings, prediction=CPU)


def test_a_pull_leads_back(tiny_model, frames):
    def moved(pull):
        learned = tuning.LearnedPrompt(
            data_of(frames), replace(QUICK, pull=pull), tiny_model, "semantic"
        )
        start = learned.images.detach().clone()
        with torch.no_grad():
            learned.images += 1
        learned.pull_back()
        return float((learned.images.detach() - start).abs().mean())

    assert moved(0.0) == pytest.approx(1.0, abs=1e-5)
    assert moved(0.25) == pytest.approx(0.75, abs=1e-5)


@pytest.mark.parametrize(("start", "count"), [("grid", 1), ("noise", 5)])
def test_other_starts(new_model, frames, start, count):
    steps = tune(new_model(), frames, replace(QUICK, start=start))
    assert len(steps[-1].best.images) == count
    assert np.isfinite([step.loss for step in steps[1:]]).all()


def test_the_number_of_tensors_is_bounded(new_model, frames):
    steps = tune(new_model(), frames, replace(QUICK, num_prompts=2))
    assert len(steps[-1].best.images) == 2


def test_tiles_become_tensors(new_model, frames):
    prediction = replace(CPU, tiling=TilingSettings(enabled=True, scale=2.0))
    model = new_model()
    best = tune(model, frames, prediction=prediction)[-1].best
    assert best.images.shape == (8, 3, *model.config.tile_size)
    assert best.tile_scale == 2.0


def test_pictures_are_of_the_size_at_which_frames_are_seen(new_model, frames):
    model = new_model()
    wide = [
        replace(
            one,
            image=np.hstack([one.image, one.image]),
            labels=np.hstack([one.labels, one.labels]),
        )
        for one in frames
    ]
    best = tune(model, [wide[0], frames[1], *wide[2:]])[-1].best
    # One size for all, though frames differ: that of the first.
    assert best.images.shape == (5, 3, 32, 64)
    predictor = Predictor(model, tuned=[best], settings=CPU, limits=AS_IT_IS)
    assert predictor.predict(frames[1].image).labels.shape == (40, 36)


def test_checkpoints_change_no_gradient(tiny_model, frames):
    gradients = []
    for checkpointing in (False, True):
        learned = tuning.LearnedPrompt(data_of(frames), QUICK, tiny_model, "semantic")
        with frozen(tiny_model, checkpointing=checkpointing):
            query = torch.zeros(1, 3, 32, 32)
            tiny_model(query, learned.encode([0, 1])).square().mean().backward()
        gradients.append(learned.images.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(
    ("model", "expected"), [("tiny_model", [True]), ("new_model", [False])]
)
def test_only_a_large_network_computes_again_to_save_memory(
    model, expected, frames, monkeypatch, request
):
    """On a CPU; pictures learn in both."""
    used = []

    def record(network, *, checkpointing):
        used.append(checkpointing)
        return frozen(network, checkpointing=checkpointing)

    monkeypatch.setattr(tuning, "frozen", record)
    network = request.getfixturevalue(model)
    network = network() if model == "new_model" else network
    settings = replace(QUICK, steps=1, image_rate=0.01)
    tune(network, frames, settings)
    assert used == expected


# -- the frames --------------------------------------------------------------------


def test_a_frame_is_predicted_from_others_and_one_is_never_a_query(
    new_model, frames, monkeypatch
):
    queries = []

    def record(tile, *args):
        queries.append(tile.frame)
        return augment(tile, *args)

    monkeypatch.setattr(tuning, "augment", record)
    settings = replace(QUICK, steps=8, patience=9, neighbours=0.0)
    tune(new_model(), frames, settings)
    data = data_of(frames)
    assert data.held_back == 1
    assert sorted(queries) == [0, 0, 2, 2, 3, 3, 4, 4]
    learned = tuning.LearnedPrompt(data, QUICK, new_model(), "semantic")
    assert learned.usable(2) == [0, 1, 3, 4]
    assert learned.nearest(data.tiles[2], 2) == [1, 3]


@pytest.mark.parametrize(("network", "share"), [("readout", 1.0), ("paint", 0.0)])
def test_a_made_up_neighbour_is_predicted_beside_its_frame(
    new_model, tiny_model, frames, monkeypatch, network, share
):
    shown = []
    encode = tuning.LearnedPrompt.encode

    def record(learned, numbers, **more):
        shown.append(tuple(numbers))
        return encode(learned, numbers, **more)

    monkeypatch.setattr(tuning.LearnedPrompt, "encode", record)
    queries = []
    monkeypatch.setattr(
        tuning,
        "neighbour",
        lambda tile, rng: queries.append(tile.frame) or neighbour(tile, rng),
    )
    model = new_model() if network == "readout" else tiny_model
    settings = replace(QUICK, steps=6, check_every=6, patience=9, neighbours=1.0)
    tune(model, frames, settings)
    assert len(queries) == 6 * share  # pictures would learn to be copied
    updates = [numbers for numbers in shown if len(numbers) == 2]
    assert len(updates) == 6
    assert all(frame in pair for frame, pair in zip(queries, updates, strict=False))


def test_a_made_up_neighbour_is_moved_with_its_labels(frames):
    tile = data_of(frames).tiles[2]
    tile = replace(tile, picture=np.repeat(tile.labels[..., None], 3, axis=2) * 40)
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(8):
        picture, labels = neighbour(tile, rng)
        assert picture.shape == (32, 32, 3)
        assert ((picture[..., 0] > 80) == (labels > 0)).mean() > 0.9
        overlap = (labels.astype(bool) & tile.labels.astype(bool)).sum()
        assert overlap > 0.6 * tile.labels.astype(bool).sum()
        moved += not np.array_equal(labels, tile.labels)
    assert moved == 8


def test_frames_with_thin_labels_are_larger_as_a_predictor_shows_them(
    new_model, frames
):
    config = new_model().config
    thin = np.zeros((32, 32), np.uint8)
    thin[::8] = 4
    thin = [replace(x, image=x.image[:32, :32], labels=thin) for x in frames]
    data = data_of(thin, config)
    assert data.zoom == 2
    assert {tile.size for tile in data.tiles} == {(64, 64)}
    wide = [
        replace(x, image=x.image[:32, :32], labels=x.labels[:32, :32]) for x in frames
    ]
    assert data_of(wide, config).zoom == 1


def test_the_frame_held_back_has_the_most_labels(frames):
    labels = frames[3].labels.copy()
    labels[0, 0] = 9
    frames[3] = replace(frames[3], labels=labels)
    assert data_of(frames).held_back == 3
    assert data_of(frames, hold_back=False).held_back is None
    assert data_of(frames[:2]).held_back is None


def test_tensors_start_from_all_frames_before_any_gives_two(frames):
    tiled = replace(CPU, tiling=TilingSettings(enabled=True, scale=2.0))
    data = data_of(frames, prediction=tiled)
    assert [tile.frame for tile in data.starts(7)] == [0, 1, 2, 3, 4, 0, 4]
    assert [tile.frame for tile in data.starts(3)] == [0, 2, 4]
    most = data.starts(5)[0].labels.astype(bool).sum()
    assert most == max((t.labels > 0).sum() for t in data.tiles if t.frame == 0)


def test_two_frames_are_enough(new_model, frames):
    steps = tune(new_model(), frames[:2])
    assert steps[0].dice is not None
    assert steps[0].held_back_dice is None


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_labelled_frames_are_refused(new_model, frames, count):
    empty = replace(frames[4], labels=np.zeros_like(frames[4].labels))
    with pytest.raises(ValueError, match=f"2 or more labelled frames .* got {count}"):
        tune_prompt(new_model(), [*frames[:count], empty], prediction=CPU)


def test_more_labels_than_a_pass_holds_are_refused(new_model, frames):
    labels = np.arange(40 * 36).reshape(40, 36) % 4
    frames[0] = replace(frames[0], labels=labels)
    prediction = replace(CPU, labels_per_pass=3)
    with pytest.raises(ValueError, match="at most 3 labels in a tuned prompt"):
        tune_prompt(new_model(), frames, prediction=prediction)


def test_what_cannot_learn_is_refused(new_model, tiny_model, frames):
    half = replace(CPU, precision="float16")
    with pytest.raises(ValueError, match="got float16"):
        tune_prompt(new_model(), frames, prediction=half)
    nothing = TuningSettings(image_rate=0.0)
    with pytest.raises(ValueError, match="Expected something to learn"):
        tune_prompt(tiny_model, frames, settings=nothing, prediction=CPU)


def test_pictures_and_labels_are_augmented_alike(frames):
    settings = TuningSettings(crop=0.5, flip=True, brightness=True)
    tile = data_of(frames).tiles[2]
    tile = replace(tile, picture=np.repeat(tile.labels[..., None], 3, axis=2) * 40)
    rng = np.random.default_rng(0)
    flips = set()
    for _ in range(8):
        picture, labels, flipped = augment(tile, settings, rng)
        assert picture.shape == (32, 32, 3)
        assert ((picture[..., 0] > 80) == (labels > 0)).mean() > 0.9
        flips.add(flipped)
    assert flips == {True, False}


# -- one tensor --------------------------------------------------------------------


@pytest.mark.parametrize("start", ["reference", "grid", "noise"])
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("kind", ["paint", "readout"])
def test_one_tensor_learns_from_any_start(
    tiny_model, new_model, frames, start, count, kind
):
    model = tiny_model if kind == "paint" else new_model()
    settings = replace(QUICK, num_prompts=1, start=start, image_rate=0.1)
    steps = tune(model, frames[:count], settings)
    best = steps[-1].best
    assert best.images.shape == (1, 3, 32, 32)
    assert steps[-1].step == 4
    assert 0 <= steps[-1].dice <= 1
    assert best.figures.dice_before >= 0


def test_one_tensor_does_not_come_from_the_held_back_frame(frames):
    data = data_of(frames)
    assert data.held_back is not None
    (start,) = data.starts(1)
    assert start.frame != data.held_back
    assert data.held_back in {x.frame for x in data.starts(5)}


def test_an_update_may_learn_from_several_queries(new_model, frames):
    steps = tune(new_model(), frames, replace(QUICK, queries_per_step=3))
    assert [step.loss is None for step in steps] == [True] + [False] * 4
    single = tune(new_model(), frames)
    assert steps[1].loss != single[1].loss
