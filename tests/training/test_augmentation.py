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


KINDS = ("near", "alike", "free")


def pairs_of_views(kind, count=60):
    rng = np.random.default_rng(0)
    return [draw_views(2, kind=kind, rng=rng) for _ in range(count)]


def area(view):
    left, top, right, bottom = view.box
    return (right - left) * (bottom - top)


def turn(view):
    return view.flip, view.quarter_turns


def test_near_views_show_nearly_the_same():
    for one, other in pairs_of_views("near"):
        assert turn(one) == turn(other)
        assert np.abs(np.subtract(one.box, other.box)).max() < 0.2
        assert one.bend is not None


def test_alike_views_have_about_one_scale_and_the_same_side_up():
    pairs = pairs_of_views("alike")
    for one, other in pairs:
        assert turn(one) == turn(other)
        assert 0.6 < area(one) / area(other) < 1 / 0.6
    whole = [area(one) > 0.999 for one, _ in pairs]
    assert 0.2 < np.mean(whole) < 0.8  # often, and not always
    cut = [pair for pair, is_whole in zip(pairs, whole, strict=True) if not is_whole]
    shifts = [np.abs(np.subtract(one.box, other.box)).max() for one, other in cut]
    assert np.mean(shifts) > 0.1  # but of different places


def test_free_views_have_nothing_in_common():
    pairs = pairs_of_views("free")
    ratios = [area(one) / area(other) for one, other in pairs]
    assert max(ratios) > 2
    assert min(ratios) < 0.5
    assert any(turn(one) != turn(other) for one, other in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_stay_in_the_image(kind):
    for view in (view for pair in pairs_of_views(kind, 100) for view in pair):
        left, top, right, bottom = view.box
        assert 0 <= left < right <= 1 + 1e-9
        assert 0 <= top < bottom <= 1 + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_views_are_as_many_as_asked_for_and_a_function_of_the_generator(kind):
    one, same = (
        draw_views(4, kind=kind, rng=np.random.default_rng(7)) for _ in range(2)
    )
    assert len(one) == 4
    assert [view.box for view in one] == [view.box for view in same]


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


PLAIN = Look(
    brightness=0.0, contrast=1.0, log_gamma=0.0, inverted=False, channels=(0, 1, 2),
    hue=0.0, saturation=1.0, noise=0.0, blur=0.0,
)  # fmt: skip


def test_a_plain_look_changes_nothing_and_an_inverted_one_turns_grey_around():
    np.testing.assert_array_equal(PLAIN.table(), np.arange(256))
    np.testing.assert_allclose(PLAIN.matrix(), np.eye(3), atol=1e-6)
    inverted = replace(PLAIN, inverted=True)
    np.testing.assert_array_equal(inverted.table(), np.arange(256)[::-1])


def test_grey_stays_grey_whatever_the_hue():
    rng = np.random.default_rng(0)
    for _ in range(50):
        np.testing.assert_allclose(Look.draw(rng).matrix() @ np.ones(3), 1, atol=1e-5)


def test_hue_turns_colours_about_grey():
    third = replace(PLAIN, hue=2 * np.pi / 3).matrix()
    turned = third @ np.eye(3)
    # A third of the circle makes one primary colour of another.
    assert sorted(np.rint(turned).astype(int).T.tolist()) == [
        [0, 0, 1], [0, 1, 0], [1, 0, 0]
    ]  # fmt: skip
    assert not np.rint(turned).trace()
    little = replace(PLAIN, hue=0.3).matrix() @ [1.0, 0.0, 0.0]
    assert little[0] > 0.8
    np.testing.assert_allclose(little.sum(), 1, atol=1e-6)  # as bright as before


def test_saturation_scales_the_distance_from_grey():
    color = np.array([0.9, 0.3, 0.3])
    grey = replace(PLAIN, saturation=0.0).matrix() @ color
    np.testing.assert_allclose(grey, 0.5, atol=1e-6)
    double = replace(PLAIN, saturation=2.0).matrix() @ color
    np.testing.assert_allclose(double - 0.5, 2 * (color - 0.5), atol=1e-6)


def test_channels_change_places():
    shuffled = replace(PLAIN, channels=(2, 0, 1)).matrix() @ [0.1, 0.2, 0.3]
    np.testing.assert_allclose(shuffled, [0.3, 0.1, 0.2], atol=1e-6)


def test_some_looks_are_coloured_and_others_leave_colours_alone():
    rng = np.random.default_rng(0)
    looks = [Look.draw(rng) for _ in range(100)]
    kept = [look.hue == 0 and look.saturation == 1 for look in looks]
    assert 0.3 < np.mean(kept) < 0.7
