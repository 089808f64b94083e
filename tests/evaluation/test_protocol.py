import json

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.evaluation import protocol
from napari_seggpt.evaluation.protocol import (
    FrameScore,
    evaluate_sequence,
    find_sequences,
    spread_references,
    summarise,
)
from napari_seggpt.settings import PredictionSettings, PropagationSettings
from napari_seggpt.training.dataset import DataError


def write_set(root, name, labels):
    """Write frames whose images are their labels, brightened."""
    for folder in ("images", "labels"):
        (root / name / folder).mkdir(parents=True)
    for index, frame in enumerate(labels):
        image = (frame * 40).astype(np.uint8)
        Image.fromarray(image).save(root / name / "images" / f"t{index}.png")
        Image.fromarray(frame.astype(np.uint8)).save(
            root / name / "labels" / f"t{index}.png"
        )


@pytest.fixture
def root(tmp_path):
    """A moving square of two classes; objects on background; objects without any."""
    moving = np.zeros((6, 40, 40), int)
    for index, frame in enumerate(moving):
        frame[10 + index : 20 + index, 10:20] = 1
        frame[10 + index : 20 + index, 20:30] = 2
    tiled = np.arange(1, 17).reshape(4, 4).repeat(10, 0).repeat(10, 1)
    write_set(tmp_path, "moving", moving)
    write_set(tmp_path, "objects", moving)
    write_set(tmp_path, "tiled", [tiled] * 3)
    facts = {
        "moving": {
            "label_kind": "semantic",
            "sequences": {
                "a": ["t0.png", "t1.png", "t2.png"],
                "b": ["t4.png", "t5.png"],
            },
        },
        "objects": {"label_kind": "instance"},
        "tiled": {"label_kind": "instance"},
    }
    (tmp_path / "datasets.json").write_text(json.dumps(facts))
    return tmp_path


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
    assert set(np.unique(by_name["objects"].labels(0))) == {0, 1}
    border = by_name["tiled"].labels(0)
    assert border[5, 9] == border[5, 10] == 1
    assert border[5, 5] == 0


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


def test_references_are_frames_with_labels(tmp_path, tiny_model, monkeypatch):
    monkeypatch.setattr(protocol, "Predictor", TruePredictor)
    frames = np.zeros((5, 20, 20), int)
    frames[4, 5:15, 5:15] = 1
    write_set(tmp_path, "late", frames)
    write_set(tmp_path, "never", frames * 0)
    late, never = find_sequences(tmp_path)
    scores = evaluate(late, tiny_model)
    assert [score.index for score in scores] == [3, 2, 1, 0]
    assert all((score.dice, score.copied) == (1.0, 0.0) for score in scores)
    assert evaluate(never, tiny_model) == []


def evaluate(sequence, model, **settings):
    return list(
        evaluate_sequence(
            sequence,
            model,
            references=1,
            prediction=PredictionSettings(),
            propagation=PropagationSettings(memory=0),
            **settings,
        )
    )


class TruePredictor:
    """Stands in for the predictor: it knows the answer."""

    def __init__(self, model, prompts, *, settings, limits):
        self.references = {prompt.index: prompt for prompt in prompts}
        self.settings = settings

    def predict_batch(self, frames, *, indices):
        class Answer:
            def __init__(self, frame):
                self.labels = frame.astype(int) // 40

        return [Answer(frame) for frame in frames]


def test_scores_are_those_of_the_predictions(root, tiny_model, monkeypatch):
    monkeypatch.setattr(protocol, "Predictor", TruePredictor)
    sequence = find_sequences(root)[0]
    scores = evaluate(sequence, tiny_model)
    assert [score.index for score in scores] == [0, 2]  # frame 1 was the reference
    assert all(score.dice == 1.0 for score in scores)
    # Copying a square of 10 rows to a place one row further leaves 9 in common.
    assert all(score.copied == pytest.approx(0.9) for score in scores)


def test_a_real_network_is_scored(root, tiny_model):
    scores = [x for s in find_sequences(root) for x in evaluate(s, tiny_model)]
    assert len(scores) == 2 + 1 + 5 + 2
    assert all(0 <= score.dice <= 1 for score in scores)


def test_advised_tiles_are_used(root, tiny_model, monkeypatch):
    seen = []

    class Recording(TruePredictor):
        def __init__(self, model, prompts, *, settings, limits):
            super().__init__(model, prompts, settings=settings, limits=limits)
            seen.append(settings.tiling.enabled)

    monkeypatch.setattr(protocol, "Predictor", Recording)
    sequence = find_sequences(root)[-1]  # borders of 2 px, shrunk from 40 to 32
    evaluate(sequence, tiny_model)
    evaluate(sequence, tiny_model, auto_tiles=True)
    assert seen == [False, True]


def test_every_frame_counts_once():
    def score(dataset, dice, copied=0.5):
        return FrameScore(
            dataset=dataset, sequence="s", index=0, dice=dice, copied=copied
        )

    results = summarise([score("a", 0.2), score("a", 0.6), score("b", 1.0)])
    assert [(r.dataset, r.frames) for r in results] == [("a", 2), ("b", 1)]
    assert results[0].dice == pytest.approx(0.4)
    assert results[0].copied == pytest.approx(0.5)
