import math

import numpy as np
import pytest

from napari_seggpt.metrics.video import (
    ObjectScore,
    mean_score,
    score_objects,
    score_seen,
)

# What davis2017-evaluation gives for objects 1 to 3 of the four maps as frames: J, F.
GOLDEN = {
    1: (0.577419398197047, 0.45102329009069997),
    2: (0.6040032398372428, 0.6503484678604473),
    3: (0.5305067850503651, 0.40955122261066446),
}


def test_scores_are_those_of_davis(random_maps):
    frames = [(seed, *random_maps(seed)) for seed in range(4)]
    scores = score_objects(frames, dict.fromkeys(GOLDEN, -1))
    for one, (j, f) in GOLDEN.items():
        assert scores[one].j == pytest.approx(j, rel=1e-14)
        assert scores[one].f == pytest.approx(f, rel=1e-14)
    mean = mean_score(scores.values())
    expected = np.mean(list(GOLDEN.values()), axis=0)
    assert (mean.j, mean.f) == pytest.approx(tuple(expected), rel=1e-14)
    assert mean.j_and_f == pytest.approx(expected.mean(), rel=1e-14)


def test_an_object_counts_after_the_frame_that_it_is_given_in():
    true = np.zeros((8, 8), int)
    true[2:6, 2:6] = 1
    empty = np.zeros_like(true)
    frames = [(0, empty, true), (1, empty, true), (2, true, true)]
    assert score_objects(frames, {1: 1}) == {1: ObjectScore(j=1.0, f=1.0)}
    assert score_objects(frames, {1: 0})[1].j == 0.5
    assert score_objects(frames, {1: 2}) == {}


def test_a_hidden_object_that_is_not_found_is_right():
    empty = np.zeros((8, 8), int)
    assert score_objects([(1, empty, empty)], {1: 0})[1] == ObjectScore(j=1.0, f=1.0)


def test_g_is_the_mean_of_seen_and_unseen():
    score = score_seen([
        (ObjectScore(j=0.8, f=0.6), True),
        (ObjectScore(j=0.6, f=0.6), True),
        (ObjectScore(j=0.2, f=0.4), False),
    ])  # fmt: skip
    assert (score.seen.j, score.unseen.f) == pytest.approx((0.7, 0.4))
    assert score.g == pytest.approx((0.7 + 0.6 + 0.2 + 0.4) / 4)
    assert math.isnan(score_seen([(ObjectScore(j=1.0, f=1.0), True)]).g)
