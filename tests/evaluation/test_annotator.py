from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.evaluation.annotator import (
    TARGET,
    AnnotatorStep,
    effort,
    simulate_annotator,
)
from napari_seggpt.evaluation.peers import Copied, SegmentedFrame, one_by_one
from napari_seggpt.evaluation.protocol import seggpt
from napari_seggpt.settings import PredictionSettings, PropagationSettings


@pytest.fixture
def square(make_sequence):
    """Make a sequence of a square in every frame."""

    def make(frames):
        labels = np.zeros((frames, 16, 16), int)
        labels[:, 4:12, 4:12] = 1
        return make_sequence(labels)

    return make


class Perfect:
    def __init__(self, answer):
        self.answer = answer

    def __call__(self, prompts, limits):
        return self

    def segment(self, frame, index):
        return self.answer(frame), 1.0


class Blind:
    """Sees nothing, and is surer the later the frame; keeps a record."""

    def __init__(self):
        self.given = []

    def __call__(self, stack, prompts, limits):
        self.given.append([prompt.index for prompt in prompts])
        for index in range(len(stack)):
            if index not in self.given[-1]:
                empty = np.zeros(stack[index].shape, int)
                yield SegmentedFrame(index=index, labels=empty, confidence=index / 100)


def test_a_perfect_method_needs_one_frame(square, answer):
    steps = list(simulate_annotator(square(5), one_by_one(Perfect(answer))))
    assert steps == [
        AnnotatorStep(dataset="toy", sequence="toy", labelled=1, frames=5, dice=1.0)
    ]
    assert effort(steps) == 1 / 5


def test_what_is_unknown_is_no_work(make_sequence, answer):
    labels = np.full((5, 16, 16), 255)
    labels[:, 4:12, 4:12] = 1
    sequence = replace(make_sequence(labels), unknown=255)
    (step,) = simulate_annotator(sequence, one_by_one(Perfect(np.ones_like)))
    assert step.dice == 1.0


def test_a_useless_method_leaves_all_the_work(square):
    steps = list(simulate_annotator(square(5), Blind()))
    assert [step.labelled for step in steps] == [1, 2, 3, 4, 5]
    assert [step.dice for step in steps] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert effort(steps) == 1.0


def test_the_least_certain_frames_come_first(square):
    sequence = square(5)
    one, two = Blind(), Blind()
    list(simulate_annotator(sequence, one))
    list(simulate_annotator(sequence, two, step=2))
    assert one.given == [[2], [0, 2], [0, 1, 2], [0, 1, 2, 3]]
    assert two.given == [[2], [0, 1, 2]]


def test_frames_may_be_taken_evenly(square):
    sequence, one, two = square(9), Blind(), Blind()
    list(simulate_annotator(sequence, one, order="even", target=0.5))
    assert one.given == [[4], [0, 4], [0, 4, 8], [0, 2, 4, 8], [0, 2, 4, 6, 8]]
    list(simulate_annotator(sequence, two, order="even", step=2, target=0.5))
    assert two.given == [[4], [0, 4, 8], [0, 2, 4, 6, 8]]


def test_frames_may_be_taken_by_their_looks(make_sequence):
    labels = np.ones((5, 16, 16), int)
    labels[1, :, 8:], labels[4, :, 4:] = 3, 2
    blind = Blind()
    steps = simulate_annotator(make_sequence(labels), blind, order="unlike")
    assert len(list(steps)) == 5
    assert blind.given[:3] == [[2], [1, 2], [1, 2, 4]]


def test_it_ends_when_the_target_is_reached(square):
    steps = list(simulate_annotator(square(5), Blind(), target=0.55))
    assert [step.labelled for step in steps] == [1, 2, 3]
    assert effort(steps, target=0.55) == 3 / 5


def test_long_sequences_are_thinned_and_take_larger_steps(square):
    sequence = square(40)
    steps = list(simulate_annotator(sequence, Blind(), max_frames=10))
    assert {step.frames for step in steps} == {10}
    steps = list(simulate_annotator(sequence, Blind(), max_frames=40))
    assert [step.labelled for step in steps][:3] == [1, 3, 5]


def test_a_class_that_is_not_shown_yet_counts(make_sequence):
    labels = np.ones((3, 8, 8), int)
    labels[2, :, 4:] = 2
    (first, *_) = simulate_annotator(make_sequence(labels), one_by_one(Copied))
    # Frame 2: two thirds of its half for class 1, nothing for class 2.
    assert first.dice == pytest.approx((1 + 1 + (2 / 3 + 0) / 2) / 3)


def test_a_sequence_without_labels_has_nothing_to_do(make_sequence):
    sequence = make_sequence(np.zeros((3, 8, 8), int))
    assert list(simulate_annotator(sequence, Blind())) == []


def test_seggpt_is_a_method(square, tiny_model):
    method = seggpt(
        tiny_model,
        prediction=PredictionSettings(),
        propagation=PropagationSettings(memory=1),
    )
    steps = list(simulate_annotator(square(3), method))
    assert steps[0].labelled == 1
    assert steps[-1].dice >= TARGET


def test_wrong_numbers_are_refused(square):
    sequence = square(3)
    with pytest.raises(ValueError, match="Expected a step of 1 or more frames, got 0"):
        next(simulate_annotator(sequence, Blind(), step=0))
    with pytest.raises(ValueError, match="Expected one of unsure, even, unlike, got"):
        next(simulate_annotator(sequence, Blind(), order="best"))


def test_effort_is_1_if_the_target_was_not_reached():
    step = AnnotatorStep(dataset="a", sequence="s", labelled=1, frames=4, dice=0.89)
    assert effort([step]) == 1.0
