"""What is said of frames that could not be read, or show nothing."""

import numpy as np
import pytest

from napari_seggpt.inference.watching import UnreadableFrame, WatchedFrames


@pytest.fixture
def frames() -> WatchedFrames:
    images = np.random.default_rng(0).random((6, 4, 4))
    images[2], images[4] = 7, np.nan
    images[5, 0] = np.inf
    return WatchedFrames(images)


def test_frames_that_show_nothing_are_said_once_they_were_read(
    frames: WatchedFrames,
) -> None:
    assert len(frames) == 6
    assert frames.lines() == []
    for index in (4, 3, 2, 2, 5):
        frames[index]
    (line,) = frames.lines()
    assert line.startswith("2 of 6 frames show nothing")
    assert "the first is frame 2" in line


def test_of_many_frames_that_could_not_be_read_only_some_are_named(
    frames: WatchedFrames,
) -> None:
    frames.unreadable += [UnreadableFrame(index=i, reason="cut") for i in range(5)]
    assert frames.lines(2) == [
        "Frame 0 is left out: cut",
        "Frame 1 is left out: cut",
        "5 frames are left out in all.",
    ]
    assert len(frames.lines()) == 5
