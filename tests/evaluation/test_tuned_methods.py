"""Tuned prompts among the peers, on toy sequences."""

import numpy as np
import pytest

from napari_seggpt.evaluation.annotator import simulate_annotator
from napari_seggpt.evaluation.datasets import given_frames
from napari_seggpt.evaluation.peers import one_by_one
from napari_seggpt.evaluation.protocol import evaluate_sequence
from napari_seggpt.evaluation.tuned_methods import JOINED, TUNED, TunedMethods
from napari_seggpt.preprocessing import AS_IT_IS
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    TuningSettings,
)

HOW = {"prediction": PredictionSettings(device="cpu")}
QUICK = TuningSettings(steps=2, check_every=1)


@pytest.fixture
def sequence(make_sequence):
    labels = np.zeros((6, 40, 40), int)
    for index, frame in enumerate(labels):
        frame[5 + index : 25 + index, 10:30] = 1
    return make_sequence(labels)


def test_a_sequence_is_tuned_once_for_both(sequence, tiny_model):
    tuning = TunedMethods(tiny_model, tuning=QUICK, **HOW)
    scores = list(
        evaluate_sequence(
            sequence,
            tiny_model,
            references=3,
            propagation=PropagationSettings(),
            peers=tuning.peers(),
            **HOW,
        )
    )
    assert len(scores) == 3
    assert set(scores[0].dice) == {"seggpt", TUNED, JOINED}
    (figures,) = tuning.figures
    assert figures["frames"] == 3


def test_one_frame_is_a_plain_prompt(sequence, tiny_model):
    tuning = TunedMethods(tiny_model, tuning=QUICK, auto_tiles=True, **HOW)
    for make in tuning.peers().values():
        segmenter = make(given_frames(sequence, [2]), AS_IT_IS)
        assert segmenter.predictor.tuned == ()
        labels, confidence = segmenter.segment(sequence[0], 0)
        assert labels.shape == (40, 40)
        assert 0 <= confidence <= 1
    assert tuning.figures == []


def test_the_simulated_annotator_can_use_them(sequence, tiny_model):
    tuning = TunedMethods(tiny_model, tuning=QUICK, **HOW)
    method = one_by_one(tuning.peers()[JOINED])
    steps = list(simulate_annotator(sequence, method, step=2))
    assert [step.labelled for step in steps] == [1, 3, 5, 6]
    assert len(tuning.figures) == 2
