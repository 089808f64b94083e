import numpy as np
import pytest

from napari_seggpt.objects.new_ids import NewIds
from napari_seggpt.objects.regions import (
    continued,
    find_regions,
    paint_regions,
    renamed,
)

STAY = np.zeros(2)


def test_regions_are_found_by_their_ids(discs) -> None:
    labels = discs((40, 30, 6), (90, 90, 8)) * 100_000
    regions = find_regions(labels)
    assert list(regions) == [100_000, 200_000]
    region = regions[100_000]
    np.testing.assert_allclose(region.center, [40, 30])
    assert (region.corner, region.area) == ((34, 24), 113)
    assert region.radius == pytest.approx(6, abs=0.1)


def test_ids_below_0_have_no_region() -> None:
    assert list(find_regions(np.array([[-1, 0, 4], [-2, 2, 2]]))) == [2, 4]


def test_an_id_in_two_pieces_is_one_region(discs) -> None:
    labels = (discs((40, 30, 6), (40, 90, 6)) > 0).astype(int)
    (region,) = find_regions(labels).values()
    assert region.area == 226
    np.testing.assert_allclose(region.center, [40, 60])


def test_regions_are_painted_where_they_move_to(discs) -> None:
    labels = discs((40, 30, 6), (90, 90, 8))
    regions = find_regions(labels)
    shift = np.array([3.4, -2.0])
    image = paint_regions([(7, regions[1], shift)], labels.shape)
    assert np.array_equal(image == 7, np.roll(labels == 1, (3, -2), (0, 1)))


def test_the_first_of_two_that_overlap_stays_and_the_frame_cuts(discs) -> None:
    regions = find_regions(discs((10, 10, 8), (90, 90, 8)))
    image = paint_regions(
        [(1, regions[1], STAY), (2, regions[2], np.array([-80.0, -80.0]))], (128, 128)
    )
    assert set(np.unique(image)) == {0, 1}
    image = paint_regions([(1, regions[1], np.array([-10.0, -10.0]))], (128, 128))
    assert 0 < np.count_nonzero(image) < regions[1].area / 2
    gone = paint_regions([(1, regions[1], np.array([-50.0, 0.0]))], (128, 128))
    assert not gone.any()


def test_share_within_counts_a_margin(discs) -> None:
    regions = find_regions(discs((60, 60, 10), (60, 80, 9)))
    assert regions[2].share_within(regions[1], 0) == 0
    assert 0.1 < regions[2].share_within(regions[1], 6) < 0.6
    assert regions[2].share_within(regions[1], 30) == 1


def test_renamed() -> None:
    labels = np.array([[0, 5, 9], [9, 7, 0]], np.uint16)
    assert renamed(labels, {5: 70_000, 9: 1}).tolist() == [[0, 70_000, 1], [1, 0, 0]]


def test_a_begun_object_gives_its_id_to_the_predicted_one():
    labels = np.zeros((10, 20), int)
    labels[2:8, 1:7], labels[2:8, 8:14], labels[2:8, 15:19] = 5, 6, 7
    begun = np.zeros((10, 20), int)
    begun[2:5, 1:9] = 40  # most of it lies in 5, a little in 6
    begun[0:4, 17:20] = 41  # less than half of it lies in 7
    found = continued(labels, begun, NewIds(50))
    np.testing.assert_array_equal(found, np.where(labels == 5, 40, labels))


def test_nothing_begun_changes_nothing():
    labels = np.array([[0, 3], [4, 4]])
    nothing = np.zeros((2, 2), int)
    np.testing.assert_array_equal(continued(labels, nothing, NewIds(5)), labels)


def test_an_id_of_a_begun_object_is_given_to_no_other_one():
    labels = np.array([[1, 1, 0, 2, 2, 0, 3, 3, 3]])
    begun = np.array([[0, 0, 0, 0, 0, 0, 1, 1, 2]])
    found = continued(labels, begun, NewIds(4))
    assert found.tolist() == [[4, 4, 0, 5, 5, 0, 1, 1, 1]]
