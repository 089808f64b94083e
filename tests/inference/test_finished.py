"""Finished frames, of which the model is asked again how sure it is."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_seggpt.inference.finished import ASKED_AGAIN, FinishedFrames

SIDE, LENGTH, MEMORY = 8, 40, 2


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((LENGTH, SIDE, SIDE), np.uint8)
    labels[1:, 2:6, 2:6] = 3
    return labels


def asked(margin: float, *, is_calibrated: bool = True) -> tuple[Any, list[int]]:
    """Make a predictor that is so sure, and the list of what it predicts."""
    frames: list[int] = []

    def predict(frame: np.ndarray, *, index: int, grid: object) -> SimpleNamespace:
        frames.append(index)
        return SimpleNamespace(confidence=np.full(frame.shape, margin, np.float32))

    predictor = SimpleNamespace(
        predict=predict, has_calibrated_confidence=is_calibrated
    )
    return predictor, frames


def test_labels_of_which_it_is_sure_are_read(labels: np.ndarray) -> None:
    predictor, frames = asked(0.95)
    finished = FinishedFrames(labels, labels, predictor, MEMORY, None)
    assert finished(5) is not None
    np.testing.assert_array_equal(finished(5), labels[5])
    assert frames == [5, 5]
    empty = finished(0)
    assert empty is not None
    assert not empty.any()
    assert frames == [5, 5]  # nothing is asked of what teaches nothing


def test_it_is_not_asked_for_ever(labels: np.ndarray) -> None:
    predictor, frames = asked(0.1)
    finished = FinishedFrames(labels, labels, predictor, MEMORY, None)
    assert [finished(index) for index in range(1, LENGTH)] == [None] * (LENGTH - 1)
    assert len(frames) == ASKED_AGAIN * MEMORY


def test_who_cannot_tell_is_not_asked(labels: np.ndarray) -> None:
    predictor, frames = asked(0.1, is_calibrated=False)
    finished = FinishedFrames(labels, labels, predictor, MEMORY, None)
    assert finished(7) is not None
    assert frames == []
