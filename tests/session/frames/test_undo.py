"""What runs replace is kept in a file, exactly, and not for ever."""

import tracemalloc
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pytest

from napari_seggpt.session.frames import array_file
from napari_seggpt.session.frames.array_file import pack
from napari_seggpt.session.frames.frame_labels import compact
from napari_seggpt.session.frames.status import UNKNOWN, FrameRecord
from napari_seggpt.session.frames.undo import UNDO_RUNS, UndoHistory, UndoStep

SHAPE = (6, 7)
RECORD = FrameRecord(checksum=b"before", is_approved=True)
LEFT = FrameRecord(checksum=b"new", predicted=b"new")
SECOND = FrameRecord(checksum=b"second", predicted=b"second")


def labels(label: int = 1, dtype: Any = np.uint16) -> np.ndarray:
    frame = np.zeros(SHAPE, dtype)
    frame[2:4, 1:5] = label
    return frame


def save(step: UndoStep, frame: int, old: np.ndarray, left: FrameRecord = LEFT) -> None:
    with step.saving(frame, pack(compact(old)), RECORD, left):
        pass


@pytest.fixture
def step() -> Iterator[UndoStep]:
    step = UndoStep()
    yield step
    step.close()


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """The temporary files that are made."""
    made: list[IO[bytes]] = []
    make = array_file.tempfile.TemporaryFile

    def remember(**options: Any) -> IO[bytes]:
        made.append(make(**options))
        return made[-1]

    monkeypatch.setattr(array_file.tempfile, "TemporaryFile", remember)
    return made


@pytest.mark.parametrize(
    "old",
    [
        labels(),
        labels(0),
        labels(2**40, np.int64),
        labels(-7, np.int32),
        labels(1, bool),
        np.asfortranarray(labels(300)),
        np.random.default_rng(0).integers(0, 2**63, SHAPE, np.uint64),
        np.zeros((0, 0), np.uint8),
    ],
    ids=lambda old: f"{old.dtype}-{old.size and old.max()}",
)
def test_what_is_saved_is_loaded(step: UndoStep, old: np.ndarray) -> None:
    save(step, 3, labels(9))
    save(step, 4, old)
    save(step, 5, labels(8))
    loaded = step.load(4)
    assert loaded.shape == old.shape
    assert (loaded == old).all()
    assert (step.load(3) == labels(9)).all()
    assert (step.load(5) == labels(8)).all()
    assert step[4].record == RECORD
    assert step[4].left == LEFT


def test_what_is_saved_is_a_copy(step: UndoStep) -> None:
    old = labels()
    save(step, 0, old)
    old[:] = 5
    assert (step.load(0) == labels()).all()


def test_what_was_there_first_is_kept_if_a_run_writes_a_frame_twice(
    step: UndoStep,
) -> None:
    save(step, 1, labels(1))
    with step.saving(1, pack(labels(2)), UNKNOWN, SECOND):
        pass
    assert len(step) == 1
    assert (step.load(1) == labels(1)).all()
    assert step[1].record == RECORD
    assert step[1].left == SECOND


def test_a_write_that_fails_is_forgotten(step: UndoStep) -> None:
    with (
        pytest.raises(OSError, match="full"),
        step.saving(1, pack(labels()), RECORD, SECOND),
    ):
        raise OSError("full")
    assert 1 not in step
    assert len(step) == 0
    save(step, 1, labels(1))
    with (
        pytest.raises(OSError, match="full"),
        step.saving(1, pack(labels()), RECORD, SECOND),
    ):
        raise OSError("full")
    assert step[1].left == LEFT
    assert (step.load(1) == labels(1)).all()


def test_what_cannot_be_stored_is_not_written(
    step: UndoStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDisk:
        def seek(self, *_: int) -> int:
            return 0

        def write(self, data: bytes) -> int:
            return len(data)

        def flush(self) -> None:
            raise OSError("no space left")

        def close(self) -> None:
            pass

    monkeypatch.setattr(array_file.tempfile, "TemporaryFile", lambda **_: FullDisk())
    with (
        pytest.raises(OSError, match="no space left"),
        step.saving(1, pack(labels()), RECORD, SECOND),
    ):
        pytest.fail("It was written all the same.")
    assert 1 not in step


def test_the_frame_that_was_written_last_comes_first(step: UndoStep) -> None:
    assert step.last is None
    for frame in (4, 2, 3):
        save(step, frame, labels(frame))
    assert step.last == 3
    step.forget(3)
    assert step.last == 2
    assert 3 not in step
    assert 4 in step


def test_frames_without_labels_need_no_file(
    step: UndoStep, files: list[IO[bytes]]
) -> None:
    for frame in range(100):
        save(step, frame, labels(0))
    assert files == []
    assert not step.load(50).any()
    assert step.load(50).shape == SHAPE


def test_a_step_has_one_file_that_closes_with_it(files: list[IO[bytes]]) -> None:
    step = UndoStep()
    for frame in range(20):
        save(step, frame, labels(frame + 1))
    (file,) = files
    step.close()
    assert file.closed
    assert len(step) == 0
    step.close()


def test_memory_does_not_grow_with_what_is_saved(files: list[IO[bytes]]) -> None:
    noise = np.random.default_rng(0).integers(0, 2**16, (64, 64), np.uint16)
    step = UndoStep()
    save(step, 0, noise)
    tracemalloc.start()
    try:
        for frame in range(1, 101):
            save(step, frame, noise + frame)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (file,) = files
    assert file.seek(0, 2) > 100 * 7_000  # noise does not get smaller
    assert grown < 100 * 1_000
    assert (step.load(77) == noise + 77).all()
    step.close()


def test_smooth_labels_take_little_space(files: list[IO[bytes]]) -> None:
    big = np.zeros((512, 512), np.int64)
    big[100:300, 200:400] = 3
    step = UndoStep()
    save(step, 0, big)
    (file,) = files
    assert file.seek(0, 2) < big.nbytes / 500
    step.close()


# -- the steps of several runs ---------------------------------------------------------


def test_only_the_last_runs_are_kept_and_the_files_of_others_close(
    files: list[IO[bytes]],
) -> None:
    history = UndoHistory()
    steps = [UndoStep() for _ in range(UNDO_RUNS + 3)]
    for number, step in enumerate(steps):
        save(step, number, labels())
        history.add(step)
        assert history.last is step
        assert len(history) == min(number + 1, UNDO_RUNS)
    assert [file.closed for file in files] == [True] * 3 + [False] * UNDO_RUNS
    for step in reversed(steps[3:]):
        assert history.last is step
        history.remove(step)
    assert history.last is None
    assert all(file.closed for file in files)


def test_a_run_that_wrote_nothing_is_no_step(step: UndoStep) -> None:
    history = UndoHistory()
    save(step, 0, labels())
    history.add(step)
    history.add(UndoStep())
    assert history.last is step
    assert len(history) == 1


def test_dropping_all_steps_closes_their_files(files: list[IO[bytes]]) -> None:
    history = UndoHistory()
    for _ in range(3):
        step = UndoStep()
        save(step, 0, labels())
        history.add(step)
    history.remove(UndoStep())  # one that is not there
    assert len(history) == 3
    history.close()
    assert history.last is None
    assert [file.closed for file in files] == [True] * 3
