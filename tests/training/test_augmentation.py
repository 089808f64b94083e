import numpy as np
import pytest

from napari_seggpt.training.augmentation import Photometric, View, draw_views

WHOLE = (0.0, 0.0, 1.0, 1.0)


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 5, (24, 24)).astype(np.uint16)


def test_the_whole_view_changes_nothing(labels):
    view = View(box=WHOLE)
    np.testing.assert_array_equal(view.labels(labels, 24), labels)
    image = labels.astype(np.uint8) * 40
    np.testing.assert_array_equal(view.image(image, 24)[..., 0], image)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("box", [WHOLE, (0.25, 0.5, 0.75, 1.0)])
def test_image_and_labels_stay_together(labels, flip, turns, box):
    view = View(box=box, flip=flip, quarter_turns=turns)
    blocks = np.kron(labels, np.ones((8, 8), np.uint16))
    shown = view.image((blocks * 40).astype(np.uint8), 96)[..., 0]
    agree = np.abs(shown - view.labels(blocks, 96) * 40.0) < 20
    assert agree.mean() > 0.9  # but for the smoothed edges


def test_near_views_show_nearly_the_same():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = draw_views(2, near=True, rng=rng)
        assert (one.flip, one.quarter_turns) == (other.flip, other.quarter_turns)
        assert np.abs(np.subtract(one.box, other.box)).max() < 0.2


def test_boxes_stay_in_the_image():
    rng = np.random.default_rng(0)
    for near in (False, True):
        for _ in range(100):
            for view in draw_views(3, near=near, rng=rng):
                left, top, right, bottom = view.box
                assert 0 <= left < right <= 1 + 1e-9
                assert 0 <= top < bottom <= 1 + 1e-9


def test_a_varied_look_is_near_its_origin():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    near, far = [], []
    for _ in range(30):
        look = Photometric.draw(rng)
        shown = look.apply(picture, rng).astype(float)
        near.append(np.abs(look.vary(rng).apply(picture, rng) - shown).mean())
        far.append(np.abs(Photometric.draw(rng).apply(picture, rng) - shown).mean())
    assert np.median(near) < np.median(far) / 2
