import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import msgpack
import numpy as np
import pytest
import tifffile

from napari_seggpt.cluster.checkpoint import Checkpoint
from napari_seggpt.cluster.worker import FrameLabelling
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.io import StackError, create_labels, open_stack
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    TilingSettings,
)


def serial(job, memory=0, direction="both"):
    """What one process predicts, by frame."""
    settings = PropagationSettings(memory=memory, direction=direction)
    with job.open_stack() as stack:
        steps = predict_stack(stack, job.make_predictor(), settings=settings)
        return {step.index: step.prediction.labels for step in steps}


class Notes:
    """Notes that outlive a worker; they travel as they do through a scheduler."""

    def __init__(self):
        self.begun, self.finished, self.saved = [], [], None

    def begin(self, index):
        self.begun.append(index)

    def finish(self, index):
        self.finished.append(index)

    def save(self, checkpoint):
        self.saved = msgpack.packb(checkpoint.pack())

    def load(self):
        return self.saved and Checkpoint.unpack(msgpack.unpackb(self.saved))


class DyingNotes(Notes):
    """Notes of a worker that dies at a frame, just before the frame is noted."""

    def __init__(self, dies_at):
        super().__init__()
        self._dies_at = dies_at

    def save(self, checkpoint):
        if checkpoint.last == self._dies_at:
            raise ZeroDivisionError
        super().save(checkpoint)


def run(job, frames, notes=None, **more):
    with closing(FrameLabelling(job, **more)) as labelling:
        return labelling.run(frames, notes or Notes())


def test_a_batch_is_written_and_told(make_job):
    job, notes = make_job(), Notes()
    report = run(job, [3, 4, 5], notes)
    expected = serial(job)
    assert notes.begun == notes.finished == report.finished == [3, 4, 5]
    assert report.flat == [5]
    with job.open_output() as output:
        assert [i for i in range(14) if output.is_finished(i)] == [3, 4, 5]
        for index in (3, 4, 5):
            np.testing.assert_array_equal(output[index], expected[index])


def test_a_finished_frame_is_not_done_again(make_job):
    job, notes = make_job(), Notes()
    with job.open_output() as output:
        output.finish(4, np.zeros((40, 48), int))
    report = run(job, [3, 4], notes)
    assert notes.finished == [3]
    assert sorted(report.finished) == [3, 4]
    with job.open_output() as output:
        assert not output[4].any()


@pytest.mark.parametrize("num_done", [1, 3])
def test_a_chain_goes_on_from_what_an_earlier_run_wrote(make_job, num_done):
    """The others are predicted as if hardly anything had happened.

    Labels that are read back are not those on the grid of the model.
    """
    job = make_job(memory=2)
    expected, chain = serial(job, memory=2), [10, 11, 12, 13]
    with job.open_output() as output:
        for index in chain[:num_done]:
            output.finish(index, expected[index])
    notes = Notes()
    run(job, chain, notes, kept=frozenset(chain[:num_done]))
    assert notes.finished == chain[num_done:]
    with job.open_output() as output:
        for index in chain:
            assert (output[index] == expected[index]).mean() > 0.9
    assert (expected[12] != serial(job, memory=0)[12]).any()  # memory counts here


@pytest.mark.parametrize("tiling", [TilingSettings(), TilingSettings(enabled=True)])
@pytest.mark.parametrize("dies_at", [1, 2, 4, 6])
def test_a_chain_whose_worker_dies_is_as_if_it_had_not(make_job, dies_at, tiling):
    """Also where it died between writing a frame and noting that."""
    settings = PredictionSettings(device="cpu", tiling=tiling)
    job, chain = make_job(memory=2, settings=settings), [1, 2, 3, 4, 5, 6, 7, 8]
    expected = serial(job, memory=2, direction="forward")
    notes = DyingNotes(dies_at)
    with pytest.raises(ZeroDivisionError):
        run(job, chain, notes)
    written = job.output / "0" / "c" / str(dies_at) / "0" / "0"
    before = written.stat().st_mtime_ns
    second = Notes()
    second.saved = notes.saved
    report = run(job, chain, second)
    assert second.finished == chain[chain.index(dies_at) :]
    assert sorted(report.finished) == chain
    assert report.flat == [5]
    assert written.stat().st_mtime_ns == before
    with job.open_output() as output:
        for index in chain:
            np.testing.assert_array_equal(output[index], expected[index])


@pytest.mark.parametrize("memory", [0, 1])
def test_an_unreadable_frame_is_left_out(make_job, tmp_path, memory):
    folder = tmp_path / "frames"
    folder.mkdir()
    job = make_job(memory=memory)
    with job.open_stack() as stack:
        for index in range(3):
            tifffile.imwrite(folder / f"{index}.tif", stack[index])
    report = run(replace(job, open_stack=partial(open_broken, folder)), [1, 2])
    assert report.finished == [2]
    ((index, reason),) = [(x.index, x.reason) for x in report.unreadable]
    assert index == 1
    assert "Expected frame 1 of frames to be readable" in reason


def open_broken(folder):
    stack = open_stack(folder)
    (folder / "1.tif").write_bytes(b"torn")
    return stack


def test_who_stops_it_waits_for_one_frame(make_job):
    stop, notes = threading.Event(), Notes()
    stop.set()
    report = run(make_job(memory=1), [1, 2, 3], notes, is_stopped=stop)
    assert report.finished == notes.finished == [1]


def test_labels_without_a_chunk_a_frame_are_refused(make_job, tmp_path):
    create_labels(tmp_path / "out.tif", length=14, frame_shape=(40, 48)).close()
    job = make_job(output=tmp_path / "out.tif")
    with pytest.raises(StackError, match="one chunk a frame"):
        FrameLabelling(job)
