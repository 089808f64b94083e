"""Labels in an array, a frame at a time."""

import numpy as np
import pytest

from napari_seggpt.io import ArrayLabels, StackError


def test_frames_are_written_into_the_array_and_read_as_copies() -> None:
    array = np.zeros((3, 4, 5), np.uint8)
    labels = ArrayLabels(array)
    labels.write(1, np.full((4, 5), 7))
    assert [int(frame.max()) for frame in array] == [0, 7, 0]
    for read in (labels.read(1), labels[1], labels[-2]):
        read[:] = 9
    assert (array[1] == 7).all()
    assert len(labels) == 3
    with pytest.raises(IndexError, match="Expected a frame from 0 to 2, got 3"):
        labels[3]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((5, 4), int), "labels of shape"),
        (np.zeros((4, 5)), "integer labels"),
        (np.full((4, 5), 256), "ids from 0 to 255"),
        (np.full((4, 5), -1), "ids from 0 to 255"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: np.ndarray, message: str) -> None:
    array = np.ones((3, 4, 5), np.uint8)
    with pytest.raises(StackError, match=message):
        ArrayLabels(array).write(0, wrong)
    assert (array == 1).all()


@pytest.mark.parametrize("wrong", [np.zeros((4, 5), int), np.zeros((3, 4, 5))])
def test_other_arrays_are_no_labels(wrong: np.ndarray) -> None:
    with pytest.raises(StackError, match="Expected an array"):
        ArrayLabels(wrong)


def test_an_array_to_read_is_no_output() -> None:
    array = np.zeros((3, 4, 5), int)
    array.flags.writeable = False
    with pytest.raises(StackError, match="that can be written"):
        ArrayLabels(array)
