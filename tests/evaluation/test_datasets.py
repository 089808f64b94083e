import json

import numpy as np
import pytest
import tifffile

from napari_seggpt.evaluation.datasets import (
    find_sequences,
    given_frames,
    spread_references,
)
from napari_seggpt.training import dataset as training_dataset
from napari_seggpt.training.dataset import DataError


def test_finds_sequences_and_their_tasks(root):
    found = [(s.dataset, s.name, s.task, len(s)) for s in find_sequences(root)]
    assert found == [
        ("moving", "a", "semantic", 3),
        ("moving", "b", "semantic", 2),
        ("objects", "objects", "objects", 6),
        ("tiled", "tiled", "border", 3),
    ]


def test_labels_are_those_of_the_task(root):
    by_name = {s.name: s for s in find_sequences(root)}
    assert set(np.unique(by_name["a"].labels(0))) == {0, 1, 2}
    assert by_name["a"].classes() == [1, 2]
    assert set(np.unique(by_name["objects"].labels(0))) == {0, 1}
    assert set(np.unique(by_name["objects"].objects(0))) == {0, 1, 2}
    border = by_name["tiled"].labels(0)
    assert border[5, 9] == border[5, 10] == 1
    assert border[5, 5] == 0


@pytest.mark.parametrize("kind", ["semantic", "instance"])
@pytest.mark.parametrize("marked_by", ["sign", "manifest"])
def test_what_is_unknown_is_no_label(tmp_path, kind, marked_by):
    stored = np.zeros((8, 12), np.int16)
    stored[:, 4:8] = 3
    stored[:, 8:] = -1 if marked_by == "sign" else 255
    for folder, frame in (("images", stored * 0), ("labels", stored)):
        (tmp_path / "toy" / folder).mkdir(parents=True)
        for index in range(2):
            tifffile.imwrite(tmp_path / "toy" / folder / f"{index}.tif", frame)
    facts = {"label_kind": kind, "unknown": 255}
    (tmp_path / "datasets.json").write_text(json.dumps({"toy": facts}))
    (toy,) = find_sequences(tmp_path)
    shown = 3 if kind == "semantic" else 1
    assert toy.labels(0)[0].tolist() == [0] * 4 + [shown] * 4 + [0] * 4
    assert toy.objects(0)[0].tolist() == [0] * 4 + [3] * 4 + [0] * 4
    assert toy.known(0)[0].tolist() == [True] * 8 + [False] * 4
    assert toy.classes() == given_frames(toy, [0])[0].ids.tolist() == [shown]


def test_a_single_set_has_the_sequences_of_the_manifest_beside_it(root):
    assert [s.name for s in find_sequences(root / "moving")] == ["a", "b"]


def test_a_single_set_needs_no_manifest(root):
    (root / "datasets.json").unlink()
    (only,) = find_sequences(root / "moving")
    assert (only.dataset, len(only)) == ("moving", 6)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="images/ and labels/"):
        find_sequences(tmp_path)


@pytest.mark.parametrize(
    ("labelled", "count", "expected"),
    [
        (range(10), 1, [5]),
        (range(10), 2, [2, 7]),
        (range(9), 3, [1, 4, 7]),
        (range(2), 4, [0, 1]),
        ([3, 8, 9], 1, [8]),
    ],
)
def test_references_are_spread(labelled, count, expected):
    assert spread_references(labelled, count) == expected


def test_labels_are_read_once_and_kept_from_changes(make_sequence, monkeypatch):
    sequence = make_sequence(np.ones((4, 8, 8), int))
    reads, original = [], training_dataset.read_frame

    def read(path, *, labels=False):
        reads.append(path)
        return original(path, labels=labels)

    monkeypatch.setattr(training_dataset, "read_frame", read)
    assert sequence.labelled() == sequence.labelled() == [0, 1, 2, 3]
    assert len(reads) == 4
    with pytest.raises(ValueError, match="read-only"):
        sequence.labels(0)[:] = 2


def test_a_thinned_sequence_is_even_and_remembers_its_numbers(make_sequence):
    frames = np.arange(1, 10)[:, None, None].repeat(8, 1).repeat(8, 2)
    sequence = make_sequence(frames)
    assert sequence.thinned(9) is sequence
    thin = sequence.thinned(5).thinned(3)
    assert [thin.number(i) for i in range(len(thin))] == [0, 4, 8]
    assert [int(thin.labels(i)[0, 0]) for i in range(3)] == [1, 5, 9]
    with pytest.raises(ValueError, match="Expected 2 or more frames, got 1"):
        sequence.thinned(1)
