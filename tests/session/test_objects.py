"""Objects in a session: their ids hold along the stack, and a person's stay."""

import numpy as np
import pytest

from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.io.layout import StackError
from napari_seggpt.object_settings import (
    CleanupSettings,
    LinkingSettings,
    ObjectSettings,
)
from napari_seggpt.session import FrameStatus, RenamedResult
from napari_seggpt.session.runs.known_ids import KnownIds
from napari_seggpt.session.runs.region import Region
from napari_seggpt.settings import SessionSettings

SHAPE = (40, 80)


def row(*ids, shift=0):
    """Draw squares of 12 pixels that touch each other in a row; 0 leaves a gap."""
    labels = np.zeros(SHAPE, np.uint16)
    for number, label in enumerate(ids):
        left = 4 + 12 * number + shift
        labels[10:22, left : left + 12] = label
    return labels


@pytest.fixture
def objects(make_session, label):
    """Six frames, the first of which has three objects that touch."""
    session = make_session(np.zeros((6, *SHAPE), np.uint16))
    label(session, 0, row(5, 90, 7))
    return session


def frame(session, index):
    return session.frames.labels.data[index]


def test_objects_get_the_ids_of_the_reference(objects, predict) -> None:
    assert predict(objects) == [1, 2, 3, 4, 5]
    for index in range(6):
        np.testing.assert_array_equal(frame(objects, index), row(5, 90, 7))


def test_undo_of_a_run_brings_back_what_was_there(objects, predict) -> None:
    predict(objects)
    assert sorted(objects.runs.undo()) == [1, 2, 3, 4, 5]
    assert not objects.frames.labels.data[1:].any()


def test_a_correction_is_carried_on_by_the_next_run(objects, predict, label) -> None:
    predict(objects)
    mine = row(90, 5, 7)  # a person exchanges two ids on frame 3
    label(objects, 3, mine)
    predict(objects)
    np.testing.assert_array_equal(frame(objects, 3), mine)
    np.testing.assert_array_equal(frame(objects, 1), row(5, 90, 7))
    for index in (4, 5):
        np.testing.assert_array_equal(frame(objects, index), mine)


def test_a_merge_and_a_split_are_carried_on(objects, predict, label) -> None:
    predict(objects)
    mine = row(5, 5, 7, 33)  # two are one, and there is a new one
    label(objects, 2, mine)
    predict(objects, "forward", 2)
    np.testing.assert_array_equal(frame(objects, 2), mine)
    for index in (3, 4, 5):
        np.testing.assert_array_equal(frame(objects, index), mine)
    np.testing.assert_array_equal(frame(objects, 1), row(5, 90, 7))


def test_a_persons_frame_that_is_no_reference_is_passed_over(
    objects, predict, label
) -> None:
    predict(objects)
    mine = row(200, 90, 7)
    label(objects, 3, mine)
    objects.references.remove(3)
    predict(objects)
    np.testing.assert_array_equal(frame(objects, 3), mine)
    assert objects.frames.status(3) is FrameStatus.CORRECTED
    for index in (4, 5):
        np.testing.assert_array_equal(frame(objects, index), mine)


@pytest.mark.parametrize("scope", ["stale", "all"])
def test_frames_apart_get_the_ids_of_those_in_between(
    objects, predict, label, predictor, monkeypatch, scope
) -> None:
    """All move by a third of their width from one frame to the next."""

    def predicted(self, _, index):
        confidence = np.full(SHAPE, 0.9, np.float32)
        labels = np.roll(self.prompts[0].labels.astype(np.int64), -4 * index, axis=1)
        return Prediction(labels=labels, confidence=confidence, colors=())

    monkeypatch.setattr(predictor, "_predict", predicted)
    label(objects, 0, row(5, 90, 7, shift=36))
    predict(objects)
    for index in (2, 3, 4):
        objects.frames.approve(index)
    objects.settings = SessionSettings(cleanup=CleanupSettings(smallest=1.0))
    assert predict(objects, scope) == [1, 5]
    for index in range(6):
        moved = row(5, 90, 7, shift=36 - 4 * index)
        np.testing.assert_array_equal(frame(objects, index), moved)


def test_one_frame_gets_the_ids_of_the_frames_around_it(
    objects, predict, label
) -> None:
    predict(objects)
    objects.frames.release(0)
    label(objects, 5, row(5, 90, 7, 12))  # and a new object on the last frame
    predict(objects, "frame", 4)
    np.testing.assert_array_equal(frame(objects, 4), row(5, 90, 7, 12))


def test_a_new_object_gets_an_id_above_all(objects, predict, label) -> None:
    label(objects, 5, row(400))
    objects.references.set_enabled(0, False)
    label(objects, 0, np.zeros(SHAPE, np.uint16))
    label(objects, 3, row(5, 90, 7, 0, 6))
    predict(objects)
    assert objects.frames.writer.ids.largest == 400
    known = {0, 5, 6, 7, 90, 400}
    new = set(np.unique(objects.frames.labels.data).tolist()) - known
    assert all(i > 400 for i in new)


def test_a_run_of_objects_of_classes_reads_no_frame_that_is_known(
    objects, predict, label, monkeypatch
) -> None:
    label(objects, 0, row(1001, 2001, 1002))
    label(objects, 5, row(1050))
    objects.references.remove(5)
    predict(objects)
    reads = []
    read = objects.frames.labels.read

    def noting(frame):
        reads.append(frame)
        return read(frame)

    monkeypatch.setattr(objects.frames.labels, "read", noting)
    label(objects, 0, row(1001, 2001, 1002, 2002))
    predict(objects, "frame", 2)
    assert set(reads) <= {0, 1, 2, 3}
    (new,) = set(np.unique(frame(objects, 2)).tolist()) - {0, 1001, 2001, 1002}
    assert new == 2002


def test_new_objects_of_a_class_get_ids_above_those_of_any_frame(
    objects, predict, label
) -> None:
    label(objects, 0, row(1001, 2001, 1002))
    label(objects, 5, row(1050))
    objects.references.remove(5)
    label(objects, 3, row(1001, 2001, 1002, 0, 1003))
    objects.references.set_enabled(0, False)
    label(objects, 0, np.zeros(SHAPE, np.uint16))
    predict(objects)
    new = set(np.unique(objects.frames.labels.data).tolist())
    new -= {0, 1001, 1002, 1003, 1050, 2001}
    assert all(1050 < i < 2000 or i > 2001 for i in new)


def test_without_linking_ids_are_those_of_each_frame(make_session, label, predict):
    settings = SessionSettings(
        objects=ObjectSettings(linking=LinkingSettings(enabled=False))
    )
    session = make_session(np.zeros((3, *SHAPE), np.uint16), settings=settings)
    label(session, 0, row(5, 90, 7))
    predict(session)
    assert set(np.unique(frame(session, 1))) == {0, 1, 2, 3}


def ids_of_row(labels):
    """Return the id in the middle of each place of `row`, which has one alone."""
    return [int(labels[SHAPE[0] // 2, 10 + 12 * place]) for place in range(5)]


@pytest.fixture
def unlinked(make_session, label):
    """Six frames whose objects are numbered on each anew; the first has five."""
    settings = SessionSettings(
        objects=ObjectSettings(task="objects", linking=LinkingSettings(enabled=False))
    )
    session = make_session(np.zeros((6, *SHAPE), np.uint16), settings=settings)
    label(session, 0, row(1, 2, 3, 4, 5))
    return session


def test_without_linking_a_region_merges_no_objects(unlinked, predict) -> None:
    predict(unlinked)
    mask = np.zeros(SHAPE, bool)
    mask[:, 40:64] = True  # the last two objects
    for _ in range(2):
        run_to_end(unlinked, unlinked.start("frame", 2, Region(mask=mask)))
        found = ids_of_row(frame(unlinked, 2))
        assert found[:3] == [1, 2, 3]
        assert len(set(found)) == 5


def test_without_linking_a_locked_id_removes_no_other_object(unlinked, predict) -> None:
    unlinked.frames.locks.lock(3)
    (shown,) = unlinked.advice.preview_frame(2).results()
    predict(unlinked)
    np.testing.assert_array_equal(frame(unlinked, 2), row(1, 2, 6, 4, 5))
    np.testing.assert_array_equal(shown, frame(unlinked, 2))


def test_without_linking_a_begun_frame_gets_other_ids_for_the_rest(
    unlinked, label
) -> None:
    label(unlinked, 3, row(0, 0, 0, 0, 1))
    run_to_end(unlinked, unlinked.complete(3))
    found = ids_of_row(frame(unlinked, 3))
    assert found[4] == 1
    assert len(set(found)) == 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_without_linking_the_largest_id_may_be_locked(
    make_session, label, predict, dtype
) -> None:
    settings = SessionSettings(
        objects=ObjectSettings(task="objects", linking=LinkingSettings(enabled=False))
    )
    session = make_session(np.zeros((3, *SHAPE), dtype), settings=settings)
    largest = int(np.iinfo(dtype).max)
    label(session, 0, row(1, 2, largest))
    session.frames.locks.lock(largest)
    assert predict(session) == [1, 2]
    np.testing.assert_array_equal(frame(session, 1), row(1, 2, 3))


def test_without_linking_ids_beside_others_tell_the_class(
    make_session, label, predict
) -> None:
    settings = SessionSettings(
        objects=ObjectSettings(
            task="objects-of-classes", linking=LinkingSettings(enabled=False)
        )
    )
    session = make_session(np.zeros((3, *SHAPE), np.uint16), settings=settings)
    label(session, 0, row(1001, 2001, 1002))
    session.frames.locks.lock(1001)
    predict(session)
    np.testing.assert_array_equal(frame(session, 1), row(1003, 2001, 1002))


def test_no_new_object_gets_an_id_that_is_locked(objects) -> None:
    objects.frames.locks.lock(91)
    assert KnownIds(objects.frames).new_ids().take(1) == 92


# -- carrying ids on -------------------------------------------------------------------


def carry_on(session, scope, current):
    run = session.start_linking(scope, current)
    for result in run.results():
        session.runs.commit(result)
    session.runs.finish()
    return run


def test_ids_are_carried_on_without_predicting(objects, predict, label, predictor):
    predict(objects)
    label(objects, 2, row(41, 90, 7))
    predictor.predicted.clear()
    confidence = objects.frames.confidence(4)
    run = carry_on(objects, "forward", 2)
    assert predictor.predicted == []
    assert run.num_written == 3
    np.testing.assert_array_equal(frame(objects, 1), row(5, 90, 7))
    for index in (3, 4, 5):
        np.testing.assert_array_equal(frame(objects, index), row(41, 90, 7))
        assert objects.frames.status(index) is FrameStatus.STALE  # as it was before
    assert objects.frames.confidence(4) == confidence


def test_carrying_on_is_one_run_with_one_undo(objects, predict, label) -> None:
    predict(objects)
    label(objects, 2, row(41, 90, 7))
    before = objects.frames.labels.data.copy()
    carry_on(objects, "forward", 2)
    assert sorted(objects.runs.undo()) == [3, 4, 5]
    np.testing.assert_array_equal(objects.frames.labels.data, before)


def test_carrying_on_leaves_a_persons_frames_and_takes_their_ids(
    objects, predict, label
) -> None:
    predict(objects)
    label(objects, 1, row(41, 90, 7))
    mine = row(41, 77, 7)
    label(objects, 3, mine)
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 2), row(41, 90, 7))
    np.testing.assert_array_equal(frame(objects, 3), mine)
    np.testing.assert_array_equal(frame(objects, 4), mine)


def test_carrying_back_goes_the_other_way(objects, predict, label) -> None:
    predict(objects)
    label(objects, 4, row(5, 90, 70))
    carry_on(objects, "backward", 4)
    np.testing.assert_array_equal(frame(objects, 1), row(5, 90, 70))
    np.testing.assert_array_equal(frame(objects, 0), row(5, 90, 7))
    np.testing.assert_array_equal(frame(objects, 5), row(5, 90, 7))


def test_an_object_that_continues_none_keeps_its_id(objects, predict, label) -> None:
    label(objects, 0, row(5, 90, 7, 0, 12))
    predict(objects)
    label(objects, 2, row(41, 90, 7))
    carry_on(objects, "forward", 2)
    np.testing.assert_array_equal(frame(objects, 4), row(41, 90, 7, 0, 12))


def test_a_new_id_tells_the_class_when_ids_are_carried_on(
    objects, predict, label
) -> None:
    label(objects, 0, row(1001, 2001, 1002))
    predict(objects)
    label(objects, 5, row(3))  # painted by mistake
    label(objects, 5, row(0))
    label(objects, 1, row(1002, 2001, 0))  # the first has the id of the third
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 2), row(1002, 2001, 1003))


def test_a_frame_of_one_class_carries_ids_on_to_others(objects, predict, label) -> None:
    label(objects, 0, row(1001, 2001, 1002))
    predict(objects)
    label(objects, 1, row(1002, 0, 0))
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 2), row(1002, 2001, 1003))


def test_a_new_id_tells_no_class_where_a_person_says_so(
    objects, predict, label
) -> None:
    objects.settings = SessionSettings(objects=ObjectSettings(task="objects"))
    label(objects, 0, row(1001, 2001, 1002))
    predict(objects)
    label(objects, 1, row(1002, 2001, 0))
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 2), row(1002, 2001, 2002))


def test_there_must_be_frames_to_carry_on_to(objects, predict) -> None:
    with pytest.raises(ValueError, match="predicted frames to carry the ids on to"):
        objects.start_linking("forward", 0)
    predict(objects)
    with pytest.raises(ValueError, match="predicted frames to carry the ids on to"):
        objects.start_linking("forward", 5)
    objects.start("all", 0)
    with pytest.raises(ValueError, match="before ids are carried on"):
        objects.start_linking("forward", 0)


def test_a_frame_that_was_let_go_of_is_still_out_of_date_after_carrying_on(
    objects, predict, label
) -> None:
    predict(objects)
    label(objects, 3, row(5, 90, 8))
    objects.frames.release(3)
    assert objects.frames.status(3) is FrameStatus.STALE
    label(objects, 1, row(90, 5, 7))
    objects.references.remove(1)
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 3), row(90, 5, 7))
    assert objects.frames.status(3) is FrameStatus.STALE
    assert objects.frames.status(2) is FrameStatus.PREDICTED


def test_a_renamed_frame_that_a_person_took_is_left_alone(
    objects, predict, label
) -> None:
    predict(objects)
    label(objects, 0, row(55, 90, 7))
    run = objects.start_linking("forward", 0)
    results = list(run.results())
    assert all(isinstance(result, RenamedResult) for result in results)
    mine = row(1, 2, 3)
    label(objects, 2, mine)
    for result in results:
        objects.runs.commit(result)
    objects.runs.finish()
    np.testing.assert_array_equal(frame(objects, 2), mine)
    np.testing.assert_array_equal(frame(objects, 3), row(55, 90, 7))


def test_a_carrying_on_that_was_undone_is_done_again(objects, predict, label) -> None:
    predict(objects)
    certainty = objects.runs.confidence_map(4)
    label(objects, 2, row(41, 90, 7))
    carry_on(objects, "forward", 2)
    carried = objects.frames.labels.data.copy()
    for steps, labels in (
        (objects.runs.undo_steps, row(5, 90, 7)),
        (objects.runs.redo_steps, row(41, 90, 7)),
    ):
        assert sorted(steps()) == [3, 4, 5]
        np.testing.assert_array_equal(frame(objects, 4), labels)
        np.testing.assert_array_equal(objects.runs.confidence_map(4), certainty)
    np.testing.assert_array_equal(objects.frames.labels.data, carried)


def test_a_damaged_frame_is_left_out_when_ids_are_carried_on(
    objects, predict, label
) -> None:
    predict(objects)
    label(objects, 2, row(41, 90, 7))
    run = objects.start_linking("forward", 2)
    results = list(run.results())
    read = objects.frames.labels.read

    def broken(index):
        if index == 4:
            raise StackError("Expected frame 4 to be readable.")
        return read(index)

    objects.frames.labels.read = broken
    committed = [objects.runs.commit(result) for result in results]
    assert committed == [True, False, True]
    assert (run.num_written, run.num_damaged) == (2, 1)
    (line,) = run.lines(3)
    assert line.startswith("Frame 4 is left out: Expected frame 4")
    np.testing.assert_array_equal(frame(objects, 4), row(5, 90, 7))


def test_no_object_is_lost_to_an_id_that_is_locked(objects, predict, label) -> None:
    predict(objects)
    objects.frames.locks.lock(7)
    label(objects, 1, row(7, 5, 90))  # a person exchanges three ids
    carry_on(objects, "forward", 1)
    for index in range(2, 6):
        np.testing.assert_array_equal(frame(objects, index), row(5, 90, 7))


def test_an_object_that_is_none_of_the_locked_ones_is_renamed(
    objects, predict, label
) -> None:
    predict(objects)
    objects.frames.locks.lock(7)
    label(objects, 1, row(41, 90, 7))
    carry_on(objects, "forward", 1)
    np.testing.assert_array_equal(frame(objects, 4), row(41, 90, 7))


def test_chains_that_meet_lose_no_object_to_an_id_that_is_locked(
    objects, predict, make_result
) -> None:
    run = objects.start("all", 0)
    objects.runs.commit(make_result(objects, 2, row(5, 90, 100)))
    objects.frames.locks.lock(7)
    objects.runs.commit(RenamedResult(run=run.number, index=2, names={100: 7}))
    objects.runs.finish()
    np.testing.assert_array_equal(frame(objects, 2), row(5, 90, 100))


# -- frames that were begun, and regions -----------------------------------------------


def run_to_end(session, run):
    for result in run.results():
        session.runs.commit(result)
    session.runs.finish()


def test_a_begun_frame_is_completed_by_objects_with_its_own_ids(objects, label) -> None:
    begun = np.zeros(SHAPE, np.uint16)
    begun[10:22, 4:12] = 33  # a part of what is object 5 on the reference
    label(objects, 3, begun)
    objects.references.set_hint(3, True)
    run_to_end(objects, objects.complete(3))
    np.testing.assert_array_equal(frame(objects, 3), row(33, 90, 7))
    assert objects.frames.status(3) is FrameStatus.CORRECTED
    assert objects.runs.undo() == (3,)
    np.testing.assert_array_equal(frame(objects, 3), begun)


def test_no_predicted_object_gets_an_id_of_another_begun_one(
    make_session, label
) -> None:
    session = make_session(np.zeros((6, *SHAPE), np.uint16))
    label(session, 0, row(1, 2, 3, 4, 5))
    label(session, 3, row(0, 0, 0, 0, 1))  # object 5 has another id here
    run_to_end(session, session.complete(3))
    np.testing.assert_array_equal(frame(session, 3), row(6, 2, 3, 4, 1))


def test_objects_in_a_region_have_the_ids_of_the_reference(objects, label) -> None:
    label(objects, 0, row(5, 90, 7, 0, 12))
    mask = np.zeros(SHAPE, bool)
    mask[:, :40] = True  # without object 12
    run_to_end(objects, objects.start("all", 0, Region(mask=mask)))
    for index in range(1, 6):
        np.testing.assert_array_equal(frame(objects, index), row(5, 90, 7))


def test_a_frame_whose_labels_are_damaged_ends_no_run_in_a_region(objects) -> None:
    read = objects.frames.labels.read

    def broken(index):
        if index == 3:
            raise StackError("Expected frame 3 to be readable.")
        return read(index)

    objects.frames.labels.read = broken
    run = objects.start("all", 0, Region(mask=np.ones(SHAPE, bool)))
    run_to_end(objects, run)
    assert run.num_written == 4
    line, *_ = run.lines(3)
    assert line.startswith("Frame 3 is left out: Expected frame 3")


# -- what is wanted --------------------------------------------------------------------


def test_the_session_says_what_labels_stand_for(objects) -> None:
    (guess,) = objects.advice.task()
    assert guess.kind == "objects"
    assert "touch" in guess.reason
    objects.settings = SessionSettings(objects=ObjectSettings(task="classes"))
    (guess,) = objects.advice.task()
    assert guess.kind == "classes"


def test_other_answers_make_predictions_stale(objects, predict) -> None:
    predict(objects)
    objects.settings = SessionSettings(objects=ObjectSettings(task="classes"))
    assert objects.frames.status(2) is FrameStatus.STALE
    objects.settings = SessionSettings()
    assert objects.frames.status(2) is FrameStatus.PREDICTED


@pytest.mark.parametrize(("axis", "goes_on"), [("t", False), ("z", True)])
def test_objects_divide_in_time_and_not_through_z(
    make_session, label, make_result, axis, goes_on
) -> None:
    session = make_session(np.zeros((2, *SHAPE), np.uint16), axis=axis)
    label(session, 0, row(9, 9))
    session.start("all", 0)
    halves = np.zeros(SHAPE, np.uint16)
    halves[10:22, 3:14], halves[10:22, 18:29] = 3, 4
    session.runs.commit(make_result(session, 1, halves))
    session.runs.finish()
    carry_on(session, "forward", 0)
    assert (9 in frame(session, 1)) is goes_on


def test_a_prompt_is_tuned_on_classes_only(objects, label) -> None:
    label(objects, 3, row(5, 90, 7))
    with pytest.raises(ValueError, match="Expected classes to tune a prompt on"):
        objects.start_tuning()
    objects.settings = SessionSettings(objects=ObjectSettings(task="classes"))
    assert objects.start_tuning().count == 2
