"""Sessions on labels in memory, whose frames are images of their own number."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_seggpt.frames import FrameGrid
from napari_seggpt.object_settings import LinkedAxis
from napari_seggpt.session import FrameResult, ModelCache, Session
from napari_seggpt.session.autosave import Autosave
from napari_seggpt.session.store.contents import About
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.signature import ImageSignature
from napari_seggpt.settings import SessionSettings

SIDE = 8

Begin = Callable[..., Autosave]
MakeResult = Callable[..., FrameResult]
MakeSession = Callable[..., Session]


class ArrayLabels:
    """Labels (T, H, W) in memory; a write is told of while it is made, as in napari.

    Attributes
    ----------
    data : NDArray
        The labels, for others to write into.
    written : list of int
        The frames that were written by `write`.
    error : Exception or None
        What `write` raises, having written nothing.
    on_write : callable or None
        Called with the frame when it is written by half.
    """

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.written: list[int] = []
        self.error: Exception | None = None
        self.on_write: Callable[[int], None] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def read(self, frame: int) -> np.ndarray:
        assert 0 <= frame < len(self)
        return self.data[frame].copy()

    def write(self, frame: int, labels: np.ndarray) -> None:
        if self.error is not None:
            raise self.error
        assert labels.shape == self.data.shape[1:]
        if labels.max() > np.iinfo(self.data.dtype).max:
            raise ValueError("Expected label ids that fit.")
        half = len(labels) // 2
        self.data[frame, :half] = labels[:half]
        self.written.append(frame)
        if self.on_write is not None:
            self.on_write(frame)
        self.data[frame] = labels


@pytest.fixture
def make_session(predictor: type, models: ModelCache) -> Iterator[MakeSession]:
    """Make a session on new labels, or on those that are given."""
    sessions: list[Session] = []

    def make(
        data: np.ndarray | None = None,
        *,
        length: int = 6,
        settings: SessionSettings | None = None,
        stack: Any = None,
        axis: LinkedAxis = "z",
        grid: FrameGrid | None = None,
    ) -> Session:
        if data is None:
            data = np.zeros((length, SIDE, SIDE), np.uint8)
        if stack is None:
            frames = np.arange(len(data), dtype=np.uint16)[:, None, None]
            stack = np.broadcast_to(frames, (len(data), *data.shape[1:]))
        labels = ArrayLabels(data)
        session = Session(stack, labels, settings, models=models, axis=axis, grid=grid)
        labels.on_write = lambda frame: session.frames.labels_changed([frame])
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def session(make_session: MakeSession) -> Session:
    """Six frames without labels."""
    return make_session()


@pytest.fixture(scope="session")
def blob() -> Callable[..., np.ndarray]:
    """Make labels of a frame that has one object."""

    def make(label: int = 1, *, at: int = 2, size: int = 4) -> np.ndarray:
        labels = np.zeros((SIDE, SIDE), np.uint8)
        labels[at : at + size, at : at + size] = label
        return labels

    return make


@pytest.fixture(scope="session")
def label() -> Callable[..., None]:
    """Label a frame as a person does, who is seen doing it."""

    def act(session: Session, frame: int, labels: Any) -> None:
        session.frames.labels.data[frame] = labels
        session.frames.labels_changed([frame])

    return act


@pytest.fixture(scope="session")
def predict() -> Callable[..., list[int]]:
    """Run; return the frames that were written, in that order."""

    def act(
        session: Session,
        scope: str = "all",
        current: int = 0,
        count: int | None = None,
        *,
        goes_on: bool = False,
    ) -> list[int]:
        run = session.start(scope, current, goes_on=goes_on)
        written = []
        for result in run.results():
            if session.runs.commit(result):
                written.append(result.index)
            if count is not None and len(written) >= count:
                break
        session.runs.finish()
        return written

    return act


@pytest.fixture(scope="session")
def make_result() -> MakeResult:
    """Make what the present run might have predicted."""

    def make(
        session: Session, frame: int, labels: np.ndarray, confidence: float = 0.5
    ) -> FrameResult:
        number = session.runs.current.number if session.runs.current is not None else 0
        return FrameResult(
            run=number, index=frame, labels=labels, confidence=confidence
        )

    return make


class BrokenStack:
    """Six frames with noise, some of which cannot be read."""

    def __init__(self, *broken: int) -> None:
        self.broken = broken
        self.frames = np.random.default_rng(0).integers(0, 255, (6, 8, 8), np.uint8)

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> np.ndarray:
        if index in self.broken:
            raise OSError(f"frame {index} is cut short")
        return self.frames[index]


@pytest.fixture(scope="session")
def broken_stack() -> type[BrokenStack]:
    """Six frames of which those that are named cannot be read."""
    return BrokenStack


@pytest.fixture
def predicted(session: Session, blob: Any, label: Any, predict: Any) -> Session:
    """Frame 0 is a reference, all others are predicted from it."""
    label(session, 0, blob())
    assert predict(session) == [1, 2, 3, 4, 5]
    return session


@pytest.fixture
def labelled(session: Session, blob: Any, label: Any) -> Session:
    """Frame 2 of six is a reference."""
    label(session, 2, blob())
    return session


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Save a session in a folder; ended with the test."""
    savers: list[Autosave] = []

    def act(
        session: Session,
        name: str = "s",
        labels_path: str | None = None,
        about: About | None = None,
    ) -> Autosave:
        saver = Autosave(session, lambda: about or About())
        signature = ImageSignature.of(session.stack)
        saver.begin(SessionStore(tmp_path / name, signature, labels_path))
        savers.append(saver)
        return saver

    yield act
    for saver in savers:
        saver.close()


@pytest.fixture(scope="session")
def news() -> Callable[..., tuple[list[int], int]]:
    """Return the frames that an act told of, and how often it told of references."""

    def listen(session: Session, act: Callable[[], object]) -> tuple[list[int], int]:
        frames: list[int] = []
        references: list[None] = []
        session.frames.statuses_changed.connect(frames.extend)
        session.references.changed.connect(lambda: references.append(None))
        act()
        session.frames.statuses_changed.disconnect()
        session.references.changed.disconnect()
        return frames, len(references)

    return listen


@pytest.fixture(scope="session")
def state() -> Callable[[Session], tuple[Any, ...]]:
    """Return all labels, statuses and confidences."""

    def read(session: Session) -> tuple[Any, ...]:
        frames = session.frames
        confidences = [frames.confidence(frame) for frame in range(len(frames))]
        return frames.labels.data.tolist(), frames.statuses, confidences

    return read
