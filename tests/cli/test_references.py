"""Labelled frames are read when their labels are asked for, and only then."""

import numpy as np

from napari_seggpt.cli.references import LabelledFrames


def test_whether_a_frame_is_labelled_is_known_without_reading() -> None:
    read = []

    def reader(index: int):
        return lambda: read.append(index) or np.full((2, 3), index)

    frames = LabelledFrames({4: reader(4), 1: reader(1)}, {0, 4}, 0)
    assert 4 in frames
    assert 2 not in frames
    assert 1 in frames.keys() | {7}
    assert list(frames) == [1, 4]
    assert not read
    assert frames[4].max() == 4
    assert read == [4]
