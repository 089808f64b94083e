"""What is told of the time that a run takes."""

from types import SimpleNamespace

import pytest

from napari_seggpt.ui.work.jobs import JobState
from napari_seggpt.ui.work.run_control import NUM_RECENT_RESULTS, RunControl


@pytest.fixture
def control(qapp):
    """A control whose run and job are made up by each test."""
    control = RunControl(SimpleNamespace())
    control.run = SimpleNamespace(seconds=[], is_loaded=True)
    control._job = SimpleNamespace(
        done=0, total=13, seconds_left=None, state=JobState.RUNNING
    )
    return control


def test_before_the_first_frame_nothing_is_known(control):
    assert control.seconds_a_frame is None
    assert control.seconds_left is None
    control.run.is_loaded = False
    assert control.is_loading


def test_the_first_frame_counts_only_while_it_is_alone(control):
    control.run.seconds, control._job.done = [4.0], 1
    control._job.seconds_left = 12 * 29.0  # the first result has waited for the model
    assert control.seconds_left == 12 * 4.0
    control.run.seconds, control._job.done = [4.0, 1.0, 1.0], 3
    control._job.seconds_left = 10 * 0.0  # several came at once
    assert control.seconds_a_frame == 1.0
    assert control.seconds_left == 10.0


def test_the_pace_is_that_of_the_last_frames(control):
    control.run.seconds = [1.0] * 20 + [3.0] * NUM_RECENT_RESULTS
    assert control.seconds_a_frame == 3.0


def test_where_writing_is_slower_than_the_network_the_clock_counts(control):
    control.run.seconds, control._job.done = [0.1, 0.1, 0.1], 3
    control._job.seconds_left = 50.0
    assert control.seconds_left == 50.0
    assert control.seconds_a_frame == 5.0  # which is remembered for the next run
    control._on_job()
    control._job.done, control._job.seconds_left = 13, 0.0
    assert control.seconds_a_frame == 5.0
