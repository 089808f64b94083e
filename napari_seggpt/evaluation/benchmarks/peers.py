"""What the samples' frames take, beside what a person would take instead."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from napari_seggpt.evaluation.benchmarks.timing import timed
from napari_seggpt.evaluation.peers import PEERS
from napari_seggpt.frames import sample_frames
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.io import open_stack
from napari_seggpt.model.zoo import load_model
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.prompts import Prompt
from napari_seggpt.sample_data import SAMPLES
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.sample_data import SampleStack

TIMED_PEERS = ("pixels", "warped")
OURS = "built-in"


def benchmark_peers(
    samples: Sequence[str] = tuple(SAMPLES),
    *,
    runs: int = 3,
    threads: int | None = None,
    model: SegGPT | None = None,
) -> dict[str, Any]:
    """Time the built-in model and its peers on the same frames, in turn.

    Each learns from one reference, and then predicts so many other frames as there
    are runs.

    Parameters
    ----------
    samples : sequence of str
        Names of sample stacks.
    runs : int
        Frames of each; medians are compared.
    threads : int, optional
        Of torch; scikit-learn takes all cores.
    model : SegGPT, optional
        Another than the built-in one.

    Returns
    -------
    dict
        In "rows", of each sample and method: the seconds to learn from the reference,
        those of a frame, and how many times ours the latter are.

    Raises
    ------
    ValueError
        If scikit-learn is not installed.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    network = load_model("builtin") if model is None else model

    def ours(prompts: Sequence[Prompt], limits: Limits) -> _Ours:
        return _Ours(network, prompts, limits)

    methods = {OURS: ours} | {PEERS[name][0]: PEERS[name][1] for name in TIMED_PEERS}
    rows = [
        row
        for name in tqdm(samples, unit="sample", desc="Measuring")
        for row in _measure(SAMPLES[name], methods, runs)
    ]
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "rows": rows,
    }


class _Ours:
    """The built-in model as a segmenter; the reference is encoded when it is made."""

    def __init__(
        self, model: SegGPT, prompts: Sequence[Prompt], limits: Limits
    ) -> None:
        settings = PredictionSettings(device="cpu")
        self._predictor = Predictor(model, prompts, settings=settings, limits=limits)
        for tile in self._predictor.tiles:
            self._predictor.passes.encode(tile)

    def segment(self, frame: NDArray[Any], index: int) -> object:
        return self._predictor.predict(frame, index=index)


def _measure(
    sample: SampleStack, methods: dict[str, Callable[..., Any]], runs: int
) -> list[dict[str, Any]]:
    with (
        open_stack(sample.path) as stack,
        open_stack(sample.labels_path, labels=True) as truth,
    ):
        at = sample.reference
        prompt = Prompt(image=stack[at], labels=truth[at], index=at)
        limits = measure_limits(sample_frames(stack))
        others = [index for index in range(len(stack)) if index != at][:runs]
        learned = {
            name: timed(partial(make, [prompt], limits))
            for name, make in methods.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in methods}
        for index in others:
            frame = stack[index]
            for name, (_, segmenter) in learned.items():
                taken, _ = timed(partial(segmenter.segment, frame, index))
                seconds[name].append(taken)
        shape = list(stack[at].shape[:2])
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    return [
        {
            "sample": sample.name,
            "frame": shape,
            "method": name,
            "learn_seconds": learned[name][0],
            "seconds": medians[name],
            "ratio": medians[name] / medians[OURS],
        }
        for name in methods
    ]
