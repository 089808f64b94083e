from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.evaluation import objects
from napari_seggpt.evaluation.datasets import find_sequences
from napari_seggpt.evaluation.objects import (
    evaluate_objects,
    ids_by_distance,
    summarise_objects,
)
from napari_seggpt.object_settings import ObjectSettings
from napari_seggpt.settings import SessionSettings

SETTINGS = SessionSettings(objects=ObjectSettings(task="objects"))


def touching(count=4, *, shift=0):
    """Draw squares of 12 pixels in a row that touch each other."""
    labels = np.zeros((40, 80), int)
    for number in range(count):
        left = 6 + 12 * number + shift
        labels[10:22, left : left + 12] = number + 1
    return labels


@pytest.fixture
def copies(monkeypatch, predictor):
    """The prediction is always the prompt."""
    monkeypatch.setattr(objects, "Predictor", predictor)


def scores_of(tmp_path, write_set, model, frames):
    write_set(tmp_path, "cells", frames)
    (sequence,) = find_sequences(tmp_path)
    return list(evaluate_objects(sequence, model, references=1, settings=SETTINGS))


def test_touching_objects_count_one_by_one(tmp_path, write_set, tiny_model, copies):
    frames = np.array([touching(), touching(), touching()])
    scores = scores_of(tmp_path, write_set, tiny_model, frames)
    assert [score.index for score in scores] == [0, 2]  # frame 1 is the reference
    for score in scores:
        assert score.f1 == {"objects": 1.0, "regions": 0.0}
        assert score.ap["objects"] == 1.0
        assert score.same_id == 1.0


def test_ids_that_others_have_do_not_count(tmp_path, write_set, tiny_model, copies):
    swapped = touching()
    swapped[touching() == 1], swapped[touching() == 2] = 2, 1
    frames = np.array([touching(), touching(), touching(), swapped, swapped])
    scores = scores_of(tmp_path, write_set, tiny_model, frames)
    assert {score.index: score.same_id for score in scores} == {
        0: 1.0, 1: 1.0, 3: 0.5, 4: 0.5,
    }  # fmt: skip


def test_nobody_follows_objects_in_a_thinned_sequence(
    tmp_path, write_set, tiny_model, copies
):
    write_set(tmp_path, "cells", np.array([touching()] * 9))
    (sequence,) = find_sequences(tmp_path)
    thinned = sequence.thinned(3)
    scores = list(
        evaluate_objects(thinned, tiny_model, references=1, settings=SETTINGS)
    )
    assert [(x.index, x.same_id) for x in scores] == [(0, None), (8, None)]


def test_frames_without_objects_do_not_count(tmp_path, write_set, tiny_model, copies):
    frames = np.array([touching(), touching() * 0, touching()])
    scores = scores_of(tmp_path, write_set, tiny_model, frames)
    assert [score.index for score in scores] == [0]


def test_what_is_unknown_is_neither_found_nor_missed(
    tmp_path, write_set, tiny_model, copies
):
    frames = np.array([touching(), touching(), touching()])
    frames[2][frames[2] == 4] = 255  # found, but nobody knows
    write_set(tmp_path, "cells", frames)
    (sequence,) = find_sequences(tmp_path)
    known = replace(sequence, unknown=255)
    scores = evaluate_objects(known, tiny_model, references=1, settings=SETTINGS)
    assert [score.f1["objects"] for score in scores] == [1.0, 1.0]


def test_summaries_are_means(tmp_path, write_set, tiny_model, copies):
    frames = np.array([touching(), touching(), touching(3), touching(3)])
    scores = scores_of(tmp_path, write_set, tiny_model, frames)
    ((name, row),) = summarise_objects(scores)
    assert (name, row["frames"]) == ("cells", 3)
    f1 = [score.f1["objects"] for score in scores]
    assert row["f1 objects"] == pytest.approx(np.mean(f1))
    ((_, kept),) = ids_by_distance(scores, (1, 2, 9))
    assert set(kept) == {"1", "2"}
