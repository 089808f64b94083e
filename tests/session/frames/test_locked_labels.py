"""Labels that are locked."""

import pytest

from napari_seggpt.session import FrameStatus, Session

EMPTY, REFERENCE, PREDICTED, STALE, CORRECTED, APPROVED = FrameStatus


def test_locks(session: Session) -> None:
    told: list[frozenset[int]] = []
    session.frames.locks.changed.connect(
        lambda: told.append(session.frames.locks.labels)
    )
    session.frames.locks.lock(3)
    session.frames.locks.lock(5)
    session.frames.locks.unlock(3)
    session.frames.locks.unlock(9)
    assert told == [{3}, {3, 5}, {5}, {5}]
    with pytest.raises(ValueError, match="other than 0"):
        session.frames.locks.lock(0)
