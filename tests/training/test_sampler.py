from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.training.augmentation import BEND_CELLS, View
from napari_seggpt.training.coloring import Task
from napari_seggpt.training.dataset import (
    DataError,
    DataSet,
    LabelledImage,
    read_datasets,
    simulated_datasets,
)
from napari_seggpt.training.sampler import (
    FARTHEST,
    KEPT_OBJECTS,
    ExampleSampler,
    _neighbours,
    _partner,
    _shown,
    keep_few,
    spoil,
)


@pytest.fixture
def square():
    """Regions with one square."""
    regions = np.zeros((64, 64), np.uint8)
    regions[16:48, 16:48] = 1
    return regions


def only(data, recipe, **changes):
    """Make a sampler of one data set, as plain as can be but for the changes."""
    plain = {"simulated": 0.0, "mixed_context": 0.0, "spoiled_prompts": 0.0}
    plain |= {"empty_queries": 0.0, "coloured_background": 0.0, "partial_prompts": 0.0}
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
    assert example.regions.shape == example.known.shape == (prompts + 1, size, size)
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


@pytest.mark.parametrize(("size", "width"), [(8, 2), (16, 2), (32, 4), (64, 8)])
@pytest.mark.parametrize("bent", [False, True])
def test_a_border_is_enlarged_with_its_frame(size, width, bent):
    halves = np.repeat([[1] * 8 + [2] * 8], 16, axis=0)
    bend = np.zeros((BEND_CELLS + 1, BEND_CELLS + 1, 2)) if bent else None
    view = View(box=(0.0, 0.0, 1.0, 1.0), bend=bend)
    regions, known = _shown(Task(border=True), halves, view, size)
    middle = size // 2
    is_wall = abs(np.arange(size) + 0.5 - middle) < width / 2
    np.testing.assert_array_equal(regions, np.where(is_wall, 2, 1) * np.ones((size, 1)))
    assert known.all()


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
    data = DataSet(name="x", label_kind="instance", images=frames, sequences=((0, 1),))
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


# -- partners and neighbours -------------------------------------------------------


def tagged(labels):
    """Return images whose grey value is their place, with these labels."""
    return tuple(
        LabelledImage(image=np.full(one.shape, place, np.uint8), labels=one)
        for place, one in enumerate(labels)
    )


def places(images):
    return [int(one.image.flat[0]) for one in images]


@pytest.fixture
def classes():
    """Eight images: the first, the sixth and the last show class 1, others 2."""
    labels = [np.full((8, 8), 1 if i in (0, 5, 7) else 2) for i in range(8)]
    return DataSet(name="x", label_kind="semantic", images=tagged(labels))


def test_partners_show_what_is_labelled_in_the_query(classes):
    rng = np.random.default_rng(0)
    drawn = [_partner(0, frozenset({1}), classes, rng) for _ in range(200)]
    chosen = np.array(places(drawn))
    assert 0 not in chosen
    assert np.isin(chosen, (5, 7)).mean() > 0.7  # by chance it were 2 of 7
    assert len(np.unique(chosen)) > 3  # but others are among them
    drawn = [_partner(0, frozenset({2}), classes, rng) for _ in range(200)]
    assert not np.isin(places(drawn), (0, 5, 7)).any()


def test_without_common_ids_partners_show_anything(square):
    labels = [square, *[np.zeros_like(square)] * 3, square * 3, square * 7]
    data = DataSet(name="x", label_kind="instance", images=tagged(labels))
    rng = np.random.default_rng(0)
    drawn = [_partner(0, frozenset(), data, rng) for _ in range(200)]
    assert np.isin(places(drawn), (4, 5)).mean() > 0.8
    assert {4, 5} <= set(places(drawn))


def test_of_two_images_the_other_is_the_partner(square):
    data = DataSet(name="x", label_kind="semantic", images=tagged([square] * 2))
    rng = np.random.default_rng(0)
    for query in (0, 1):
        wanted = frozenset({1})
        drawn = [_partner(query, wanted, data, rng) for _ in range(20)]
        assert places(drawn) == [1 - query] * 20


def test_examples_of_several_images_share_a_class(classes, recipe):
    sampler = only(classes, recipe, same_image=0.0)
    rng = np.random.default_rng(0)
    shared = []
    for _ in range(60):
        example = sampler.draw(rng, prompts=1, size=32)
        (prompt,), (query,) = (np.unique(one)[:1] for one in example.images[..., 0])
        shared.append((prompt in (0, 5, 7)) == (query in (0, 5, 7)))
    assert np.mean(shared) > 0.85


@pytest.fixture
def film():
    """Two sequences of 20 and 9 frames that lie mixed up in their folder."""
    first, second = tuple(range(0, 40, 2)), tuple(range(1, 18, 2))
    labels = [np.ones((8, 8), int)] * 40
    return DataSet(
        name="x", label_kind="instance", images=tagged(labels),
        sequences=(first, second),
    )  # fmt: skip


def test_neighbours_are_near_frames_of_one_sequence(film):
    rng = np.random.default_rng(0)
    farthest = 0
    for _ in range(200):
        *prompts, query = places(_neighbours(film, 4, rng))
        assert len({query, *prompts}) == 4
        assert len({place % 2 for place in (query, *prompts)}) == 1
        apart = np.abs(np.subtract(prompts, query)) // 2
        assert apart.max() <= FARTHEST
        farthest = max(farthest, int(apart.max()))
    assert farthest == FARTHEST


@pytest.mark.parametrize("length", [1, 2])
def test_short_sequences_repeat_their_frames(length):
    data = DataSet(
        name="x", label_kind="instance", images=tagged([np.ones((8, 8), int)] * 5),
        sequences=(tuple(range(length)),),
    )  # fmt: skip
    drawn = places(_neighbours(data, 4, np.random.default_rng(0)))
    assert len(drawn) == 4
    assert set(drawn) == set(range(length))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_neighbours_are_drawn_as_the_recipe_says(film, recipe, share):
    sampler = only(film, recipe, neighbours=share, same_image=0.0)
    rng = np.random.default_rng(0)
    near = []
    for _ in range(40):
        example = sampler.draw(rng, prompts=1, size=32)
        one, other = (int(picture.flat[0]) for picture in example.images)
        near.append(one % 2 == other % 2 and 0 < abs(one - other) <= 2 * FARTHEST)
    assert all(near) if share else np.mean(near) < 0.5


# -- frames that are half done -----------------------------------------------------


@pytest.fixture
def many():
    """Regions (100, 100) of two colours in a hundred squares."""
    regions = np.zeros((100, 100), np.uint8)
    for row in range(10):
        for column in range(10):
            part = (slice(10 * row, 10 * row + 6), slice(10 * column, 10 * column + 6))
            regions[part] = 1 + (row + column) % 2
    return regions


def test_few_objects_are_kept_as_they_are(many):
    rng = np.random.default_rng(0)
    counts = []
    for _ in range(40):
        kept = keep_few(many, rng)
        assert kept.dtype == many.dtype
        assert np.isin(kept, (0, 1, 2)).all()
        np.testing.assert_array_equal(kept[kept > 0], many[kept > 0])
        counts.append(np.count_nonzero(kept) / 36)
    assert {count % 1 for count in counts} == {0}  # whole objects
    assert min(counts) >= 1
    assert max(counts) < 100 * KEPT_OBJECTS[1] + 15
    assert np.ptp(counts) > 10


def test_of_a_single_object_all_is_kept(square):
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(keep_few(square, rng), square)


def test_one_prompt_is_half_done_and_says_so_every_other_time(recipe, many):
    image = LabelledImage(image=many * 100, labels=many)
    data = DataSet(name="x", label_kind="semantic", images=(image,))
    sampler = only(data, recipe, partial_prompts=1.0)
    rng = np.random.default_rng(0)
    hinted, fewest = [], []
    for _ in range(40):
        example = sampler.draw(rng, prompts=3, size=100)
        painted = np.sort((example.regions[:-1] > 0).mean((1, 2)))
        fewest.append(painted[0] / painted[1])
        assert example.known[-1].all()
        told = [one for one, known in enumerate(example.known) if not known.all()]
        assert len(told) <= 1
        for one in told:
            np.testing.assert_array_equal(
                example.known[one].astype(bool), example.regions[one] > 0
            )
        hinted.append(len(told))
    assert 0.25 < np.mean(hinted) < 0.75
    assert np.mean(fewest) < 0.5


def test_a_single_prompt_is_never_half_done(recipe, many):
    image = LabelledImage(image=many * 100, labels=many)
    data = DataSet(name="x", label_kind="semantic", images=(image,))
    sampler = only(data, recipe, partial_prompts=1.0)
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(30):
        example = sampler.draw(rng, prompts=1, size=100)
        assert example.known.all()
        painted = (example.images[..., 0] > 50) == (example.regions > 0)
        if len(example.palette) == 3:  # both classes are asked for
            wrong.append(1 - painted.mean((1, 2)).min())
    assert len(wrong) > 5
    assert max(wrong) < 0.1
