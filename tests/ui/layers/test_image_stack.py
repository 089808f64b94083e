"""Frames of real napari image layers, and what is read of them."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.layers import Image, Labels
from numpy.testing import assert_array_equal

from napari_seggpt.io.layout import StackError
from napari_seggpt.ui.layers.frame_axes import (
    FrameAxes,
    axis_pair,
    channel_axis,
    plane_axes,
    stack_axes,
)
from napari_seggpt.ui.layers.image_stack import ImageStack, MixedStack, num_levels

SHAPE = (5, 6, 7)


def numbered(shape: tuple[int, ...] = SHAPE, dtype: str = "uint16") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


class CountedFrames:
    """A dask stack that knows which frames were computed, and on which threads."""

    def __init__(self, length: int, side: int = 8) -> None:
        self.reads: Counter[int] = Counter()
        self.threads: set[int] = set()
        frame = (side, side)

        def read(block_info: Any) -> np.ndarray:
            index = block_info[None]["chunk-location"][0]
            self.reads[index] += 1
            self.threads.add(threading.get_ident())
            return np.full((1, *frame), index, np.int32)

        chunks = ((1,) * length, *((n,) for n in frame))
        self.array = da.map_blocks(read, chunks=chunks, dtype="int32")

    @property
    def num_reads(self) -> int:
        return sum(self.reads.values())


# -- where frames lie ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "names", "expected"),
    [
        ((5, 6, 7), None, [(0, "axis 0")]),
        ((6, 7), None, []),
        ((5, 6, 7), ("z", "y", "x"), [(0, "z")]),
        ((4, 5, 6, 7), ("z", "t", "y", "x"), [(1, "t"), (0, "z")]),
        ((4, 5, 6, 7), ("c", "Z", "y", "x"), [(1, "z"), (0, "c")]),
        ((4, 5, 6, 7), ("Time", "q", "y", "x"), [(0, "t"), (1, "q")]),
        ((1, 5, 6, 7), ("t", "z", "y", "x"), [(1, "z"), (0, "t")]),
        ((6, 7, 5), ("y", "x", "t"), [(2, "t")]),
    ],
)
def test_axes_that_frames_may_run_along(
    shape: tuple[int, ...],
    names: tuple[str, ...] | None,
    expected: list[tuple[int, str]],
) -> None:
    layer = Image(np.zeros(shape), axis_labels=names, contrast_limits=(0, 1))
    assert stack_axes(layer) == expected


def test_axes_of_colour_and_multiscale_layers() -> None:
    colours = Image(np.zeros((4, 6, 7, 3), np.uint8), rgb=True)
    assert stack_axes(colours) == [(0, "axis 0")]
    levels = [np.zeros((4, 32, 32)), np.zeros((4, 16, 16))]
    layer = Image(levels, multiscale=True, contrast_limits=(0, 1))
    assert stack_axes(layer) == [(0, "axis 0")]
    assert num_levels(layer) == 2
    assert stack_axes(Labels(np.zeros(SHAPE, int))) == [(0, "axis 0")]


def test_the_axis_of_channels_is_found_by_its_name() -> None:
    array = np.zeros((2, 3, 6, 7))
    named = Image(array, axis_labels=("t", "channel", "y", "x"))
    assert channel_axis(named) == 1
    assert channel_axis(Image(array)) is None


def test_frames_need_two_axes_of_their_own() -> None:
    with pytest.raises(ValueError, match="Expected frames of two axes, got 3"):
        FrameAxes.of((2, 3, 4, 5), 0)
    with pytest.raises(ValueError, match="Expected frames of two axes, got 1"):
        FrameAxes.of((2, 3, 4), 0, {1: 0})
    with pytest.raises(ValueError, match="Expected axis 0 to be free"):
        FrameAxes.of((2, 3, 4), 0, {0: 0})
    with pytest.raises(ValueError, match="index from 0 to 1 on axis 0, got 2"):
        FrameAxes.of((2, 3, 4, 5), 1, {0: 2})
    with pytest.raises(ValueError, match="Expected an axis of data of shape"):
        FrameAxes.of((2, 3, 4), 3)


# -- reading ---------------------------------------------------------------------------


def numpy_data(array: np.ndarray, folder: Path) -> Any:
    return array


def dask_data(array: np.ndarray, folder: Path) -> Any:
    return da.from_array(array, chunks=(1, 3, 4))


def zarr_data(array: np.ndarray, folder: Path) -> Any:
    return zarr.array(array, chunks=(1, 3, 4), store=str(folder / "data.zarr"))


def mapped_data(array: np.ndarray, folder: Path) -> Any:
    path = folder / "data.npy"
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("make", [numpy_data, dask_data, zarr_data, mapped_data])
@pytest.mark.parametrize("dtype", ["uint16", "float32", ">u2"])
def test_frames_of_any_array_are_numpy(
    make: Callable[[np.ndarray, Path], Any], dtype: str, tmp_path: Path
) -> None:
    array = numbered(dtype=dtype)
    stack = ImageStack(Image(make(array, tmp_path), contrast_limits=(0, 255)), 0)
    assert (len(stack), stack.frame_shape, stack.num_channels) == (5, (6, 7), 1)
    for index in (0, 4, -1):
        frame = stack[index]
        assert type(frame) is np.ndarray
        assert frame.dtype == np.dtype(dtype).newbyteorder("=") == stack.dtype
        assert_array_equal(frame, array[index])
    with pytest.raises(IndexError):
        stack[5]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_frames_run_along_any_axis(axis: int) -> None:
    array = numbered()
    stack = ImageStack(Image(array), axis)
    assert len(stack) == SHAPE[axis]
    assert_array_equal(stack[3], np.take(array, 3, axis))


def test_one_image_is_a_stack_of_one() -> None:
    stack = ImageStack(Image(numbered((6, 7))), None)
    assert len(stack) == 1
    assert_array_equal(stack[0], numbered((6, 7)))


def test_other_axes_are_fixed() -> None:
    array = numbered((3, 5, 6, 7))
    over_time = ImageStack(Image(array), 0, fixed={1: 4})
    over_depth = ImageStack(Image(array), 1, fixed={0: 2})
    assert_array_equal(over_time[1], array[1, 4])
    assert_array_equal(over_depth[1], array[2, 1])


@pytest.mark.parametrize("count", [3, 4])
def test_colours_come_last(count: int) -> None:
    array = numbered((5, 6, 7, count), "uint8")
    stack = ImageStack(Image(array, rgb=True), 0)
    assert stack.num_channels == count
    assert_array_equal(stack[2], array[2])
    lone = ImageStack(Image(array[0], rgb=True), None)
    assert_array_equal(lone[0], array[0])


def test_a_channel_or_up_to_three_are_chosen() -> None:
    array = numbered((5, 4, 6, 7))
    layer = Image(array)
    assert_array_equal(
        ImageStack(layer, 0, channel_axis=1, channels=[2])[3], array[3, 2]
    )
    mixed = ImageStack(layer, 0, channel_axis=1, channels=[3, 0])
    assert mixed.num_channels == 2
    assert_array_equal(mixed[1], np.stack([array[1, 3], array[1, 0]], -1))
    assert ImageStack(layer, 0, channel_axis=1)[0].shape == (6, 7, 3)
    depth = ImageStack(layer, 1, channel_axis=0, channels=[4])
    assert_array_equal(depth[2], array[4, 2])
    for channels in ([], [4], [-1], [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="Expected one to 3 channels from 0 to 3"):
            ImageStack(layer, 0, channel_axis=1, channels=channels)
    with pytest.raises(ValueError, match="which has no such axis"):
        ImageStack(layer, 0, channels=[1], fixed={1: 0})
    colours = Image(np.zeros((2, 3, 6, 7, 3), np.uint8), rgb=True)
    with pytest.raises(ValueError, match="Expected colours or channels, got both"):
        ImageStack(colours, 0, channel_axis=1)


def test_layers_are_mixed() -> None:
    red, green = numbered(), numbered()[:, ::-1].astype(np.uint8)
    mixed = MixedStack([ImageStack(Image(a), 0) for a in (red, green)])
    assert (len(mixed), mixed.frame_shape) == (5, (6, 7))
    assert_array_equal(mixed[2], np.stack([red[2], green[2]], -1))
    lone = MixedStack([ImageStack(Image(red, name="red"), 0)])
    assert_array_equal(lone[2], red[2])
    small = ImageStack(Image(red[:3], name="small"), 0)
    with pytest.raises(ValueError, match="Expected 5 frames of 6 x 7 in small"):
        MixedStack([lone.first, small])
    colours = ImageStack(Image(np.zeros((5, 6, 7, 3), np.uint8), rgb=True), 0)
    with pytest.raises(ValueError, match="Expected grey layers"):
        MixedStack([colours])
    with pytest.raises(ValueError, match="Expected one to 3 layers"):
        MixedStack([])


def test_a_level_of_a_pyramid() -> None:
    fine = numbered((3, 8, 32, 32))
    levels = [fine, fine[:, ::2, ::2, ::2], fine[:, ::4, ::4, ::4]]
    layer = Image(levels, multiscale=True, contrast_limits=(0, 9))
    assert ImageStack(layer, 1, fixed={0: 2}).frame_shape == (32, 32)
    coarse = ImageStack(layer, 1, fixed={0: 2}, level=2)
    assert (len(coarse), coarse.frame_shape) == (2, (8, 8))
    assert_array_equal(coarse[1], fine[2, 4, ::4, ::4])
    # what is fixed counts frames of the finest level
    assert_array_equal(ImageStack(layer, 0, fixed={1: 7}, level=2)[1], levels[2][1, 1])
    for level in (-1, 3):
        with pytest.raises(ValueError, match="Expected a level from 0 to 2"):
            ImageStack(layer, 1, fixed={0: 2}, level=level)


def test_what_cannot_be_read_says_so() -> None:
    def broken(block_info: Any) -> np.ndarray:
        if block_info[None]["chunk-location"][0] == 1:
            raise SyntaxError("broken PNG")  # as Pillow has it
        return np.zeros((1, 6, 7))

    chunks = ((1,) * 3, (6,), (7,))
    array = da.map_blocks(broken, chunks=chunks, dtype=float)
    stack = ImageStack(Image(array, name="cells", contrast_limits=(0, 1)), 0)
    assert stack[0].shape == (6, 7)
    with pytest.raises(StackError, match=r"Expected frame 1 of cells .* broken PNG"):
        stack[1]


def test_it_keeps_to_the_data_that_it_was_made_of() -> None:
    layer = Image(numbered())
    stack = ImageStack(layer, 0)
    assert stack.shows(layer)
    layer.name = "renamed"
    assert stack.shows(layer)
    layer.data = np.zeros((2, 3, 4))
    assert not stack.shows(layer)
    assert len(stack) == 5
    assert_array_equal(stack[4], numbered()[4])


# -- reading nothing else --------------------------------------------------------------


def test_of_ten_thousand_frames_only_what_is_asked_for_is_read() -> None:
    frames = CountedFrames(10_000)
    layer = Image(frames.array, contrast_limits=(0, 1), visible=False)
    frames.reads.clear()
    stack = ImageStack(layer, 0)
    assert len(stack) == 10_000
    assert frames.num_reads == 0
    for index in (0, 7, 9_999, 7):
        assert_array_equal(stack[index], np.full((8, 8), index))
    assert frames.reads == {0: 1, 7: 2, 9_999: 1}


def test_frames_may_be_read_from_many_threads(tmp_path: Path) -> None:
    array = numbered((20, 16, 16))
    for data in (array, dask_data(array, tmp_path), zarr_data(array, tmp_path)):
        stack = ImageStack(Image(data, contrast_limits=(0, 9)), 0)
        wrong: list[int] = []

        def read(stack: ImageStack = stack, wrong: list[int] = wrong) -> None:
            for i in range(20):
                if not (stack[i] == array[i]).all():
                    wrong.append(i)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong


def test_napari_dask_cache_is_neither_filled_nor_broken() -> None:
    # napari caches what it shows by a global callback of dask, which a second thread
    # would take away from the first, and hand back when it is no longer wanted.
    from dask.callbacks import Callback
    from napari.utils import resize_dask_cache

    frames = CountedFrames(50)
    layer = Image(frames.array, contrast_limits=(0, 1))
    cache = resize_dask_cache().cache
    cache.clear()
    stack = ImageStack(layer, 0)
    with layer.dask_optimized_slicing():
        active = set(Callback.active)
        assert active
        thread = threading.Thread(target=lambda: [stack[i] for i in range(50)])
        thread.start()
        thread.join()
        assert Callback.active == active
        assert not cache.data
    assert not Callback.active


def test_the_window_may_show_frames_while_a_worker_reads() -> None:
    frames = CountedFrames(300)
    layer = Image(frames.array, contrast_limits=(0, 1))
    stack = ImageStack(layer, 0)
    errors: list[StackError] = []
    read: list[int] = []

    def work() -> None:
        try:
            read.extend(int(stack[i][0, 0]) for i in range(300))
        except StackError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        layer.refresh()
    thread.join()
    assert not errors
    assert read == list(range(300))


# -- two axes --------------------------------------------------------------------------


@pytest.fixture
def film_axes() -> FrameAxes:
    """3 times of 4 slices, in an array (Z, T, C, Y, X)."""
    return FrameAxes.of((4, 3, 2, 5, 6), (1, 0), {2: 1})


def test_frames_along_two_axes_are_numbered_along_the_second_first(
    film_axes: FrameAxes,
) -> None:
    assert (len(film_axes), film_axes.frame_shape) == (12, (5, 6))
    whole = slice(None)
    assert film_axes.index(7) == (3, 1, 1, whole, whole)  # t 1, z 3
    for frame in range(12):
        assert film_axes.frame_at(film_axes.places(frame)) == frame


def test_a_box_touches_frames_on_both_axes(film_axes: FrameAxes) -> None:
    box = [slice(1, 3), slice(0, 2), slice(None), slice(0, 1), slice(2, 3)]
    assert film_axes.frames_in(box) == {1, 2, 5, 6}
    box[2] = slice(0, 1)
    assert film_axes.frames_in(box) == frozenset()


def test_pixels_lie_on_frames_of_both_axes(film_axes: FrameAxes) -> None:
    pixels = [np.array(each) for each in ([3, 0, 2], [1, 2, 2], [1, 1, 0])]
    pixels += [np.zeros(3, int)] * 2
    assert film_axes.frames_at(pixels) == {7, 8}


def test_frames_of_two_axes_have_their_names(film_axes: FrameAxes) -> None:
    grid = film_axes.grid(["t", "z"])
    assert (grid.shape, grid.name(7)) == ((3, 4), "t 1, z 3")
    one = FrameAxes.of((3, 5, 6), 0)
    assert one.grid(["t"]).name(2) == "2"


@pytest.mark.parametrize("axis", [(0, 0), (0, 1, 2)])
def test_axes_that_frames_cannot_run_along(axis: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Expected frames of two axes"):
        FrameAxes.of((4, 3, 5, 6), axis)


def test_a_stack_along_two_axes_reads_each_frame() -> None:
    data = numbered((3, 4, 2, 5, 6))
    stack = ImageStack(Image(data), (0, 1), channel_axis=2, channels=[1])
    assert (len(stack), stack.along, stack.lengths) == (12, (0, 1), (3, 4))
    assert_array_equal(stack[7], data[1, 3, 1])
    assert_array_equal(np.concatenate(list(stack.rows(7, 30))), data[1, 3, 1])


@pytest.mark.parametrize(
    ("shape", "names", "pair"),
    [
        ((4, 3, 5, 6), ("z", "t", "y", "x"), (1, 0)),
        ((4, 3, 5, 6), None, (0, 1)),
        ((4, 3, 5, 6), ("z", "p", "y", "x"), (1, 0)),
        ((4, 3, 5, 6), ("", "z", "y", "x"), (0, 1)),
        ((4, 3, 5, 6), ("p", "t", "y", "x"), (1, 0)),
        ((2, 4, 3, 5, 6), ("p", "z", "t", "y", "x"), (2, 1)),
        ((4, 3, 5, 6), ("t", "c", "y", "x"), None),
        ((1, 3, 5, 6), ("t", "z", "y", "x"), None),
    ],
)
def test_the_two_axes_that_frames_may_run_along(
    shape: tuple[int, ...], names: tuple[str, ...] | None, pair: Any
) -> None:
    assert axis_pair(Image(np.zeros(shape), axis_labels=names)) == pair


@pytest.mark.parametrize(
    ("shape", "names", "slices"),
    [
        ((4, 5, 6), ("z", "y", "x"), [(1, "x-z slices"), (2, "y-z slices")]),
        ((4, 5, 6), None, [(1, "x-z slices"), (2, "y-z slices")]),
        ((3, 4, 5, 6), ("t", "z", "y", "x"), [(2, "x-z slices"), (3, "y-z slices")]),
        ((4, 5, 6), ("t", "y", "x"), []),
        ((1, 5, 6), ("z", "y", "x"), []),
        ((5, 6), None, []),
    ],
)
def test_a_volume_can_be_cut_the_other_ways(
    shape: tuple[int, ...], names: tuple[str, ...] | None, slices: Any
) -> None:
    assert plane_axes(Image(np.zeros(shape), axis_labels=names)) == slices


def test_a_frame_is_found_by_where_it_lies() -> None:
    film = FrameAxes.of((3, 4, 5, 6), (0, 1))
    volume = FrameAxes.of((3, 4, 5, 6), 1, {0: 2})
    across = FrameAxes.of((3, 4, 5, 6), 2, {0: 2})
    assert [film.frame_of(volume.index(frame)) for frame in range(4)] == [8, 9, 10, 11]
    assert [volume.frame_of(film.index(frame)) for frame in (7, 8)] == [None, 0]
    assert film.frame_of(across.index(0)) is None
    assert (film.spanned, across.spanned) == ((2, 3), (1, 3))
