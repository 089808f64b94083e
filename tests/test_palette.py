import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_seggpt import palette as palette_module
from napari_seggpt.inference.decoding import combine_passes
from napari_seggpt.palette import Palette, random_colors, separated_colors
from napari_seggpt.preprocessing import resize_colors
from napari_seggpt.prompts import Prompt

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
# How far apart the nearest of so many colours are, black included.
DISTANCES = {
    1: 3**0.5,
    2: 2**0.5,
    3: 2**0.5,
    4: 1.0,
    7: 1.0,
    8: 1 / 2,
    26: 1 / 2,
    27: 1 / 3,
    63: 1 / 3,
    64: 1 / 4,
    200: 1 / 5,
}


@st.composite
def label_images(draw: st.DrawFn, most: int) -> np.ndarray:
    """Small label images of any integer dtype; any id may occur, up to `most`."""
    dtype = np.dtype(draw(st.sampled_from(INTEGERS)))
    info = np.iinfo(dtype)
    largest = min(info.max, np.iinfo(np.int64).max)  # larger ids are refused
    id_lists = st.lists(st.integers(info.min, largest), min_size=1, max_size=most)
    ids = np.array(draw(id_lists), dtype=dtype)
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
    return ids[draw(hnp.arrays(np.intp, shape, elements=st.integers(0, len(ids) - 1)))]


def ids_of(labels: np.ndarray) -> np.ndarray:
    return Prompt(image=np.zeros(labels.shape), labels=labels).ids


def smallest_distance(colors: np.ndarray) -> float:
    known = np.vstack([np.zeros(3), colors])
    return min(
        float(np.linalg.norm(a - b)) for a, b in itertools.combinations(known, 2)
    )


@given(label_images(most=26))
@settings(deadline=None)
def test_decoding_undoes_encoding(labels: np.ndarray) -> None:
    palette = Palette.of(ids_of(labels))
    colors = palette.encode(labels)
    assert colors.shape == (*labels.shape, 3)
    assert colors.dtype == np.float32
    decoded, confidence = palette.decode(colors)
    assert decoded.dtype == np.int64
    np.testing.assert_array_equal(decoded.astype(labels.dtype), labels)
    np.testing.assert_allclose(confidence, 1, atol=1e-6)


@given(label_images(most=200), st.integers(1, 26))
@settings(deadline=None)
def test_passes_together_undo_encoding(labels: np.ndarray, size: int) -> None:
    palettes = Palette.of(ids_of(labels)).split(size)
    passes = [palette.decode(palette.encode(labels)) for palette in palettes]
    decoded, confidence = combine_passes(passes)
    np.testing.assert_array_equal(decoded.astype(labels.dtype), labels)
    np.testing.assert_allclose(confidence, 1, atol=1e-6)


def test_200_labels_in_one_picture() -> None:
    labels = np.random.default_rng(0).integers(0, 201, (40, 50))
    decoded, _ = Palette.of(range(201)).decode(Palette.of(range(201)).encode(labels))
    np.testing.assert_array_equal(decoded, labels)


def test_ids_beyond_the_exact_floats_are_told_apart() -> None:
    labels = np.array([[2**62, 2**62 + 1, 2**63 - 1, 0]], dtype=np.uint64)
    palette = Palette.of(ids_of(labels))
    decoded, _ = palette.decode(palette.encode(labels))
    np.testing.assert_array_equal(decoded.astype(np.uint64), labels)


def test_masks_can_be_coloured() -> None:
    colors = Palette.of([1]).encode(np.array([[True, False]]))
    np.testing.assert_array_equal(colors, [[[1, 1, 1], [0, 0, 0]]])


def test_unknown_ids_are_black() -> None:
    labels = np.array([[-9, 3, 4, 5, 2**40]])
    colors = Palette.of([3, 5]).encode(labels)
    np.testing.assert_array_equal(
        colors.any(axis=2), [[False, True, False, True, False]]
    )
    assert not Palette.of([]).encode(labels).any()


def test_colours_follow_the_ids_whatever_their_order() -> None:
    colors = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    palette = Palette(ids=np.array([9, -2, 4]), colors=colors)
    painted = palette.encode(np.array([[-2, 4, 9]]))
    np.testing.assert_array_equal(painted[0], colors[[1, 2, 0]])
    assert palette.decode(painted)[0].tolist() == [[-2, 4, 9]]


def test_without_labels_all_is_background() -> None:
    colors = np.random.default_rng(0).random((4, 5, 3), dtype=np.float32)
    labels, confidence = Palette.of([]).decode(colors)
    assert not labels.any()
    assert (confidence == 1).all()


@pytest.mark.parametrize("factor", [0.5, 2, 3])
def test_flat_regions_survive_resizing(factor: float) -> None:
    cell = 16
    ids = np.random.default_rng(0).integers(0, 8, (5, 6))
    palette = Palette.of(range(8))
    colors = palette.encode(np.kron(ids, np.ones((cell, cell), int)))
    size = tuple(int(side * factor) for side in colors.shape[:2])
    decoded, confidence = palette.decode(resize_colors(colors, size))
    side, margin = int(cell * factor), int(max(2, 2 * factor))
    inside = slice(margin, side - margin)
    grid = (ids.shape[0], side, ids.shape[1], side)
    flat = decoded.reshape(grid)[:, inside, :, inside]
    np.testing.assert_array_equal(
        flat, np.broadcast_to(ids[:, None, :, None], flat.shape)
    )
    assert confidence.reshape(grid)[:, inside, :, inside].min() > 0.999


@pytest.mark.parametrize(("count", "distance"), DISTANCES.items())
def test_colours_are_apart(count: int, distance: float) -> None:
    colors = separated_colors(count)
    assert colors.shape == (count, 3)
    assert colors.min() >= 0
    assert colors.max() <= 1
    assert smallest_distance(colors) == pytest.approx(distance, abs=1e-6)


@pytest.mark.parametrize("count", [1, 3, 7, 26])
def test_noise_below_half_the_distance_changes_no_label(count: int) -> None:
    rng = np.random.default_rng(count)
    labels = rng.integers(0, count + 1, (60, 60))
    palette = Palette.of(range(count + 1))
    noise = rng.normal(size=(60, 60, 3))
    noise /= np.linalg.norm(noise, axis=2, keepdims=True)
    noise *= 0.499 * smallest_distance(palette.colors)
    decoded, confidence = palette.decode(palette.encode(labels) + noise)
    np.testing.assert_array_equal(decoded, labels)
    assert confidence.min() > 0


def test_confidence_falls_from_a_colour_to_half_way() -> None:
    palette = Palette.of([5])  # white
    shares = np.array([0, 0.125, 0.25, 0.5, 0.75, 1], dtype=np.float32)
    greys = np.repeat(shares[None, :, None], 3, axis=2)
    labels, confidence = palette.decode(greys)
    assert labels[0, [0, 1, 2, 4, 5]].tolist() == [0, 0, 0, 5, 5]
    np.testing.assert_allclose(confidence[0], [1, 0.75, 0.5, 0, 0.5, 1], atol=1e-6)


@pytest.mark.parametrize("count", [2, 7, 26])
def test_confidence_is_zero_half_way_to_the_nearest_colour(count: int) -> None:
    palette = Palette.of(range(1, count + 1))
    gaps = np.linalg.norm(palette.colors[:, None] - palette.colors, axis=2)
    gaps[np.diag_indices(count)] = np.inf
    half_way = (palette.colors + palette.colors[gaps.argmin(1)]) / 2
    _, confidence = palette.decode(half_way[None])
    np.testing.assert_allclose(confidence, 0, atol=1e-5)


@given(hnp.arrays(np.float32, (3, 4, 3), elements=st.floats(0, 1, width=32)))
@settings(deadline=None)
def test_any_colours_have_a_known_label(colors: np.ndarray) -> None:
    palette = Palette.of([-1, 4, 10])
    labels, confidence = palette.decode(colors)
    assert set(np.unique(labels)) <= {-1, 0, 4, 10}
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    known = np.vstack([np.zeros((1, 3)), palette.colors])
    distances = np.linalg.norm(colors[:, :, None] - known, axis=3)
    chosen = np.searchsorted([-1, 4, 10], labels) + 1
    chosen[labels == 0] = 0
    taken = np.take_along_axis(distances, chosen[..., None], axis=2)[..., 0]
    np.testing.assert_allclose(taken, distances.min(2), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_decoding_in_parts_changes_nothing(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    colors = np.random.default_rng(0).random((13, 11, 3), dtype=np.float32)
    palette = Palette.of(range(8))
    labels, confidence = palette.decode(colors)
    monkeypatch.setattr(palette_module, "DECODE_ROWS", rows)
    again, confidence_again = palette.decode(colors)
    np.testing.assert_array_equal(again, labels)
    # Products of other sizes may sum in another order.
    np.testing.assert_allclose(confidence_again, confidence, atol=1e-5)


def test_splitting_shares_labels_out_evenly() -> None:
    parts = Palette.of(range(1, 21)).split(7)
    assert [len(part.ids) for part in parts] == [7, 7, 6]
    assert np.concatenate([part.ids for part in parts]).tolist() == [*range(1, 21)]
    for part in parts:
        np.testing.assert_array_equal(part.colors, separated_colors(len(part.ids)))
    assert [len(part.ids) for part in Palette.of([]).split(7)] == [0]


def test_colours_depend_on_the_set_of_ids_alone() -> None:
    one, other = Palette.of([4, 0, 2, 9, 2]), Palette.of(iter([9, 4, 2]))
    assert one.ids.tolist() == [2, 4, 9]
    np.testing.assert_array_equal(one.ids, other.ids)
    np.testing.assert_array_equal(one.colors, other.colors)


def test_random_colours_are_reproducible_and_apart() -> None:
    for seed in range(20):
        colors = random_colors(6, np.random.default_rng(seed))
        assert smallest_distance(colors) > 0.2
        again = random_colors(6, np.random.default_rng(seed))
        np.testing.assert_array_equal(again, colors)
    assert len(np.unique(colors)) > 6
    assert random_colors(0, np.random.default_rng(0)).shape == (0, 3)


@pytest.mark.parametrize(
    ("ids", "colors", "message"),
    [
        ([1, 2], np.eye(3), "Expected 2 colours"),
        ([1, 1, 2], np.eye(3), "unique and not 0"),
        ([0, 1, 2], np.eye(3), "unique and not 0"),
        ([1, 2], [[1, 0, 0], [1, 0, 0]], "differ from each other and black"),
        ([1], [[0, 0, 0]], "differ from each other and black"),
    ],
)
def test_impossible_palettes_are_refused(
    ids: list[int], colors: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Palette(ids=np.array(ids), colors=np.array(colors, dtype=np.float32))


# -- Painter's colours -------------------------------------------------------------


def test_painters_colours_are_those_of_its_evaluation() -> None:
    # R=255-(i//36)*42, G=255-((i%36)//6)*42, B=255-(i%6)*42
    palette = Palette.painter(range(1, 151))
    grey = np.rint(palette.colors * 255).astype(int)
    assert grey[0].tolist() == [255, 255, 255]
    assert grey[7].tolist() == [255, 213, 213]
    assert grey[149].tolist() == [255 - 4 * 42, 255, 255 - 5 * 42]
    # Of 133 classes of COCO it has 7 levels.
    coco = np.rint(Palette.painter(range(133), 7).colors * 255).astype(int)
    assert coco[7].tolist() == [255, 219, 255]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 26, 27, 63, 64, 133, 150, 255])
def test_painters_colours_differ_from_each_other_and_black(count: int) -> None:
    palette = Palette.painter(range(1, count + 1))
    labels = palette.ids.reshape(1, -1)
    np.testing.assert_array_equal(palette.decode(palette.encode(labels))[0], labels)


def test_without_background_every_pixel_has_a_label() -> None:
    palette = Palette.of([3, 9])
    black = np.zeros((2, 2, 3), np.float32)
    assert palette.decode(black)[0].max() == 0
    labels, confidence = palette.decode(black, background=False)
    assert set(np.unique(labels)) <= {3, 9}
    assert confidence.max() == pytest.approx(0, abs=1e-6)  # half way between both


# -- shares ------------------------------------------------------------------------


def test_shares_of_a_palettes_own_colours_are_whole():
    palette = Palette.of([4, 9])
    shares = palette.shares(palette.encode(np.array([[0, 4, 9]])))
    np.testing.assert_allclose(shares[:, 0], np.eye(3), atol=0.01)


def test_shares_half_way_between_two_colours_are_equal():
    palette = Palette.of([4, 9])
    half = palette.colors[0][None, None] / 2
    shares = palette.shares(half)[:, 0, 0]
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(shares[1], rel=1e-4)
    assert shares[0] > shares[2]
