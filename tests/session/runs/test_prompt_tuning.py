import numpy as np
import pytest

from napari_seggpt.session import FrameStatus
from napari_seggpt.session.runs.prompt_tuning import NUM_COMPARED_FRAMES


@pytest.fixture
def tunable(session, label, blob):
    label(session, 0, blob())
    label(session, 3, blob(at=1))
    return session


def test_it_learns_from_the_references_in_use(tunable, label, blob, tuner):
    label(tunable, 5, blob(at=3))
    tunable.references.set_enabled(3, False)
    tuning = tunable.start_tuning(class_names={1: "cell"})
    steps = list(tuning.steps())
    assert [prompt.index for prompt in tuner.asked[0]] == [0, 5]
    assert tuning.count == 2
    assert [step.step for step in steps] == [0, 1, 2, 3]
    np.testing.assert_array_equal(tuner.asked[0][1].labels, blob(at=3))


def test_one_reference_is_too_few(session, label, blob):
    label(session, 0, blob())
    with pytest.raises(ValueError, match="Expected two or more references"):
        session.start_tuning()


def test_it_waits_for_a_run(tunable):
    tunable.start("all", 0)
    with pytest.raises(ValueError, match="Expected the run to have ended"):
        tunable.start_tuning()


def test_it_can_be_stopped(tunable, tuner):
    tuning = tunable.start_tuning()
    steps = tuning.steps()
    next(steps)
    tuning.stop()
    assert list(steps) == []


def test_frames_are_compared_both_ways(tunable, predictor, tuner, make_tuned):
    tuning = tunable.start_tuning()
    tuned = make_tuned()
    compared = list(tuning.compare(tuned, [1, 4]))
    assert [each.index for each in compared] == [1, 4]
    assert all(each.alike == 1 for each in compared)
    assert [made.tuned for made in predictor.made] == [(), (tuned,)]


def test_a_frame_that_cannot_be_read_is_not_compared(
    make_session, label, blob, predictor, tuner, make_tuned
):
    class Broken:
        def __len__(self):
            return 6

        def __getitem__(self, index):
            if index == 1:
                raise OSError("cut short")
            return np.full((8, 8), index, np.uint16)

    session = make_session(stack=Broken())
    label(session, 0, blob())
    label(session, 3, blob())
    compared = session.start_tuning().compare(make_tuned(), [1, 4])
    assert [each.index for each in compared] == [4]


def test_a_tuned_prompt_makes_predicted_frames_stale_until_it_is_removed(
    tunable, predict, make_tuned
):
    predict(tunable)
    assert tunable.frames.status(1) is FrameStatus.PREDICTED
    tunable.references.tuned = make_tuned()
    assert tunable.frames.status(1) is FrameStatus.STALE
    tunable.references.tuned = None
    assert tunable.frames.status(1) is FrameStatus.PREDICTED


def test_runs_use_it(tunable, predict, predictor, make_tuned):
    tuned = tunable.references.tuned = make_tuned()
    assert predict(tunable) == [1, 2, 4, 5]
    assert predictor.made[-1].tuned == (tuned,)


def test_it_is_enough_without_references(session, predict, make_tuned):
    with pytest.raises(ValueError, match="Expected a reference with labels"):
        session.start("all", 0)
    session.references.tuned = make_tuned()
    session.start("all", 0)


def test_frames_to_compare_are_those_that_runs_may_write(make_session, label, blob):
    session = make_session(length=40)
    label(session, 0, blob())
    frames = session.frames_to_compare()
    assert len(frames) == NUM_COMPARED_FRAMES
    assert 0 not in frames
    assert frames == sorted(frames)


def test_references_that_cannot_be_read_are_left_out(
    make_session, broken_stack, label, blob, tuner, make_tuned
):
    session = make_session(stack=broken_stack(4))
    for frame in (0, 4, 5):
        label(session, frame, blob())
    tuning = session.start_tuning()
    assert len(list(tuning.steps())) == 4
    assert [prompt.index for prompt in tuner.asked[0]] == [0, 5]
    assert tuning.count == 2
    assert [each.index for each in tuning.unreadable] == [4]
    assert [each.index for each in tuning.compare(make_tuned(), [1])] == [1]
    session.references.set_enabled(5, False)
    with pytest.raises(ValueError, match="Expected two or more references"):
        list(session.start_tuning().steps())
