"""Runs whose network is on a worker of another process."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from distributed import Client

from napari_seggpt.cluster import extra, remote_model
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.session import FrameStatus, ModelCache, Session
from napari_seggpt.settings import PropagationSettings, SessionSettings

LENGTH, SHAPE = 9, (40, 48)

MakeSession = Callable[..., Session]


@pytest.fixture
def models(tiny_model: SegGPT) -> Iterator[ModelCache]:
    """A cache of a network that computes."""
    models = ModelCache(lambda name, /, *, progress=None: tiny_model)
    yield models
    models.leave()


@pytest.fixture
def predictor() -> None:
    """Nothing stands for the predictor here."""


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 200, (LENGTH, *SHAPE))
    for index in range(LENGTH):
        values[index, 5 + index : 20 + index, 10:30] += 600
    return values.astype(np.uint16)


@pytest.fixture
def begin(make_session: MakeSession, stack: np.ndarray, label: Any) -> MakeSession:
    """Begin a session whose frame 3 is a reference."""

    def make(scheduler: str | None, memory: int = 0) -> Session:
        settings = SessionSettings(
            scheduler=scheduler, propagation=PropagationSettings(memory=memory)
        )
        session = make_session(
            np.zeros((LENGTH, *SHAPE), np.uint8), settings=settings, stack=stack
        )
        labels = np.zeros(SHAPE, np.uint8)
        labels[8:23, 10:30] = 3
        label(session, 3, labels)
        return session

    return make


def commit_some(session: Session, count: int) -> Any:
    """Start a run, write its first results, and return the others."""
    run = session.start("all", 0)
    results = run.results()
    for _ in range(count):
        assert session.runs.commit(next(results))
    return results


def commit_all(session: Session, results: Any) -> None:
    for result in results:
        session.runs.commit(result)


def kill_workers(scheduler: str, models: ModelCache) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    with Client(scheduler, set_as_default=False) as client:
        for pid in client.run(os.getpid).values():
            os.kill(pid, signal.SIGKILL)


def test_a_run_elsewhere_leaves_what_a_run_here_does(
    begin: MakeSession, scheduler: str, predict: Any
) -> None:
    here, there = begin(None), begin(scheduler)
    assert predict(there) == predict(here)
    np.testing.assert_array_equal(there.frames.labels.data, here.frames.labels.data)
    assert there.frames.statuses == here.frames.statuses
    assert there.frames.confidence(5) == pytest.approx(here.frames.confidence(5))
    there.runs.undo()
    assert not there.frames.labels.data[4].any()


def break_connection(scheduler: str, models: ModelCache) -> None:
    assert models._remote is not None
    models._remote.close()


@pytest.mark.parametrize(
    ("memory", "break_off"), [(2, kill_workers), (0, break_connection)]
)
def test_after_a_connection_was_lost_a_run_goes_on_where_it_was(
    begin: MakeSession,
    scheduler: str,
    predict: Any,
    models: ModelCache,
    memory: int,
    break_off: Callable[[str, ModelCache], None],
) -> None:
    here, there = begin(None, memory), begin(scheduler, memory)
    predict(here)
    results = commit_some(there, 4)  # 2, 1 and 0, which are a chain, and 4
    break_off(scheduler, models)
    with pytest.raises(ConnectionError, match="run again to go on"):
        commit_all(there, results)
    there.runs.finish()
    done = {i for i, s in enumerate(there.frames.statuses) if s.value == "predicted"}
    assert {0, 1, 2, 4} <= done
    assert len(done) < LENGTH - 1
    again = predict(there, goes_on=True)
    assert again == sorted({*range(LENGTH)} - done - {3})
    # With memory the labels that were stored stand for what the model saw of them.
    same = slice(None) if not memory else sorted(done)
    found, wanted = there.frames.labels.data, here.frames.labels.data
    np.testing.assert_array_equal(found[same], wanted[same])
    assert len(predict(there, goes_on=True)) == LENGTH - 1  # all were up to date


def test_what_has_changed_since_is_predicted_anew(
    begin: MakeSession,
    scheduler: str,
    predict: Any,
    label: Any,
    models: ModelCache,
) -> None:
    session = begin(scheduler)
    results = commit_some(session, 2)
    break_connection(scheduler, models)
    with pytest.raises(ConnectionError):
        list(results)
    session.runs.finish()
    label(session, 8, session.frames.labels.data[3])  # another reference
    assert sorted(predict(session, goes_on=True)) == [0, 1, 2, 4, 5, 6, 7]


def test_a_run_that_is_stopped_sends_no_more(
    begin: MakeSession, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_model, "PART_BYTES", 20_000)
    session = begin(scheduler)
    run = session.start("all", 0)
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if done:
            run.stop()

    run.on_upload = stop
    assert list(run.results()) == []
    assert 0 < told[-1][0] < told[-1][1]
    session.runs.finish()
    assert session.frames.status(0) is FrameStatus.EMPTY


def test_nobody_there(begin: MakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_model, "CONNECT_SECONDS", 1)
    session = begin("tcp://127.0.0.1:1")
    run = session.start("all", 0)
    with pytest.raises(ConnectionError, match="Expected a dask scheduler at tcp"):
        next(run.results())
    session.runs.finish()
    session.settings = replace(session.settings, scheduler=None)
    assert next(session.start("all", 0).results()).index == 2


def test_what_is_missing_is_named(
    begin: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda _: None)
    run = begin("tcp://127.0.0.1:1").start("all", 0)
    with pytest.raises(ValueError, match=r"napari-seggpt\[distributed\]"):
        next(run.results())
