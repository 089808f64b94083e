from dataclasses import replace

import pytest
import torch

from napari_seggpt.model.config import TINY
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.training.batches import BatchSource, render
from napari_seggpt.training.trainer import coloring_loss, recall, train


def losses(steps):
    return [step.loss for step in steps]


def draw(sampler, recipe, step=0):
    return BatchSource(sampler, recipe, patch_size=8)[step]


def test_training_lowers_the_loss_on_held_back_examples(
    sampler, recipe, new_model, tmp_path
):
    recipe = replace(recipe, steps=80, learning_rate=1e-2, max_prompts=1, average=0.8)
    held_back = draw(sampler, replace(recipe, batch_size=16), 10_000)
    model = new_model()
    with torch.no_grad():
        before = coloring_loss(model.eval(), held_back, recipe)
    for _ in train(model, sampler, recipe, checkpoint=tmp_path / "state.pt"):
        pass
    with torch.no_grad():
        after = coloring_loss(model, held_back, recipe)
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


def test_the_query_colours_do_not_reach_the_network(sampler, recipe, new_model):
    batch = draw(sampler, recipe)
    other = replace(batch, regions=batch.regions.clone())
    other.regions[:, -1] = 1 - other.regions[:, -1].clamp(max=1)
    model = new_model().eval()
    painted = []
    for one in (batch, other):
        pictures = render(one, 5.0)
        prompts = model.encode_prompts(
            pictures.images[:, :-1], pictures.colors[:, :-1], pictures.seg_type
        )
        painted.append(model(pictures.images[:, -1], prompts))
    torch.testing.assert_close(painted[0], painted[1])
    assert coloring_loss(model, batch, recipe) != coloring_loss(model, other, recipe)


def test_with_block_masks_only_hidden_pixels_count(
    sampler, recipe, new_model, monkeypatch
):
    recipe = replace(recipe, block_masks=1.0, block_share=0.5, foreground_weight=1.0)
    batch = draw(sampler, recipe)
    assert 0.5 <= batch.hidden.float().mean() < 1
    model = new_model().eval()
    given = ~batch.hidden.unflatten(1, (4, 4))
    pixels = given.repeat_interleave(8, 1).repeat_interleave(8, 2)
    changed = replace(batch, regions=batch.regions.clone())
    changed.regions[:, -1][pixels] = 1 - changed.regions[:, -1][pixels].clamp(max=1)
    # The network sees what is given ...
    assert coloring_loss(model, batch, recipe) != coloring_loss(model, changed, recipe)
    # ... but is not asked for it.
    monkeypatch.setattr(model, "stages", lambda query, *_: [torch.zeros_like(query)])
    assert coloring_loss(model, batch, recipe) == coloring_loss(model, changed, recipe)


def test_recalled_prompts_show_what_the_network_predicts(sampler, recipe, new_model):
    recipe = replace(recipe, several_prompts=1.0, recalled_prompts=1.0)
    batch = draw(sampler, recipe)
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


def test_the_network_is_told_which_prompts_are_predicted(
    sampler, recipe, new_model, monkeypatch
):
    recipe = replace(recipe, several_prompts=1.0, recalled_prompts=1.0)
    model = new_model()
    marks = []
    encode = model.encode_prompts

    def spy(images, colors, seg_type, predicted=None):
        marks.append(predicted)
        return encode(images, colors, seg_type, predicted)

    monkeypatch.setattr(model, "encode_prompts", spy)
    coloring_loss(model, draw(sampler, recipe), recipe)
    assert marks[0] is None  # what is recalled is predicted from the reference
    assert not marks[1][:, 0].any()
    assert marks[1][:, 1:].all()


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
