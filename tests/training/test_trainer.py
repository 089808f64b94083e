from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_seggpt.training.trainer import (
    Batch,
    coloring_loss,
    draw_batch,
    pixel_weights,
    train,
)


def losses(steps):
    return [step.loss for step in steps]


def test_training_lowers_the_loss_on_held_back_examples(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, steps=80, learning_rate=1e-2, max_prompts=1, average=0.8)
    held_back = draw_batch(sampler, replace(recipe, batch_size=16), step=10_000)
    model = new_model()
    with torch.no_grad():
        before = coloring_loss(model.eval(), held_back, recipe.beta)
    for _ in train(model, sampler, recipe, checkpoint=tmp_path / "state.pt"):
        pass
    with torch.no_grad():
        after = coloring_loss(model, held_back, recipe.beta)
    assert after < 0.9 * before


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


def test_batches_have_equally_many_pictures(sampler, recipe):
    recipe = replace(recipe, batch_size=6, max_prompts=3)
    batches = [draw_batch(sampler, recipe, step) for step in range(30)]
    prompts = {batch.images.shape[1] - 1 for batch in batches}
    assert prompts == {1, 2, 3}
    for batch in batches:
        assert batch.images.shape == batch.colors.shape
        assert 9 <= batch.images.shape[0] * batch.images.shape[1] <= 12


def test_rare_pixels_weigh_more_and_the_mean_is_one():
    shown = np.zeros((2, 10, 10), bool)
    shown[0, :2, :2] = True
    shown[1] = True
    weight = pixel_weights(shown, most=5.0)
    np.testing.assert_allclose(weight.mean((1, 2, 3)), 1.0, rtol=1e-6)
    assert weight[0, 0, 0, 0] == pytest.approx(5 * weight[0, 0, 9, 9])
    assert np.ptp(weight[1]) == 0


def test_the_query_colours_do_not_reach_the_network(sampler, recipe, new_model):
    batch = draw_batch(sampler, recipe, step=0)
    model = new_model().eval()
    colors = batch.colors.clone()
    colors[:, -1] = 0.0
    hidden = Batch(
        images=batch.images, colors=colors, weight=batch.weight, seg_type=batch.seg_type
    )
    painted = []
    for one in (batch, hidden):
        prompts = model.encode_prompts(
            one.images[:, :-1], one.colors[:, :-1], one.seg_type
        )
        painted.append(model(one.images[:, -1], prompts))
    torch.testing.assert_close(painted[0], painted[1])
    assert coloring_loss(model, batch, 0.01) != coloring_loss(model, hidden, 0.01)
