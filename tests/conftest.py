"""Small networks whose every weight is random, and a predictor that needs none."""

import copy
import gc
import importlib.util
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

from napari_seggpt.cluster.clients import open_client
from napari_seggpt.frames import FrameGrid
from napari_seggpt.inference import predictor as predictor_module
from napari_seggpt.inference.prediction import Prediction
from napari_seggpt.model.config import TINY, SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import Limits
from napari_seggpt.prompts import Prompt, TunedPrompt, TuningFigures
from napari_seggpt.session import ModelCache
from napari_seggpt.settings import PredictionSettings, TuningSettings
from napari_seggpt.training import tuning
from napari_seggpt.training.tuning import TuneStep

# A busy machine is slow, not wrong.
settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# Ten times the examples, with --hypothesis-profile=thorough.
settings.register_profile(
    "thorough", settings.get_profile("patient"), max_examples=1000
)
settings.load_profile("patient")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the other cores have workers of their own

WAIT_SECONDS = 20.0
MakeModel = Callable[..., SegGPT]


def pytest_collection_finish() -> None:
    """Let no collection of garbage look through what was imported: it stays.

    napari's viewers collect three times each: a quarter of their tests' time.
    """
    gc.collect()
    gc.freeze()


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
    encoding_seconds = 0.0
    has_calibrated_confidence = False
    fails_at: int | None = None
    palettes: ClassVar[list[Palette]] = []
    predicted: ClassVar[list[int]] = []
    made: ClassVar[list["CopyingPredictor"]] = []
    shown: ClassVar[list[tuple[Prompt, ...]]] = []  # whenever prompts were set
    grids: ClassVar[list[FrameGrid | None]] = []

    def __init__(
        self,
        model: object,
        prompts: Iterable[Prompt],
        *,
        tuned: Iterable[object] = (),
        settings: PredictionSettings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.model = model
        self.settings = settings or PredictionSettings()
        self.limits = limits
        self.tuned = tuple(tuned)
        self.set_prompts(prompts)
        self.made.append(self)

    def set_prompts(
        self, prompts: Iterable[Prompt], *, finest: float | None = None
    ) -> None:
        self.prompts = tuple(prompts)
        self.shown.append(self.prompts)
        self.finest = finest
        self.tiling = self.settings.tiling

    @property
    def frames_at_once(self) -> int:
        return self.settings.batch

    @property
    def references(self) -> dict[int, Prompt]:
        return {p.index: p for p in self.prompts if p.index is not None}

    def with_prompts(
        self, prompts: Iterable[Prompt], *, finest: float | None = None
    ) -> "CopyingPredictor":
        other = copy.copy(self)
        other.set_prompts(prompts, finest=finest)
        return other

    def only(self, numbers: Iterable[int]) -> "CopyingPredictor":
        other = copy.copy(self)
        other.prompts = tuple(self.prompts[i] for i in numbers)
        return other

    def predict(
        self, frame: np.ndarray, *, index: int | None = None, grid: object = None
    ) -> Prediction:
        return self._predict(frame, index or 0)

    def prepare(self, prompt: Prompt, **_: Any) -> list[Any]:
        return []

    def predict_batch(
        self,
        frames: Sequence[np.ndarray],
        *,
        indices: Sequence[int],
        memory: object = None,
        grid: FrameGrid | None = None,
        as_seen: bool = False,
    ) -> list[Prediction]:
        self.grids.append(grid)
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
        if not self.prompts:  # tuned ones are enough
            labels = np.zeros(frame.shape[:2], np.int64)
            return Prediction(labels=labels, confidence=labels + 0.5, colors=())
        nearest = min(self.prompts, key=lambda p: abs((p.index or 0) - index))
        labels = np.asarray(nearest.labels, dtype=np.int64)
        confidence = np.full(labels.shape, 0.9 - 0.01 * (index % 50), np.float32)
        return Prediction(labels=labels, confidence=confidence, colors=())


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[CopyingPredictor]]:
    """A predictor that takes no time; its class is returned, to slow it down."""
    copying = type("Copying", (CopyingPredictor,), {})
    copying.gate, copying.predicted, copying.made = threading.Event(), [], []
    copying.shown, copying.grids = [], []
    copying.gate.set()
    monkeypatch.setattr(predictor_module, "Predictor", copying)
    yield copying
    copying.gate.set()


class TunedInSteps:
    """Stands for `tune_prompt`: so many steps, each of which may be waited for.

    Attributes
    ----------
    gains : float
        What the Dice rises by in a step.
    gate : Event
        Closed: no step is made.
    asked : list of sequence of Prompt
        What was to be learned from.
    """

    def __init__(self) -> None:
        self.gains = 0.1
        self.steps = 3
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[Sequence[Prompt]] = []

    def __call__(self, model: object, examples: Sequence[Prompt], **_: Any) -> Any:
        self.asked.append(examples)
        return self._run()

    def _run(self) -> Iterator[TuneStep]:
        for step in range(self.steps + 1):
            self.gate.wait(20)
            dice = 0.5 + self.gains * step
            loss = 1.0 / step if step else None
            yield TuneStep(
                step=step,
                loss=loss,
                dice=dice,
                held_back_dice=dice / 2,
                best=tuned_prompt(step, dice),
            )


def tuned_prompt(step: int = 1, dice: float = 0.6) -> TunedPrompt:
    """Return a prompt of one 8-pixel picture, that is told by its step."""
    picture = np.full((1, 3, 8, 8), step / 10, np.float32)
    return TunedPrompt(
        images=picture,
        colors=picture,
        palette=Palette.of([1]),
        model_hash="abc",
        seg_type="semantic",
        settings=TuningSettings(),
        figures=TuningFigures(
            frames=2, steps=step, seconds=1.0, dice_before=0.5, dice_after=dice
        ),
        class_names={1: "cell"},
    )


@pytest.fixture(scope="session")
def make_tuned() -> Callable[..., TunedPrompt]:
    """Make a tuned prompt."""
    return tuned_prompt


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch) -> Iterator[TunedInSteps]:
    """Tuning that takes no time."""
    steps = TunedInSteps()
    monkeypatch.setattr(tuning, "tune_prompt", steps)
    yield steps
    steps.gate.set()


@pytest.fixture
def models() -> ModelCache:
    """A cache whose models are their names."""
    return ModelCache(lambda name, /, *, progress=None: f"the {name} model")


@pytest.fixture(scope="session")
def scheduler() -> Iterator[str]:
    """Return the address of a scheduler whose one worker is another process."""
    with open_client(workers=1) as client:
        yield client.scheduler.address


@pytest.fixture(scope="session")
def miniatures() -> ModuleType:
    """The module that writes small data sets in published layouts."""
    file = Path(__file__).with_name("miniatures.py")
    spec = importlib.util.spec_from_file_location("miniatures", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def published(
    miniatures: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return the folder of a small data set by the name of its layout; do not write."""
    folders: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in folders:
            folders[name] = miniatures.write(name, tmp_path_factory.mktemp(name))
        return folders[name]

    return find
