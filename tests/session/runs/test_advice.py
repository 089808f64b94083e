from dataclasses import replace

import numpy as np
import pytest

from napari_seggpt.session import misfit
from napari_seggpt.session.runs.region import Region


def test_each_reference_is_checked_against_the_others(session, blob, label):
    for frame in (0, 2, 5):
        label(session, frame, blob())
    checked = list(session.advice.check_references())
    assert [each.key for each in checked] == [0, 2, 5, 0, 2, 5]
    assert all(each.dice == {1: 1.0} for each in checked)
    assert [each.gain for each in checked] == [None] * 3 + [0.0] * 3
    assert misfit(checked) is None


def test_the_odd_one_is_found(session, blob, label):
    """The predictor takes the labels of the nearest reference."""
    for frame in (0, 4, 5):
        label(session, frame, blob())
    label(session, 1, blob(at=0, size=2))
    checked = list(session.advice.check_references())
    assert [each.score for each in checked[:4]] == [0.0, 0.0, 1.0, 1.0]
    assert misfit(checked).key == 1


def test_examples_from_elsewhere_take_part(session, blob, label):
    from napari_seggpt.prompts import Prompt

    label(session, 0, blob())
    session.references.add_example(
        Prompt(image=np.zeros((8, 8)), labels=blob()), "other"
    )
    assert [each.key for each in session.advice.check_references()] == [0, "other"]


def test_a_check_needs_two_and_no_run(session, blob, label):
    label(session, 0, blob())
    with pytest.raises(ValueError, match="Expected 2 or more references"):
        session.advice.check_references()
    label(session, 1, blob())
    session.references.set_enabled(1, False)
    with pytest.raises(ValueError, match="Expected 2 or more references"):
        session.advice.check_references()
    session.references.set_enabled(1, True)
    session.start("all", 0)
    with pytest.raises(ValueError, match="Expected the run to have ended"):
        session.advice.check_references()


def test_a_check_writes_nothing(session, blob, label):
    label(session, 0, blob())
    label(session, 3, blob(2))
    before, statuses = session.frames.labels.data.copy(), session.frames.statuses
    list(session.advice.check_references())
    np.testing.assert_array_equal(session.frames.labels.data, before)
    assert session.frames.statuses == statuses


def test_the_frame_to_label_next(session, blob, label, predict):
    label(session, 0, blob())
    steps = list(session.advice.suggest_frame())
    assert steps[:-1] == [None] * 6
    assert steps[-1] == 5  # brightest, where the first is darkest
    label(session, 5, blob())
    assert list(session.advice.suggest_frame())[-1] in (2, 3)
    predict(session, "frame", 2)
    assert list(session.advice.suggest_frame())[-1] in (2, 3)
    predict(session)
    assert list(session.advice.suggest_frame()) == [4]  # the least sure
    for frame in range(6):
        session.frames.approve(frame)
    assert list(session.advice.suggest_frame())[-1] is None


def test_a_frame_that_cannot_be_read_is_not_suggested(make_session, blob, label):
    class Broken:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 5:
                raise OSError("cut short")
            return np.full((8, 8), index, np.uint16)

    session = make_session(stack=Broken())
    label(session, 0, blob())
    assert list(session.advice.suggest_frame())[-1] == 4


def test_a_long_stack_is_not_read_whole(make_session):
    class Counting:
        read = 0

        def __len__(self):
            return 5000

        def __getitem__(self, index):
            self.read += 1
            return np.full((4, 4), index % 251, np.uint8)

    stack = Counting()
    session = make_session(np.zeros((5000, 4, 4), np.uint8), stack=stack)
    assert list(session.advice.suggest_frame())[-1] is not None
    assert stack.read < 100


def test_maps_are_there_while_the_prediction_is(session, blob, label, predict):
    label(session, 0, blob())
    assert session.runs.confidence_map(3) is None
    predict(session)
    found = session.runs.confidence_map(3)
    assert (found.shape, found.dtype) == ((8, 8), np.uint8)
    assert (found == round(255 * 0.87)).all()
    assert session.runs.confidence_map(0) is None
    label(session, 3, blob(2))
    assert session.runs.confidence_map(3) is None


def test_maps_follow_undo(session, blob, label, predict):
    label(session, 0, blob())
    predict(session)
    label(session, 0, blob(2))
    before = session.runs.confidence_map(3)
    predict(session)
    after = session.runs.confidence_map(3)
    assert before is not None
    session.runs.undo()
    np.testing.assert_array_equal(session.runs.confidence_map(3), before)
    assert session.runs.has_confidence_maps
    list(session.runs.redo_steps())
    np.testing.assert_array_equal(session.runs.confidence_map(3), after)


def corner() -> Region:
    mask = np.zeros((8, 8), bool)
    mask[:3, :3] = True
    return Region(mask=mask)


def test_the_least_sure_frame_of_a_region(session, label, blob, make_result) -> None:
    label(session, 0, blob())
    session.start("all", 0)
    for frame in range(1, 6):
        # Sure everywhere but in a corner of frame 2, and in most of frame 3 elsewhere.
        values = np.full((8, 8), 255, np.uint8)
        values[:3, :3] = 100 if frame == 2 else 250
        values[4:] = 30 if frame == 3 else 255
        result = make_result(
            session, frame, blob(), confidence=0.9 - 0.5 * (frame == 3)
        )
        session.runs.commit(replace(result, confidence_map=values))
    session.runs.finish()
    assert session.frames.least_certain() == 3
    assert list(session.advice.least_certain_in(corner())) == [None] * 5 + [2]
    assert list(session.advice.suggest_frame(corner()))[-1] == 2


def test_a_frame_without_a_map_counts_as_a_whole(session, label, blob, predict) -> None:
    label(session, 0, blob())
    predict(session)
    session.runs._maps.close()
    assert (
        list(session.advice.least_certain_in(corner()))[-1]
        == session.frames.least_certain()
    )


def test_suggestions_are_made_for_a_region(make_session, label) -> None:
    stack = np.full((6, 64, 64), 10, np.uint8)
    stack[2, :4, :4] = 200  # unlike the others in the corner
    stack[4, 30:] = 255  # and this one elsewhere
    session = make_session(np.zeros(stack.shape, np.uint8), stack=stack)
    label(session, 0, np.ones((64, 64), np.uint8))
    mask = np.zeros((64, 64), bool)
    mask[:4, :4] = True
    assert list(session.advice.suggest_frame())[-1] == 4
    assert list(session.advice.suggest_frame(Region(mask=mask)))[-1] == 2


def test_references_are_checked_in_a_region(session, label, blob) -> None:
    label(session, 0, blob())
    label(session, 3, blob())
    mask = np.zeros((8, 8), bool)
    mask[2:, 2:] = True
    checked = list(session.advice.check_references(Region(mask=mask)))
    assert [each.key for each in checked] == [0, 3]


def test_a_preview_is_what_a_run_would_write_and_writes_nothing(session, blob, label):
    label(session, 0, blob())
    before = session.frames.labels.read(2).copy()
    (found,) = session.advice.preview_frame(2).results()
    np.testing.assert_array_equal(session.frames.labels.read(2), before)
    assert found.any()
    for result in session.start("frame", 2).results():
        session.runs.commit(result)
    np.testing.assert_array_equal(session.frames.labels.read(2), found)


def test_a_preview_leaves_the_prompts_of_a_run_alone(session, blob, label):
    """A preview was asked for, but a run began before its worker did."""
    label(session, 0, blob())
    preview = session.advice.preview_frame(3)
    label(session, 0, blob(2))  # the run is shown this
    results = session.start("all", 0).results()
    assert session.runs.commit(next(results))
    assert list(preview.results()) == []
    for result in results:
        assert session.runs.commit(result)
    assert (session.frames.labels.data[5] == blob(2)).all()


def test_a_check_leaves_the_prompts_of_a_run_alone(session, blob, label):
    label(session, 0, blob())
    label(session, 5, blob(3))
    checked = session.advice.check_references()
    session.references.set_enabled(5, False)
    results = session.start("all", 0).results()
    assert session.runs.commit(next(results))
    assert list(checked) == []
    for result in results:
        assert session.runs.commit(result)
    assert (session.frames.labels.data[4] == blob()).all()


def test_a_preview_can_be_stopped(session, blob, label, predictor):
    label(session, 0, blob())
    preview = session.advice.preview_frame(3)
    preview.stop()
    assert list(preview.results()) == []
    assert predictor.predicted == []


def test_a_preview_stops_between_passes(session, blob, label, predictor, monkeypatch):
    label(session, 0, blob())
    preview = session.advice.preview_frame(3)

    def stopped_meanwhile(self, frame, index):
        preview.stop()
        self.before_pass()
        raise AssertionError("the next pass began")

    monkeypatch.setattr(predictor, "_predict", stopped_meanwhile)
    assert list(preview.results()) == []
    assert predictor.made[0].before_pass is None


def test_a_preview_is_of_the_region(session, blob, label):
    label(session, 0, blob())
    (whole,) = session.advice.preview_frame(3).results()
    np.testing.assert_array_equal(whole, blob())
    (inside,) = session.advice.preview_frame(3, corner()).results()
    np.testing.assert_array_equal(inside, np.where(corner().mask, blob(), 0))


def test_in_a_preview_locked_labels_keep_their_pixels(session, blob, label, predict):
    label(session, 0, blob() + blob(2, at=6, size=2))
    predict(session, "frame", 3)
    label(session, 0, blob(at=0, size=8))
    session.frames.locks.lock(2)
    (found,) = session.advice.preview_frame(3).results()
    assert found[7, 7] == 2
    assert predict(session, "frame", 3) == [3]
    np.testing.assert_array_equal(session.frames.labels.read(3), found)


@pytest.fixture
def damaged(make_session, broken_stack, blob, label):
    """Three references, of which the image of one cannot be read."""
    session = make_session(stack=broken_stack(4))
    for frame in (0, 4, 5):
        label(session, frame, blob())
    return session


def test_a_preview_leaves_out_references_that_cannot_be_read(damaged, blob):
    (found,) = damaged.advice.preview_frame(3).results()
    np.testing.assert_array_equal(found, blob())


def test_a_check_leaves_out_references_that_cannot_be_read(damaged):
    checked = list(damaged.advice.check_references())
    assert [(each.key, each.score) for each in checked] == [(4, None), (0, 1), (5, 1)]
    assert checked[0].left_out == "frame 4 is cut short"
    assert not checked[1].left_out


def test_a_check_of_what_can_hardly_be_read_is_refused(
    make_session, broken_stack, blob, label
):
    session = make_session(stack=broken_stack(4))
    for frame in (0, 4):
        label(session, frame, blob())
    with pytest.raises(ValueError, match="Expected 2 or more references, got 1"):
        list(session.advice.check_references())
