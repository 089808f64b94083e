import threading
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile

from napari_seggpt.cluster.worker import FrameLabelling
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.io import StackError, create_labels, open_stack
from napari_seggpt.settings import PropagationSettings


def serial(job, memory=0):
    """What one process predicts, by frame."""
    settings = PropagationSettings(memory=memory)
    with job.open_stack() as stack:
        steps = predict_stack(stack, job.make_predictor(), settings=settings)
        return {step.index: step.prediction.labels for step in steps}


def run(job, frames, tell=lambda _: None, **more):
    with closing(FrameLabelling(job, **more)) as labelling:
        return labelling.run(frames, tell)


def test_a_batch_is_written_and_told(make_job):
    job, told = make_job(), []
    report = run(job, [3, 4, 5], told.append)
    expected = serial(job)
    assert told == report.finished == [3, 4, 5]
    assert report.flat == [5]
    with job.open_output() as output:
        assert [i for i in range(14) if output.is_finished(i)] == [3, 4, 5]
        for index in (3, 4, 5):
            np.testing.assert_array_equal(output[index], expected[index])


def test_a_finished_frame_is_not_done_again(make_job):
    job, told = make_job(), []
    with job.open_output() as output:
        output.finish(4, np.zeros((40, 48), int))
    report = run(job, [3, 4], told.append)
    assert told == [3]
    assert sorted(report.finished) == [3, 4]
    with job.open_output() as output:
        assert not output[4].any()


@pytest.mark.parametrize("num_done", [1, 3])
def test_a_chain_goes_on_with_its_memory(make_job, num_done):
    """The others are predicted as if hardly anything had happened.

    Labels that are read back are not those on the grid of the model.
    """
    job = make_job(memory=2)
    expected, chain = serial(job, memory=2), [10, 11, 12, 13]
    with job.open_output() as output:
        for index in chain[:num_done]:
            output.finish(index, expected[index])
    told = []
    run(job, chain, told.append)
    assert told == chain[num_done:]
    with job.open_output() as output:
        for index in chain:
            assert (output[index] == expected[index]).mean() > (
                0.9 if num_done else 1
            ) - 1e-9
    assert (expected[12] != serial(job, memory=0)[12]).any()  # memory counts here


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
    stop, told = threading.Event(), []
    stop.set()
    report = run(make_job(memory=1), [1, 2, 3], told.append, is_stopped=stop)
    assert report.finished == told == [1]


def test_labels_without_a_chunk_a_frame_are_refused(make_job, tmp_path):
    create_labels(tmp_path / "out.tif", length=14, frame_shape=(40, 48)).close()
    job = make_job(output=tmp_path / "out.tif")
    with pytest.raises(StackError, match="one chunk a frame"):
        FrameLabelling(job)
