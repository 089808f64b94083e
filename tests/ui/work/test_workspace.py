"""The session that is active follows the layers that are chosen."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from napari.layers import Labels

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.frames import labelled_frames
from napari_seggpt.settings import ContrastSettings
from napari_seggpt.ui.layers.frame_axes import axis_pair
from napari_seggpt.ui.layers.labels_watcher import ANY_FRAME_DELAY_MS
from napari_seggpt.ui.work import actions
from napari_seggpt.ui.work.about_layers import about
from napari_seggpt.ui.work.messages import Tone
from napari_seggpt.ui.work.preferences import Preferences
from napari_seggpt.ui.work.workspace import Workspace

LENGTH, SIDE = 4, 12
WAIT_MS = 20_000


class Listener:
    """Hears of the statuses of whichever session is active."""

    def __init__(self, workspace):
        self.heard = []
        workspace.follow(self.connections)

    def connections(self, active):
        yield active.session.frames.statuses_changed, self.heard.extend


@pytest.fixture
def workspace(viewer_model, models, predictor):
    viewer = viewer_model
    viewer.add_image(np.zeros((LENGTH, SIDE, SIDE), np.uint8), name="stack")
    for name in ("mine", "others"):
        viewer.add_labels(np.zeros((LENGTH, SIDE, SIDE), np.uint8), name=name)
    workspace = Workspace(viewer, Preferences(), models=models)
    yield workspace
    workspace.close()


def choose(workspace, name, qtbot):
    """Work on the image and a labels layer."""
    layers = workspace.viewer.layers
    workspace.choose_image(layers["stack"], [])
    workspace.choose(replace(workspace.choice, labels=layers[name]))
    qtbot.waitUntil(lambda: not workspace.active.is_scanning, timeout=WAIT_MS)
    return workspace.active


def paint(active, frame):
    active.labels.layer.data[frame, 2:6, 2:6] = 1
    active.session.frames.labels_changed([frame])


def test_who_follows_hears_of_the_active_session_only(workspace, qtbot):
    listener = Listener(workspace)
    first = choose(workspace, "mine", qtbot)
    paint(first, 1)
    assert listener.heard == [1]
    second = choose(workspace, "others", qtbot)
    paint(first, 2)
    assert listener.heard == [1]
    paint(second, 3)
    assert listener.heard == [1, 3]
    workspace.close()
    paint(second, 0)
    assert listener.heard == [1, 3]


def test_a_film_from_a_file_is_followed_in_time(workspace, tmp_path, qtbot):
    film = np.zeros((4, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "film.tif", film, imagej=True, metadata={"axes": "TYX"})
    (image,) = workspace.viewer.open(tmp_path / "film.tif", plugin="napari")
    mine = workspace.viewer.add_labels(np.zeros(film.shape, np.uint16))
    workspace.choose_image(image, [])
    workspace.choose(replace(workspace.choice, labels=mine))
    assert workspace.active.frame_axis == "t"
    qtbot.waitUntil(lambda: not workspace.active.is_scanning, timeout=WAIT_MS)


@pytest.mark.parametrize(
    ("axes", "names", "line"),
    [
        ("tzyx", ["t", "z"], 1),
        ("zpyx", ["p", "z"], 1),
        ("tpyx", ["t", "p"], 0),
    ],
)
def test_objects_are_followed_in_time_or_depth_not_from_place_to_place(
    workspace, qtbot, axes, names, line
):
    shape = (2, 3, SIDE, SIDE)
    viewer = workspace.viewer
    image = viewer.add_image(np.zeros(shape, np.uint8), axis_labels=list(axes))
    labels = viewer.add_labels(np.zeros(shape, np.uint8))
    pair = axis_pair(image)
    workspace.choose_image(image, [])
    workspace.choose(replace(workspace.choice.with_axis(pair), labels=labels))
    active = workspace.active
    qtbot.waitUntil(lambda: not active.is_scanning, timeout=WAIT_MS)
    assert active.axis_names == names
    lines = active.session._planner.lines("all")
    assert lines.axis == line
    at = active.labels.axes.places
    one, next_one = (at(frame) for frame in lines.frames_of(0)[:2])
    changed = [axes[axis] for axis in pair if one[axis] != next_one[axis]]
    assert changed == ["t" if axes == "tpyx" else "z"]
    known = about(active)
    assert known.labels_axes.outer == axes.index(names[0])
    assert known.labels_axes.times == shape[axes.index(names[0])]


def test_who_follows_late_hears_of_the_session_that_is_active(workspace, qtbot):
    active = choose(workspace, "mine", qtbot)
    listener = Listener(workspace)
    paint(active, 2)
    assert listener.heard == [2]


def test_a_session_that_was_left_is_found_again(workspace, qtbot):
    first = choose(workspace, "mine", qtbot)
    paint(first, 1)
    second = choose(workspace, "others", qtbot)
    assert second is not first
    assert choose(workspace, "mine", qtbot) is first
    assert workspace.session.frames.status(1) is FrameStatus.REFERENCE
    assert workspace.session.frames.count(FrameStatus.REFERENCE) == 1


def test_a_session_sees_what_another_one_wrote_into_its_labels(workspace, qtbot):
    layers = workspace.viewer.layers
    first = choose(workspace, "mine", qtbot)
    paint(first, 1)
    other = workspace.viewer.add_image(np.ones((LENGTH, SIDE, SIDE)), name="other")
    workspace.choose_image(other, [])
    workspace.choose(replace(workspace.choice, labels=layers["mine"]))
    second = workspace.active
    assert second is not first
    qtbot.waitUntil(lambda: not second.is_scanning, timeout=WAIT_MS)
    (result,) = second.session.start("frame", 3).results()
    assert second.session.runs.commit(result)
    second.session.runs.finish()
    assert choose(workspace, "mine", qtbot) is first
    assert first.session.frames.status(3) is FrameStatus.STALE
    assert second.session.frames.status(3) is FrameStatus.PREDICTED


def test_labels_that_do_not_fit_are_a_problem_and_no_session(workspace):
    choice = workspace.choice
    workspace.choose_image(workspace.viewer.layers["stack"], [])
    small = Labels(np.zeros((LENGTH, 3, 3), np.uint8), name="small")
    workspace.choose(replace(workspace.choice, labels=small))
    assert workspace.active is None
    assert "small" in workspace.problem
    workspace.choose(choice)
    assert workspace.problem is None


@pytest.mark.parametrize("names", [("stack", "mine"), ("mine", "stack")])
@pytest.mark.parametrize("is_active", [True, False])
def test_layers_that_have_both_another_shape_are_worked_on_again(
    workspace, qtbot, names, is_active
):
    layers = workspace.viewer.layers
    first = choose(workspace, "mine", qtbot)
    choice = workspace.choice
    if not is_active:
        other = workspace.viewer.add_image(np.ones((LENGTH, SIDE, SIDE)), name="other")
        workspace.choose_image(other, [layers["others"]])
    there = workspace.active
    smaller, larger = (np.zeros((2, 5, 5), np.uint8), np.zeros((3, 7, 7), np.uint8))
    layers[names[0]].data = smaller
    assert workspace.active is (None if is_active else there)
    assert bool(workspace.problem) is is_active
    layers[names[1]].data = smaller
    if not is_active:
        workspace.choose(choice)
    assert workspace.problem is None
    assert workspace.active is not first
    assert len(workspace.session) == 2
    layers[names[0]].data = larger
    assert workspace.problem
    workspace.close()
    layers[names[1]].data = larger
    assert workspace.active is None


@pytest.mark.parametrize(
    "act",
    [actions.run_or_pause, actions.toggle_reference, actions.review_next],
)
def test_without_a_session_it_is_said_what_is_missing(workspace, act):
    act(workspace)
    assert "Choose an image" in workspace.message.text
    assert workspace.message.tone is Tone.WARNING


def test_a_message_goes_when_a_person_goes_on(workspace, qtbot):
    active = choose(workspace, "mine", qtbot)
    workspace.show_message("<b>done</b>", Tone.GOOD)
    assert workspace.message.text == "&lt;b&gt;done&lt;/b&gt;"
    paint(active, 0)
    assert workspace.message is None


def test_a_message_is_of_bounded_length_and_obeys_no_file(workspace):
    workspace.show_message(f"Expected ids, got \x1b[31m{'<b>' * 40_000}.", Tone.ERROR)
    text = workspace.message.text
    assert text.startswith("Expected ids, got \\x1b[31m&lt;b&gt;")
    assert len(text) < 5000


def test_the_settings_reach_the_session_and_are_remembered(workspace, qtbot):
    active = choose(workspace, "mine", qtbot)
    changed = replace(workspace.settings, corrections_become_references=False)
    workspace.settings = changed
    assert active.session.settings == changed
    assert Preferences().load_settings() == changed


def test_channels_are_remembered_for_images_of_a_kind(viewer_model, models):
    viewer, axes = viewer_model, ("t", "c", "y", "x")
    made = [
        viewer.add_image(np.zeros((2, count, 8, 8), np.uint8), axis_labels=axes)
        for count in (4, 4, 2)
    ]
    for each in range(2):  # in this session of napari and in the next
        workspace = Workspace(viewer, Preferences(), models=models)
        workspace.choose_image(made[0], [])
        assert workspace.choice.channels == ((0, 1, 2), (3, 1))[each]
        workspace.choose(replace(workspace.choice, channels=(3, 1)))
        workspace.choose_image(made[1], [])
        assert workspace.choice.channels == (3, 1)
        workspace.choose_image(made[2], [])  # of another kind
        assert workspace.choice.channels == (0, 1)
        workspace.close()


def test_settings_are_remembered_for_images_of_a_kind(make_napari_viewer, models):
    viewer = make_napari_viewer()
    grey, other, fine = (
        viewer.add_image(np.zeros((2, 8, 8), dtype), axis_labels=("z", "y", "x"))
        for dtype in (np.uint8, np.uint8, np.uint16)
    )
    workspace = Workspace(viewer, Preferences(), models=models)
    workspace.choose_image(grey, [])
    assert workspace.message is None
    usual = workspace.settings
    narrow = replace(usual, contrast=ContrastSettings(percentiles=(5.0, 95.0)))
    workspace.settings = replace(narrow, model="some.safetensors")
    workspace.choose_image(fine, [])
    wide = ContrastSettings(percentiles=(0.0, 100.0))
    workspace.settings = replace(workspace.settings, contrast=wide, model="builtin")
    workspace.choose_image(other, [])
    assert workspace.settings == replace(narrow, model="builtin")  # the model stays
    assert "for such images" in workspace.message.text
    assert workspace.message.tone is Tone.GOOD
    workspace.close()
    again = Workspace(viewer, Preferences(), models=models)
    again.choose_image(fine, [])
    assert again.settings.contrast == wide
    again.choose_image(grey, [])
    assert again.settings.contrast == narrow.contrast
    again.close()


def test_what_is_kept_of_a_kind_may_be_nonsense(make_napari_viewer, models):
    viewer = make_napari_viewer()
    image = viewer.add_image(np.zeros((2, 8, 8), np.uint8), axis_labels=("z", "y", "x"))
    preferences = Preferences()
    preferences._write("kinds", {"grey, uint8, z": 7})
    workspace = Workspace(viewer, preferences, models=models)
    workspace.choose_image(image, [])
    assert workspace.choice.image_kind == "grey, uint8, z"
    assert workspace.settings == Preferences().load_settings()
    workspace.close()


def test_what_is_approved_in_one_session_is_kept_by_others_of_its_labels(
    workspace, qtbot
):
    viewer = workspace.viewer
    film = viewer.add_image(
        np.zeros((2, 3, SIDE, SIDE), np.uint8), name="film", axis_labels=list("tzyx")
    )
    labels = viewer.add_labels(np.zeros((2, 3, SIDE, SIDE), np.uint8), name="cells")
    workspace.choose_image(film, [])
    whole = replace(workspace.choice, labels=labels)
    workspace.choose(whole)
    film_session = workspace.active
    qtbot.waitUntil(lambda: not film_session.is_scanning, timeout=WAIT_MS)
    labels.data[0, 0, 2:6, 2:6] = 1
    session = film_session.session
    session.frames.labels_changed([0])
    for result in session.start("all", 0).results():
        session.runs.commit(result)
    session.runs.finish()
    assert session.frames.status(4) is FrameStatus.PREDICTED

    workspace.choose(whole.with_axis(1, (1, 0, 0, 0)))  # the volume at the second time
    volume_session = workspace.active
    assert len(volume_session.session) == 3
    qtbot.waitUntil(lambda: not volume_session.is_scanning, timeout=WAIT_MS)
    volume_session.session.frames.approve(1)

    workspace.choose(whole)
    assert workspace.active is film_session
    assert session.frames.status(4) is FrameStatus.APPROVED
    assert session.frames.status(3) is FrameStatus.PREDICTED  # it was only seen
    assert 4 not in session.runs.undo()
    assert labels.data[1, 1].any()
    assert not labels.data[1, 0].any()


@pytest.fixture
def two_images(workspace, qtbot):
    """Enters a session on the same labels by the name of its image."""
    viewer = workspace.viewer
    viewer.add_image(np.ones((LENGTH, SIDE, SIDE)), name="other")
    labels = viewer.layers["mine"]
    labels.data[1, 2:6, 2:6] = 1

    def enter(name):
        workspace.choose_image(viewer.layers[name], [])
        workspace.choose(replace(workspace.choice, labels=labels))
        active = workspace.active
        qtbot.waitUntil(lambda: not active.is_scanning, timeout=WAIT_MS)
        return active

    return enter


def run(active, qtbot, scope="all", frame=0):
    """Have a run write, with all that comes of it; returns what was written."""
    results = active.session.start(scope, frame).results()
    written = [r.index for r in results if active.session.runs.commit(r)]
    active.session.runs.finish()
    refresh(active, qtbot)
    return written


def refresh(active, qtbot):
    """Have whoever watches the labels take note."""
    active.labels.flush()
    qtbot.wait(2 * ANY_FRAME_DELAY_MS)


def test_what_a_run_writes_late_is_nobody_s_in_another_session(
    two_images, predictor, monkeypatch, qtbot
):
    first = two_images("stack")
    begun, may_end = threading.Event(), threading.Event()
    predict = predictor._predict

    def waiting(self, frame, index):
        if index == 2:
            begun.set()
            assert may_end.wait(WAIT_MS / 1000)
        return predict(self, frame, index)

    monkeypatch.setattr(predictor, "_predict", waiting)
    first.runs.start("all", 1)
    qtbot.waitUntil(begun.is_set, timeout=WAIT_MS)
    second = two_images("other")
    assert first.is_busy
    may_end.set()
    qtbot.waitUntil(lambda: not first.is_busy, timeout=WAIT_MS)
    assert first.session.frames.status(2) is FrameStatus.PREDICTED
    refresh(second, qtbot)
    second.session.frames.take_scan(*second.session.frames.scan())
    assert second.session.frames.status(2) is FrameStatus.STALE
    assert second.session.references.used_frames == [1]
    assert first.session.frames.status(2) is FrameStatus.PREDICTED


def shift_predictions(predictor, monkeypatch):
    """Have other labels predicted from now on."""
    predict = predictor._predict

    def shifted(self, frame, index):
        found = predict(self, frame, index)
        return replace(found, labels=np.roll(found.labels, 3, axis=0))

    monkeypatch.setattr(predictor, "_predict", shifted)


@pytest.mark.parametrize("is_long", [False, True])
def test_what_one_session_predicts_is_no_correction_in_another(
    two_images, predictor, monkeypatch, qtbot, is_long
):
    if is_long:  # a worker looks at frames
        monkeypatch.setattr(labelled_frames, "MAX_PIXELS_READ_AT_ONCE", 0)
    first = two_images("stack")
    assert run(first, qtbot) == [0, 2, 3]
    second = two_images("other")
    shift_predictions(predictor, monkeypatch)
    assert run(second, qtbot) == [0, 2, 3]  # over the predictions of the first
    refresh(second, qtbot)
    stale = FrameStatus.STALE, FrameStatus.REFERENCE, *[FrameStatus.STALE] * 2
    assert first.session.frames.statuses == stale
    assert two_images("stack") is first
    assert first.session.frames.statuses == stale
    shift_predictions(predictor, monkeypatch)
    assert run(first, qtbot) == [0, 2, 3]
    assert two_images("other") is second
    assert second.session.frames.statuses == stale
    second.session.runs.undo()  # another session has written since
    assert second.session.frames.statuses == stale


def test_a_locked_label_keeps_its_pixels_whatever_image_is_worked_on(two_images, qtbot):
    first = two_images("stack")
    assert run(first, qtbot) == [0, 2, 3]
    first.session.frames.locks.lock(1)
    second = two_images("other")
    labels = second.labels.layer.data
    labels[1] = 0
    labels[1, 8:11, 2:6] = 1  # elsewhere than what was predicted
    second.session.frames.labels_changed([1])
    assert run(second, qtbot) == [0, 2, 3]
    for frame in (0, 2, 3):
        assert labels[frame, 2:6, 2:6].all()
        assert not labels[frame, 8:11].any()
    second.session.frames.locks.unlock(1)
    assert not first.session.frames.locks.labels


def test_locks_follow_the_layer_from_axis_to_axis(workspace, qtbot):
    first = choose(workspace, "mine", qtbot)
    first.session.frames.locks.lock(2)
    across = workspace.choice.with_axis(1)
    workspace.choose(across)  # which closes a session in which nobody labelled
    assert workspace.active is not first
    assert workspace.session.frames.locks.labels == {2}
    workspace.choose(replace(across, labels=workspace.viewer.layers["others"]))
    assert not workspace.session.frames.locks.labels


def test_what_one_session_undoes_is_no_correction_in_another(two_images, qtbot):
    first = two_images("stack")
    second = two_images("other")
    run(second, qtbot)
    assert two_images("stack") is first
    assert first.session.frames.status(3) is FrameStatus.STALE
    assert two_images("other") is second
    second.session.runs.undo()
    refresh(second, qtbot)
    assert two_images("stack") is first
    assert first.session.frames.status(3) is FrameStatus.EMPTY
    assert first.session.frames.protected == {1}


def test_a_stroke_is_a_persons_in_every_session(two_images, qtbot):
    first = two_images("stack")
    run(first, qtbot)
    second = two_images("other")
    run(second, qtbot)
    second.labels.layer.data[3, 9:, 9:] = 2  # nobody is told
    assert two_images("stack") is first
    assert first.session.frames.protected == {1, 3}
    first.labels.layer.paint((0, 10, 10), 2)
    refresh(first, qtbot)
    assert two_images("other") is second
    assert second.session.frames.protected == {0, 1, 3}
    assert run(second, qtbot) == [2]


def test_what_a_run_completed_is_an_example_in_no_session(two_images, qtbot):
    first = two_images("stack")
    second = two_images("other")
    second.labels.layer.data[2, 2:8, 2:6] = 1
    second.labels.layer.data[2, 9:, 9:] = 2
    second.labels.layer.refresh()
    refresh(second, qtbot)
    (result,) = second.session.complete(1).results()
    assert second.session.runs.commit(result)
    second.session.runs.finish()
    refresh(second, qtbot)
    assert second.session.frames.record(1).is_completed
    assert two_images("stack") is first
    assert first.session.frames.status(1) is FrameStatus.CORRECTED
    assert first.session.references.used_frames == [2]


def test_labels_that_are_cut_one_way_are_not_cut_another_way(workspace, qtbot):
    layers = workspace.viewer.layers
    layers["stack"].axis_labels = ("z", "y", "x")
    first = choose(workspace, "mine", qtbot)
    paint(first, 1)
    across = workspace.choice.with_axis(1)
    assert workspace.choice.spanned == (1, 2)
    assert across.spanned == (0, 2)
    workspace.choose(across)
    assert workspace.active is None
    assert "mine" in workspace.problem
    assert "New" in workspace.problem
    workspace.choose(replace(across, labels=layers["others"]))
    assert len(workspace.session) == SIDE
    workspace.choose(first.choice)
    assert workspace.active is first


def test_slices_that_were_only_looked_at_do_not_bar_other_ways_to_cut(workspace, qtbot):
    first = choose(workspace, "mine", qtbot)
    across = workspace.choice.with_axis(1)
    workspace.choose(across)
    workspace.choose(first.choice)
    mine = workspace.active
    mine.labels.layer.paint((1, 4, 4), 1)
    qtbot.wait(50)  # whoever watches the layer hears of it
    workspace.choose(replace(mine.choice, labels=workspace.viewer.layers["others"]))
    workspace.choose(mine.choice)
    assert workspace.active is mine
    assert workspace.problem is None
