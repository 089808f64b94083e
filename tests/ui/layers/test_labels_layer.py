"""Labels on real napari layers: what others do is told, and nothing of it is lost."""

import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from numpy.testing import assert_array_equal

from napari_seggpt.ui.layers.image_stack import ImageStack
from napari_seggpt.ui.layers.labels_layer import LabelsLayer, why_not_writable
from napari_seggpt.ui.layers.labels_watcher import shown_frames
from napari_seggpt.ui.layers.navigation import Navigation

LENGTH, SIDE = 6, 16
SHAPE = (LENGTH, SIDE, SIDE)

pytestmark = pytest.mark.usefixtures("qapp")


# -- what a person does by hand, through napari's own callbacks ------------------------


class Stroke:
    """A stroke of the mouse: pressed where it begins, then moved, then released."""

    def __init__(self, layer: Labels, *place: float, mode: str = "paint") -> None:
        layer.mode = mode
        self._layer = layer
        self._event = SimpleNamespace(
            type="mouse_press",
            button=1,
            position=place,
            view_direction=None,
            dims_displayed=list(layer._slice_input.displayed),
            modifiers=(),
            is_dragging=True,
            handled=False,
        )
        mouse_press_callbacks(layer, self._event)

    def move(self, *place: float) -> "Stroke":
        self._send("mouse_move", place, mouse_move_callbacks)
        return self

    def release(self) -> None:
        place = self._event.position
        self._send("mouse_release", place, mouse_release_callbacks)

    def _send(self, kind: str, place: tuple[float, ...], send: Any) -> None:
        self._event.type, self._event.position = kind, place
        send(self._layer, self._event)


def paint(layer: Labels, *place: float, label: int = 1, size: int = 3) -> None:
    """Paint one dab."""
    layer.brush_size = size
    layer.selected_label = label
    Stroke(layer, *place).release()


def erase(layer: Labels, *place: float, size: int = 3) -> None:
    """Erase one dab."""
    layer.brush_size = size
    Stroke(layer, *place, mode="erase").release()


def fill(layer: Labels, *place: float, label: int = 1) -> None:
    """Fill where the mouse is."""
    layer.selected_label = label
    Stroke(layer, *place, mode="fill").release()


class Bench:
    """A Labels layer in a viewer at frame 2, and the news of it."""

    def __init__(self, data: Any, axis: int = 0, **fixed: Any) -> None:
        self.viewer = ViewerModel()
        self.layer = self.viewer.add_labels(data)
        self.viewer.dims.set_current_step(axis, 2)
        self.labels = LabelsLayer(self.layer, axis, **fixed)
        self.news: list[frozenset[int] | None] = []
        self.labels.changed.connect(self.news.append)

    @property
    def told(self) -> set[int]:
        """The frames that were told, and forget them."""
        told, self.news[:] = set().union(*(n for n in self.news if n is not None)), []
        return told

    @property
    def is_suspected(self) -> bool:
        """Whether any frame may have changed, and forget it."""
        self.labels.flush()
        suspected, self.news[:] = None in self.news, []
        return suspected

    def frame(self, index: int) -> np.ndarray:
        return np.array(self.layer.data[index])


@pytest.fixture(params=["numpy", "zarr"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    data: Any = np.zeros(SHAPE, np.uint16)
    if request.param == "zarr":
        data = zarr.array(data, chunks=(1, 8, 8), store=str(tmp_path / "labels.zarr"))
    bench = Bench(data)
    yield bench
    bench.labels.close()


def blob(label: int = 7) -> np.ndarray:
    frame = np.zeros((SIDE, SIDE), np.uint8)
    frame[4:9, 5:12] = label
    return frame


# -- reading and writing ---------------------------------------------------------------


def test_what_is_written_is_read_and_is_in_the_layer(bench: Bench) -> None:
    assert (len(bench.labels), bench.labels.frame_shape) == (LENGTH, (SIDE, SIDE))
    assert bench.labels.dtype == np.uint16
    bench.labels.write(3, blob())
    assert_array_equal(bench.labels.read(3), blob())
    assert_array_equal(bench.frame(3), blob())
    assert not bench.labels.read(2).any()
    assert bench.labels.read(3).dtype == np.uint16


def test_what_is_read_is_a_copy(bench: Bench) -> None:
    bench.labels.read(3)[:] = 5
    assert not bench.frame(3).any()


def test_frames_that_are_not_there(bench: Bench) -> None:
    for index in (LENGTH, -LENGTH - 1):
        with pytest.raises(IndexError):
            bench.labels.read(index)
        with pytest.raises(IndexError):
            bench.labels.write(index, blob())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((SIDE, SIDE), 70_000), "from 0 to 65535, which uint16 .* got 70000"),
        (np.full((SIDE, SIDE), -1), "from 0 to 65535, which uint16 .* got -1"),
        (np.zeros((SIDE, SIDE + 1), int), "Expected labels of shape"),
        (np.zeros((SIDE, SIDE)), "Expected integer labels, got float64"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(
    bench: Bench, labels: np.ndarray, message: str
) -> None:
    bench.labels.write(1, blob())
    with pytest.raises(ValueError, match=message):
        bench.labels.write(1, labels)
    assert_array_equal(bench.frame(1), blob())


def test_ids_of_any_type_fit_if_their_values_do(bench: Bench) -> None:
    bench.labels.write(1, blob().astype(np.int64) * 9_000)
    assert bench.frame(1).max() == 63_000
    bench.labels.write(1, blob().astype(bool))
    assert bench.frame(1).max() == 1


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_frames_along_any_axis_of_four(axis: int) -> None:
    shape = (3, 4, 5, 6)
    data = np.zeros(shape, np.int32)
    other = (axis + 1) % 4
    labels = LabelsLayer(Labels(data), axis, {other: 1})
    frame = np.arange(np.prod(labels.frame_shape)).reshape(labels.frame_shape)
    labels.write(2, frame)
    place: list[Any] = [slice(None)] * 4
    place[axis], place[other] = 2, 1
    assert_array_equal(data[tuple(place)], frame)
    assert (data != 0).sum() == (frame != 0).sum()
    assert_array_equal(labels.read(2), frame)
    labels.close()


def test_a_lone_image() -> None:
    labels = LabelsLayer(Labels(np.zeros((SIDE, SIDE), np.uint8)), None)
    news: list[object] = []
    labels.changed.connect(news.append)
    labels.write(0, blob())
    assert len(labels) == 1
    assert_array_equal(labels.read(0), blob())
    paint(labels.layer, 2, 2)
    labels.flush()
    assert set(news) == {frozenset({0})}
    labels.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (da.zeros(SHAPE, dtype=int), "computed by dask"),
        ([np.zeros((2, 32, 32), int), np.zeros((2, 16, 16), int)], "resolution levels"),
        (np.broadcast_to(np.zeros((SIDE, SIDE), int), SHAPE), "its data is read-only"),
    ],
)
def test_labels_that_cannot_be_written_to_are_refused(data: Any, reason: str) -> None:
    layer = Labels(data, name="mine")
    assert reason in (why_not_writable(layer) or "")
    with pytest.raises(ValueError, match=f"got mine: .*{reason}"):
        LabelsLayer(layer, 0)


def test_a_zarr_opened_for_reading_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "labels.zarr")
    zarr.create_array(path, shape=SHAPE, dtype="uint8")
    layer = Labels(zarr.open_array(path, mode="r"))
    with pytest.raises(ValueError, match="its data is read-only"):
        LabelsLayer(layer, 0)


def test_frames_are_read_on_another_thread_while_a_person_paints(bench: Bench) -> None:
    bench.labels.write(5, blob())
    read: list[np.ndarray] = []
    thread = threading.Thread(
        target=lambda: read.extend(bench.labels.read(5) for _ in range(50))
    )
    thread.start()
    for column in range(10):
        paint(bench.layer, 2, 3, column)
    thread.join()
    for frame in read:
        assert_array_equal(frame, blob())


# -- news of what others do ------------------------------------------------------------


def test_own_writes_are_no_news(bench: Bench) -> None:
    for frame in range(LENGTH):
        bench.labels.write(frame, blob())
    bench.labels.flush()
    assert bench.news == []


def test_a_stroke_is_told_at_its_first_dab_and_at_its_end(bench: Bench) -> None:
    bench.layer.brush_size = 1
    stroke = Stroke(bench.layer, 2, 3, 3)
    assert bench.told == {2}  # before a run could write the frame
    assert bench.frame(2).any()
    stroke.move(2, 3, 8)
    assert bench.news == []  # it is known, and a look at a large frame takes long
    stroke.release()
    bench.labels.flush()
    assert bench.told == {2}


def test_a_stroke_that_comes_to_another_frame(bench: Bench) -> None:
    bench.layer.n_edit_dimensions = 3
    bench.layer.brush_size = 3
    stroke = Stroke(bench.layer, 1, 3, 3)
    assert bench.told == {0, 1, 2}
    stroke.move(3, 3, 3)
    assert bench.told == {3, 4}
    stroke.release()
    bench.labels.flush()
    assert bench.told == {0, 1, 2, 3, 4}


def test_paint_erase_fill_and_polygon(bench: Bench) -> None:
    for act in (
        lambda: paint(bench.layer, 2, 4, 4),
        lambda: erase(bench.layer, 2, 4, 4, size=1),
        lambda: fill(bench.layer, 2, 15, 15, label=3),
        lambda: bench.layer.paint_polygon([(2, 1, 1), (2, 1, 6), (2, 6, 6)], 4),
    ):
        before = bench.frame(2)
        act()
        bench.labels.flush()
        assert bench.told == {2}
        assert (bench.frame(2) != before).any()


def test_calls_that_write_after_their_event_are_told_when_they_have(
    bench: Bench,
) -> None:
    seen: list[bool] = []
    bench.labels.changed.connect(lambda _: seen.append(bool(bench.frame(4).any())))
    bench.layer.paint((4, 5, 5), 1)
    assert seen == [True]
    bench.layer.data[4] = 0
    seen.clear()
    bench.layer.paint((4, 5, 5), 1, refresh=False)  # no event after it
    assert seen == []
    bench.labels.flush()
    assert seen == [True]
    bench.layer.data[4] = 0
    seen.clear()
    indices = tuple(np.array([n]) for n in (4, 1, 1))
    bench.layer.data_setitem(indices, 5)
    bench.labels.flush()
    assert seen[-1]


def test_data_setitem_on_several_frames(bench: Bench) -> None:
    bench.layer.data_setitem((np.array([1, 4]), np.array([0, 0]), np.array([3, 3])), 2)
    bench.labels.flush()
    assert bench.told == {1, 4}


def test_undo_and_redo_of_frames_that_are_not_shown(bench: Bench) -> None:
    paint(bench.layer, 2, 4, 4)
    bench.viewer.dims.set_current_step(0, 5)
    bench.labels.flush()
    bench.news.clear()
    bench.layer.undo()
    assert bench.told == {2}
    assert not bench.frame(2).any()
    bench.layer.redo()
    assert bench.told == {2}
    bench.layer.undo()
    bench.layer.undo()
    assert bench.told == {2}
    assert not bench.is_suspected


def test_what_undo_and_redo_have_changed_is_told_and_no_stroke_is(bench: Bench) -> None:
    undone: list[frozenset[int]] = []
    bench.labels.undone.connect(undone.append)
    paint(bench.layer, 2, 8, 8)
    bench.viewer.dims.set_current_step(0, 4)
    paint(bench.layer, 4, 8, 8, label=2)
    bench.layer.data_setitem((np.array([1]), np.array([2]), np.array([3])), 5)
    fill(bench.layer, 4, 8, 8, label=3)
    bench.labels.write(0, blob())
    bench.layer.refresh()
    bench.labels.flush()
    assert undone == []
    for _ in range(4):
        bench.layer.undo()
    assert undone == [{4}, {1}, {4}, {2}]
    undone.clear()
    bench.layer.redo()
    bench.layer.redo()
    assert undone == [{2}, {4}]
    paint(bench.layer, 4, 3, 3, label=1)
    bench.layer.refresh()
    assert undone == [{2}, {4}]


def test_undo_on_a_hidden_layer_has_no_event_but_is_told(bench: Bench) -> None:
    paint(bench.layer, 2, 4, 4)
    bench.labels.flush()
    bench.layer.visible = False
    bench.news.clear()
    bench.layer.undo()
    assert bench.news == []
    bench.layer.visible = True
    bench.labels.flush()
    assert 2 in bench.told


def test_undo_on_a_hidden_layer_is_told_after_the_next_own_write(bench: Bench) -> None:
    paint(bench.layer, 2, 4, 4)
    bench.labels.flush()
    bench.layer.visible = False
    bench.news.clear()
    bench.layer.undo()
    bench.labels.write(4, blob())
    assert bench.news == []  # not in the middle of the session's own work
    bench.labels.flush()
    assert bench.told == {2}


def test_an_aborted_stroke(bench: Bench) -> None:
    if not hasattr(bench.layer, "_abort_stroke"):
        pytest.skip("this napari cannot abort a stroke")
    bench.layer.mode = "paint"
    bench.layer._begin_stroke()  # as the right button does
    bench.layer._draw(1, (2, 4, 4), (2, 4, 4))
    assert bench.told == {2}
    bench.layer._abort_stroke()
    assert bench.told == {2}
    assert not bench.frame(2).any()
    assert not bench.is_suspected


def test_others_write_and_refresh(bench: Bench) -> None:
    bench.layer.data[4] = blob()
    bench.layer.refresh()
    assert bench.told == {2}  # what is shown, at once
    assert bench.is_suspected
    for frame in range(LENGTH):  # once for all of it
        bench.layer.data[frame] = blob(frame)
        bench.layer.refresh()
    bench.labels.flush()
    assert bench.news.count(None) == 1


def test_others_write_after_a_stroke_that_a_run_has_taken_away(bench: Bench) -> None:
    """Such a stroke ends without an event, and explains no refresh."""
    with bench.layer.block_history():
        bench.layer.paint((2, 4, 4), 1)
        bench.labels.write(2, blob())
    bench.labels.flush()
    bench.news.clear()
    bench.layer.data[4] = blob()
    bench.layer.refresh()
    assert bench.is_suspected


def test_another_session_on_the_same_layer_writes(bench: Bench) -> None:
    """It takes what it writes out of napari's history, which explains no refresh."""
    bench.layer.paint((2, 4, 4), 1)
    bench.layer.paint((3, 4, 4), 1)
    bench.labels.flush()
    bench.news.clear()
    other = LabelsLayer(bench.layer, 0)
    other.write(2, blob())
    other.write(5, blob())
    other.close()
    bench.layer.refresh()
    assert bench.is_suspected


def test_new_data(bench: Bench) -> None:
    bench.layer.data = np.full(SHAPE, 3, np.uint16)
    assert bench.is_suspected
    assert_array_equal(bench.labels.read(1), 3)
    bench.labels.write(1, blob())
    assert_array_equal(bench.layer.data[1], blob())
    bench.layer.data = bench.layer.data
    assert bench.is_suspected


@pytest.mark.parametrize("data", [np.zeros((3, 4, 4), int), da.zeros(SHAPE, dtype=int)])
def test_new_data_that_does_not_serve(bench: Bench, data: Any) -> None:
    reasons: list[str] = []
    bench.labels.unusable.connect(reasons.append)
    paint(bench.layer, 2, 4, 4)
    bench.layer.data = data
    bench.labels.flush()
    assert len(reasons) == 1
    assert None not in bench.news
    for call in (lambda: bench.labels.read(0), lambda: bench.labels.write(0, blob())):
        with pytest.raises(ValueError, match="Expected the labels of"):
            call()
    bench.layer.data = np.zeros(SHAPE, np.uint8)
    bench.labels.write(0, blob())


def test_another_type_of_data_serves(bench: Bench) -> None:
    bench.labels.write(1, blob())
    bench.layer.data = np.asarray(bench.layer.data).astype(np.uint8)
    bench.labels.write(2, blob(200))
    assert bench.labels.dtype == np.uint8
    with pytest.raises(ValueError, match="from 0 to 255"):
        bench.labels.write(2, blob().astype(int) * 100)


def test_what_only_changes_the_look_suspects_nobody(bench: Bench) -> None:
    layer, dims = bench.layer, bench.viewer.dims
    acts = [
        lambda: dims.set_current_step(0, 4),
        lambda: setattr(layer, "contour", 2),
        lambda: setattr(layer, "contour", 0),
        lambda: setattr(layer, "show_selected_label", True),
        lambda: setattr(layer, "selected_label", 5),
        lambda: setattr(layer, "show_selected_label", False),
        lambda: layer.new_colormap(),
        lambda: setattr(layer, "opacity", 0.3),
        lambda: setattr(layer, "name", "renamed"),
        lambda: setattr(dims, "ndisplay", 3),
        lambda: setattr(dims, "ndisplay", 2),
        lambda: dims.roll(),
        lambda: bench.viewer.add_image(np.zeros(SHAPE)),
        lambda: bench.viewer.reset_view(),
    ]
    for number, act in enumerate(acts):
        act()
        assert not bench.is_suspected, number


def test_where_the_view_comes_to_rest_is_looked_at(bench: Bench, qtbot: Any) -> None:
    bench.layer.data[4] = blob()  # by somebody who does not even refresh
    for frame in (3, 5, 4):
        bench.viewer.dims.set_current_step(0, frame)
        assert bench.news == []
    qtbot.waitUntil(lambda: bench.news == [frozenset({4})])


def test_news_come_without_flushing(bench: Bench, qtbot: Any) -> None:
    paint(bench.layer, 2, 4, 4)
    bench.layer.refresh()
    qtbot.waitUntil(lambda: None in bench.news)
    assert bench.told == {2}


def test_in_another_view_all_painted_frames_are_told(bench: Bench) -> None:
    bench.viewer.dims.order = (1, 0, 2)  # frames are rows now
    paint(bench.layer, 3, 8, 8, size=3)
    bench.labels.flush()
    assert bench.told == {2, 3, 4}


def test_other_frames_of_a_fixed_axis_are_no_news() -> None:
    bench = Bench(np.zeros((3, *SHAPE), np.uint8), axis=1, fixed={0: 1})
    bench.viewer.dims.set_current_step(0, 0)
    bench.labels.flush()
    bench.news.clear()
    paint(bench.layer, 0, 2, 4, 4)
    bench.layer.data_setitem(tuple(np.array([n]) for n in (2, 3, 1, 1)), 1)
    bench.layer.undo()
    bench.layer.undo()
    bench.labels.flush()
    assert bench.told == set()
    bench.viewer.dims.set_current_step(0, 1)
    paint(bench.layer, 1, 3, 4, 4)
    bench.labels.flush()
    assert 3 in bench.told
    bench.labels.close()


# -- napari's undo after own writes ----------------------------------------------------


def test_undo_cannot_bring_back_pixels_from_before(bench: Bench) -> None:
    paint(bench.layer, 2, 6, 6, label=1)
    bench.labels.write(2, blob())
    bench.layer.undo()
    bench.layer.redo()
    assert_array_equal(bench.frame(2), blob())


def test_redo_cannot_either(bench: Bench) -> None:
    paint(bench.layer, 2, 6, 6, label=1)
    bench.layer.undo()
    bench.labels.write(2, blob())
    bench.layer.redo()
    assert_array_equal(bench.frame(2), blob())


def test_what_was_painted_on_other_frames_can_still_be_undone(bench: Bench) -> None:
    paint(bench.layer, 2, 6, 6, label=1)
    bench.viewer.dims.set_current_step(0, 3)
    paint(bench.layer, 3, 6, 6, label=2)
    bench.viewer.dims.set_current_step(0, 4)
    paint(bench.layer, 4, 6, 6, label=3)
    bench.labels.write(3, blob())
    bench.layer.undo()
    assert not bench.frame(4).any()
    bench.layer.undo()
    assert not bench.frame(2).any()
    assert_array_equal(bench.frame(3), blob())
    bench.layer.redo()
    bench.layer.redo()
    assert bench.frame(2).max() == 1
    assert bench.frame(4).max() == 3
    assert_array_equal(bench.frame(3), blob())


def test_a_correction_after_a_write_can_be_undone_exactly(bench: Bench) -> None:
    bench.labels.write(2, blob())
    paint(bench.layer, 2, 6, 6, label=1)
    erase(bench.layer, 2, 5, 5)
    bench.layer.undo()
    bench.layer.undo()
    bench.layer.undo()
    assert_array_equal(bench.frame(2), blob())


def test_one_frame_is_taken_out_of_strokes_through_several(bench: Bench) -> None:
    bench.labels.write(2, blob(3))
    bench.layer.n_edit_dimensions = 3
    paint(bench.layer, 2, 6, 6, label=1, size=5)  # a ball, with a mask
    painted = np.array(bench.layer.data)
    paint(bench.layer, 2, 6, 7, label=2, size=5)
    both = np.array(bench.layer.data)
    bench.labels.write(2, blob(9))
    bench.labels.write(3, blob(9))
    for act, expected in (
        (bench.layer.undo, painted),
        (bench.layer.undo, np.zeros_like(both)),
        (bench.layer.redo, painted),
        (bench.layer.redo, both),
    ):
        act()
        for frame in (2, 3):
            assert_array_equal(bench.frame(frame), blob(9))
        for frame in (0, 1, 4, 5):
            assert_array_equal(bench.frame(frame), expected[frame])


def test_one_frame_is_taken_out_of_a_full_box(bench: Bench) -> None:
    bench.layer.n_edit_dimensions = 3
    fill(bench.layer, 2, 6, 6, label=4)  # all of the stack, so napari keeps no mask
    bench.labels.write(2, blob())
    bench.layer.undo()
    assert_array_equal(bench.frame(2), blob())
    assert not np.array(bench.layer.data)[[0, 1, 3, 4, 5]].any()
    bench.layer.redo()
    assert_array_equal(bench.frame(2), blob())
    assert (np.array(bench.layer.data)[[0, 1, 3, 4, 5]] == 4).all()


def test_one_frame_is_taken_out_of_lists_of_pixels(bench: Bench) -> None:
    frames, rows = np.array([1, 2, 2, 3]), np.array([0, 1, 2, 3])
    bench.layer.data_setitem((frames, rows, rows), np.array([5, 6, 7, 8]))
    bench.labels.write(2, blob())
    bench.layer.undo()
    assert_array_equal(bench.frame(2), blob())
    assert not np.array(bench.layer.data)[[1, 3]].any()
    bench.layer.redo()
    assert_array_equal(bench.frame(2), blob())
    assert bench.frame(1)[0, 0] == 5
    assert bench.frame(3)[3, 3] == 8


def test_other_places_of_a_fixed_axis_stay_in_the_history() -> None:
    bench = Bench(np.zeros((3, *SHAPE), np.uint8), axis=1, fixed={0: 1})
    bench.layer.n_edit_dimensions = 4
    paint(bench.layer, 1, 2, 6, 6, size=5)
    bench.labels.write(2, blob())
    bench.layer.undo()
    assert_array_equal(bench.layer.data[1, 2], blob())
    bench.layer.data[1, 2] = 0
    assert not bench.layer.data.any()
    bench.labels.close()


def test_edits_that_cannot_be_told_drop_the_whole_history(bench: Bench) -> None:
    paint(bench.layer, 3, 6, 6)
    bench.layer._undo_history.append([("something", "new")])
    bench.labels.write(2, blob())
    assert not bench.layer._undo_history
    assert bench.is_suspected


def test_that_history_is_shortened_is_told_once(bench: Bench) -> None:
    told: list[None] = []
    bench.labels.history_shortened.connect(lambda: told.append(None))
    bench.labels.write(3, blob())
    assert told == []
    for frame in (2, 3):
        paint(bench.layer, frame, 6, 6)
        bench.labels.write(frame, blob())
    assert told == [None]


def test_a_write_in_the_middle_of_a_stroke_is_not_in_its_history(bench: Bench) -> None:
    """A stroke may wipe off all of a frame, so that a run may write it."""
    layer = bench.layer
    layer.n_edit_dimensions = 3
    paint(layer, 2, 4, 4, label=3)
    before = bench.frame(3)
    assert before.any()
    stroke = Stroke(layer, 2, 4, 4, mode="erase")
    bench.labels.write(2, blob())
    stroke.release()
    for act in (layer.undo, layer.redo, layer.undo, layer.undo):
        act()
        assert_array_equal(bench.frame(2), blob())
    layer.redo()
    assert_array_equal(bench.frame(3), before)


def test_undo_cannot_write_old_pixels_into_new_data(bench: Bench) -> None:
    paint(bench.layer, 2, 6, 6)
    new = np.full(SHAPE, 3, np.uint16)
    bench.layer.data = new
    bench.layer.undo()
    assert (new == 3).all()
    paint(bench.layer, 2, 6, 6, label=1)
    bench.layer.data = bench.layer.data  # the same: it still fits
    bench.layer.undo()
    assert (new == 3).all()


def test_edits_from_before_the_dock_was_opened_are_known() -> None:
    layer = Labels(np.zeros(SHAPE, np.uint8))
    layer.paint((2, 6, 6), 1)
    labels = LabelsLayer(layer, 0)
    labels.write(2, blob())
    layer.undo()
    assert_array_equal(layer.data[2], blob())
    labels.close()


# -- the view --------------------------------------------------------------------------


def refreshes(bench: Bench) -> list[object]:
    seen: list[object] = []
    bench.layer.events.set_data.connect(seen.append)
    return seen


def test_the_view_follows_what_is_written_to_the_shown_frame(
    bench: Bench, qtbot: Any
) -> None:
    seen = refreshes(bench)
    bench.labels.write(2, blob())
    assert seen == []
    qtbot.waitUntil(lambda: len(seen) == 1)
    assert_array_equal(bench.layer._slice.image.raw, blob())
    assert bench.news == []


def test_other_frames_do_not_refresh_the_view(bench: Bench, qtbot: Any) -> None:
    seen = refreshes(bench)
    for frame in (0, 1, 3, 4, 5):
        bench.labels.write(frame, blob())
    qtbot.wait(120)
    assert seen == []


def test_the_view_is_refreshed_twenty_times_a_second_at_most(
    bench: Bench, qtbot: Any
) -> None:
    seen = refreshes(bench)
    started = time.monotonic()
    for _ in range(40):
        bench.labels.write(2, blob())
        qtbot.wait(5)
    assert 1 <= len(seen) <= (time.monotonic() - started) * 20
    bench.labels.write(2, blob(3))
    bench.labels.flush()
    assert_array_equal(bench.layer._slice.image.raw, blob(3))


def test_in_3d_all_frames_are_shown(bench: Bench) -> None:
    bench.viewer.dims.ndisplay = 3
    seen = refreshes(bench)
    bench.labels.write(5, blob())
    bench.labels.flush()
    assert len(seen) == 1


def test_a_refresh_does_not_disturb_a_stroke(bench: Bench) -> None:
    bench.layer.brush_size = 1
    stroke = Stroke(bench.layer, 2, 3, 3)
    bench.labels.write(4, blob())
    bench.viewer.dims.set_current_step(0, 4)
    bench.viewer.dims.set_current_step(0, 2)
    bench.labels.flush()
    stroke.move(2, 3, 8)
    stroke.release()
    assert bench.frame(2)[3, 3:9].all()
    bench.layer.undo()
    assert not bench.frame(2).any()
    assert_array_equal(bench.frame(4), blob())


# -- belonging to an image, and letting go ---------------------------------------------


def test_frames_are_found_in_labels_like_the_image() -> None:
    four = Image(np.zeros((2, 3, 8, 9)), name="cells")
    stack = ImageStack(four, 1, fixed={0: 1})
    for shape, place in (
        ((2, 3, 8, 9), (1, 2)),
        ((1, 3, 8, 9), (0, 2)),
        ((3, 8, 9), (2,)),
        ((1, 2, 3, 8, 9), (0, 1, 2)),
        ((1, 1, 1, 3, 8, 9), (0, 0, 0, 2)),
    ):
        data = np.zeros(shape, np.uint8)
        labels = LabelsLayer.of_stack(stack, Labels(data))
        labels.write(2, np.ones((8, 9), np.uint8))
        assert data[place].all()
        assert data.sum() == 72
        labels.close()
    for shape in ((3, 3, 8), (2, 8, 9), (8, 9), (2, 2, 3, 8, 9), (2, 4, 8, 9)):
        layer = Labels(np.zeros(shape, np.uint8), name="others")
        with pytest.raises(
            ValueError, match="Expected labels of 3 frames of 8 x 9, as"
        ):
            LabelsLayer.of_stack(stack, layer)
    over_time = ImageStack(four, 0, fixed={1: 1})
    with pytest.raises(ValueError, match="as in cells, got others of shape"):
        LabelsLayer.of_stack(over_time, Labels(np.zeros((3, 8, 9), int), name="others"))


@pytest.mark.parametrize("num_more", [1, 2])
def test_first_axes_of_length_1_do_not_count(num_more: int) -> None:
    viewer = ViewerModel()
    viewer.add_image(np.zeros((5, 8, 9)))
    layer = viewer.add_labels(np.zeros((*(1,) * num_more, 5, 8, 9), np.uint8))
    labels = LabelsLayer.of_stack(ImageStack(viewer.layers[0], 0), layer)
    told: list[Any] = []
    labels.changed.connect(told.append)
    assert (len(labels), labels.frame_shape) == (5, (8, 9))
    navigation = Navigation(viewer, layer, labels.axes)
    navigation.go_to(3)
    assert (navigation.current, shown_frames(layer, labels.axes)) == (3, {3})
    layer.paint((*(0,) * num_more, 3, 4, 4), 2)
    assert told == [{3}]
    assert labels.read(3).max() == 2
    labels.close()


def test_frames_are_found_beside_channels() -> None:
    stack = ImageStack(Image(np.zeros((4, 3, 8, 9))), 0, channel_axis=1, channels=[2])
    data = np.zeros((4, 1, 8, 9), np.uint8)
    labels = LabelsLayer.of_stack(stack, Labels(data))
    labels.write(3, np.ones((8, 9), np.uint8))
    assert data[3].all()
    labels.close()


def test_a_lone_image_has_one_frame_of_labels() -> None:
    stack = ImageStack(Image(np.zeros((8, 9, 3), np.uint8), rgb=True), None)
    labels = LabelsLayer.of_stack(stack, Labels(np.zeros((8, 9), int)))
    assert (len(labels), labels.frame_shape) == (1, (8, 9))
    labels.close()


def test_nothing_is_told_or_shown_after_closing(bench: Bench, qtbot: Any) -> None:
    seen = refreshes(bench)
    bench.labels.write(2, blob())
    paint(bench.layer, 2, 6, 6)
    bench.layer.data = bench.layer.data
    bench.news.clear()
    seen.clear()
    bench.labels.close()
    paint(bench.layer, 2, 3, 3)
    bench.layer.undo()
    qtbot.wait(400)
    assert bench.news == []
    assert len(seen) == 1  # of undo
    assert_array_equal(bench.labels.read(3), bench.frame(3))  # still of use


def test_it_goes_when_it_is_closed() -> None:
    layer = Labels(np.zeros(SHAPE, np.uint8))
    labels = LabelsLayer(layer, 0)
    labels.write(2, blob())
    gone = weakref.ref(labels)
    labels.close()
    del labels
    gc.collect()
    assert gone() is None


def test_a_stroke_that_goes_on_where_a_run_wrote_is_told_again() -> None:
    """Its first dab changed nothing, so that the run was free to write."""
    work = Work()
    work.open(on_disk=False, axis=0)
    work.run(frame=0, label=2, row=0, anyway=False)
    work.press(place=(0, 0, 0), label=2, size=3, depth=False)
    work.run(frame=0, label=0, row=0, anyway=False)
    work.move(place=(0, 0, 0))
    work.run(frame=0, label=0, row=0, anyway=False)
    assert work.theirs == {0}
    assert work.present()[0, 0, 0] == 2
    work.teardown()


def test_a_stroke_that_goes_on_is_told_again_before_a_run_writes() -> None:
    """Its first dab changed nothing there, so that the frame was still a run's."""
    work = Work()
    work.open(on_disk=False, axis=0)
    work.look_elsewhere(frame=0, rolls=True)  # a dab reaches into several frames
    work.run(frame=0, label=2, row=4, anyway=False)
    work.press(place=(0, 6, 0), label=2, size=3, depth=False)
    assert work.theirs == {1}
    work.move(place=(0, 0, 0))
    work.run(frame=0, label=0, row=0, anyway=False)
    assert work.theirs == {0, 1}
    assert work.present()[0, 0, 0] == 2
    work.teardown()


def test_a_removed_or_renamed_layer_stays_of_use(bench: Bench) -> None:
    bench.layer.name = "renamed"
    bench.viewer.layers.clear()
    bench.labels.write(2, blob())
    bench.labels.flush()
    assert bench.labels.name == "renamed"
    assert_array_equal(bench.labels.read(2), blob())


# -- whatever is done, in whatever order -----------------------------------------------

frames = st.integers(0, 2)
places = st.tuples(frames, st.integers(0, 7), st.integers(0, 7))
ids = st.integers(0, 3)


class Work(RuleBasedStateMachine):
    """A person, other plugins and runs, all at one layer.

    Runs trust the news alone, with no look at a frame before they write it.
    """

    @initialize(on_disk=st.booleans(), axis=st.sampled_from([0, 1]))
    def open(self, on_disk: bool, axis: int) -> None:
        shape = (3, 8, 8) if axis == 0 else (8, 3, 8)
        data: Any = np.zeros(shape, np.uint8)
        if on_disk:
            data = zarr.array(data, chunks=(1, 8, 8))
        self.axis = axis
        self.viewer = ViewerModel()
        self.layer = self.viewer.add_labels(data)
        self.layer.brush_size = 3
        self.labels = LabelsLayer(self.layer, axis)
        self.known = self.present()  # the frames as a session knows them
        self.theirs: set[int] = set()  # frames that it knows others have changed
        self.written: dict[int, np.ndarray] = {}  # and that nobody has changed since
        self.stroke: Stroke | None = None
        self.is_silent = False  # something was done that is told when it is shown
        self.labels.changed.connect(self.hear)

    def present(self) -> np.ndarray:
        return np.moveaxis(np.array(self.layer.data), self.axis, 0)

    def place(self, place: tuple[int, int, int]) -> tuple[int, ...]:
        frame, row, column = place
        return (frame, row, column) if self.axis == 0 else (row, frame, column)

    def hear(self, news: frozenset[int] | None) -> None:
        present = self.present()
        for frame in range(3) if news is None else news:
            if not (present[frame] == self.known[frame]).all():
                self.known[frame] = present[frame]
                self.theirs.add(frame)

    def others(self, before: np.ndarray) -> None:
        """Note which frames an act of others has changed."""
        changed = (self.present() != before).any(axis=(1, 2))
        for frame in np.flatnonzero(changed):
            self.written.pop(int(frame), None)

    @rule(place=places, label=ids, size=st.sampled_from([1, 3]), depth=st.booleans())
    @precondition(lambda self: self.stroke is None)
    def press(
        self, place: tuple[int, int, int], label: int, size: int, depth: bool
    ) -> None:
        before = self.present()
        self.layer.n_edit_dimensions = 3 if depth else 2
        self.layer.selected_label, self.layer.brush_size = label, size
        self.stroke = Stroke(self.layer, *self.place(place))
        self.others(before)

    @rule(place=places)
    @precondition(lambda self: self.stroke is not None)
    def move(self, place: tuple[int, int, int]) -> None:
        before = self.present()
        assert self.stroke is not None
        self.stroke.move(*self.place(place))
        self.others(before)

    @rule()
    @precondition(lambda self: self.stroke is not None)
    def release(self) -> None:
        assert self.stroke is not None
        self.stroke.release()
        self.stroke = None

    @rule(place=places, label=ids, refresh=st.booleans())
    @precondition(lambda self: self.stroke is None)
    def fill(self, place: tuple[int, int, int], label: int, refresh: bool) -> None:
        before = self.present()
        self.layer.fill(self.place(place), label, refresh=refresh)
        self.others(before)

    @rule(some=st.lists(places, min_size=1, max_size=5, unique=True), label=ids)
    @precondition(lambda self: self.stroke is None and self.layer.visible)
    def set_items(self, some: list[tuple[int, int, int]], label: int) -> None:
        before = self.present()
        pixels = np.array([self.place(place) for place in some]).T
        self.layer.data_setitem(tuple(pixels), label)
        self.others(before)

    @rule(is_undo=st.booleans())
    def undo(self, is_undo: bool) -> None:
        before = self.present()
        (self.layer.undo if is_undo else self.layer.redo)()
        for frame, labels in self.written.items():
            assert_array_equal(self.present()[frame], labels)
        self.others(before)

    @rule(frame=frames, label=ids, refresh=st.booleans())
    def another_plugin(self, frame: int, label: int, refresh: bool) -> None:
        before = self.present()
        index = self.labels.axes.index(frame)
        self.layer.data[index] = label
        self.layer.refresh()
        self.is_silent |= not self.layer.visible
        self.others(before)

    @rule(label=ids)
    @precondition(lambda self: self.stroke is None)
    def new_data(self, label: int) -> None:
        before = self.present()
        data = np.array(self.layer.data)
        data[data == 1] = label
        self.layer.data = data
        self.others(before)

    @rule()
    def show_or_hide(self) -> None:
        self.layer.visible = not self.layer.visible
        if self.layer.visible:
            self.is_silent = False

    @rule(frame=frames, rolls=st.booleans())
    @precondition(lambda self: self.stroke is None)
    def look_elsewhere(self, frame: int, rolls: bool) -> None:
        self.viewer.dims.set_current_step(self.axis, frame)
        if rolls:
            self.viewer.dims.roll()

    @rule(frame=frames, label=ids, row=st.integers(0, 7), anyway=st.booleans())
    def run(self, frame: int, label: int, row: int, anyway: bool) -> None:
        """Do what a run does when it has predicted a frame."""
        self.labels.flush()
        if self.is_silent:
            return
        # A frame in a stroke may have gone on since it was told, but it was told.
        stale = (self.present() != self.known).any(axis=(1, 2))
        assert set(np.flatnonzero(stale)) <= self.theirs
        assert self.stroke is not None or not stale.any()
        if anyway and self.stroke is None:
            self.theirs.discard(frame)  # a person asks for it
        if frame in self.theirs:
            return
        labels = np.zeros((8, 8), np.uint8)
        labels[row:] = label
        self.labels.write(frame, labels)
        self.known[frame] = self.written[frame] = labels

    def teardown(self) -> None:
        if hasattr(self, "labels"):
            for _ in range(200):
                self.layer.undo()
            for frame, labels in self.written.items():
                assert_array_equal(self.present()[frame], labels)
            self.labels.close()


# A share of the examples finds what is badly broken; the slow tests run all of them.
@pytest.mark.parametrize("share", [0.2, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_is_lost_whatever_is_done(share: float) -> None:
    run_state_machine_as_test(
        Work, settings=settings(max_examples=int(50 * share), stateful_step_count=30)
    )
