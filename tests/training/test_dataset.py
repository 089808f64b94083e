import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.training.dataset import (
    LONGEST_SIDE,
    SEQUENCE_LENGTH,
    DataError,
    DataSet,
    LabelledImage,
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


def test_the_manifest_may_weigh_a_set(data_folder):
    (data_folder / "datasets.json").write_text('{"objects": {"weight": 7}}')
    assert [one.weight for one in read_datasets(data_folder)] == [3**0.25, 7.0]
    (data_folder / "datasets.json").write_text('{"objects": {"weight": -1}}')
    with pytest.raises(DataError, match="weight of 0 or more"):
        read_datasets(data_folder)


def test_the_manifest_tells_the_sequences(data_folder):
    sequences = {
        "film": ["2.png", "0.png"],
        "another": ["1.png", "nowhere.png"],
        "elsewhere": ["nowhere.png"],
    }
    facts = {"classes": {"sequences": sequences}}
    (data_folder / "datasets.json").write_text(json.dumps(facts))
    classes, objects = read_datasets(data_folder)
    assert classes.sequences == ((2, 0), (1,))
    assert objects.sequences == ()


def test_a_set_knows_which_ids_are_where():
    images = tuple(
        LabelledImage(image=np.zeros((4, 4), np.uint8), labels=labels)
        for labels in (np.eye(4, dtype=int) * 7, np.zeros((4, 4), int))
    )
    data = DataSet(name="x", label_kind="semantic", images=images)
    assert [data.shown(i) for i in (0, 1)] == [frozenset({7}), frozenset()]


@pytest.mark.parametrize("text", ["no JSON", "[]"])
def test_a_manifest_that_is_none_is_refused(data_folder, text):
    (data_folder / "datasets.json").write_text(text)
    with pytest.raises(DataError, match=r"Expected .*JSON"):
        read_datasets(data_folder)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="images/ and labels/"):
        read_datasets(tmp_path)


def test_simulated_sets_are_a_function_of_the_seed(recipe):
    one, same, other = (
        list(simulated_datasets(replace(recipe, seed=seed))) for seed in (1, 1, 2)
    )
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a.images[0].image, b.images[0].image)
    assert any(
        not np.array_equal(a.images[0].image, b.images[0].image)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_simulated_sets_are_pairs_or_sequences(recipe, share):
    for data in simulated_datasets(replace(recipe, sequences=share)):
        length = SEQUENCE_LENGTH if share else 2
        assert len(data.images) == length
        assert data.sequences == ((tuple(range(length)),) if share else ())


def test_nothing_is_simulated_that_is_never_drawn(recipe):
    assert not list(simulated_datasets(replace(recipe, simulated=0.0)))


def test_slices_of_one_volume_are_a_sequence_by_their_names(tmp_path):
    names = ["p1_2", "p1_10", "p1_9", "p2_3", "7_4", "7_5", "a_1", "a_2"]
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in names:
            picture = Image.fromarray(np.eye(16, dtype=np.uint8))
            picture.save(tmp_path / folder / f"{name}.png")
    (data,) = read_datasets(tmp_path)
    in_order = [image.stem for image, _ in pair_files(tmp_path)]
    shown = {tuple(in_order[i] for i in places) for places in data.sequences}
    assert shown == {("p1_2", "p1_9", "p1_10"), ("7_4", "7_5")}
    (tmp_path / "datasets.json").write_text('{"set": {"label_kind": "instance"}}')
    (tmp_path / "set").mkdir()
    for folder in ("images", "labels"):
        (tmp_path / folder).rename(tmp_path / "set" / folder)
    (objects,) = read_datasets(tmp_path)
    assert objects.sequences == ()  # ids may mean something else in each
