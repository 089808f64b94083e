"""What a worker computes for writing a frame is used only if the frame is as it was."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from napari_seggpt.session import FrameResult, FrameStatus, Session
from napari_seggpt.session.frames import frame_writer, prepared_frame


@pytest.fixture
def running(session: Session, blob: Any, label: Any) -> Session:
    """A run is on that has predicted frame 3, whose object is elsewhere."""
    label(session, 0, blob())
    session.start("all", 0)
    return session


def predicted(session: Session, labels: np.ndarray, *, frame: int = 3) -> FrameResult:
    """Return a result as the worker of a run makes it."""
    result = FrameResult(
        run=session.runs.current.number, index=frame, labels=labels, confidence=0.5
    )
    return replace(result, prepared=session.frames.writer.prepare(frame, labels))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is computed of whole frames, by name."""
    names: list[str] = []
    for module in (frame_writer, prepared_frame):
        for name in ("checksum", "compact", "keep_locked", "pack"):
            function = getattr(module, name, None)
            if function is not None:
                monkeypatch.setattr(module, name, _noted(function, names))
    return names


def _noted(function: Any, names: list[str]) -> Any:
    def act(*args: Any) -> Any:
        names.append(function.__name__)
        return function(*args)

    return act


def test_the_window_computes_nothing_of_a_frame_that_a_worker_prepared(
    running: Session, blob: Any, computed: list[str]
) -> None:
    result = predicted(running, blob(2))
    assert {"checksum", "pack", "keep_locked"} <= {*computed}
    computed.clear()
    assert running.runs.commit(result)
    assert computed == []
    assert (running.frames.labels.read(3) == blob(2)).all()
    running.runs.finish()
    assert running.runs.undo() == (3,)
    assert not running.frames.labels.read(3).any()


def test_every_result_of_a_run_is_prepared(
    session: Session, blob: Any, label: Any
) -> None:
    label(session, 0, blob())
    results = list(session.start("all", 0).results())
    assert len(results) == 5
    assert all(result.prepared.new is result.prepared.predicted for result in results)


@pytest.mark.parametrize("is_told", [True, False])
def test_a_stroke_since_then_protects_the_frame(
    running: Session, blob: Any, is_told: bool
) -> None:
    result = predicted(running, blob(2))
    running.frames.labels.data[3] = blob(4)
    if is_told:
        running.frames.labels_changed([3])
    assert not running.runs.commit(result)
    assert (running.frames.labels.read(3) == blob(4)).all()
    assert running.frames.status(3) is FrameStatus.REFERENCE


def test_a_frame_that_is_approved_since_then_is_left_alone(
    running: Session, blob: Any
) -> None:
    result = predicted(running, blob(2))
    running.frames.approve(3)
    assert not running.runs.commit(result)


def test_a_label_that_is_locked_since_then_keeps_its_pixels(
    running: Session, blob: Any
) -> None:
    assert running.runs.commit(predicted(running, blob(2)))
    result = predicted(running, blob(5, at=4))
    running.frames.locks.lock(2)
    assert running.runs.commit(result)
    present = running.frames.labels.read(3)
    assert (present[blob() > 0] == 2).all()
    running.frames.locks.unlock(2)
    result = predicted(running, blob(6))
    running.frames.locks.lock(6)
    assert running.runs.commit(result)
    assert not (running.frames.labels.read(3) == 6).any()


def test_what_was_written_since_then_is_what_undo_brings_back(
    running: Session, blob: Any
) -> None:
    late = predicted(running, blob(5))
    assert running.runs.commit(predicted(running, blob(2)))
    assert running.runs.commit(late)
    running.runs.finish()
    running.runs.undo()
    assert not running.frames.labels.read(3).any()


def test_what_cannot_be_prepared_is_told_when_it_is_written(
    running: Session, blob: Any
) -> None:
    result = predicted(running, blob(2)[1:])
    assert result.prepared is None
    with pytest.raises(ValueError, match="Expected labels of the frame's shape"):
        running.runs.commit(result)
