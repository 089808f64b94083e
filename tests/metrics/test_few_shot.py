import numpy as np
import pytest

from napari_seggpt.metrics.few_shot import (
    EpisodeCounts,
    count_episode,
    score_episodes,
)


def test_pixels_that_are_ignored_do_not_count():
    predicted = np.array([[1, 1, 0, 1]], bool)
    true = np.array([[1, 0, 0, -1]])
    counts = count_episode(4, predicted, true)
    assert counts == EpisodeCounts(class_id=4, intersection=(1, 1), union=(2, 2))


def test_counts_are_those_of_whole_masks(random_maps):
    predicted, true = (labels == 2 for labels in random_maps(0))
    counts = count_episode(1, predicted, true.astype(int))
    assert counts.intersection == ((~predicted & ~true).sum(), (predicted & true).sum())
    assert counts.union == ((~predicted | ~true).sum(), (predicted | true).sum())


def test_episodes_of_a_class_are_summed_before_the_ratio():
    episodes = [
        EpisodeCounts(class_id=1, intersection=(10, 2), union=(20, 4)),
        EpisodeCounts(class_id=1, intersection=(10, 0), union=(20, 6)),
        EpisodeCounts(class_id=2, intersection=(10, 8), union=(10, 10)),
    ]
    score = score_episodes(episodes, [1, 2])
    assert score.miou == pytest.approx((2 / 10 + 8 / 10) / 2)
    assert score.fb_iou == pytest.approx((30 / 50 + 10 / 20) / 2)


def test_a_class_that_was_never_looked_for_counts_as_nothing():
    one = EpisodeCounts(class_id=1, intersection=(1, 1), union=(1, 1))
    assert score_episodes([one], [1, 2]).miou == 0.5
    empty = score_episodes([], [1])
    assert empty.miou == 0
    assert np.isnan(empty.fb_iou)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="of one shape, got"):
        count_episode(1, np.zeros((2, 2), bool), np.zeros((2, 3), int))
