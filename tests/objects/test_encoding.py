import numpy as np
import pytest
from skimage.measure import label as connected

from napari_seggpt.objects.encoding import ObjectEncoding
from napari_seggpt.objects.neighbours import find_contacts
from napari_seggpt.objects.shapes import LEAST_PIXELS, separate


@pytest.fixture(params=["nuclei", "rods", "tissue"])
def labels(request, cells, tissue):
    return tissue() if request.param == "tissue" else cells(kind=request.param)


def test_every_object_has_one_interior_and_interiors_do_not_touch(labels) -> None:
    objects = separate(labels)
    encoded = ObjectEncoding.of([labels]).encode(labels)
    interior = connected(encoded == 1, connectivity=1)
    owners = [np.unique(objects[interior == i]) for i in range(1, interior.max() + 1)]
    assert all(len(owner) == 1 for owner in owners)
    assert sorted(int(owner[0]) for owner in owners) == list(
        range(1, objects.max() + 1)
    )
    between = find_contacts(np.where(encoded == 1, objects, 0))
    assert not ((between.own > 0) & (between.other > 0)).any()


def test_background_stays_background(labels) -> None:
    encoded = ObjectEncoding.of([labels]).encode(labels)
    assert np.array_equal(encoded == 0, labels == 0)
    assert set(np.unique(encoded)) <= {0, 1, 2}


def test_the_border_is_equally_wide_where_a_small_object_touches_a_large(discs) -> None:
    labels = discs((64, 30, 6), (64, 66, 30), (110, 110, 12))
    encoded = ObjectEncoding.of([labels]).encode(labels)
    row = encoded[64] == 2
    meets = int(np.flatnonzero(labels[64] == 2)[0])
    left = right = 0
    while row[meets - 1 - left]:
        left += 1
    while row[meets + right]:
        right += 1
    assert left == right >= 1


def test_borders_are_no_wider_than_a_small_object_bears(discs) -> None:
    labels = discs((20, 20, 3), (80, 80, 30), (80, 20, 30))
    encoded = ObjectEncoding.of([labels]).encode(labels)
    assert np.count_nonzero((encoded == 1) & (labels == 1)) >= 9


def test_specks_are_border_only(discs) -> None:
    labels = discs((40, 40, 12))
    labels[100, 100:104] = 2
    encoded = ObjectEncoding.of([labels]).encode(labels)
    assert (encoded[100, 100:104] == 2).all()
    assert LEAST_PIXELS > 4


def test_interiors_of_classes_have_labels_of_their_own(discs) -> None:
    labels = discs((40, 40, 12), (40, 62, 12), (90, 40, 12))
    encoding = ObjectEncoding.of([labels], classes={1: 3, 2: 8, 3: 3})
    assert (encoding.kinds, encoding.border) == ((3, 8), 3)
    encoded = encoding.encode(labels)
    for number, center in ((1, (40, 40)), (2, (40, 62)), (1, (90, 40))):
        assert encoded[center] == number
    unknown = np.where(labels == 2, 77, 0)
    assert encoding.encode(unknown)[40, 62] == 1


def test_predicted_ids_tell_their_class_though_no_reference_has_them(discs) -> None:
    encoding = ObjectEncoding.of([discs((40, 40, 12), (40, 62, 12))], {1: 1, 2: 2})
    labels = discs((40, 40, 12), (40, 62, 12), (90, 40, 12))
    encoded = encoding.encode(np.choose(labels, (0, 1007, 2021, 3001)))
    assert [encoded[at] for at in ((40, 40), (40, 62), (90, 40))] == [1, 2, 1]
    assert encoding.encode(np.where(labels == 3, 2_000_017, 0))[90, 40] == 2


def test_filled_frames_are_known(tissue, cells) -> None:
    assert ObjectEncoding.of([tissue()]).fills_frame
    assert not ObjectEncoding.of([cells()]).fills_frame


def test_references_without_objects_are_refused() -> None:
    labels = np.zeros((20, 20), int)
    labels[3, 3] = 1
    with pytest.raises(ValueError, match="objects of 3 x 3 pixels, got none"):
        ObjectEncoding.of([labels])
