"""Models and predictors are made once and used again, and let go in time."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from napari_seggpt.session import ModelCache
from napari_seggpt.session.references.reference import PromptSource
from napari_seggpt.session.runs.predictor_cache import PredictorCache, RunRequest
from napari_seggpt.settings import (
    ContrastSettings,
    PredictionSettings,
    PropagationSettings,
    SessionSettings,
)


class Stack:
    """Frames that remember which of them were read."""

    def __init__(self, dtype: Any = np.uint16) -> None:
        self.reads: list[int] = []
        self.dtype = dtype

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return np.full((8, 8), index, self.dtype)


class Model:
    """Something that a weak reference can be made to."""


def source(frame: int | None, label: int = 1, **facts: Any) -> PromptSource:
    labels = np.full((8, 8), label)
    identity = facts.pop("identity", (frame, label))
    return PromptSource(identity=identity, labels=labels, frame=frame, **facts)


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def engine(predictor: type, models: ModelCache) -> PredictorCache:
    return PredictorCache(models)


def ask(
    stack: Stack, *sources: PromptSource, settings: SessionSettings | None = None
) -> RunRequest:
    return RunRequest(
        stack=stack, settings=settings or SessionSettings(), sources=sources
    )


# -- models ----------------------------------------------------------------------------


def test_a_model_is_loaded_once_and_only_the_last_is_kept() -> None:
    loaded: list[str] = []

    def load(name: str, /, *, progress: Any = None) -> Any:
        loaded.append(name)
        return Model()

    cache = ModelCache(load)
    first = cache.get("one")
    assert cache.get("one") is first
    assert loaded == ["one"]
    gone = weakref.ref(first)
    del first
    cache.get("two")
    gc.collect()
    assert gone() is None
    cache.get("one")
    assert loaded == ["one", "two", "one"]


def test_the_model_before_is_gone_when_the_next_is_loaded() -> None:
    seen: list[object] = []
    before: list[Any] = []

    def load(name: str, /, *, progress: Any = None) -> Any:
        gc.collect()
        seen.append(before[-1]() if before else None)
        model = Model()
        before.append(weakref.ref(model))
        return model

    cache = ModelCache(load)
    cache.get("one")
    cache.get("two")
    assert seen == [None, None]


def test_a_model_that_cannot_be_loaded_is_tried_again() -> None:
    answers: list[Any] = ["a model", OSError("offline"), "another"]

    def load(name: str, /, *, progress: Any = None) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = ModelCache(load)
    cache.get("one")
    with pytest.raises(OSError, match="offline"):
        cache.get("two")
    assert cache.get("one") == "another"


def test_a_cleared_cache_loads_anew_and_waits_for_who_computes() -> None:
    cache = ModelCache(lambda name, /, *, progress=None: Model())  # type: ignore[arg-type]
    model = cache.get("one")
    done = threading.Event()

    def clear() -> None:
        cache.clear()
        done.set()

    with cache.lock:
        thread = threading.Thread(target=clear)
        thread.start()
        assert not done.wait(0.05)
    thread.join()
    assert cache.get("one") is not model


def test_progress_is_handed_to_who_loads() -> None:
    told: list[tuple[int, int]] = []

    def load(name: str, /, *, progress: Any = None) -> Any:
        progress(3, 10)
        return "a model"

    ModelCache(load).get("one", lambda done, total: told.append((done, total)))
    assert told == [(3, 10)]


# -- predictors ------------------------------------------------------------------------


def test_a_predictor_gets_what_was_asked_for(
    engine: PredictorCache, stack: Stack
) -> None:
    settings = SessionSettings(
        model="large", prediction=PredictionSettings(max_prompts=3)
    )
    made: Any = engine.predictor(ask(stack, source(4), source(9, 2), settings=settings))
    assert made.predictor.model == "the large model"
    assert made.settings.max_prompts == 3
    assert [(p.index, int(p.image[0, 0])) for p in made.prompts] == [(4, 4), (9, 9)]
    assert [int(p.labels[0, 0]) for p in made.prompts] == [1, 2]
    assert made.limits is not None


def test_the_same_request_gets_the_same_predictor_and_reads_nothing(
    engine: PredictorCache, stack: Stack, predictor: Any
) -> None:
    first = engine.predictor(ask(stack, source(4)))
    prompts = first.prompts
    stack.reads.clear()
    assert engine.predictor(ask(stack, source(4))) is first
    assert first.prompts == prompts
    assert stack.reads == []
    assert len(predictor.made) == 1


def test_only_new_prompts_are_read(
    engine: PredictorCache, stack: Stack, predictor: Any
) -> None:
    made = engine.predictor(ask(stack, source(4), source(9)))
    kept = made.prompts[1]
    stack.reads.clear()
    again = engine.predictor(ask(stack, source(9), source(12), source(4, 5)))
    assert again.predictor.model is made.predictor.model
    assert stack.reads == [12, 4]
    assert again.prompts[0] is kept
    assert [int(p.labels[0, 0]) for p in again.prompts] == [1, 1, 5]
    assert len(predictor.made) == 1


@pytest.mark.parametrize(
    "changed",
    [
        SessionSettings(model="large"),
        SessionSettings(prediction=PredictionSettings(device="cpu")),
        SessionSettings(contrast=ContrastSettings(limits=(0, 5))),
    ],
    ids=["model", "prediction", "contrast"],
)
def test_other_settings_need_another_predictor(
    engine: PredictorCache, stack: Stack, predictor: Any, changed: SessionSettings
) -> None:
    first = engine.predictor(ask(stack, source(4)))
    second = engine.predictor(ask(stack, source(4), settings=changed))
    assert second is not first
    assert second.prompts[0].index == 4
    assert len(predictor.made) == 2


def test_what_is_no_matter_of_the_predictor_leaves_it(
    engine: PredictorCache, stack: Stack
) -> None:
    first = engine.predictor(ask(stack, source(4)))
    changed = SessionSettings(
        propagation=PropagationSettings(memory=3), corrections_become_references=False
    )
    assert engine.predictor(ask(stack, source(4), settings=changed)) is first


def test_another_stack_is_measured_and_read_anew(
    engine: PredictorCache, stack: Stack
) -> None:
    first = engine.predictor(ask(stack, source(4)))
    other = Stack()
    second = engine.predictor(ask(other, source(4)))
    assert second is not first
    assert other.reads.count(4) >= 1
    assert second.prompts[0] is not first.prompts[0]


def test_the_contrast_is_measured_on_a_few_frames(
    engine: PredictorCache, stack: Stack
) -> None:
    engine.predictor(ask(stack, source(4)))
    assert len(stack.reads) < 12
    assert max(stack.reads) == 19


def test_an_example_from_elsewhere_is_shown_with_its_own_contrast(
    engine: PredictorCache, stack: Stack
) -> None:
    image = np.zeros((8, 8), np.uint16)
    image[4:] = 60_000
    example = source(None, image=image, identity=("mine", b"mark"))
    (prompt,) = engine.predictor(ask(stack, example)).prompts
    assert prompt.index is None
    assert prompt.image.shape == (8, 8, 3)
    assert prompt.image.min() < 0.1
    assert prompt.image.max() > 0.9
    assert 4 not in stack.reads[9:]


def test_after_an_error_a_new_predictor_is_made(
    engine: PredictorCache,
    predictor: Any,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = engine.predictor(ask(stack, source(4)))

    def fail(self: object, prompts: object, **_: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(predictor, "set_prompts", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            engine.predictor(ask(stack, source(5)))
    again = engine.predictor(ask(stack, source(5)))
    assert again is not first
    assert [prompt.index for prompt in again.prompts] == [5]


def test_the_predictor_before_is_gone_when_the_next_is_made(
    engine: PredictorCache,
    predictor: Any,
    stack: Stack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = weakref.ref(engine.predictor(ask(stack, source(4))))
    predictor.made.clear()
    alive: list[bool] = []
    make = predictor.__init__

    def look(self: object, *args: Any, **kwargs: Any) -> None:
        gc.collect()
        alive.append(gone() is not None)
        make(self, *args, **kwargs)

    monkeypatch.setattr(predictor, "__init__", look)
    engine.predictor(ask(stack, source(4), settings=SessionSettings(model="large")))
    assert alive == [False]
