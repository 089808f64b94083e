"""What tells images apart, also where frames cannot be read or are large."""

import json

import numpy as np
import pytest

from napari_seggpt.session.store.signature import ImageSignature, LevelSignatures


class Level:
    """Frames of a level of resolution, which counts what is read of it."""

    def __init__(self, data, broken=()):
        self.data = data
        self.broken = broken
        self.read = 0
        self.frame_shape, self.dtype = data.shape[1:], data.dtype

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        if index in self.broken:
            raise ValueError("Expected frame to be readable.")
        self.read += 1
        return self.data[index]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (9, 6, 5), np.uint8)


def test_the_signature_says_in_words_what_differs(image):
    mine = ImageSignature.of(image, "axis 0")
    assert mine.difference(ImageSignature.of(image.copy(), "axis 0")) is None
    assert mine == ImageSignature.from_json(json.loads(json.dumps(mine.to_json())))
    other = image.copy()
    other[4, 2, 2] += 1
    for data, words in (
        (image[:7], "9 frames, not 7"),
        (image[:, :5], "6 x 5, not 5 x 5"),
        (image.astype(np.uint16), "uint8, not uint16"),
        (other, "pixels of frame 4"),
    ):
        assert words in mine.difference(ImageSignature.of(data, "axis 0"))


def test_the_frames_that_are_hashed_are_those_of_version_0_1(image):
    for length in range(1, 10):
        hashed = [i for i, _ in ImageSignature.of(image[:length]).hashes]
        expected = np.rint(np.linspace(0, length - 1, min(5, length)))
        assert hashed == sorted({int(i) for i in expected})


@pytest.mark.parametrize("broken", [(0,), (4,), (0, 8), (0, 2, 4, 6)])
def test_frames_that_cannot_be_read_leave_the_others_to_tell(image, broken):
    whole = ImageSignature.of(Level(image))
    partly = ImageSignature.of(Level(image, broken))
    assert [mark == "" for _, mark in partly.hashes].count(True) == len(broken)
    assert whole.difference(partly) is None
    assert partly.difference(whole) is None
    other = image.copy()
    other[8] += 1
    expected = None if 8 in broken else "the pixels of frame 8 are others"
    assert partly.difference(ImageSignature.of(Level(other))) == expected


def test_an_image_of_which_nothing_can_be_read_is_taken_for_none_that_can(image):
    nothing = ImageSignature.of(Level(image, range(9)))
    assert "can be read at present" in nothing.difference(ImageSignature.of(image))
    assert nothing.difference(nothing) is None


@pytest.fixture
def pyramid():
    rng = np.random.default_rng(0)
    return [
        Level(rng.integers(0, 255, (3, side, side), np.uint8))
        for side in (2048, 1024, 512, 256, 128)
    ]


def test_only_the_coarsest_level_that_tells_is_read(pyramid):
    signature = LevelSignatures(pyramid, "axis 0").own
    assert [level.read for level in pyramid] == [0, 0, 0, 3, 0]
    assert (signature.level, signature.frame_shape) == (3, (2048, 2048))
    again = ImageSignature.from_json(signature.to_json())
    assert again == signature
    pyramid[3].data[1, 5, 5] += 1
    other = LevelSignatures(pyramid, "axis 0").own
    assert signature.difference(other) == "the pixels of frame 1 are others"


def test_each_level_is_read_once_and_only_if_asked(pyramid):
    signatures = LevelSignatures(pyramid)
    assert signatures.at(4).level == 4
    assert signatures.at(4) is signatures.at(4)
    assert pyramid[4].read == 3
    assert signatures.at(9) is signatures.at(0)


def test_an_image_of_one_level_is_read_whole(image):
    signature = LevelSignatures([Level(image)]).own
    assert signature == ImageSignature.of(image)
    assert signature.level == 0
