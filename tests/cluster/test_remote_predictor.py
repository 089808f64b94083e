"""A network on a worker of another process: as if it were here, until it is lost."""

import os
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from napari_seggpt.cluster import remote_model
from napari_seggpt.cluster.remote_model import RemoteModel
from napari_seggpt.cluster.remote_predictor import RemotePredictor
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.propagation import predict_stack
from napari_seggpt.inference.task_predictors import task_predictor
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import (
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
    TilingSettings,
)

PREDICTION = PredictionSettings(device="cpu")


@pytest.fixture
def remote(scheduler, tiny_model):
    remote = RemoteModel(tiny_model, scheduler)
    yield remote
    remote.close()


@pytest.fixture(scope="module")
def frames():
    values = np.random.default_rng(0).integers(0, 200, (7, 40, 48)).astype(np.uint16)
    for index in range(7):
        values[index, 5 + index : 20 + index, 10:30] += 600
    return values


def prompts(frames, ids=(3,)):
    labels = np.zeros(frames[0].shape, np.int32)
    for row, label in enumerate(ids):
        labels[8 + 2 * row : 10 + 2 * row, 10:30] = label
    return [
        Prompt(image=frames[i], labels=np.roll(labels, i, 0), index=i) for i in (0, 5)
    ]


def both(remote, shown, settings):
    """The predictor that computes here, and the one that does elsewhere."""
    remote.connect(lambda *_: None)
    here = Predictor(remote.model, shown, settings=settings.prediction)
    there = RemotePredictor(remote, shown, settings=settings.prediction)
    return task_predictor(here, settings), task_predictor(there, settings)


def run(frames, predictor, memory=0):
    settings = PropagationSettings(memory=memory)
    return {
        step.index: step.prediction
        for step in predict_stack(frames, predictor, settings=settings)
    }


@pytest.mark.parametrize(
    ("memory", "changes", "ids"),
    [
        (0, {}, (3,)),
        pytest.param(2, {}, (3, 7), marks=pytest.mark.slow),
        (0, {"tiling": TilingSettings(enabled=True, scale=1.0)}, (3,)),
        pytest.param(
            0,
            {"labels_per_pass": 2, "ensemble": "spatial"},
            (1, 2, 300),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["frames", "memory", "tiles", "passes"],
)
def test_labels_are_those_of_a_network_here(remote, frames, memory, changes, ids):
    settings = SessionSettings(prediction=replace(PREDICTION, **changes))
    here, there = both(remote, prompts(frames, ids), settings)
    expected, found = run(frames, here, memory), run(frames, there, memory)
    assert [*found] == [*expected]
    for index, prediction in expected.items():
        np.testing.assert_array_equal(found[index].labels, prediction.labels)
        np.testing.assert_allclose(
            found[index].confidence, prediction.confidence, atol=1e-5
        )


def test_each_is_sent_once_and_forgotten_with_its_chain(remote, frames):
    _, there = both(remote, prompts(frames), SessionSettings(prediction=PREDICTION))
    sent = []
    send = remote._ask

    def ask(name, request):
        if name == "keep":
            facts = len(request.new), len(request.gone), request.plan is not None
            sent.append(facts)
        return send(name, request)

    remote._ask = ask
    run(frames, there, memory=1)
    assert sent[0] == (2, 0, True)
    assert not any(is_new for _, _, is_new in sent[1:])
    assert sum(new for new, _, _ in sent) == 2 + 2  # of chains of 2, 2 and 1 frames
    assert sum(gone for _, gone, _ in sent) >= 1
    assert len(remote._there) <= 4
    there.predictor.set_prompts(there.predictor.prompts[:1])
    there.predict(frames[3], index=3)
    assert sent[-1] == (1, 0, True)


def test_weights_are_told_as_they_are_sent_and_sent_once(remote, monkeypatch):
    monkeypatch.setattr(remote_model, "PART_BYTES", 20_000)
    told = []
    remote.connect(lambda done, total: told.append((done, total)))
    total = sum(each.nbytes for each in remote.model.state_dict().values())
    done = [each for each, _ in told]
    assert {each for _, each in told} == {total}
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == total
    assert len({*done}) > 3
    told.clear()
    remote.connect(lambda done, total: told.append((done, total)))
    assert told == []


def test_who_stops_does_not_wait_for_the_worker(remote, frames):
    _, there = both(remote, prompts(frames), SessionSettings(prediction=PREDICTION))
    calls = []

    def stop():
        calls.append(None)
        if len(calls) == 2:
            raise InterruptedError("stopped")

    there.before_pass = stop
    with pytest.raises(InterruptedError):
        there.predict(frames[1], index=1)
    there.before_pass = None
    assert there.predict(frames[1], index=1).labels.shape == (40, 48)


def test_what_the_network_raises_is_raised_here(remote, frames):
    _, there = both(remote, prompts(frames), SessionSettings(prediction=PREDICTION))
    there.predictor._choose = lambda *_: []
    with pytest.raises(ValueError, match="prompts of one size"):
        there.predict(frames[1], index=1)
    del there.predictor._choose
    assert there.predict(frames[1], index=1).labels.any()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_dead_worker_is_told_and_the_next_one_goes_on(remote, scheduler, frames):
    here, there = both(remote, prompts(frames), SessionSettings(prediction=PREDICTION))
    steps = predict_stack(frames, there, settings=PropagationSettings())
    first = next(steps)
    pids = remote._client.run(os.getpid)
    os.kill(*pids.values(), signal.SIGKILL)
    with pytest.raises(ConnectionError, match="run again to go on") as caught:
        list(steps)
    assert scheduler in str(caught.value)
    remote.connect(lambda *_: None)
    expected = run(frames, here)
    np.testing.assert_array_equal(first.prediction.labels, expected[1].labels)
    for index, prediction in run(frames, there).items():
        np.testing.assert_array_equal(prediction.labels, expected[index].labels)


def test_nobody_there_is_one_sentence(tiny_model, monkeypatch):
    monkeypatch.setattr(remote_model, "CONNECT_SECONDS", 1)
    remote = RemoteModel(tiny_model, "tcp://127.0.0.1:1")
    sentence = (
        r"^Expected a dask scheduler at tcp://127\.0\.0\.1:1, got no answer .*\.$"
    )
    with pytest.raises(ConnectionError, match=sentence):
        remote.connect(lambda *_: None)


def test_a_worker_of_another_version_is_refused(remote, monkeypatch):
    here = SimpleNamespace(version=lambda _: "0.0.1")
    monkeypatch.setattr(remote_model, "metadata", here)
    with pytest.raises(ValueError, match=r"napari-seggpt 0\.0\.1 on the worker"):
        remote.connect(lambda *_: None)


def test_certificates_that_are_missing_are_asked_for(tiny_model):
    remote = RemoteModel(tiny_model, "tls://127.0.0.1:1")
    with pytest.raises(ValueError, match="certificates are those of dask's config"):
        remote.connect(lambda *_: None)


def test_tiles_are_kept_while_pictures_beside_them_are_painted(remote, frames):
    changes = {"ensemble": "spatial", "batch": 1}
    settings = SessionSettings(prediction=replace(PREDICTION, **changes))
    _, there = both(remote, prompts(frames), settings)
    asked_for = []
    send = remote._ask

    def ask(name, request):
        if name == "paint":
            asked_for.append({key for keys in request.chosen for key in keys})
        elif name == "keep":
            assert not request.gone & set().union(*asked_for[-1:])
        return send(name, request)

    remote._ask = ask
    there.predict_batch([frames[1], frames[2], frames[3]], indices=[1, 2, 3])
    assert len(asked_for) == 3
