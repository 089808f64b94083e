import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from napari_seggpt.preprocessing import (
    MEAN,
    STD,
    FrameError,
    Limits,
    check_frame,
    denormalise,
    is_flat,
    label_widths,
    measure_limits,
    normalise,
    object_side,
    resize_colors,
    resize_labels,
    resize_rgb,
    to_rgb,
)
from napari_seggpt.settings import ContrastSettings

DTYPES = [
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64",
]  # fmt: skip
SHAPES = [(6, 7), (6, 7, 1), (6, 7, 2), (6, 7, 3), (6, 7, 4), (6, 7, 5), (6, 7, 40)]
NO_PICTURES = [
    (np.zeros((0, 5)), r"with pixels, got shape \(0, 5\)"),
    (np.zeros((5, 0, 3)), r"with pixels, got shape \(5, 0, 3\)"),
    (np.zeros((5, 5, 0)), r"with pixels, got shape \(5, 5, 0\)"),
    (np.zeros(5), r"\(H, W\) or \(H, W, channels\), got shape \(5,\)"),
    (np.zeros(()), r"\(H, W\) or \(H, W, channels\), got shape \(\)"),
    (np.zeros((2, 3, 4, 5)), r"got shape \(2, 3, 4, 5\)"),
    (np.zeros((5, 5), complex), "real numbers, got dtype complex128"),
    (np.zeros((5, 5), object), "real numbers, got dtype object"),
    (np.full((5, 5), "a"), "real numbers, got dtype <U1"),
    (np.zeros((5, 5), "m8[s]"), "real numbers, got dtype timedelta64"),
    (np.zeros((5, 5), "M8[s]"), "real numbers, got dtype datetime64"),
    (np.zeros((5, 5), [("red", "u1")]), "real numbers, got dtype"),
]


def limits(low: float | list[float], high: float | list[float]) -> Limits:
    return Limits(low=np.atleast_1d(low).astype(float), high=np.atleast_1d(high))


def show(frame: np.ndarray) -> np.ndarray:
    return to_rgb(frame, measure_limits([frame]))


def ramp(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values from the darkest to the brightest of 101 steps, in every channel."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        low, high = -1.5, 2.5
    elif kind.kind == "b":
        low, high = 0, 1
    else:  # a quarter of what there is, far from zero where that can be
        info = np.iinfo(kind)
        low, high = info.max // 2, info.max // 4 * 3
    rows = np.linspace(0, 1, 101)[:, None, None]
    values = np.broadcast_to(low + rows * (high - low), (101, 5, *shape))
    return values.astype(kind)


# -- what is a picture -------------------------------------------------------------


@pytest.mark.parametrize(("frame", "message"), NO_PICTURES)
def test_what_is_no_picture_is_refused(frame: np.ndarray, message: str) -> None:
    with pytest.raises(FrameError, match=f"^Expected .*{message}"):
        check_frame(frame)
    with pytest.raises(FrameError, match=message):
        to_rgb(frame, limits(0, 1))
    with pytest.raises(FrameError, match=message):
        measure_limits([frame])


def test_a_frame_error_is_a_value_error() -> None:
    assert issubclass(FrameError, ValueError)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_dtype_and_channel_count_is_shown(
    dtype: str, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).integers(0, 100, shape)
    frame = values.astype(dtype)
    before = frame.copy()
    picture = show(frame)
    assert picture.shape == (6, 7, 3)
    assert picture.dtype == np.uint8
    assert picture.min() == 0
    assert picture.max() > 90
    np.testing.assert_array_equal(frame, before)
    assert not np.shares_memory(picture, frame)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (2,), (5,)])
def test_brightness_rises_with_the_values(dtype: str, shape: tuple[int, ...]) -> None:
    picture = show(ramp(dtype, shape)).astype(int)
    shown = min(3, shape[0]) if shape[0] > 1 else 3
    assert (np.diff(picture[..., :shown], axis=0) >= 0).all()
    assert (picture[0, :, :shown] == 0).all()
    assert (picture[-1, :, :shown] == 255).all()
    if dtype not in ("bool", "int8", "uint8"):
        assert len(np.unique(picture[..., 0])) > 90


def test_small_differences_of_large_values_are_seen() -> None:
    frame = 2**30 + np.arange(64, dtype=np.int32).reshape(8, 8)
    assert len(np.unique(show(frame))) > 60
    offset = 1e7 + np.arange(64).reshape(8, 8) / 100
    assert len(np.unique(show(offset))) > 60


@pytest.mark.parametrize("dtype", ["uint64", "int64"])
def test_the_largest_integers_do_not_overflow(dtype: str) -> None:
    info = np.iinfo(dtype)
    frame = np.array([[info.min, info.max]], dtype=dtype)
    np.testing.assert_array_equal(show(frame)[0, :, 0], [0, 255])
    assert not show(np.full((4, 4), info.max, dtype=dtype)).any()
    assert not show(np.full((4, 4), info.min, dtype=dtype)).any()


# -- channels ----------------------------------------------------------------------


def test_grey_has_equal_channels() -> None:
    frame = np.random.default_rng(0).random((5, 6))
    picture = show(frame)
    np.testing.assert_array_equal(picture[..., 0], picture[..., 1])
    np.testing.assert_array_equal(picture[..., 0], picture[..., 2])
    np.testing.assert_array_equal(show(frame[..., None]), picture)


@pytest.mark.parametrize("channels", [2, 3, 4, 5])
def test_channels_are_stretched_by_themselves(channels: int) -> None:
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 100, (20, 20, channels)).astype(np.uint16)
    scaled = frame * np.arange(1, channels + 1, dtype=np.uint16) + 7
    picture = show(scaled)
    for i in range(min(3, channels)):
        np.testing.assert_array_equal(picture[..., i], show(frame[..., i])[..., 0])
    assert not picture[..., channels:].any()


def test_one_limit_serves_all_channels() -> None:
    frame = np.array([[[0.0, 0.5, 1.0, 9.0]]])
    np.testing.assert_array_equal(to_rgb(frame, limits(0, 1)), [[[0, 128, 255]]])
    np.testing.assert_array_equal(
        to_rgb(frame[..., :2], limits([0, 0, 0], [1, 0.5, 1])), [[[0, 255, 0]]]
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_8_bit_rgb_is_shown_as_it_is(channels: int) -> None:
    frame = np.random.default_rng(0).integers(90, 99, (5, 6, channels)).astype(np.uint8)
    np.testing.assert_array_equal(show(frame), frame[..., :3])
    # Not even limits of a 16-bit stack make another image's picture black.
    np.testing.assert_array_equal(to_rgb(frame, limits(0, 65535)), frame[..., :3])


def test_8_bit_rgb_does_not_spoil_the_limits_of_others() -> None:
    picture = np.full((5, 5, 3), 200, dtype=np.uint8)
    grey = np.random.default_rng(0).integers(0, 4000, (50, 50)).astype(np.uint16)
    mixed, alone = measure_limits([picture, grey]), measure_limits([grey])
    np.testing.assert_array_equal(mixed.low, alone.low)
    np.testing.assert_array_equal(mixed.high, alone.high)


# -- contrast ----------------------------------------------------------------------


def test_percentiles_are_measured_over_all_frames() -> None:
    values = np.arange(1001.0)
    frames = [values[:500].reshape(20, 25), values[500:1000].reshape(50, 10)]
    found = measure_limits(iter(frames))
    assert found.low[0] == pytest.approx(np.percentile(values[:1000], 0.5))
    assert found.high[0] == pytest.approx(np.percentile(values[:1000], 99.5))
    found = measure_limits(frames, ContrastSettings(percentiles=(10, 80)))
    assert found.low[0] == pytest.approx(99.9)
    assert found.high[0] == pytest.approx(799.2)


def test_given_limits_need_no_frame() -> None:
    found = measure_limits([], ContrastSettings(limits=(-5, 20)))
    assert (found.low.tolist(), found.high.tolist()) == ([-5], [20])
    picture = to_rgb(np.array([[-9, -5, 20, 30]]), found)
    np.testing.assert_array_equal(picture[0, :, 0], [0, 0, 255, 255])


def test_without_a_frame_there_is_no_contrast() -> None:
    with pytest.raises(FrameError, match=r"Expected a frame .* got none"):
        measure_limits([])


def test_frames_of_other_channels_are_refused() -> None:
    frames = [np.zeros((5, 5)), np.zeros((5, 5, 3))]
    with pytest.raises(FrameError, match=r"equally many channels, got \[1, 3\]"):
        measure_limits(frames)
    assert len(measure_limits([np.zeros((5, 5, 4)), np.zeros((5, 5, 3))]).low) == 3


@pytest.mark.parametrize("objects", [1, 30])  # 0.01 and 0.3 % of the pixels
@pytest.mark.parametrize(("background", "value"), [(0, 4000), (4000, 0), (7.5, -2.5)])
def test_sparse_objects_on_a_flat_background_stay_visible(
    objects: int, background: float, value: float
) -> None:
    frame = np.full((100, 100), background)
    frame.flat[5000 : 5000 + objects] = value
    picture = show(frame).astype(int)[..., 0]
    assert abs(picture.flat[5000] - picture.flat[0]) == 255


@pytest.mark.parametrize("value", [1000.0, -1000.0])
@pytest.mark.parametrize("noise", ["normal", "counts"])
def test_sparse_objects_on_a_noisy_background_stay_visible(
    noise: str, value: float
) -> None:
    rng = np.random.default_rng(0)
    frame = rng.normal(0, 5, (200, 200))
    if noise == "counts":
        frame = rng.integers(0, 2, (200, 200)).astype(float)
    frame[50:60, 50:62] = value  # 0.3 % of the pixels
    picture = show(frame).astype(int)[..., 0]
    inside = picture[50:60, 50:62].copy()
    picture[50:60, 50:62] = picture[0, 0]
    assert abs(inside.mean() - picture.mean()) > 240
    assert picture.std() < 5


def test_hot_pixels_do_not_darken_a_frame() -> None:
    frame = np.random.default_rng(0).integers(100, 200, (200, 200)).astype(np.uint16)
    expected = measure_limits([frame])
    frame.flat[:: 40000 // 20] = 65535  # 0.05 % of the pixels
    found = measure_limits([frame])
    assert found.high[0] == pytest.approx(expected.high[0], abs=1)


def test_grey_of_8_bit_is_shown_as_it_is_unless_dim() -> None:
    frame = np.random.default_rng(0).integers(20, 90, (50, 50)).astype(np.uint8)
    picture = to_rgb(frame, measure_limits([frame]))
    np.testing.assert_array_equal(picture[..., 0], frame)
    dim = frame // 4
    assert np.ptp(to_rgb(dim, measure_limits([dim]))) > 250


def test_large_frames_are_sampled_along_rows_and_columns() -> None:
    # Every 80th pixel of the flattened frame would miss the columns.
    frame = np.zeros((4000, 4000), dtype=np.int16)
    frame[:, 1041:1049] = 200
    assert measure_limits([frame]).high[0] == 200
    assert measure_limits([frame.T]).high[0] == 200


def test_prompt_and_query_are_treated_alike() -> None:
    rng = np.random.default_rng(0)
    prompt, query = rng.integers(0, 5000, (2, 30, 30)).astype(np.int16)
    query[:] += 3000
    both = measure_limits([prompt, query])
    stacked = to_rgb(np.vstack([prompt, query]), both)
    np.testing.assert_array_equal(to_rgb(prompt, both), stacked[:30])
    np.testing.assert_array_equal(to_rgb(query, both), stacked[30:])


# -- values that are no numbers ----------------------------------------------------


def test_nan_is_black_and_infinity_black_or_white() -> None:
    frame = np.random.default_rng(0).random((20, 20)) + 1
    frame[0, :3] = [np.nan, np.inf, -np.inf]
    picture = show(frame)
    np.testing.assert_array_equal(picture[0, :3, 0], [0, 255, 0])
    finite = measure_limits([frame[1:]])
    found = measure_limits([frame])
    assert finite.low[0] == pytest.approx(found.low[0], abs=0.05)
    assert finite.high[0] == pytest.approx(found.high[0], abs=0.05)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0, -7, 1e30, -1e30])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_constant_frames_are_flat(value: float, dtype: str) -> None:
    with np.errstate(over="ignore"):
        frame = np.full((5, 6), value).astype(dtype)
    picture = show(frame)
    assert len(np.unique(picture)) == 1
    found = measure_limits([frame])
    assert found.low[0] < found.high[0]
    frame[2, 3] = 1.0
    assert np.isfinite(show(frame)).all()


def test_a_channel_without_numbers_is_black() -> None:
    frame = np.random.default_rng(0).random((8, 8, 3))
    frame[..., 1] = np.nan
    picture = show(frame)
    assert not picture[..., 1].any()
    assert picture[..., 0].any()
    assert picture[..., 2].any()


def test_a_huge_no_data_value_raises_no_warning() -> None:
    frame = np.random.default_rng(0).random((50, 50)).astype(np.float32)
    frame[0, 0] = np.finfo(np.float32).min
    picture = show(frame)
    assert picture[0, 0, 0] == 0
    assert len(np.unique(picture)) > 200


@given(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i8", "u8", "u2"]),
        hnp.array_shapes(min_dims=2, max_dims=3, max_side=6),
    )
)
@settings(deadline=None)
def test_any_array_of_numbers_is_shown(frame: np.ndarray) -> None:
    if frame.dtype == np.float64:
        frame[np.abs(frame) > 1e300] = 0  # their differences are no floats
    picture = show(frame)
    assert picture.shape == (*frame.shape[:2], 3)


# -- sizes -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 20000), (37, 91)])
def test_any_size_fits_a_model_and_comes_back(shape: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16)
    picture = resize_rgb(show(frame), (32, 48))
    assert picture.shape == (32, 48, 3)
    assert resize_labels(frame, (32, 48)).shape == (32, 48)
    colors = resize_colors(picture.astype(np.float32) / 255, shape)
    assert colors.shape == (*shape, 3)
    assert colors.dtype == np.float32


def test_what_has_the_size_already_is_not_resized() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    np.testing.assert_array_equal(resize_rgb(picture, (4, 6)), picture)
    np.testing.assert_array_equal(
        resize_labels(picture[..., 0], (4, 6)), picture[..., 0]
    )
    colors = picture.astype(np.float32)
    np.testing.assert_array_equal(resize_colors(colors, (4, 6)), colors)


@pytest.mark.parametrize("size", [(64, 32), (448, 448), (7, 9), (53, 47)])
def test_pictures_become_what_the_official_code_makes_of_them(
    size: tuple[int, int],
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (53, 47, 3)).astype(np.uint8)
    image = Image.fromarray(picture)
    official = np.array(image.resize(size[::-1])) / 255.0
    official = (official - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225]
    found = normalise(resize_rgb(picture, size))
    np.testing.assert_allclose(found, official.transpose(2, 0, 1), atol=1e-6)


@given(
    st.tuples(*[st.integers(1, 600)] * 2),
    st.tuples(*[st.integers(1, 600)] * 2),
)
@settings(deadline=None)
def test_labels_are_resized_as_pillow_does(
    old: tuple[int, int], new: tuple[int, int]
) -> None:
    labels = np.random.default_rng(0).integers(0, 256, old).astype(np.uint8)
    expected = Image.fromarray(labels).resize(new[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_labels(labels, new), np.asarray(expected))


@pytest.mark.parametrize("length", [(228, 570), (44, 319), (342, 597)])
def test_labels_are_rounded_as_pillow_does(length: tuple[int, int]) -> None:
    old, new = length
    labels = np.arange(old, dtype=np.int32)[None]
    expected = Image.fromarray(labels).resize((new, 1), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_labels(labels, (1, new)), np.asarray(expected))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint64", "int64"])
def test_resized_labels_keep_their_dtype_and_ids(dtype: str) -> None:
    labels = np.eye(9, 7).astype(dtype)
    if dtype != "bool":
        labels *= np.iinfo(dtype).max
    resized = resize_labels(labels, (30, 20))
    assert resized.dtype == labels.dtype
    assert set(np.unique(resized)) == set(np.unique(labels))


def test_colours_are_interpolated_between_pixel_centres() -> None:
    colors = np.zeros((1, 2, 3), dtype=np.float32)
    colors[0, 1] = [1, 0.5, 0]
    resized = resize_colors(colors, (2, 4))
    np.testing.assert_allclose(resized[0, :, 0], [0, 0.25, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(resized[1, :, 1], [0, 0.125, 0.375, 0.5], atol=1e-6)
    assert not resized[..., 2].any()


# -- normalisation -----------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_denormalising_undoes_normalising(batch: tuple[int, ...]) -> None:
    pictures = np.random.default_rng(0).random((*batch, 5, 6, 3), dtype=np.float32)
    normalised = normalise(pictures)
    assert normalised.shape == (*batch, 3, 5, 6)
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(denormalise(normalised), pictures, atol=1e-6)


def test_8_bit_and_float_pictures_are_normalised_alike() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    np.testing.assert_allclose(normalise(picture), normalise(picture / 255), atol=1e-6)
    mean = np.broadcast_to(MEAN, (5, 6, 3))
    np.testing.assert_allclose(normalise(mean + STD), 1, atol=1e-6)


def test_denormalised_colours_are_clipped() -> None:
    colors = denormalise(np.array([-9, 9], np.float32).repeat(3).reshape(2, 3, 1, 1))
    np.testing.assert_array_equal(colors[:, 0, 0], [[0, 0, 0], [1, 1, 1]])


# -- the size of objects -----------------------------------------------------------


def canvas() -> np.ndarray:
    return np.zeros((128, 128), dtype=np.uint16)


def test_the_side_of_a_square() -> None:
    labels = canvas()
    labels[20:30, 40:50] = 3
    assert object_side(labels) == pytest.approx(10)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_the_thickness_of_a_line(width: int) -> None:
    labels = canvas()
    labels[20 : 20 + width, 10:110] = 1
    assert object_side(labels) == pytest.approx(width, rel=0.01)
    assert object_side(labels.T) == pytest.approx(width, rel=0.01)


def test_the_thickness_of_a_slanted_line() -> None:
    rows, columns = np.indices((128, 128))
    labels = (np.abs(rows - columns) <= 2).astype(np.uint8)  # 5 / sqrt(2) px
    assert object_side(labels) == pytest.approx(5 / 2**0.5, rel=0.1)


def test_the_thickness_of_a_network() -> None:
    labels = canvas()
    labels[10::20], labels[11::20], labels[:, 10::20], labels[:, 11::20] = 1, 1, 1, 1
    assert object_side(labels) == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("width", [2, 5, 12])
def test_the_width_of_each_label(width: int) -> None:
    labels = canvas()
    labels[20 : 20 + width, 10:120] = 3
    labels[60:100, :] = 7
    widths = label_widths(labels)
    assert widths[0] == pytest.approx(width, rel=0.15)
    assert widths[1] == pytest.approx(40, rel=0.15)
    np.testing.assert_allclose(label_widths(labels.T), widths)


def test_labels_that_touch_are_as_wide_as_each_is() -> None:
    labels = canvas()
    labels[:, :60], labels[:, 60:64], labels[:, 64:] = 1, 2, 3
    assert label_widths(labels)[1] == pytest.approx(4, rel=0.15)


def test_specks_beside_what_is_wide_make_no_thin_label() -> None:
    labels = canvas()
    labels[60:100, 10:120] = 7
    (wide,) = label_widths(labels)
    labels[::10, 5], labels[::10, 125] = 7, 7
    labels[2:6, 2:7] = 9  # a slip of the brush
    (specked,) = label_widths(labels)
    assert 0.9 * wide < specked < wide
    assert label_widths(canvas()).size == 0


def test_a_disc_is_nearly_as_large_as_a_square() -> None:
    rows, columns = np.indices((128, 128)) - 64
    assert object_side((rows**2 + columns**2 <= 20**2) * 1) == pytest.approx(35, abs=1)


def test_specks_count_little() -> None:
    labels = canvas()
    for i in range(20):
        row, column = divmod(i, 5)
        labels[row * 20 : row * 20 + 10, column * 20 : column * 20 + 10] = 1
    labels[127, 127] = 1
    assert object_side(labels) == pytest.approx(10)
    specks = canvas()
    specks[::4, ::4] = 1
    assert object_side(specks) == 1


def test_objects_are_connected_regions_of_one_id() -> None:
    labels = canvas()
    labels[10:20, 10:15], labels[10:20, 15:20] = 1, 2
    assert object_side(labels) == pytest.approx(5)
    labels[labels == 2] = 1
    assert object_side(labels) == pytest.approx(10)
    checks = np.kron(np.indices((3, 3)).sum(0) % 2, np.ones((10, 10), int))
    assert object_side(checks) == pytest.approx(10, abs=2)  # corners touch
    assert object_side(np.ones((1, 1), int)) == 1


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "uint64"])
def test_objects_of_any_integer_type_are_measured(dtype: str) -> None:
    labels = canvas().astype(dtype)
    labels[20:30, 40:50] = 1 if dtype == "bool" else np.iinfo(dtype).max
    assert object_side(labels) == pytest.approx(10)


def test_without_objects_none_is_small() -> None:
    assert object_side(canvas()) == float("inf")


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (np.full((3, 4), 7, np.uint16), True),
        (np.full((3, 4), np.nan), True),
        (np.array([[np.nan, np.inf], [2.0, 2.0]]), True),
        (np.zeros((3, 4, 3), bool), True),
        (np.arange(12).reshape(3, 4), False),
        (np.array([[np.nan, 1.0], [2.0, 2.0]]), False),
    ],
)
def test_a_frame_of_one_value_shows_nothing(frame: np.ndarray, expected: bool) -> None:
    assert is_flat(frame) is expected
