from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.training.dataset import (
    LONGEST_SIDE,
    DataError,
    ExampleSampler,
    pair_files,
    read_datasets,
    simulated_datasets,
)


def test_reads_a_folder_of_data_sets(data_folder):
    sets = read_datasets(data_folder)
    assert [(one.name, one.label_kind, len(one.images)) for one in sets] == [
        ("classes", "semantic", 3),
        ("objects", "instance", 3),
    ]


def test_reads_a_single_data_set(data_folder):
    (only,) = read_datasets(data_folder / "classes")
    assert only.name == "classes"


def test_large_images_are_shrunk_with_their_labels(data_folder):
    folder = data_folder / "classes"
    large = np.zeros((1000, 500), np.uint8)
    large[:500] = 7
    for name in ("images", "labels"):
        Image.fromarray(large).save(folder / name / "large.png")
    image = read_datasets(folder)[0].images[-1]
    assert image.image.shape == image.labels.shape == (LONGEST_SIDE, LONGEST_SIDE // 2)
    assert set(np.unique(image.labels)) == {0, 7}


def test_images_of_16_bit_are_shown_in_8(data_folder):
    folder = data_folder / "classes"
    deep = np.linspace(0, 60_000, 48 * 40).reshape(48, 40).astype(np.uint16)
    Image.fromarray(deep).save(folder / "images" / "0.png")
    image = read_datasets(folder)[0].images[0].image
    assert image.dtype == np.uint8
    assert image.min() == 0
    assert image.max() == 255


def test_labels_of_another_shape_are_refused(data_folder):
    folder = data_folder / "classes"
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(folder / "labels" / "1.png")
    with pytest.raises(DataError, match=r"\(48, 40\).*got \(5, 5\)"):
        read_datasets(folder)


def test_other_files_are_left_out_and_numbers_are_ordered(data_folder):
    folder = data_folder / "classes"
    for name in ("images", "labels"):
        (folder / name / ".DS_Store").write_bytes(b"x")
        (folder / name / "10.png").write_bytes((folder / name / "0.png").read_bytes())
    names = [image.name for image, _ in pair_files(folder)]
    assert names == ["0.png", "1.png", "2.png", "10.png"]


def test_a_single_set_is_told_by_the_manifest_beside_it(data_folder):
    (only,) = read_datasets(data_folder / "objects")
    assert only.label_kind == "instance"


@pytest.mark.parametrize("text", ["no JSON", "[]"])
def test_a_manifest_that_is_none_is_refused(data_folder, text):
    (data_folder / "datasets.json").write_text(text)
    with pytest.raises(DataError, match=r"Expected .*JSON"):
        read_datasets(data_folder)


def test_data_without_labels_ends_in_an_error(data_folder, recipe):
    for file in (data_folder / "classes" / "labels").glob("*.png"):
        Image.fromarray(np.zeros((48, 40), np.uint8)).save(file)
    sampler = ExampleSampler(read_datasets(data_folder / "classes"), [], recipe)
    with pytest.raises(DataError, match="Expected labels to learn from"):
        sampler.draw(np.random.default_rng(0), prompts=1)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="images/ and labels/"):
        read_datasets(tmp_path)
    with pytest.raises(DataError, match="got none"):
        ExampleSampler([], [], None)
    with pytest.raises(DataError, match="got none"):
        ExampleSampler([], simulated_datasets(0, size=64, seed=0), None)


def test_simulated_sets_are_a_function_of_the_seed():
    one, same, other = (
        list(simulated_datasets(2, size=64, seed=seed)) for seed in (1, 1, 2)
    )
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.images[0].image, b.images[0].image)
    assert any(
        not np.array_equal(a.images[0].image, b.images[0].image)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("prompts", [1, 3])
def test_examples_have_prompts_and_query(sampler, prompts):
    example = sampler.draw(np.random.default_rng(0), prompts=prompts)
    assert example.images.shape == (prompts + 1, 32, 32, 3)
    assert example.colors.shape == (prompts + 1, 32, 32, 3)
    assert 0 <= example.colors.min() <= example.colors.max() <= 1


def test_every_example_shows_what_is_asked_for(sampler):
    rng = np.random.default_rng(0)
    for _ in range(60):
        example = sampler.draw(rng, prompts=1)
        assert example.foreground.any()
        assert len(np.unique(example.colors[0].reshape(-1, 3), axis=0)) > 1


def test_query_and_prompts_are_coloured_alike(sampler):
    rng = np.random.default_rng(0)
    for _ in range(60):
        example = sampler.draw(rng, prompts=1)
        prompt, query = (
            {tuple(c) for c in picture.reshape(-1, 3)} for picture in example.colors
        )
        assert prompt & query


def test_examples_are_a_function_of_the_generator(sampler):
    one, same = (sampler.draw(np.random.default_rng(5), prompts=2) for _ in range(2))
    np.testing.assert_array_equal(one.images, same.images)
    np.testing.assert_array_equal(one.colors, same.colors)


def test_real_and_simulated_data_are_drawn_as_the_recipe_says(data_folder, recipe):
    real = read_datasets(data_folder)
    simulated = list(simulated_datasets(1, size=64, seed=0))
    for share, expected in ((0.0, {"classes", "objects"}), (1.0, {simulated[0].name})):
        sampler = ExampleSampler(real, simulated, replace(recipe, simulated=share))
        rng = np.random.default_rng(0)
        assert {sampler._draw_set(rng).name for _ in range(30)} == expected
