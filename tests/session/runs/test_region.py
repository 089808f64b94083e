"""Runs that are limited to a part of every frame."""

from typing import Any

import numpy as np
import pytest

from napari_seggpt.session import FrameStatus, Session
from napari_seggpt.session.runs.region import Region

SIDE = 100


class Whole:
    """Frames that remember which of them were read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return np.full((SIDE, SIDE), index, np.uint8)


@pytest.fixture
def region() -> Region:
    """Rows 40 to 49, columns 60 to 79."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[40:50, 60:80] = True
    return Region(mask=mask)


@pytest.fixture
def session(make_session: Any) -> Session:
    """Frame 0 is labelled all over, frame 2 was predicted from it."""
    data = np.zeros((4, SIDE, SIDE), np.uint8)
    data[0] = 5
    made: Session = make_session(data, stack=Whole())
    made.frames.labels_changed([0])
    return made


def run(session: Session, scope: str, current: int, region: Region | None) -> None:
    for result in session.start(scope, current, region).results():
        session.runs.commit(result)
    session.runs.finish()


def test_the_model_sees_the_region_and_little_around(
    session: Session, region: Region, predictor: Any
) -> None:
    assert region.box == (slice(24, 66), slice(44, 96))
    shapes = []
    predict = predictor._predict

    def noting(self: Any, frame: np.ndarray, index: int) -> Any:
        shapes.append(frame.shape)
        return predict(self, frame, index)

    predictor._predict = noting
    run(session, "frame", 1, region)
    assert shapes == [(42, 52)]
    (prompt,) = predictor.shown[-1]
    assert prompt.image.shape == prompt.labels.shape == (42, 52)


def test_outside_nothing_changes(session: Session, region: Region) -> None:
    run(session, "frame", 1, None)
    session.frames.labels.data[0] = 0
    session.frames.labels.data[0, :, :70] = 7
    session.frames.labels_changed([0])
    run(session, "frame", 1, region)
    expected = np.full((SIDE, SIDE), 5)
    expected[40:50, 60:70], expected[40:50, 70:80] = 7, 0
    np.testing.assert_array_equal(session.frames.labels.data[1], expected)
    assert session.frames.status(1) is FrameStatus.STALE  # but for the region
    sure = session.runs.confidence_map(1)
    assert sure is not None
    assert (sure[~region.mask] == 255).all()
    assert (sure[region.mask] < 255).all()


def test_ids_of_any_size_stay_outside(region: Region) -> None:
    large = 2**53 + 1  # which float64 does not hold
    old = np.full((SIDE, SIDE), large, np.uint64)
    rows, columns = region.box
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    merged, _ = region.paste(np.ones(shape, np.int64), np.ones(shape, np.float32), old)
    assert (merged[~region.mask] == large).all()
    assert (merged[region.mask] == 1).all()


def test_undo_brings_back_where_the_whole_run_was_unsure(
    session: Session, region: Region
) -> None:
    run(session, "frame", 1, None)
    whole = session.runs.confidence_map(1)
    assert whole is not None
    assert (whole < 255).all()
    labels = session.frames.labels.data
    labels[0], labels[0, :, :70] = 0, 7
    session.frames.labels_changed([0])
    run(session, "frame", 1, region)
    session.runs.undo()
    assert (labels[1] == 5).all()
    np.testing.assert_array_equal(session.runs.confidence_map(1), whole)


def test_a_region_needs_pixels_and_a_reference(
    session: Session, region: Region
) -> None:
    with pytest.raises(ValueError, match="Expected a region that lies on the frames"):
        Region(mask=np.zeros((3, 3), bool))
    session.frames.labels.data[0] = 0
    session.frames.labels.data[0, 0, 0] = 1
    session.frames.labels_changed([0])
    with pytest.raises(ValueError, match="with labels in the region, got none"):
        session.start("all", 1, region)
    assert not session.runs.is_running


def test_what_is_painted_meanwhile_stays(session: Session, region: Region) -> None:
    (result,) = session.start("frame", 1, region).results()
    session.frames.labels.data[1, 0, 0] = 9  # nobody is told
    assert not session.runs.commit(result)
    session.runs.finish()
    assert session.frames.labels.data[1].sum() == 9


def test_the_next_preview_of_a_region_reads_its_frame_alone(
    session: Session, region: Region
) -> None:
    stack: Any = session.stack
    list(session.advice.preview_frame(1, region).results())
    stack.reads.clear()
    again = Region(mask=region.mask.copy())
    list(session.advice.preview_frame(1, again).results())
    assert stack.reads == [1]
    other = np.roll(region.mask, 5, axis=1)
    list(session.advice.preview_frame(1, Region(mask=other)).results())
    assert len(stack.reads) > 2  # the contrast of another box, and its reference
