"""Where the time of a frame goes, part by part."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch
from tqdm import tqdm

from napari_seggpt.inference import predictor as predictor_module
from napari_seggpt.inference.frame_view import FrameView
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.inference.task_predictors import ClassPredictor
from napari_seggpt.inference.tiling import Tile
from napari_seggpt.io import open_stack
from napari_seggpt.model import readout as readout_module
from napari_seggpt.model.attention import AttentionRead
from napari_seggpt.model.linear import LinearRead
from napari_seggpt.model.mixer import Mixer
from napari_seggpt.model.readout import Readout
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.model.transformer import Transformer
from napari_seggpt.model.zoo import load_model
from napari_seggpt.object_settings import CleanupSettings
from napari_seggpt.prompts import Prompt
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

REST = "all else"
# What is clocked, and as a part of what; time in one that another calls is not the
# other's.
CLOCKED: tuple[tuple[Any, str, str], ...] = (
    (ClassPredictor, "predict_batch", REST),
    (FrameView, "rgb", "picture"),
    (Tile, "picture", "picture"),
    (SegGPT, "probabilities", "network: all else"),
    (SegGPT, "_stem_levels", "network: stem"),
    (Transformer, "run", "network: transformer"),
    (Readout, "matched", "network: features that are matched"),
    (AttentionRead, "read", "network: attention read"),
    (LinearRead, "solve", "network: linear reads"),
    (LinearRead, "scores", "network: linear reads"),
    (readout_module, "carry_along", "network: motion read"),
    (Mixer, "forward", "network: mixer"),
    (predictor_module, "read_prediction", "labels and confidence"),
    (ClassPredictor, "_answer", "clean-up"),
)
SAMPLE = "organs"


def benchmark_parts(
    prompts: Sequence[int],
    *,
    runs: int = 5,
    threads: int | None = None,
    model: SegGPT | None = None,
) -> dict[str, Any]:
    """Clock the parts of predicting a frame of a sample, on the CPU.

    Parameters
    ----------
    prompts : sequence of int
        Numbers of references, which are encoded before the clock starts.
    runs : int
        How often the frame is predicted; medians are told.
    threads : int, optional
        Of torch.
    model : SegGPT, optional
        Another than the built-in one; with a readout.

    Returns
    -------
    dict
        In "rows", of each number of prompts: the seconds of a frame, and in "parts"
        those of each part, without the parts in it.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    network = load_model("builtin") if model is None else model
    rows = []
    for count in tqdm(prompts, unit="K", desc="Numbers of prompts"):
        measured = _measure(network, count, runs)
        parts = {
            name: statistics.median(each[name] for each in measured)
            for name in dict.fromkeys(part for _, _, part in CLOCKED)
        }
        total = statistics.median(sum(each.values()) for each in measured)
        rows.append({"prompts": count, "seconds": total, "parts": parts})
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "sample": SAMPLE,
        "rows": rows,
    }


def _measure(model: SegGPT, count: int, runs: int) -> list[dict[str, float]]:
    sample = SAMPLES[SAMPLE]
    with (
        open_stack(sample.path) as stack,
        open_stack(sample.labels_path, labels=True) as truth,
    ):
        at = sample.reference
        used = [(at + step) % len(stack) for step in range(count + 1)]
        frame = stack[used[-1]]
        examples = [Prompt(image=stack[i], labels=truth[i], index=i) for i in used[:-1]]
    settings = PredictionSettings(device="cpu", max_prompts=count)
    predictor = ClassPredictor(
        Predictor(model, examples, settings=settings), CleanupSettings()
    )
    predictor.predict(frame, index=used[-1])
    measured = []
    for _ in range(runs):
        with _clocked() as seconds:
            predictor.predict(frame, index=used[-1])
        measured.append(dict(seconds))
    return measured


@contextmanager
def _clocked() -> Iterator[defaultdict[str, float]]:
    """Note the seconds of every part, without those of the parts that it calls."""
    seconds: defaultdict[str, float] = defaultdict(float)
    inner: list[float] = []  # of the calls that are on, the seconds in parts of theirs

    def clocked(original: Callable[..., Any], part: str) -> Callable[..., Any]:
        @wraps(original)
        def call(*args: Any, **more: Any) -> Any:
            inner.append(0.0)
            start = time.perf_counter()
            try:
                return original(*args, **more)
            finally:
                taken = time.perf_counter() - start
                seconds[part] += taken - inner.pop()
                if inner:
                    inner[-1] += taken

        return call

    with ExitStack() as patches:
        for owner, name, part in CLOCKED:
            replaced = clocked(getattr(owner, name), part)
            patches.enter_context(patch.object(owner, name, replaced))
        yield seconds
