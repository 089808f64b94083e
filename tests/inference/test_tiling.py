from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from napari_seggpt.inference.tiling import (
    LARGEST_SCALE,
    MOST_TILES,
    Tile,
    blend,
    enlarged,
    make_tiles,
    suggest_scale,
    suggest_zoom,
    with_tiles,
)
from napari_seggpt.model.config import SMALL, VIT_LARGE
from napari_seggpt.preprocessing import resize_colors
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings, TilingSettings

SIZE = (32, 32)
CUT = TilingSettings(enabled=True)

sides = st.integers(1, 300)
tilings = st.builds(
    TilingSettings,
    enabled=st.just(True),
    scale=st.floats(0.2, 4.0),
    overlap=st.floats(0.0, 0.5),
)


def covered(tiles: list[Tile], shape: tuple[int, int]) -> np.ndarray:
    counts = np.zeros(shape, dtype=int)
    for tile in tiles:
        rows = slice(tile.top, tile.top + tile.height)
        columns = slice(tile.left, tile.left + tile.width)
        counts[rows, columns] += 1
    return counts


@given(st.tuples(sides, sides), st.sampled_from([(32, 32), (16, 48)]), tilings)
@settings(deadline=None)
def test_tiles_cover_every_pixel_and_overlap_enough(
    shape: tuple[int, int], size: tuple[int, int], tiling: TilingSettings
) -> None:
    tiles = make_tiles(shape, size, tiling)
    assert covered(tiles, shape).min() >= 1
    assert len(tiles) == len({(tile.top, tile.left) for tile in tiles})
    assert all(
        (tile.height, tile.width)
        == tuple(max(1, round(side / tiling.scale)) for side in size)
        for tile in tiles
    )
    assert all(0 < share < 1 for tile in tiles for share in tile.center)
    for starts, side, extent in (
        ({tile.top for tile in tiles}, tiles[0].height, shape[0]),
        ({tile.left for tile in tiles}, tiles[0].width, shape[1]),
    ):
        ordered = sorted(starts)
        assert ordered[0] == 0
        assert ordered[-1] == max(0, extent - side)
        shared = side - np.diff(ordered)
        if side > 1:  # a single pixel cannot be shared without standing still
            assert (shared >= tiling.overlap * side - 1e-9).all()


@pytest.mark.parametrize("shape", [(32, 32), (20, 30), (1, 1), (32, 5)])
def test_a_smaller_frame_is_shown_at_the_same_scale(shape: tuple[int, int]) -> None:
    (tile,) = make_tiles(shape, SIZE, CUT)
    assert (tile.top, tile.left, tile.height, tile.width) == (0, 0, *SIZE)
    assert tile.center == (0.5, 0.5)


def test_without_tiles_a_frame_is_squeezed() -> None:
    (tile,) = make_tiles((500, 90), SIZE, TilingSettings(enabled=False))
    assert (tile.height, tile.width) == (500, 90)
    picture = np.random.default_rng(0).integers(0, 256, (500, 90, 3)).astype(np.uint8)
    assert tile.picture(picture, SIZE).shape == (32, 32, 3)


def test_the_scale_says_how_large_tiles_are() -> None:
    tiles = make_tiles((200, 200), (32, 64), TilingSettings(enabled=True, scale=2.0))
    assert {(tile.height, tile.width) for tile in tiles} == {(16, 32)}
    tiles = make_tiles((200, 200), (32, 64), TilingSettings(enabled=True, scale=0.5))
    assert {(tile.height, tile.width) for tile in tiles} == {(64, 128)}


def test_tiles_are_no_more_than_needed() -> None:
    tiling = TilingSettings(enabled=True, overlap=0.0)
    assert len(make_tiles((64, 96), SIZE, tiling)) == 6
    assert len(make_tiles((65, 96), SIZE, tiling)) == 9
    # A quarter of 32 px is shared: 24 px further each, 32 + 2 * 24 = 80.
    assert len(make_tiles((80, 80), SIZE, CUT)) == 9
    assert len(make_tiles((81, 80), SIZE, CUT)) == 12


def test_centers_are_shares_of_the_frame() -> None:
    tiling = TilingSettings(enabled=True, overlap=0.0)
    centers = [tile.center for tile in make_tiles((64, 64), SIZE, tiling)]
    assert centers == [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]
    # What a tile shows beyond a low frame does not count.
    centers = [tile.center for tile in make_tiles((8, 64), SIZE, tiling)]
    assert centers == [(0.5, 0.25), (0.5, 0.75)]


@pytest.mark.parametrize(
    "shape",
    [(100, 90), (32, 33), (20, 70), (70, 20), (97, 200), (20, 30), (32, 32), (1, 5)],
)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_blending_tiles_gives_a_smooth_field_back(
    shape: tuple[int, int], overlap: float
) -> None:
    noise = np.random.default_rng(0).random((*shape, 3))
    field = gaussian_filter(noise, (2, 2, 0)).astype(np.float32)
    tiles = make_tiles(shape, SIZE, TilingSettings(enabled=True, overlap=overlap))
    parts = [tile.picture(field, SIZE) for tile in tiles]
    assert all(part.shape == (*SIZE, 3) for part in parts)
    np.testing.assert_allclose(blend(iter(parts), tiles, shape), field, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 9])
def test_any_number_of_channels_is_blended(channels: int) -> None:
    tiles = make_tiles((60, 40), SIZE, TilingSettings(enabled=True))
    parts = [np.ones((*SIZE, channels), np.float32) for _ in tiles]
    joined = blend(parts, tiles, (60, 40))
    np.testing.assert_allclose(joined, np.ones((60, 40, channels)), atol=1e-6)
    (whole,) = make_tiles((60, 40), SIZE, TilingSettings(enabled=False))
    squeezed = blend(parts[:1], [whole], (60, 40))
    np.testing.assert_allclose(squeezed, np.ones((60, 40, channels)), atol=1e-6)


@pytest.mark.parametrize("scale", [0.7, 1.0, 3.0])
def test_a_constant_has_no_seams(scale: float) -> None:
    tiles = make_tiles((90, 70), SIZE, TilingSettings(enabled=True, scale=scale))
    color = np.array([0.2, 0.7, 1.0], dtype=np.float32)
    parts = [np.broadcast_to(color, (*SIZE, 3)) for _ in tiles]
    joined = blend(parts, tiles, (90, 70))
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, np.broadcast_to(color, (90, 70, 3)), atol=1e-6)


def test_blending_fades_from_tile_to_tile() -> None:
    tiles = make_tiles((32, 48), SIZE, TilingSettings(enabled=True, overlap=0.5))
    parts = [np.full((*SIZE, 3), value, np.float32) for value in (0, 1)]
    row = blend(parts, tiles, (32, 48))[16, :, 0]
    assert (row[:16] == 0).all()
    assert (row[32:] == 1).all()
    assert (np.diff(row[15:33]) > 0).all()
    assert np.abs(np.diff(row)).max() < 0.1


def test_a_frame_in_one_tile_is_resized() -> None:
    colors = np.random.default_rng(0).random((*SIZE, 3), dtype=np.float32)
    tiles = make_tiles((50, 20), SIZE, TilingSettings(enabled=False))
    joined = blend([colors], tiles, (50, 20))
    np.testing.assert_array_equal(joined, resize_colors(colors, (50, 20)))


def test_a_low_frame_is_padded_with_its_edge() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (20, 60, 3)).astype(np.uint8)
    labels = rng.integers(0, 5, (20, 60))
    tile = make_tiles((20, 60), SIZE, CUT)[-1]
    cut, cut_labels = tile.picture(picture, SIZE), tile.labels(labels, SIZE)
    np.testing.assert_array_equal(cut[:20], picture[:, -32:])
    np.testing.assert_array_equal(cut_labels[:20], labels[:, -32:])
    assert (cut[20:] == picture[-1, -32:]).all()
    assert (cut_labels[20:] == labels[-1, -32:]).all()


# -- advice ------------------------------------------------------------------------

SQUEEZING = replace(VIT_LARGE, image_size=(256, 256))


def with_square(side: int, shape: tuple[int, int] = (512, 512)) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint8)
    labels[8 : 8 + side, 8 : 8 + side] = 1
    return labels


def test_small_objects_are_to_be_enlarged_to_a_patch() -> None:
    side, scale = suggest_scale([with_square(10)], SQUEEZING)
    assert side == pytest.approx(5)  # squeezed by 2
    assert scale == pytest.approx(1.6)  # 16 / 10


def test_objects_that_are_large_enough_need_no_tiles() -> None:
    assert suggest_scale([with_square(16)], SQUEEZING) == (pytest.approx(8), None)
    assert suggest_scale([with_square(100)], SQUEEZING)[1] is None


def test_the_smallest_object_of_all_decides() -> None:
    images = [with_square(200), with_square(8), with_square(100)]
    side, scale = suggest_scale(images, SQUEEZING)
    assert (side, scale) == (pytest.approx(4), pytest.approx(2))
    assert suggest_scale(images[::-1], SQUEEZING) == (side, scale)


def test_frames_are_not_enlarged_beyond_what_they_show() -> None:
    assert suggest_scale([with_square(1)], SQUEEZING)[1] == LARGEST_SCALE
    # As large as the model's input the frame is enlarged at most so much already.
    small = with_square(1, (60, 60))
    assert suggest_scale([small], SQUEEZING) == (pytest.approx(256 / 60), None)


def test_without_objects_there_is_nothing_to_advise() -> None:
    assert suggest_scale([with_square(0)], SQUEEZING) == (float("inf"), None)
    assert suggest_scale([], SQUEEZING) == (float("inf"), None)


def test_where_pixels_are_told_apart_smaller_objects_will_do() -> None:
    side, scale = suggest_scale([with_square(4)], SMALL)
    assert (side, scale) == (pytest.approx(4), None)  # at the frame's own size
    side, scale = suggest_scale([with_square(4, (2048, 2048))], SMALL)
    assert side == pytest.approx(2)
    assert scale == pytest.approx(2 * SMALL.smallest_object / 4)


def with_line(width: int, shape: tuple[int, int] = (512, 512)) -> np.ndarray:
    labels = np.zeros(shape, dtype=np.uint8)
    labels[8 : 8 + width, 8:-8] = 1
    return labels


@pytest.mark.parametrize(
    ("width", "zoom"),
    [(2, 2.0), (3, 2.0), (4, 2.0), (5, 1.5), (6, 1.25), (8, 1.0), (40, 1.0)],
)
def test_thin_labels_are_shown_eight_pixels_wide(width: int, zoom: float) -> None:
    assert suggest_zoom([with_line(width)], SMALL) == zoom


def test_each_label_of_a_frame_counts_alike() -> None:
    labels = with_line(4)
    for number in range(3):
        labels[100 + 100 * number : 180 + 100 * number] = number + 2
    assert suggest_zoom([labels], SMALL) == 1.25


def test_most_references_decide_how_large_frames_are_shown() -> None:
    thin, wide, empty = with_line(2), with_line(40), with_line(0)
    assert suggest_zoom([thin, wide, wide], SMALL) == 1
    assert suggest_zoom([thin, thin, wide], SMALL) == 2
    assert suggest_zoom([empty], SMALL) == suggest_zoom([], SMALL) == 1


def test_frames_are_shown_larger_only_where_a_network_can() -> None:
    assert suggest_zoom([with_line(2)], SQUEEZING) == 1
    assert suggest_zoom([with_line(2, (2048, 2048))], SMALL) == 1
    # At 448 pixels, what is small is enlarged already.
    assert suggest_zoom([with_line(2, (96, 96))], SMALL) == 1


def test_what_is_shown_larger_needs_no_tiles() -> None:
    side, scale = suggest_scale([with_line(2, (448, 448))], SMALL)
    assert side == pytest.approx(2 * 1024 / 448)
    assert scale is None


def test_advice_is_taken_over_into_the_settings() -> None:
    def advised(side: int) -> PredictionSettings:
        labels = with_square(side)
        prompt = Prompt(image=labels, labels=labels)
        tiling = TilingSettings(overlap=0.4)
        prediction = PredictionSettings(batch=2, tiling=tiling)
        _, scale = suggest_scale([prompt.labels], SQUEEZING)
        return with_tiles(prediction, scale)

    tiling = TilingSettings(enabled=True, scale=1.6, overlap=0.4)
    assert advised(10) == PredictionSettings(batch=2, tiling=tiling)
    assert not advised(100).tiling.enabled


@pytest.mark.parametrize(
    ("border", "side", "scale"),
    [
        (2.0, 224, None),  # a whole frame is shown twice as large
        (1.0, 224, LARGEST_SCALE),
        (2.0, 448, 3.0),
        (6.0, 448, None),
        (6.0, 1024, 1.0),  # its own pixels
        (1.0, 4480, 0.62),  # no more tiles than that
    ],
)
def test_frames_are_enlarged_where_borders_would_not_be_seen(border, side, scale):
    shapes = [(side, side), (32, 32, 3)]
    found = enlarged(TilingSettings(), border, shapes, VIT_LARGE)
    assert found.enabled == (scale is not None)
    assert not found.enabled or found.scale == scale
    tiles = make_tiles((side, side), VIT_LARGE.tile_size, found)
    assert len(tiles) <= MOST_TILES**2


def test_tiles_that_a_person_chose_stay():
    chosen = TilingSettings(enabled=True, scale=1.5)
    assert enlarged(chosen, 1.0, [(999, 999)], VIT_LARGE) is chosen
