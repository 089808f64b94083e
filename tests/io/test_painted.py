"""Labels that were saved as colours or as JPEG."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_seggpt.io import ColorIds, StackError, open_stack, read_frame
from napari_seggpt.io.painted import read_picture

if TYPE_CHECKING:
    from pathlib import Path

COLORS = np.array(
    [[0, 0, 0], [0, 0, 255], [0, 255, 0], [255, 0, 0], [255, 255, 0]], np.uint8
)  # in the order of red, green and blue


def blobs(seed: int = 0, count: int = 4, size: int = 240) -> np.ndarray:
    """Return overlapping discs of `count` labels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    labels = np.zeros((size, size), int)
    for label in np.tile(np.arange(1, count + 1), 4):
        row, column, radius = rng.integers((20, 20, 8), (size - 20, size - 20, 30))
        labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = label
    return labels


def as_jpeg(picture: np.ndarray, **options: Any) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", **options)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    image = Image.fromarray(picture)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))


def textured() -> np.ndarray:
    """Return noisy objects on black, as fluorescence is."""
    noise = np.random.default_rng(0).normal(0, 20, (240, 240, 1))
    grey = np.where(blobs()[..., None], 120 + noise, noise / 10)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8), 3, axis=-1)


def test_each_colour_is_a_label() -> None:
    labels = blobs()
    reading = read_picture(COLORS[labels])
    np.testing.assert_array_equal(reading.places, labels)
    assert reading.colors == tuple(map(tuple, COLORS[1:].tolist()))
    assert reading.num_edge_pixels == 0


def test_lines_and_dots_are_labels_too() -> None:
    labels = np.zeros((60, 60), int)
    labels[10, 5:50] = 1
    labels[np.arange(40), np.arange(40)] = 3
    labels[50, 50] = 4
    reading = read_picture(COLORS[labels])
    found = np.array([COLORS[0], *reading.colors])[reading.places]
    np.testing.assert_array_equal(found, COLORS[labels])


def test_many_colours_that_hardly_differ_are_as_many_labels() -> None:
    labels = (
        np.arange(40 * 40).reshape(40, 40).repeat(6, axis=0).repeat(6, axis=1) % 150
    )
    colors = np.stack([np.arange(150), np.arange(150) // 2, np.full(150, 9)], axis=-1)
    reading = read_picture(colors.astype(np.uint8)[labels])
    assert len(reading.colors) == 150  # there is no pure black
    np.testing.assert_array_equal(reading.places, labels + 1)


@pytest.mark.parametrize("quality", [95, 85, 75])
def test_colours_that_jpeg_blurred(quality: int) -> None:
    labels = blobs(seed=2)
    reading = read_picture(as_jpeg(COLORS[labels], quality=quality))
    assert len(reading.colors) == 4
    known = np.array(reading.colors, int)
    numbers = [np.abs(COLORS.astype(int) - one).sum(axis=1).argmin() for one in known]
    wrong = np.array([0, *numbers])[reading.places] != labels
    assert wrong.mean() < 0.002
    assert reading.num_edge_pixels > 0


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_grey_levels_that_jpeg_blurred(quality: int) -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[9:29, 9:29], labels[35:55, 35:55] = 100, 200
    reading = read_picture(as_jpeg(labels, quality=quality))
    np.testing.assert_array_equal(reading.places, labels // 100)


def test_a_label_that_jpeg_has_lost_is_not_given_to_another() -> None:
    rows, columns = np.mgrid[:64, :64]
    labels = np.zeros((64, 64), np.uint8)
    labels[9:29, 9:29], labels[35:55, 35:55] = 60, 120
    labels[(rows - 40) ** 2 + (columns - 12) ** 2 < 64] = 240
    assert len(read_picture(np.stack([labels] * 3, axis=-1)).colors) == 3
    with pytest.raises(StackError, match="flat colours"):
        read_picture(as_jpeg(labels))


@pytest.mark.parametrize("size", [200, 400, 900])
def test_colours_with_soft_edges(size: int) -> None:
    reading = read_picture(resized(COLORS[blobs()], size))
    assert sorted(reading.colors) == list(map(tuple, COLORS[1:].tolist()))


@pytest.mark.parametrize("quality", [None, 95, 75, 30])
@pytest.mark.parametrize("size", [100, 240, 400])
def test_black_and_white_is_a_mask(size: int, quality: int | None) -> None:
    """As the official examples' masks: some grey levels along the edges."""
    mask = blobs(count=1) > 0
    picture = resized((mask[..., None] * np.uint8(255)).repeat(3, axis=-1), size)
    picture = picture if quality is None else as_jpeg(picture, quality=quality)
    reading = read_picture(picture)
    assert len(reading.colors) == 1
    np.testing.assert_allclose(reading.places.mean(), mask.mean(), rtol=0.03)


def test_white_and_nearly_white_are_two_labels() -> None:
    labels = blobs(count=2)
    grey = np.array([0, 200, 255], np.uint8)[labels]
    for picture in (np.stack([grey] * 3, axis=-1), as_jpeg(grey)):
        assert len(read_picture(picture).colors) == 2


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8),
        textured(),
        as_jpeg(textured()),
        as_jpeg(COLORS[blobs()], quality=30),  # scraps of a label are lost in it
        as_jpeg(blobs(count=3).astype(np.uint8)),  # ids 1, 2 and 3, lost in JPEG
        np.stack([np.add.outer(np.arange(99), np.arange(99))] * 3, -1).astype(np.uint8),
    ],
    ids=["noise", "objects", "jpeg objects", "spoilt jpeg", "small ids", "gradient"],
)
def test_what_is_noisy_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(
        StackError, match="Expected labels painted in some flat colours"
    ):
        read_picture(picture)


# files


def test_a_colour_has_one_id_in_all_frames(tmp_path: Path) -> None:
    labels = [blobs(seed, count) for seed, count in ((0, 4), (1, 2), (2, 4))]
    labels[0][labels[0] == 2] = 0
    for number, frame in enumerate(labels):
        Image.fromarray(COLORS[frame]).save(tmp_path / f"{number}.png")
    with open_stack(tmp_path, labels=True) as stack:
        assert stack.shape == (3, 240, 240)
        for index in (2, 1, 0):
            np.testing.assert_array_equal(stack[index], labels[index])
        (note,) = stack.notes
    assert "1 = #0000ff, 2 = #00ff00, 3 = #ff0000, 4 = #ffff00" in note


def test_a_colour_has_one_id_in_all_files(tmp_path: Path) -> None:
    first, second = blobs(0, 3), blobs(1, 4)
    first[first == 1] = 3  # the colour of 1 comes later
    Image.fromarray(COLORS[first]).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "b.tif", COLORS[second], photometric="rgb")
    colors = ColorIds()
    read_frame(tmp_path / "a.png", labels=True, colors=colors)
    found = read_frame(tmp_path / "b.tif", labels=True, colors=colors)
    np.testing.assert_array_equal(found, np.array([0, 3, 1, 2, 4])[second])
    with pytest.raises(StackError, match=r"Expected label ids in .*, got 2 colours"):
        read_frame(tmp_path / "a.png", labels=True)


def test_what_is_transparent_is_background(tmp_path: Path) -> None:
    labels = blobs()
    picture = np.full((*labels.shape, 4), 255, np.uint8)  # white and transparent
    picture[..., :3][labels > 0] = COLORS[labels[labels > 0]]
    picture[..., 3] = (labels > 0) * 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    for name in ("a.png", "a.tif"):
        with open_stack(tmp_path / name, labels=True) as stack:
            np.testing.assert_array_equal(stack[0], labels)


def test_jpeg_files_and_tiffs(tmp_path: Path) -> None:
    grey = (blobs(count=2) * 100).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.jpg")
    tifffile.imwrite(tmp_path / "a.tif", grey, compression="jpeg", metadata=None)
    for name in ("a.jpg", "a.tif"):
        with open_stack(tmp_path / name, labels=True) as stack:
            assert np.unique(stack[0]).tolist() == [0, 1, 2]
            assert "1 = #646464, 2 = #c8c8c8" in stack.notes[0]


def test_a_zarr(tmp_path: Path) -> None:
    labels = np.stack([blobs(), blobs(1)])
    for name, found in (("one.zarr", labels[0]), ("two.zarr", labels)):
        zarr.create_array(str(tmp_path / name), data=COLORS[found])
        with open_stack(tmp_path / name, labels=True) as stack:
            np.testing.assert_array_equal(np.squeeze(list(stack)), found)
            assert "1 = #0000ff" in stack.notes[0]


def test_grey_levels_of_a_png_are_ids(tmp_path: Path) -> None:
    labels = (blobs(count=2) * 100).astype(np.uint8)
    Image.fromarray(labels).save(tmp_path / "a.png")
    with open_stack(tmp_path / "a.png", labels=True) as stack:
        np.testing.assert_array_equal(stack[0], labels)
        assert stack.notes == ()


def test_a_frame_that_cannot_be_read_keeps_no_other(tmp_path: Path) -> None:
    labels = [blobs(seed) for seed in range(3)]
    for number, frame in enumerate(labels):
        Image.fromarray(COLORS[frame]).save(tmp_path / f"{number}.png")
    file = tmp_path / "1.png"
    file.write_bytes(file.read_bytes()[:-200])
    with open_stack(tmp_path, labels=True) as stack:
        for index in (0, 2):
            np.testing.assert_array_equal(stack[index], labels[index])
        with pytest.raises(StackError, match=r"frame 1 of .* to be readable"):
            stack[1]


def test_a_noisy_file_is_named(tmp_path: Path) -> None:
    Image.fromarray(textured()).save(tmp_path / "a.png")
    with pytest.raises(StackError, match=r"a\.png: Expected labels painted in some"):
        open_stack(tmp_path / "a.png", labels=True)
    wide = np.zeros((8, 9, 3), np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", wide, photometric="rgb")
    with pytest.raises(StackError, match=r"b\.tif: Expected label ids, got 3 colours"):
        open_stack(tmp_path / "b.tif", labels=True)
