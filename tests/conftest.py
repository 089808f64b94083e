"""Small networks whose every weight is random, and a predictor that needs none."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from napari_seggpt.inference import predictor as predictor_module
from napari_seggpt.inference.predictor import Prediction
from napari_seggpt.model.config import TINY, SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.preprocessing import Limits
from napari_seggpt.prompts import Prompt
from napari_seggpt.session import ModelCache
from napari_seggpt.settings import PredictionSettings

# A busy machine is slow, not wrong.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

WAIT_SECONDS = 20.0
MakeModel = Callable[..., SegGPT]


def _random_model(config: SegGPTConfig, seed: int = 0) -> SegGPT:
    generator = torch.Generator().manual_seed(seed)
    model = SegGPT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.15, generator=generator)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.weight += 1.0
    return model.eval()


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    return _random_model


@pytest.fixture(scope="session")
def tiny_model() -> SegGPT:
    """The published design at 32 px; shared, so never to be changed."""
    return _random_model(TINY)


class CopyingPredictor:
    """Predicts the labels of the nearest prompt, for every frame alike."""

    gate = threading.Event()  # closed: no frame is predicted
    seconds = 0.0
    fails_at: int | None = None
    predicted: ClassVar[list[int]] = []
    made: ClassVar[list["CopyingPredictor"]] = []

    def __init__(
        self,
        model: object,
        prompts: Iterable[Prompt],
        *,
        settings: PredictionSettings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or PredictionSettings()
        self.limits = limits
        self.set_prompts(prompts)
        self.made.append(self)

    def set_prompts(self, prompts: Iterable[Prompt]) -> None:
        self.prompts = tuple(prompts)

    @property
    def references(self) -> dict[int, Prompt]:
        return {p.index: p for p in self.prompts if p.index is not None}

    def prepare(self, prompt: Prompt, *, predicted: bool = False) -> list[Any]:
        return []

    def predict_batch(
        self,
        frames: Sequence[np.ndarray],
        *,
        indices: Sequence[int],
        memory: object = None,
    ) -> list[Prediction]:
        return [
            self._predict(frame, index)
            for frame, index in zip(frames, indices, strict=True)
        ]

    def _predict(self, frame: np.ndarray, index: int) -> Prediction:
        self.gate.wait(WAIT_SECONDS)
        time.sleep(self.seconds)
        if index == self.fails_at:
            raise RuntimeError("the network broke")
        self.predicted.append(index)
        nearest = min(self.prompts, key=lambda p: abs((p.index or 0) - index))
        labels = np.asarray(nearest.labels, dtype=np.int64)
        confidence = np.full(labels.shape, 0.9 - 0.01 * (index % 50), np.float32)
        return Prediction(labels=labels, confidence=confidence, colors=())


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[CopyingPredictor]]:
    """A predictor that takes no time; its class is returned, to slow it down."""
    copying = type("Copying", (CopyingPredictor,), {})
    copying.gate, copying.predicted, copying.made = threading.Event(), [], []
    copying.gate.set()
    monkeypatch.setattr(predictor_module, "Predictor", copying)
    yield copying
    copying.gate.set()


@pytest.fixture
def models() -> ModelCache:
    """A cache whose models are their names."""
    return ModelCache(lambda name, /, *, progress=None: f"the {name} model")
