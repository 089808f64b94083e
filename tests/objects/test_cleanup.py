import numpy as np
import pytest

from napari_seggpt.object_settings import CleanupSettings
from napari_seggpt.objects.cleanup import UsualRegions, clean

NOTHING = CleanupSettings(smallest=0, fill_holes="no")
KNOWN = UsualRegions(any_smallest=100, speck=0.5)


def cleaned(labels, usual=KNOWN, scores=None, classes=None, **settings):
    chosen = CleanupSettings(**{"smallest": 0, "fill_holes": "no", **settings})
    return clean(labels, chosen, usual, scores=scores, classes=classes)


def test_nothing_asked_for_changes_nothing(cells) -> None:
    labels = cells()
    before = labels.copy()
    assert np.array_equal(clean(labels, NOTHING, KNOWN), before)


def test_the_given_labels_stay_as_they_are(discs) -> None:
    labels = discs((40, 40, 12), (90, 90, 2))
    before = labels.copy()
    assert not np.array_equal(cleaned(labels, smallest=50), before)
    assert np.array_equal(labels, before)


def test_specks_go_to_what_they_touch_most(discs) -> None:
    labels = discs((40, 40, 12), (40, 40, 2), (90, 90, 2))
    labels[40, 40:42] = 2
    after = cleaned(labels, smallest=50)
    assert set(np.unique(after)) == {0, 1}
    assert after[40, 40] == 1
    assert after[90, 90] == 0


def test_specks_that_touch_each_other_are_filled_from_around(discs) -> None:
    labels = discs((40, 40, 12))
    labels[40, 38:40], labels[40, 40:42] = 2, 3
    assert set(np.unique(cleaned(labels, smallest=10))) == {0, 1}


def test_by_default_specks_are_what_the_references_would_not_show(discs) -> None:
    reference = discs((40, 40, 12), (90, 90, 12))
    usual = UsualRegions.of_classes([(reference > 0).astype(int)])
    assert usual.smallest[1] == pytest.approx(441, abs=1)
    labels = (discs((40, 40, 12), (90, 90, 2), (90, 40, 5)) > 0).astype(int)
    after = clean(labels, CleanupSettings(), usual)
    assert (after[90, 90], after[90, 40], after[40, 40]) == (0, 1, 1)


def test_by_default_a_small_organ_is_no_speck_where_there_is_nothing_larger(
    discs,
) -> None:
    usual = UsualRegions.of_classes([discs((60, 60, 50))])
    last = discs((60, 60, 4))
    assert np.array_equal(clean(last, CleanupSettings(), usual), last)


def test_each_class_has_specks_of_its_own_size(discs) -> None:
    reference = discs((50, 50, 40), (110, 110, 4))
    usual = UsualRegions.of_classes([reference])
    labels = discs((50, 50, 40), (110, 110, 3), (110, 60, 5))
    labels[labels == 3] = 1
    after = clean(labels, CleanupSettings(), usual)
    assert after[110, 110] == 2
    assert after[110, 60] == 0


def test_holes_within_a_label_are_filled(discs) -> None:
    labels = discs((40, 40, 12), (40, 65, 12))
    labels[40, 40] = 0
    labels[40, 52:53] = 0
    after = cleaned(labels, fill_holes="yes")
    assert after[40, 40] == 1
    assert after[100, 100] == 0


def test_background_between_two_labels_is_no_hole() -> None:
    labels = np.ones((20, 20), int)
    labels[:, 10:] = 2
    labels[8:12, 8:12] = 0
    assert np.array_equal(cleaned(labels, fill_holes="yes"), labels)


def test_background_at_the_edge_is_no_hole() -> None:
    labels = np.ones((20, 20), int)
    labels[0, 5] = 0
    assert np.array_equal(cleaned(labels, fill_holes="yes"), labels)


def test_holes_stay_by_default_where_references_have_them(discs) -> None:
    ring = discs((40, 40, 6), (40, 40, 12))
    ring[ring == 1] = 0
    assert UsualRegions.of_classes([ring]).have_holes
    usual = UsualRegions.of_classes([ring])
    assert np.array_equal(clean(ring, CleanupSettings(), usual), ring)
    whole = UsualRegions.of_classes([discs((40, 40, 12))])
    assert clean(ring, CleanupSettings(), whole)[40, 40] == 2


def test_largest_only_keeps_one_region_of_each_label(discs) -> None:
    labels = discs((40, 40, 12), (90, 90, 8), (40, 90, 6), (90, 40, 5))
    labels[labels == 3], labels[labels == 4] = 1, 2
    after = cleaned(labels, largest_only=True)
    assert (after[40, 40], after[90, 90]) == (1, 2)
    assert (after[40, 90], after[90, 40]) == (0, 0)


def test_smoothing_takes_spikes_and_leaves_discs(discs) -> None:
    labels = discs((40, 40, 12), (40, 64, 12))
    spiked = labels.copy()
    spiked[40, 10:28] = 1
    after = cleaned(spiked, smooth=2.0)
    assert after[40, 12] == 0
    assert np.mean(after != labels) < 0.01
    assert set(np.unique(after)) == {0, 1, 2}


def test_unsure_pixels_lose_their_label(discs) -> None:
    labels = discs((40, 40, 12), (90, 90, 12))
    scores = np.where(np.arange(128) < 64, 0.4, 0.9)[:, None].repeat(128, 1)
    after = cleaned(labels, scores=scores, thresholds=(0.5,))
    assert set(np.unique(after)) == {0, 2}
    assert 1 in cleaned(labels, scores=scores, thresholds=(0.0, 0.5))
    of_class = cleaned(
        labels, scores=scores, classes={1: 3, 2: 1}, thresholds=(0.0, 0.0, 0.5)
    )
    assert set(np.unique(of_class)) == {0, 2}


def test_thresholds_need_scores(discs) -> None:
    with pytest.raises(ValueError, match="scores for thresholds"):
        cleaned(discs((40, 40, 12)), thresholds=(0.5,))
