from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_seggpt.preprocessing import MEAN, STD, denormalise
from napari_seggpt.training.batches import (
    BatchSource,
    nearest_colors,
    pixel_weights,
    render,
)
from napari_seggpt.training.coloring import MAX_REGIONS
from napari_seggpt.training.recipe import Recipe


@pytest.fixture
def source(sampler, recipe):
    return BatchSource(sampler, replace(recipe, batch_size=6), patch_size=8)


def plain(batch):
    """Return the batch with looks that change nothing."""
    grey = torch.arange(256, dtype=torch.uint8)
    return replace(
        batch,
        tables=grey.expand_as(batch.tables).contiguous(),
        mixing=torch.eye(3).expand_as(batch.mixing),
        noise=torch.zeros_like(batch.noise),
        blur=torch.zeros_like(batch.blur),
    )


def shown(batch):
    return denormalise(render(batch, 1.0).images.numpy()) * 255


def test_batches_have_equally_many_pixels(sampler, recipe):
    recipe = replace(
        recipe, batch_size=24, max_prompts=3, image_sizes=(32, 64), steps=40
    )
    source = BatchSource(sampler, recipe, patch_size=8)
    batches = [source[step] for step in range(30)]
    assert {batch.num_prompts for batch in batches} == {1, 2, 3}
    assert {batch.images.shape[2] for batch in batches} == {32, 64}
    for batch in batches:
        pixels = batch.images[..., 0].numel()
        assert 0.6 < pixels / (24 * 2 * 32**2) <= 1
        assert batch.hidden.shape == (
            len(batch.images),
            (batch.images.shape[2] // 8) ** 2,
        )


def test_a_batch_is_a_function_of_the_seed_and_the_step(sampler, recipe, source):
    again = BatchSource(sampler, replace(recipe, batch_size=6), patch_size=8)
    other = BatchSource(sampler, replace(recipe, batch_size=6, seed=1), patch_size=8)
    torch.testing.assert_close(shown(source[3]), shown(again[3]))
    assert not np.array_equal(shown(source[3]), shown(source[4]))
    assert not np.array_equal(shown(source[3]), shown(other[3]))


def test_few_shapes_have_palettes_of_one_length(sampler, recipe):
    recipe = replace(recipe, several_prompts=0.0)
    usual, few = (
        BatchSource(sampler, recipe, patch_size=8, few_shapes=few)
        for few in (False, True)
    )
    lengths = {usual[step].palettes.shape[1] for step in range(20)}
    assert len(lengths) > 1
    assert {few[step].palettes.shape[1] for step in range(20)} == {1 + MAX_REGIONS}
    assert max(lengths) <= 1 + MAX_REGIONS


def test_a_plain_look_leaves_the_image(source):
    batch = plain(source[0])
    images = batch.images.numpy()
    np.testing.assert_allclose(shown(batch), images, atol=0.01)


def test_looks_change_values_colours_noise_and_sharpness(source):
    batch = plain(source[0])
    images = batch.images.numpy().astype(float)
    inverted = replace(batch, tables=255 - batch.tables)
    np.testing.assert_allclose(shown(inverted), 255 - images, atol=0.01)
    mixing = torch.eye(3)[[2, 0, 1]].expand_as(batch.mixing).clone()
    mixing[:, 1] *= 0.5  # of each picture by itself
    mixed = images[..., [2, 0, 1]]
    mixed[:, 1] *= 0.5
    np.testing.assert_allclose(shown(replace(batch, mixing=mixing)), mixed, atol=0.01)
    noisy = replace(batch, noise=torch.full_like(batch.noise, 10.0))
    inside = (images > 40) & (images < 215)
    grain = shown(noisy) - images
    assert grain[inside].std() == pytest.approx(10, rel=0.1)
    everywhere = inside.all(-1)  # channels have the same grain
    np.testing.assert_allclose(np.ptp(grain[everywhere], axis=-1), 0, atol=0.01)
    blurred = shown(replace(batch, blur=torch.full_like(batch.blur, 1.0)))
    assert blurred.mean() == pytest.approx(images.mean(), rel=0.02)
    rough, smooth = (np.abs(np.diff(x, axis=3)).mean() for x in (images, blurred))
    assert smooth < 0.8 * rough


def test_regions_have_the_colours_of_the_palette(source):
    batch = source[0]
    colors = denormalise(render(batch, 1.0).colors.numpy())
    for painted, regions, palette in zip(
        colors, batch.regions.numpy(), batch.palettes.numpy(), strict=True
    ):
        np.testing.assert_allclose(painted, palette[regions], atol=1e-5)


def test_what_is_known_and_the_regions_of_the_query_come_along(sampler, recipe):
    recipe = replace(recipe, several_prompts=1.0, partial_prompts=1.0, batch_size=24)
    sampler._recipe = recipe
    batch = BatchSource(sampler, recipe, patch_size=8)[0]
    pictures = render(batch, 1.0)
    assert torch.equal(pictures.known, batch.known)
    assert batch.known[:, -1].all()
    assert not batch.known.all()
    assert torch.equal(pictures.regions, batch.regions[:, -1].long())
    shown = pictures.palettes * torch.from_numpy(STD) + torch.from_numpy(MEAN)
    torch.testing.assert_close(shown, batch.palettes, equal_nan=True)


def test_rare_pixels_weigh_more_and_the_mean_is_one():
    rare = torch.zeros(3, 10, 10, dtype=torch.bool)
    rare[0, :2, :2] = True
    rare[1] = True  # and none in the third
    weight = pixel_weights(rare, most=5.0)
    torch.testing.assert_close(weight.mean((1, 2, 3)), torch.ones(3))
    assert weight[0, 0, 0, 0] == pytest.approx(5 * weight[0, 0, 9, 9])
    assert weight[1:].min() == weight[1:].max()


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_rare_pixels_never_weigh_less(weight):
    with pytest.raises(ValueError, match="foreground_weight"):
        Recipe(foreground_weight=weight)


def test_colours_become_the_nearest_of_their_palette():
    palettes = torch.tensor([[[0.0, 0, 0], [1, 0, 0]], [[0, 1, 0], [torch.nan] * 3]])
    colors = torch.zeros(2, 1, 3, 1, 2)
    colors[0, 0, :, 0] = torch.tensor([[0.4, 0.6], [0.2, 0.2], [0, 0]])
    nearest = nearest_colors(colors, palettes)
    assert nearest[0, 0, :, 0].T.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert nearest[1, 0, :, 0].T.tolist() == [[0, 1, 0]] * 2
