from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.evaluation import ranking
from napari_seggpt.evaluation.ranking import (
    RankedFrame,
    rank_sequence,
    score_signals,
)
from napari_seggpt.settings import PredictionSettings, PropagationSettings


def frames(dataset, signals, dice, sequence="s", name="confidence"):
    return [
        RankedFrame(
            dataset=dataset, sequence=sequence, index=i, dice=d, signals={name: x}
        )
        for i, (x, d) in enumerate(zip(signals, dice, strict=True))
    ]


def test_a_signal_that_knows_the_order_ranks_perfectly():
    dice = [0.1, 0.5, 0.9, 0.2, 0.6]
    score = score_signals(frames("a", np.array(dice) ** 3, dice))["confidence"]
    assert score.within == score.pooled == pytest.approx(1.0)
    assert score.apart == pytest.approx(np.mean(np.array(dice) - np.array(dice) ** 3))
    assert (score.worst_tenth, score.sets) == (1.0, 1)


def test_one_that_has_it_upside_down_does_not():
    dice = np.linspace(0, 1, 20)
    score = score_signals(frames("a", -dice, dice))["confidence"]
    assert score.within == pytest.approx(-1.0)
    assert score.worst_tenth == 0.0


def test_sequences_are_ranked_by_themselves():
    dice = np.linspace(0.1, 0.5, 5)
    both = [
        *frames("a", dice, dice, "one"),
        *frames("a", dice - 5, dice + 0.5, "two"),
    ]
    score = score_signals(both)["confidence"]
    assert score.within == pytest.approx(1.0)
    assert score.pooled < 0.5
    assert score.worst_tenth == 0.0


def test_data_sets_count_alike_and_signals_are_sorted():
    dice = np.linspace(0, 1, 6)
    both = [*frames("a", dice, dice), *frames("b", np.ones(6), dice)]
    both += frames("a", -dice, dice, name="other")
    scores = score_signals(both)
    assert list(scores) == ["confidence", "other"]
    assert scores["confidence"].within == pytest.approx(0.5)
    assert scores["confidence"].sets == 2


def test_what_cannot_be_ranked_is_left_out():
    assert score_signals([]) == {}
    assert score_signals(frames("a", [0.1, 0.2], [0.3, 0.4])) == {}
    assert score_signals(frames("a", range(6), [0.5] * 6)) == {}


def test_what_is_unknown_does_not_count(
    make_sequence, tiny_model, predictor, monkeypatch
):
    monkeypatch.setattr(ranking, "Predictor", predictor)  # labels are the reference's
    labels = np.zeros((3, 16, 16), int)
    labels[:, 4:12, 4:12] = 1
    labels[[0, 2], 4:12, 8:12] = 255
    sequence = replace(make_sequence(labels), unknown=255)
    settings = {
        "prediction": PredictionSettings(),
        "propagation": PropagationSettings(),
    }
    found = rank_sequence(sequence, tiny_model, references=1, **settings)
    assert [frame.dice for frame in found] == [1.0, 1.0]


@pytest.mark.parametrize("references", [1, 2])
def test_signals_of_a_sequence(make_sequence, tiny_model, references):
    labels = np.zeros((5, 40, 40), int)
    labels[:, 10:30, 10:30] = 1
    found = list(
        rank_sequence(
            make_sequence(labels),
            tiny_model,
            references=references,
            prediction=PredictionSettings(),
            propagation=PropagationSettings(),
            auto_tiles=True,
        )
    )
    assert len(found) == 5 - references
    assert [frame.index for frame in found] == sorted(frame.index for frame in found)
    names = {"confidence", "mean margin", "margin on labels", "neighbours"}
    names |= {"agreement"} if references > 1 else set()
    for frame in found:
        assert set(frame.signals) == names
        assert all(0 <= value <= 1 for value in frame.signals.values())
        assert 0 <= frame.dice <= 1


def test_a_sequence_without_labels_has_none(make_sequence, tiny_model):
    empty = make_sequence(np.zeros((3, 8, 8), int))
    how = {"prediction": PredictionSettings(), "propagation": PropagationSettings()}
    assert list(rank_sequence(empty, tiny_model, references=1, **how)) == []
