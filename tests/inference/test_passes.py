"""Passes of the network: device, precision, memory, and being stopped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings, TilingSettings

Make = Callable[..., np.ndarray]


def cpu(**chosen: Any) -> PredictionSettings:
    return PredictionSettings(device="cpu", **chosen)


@pytest.fixture
def prompt(frame: Make, blocks: Make) -> Prompt:
    return Prompt(image=frame(), labels=blocks((32, 32), [1, 2, 5]))


def test_a_missing_device_is_said_once(
    tiny_model: SegGPT,
    prompt: Prompt,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = PredictionSettings(device="cuda")
    predictor = Predictor(tiny_model, [prompt], settings=settings)
    predictor.predict_batch([prompt.image] * 3)
    assert predictor.device == torch.device("cpu")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_prompts_and_queries_are_computed_in_the_precision(
    precision: str, copying_model: Any, prompt: Prompt
) -> None:
    predictor = Predictor(copying_model, [prompt], settings=cpu(precision=precision))
    predictor.predict(prompt.image)
    assert copying_model.dtypes == [getattr(torch, precision)] * 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_readout_runs_in_short_floats(
    precision: str, readout_model: SegGPT, frame: Make, blocks: Make
) -> None:
    prompt = Prompt(image=frame((40, 36)), labels=blocks((40, 36), [1, 2, 3]))
    exact, short = (
        Predictor(readout_model, [prompt], settings=cpu(precision=one)).predict(
            frame((40, 36), seed=9)
        )
        for one in ("float32", precision)
    )
    assert set(np.unique(short.labels)) <= {0, 1, 2, 3}
    assert np.abs(short.colors[0] - exact.colors[0]).mean() < 0.05
    assert (short.colors[0] != exact.colors[0]).any()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("tiled", [False, True])
def test_short_floats_are_nearly_as_good(
    precision: str, tiled: bool, tiny_model: SegGPT, frame: Make, blocks: Make
) -> None:
    prompt = Prompt(image=frame((40, 36)), labels=blocks((40, 36), [1, 2, 3]))
    query = frame((40, 36), seed=9)

    def paint(precision: str) -> Prediction:
        tiling = TilingSettings(enabled=tiled)
        settings = cpu(precision=precision, tiling=tiling)
        return Predictor(tiny_model, [prompt], settings=settings).predict(query)

    exact, short = paint("float32"), paint(precision)
    assert set(np.unique(short.labels)) <= {0, 1, 2, 3}
    assert np.isfinite(short.colors[0]).all()
    assert np.abs(short.colors[0] - exact.colors[0]).mean() < 0.05
    assert (short.colors[0] != exact.colors[0]).any()
    assert tiny_model.patch_embed.proj.weight.dtype == torch.float32


@pytest.mark.parametrize("problem", [torch.OutOfMemoryError, MemoryError])
def test_a_batch_that_does_not_fit_is_run_in_halves(
    tiny_model: SegGPT,
    prompt: Prompt,
    frame: Make,
    monkeypatch: pytest.MonkeyPatch,
    problem: type[Exception],
) -> None:
    frames = [np.roll(frame(), shift) for shift in range(4)]
    predictor = Predictor(tiny_model, [prompt], settings=cpu())
    expected = [prediction.labels for prediction in predictor.predict_batch(frames)]
    run, sizes = predictor.passes._run, []

    def run_at_most_one(pictures: Any, chosen: Any, number: int) -> Any:
        sizes.append(len(pictures))
        if len(pictures) > 1:
            raise problem
        return run(pictures, chosen, number)

    monkeypatch.setattr(predictor.passes, "_run", run_at_most_one)
    labels = [prediction.labels for prediction in predictor.predict_batch(frames)]
    np.testing.assert_array_equal(labels, expected)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]


def test_a_single_frame_that_does_not_fit_is_said(
    tiny_model: SegGPT, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(tiny_model, [prompt], settings=cpu())

    def never_fits(*_: Any) -> Any:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(predictor.passes, "_run", never_fits)
    with pytest.raises(RuntimeError, match="a frame with 1 prompts, got too little"):
        predictor.predict(prompt.image)


def test_colours_that_are_no_numbers_are_said(
    tiny_model: SegGPT, prompt: Prompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(tiny_model, [prompt], settings=cpu())
    nothing = torch.full((1, 3, 32, 32), float("nan"))
    monkeypatch.setattr(SegGPT, "forward", lambda *_: nothing)
    with pytest.raises(RuntimeError, match="got NaN or infinity in float32"):
        predictor.predict(prompt.image)


class StoppedEarlyError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 5, 7])
def test_what_is_called_before_every_pass_may_end_a_prediction(
    tiny_model: SegGPT, prompt: Prompt, frame: Make, after: int
) -> None:
    """Three passes to encode the prompt, three for each of two frames."""
    settings = cpu(labels_per_pass=1, batch=1)
    predictor = Predictor(tiny_model, [prompt], settings=settings)
    calls: list[None] = []

    def stop() -> None:
        if len(calls) == after:
            raise StoppedEarlyError
        calls.append(None)

    predictor.before_pass = stop
    frames = [frame(seed=1), frame(seed=2)]
    with pytest.raises(StoppedEarlyError):
        predictor.predict_batch(frames)
    predictor.before_pass = lambda: calls.append(None)
    calls.clear()
    after_it = predictor.predict_batch(frames)
    assert 6 <= len(calls) <= 9  # what was encoded is kept
    expected = Predictor(tiny_model, [prompt], settings=settings).predict_batch(frames)
    for one, other in zip(after_it, expected, strict=True):
        assert (one.labels == other.labels).all()
        assert (one.confidence == other.confidence).all()
