import json

import numpy as np
import pytest
from PIL import Image

from napari_seggpt.evaluation import protocol
from napari_seggpt.evaluation.datasets import find_sequences
from napari_seggpt.evaluation.measures import Measures
from napari_seggpt.evaluation.peers import Copied, Warped
from napari_seggpt.evaluation.protocol import (
    FrameScore,
    evaluate_sequence,
    means,
    summarise,
)
from napari_seggpt.settings import PredictionSettings, PropagationSettings


class TruePredictor:
    """Stands in for the predictor: it knows the answer."""

    encoding_seconds = 0.0
    frames_at_once = 4

    def __init__(self, model, prompts, *, settings, limits):
        self.prompts, self.tuned = prompts, ()
        self.references = {prompt.index: prompt for prompt in prompts}
        self.settings = settings

    def predict_batch(self, frames, *, indices, grid=None):
        class Answer:
            def __init__(self, frame):
                self.labels = frame.astype(int) // 40
                self.confidence = np.ones(frame.shape)

        return [Answer(frame) for frame in frames]


@pytest.fixture
def knows_the_answer(monkeypatch):
    monkeypatch.setattr(protocol, "Predictor", TruePredictor)


def evaluate(sequence, model, *, references=1, **options):
    return list(
        evaluate_sequence(
            sequence,
            model,
            references=references,
            prediction=PredictionSettings(),
            propagation=PropagationSettings(memory=0),
            **options,
        )
    )


def test_references_are_frames_with_labels(
    tmp_path, write_set, tiny_model, knows_the_answer
):
    frames = np.zeros((5, 20, 20), int)
    frames[4, 5:15, 5:15] = 1
    write_set(tmp_path, "late", frames)
    write_set(tmp_path, "never", frames * 0)
    late, never = find_sequences(tmp_path)
    scores = evaluate(late, tiny_model, peers={"copied": Copied})
    assert [score.index for score in scores] == [3, 2, 1, 0]
    assert all(score.dice == {"seggpt": 1.0, "copied": 0.0} for score in scores)
    assert evaluate(never, tiny_model) == []


def test_scores_are_those_of_the_labels(root, tiny_model, knows_the_answer):
    sequence = find_sequences(root)[0]
    scores = evaluate(sequence, tiny_model, peers={"copied": Copied, "w": Warped})
    assert [score.index for score in scores] == [0, 2]  # frame 1 was the reference
    assert all(score.dice["seggpt"] == 1.0 for score in scores)
    # Copying a square of 10 rows to a place one row further leaves 9 in common.
    assert all(score.dice["copied"] == pytest.approx(0.9) for score in scores)
    assert all(score.dice["w"] > 0.9 for score in scores)
    assert all(score.measures == {} for score in scores)


def test_what_is_unknown_does_not_count(root, tiny_model, knows_the_answer):
    facts = {"moving": {"label_kind": "semantic", "unknown": 255}}
    (root / "datasets.json").write_text(json.dumps(facts))
    for file in (root / "moving" / "labels").iterdir():
        labels = np.array(Image.open(file))
        labels[:, 13:20] = 255  # a part of what is found to be 1
        Image.fromarray(labels).save(file)
    sequence = next(x for x in find_sequences(root) if x.dataset == "moving")
    scores = evaluate(sequence, tiny_model, measures=Measures())
    assert len(scores) == 5
    for score in scores:
        assert score.dice["seggpt"] == score.measures["iou"] == 1.0


def test_distances_are_those_to_the_nearest_reference(make_sequence, tiny_model):
    sequence = make_sequence(np.ones((9, 8, 8), int))
    two = evaluate(sequence, tiny_model, references=2)  # frames 2 and 6
    assert {s.index: s.distance for s in two} == {
        0: 2, 1: 1, 3: 1, 4: 2, 5: 1, 7: 1, 8: 2,
    }  # fmt: skip
    thin = evaluate(sequence.thinned(3), tiny_model)
    assert {s.index: s.distance for s in thin} == {0: 4, 8: 4}


def test_measures_are_taken_when_asked_for(root, tiny_model, knows_the_answer):
    measures = Measures()
    scores = [
        score
        for sequence in find_sequences(root / "moving")
        for score in evaluate(sequence, tiny_model, measures=measures)
    ]
    of_frames = ("iou", "j", "f", "boundary_f_2px")
    assert all(s.measures == dict.fromkeys(of_frames, 1.0) for s in scores)
    (only,) = summarise(scores, measures)
    of_set = ("miou", "fb_iou", "area_ratio")
    assert only.measures == dict.fromkeys((*of_frames, *of_set), 1.0)


def test_a_real_network_is_scored(root, tiny_model):
    scores = [x for s in find_sequences(root) for x in evaluate(s, tiny_model)]
    assert len(scores) == 2 + 1 + 5 + 2
    assert all(0 <= score.dice["seggpt"] <= 1 for score in scores)


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
    def score(dataset, dice, **measures):
        return FrameScore(
            dataset=dataset,
            sequence="s",
            index=0,
            distance=1,
            dice={"seggpt": dice, "copied": 0.5},
            measures=measures,
        )

    results = summarise([score("a", 0.2, f1=0.5), score("a", 0.6), score("b", 1.0)])
    assert [(r.dataset, r.frames) for r in results] == [("a", 2), ("b", 1)]
    assert results[0].dice == pytest.approx({"seggpt": 0.4, "copied": 0.5})
    assert [r.measures for r in results] == [{"f1": 0.5}, {}]


def test_means_are_over_the_rows_that_have_a_name():
    assert means([{"a": 1.0, "b": 2.0}, {"a": 3.0}]) == {"a": 2.0, "b": 2.0}
    assert means([]) == {}
