import numpy as np
import pytest

from napari_seggpt.inference.checks import (
    check_prompts,
    misfit,
)
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.prompts import Prompt


class Voting:
    """Predicts, for every frame, the labels that most of its prompts have."""

    def __init__(self, *prompts):
        self.prompts = prompts

    def only(self, numbers):
        return Voting(*(self.prompts[i] for i in numbers))

    def predict(self, frame, *, index=None, grid=None):
        votes = np.stack([prompt.labels for prompt in self.prompts])
        ids, counts = [0, 1, 2, 3], []
        for i in ids:
            counts.append((votes == i).sum(0))
        labels = np.array(ids)[np.argmax(counts, axis=0)]
        return type("Prediction", (), {"labels": labels})


def prompt(label=1, rows=slice(0, 4), index=0):
    labels = np.zeros((8, 8), np.uint8)
    labels[rows] = label
    return Prompt(image=np.zeros((8, 8), np.uint8), labels=labels, index=index)


def check(*prompts):
    """Return the scores, and those of suspects that came after."""
    found = list(check_prompts(Voting(*prompts)))
    return found[: len(prompts)], found[len(prompts) :]


def gains(*prompts):
    scores, suspects = check(*prompts)
    known = {each.number: each.gain for each in suspects}
    return [known.get(each.number) for each in scores]


def test_references_that_fit():
    found, suspects = check(prompt(), prompt(), prompt())
    assert [each.number for each in found] == [0, 1, 2]
    assert all(each.dice == {1: 1.0} and each.score == 1.0 for each in found)
    assert [each.gain for each in suspects] == [0.0] * 3
    assert misfit(gains(prompt(), prompt(), prompt())) is None


def test_one_that_harms_the_others_is_pointed_out():
    wrong = prompt(rows=slice(4, 8))
    found, suspects = check(prompt(), prompt(), wrong)
    assert found[2].score == 0.0
    assert found[0].score == 0.0  # one vote against one
    assert 2 in [each.number for each in suspects]
    assert gains(prompt(), prompt(), wrong)[2] == pytest.approx(1.0)
    assert misfit(gains(prompt(), prompt(), wrong)) == 2


def test_one_that_is_only_hard_is_not():
    hard = prompt(rows=slice(4, 8))
    assert gains(prompt(), prompt(), prompt(), prompt(), hard)[4] == 0.0
    assert misfit(gains(prompt(), prompt(), prompt(), prompt(), hard)) is None


def test_a_label_that_no_other_shows_is_not_compared():
    found, suspects = check(prompt(), prompt(), prompt(label=3))
    assert (found[2].dice, found[2].score) == ({}, None)
    assert suspects == []  # of two neither is the odd one


def test_a_reference_without_labels():
    found, _ = check(prompt(), prompt(), prompt(label=0))
    assert (found[2].dice, found[2].score) == ({}, 0.0)
    found, _ = check(prompt(), prompt(label=0), prompt(label=0))
    assert found[0].score is None
    assert [each.score for each in found[1:]] == [1.0, 1.0]


def test_of_two_references_neither_is_the_odd_one():
    assert check(prompt(), prompt(rows=slice(4, 8)))[1] == []
    with pytest.raises(ValueError, match="Expected 2 or more references, got 1"):
        next(check_prompts(Voting(prompt())))


@pytest.mark.parametrize(
    ("known", "odd"),
    [([], None), ([None, 0.04], None), ([0.1, None, 0.2], 2), ([0.0, -0.3], None)],
)
def test_the_most_harmful_one_is_the_misfit(known, odd):
    assert misfit(known) == odd


def test_with_a_real_predictor(tiny_model):
    labels = np.zeros((40, 40), np.uint8)
    labels[5:20] = 2
    rng = np.random.default_rng(0)
    prompts = [
        Prompt(image=rng.integers(0, 255, (40, 40), np.uint8), labels=labels, index=i)
        for i in range(3)
    ]
    found = list(check_prompts(Predictor(tiny_model, prompts)))
    assert [set(each.dice) for each in found] == [{2}] * 6
    assert [each.gain is None for each in found] == [True] * 3 + [False] * 3
