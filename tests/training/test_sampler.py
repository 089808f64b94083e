from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.training.dataset import (
    DataError,
    DataSet,
    LabelledImage,
    read_datasets,
    simulated_datasets,
)
from napari_seggpt.training.sampler import ExampleSampler, spoil


@pytest.fixture
def square():
    """Regions with one square."""
    regions = np.zeros((64, 64), np.uint8)
    regions[16:48, 16:48] = 1
    return regions


def only(data, recipe, **changes):
    """Make a sampler of one data set, as plain as can be but for the changes."""
    plain = {"simulated": 0.0, "mixed_context": 0.0, "spoiled_prompts": 0.0}
    plain |= {"empty_queries": 0.0, "coloured_background": 0.0}
    return ExampleSampler([data], [], replace(recipe, **{**plain, **changes}))


def test_a_sampler_without_data_is_refused(recipe):
    with pytest.raises(DataError, match="got none"):
        ExampleSampler([], [], recipe)
    with pytest.raises(DataError, match="got none"):
        ExampleSampler([], simulated_datasets(replace(recipe, simulated=0.0)), recipe)


def test_data_without_labels_ends_in_an_error(data_folder, recipe):
    for file in (data_folder / "classes" / "labels").glob("*.png"):
        Image.fromarray(np.zeros((48, 40), np.uint8)).save(file)
    sampler = ExampleSampler(read_datasets(data_folder / "classes"), [], recipe)
    with pytest.raises(DataError, match="Expected labels to learn from"):
        sampler.draw(np.random.default_rng(0), prompts=1, size=32)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("prompts", [1, 3])
def test_examples_have_prompts_and_query(sampler, prompts, size):
    example = sampler.draw(np.random.default_rng(0), prompts=prompts, size=size)
    assert example.images.shape == (prompts + 1, size, size, 3)
    assert example.regions.shape == (prompts + 1, size, size)
    assert example.regions.max() < len(example.palette)
    assert len(example.looks) == prompts + 1
    assert 0 <= example.palette.min() <= example.palette.max() <= 1


def test_every_example_shows_what_is_asked_for(sampler, recipe):
    sampler._recipe = replace(recipe, empty_queries=0.0)
    rng = np.random.default_rng(0)
    for _ in range(60):
        example = sampler.draw(rng, prompts=1, size=32)
        assert example.regions[0].any()
        assert example.regions[1].any()


def test_queries_may_be_empty(recipe, square):
    images = tuple(
        LabelledImage(image=square * 100, labels=labels)
        for labels in (square, square, np.zeros_like(square))
    )
    data = DataSet(name="x", label_kind="semantic", images=images)
    for share, expected in ((0.0, {True}), (1.0, {True, False})):
        sampler = only(data, recipe, empty_queries=share, same_image=0.0)
        rng = np.random.default_rng(0)
        drawn = [sampler.draw(rng, prompts=1, size=32) for _ in range(30)]
        assert {bool(example.regions[1].any()) for example in drawn} == expected


def test_examples_are_a_function_of_the_generator(sampler):
    one, same = (
        sampler.draw(np.random.default_rng(5), prompts=2, size=32) for _ in range(2)
    )
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.regions, same.regions)
    assert one.looks == same.looks


def test_real_and_simulated_data_are_drawn_as_the_recipe_says(data_folder, recipe):
    real = read_datasets(data_folder)
    simulated = list(simulated_datasets(recipe))
    for share, expected in (
        (0.0, {"classes", "objects"}),
        (1.0, {one.name for one in simulated}),
    ):
        sampler = ExampleSampler(real, simulated, replace(recipe, simulated=share))
        rng = np.random.default_rng(0)
        assert {sampler._draw_set(rng).name for _ in range(40)} == expected


def test_frames_of_a_sequence_keep_the_colours_of_chosen_objects(recipe, square):
    # Two objects that change places: told apart by their ids alone.
    labels = square.astype(np.uint16)
    labels[16:48, 32:48] = 7
    grey = np.where(labels == 7, 200, labels * 100).astype(np.uint8)
    frames = tuple(
        LabelledImage(image=grey[:, ::turn], labels=labels[:, ::turn])
        for turn in (1, -1)
    )
    data = DataSet(name="x", label_kind="instance", images=frames, is_sequence=True)
    sampler = only(data, recipe)
    rng = np.random.default_rng(0)
    chosen = 0
    for _ in range(60):
        example = sampler.draw(rng, prompts=1, size=64)
        if not example.is_instance:
            continue
        chosen += 1
        for region in range(1, len(example.palette)):
            means = [
                image[shown == region].mean()
                for image, shown in zip(example.images, example.regions, strict=True)
                if np.count_nonzero(shown == region) > 50
            ]
            assert np.ptp(means) < 60
    assert chosen > 5


def test_mixed_context_stitches_two_images_with_one_colour_map(recipe, square):
    images = tuple(
        LabelledImage(image=np.full((64, 64), grey, np.uint8), labels=square)
        for grey in (50, 200)
    )
    data = DataSet(name="x", label_kind="semantic", images=images)
    sampler = only(data, recipe, mixed_context=1.0, same_image=0.0)
    rng = np.random.default_rng(0)
    seen = [sampler.draw(rng, prompts=1, size=32).images for _ in range(20)]
    assert any({50, 200} <= set(np.unique(picture)) for x in seen for picture in x)


def test_spoiled_labels_are_wrong_but_not_far_off(square):
    rng = np.random.default_rng(0)
    overlaps = []
    for _ in range(20):
        spoiled = spoil(square, rng)
        assert set(np.unique(spoiled)) <= {0, 1}
        overlaps.append((spoiled & square).sum() / (spoiled | square).sum())
    assert 0.6 < np.mean(overlaps) < 0.98
    assert max(overlaps) > 0.85  # where only the outline is wrong


def test_only_prompts_are_spoiled(recipe, square):
    data = DataSet(
        name="x",
        label_kind="semantic",
        images=(LabelledImage(image=square * 100, labels=square),),
    )
    sampler = only(data, recipe, spoiled_prompts=1.0)
    rng = np.random.default_rng(0)
    wrong = np.zeros(2)
    for _ in range(20):
        example = sampler.draw(rng, prompts=1, size=64)
        bright = example.images[..., 0] > 50
        wrong += (bright != (example.regions > 0)).mean((1, 2))
    assert wrong[0] > 5 * wrong[1]  # edges are smoothed when they are resized
