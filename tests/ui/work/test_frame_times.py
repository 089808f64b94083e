"""What is remembered of the seconds that a frame took."""

from dataclasses import replace

import pytest

from napari_seggpt.settings import SessionSettings
from napari_seggpt.ui.work.frame_times import (
    MAX_TIMES,
    FrameTime,
    FrameTimes,
    RunConditions,
)
from napari_seggpt.ui.work.preferences import Preferences

CONDITIONS = RunConditions(
    settings=SessionSettings(), frame_shape=(320, 320), references=2
)


def of_objects(**changes):
    settings = SessionSettings()
    return replace(settings, objects=replace(settings.objects, **changes))


@pytest.fixture
def times(qapp):
    return FrameTimes(Preferences())


def test_a_time_holds_for_what_was_measured(times):
    times.note(CONDITIONS, 1.5)
    assert times.get(CONDITIONS) == FrameTime(seconds=1.5, references=2)
    tiled = replace(CONDITIONS.settings.prediction.tiling, enabled=True)
    for other in (
        replace(CONDITIONS, task="objects"),
        replace(CONDITIONS, settings=of_objects(enlarge=False)),
        replace(CONDITIONS, frame_shape=(1024, 1024)),
        replace(CONDITIONS, passes=3),
        replace(CONDITIONS, settings=SessionSettings(model="seggpt-vit-large")),
        replace(
            CONDITIONS,
            settings=replace(
                CONDITIONS.settings,
                prediction=replace(CONDITIONS.settings.prediction, tiling=tiled),
            ),
        ),
    ):
        assert times.get(other) is None


def test_with_another_number_of_references_the_nearest_is_told(times):
    times.note(CONDITIONS, 1.5)
    times.note(replace(CONDITIONS, references=8), 4.0)
    found = times.get(replace(CONDITIONS, references=6))
    assert found == FrameTime(seconds=4.0, references=8)
    assert times.get(CONDITIONS).seconds == 1.5


def test_times_come_back_and_do_not_pile_up(times):
    times.note(CONDITIONS, 1.0)
    for number in range(MAX_TIMES):
        times.note(replace(CONDITIONS, references=10 + number), 2.0)
    times.save()
    again = FrameTimes(Preferences())
    assert again.get(replace(CONDITIONS, references=10)).seconds == 2.0
    assert again.get(CONDITIONS).references == 10  # the oldest was dropped
