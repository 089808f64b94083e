import itertools
from dataclasses import replace

import pytest
import torch

from napari_seggpt.model.config import TINY
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.training import trainer
from napari_seggpt.training.batches import BatchSource, render
from napari_seggpt.training.recipe import OF_PAINTING
from napari_seggpt.training.trainer import (
    coloring_loss,
    read_average,
    recall,
    train,
)


def losses(steps):
    return [step.loss for step in steps]


def draw(sampler, recipe, step=0):
    return BatchSource(sampler, recipe, patch_size=8)[step]


@pytest.mark.slow
def test_training_lowers_the_loss_on_held_back_examples(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, steps=120, learning_rate=5e-3, max_prompts=1, average=0.9)
    held_back = draw(sampler, replace(recipe, batch_size=16), 10_000)
    model = new_model()
    with torch.no_grad():
        before = coloring_loss(model.eval(), held_back, recipe)
    for _ in train(model, sampler, recipe, checkpoint=tmp_path / "state.pt"):
        pass
    with torch.no_grad():
        after = coloring_loss(model, held_back, recipe)
    # The linear reads are solved, not learned: an untrained network is not bad already.
    assert after < 0.95 * before


@pytest.mark.parametrize("recalled", [0.0, 1.0])
def test_few_shapes_teach_the_same(sampler, recipe, new_model, recalled):
    recipe = replace(recipe, several_prompts=recalled, recalled_prompts=recalled)
    gradients, lengths = [], set()
    for few_shapes in (False, True):
        source = BatchSource(sampler, recipe, patch_size=8, few_shapes=few_shapes)
        model = new_model().eval()
        loss = coloring_loss(model, source[0], recipe)
        loss.backward()
        slopes = [x.grad.flatten() for x in model.parameters() if x.grad is not None]
        gradients.append(torch.cat([loss.detach()[None], *slopes]))
        lengths.add(source[0].palettes.shape[1])
    assert len(lengths) == 2
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_an_interrupted_run_has_the_losses_of_an_uninterrupted_one(
    sampler, recipe, new_model, tmp_path
):
    whole = new_model()
    expected = losses(train(whole, sampler, recipe, checkpoint=tmp_path / "whole.pt"))
    file = tmp_path / "part.pt"
    first = train(new_model(), sampler, recipe, checkpoint=file)
    begun = [next(first).loss for _ in range(5)]
    first.close()
    resumed = new_model()
    rest = losses(train(resumed, sampler, recipe, checkpoint=file))
    assert begun + rest == expected
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    sampler, recipe, new_model, tmp_path
):
    expected = losses(
        train(new_model(), sampler, recipe, checkpoint=tmp_path / "whole.pt")
    )
    file = tmp_path / "part.pt"
    killed = train(new_model(), sampler, recipe, checkpoint=file)
    for _ in range(5):
        next(killed)
    state = file.read_bytes()  # of the third step
    killed.close()
    file.write_bytes(state)
    rest = losses(train(new_model(), sampler, recipe, checkpoint=file))
    assert rest == expected[3:]


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x03\x04broken"])
def test_a_damaged_state_is_refused(content, sampler, recipe, new_model, tmp_path):
    file = tmp_path / "state.pt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="Expected the state of a run"):
        train(new_model(), sampler, recipe, checkpoint=file)


def test_a_finished_run_has_nothing_left_to_do(sampler, recipe, new_model, tmp_path):
    file = tmp_path / "state.pt"
    model = new_model()
    list(train(model, sampler, recipe, checkpoint=file))
    again = new_model()
    assert list(train(again, sampler, recipe, checkpoint=file)) == []
    torch.testing.assert_close(again.pos_embed, model.pos_embed)


def test_another_recipe_does_not_resume(sampler, recipe, new_model, tmp_path):
    file = tmp_path / "state.pt"
    list(train(new_model(), sampler, recipe, checkpoint=file))
    other = replace(recipe, learning_rate=1e-5)
    with pytest.raises(ValueError, match="Expected the recipe of the run"):
        train(new_model(), sampler, other, checkpoint=file)


@pytest.mark.parametrize("name", OF_PAINTING)
def test_settings_that_change_nothing_are_refused(
    name, sampler, recipe, new_model, tmp_path
):
    other = replace(recipe, **{name: 1.0})
    with pytest.raises(ValueError, match=f"a network that paints for {name}, got one"):
        train(new_model(), sampler, other, checkpoint=tmp_path / "state.pt")
    train(SegGPT(TINY), sampler, other, checkpoint=tmp_path / "state.pt")


def test_gradients_need_more_than_float16(sampler, recipe, new_model, tmp_path):
    with pytest.raises(ValueError, match="for training, got float16"):
        train(
            new_model(),
            sampler,
            recipe,
            checkpoint=tmp_path / "state.pt",
            precision="float16",
        )


def test_closing_leaves_a_model_with_averaged_weights(
    sampler, recipe, new_model, tmp_path
):
    model = new_model()
    steps = train(model, sampler, recipe, checkpoint=tmp_path / "state.pt")
    next(steps)
    raw = model.pos_embed.detach().clone()
    next(steps)
    steps.close()
    assert not model.training
    assert not torch.equal(model.pos_embed, raw)


def test_the_query_colours_do_not_reach_the_network(sampler, recipe, new_model):
    batch = draw(sampler, recipe)
    other = replace(batch, regions=batch.regions.clone())
    other.regions[:, -1] = 1 - other.regions[:, -1].clamp(max=1)
    model = new_model().eval()
    painted = []
    for one in (batch, other):
        pictures = render(one, 5.0)
        prompts = model.encode_prompts(
            pictures.images[:, :-1],
            pictures.colors[:, :-1],
            pictures.seg_type,
            palette=pictures.palettes,
        )
        painted.append(model(pictures.images[:, -1], prompts))
    torch.testing.assert_close(painted[0], painted[1])
    assert coloring_loss(model, batch, recipe) != coloring_loss(model, other, recipe)


def test_with_block_masks_only_hidden_pixels_count(sampler, recipe, monkeypatch):
    recipe = replace(recipe, block_masks=1.0, block_share=0.5, foreground_weight=1.0)
    batch = draw(sampler, recipe)
    assert 0.5 <= batch.hidden.float().mean() < 1
    torch.manual_seed(0)
    model = SegGPT(TINY).eval()
    given = ~batch.hidden.unflatten(1, (4, 4))
    pixels = given.repeat_interleave(8, 1).repeat_interleave(8, 2)
    changed = replace(batch, regions=batch.regions.clone())
    changed.regions[:, -1][pixels] = 1 - changed.regions[:, -1][pixels].clamp(max=1)
    # The network sees what is given ...
    assert coloring_loss(model, batch, recipe) != coloring_loss(model, changed, recipe)
    # ... but is not asked for it.
    monkeypatch.setattr(model, "paint", lambda query, *_: torch.zeros_like(query))
    assert coloring_loss(model, batch, recipe) == coloring_loss(model, changed, recipe)


# -- memory ------------------------------------------------------------------------


@pytest.fixture
def recalling(sampler, recipe):
    """A recipe and its batch, in which two prompts or more are recalled."""
    recipe = replace(
        recipe, several_prompts=1.0, recalled_prompts=1.0, max_prompts=4, batch_size=8
    )
    batches = (draw(sampler, recipe, step) for step in range(5))
    return recipe, next(batch for batch in batches if batch.num_prompts > 2)


def test_recalled_prompts_show_what_the_network_predicts(recalling, new_model):
    _, batch = recalling
    assert batch.recalls
    model = new_model().eval()
    pictures = render(batch, 5.0)
    recalled = recall(model, pictures)
    for kept in (0, -1):  # the reference and the target
        torch.testing.assert_close(recalled.colors[:, kept], pictures.colors[:, kept])
    assert not torch.equal(recalled.colors[:, 1], pictures.colors[:, 1])
    for colors, palette in zip(recalled.colors, pictures.palettes, strict=True):
        known = palette[~palette.isnan().any(1)]
        pixels = colors[1:-1].movedim(1, -1).reshape(-1, 1, 3)
        assert (pixels - known).abs().amax(2).amin(1).max() < 1e-6


def test_prompts_are_recalled_one_by_one_and_marked(recalling, new_model, monkeypatch):
    recipe, batch = recalling
    model, encoded = new_model(), []
    encode = model.encode_prompts

    def spy(images, colors, seg_type, predicted=None, **more):
        encoded.append((colors.clone(), predicted.clone()))
        return encode(images, colors, seg_type, predicted, **more)

    monkeypatch.setattr(model, "encode_prompts", spy)
    coloring_loss(model, batch, recipe)
    count = batch.num_prompts
    assert [colors.shape[1] for colors, _ in encoded] == [*range(1, count), count]
    for _, predicted in encoded:
        assert not predicted[:, 0].any()  # a person painted the first
        assert predicted[:, 1:].all()
    # Each is predicted from those before it as they were recalled.
    final, _ = encoded[-1]
    for colors, _ in encoded:
        assert torch.equal(colors, final[:, : colors.shape[1]])
    painted = render(batch, recipe.foreground_weight).colors
    assert torch.equal(final[:, 0], painted[:, 0])
    assert not torch.equal(final[:, 1:], painted[:, 1:-1])


def test_all_of_what_is_recalled_is_known(recalling, new_model):
    recipe, batch = recalling
    known = batch.known.clone()
    known[:, :, :9] = 0
    pictures = render(replace(batch, known=known), recipe.foreground_weight)
    recalled = recall(new_model().eval(), pictures)
    assert torch.equal(recalled.known[:, 0], known[:, 0])
    assert recalled.known[:, 1:-1].all()
    assert torch.equal(recalled.known[:, -1], known[:, -1])  # the query's


def test_what_is_recalled_is_known_to_those_that_follow(
    recalling, new_model, monkeypatch
):
    recipe, batch = recalling
    hints = torch.zeros_like(batch.known)
    hints[:, -1] = 1
    model, seen = new_model(), []
    encode = model.encode_prompts

    def spy(*arguments, known, **more):
        seen.append(known.clone())
        return encode(*arguments, known=known, **more)

    monkeypatch.setattr(model, "encode_prompts", spy)
    recall(model, render(replace(batch, known=hints), recipe.foreground_weight))
    assert len(seen) > 1
    for known in seen:
        assert not known[:, 0].any()  # what a person gave stays a hint
        assert known[:, 1:].all()


def test_painted_prompts_are_not_marked(sampler, recipe, new_model, monkeypatch):
    recipe = replace(recipe, recalled_prompts=0.0)
    model, marks = new_model(), []
    encode = model.encode_prompts

    def spy(images, colors, seg_type, predicted=None, **more):
        marks.append(predicted)
        return encode(images, colors, seg_type, predicted, **more)

    monkeypatch.setattr(model, "encode_prompts", spy)
    coloring_loss(model, draw(sampler, recipe), recipe)
    (only,) = marks
    assert not only.any()


# -- minutes -----------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by six seconds whenever somebody looks."""
    ticks = itertools.count(0, 6)
    monkeypatch.setattr(trainer.time, "perf_counter", lambda: float(next(ticks)))


@pytest.mark.usefixtures("clock")
def test_minutes_end_a_run_and_set_the_course_of_the_rate(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, steps=1000, minutes=1.0, warmup=0.0)
    file = tmp_path / "state.pt"
    steps = []
    for step in train(new_model(), sampler, recipe, checkpoint=file):
        steps.append(step)
        trainer.time.perf_counter()  # six seconds of validation, which do not count
    assert [step.step for step in steps] == list(range(10))  # ten times six seconds
    rates = [step.learning_rate for step in steps]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(recipe.learning_rate, rel=1e-3)
    assert rates[5] == pytest.approx(recipe.learning_rate / 2, rel=1e-3)
    assert rates[-1] < 0.03 * recipe.learning_rate
    assert list(train(new_model(), sampler, recipe, checkpoint=file)) == []


@pytest.mark.slow
@pytest.mark.usefixtures("clock")
def test_a_run_of_minutes_goes_on_where_it_was(sampler, recipe, new_model, tmp_path):
    recipe = replace(recipe, steps=1000, minutes=1.0)
    whole = train(new_model(), sampler, recipe, checkpoint=tmp_path / "whole.pt")
    expected = [step.step for step in whole]
    file = tmp_path / "part.pt"
    first = train(new_model(), sampler, recipe, checkpoint=file)
    begun = [next(first).step for _ in range(4)]
    first.close()
    rest = [step.step for step in train(new_model(), sampler, recipe, checkpoint=file)]
    # The seconds between stopping and going on do not count.
    assert begun + rest == expected


def test_steps_may_end_a_run_before_its_minutes(sampler, recipe, new_model, tmp_path):
    recipe = replace(recipe, steps=2, minutes=60.0)
    file = tmp_path / "state.pt"
    assert len(list(train(new_model(), sampler, recipe, checkpoint=file))) == 2
    assert list(train(new_model(), sampler, recipe, checkpoint=file)) == []


def test_the_averaged_weights_so_far_are_read_from_the_state(
    sampler, recipe, new_model, tmp_path
):
    file = tmp_path / "state.pt"
    model = new_model()
    list(train(model, sampler, recipe, checkpoint=file))
    average = read_average(file)
    assert average.keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(average[name], value)


# -- other networks, and how they are computed -------------------------------------


@pytest.mark.slow
def test_drawing_ahead_changes_nothing(sampler, recipe, new_model, tmp_path):
    alone, ahead = (
        losses(
            train(
                new_model(),
                sampler,
                recipe,
                checkpoint=tmp_path / f"{workers}.pt",
                workers=workers,
            )
        )
        for workers in (0, 1)
    )
    assert alone == ahead


def test_a_network_with_the_published_decoder_is_trained(sampler, recipe, tmp_path):
    torch.manual_seed(0)
    model = SegGPT(TINY)
    recipe = replace(recipe, several_prompts=0.0, layer_decay=0.8, block_masks=0.5)
    steps = train(model, sampler, recipe, checkpoint=tmp_path / "state.pt")
    assert len(losses(steps)) == recipe.steps


@pytest.mark.slow
def test_bfloat16_is_used_where_it_is_asked_for(sampler, recipe, new_model, tmp_path):
    single, half = (
        losses(
            train(
                new_model(),
                sampler,
                recipe,
                checkpoint=tmp_path / f"{precision}.pt",
                precision=precision,
            )
        )
        for precision in ("float32", "bfloat16")
    )
    assert single != half
    assert half == pytest.approx(single, rel=0.2)


# -- what nobody knows -------------------------------------------------------------


def test_pixels_that_nobody_knows_do_not_count(sampler, recipe, new_model):
    batch = draw(sampler, recipe)
    known, wrong = batch.known.clone(), batch.regions.clone()
    known[:, -1, :16] = 0
    wrong[:, -1, :16] = 1 - (wrong[:, -1, :16] > 0).to(torch.uint8)
    model = new_model().eval()
    true, false = (
        coloring_loss(model, replace(batch, known=known, regions=x), recipe)
        for x in (batch.regions, wrong)
    )
    torch.testing.assert_close(true, false)
    everywhere = coloring_loss(model, replace(batch, regions=wrong), recipe)
    assert abs(everywhere - coloring_loss(model, batch, recipe)) > 1e-3


# -- batches that are joined -------------------------------------------------------


def weights_after(model, steps):
    for _ in steps:
        pass
    return model.state_dict()


@pytest.mark.slow
def test_two_processes_make_the_updates_of_one_with_two_batches(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, steps=3)
    context = torch.multiprocessing.get_context("fork")
    arguments = (sampler, recipe, new_model, tmp_path)
    started = [
        context.Process(target=train_along, args=(rank, *arguments)) for rank in (0, 1)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(300)
        process.kill()  # one that waits for the other
        assert process.exitcode == 0
    both = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    alone = new_model()
    joined = replace(recipe, accumulate=2)
    steps = train(alone, sampler, joined, checkpoint=tmp_path / "alone.pt")
    for name, value in weights_after(alone, steps).items():
        # AdamW makes much of what sums differ by where a slope is nearly zero.
        torch.testing.assert_close(both[0][name], value, atol=1e-3, rtol=1e-3)
        assert torch.equal(both[0][name], both[1][name])
    assert (tmp_path / "state.pt").exists()


def train_along(rank, sampler, recipe, new_model, folder):
    """Train as one of two processes; write the weights."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    model = new_model()
    steps = train(model, sampler, recipe, checkpoint=folder / "state.pt")
    torch.save(weights_after(model, steps), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_accumulated_batches_are_resumed_where_they_were(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, accumulate=2)
    expected = losses(
        train(new_model(), sampler, recipe, checkpoint=tmp_path / "whole.pt")
    )
    file = tmp_path / "part.pt"
    first = train(new_model(), sampler, recipe, checkpoint=file)
    begun = [next(first).loss for _ in range(2)]
    first.close()
    rest = losses(train(new_model(), sampler, recipe, checkpoint=file))
    assert begun + rest == expected
