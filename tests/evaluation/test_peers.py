import sys

import numpy as np
import pytest

from napari_seggpt.evaluation.peers import (
    PEERS,
    Copied,
    PixelClassifier,
    Warped,
    nearest,
    one_by_one,
)
from napari_seggpt.metrics.pixels import dice
from napari_seggpt.preprocessing import AS_IT_IS
from napari_seggpt.prompts import Prompt

MAKERS = [make for _, make in PEERS.values()]


def textured(seed=0, shape=(64, 64)):
    """Noise from 0 to 60."""
    return np.random.default_rng(seed).integers(0, 60, shape).astype(np.uint8)


def blob(row, column, *, shape=(64, 64), radius=10):
    rows, columns = np.indices(shape)
    return (rows - row) ** 2 + (columns - column) ** 2 < radius**2


def shaded(mask):
    """A bright blob with a gradient, as optical flow needs it."""
    rows, columns = np.indices(mask.shape)
    return np.where(mask, 180 + (rows + columns) // 4, 30).astype(np.uint8)


def prompt_of(mask, image, index=0):
    return Prompt(image=image, labels=mask.astype(np.uint8) * 3, index=index)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("frame_shape", [(64, 64), (50, 70), (64, 64, 3)])
def test_all_segment_any_frame(make, frame_shape):
    mask = blob(30, 30)
    segmenter = make([prompt_of(mask, textured())], AS_IT_IS)
    labels, confidence = segmenter.segment(textured(1, frame_shape), 1)
    assert labels.shape == frame_shape[:2]
    assert set(np.unique(labels)) <= {0, 3}
    assert 0 <= confidence <= 1


def test_the_nearest_prompt_is_that_of_the_nearest_frame():
    mask, image = blob(30, 30), textured()
    other = Prompt(image=image, labels=mask.astype(int))
    prompts = [other, prompt_of(mask, image, 2), prompt_of(mask, image, 9)]
    assert nearest(prompts, 3).index == 2
    assert nearest(prompts, 8).index == 9
    assert nearest([other], 5) is other


def test_copies_the_nearest_labels():
    near, far = blob(20, 20), blob(40, 40)
    segmenter = Copied(
        [prompt_of(near, textured(), 2), prompt_of(far, textured(), 9)], AS_IT_IS
    )
    labels, sure = segmenter.segment(textured(), 3)
    np.testing.assert_array_equal(labels == 3, near)
    labels, unsure = segmenter.segment(textured(), 7)
    np.testing.assert_array_equal(labels == 3, far)
    assert sure > unsure


@pytest.mark.parametrize("shift", [(0, 5), (4, -4)])
def test_warping_follows_a_moved_blob_and_copying_does_not(shift):
    before, after = blob(32, 32), blob(32 + shift[0], 32 + shift[1])
    prompts = [prompt_of(before, shaded(before))]
    warped, _ = Warped(prompts, AS_IT_IS).segment(shaded(after), 1)
    copied, _ = Copied(prompts, AS_IT_IS).segment(shaded(after), 1)
    assert dice(warped == 3, after) > 0.93
    assert dice(warped == 3, after) > dice(copied == 3, after) + 0.1


def test_warping_knows_the_size_of_large_frames():
    before = blob(400, 400, shape=(700, 800), radius=120)
    after = blob(400, 440, shape=(700, 800), radius=120)
    segmenter = Warped([prompt_of(before, shaded(before) // 2)], AS_IT_IS)
    labels, _ = segmenter.segment(shaded(after) // 2, 1)
    assert dice(labels == 3, after) > 0.93


def test_warping_is_surer_of_a_frame_like_the_prompt():
    mask = blob(32, 32)
    segmenter = Warped([prompt_of(mask, shaded(mask))], AS_IT_IS)
    _, same = segmenter.segment(shaded(mask), 1)
    _, other = segmenter.segment(255 - shaded(mask), 1)
    assert same > 0.99
    assert same > other


def test_the_pixel_classifier_learns_bright_from_dark():
    here, there = blob(20, 20), blob(44, 40)
    prompt = prompt_of(here, textured() + here * np.uint8(120))
    segmenter = PixelClassifier([prompt], AS_IT_IS)
    labels, confidence = segmenter.segment(textured(1) + there * np.uint8(120), 1)
    assert dice(labels == 3, there) > 0.9
    assert confidence > 0.9


def test_the_pixel_classifier_learns_from_all_references():
    mask = blob(32, 32)
    images = [textured() + mask * np.uint8(120), textured() + ~mask * np.uint8(120)]
    kinds = [mask * 1, mask * 2]  # bright in the dark, and dark in the bright
    prompts = [
        Prompt(image=image, labels=labels, index=i)
        for i, (image, labels) in enumerate(zip(images, kinds, strict=True))
    ]
    segmenter = PixelClassifier(prompts, AS_IT_IS)
    for image, labels in zip(images, kinds, strict=True):
        found, _ = segmenter.segment(image, 5)
        assert (found == labels).mean() > 0.95


def test_the_pixel_classifier_sees_colours():
    mask = blob(30, 30)
    image = np.full((64, 64, 3), 90, np.uint8)
    image[mask] = (150, 60, 60)  # as bright as what is around it
    segmenter = PixelClassifier([prompt_of(mask, image)], AS_IT_IS)
    labels, _ = segmenter.segment(np.roll(image, 9, axis=1), 1)
    assert dice(labels == 3, np.roll(mask, 9, axis=1)) > 0.9


def test_the_pixel_classifier_is_the_same_every_time():
    mask = blob(32, 32)
    answers = [
        PixelClassifier([prompt_of(mask, textured())], AS_IT_IS).segment(textured(2), 1)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    assert answers[0][1] == pytest.approx(answers[1][1])


def test_the_pixel_classifier_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ValueError, match=r"pip install 'napari-seggpt\[evaluation\]'"):
        PixelClassifier([prompt_of(blob(3, 3), textured())], AS_IT_IS)


def test_one_by_one_leaves_the_prompts_out():
    mask = blob(32, 32)
    prompts = [prompt_of(mask, textured(), i) for i in (1, 3)]
    stack = [textured(i) for i in range(5)]
    frames = list(one_by_one(Copied)(stack, prompts, AS_IT_IS))
    assert [frame.index for frame in frames] == [0, 2, 4]
    assert all((frame.labels == mask * 3).all() for frame in frames)
