import numpy as np
import pytest
from scipy import ndimage

from napari_seggpt.metrics.objects import object_f1
from napari_seggpt.objects.decoding import SeedRule, find_objects
from napari_seggpt.objects.encoding import ObjectEncoding
from napari_seggpt.objects.shapes import separate
from napari_seggpt.preprocessing import resize_colors


def perfect(labels, encoding):
    """Return the scores of a prediction that is right."""
    encoded = encoding.encode(labels)
    return np.stack([encoded == i for i in range(encoding.border + 1)]).astype(
        np.float32
    )


def noisy(scores, rng, share, blur=1.5):
    """Blur scores, and let smooth noise have a share of them."""
    noise = ndimage.gaussian_filter(rng.normal(size=scores.shape), (0, blur, blur))
    noise = np.clip(0.5 + noise / noise.std() / 3, 0, None)
    mixed = (1 - share) * ndimage.gaussian_filter(scores, (0, blur, blur))
    mixed = mixed + share * noise
    return (mixed / mixed.sum(axis=0)).astype(np.float32)


def reader(references, classes=None):
    encoding = ObjectEncoding.of(references, classes)
    return encoding, SeedRule.of(references, encoding)


@pytest.fixture(params=["nuclei", "rods", "tissue"])
def kind(request):
    return request.param


@pytest.fixture
def frames(kind, cells, tissue):
    """A reference and four other frames of the same kind."""
    if kind == "tissue":
        return [tissue(seed) for seed in range(5)]
    return [cells(seed, kind=kind) for seed in range(5)]


def test_a_perfect_prediction_gives_every_object_back(frames) -> None:
    loose, strict = [], []
    for labels in frames:
        encoding, rule = reader([labels])
        found = find_objects(perfect(labels, encoding), encoding, rule)
        loose.append(object_f1(found.labels, separate(labels)))
        strict.append(object_f1(found.labels, separate(labels), 0.75))
    assert min(loose) >= 0.9
    assert np.mean(loose) > 0.97
    assert np.mean(strict) > 0.95


def test_the_reference_may_be_another_frame(tissue) -> None:
    first, *others = [tissue(seed) for seed in range(4)]
    encoding, rule = reader([first])
    for labels in others:
        found = find_objects(perfect(labels, encoding), encoding, rule)
        assert object_f1(found.labels, separate(labels)) > 0.94


def test_noise_costs_little_by_little(frames) -> None:
    scores = {}
    for share in (0.2, 0.3, 0.8):
        rng = np.random.default_rng(3)
        values = []
        for labels in frames:
            encoding, rule = reader([labels])
            guess = noisy(perfect(labels, encoding), rng, share)
            found = find_objects(guess, encoding, rule)
            values.append(object_f1(found.labels, separate(labels)))
        scores[share] = np.mean(values)
    assert scores[0.2] > 0.88
    assert scores[0.2] > scores[0.3] - 0.02
    assert scores[0.3] > 0.75
    assert scores[0.8] < scores[0.2]


def test_round_objects_that_grew_together_are_parted_at_the_neck(discs) -> None:
    reference = discs((30, 30, 14), (90, 90, 14))
    encoding, rule = reader([reference])
    pair = discs((60, 40, 14), (60, 64, 14))
    merged = perfect((pair > 0).astype(int), encoding)
    found = find_objects(merged, encoding, rule)
    assert object_f1(found.labels, pair) == 1


def test_winding_references_keep_a_winding_object_whole(discs) -> None:
    dumbbells = discs((30, 30, 12), (30, 50, 12), (90, 40, 12), (90, 60, 12))
    dumbbells = np.where(dumbbells > 2, 2, np.where(dumbbells > 0, 1, 0))
    encoding, rule = reader([dumbbells])
    round_rule = reader([discs((30, 30, 12))])[1]
    assert rule.neck < round_rule.neck
    found = find_objects(perfect(dumbbells, encoding), encoding, rule)
    assert found.labels.max() == 2


def test_shallow_interiors_are_noise(discs) -> None:
    labels = discs((30, 30, 14), (90, 90, 14))
    encoding, rule = reader([labels])
    scores = perfect(labels, encoding)
    scores[:, 60:62, 60:62] = np.array([0, 1, 0])[:, None, None]
    assert find_objects(scores, encoding, rule).labels.max() == 2


def test_objects_far_smaller_than_the_references_are_found(discs) -> None:
    encoding, rule = reader([discs((60, 60, 40))])
    small = discs(*((20 + 25 * i, 20 + 25 * j, 6) for i in range(4) for j in range(4)))
    scores = perfect(small, ObjectEncoding.of([small]))
    assert find_objects(scores, encoding, rule).labels.max() == 16


def test_an_object_is_of_the_class_of_most_of_its_pixels(discs) -> None:
    labels = discs((40, 40, 12), (40, 62, 12), (90, 40, 12))
    encoding, rule = reader([labels], {1: 5, 2: 9, 3: 5})
    scores = perfect(labels, encoding)
    scores[:, 85:90, 35:40] = np.array([0, 0, 1, 0])[:, None, None]
    found = find_objects(scores, encoding, rule)
    assert {
        int(found.classes[found.labels[at] - 1]) for at in ((40, 40), (90, 40))
    } == {5}
    assert found.classes[found.labels[40, 62] - 1] == 9


@pytest.mark.parametrize("fills_frame", [False, True])
def test_large_frames_are_read_as_the_model_saw_them(
    cells, tissue, fills_frame
) -> None:
    labels = np.kron(tissue(1) if fills_frame else cells(1), np.ones((3, 3), int))
    encoding, rule = reader([labels])
    scores = perfect(labels, encoding)
    half = (labels.shape[0] // 2, labels.shape[1] // 2)
    seen = np.stack([resize_colors(each[..., None], half)[..., 0] for each in scores])
    whole = find_objects(scores, encoding, rule)
    found = find_objects(seen, encoding, rule, shape=labels.shape)
    assert found.labels.shape == labels.shape
    assert len(found.classes) == found.labels.max()
    assert object_f1(found.labels, whole.labels, 0.8) > 0.95
    if not fills_frame:  # outlines are those of the frame itself
        outside = (found.labels > 0) != (whole.labels > 0)
        assert outside.mean() < 0.003


def test_nothing_is_found_in_nothing(discs) -> None:
    encoding, rule = reader([discs((40, 40, 12))])
    scores = perfect(np.zeros((128, 128), int), encoding)
    found = find_objects(scores, encoding, rule)
    assert found.labels.max() == 0
    assert len(found.classes) == 0


def test_where_nothing_is_predicted_there_is_no_object(cells) -> None:
    labels = cells()
    encoding = ObjectEncoding.of([labels])
    scores = np.zeros((1 + encoding.border, *labels.shape), np.float32)
    scores[0] = 1.0
    found = find_objects(scores, encoding, SeedRule.of([labels], encoding))
    assert not found.labels.any()
    assert len(found.classes) == 0
