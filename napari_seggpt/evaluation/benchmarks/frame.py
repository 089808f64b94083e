"""What a user waits for: a frame by the built-in model, beside one by ViT-L."""

from __future__ import annotations

import statistics
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from napari_seggpt.evaluation.benchmarks.timing import timed
from napari_seggpt.inference.predictor import Predictor
from napari_seggpt.model.config import VIT_LARGE, SegGPTConfig
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.model.zoo import load_model
from napari_seggpt.prompts import Prompt
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_seggpt.model.encoding import EncodedPrompts

COMPARED_PROMPTS = 4


def benchmark_frame(
    prompts: Sequence[int],
    *,
    runs: int = 3,
    threads: int | None = None,
    side: int = 448,
    model: SegGPT | None = None,
    large: SegGPTConfig = VIT_LARGE,
) -> dict[str, Any]:
    """Time a frame by the built-in model, and by ViT-L with random weights.

    Both are used through `Predictor` on the CPU in float32, in turn, with four
    prompts in the feature ensemble. Prompts are encoded before the clock starts.
    Each shrinks or enlarges the frame to its own size, as it does for a user.

    Parameters
    ----------
    prompts : sequence of int
        Numbers of prompts with which the built-in model is measured further.
    runs : int
        How often each is run; medians are compared.
    threads : int, optional
        Threads of torch.
    side : int
        Of the square frame, in pixels.
    model : SegGPT, optional
        Another than the built-in one.
    large : SegGPTConfig
        The geometry it is compared with.

    Returns
    -------
    dict
        Of both, and of the built-in model at each number of prompts: seconds for a
        frame, those of them in the network, seconds to encode one prompt and bytes
        that it holds; and how many times the seconds of ours ViT-L takes.

    Raises
    ------
    CheckpointError
        If the built-in weights are damaged.
    ValueError
        If a number of prompts or of runs is below 1.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    model = load_model("builtin") if model is None else model
    frame, examples = _make_examples(side, max([COMPARED_PROMPTS, *prompts]))
    ours, theirs = _compare(model, large, examples[:COMPARED_PROMPTS], frame, runs)
    rows = []
    for count in tqdm(prompts, unit="K", desc="Numbers of prompts"):
        contender = _Contender(model, examples[:count])
        for _ in range(runs):
            contender.predict(frame)
        rows.append(contender.report())
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "frame": [side, side],
        "builtin": ours,
        "vit_large": theirs,
        "ratio": theirs["seconds"] / ours["seconds"],
        "network_ratio": theirs["network_seconds"] / ours["network_seconds"],
        "rows": rows,
    }


def _compare(
    model: SegGPT,
    large: SegGPTConfig,
    examples: Sequence[Prompt],
    frame: NDArray[np.uint8],
    runs: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    contenders = [_Contender(each, examples) for each in (model, _random_model(large))]
    for _ in tqdm(range(runs), unit="run", desc="Beside ViT-L"):
        for contender in contenders:
            contender.predict(frame)
    ours, theirs = contenders
    return ours.report(), theirs.report()


class _Contender:
    """A model with encoded prompts, and the seconds of its predictions."""

    def __init__(self, model: SegGPT, prompts: Sequence[Prompt]) -> None:
        settings = PredictionSettings(
            ensemble="feature",
            max_prompts=len(prompts),
            device="cpu",
            precision="float32",
        )
        self._predictor = Predictor(model, prompts, settings=settings)
        self._encoding = [self._encode(i) for i in range(len(prompts))]
        self._seconds: list[float] = []
        self._network: list[float] = []

    def predict(self, frame: NDArray[np.uint8]) -> None:
        """Predict a frame against the clock."""
        with _clocked(self._predictor.model, self._network):
            seconds, _ = timed(lambda: self._predictor.predict(frame))
        self._seconds.append(seconds)

    def report(self) -> dict[str, Any]:
        """Return the medians, and how they came about."""
        seconds, encoded = zip(*self._encoding, strict=True)
        return {
            "picture": list(self._predictor.tiles[0].picture.shape[:2]),
            "prompts": len(encoded),
            "seconds": statistics.median(self._seconds),
            "network_seconds": statistics.median(self._network),
            "encode_seconds": statistics.median(seconds),
            "prompt_bytes": _held_bytes(encoded[0]),
            "all_seconds": self._seconds,
        }

    def _encode(self, index: int) -> tuple[float, EncodedPrompts]:
        tile = self._predictor.tiles[index]
        seconds, _ = timed(lambda: self._predictor.passes.encode(tile))
        return seconds, tile.encoded[0]


@contextmanager
def _clocked(model: SegGPT, seconds: list[float]) -> Iterator[None]:
    """Note the seconds of every prediction of a network."""
    name = "probabilities" if model.config.decoder == "readout" else "forward"
    original = getattr(model, name)

    def predict(*args: Any) -> Tensor:
        taken, result = timed(lambda: original(*args))
        seconds.append(taken)
        return result

    setattr(model, name, predict)
    try:
        yield
    finally:
        delattr(model, name)  # the class has its own


def _make_examples(side: int, count: int) -> tuple[NDArray[np.uint8], list[Prompt]]:
    """Make a frame and prompts of noise with two labels: time depends on no content."""
    images = np.random.default_rng(0).integers(
        0, 256, (count + 1, side, side), dtype=np.uint8
    )
    labels = np.zeros((side, side), np.uint8)
    labels[: side // 2, : side // 2] = 1
    labels[side // 2 :, side // 2 :] = 2
    return images[0], [Prompt(image=image, labels=labels) for image in images[1:]]


def _random_model(config: SegGPTConfig) -> SegGPT:
    """Make a network of random weights, without the time that its own would take."""
    with torch.device("meta"):
        model = SegGPT(config)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02, generator=generator)
    return model.eval()


def _held_bytes(encoded: EncodedPrompts) -> int:
    """Return how much memory encoded prompts keep: all that their tensors view."""
    sizes: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    encoded.map(note)
    return sum(sizes.values())
