from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.training.augmentation import (
    Look,
    View,
    bend_labels,
    draw_bend,
    draw_views,
)

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


def test_a_bend_moves_image_and_labels_together(labels):
    blocks = np.kron(labels, np.ones((8, 8), np.uint16))
    bend = draw_bend(np.random.default_rng(0), 0.03)
    plain, bent = View(box=WHOLE), View(box=WHOLE, bend=bend)
    shown = bent.image((blocks * 40).astype(np.uint8), 192)[..., 0]
    agree = np.abs(shown - bent.labels(blocks, 192) * 40.0) < 20
    assert agree.mean() > 0.85
    moved = bent.labels(blocks, 192) != plain.labels(blocks, 192)
    assert 0.05 < moved.mean() < 0.7


def test_no_bend_changes_nothing(labels):
    np.testing.assert_array_equal(bend_labels(labels, np.zeros((4, 4, 2))), labels)


def test_a_bend_to_the_right_shows_what_lies_right():
    labels = np.tile(np.arange(40), (40, 1))
    bend = np.zeros((4, 4, 2))
    bend[..., 0] = 0.25  # of the side: ten pixels
    shown = bend_labels(labels, bend)
    np.testing.assert_array_equal(shown[:, :20], labels[:, 10:30])


def test_a_varied_look_is_near_its_origin():
    rng = np.random.default_rng(0)
    near, far = [], []
    for _ in range(30):
        look = Look.draw(rng)
        table = look.table().astype(float)
        near.append(np.abs(look.vary(rng).table() - table).mean())
        far.append(np.abs(Look.draw(rng).table() - table).mean())
    assert np.median(near) < np.median(far) / 2


def test_a_plain_look_changes_nothing_and_an_inverted_one_turns_grey_around():
    plain = Look(
        brightness=0.0,
        contrast=1.0,
        log_gamma=0.0,
        inverted=False,
        channels=(0, 1, 2),
        noise=0.0,
        blur=0.0,
    )
    np.testing.assert_array_equal(plain.table(), np.arange(256))
    inverted = replace(plain, inverted=True)
    np.testing.assert_array_equal(inverted.table(), np.arange(256)[::-1])
