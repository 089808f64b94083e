"""A network whose answers are known, and frames that it can tell apart."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_seggpt.model.config import TINY
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.preprocessing import denormalise

Frame = Callable[..., np.ndarray]
Blocks = Callable[..., np.ndarray]


class CopyingModel(torch.nn.Module):
    """Paints as the prompt was that looks most like the query, and keeps a record.

    Attributes
    ----------
    encoded, pictures : list of NDArray
        (H, W, 3), the colours and the picture of each encoded prompt, from 0 to 1.
    seg_types, predicted : list
        The seg_type of each encoded prompt, and whether it is the model's own.
    calls : list of tuple of int
        How many queries and how many prompts of each there were in a call.
    dtypes : list of torch.dtype
        In which matrix products were to be computed, whenever it was used.
    noise : float
        Deviation of what is added to the colours.
    """

    def __init__(self, image_size: tuple[int, int] = (32, 32)) -> None:
        super().__init__()
        self.config = replace(TINY, image_size=image_size)
        self.encoded: list[np.ndarray] = []
        self.pictures: list[np.ndarray] = []
        self.seg_types: list[int] = []
        self.predicted: list[bool] = []
        self.calls: list[tuple[int, int]] = []
        self.dtypes: list[torch.dtype] = []
        self.noise = 0.0

    def encode_prompts(
        self,
        images: Tensor,
        colors: Tensor,
        seg_type: Tensor,
        predicted: Tensor | None = None,
        *,
        palette: Tensor,
        known: Tensor | None = None,
    ) -> EncodedPrompts:
        assert palette.shape[::2] == (1, 3)
        assert images.shape == colors.shape == (1, 1, 3, *self.config.image_size)
        if predicted is None:
            predicted = torch.zeros(1, 1, dtype=torch.bool)
        self.dtypes.append(_product_dtype())
        self.encoded.append(denormalise(colors[0, 0].numpy()))
        self.pictures.append(denormalise(images[0, 0].numpy()))
        self.seg_types.extend(seg_type.tolist())
        self.predicted.extend(predicted[0].tolist())
        both = torch.stack([images, colors], dim=2)
        return EncodedPrompts(
            grid=self.config.grid, seg_type=seg_type[:, None], tokens=both
        )

    def forward(self, query: Tensor, prompts: EncodedPrompts) -> Tensor:
        assert prompts.tokens is not None
        assert len(query) == len(prompts.tokens)
        self.dtypes.append(_product_dtype())
        self.calls.append((len(query), prompts.num_prompts))
        images, colors = prompts.tokens.unbind(2)  # (B, K, 3, H, W)
        unlike = (images - query[:, None]).abs().flatten(2).mean(2)
        painted = colors[torch.arange(len(query)), unlike.argmin(1)]
        generator = torch.Generator().manual_seed(len(self.calls))
        noise = torch.randn(painted.shape, generator=generator)
        return painted + self.noise * noise


def _product_dtype() -> torch.dtype:
    return (torch.eye(2) @ torch.eye(2)).dtype


@pytest.fixture
def copying_model() -> CopyingModel:
    return CopyingModel()


@pytest.fixture(scope="session")
def frame() -> Frame:
    """Make random frames, always the same for a seed."""

    def make(
        shape: tuple[int, ...] = (32, 32), *, dtype: str = "uint16", seed: int = 0
    ) -> np.ndarray:
        values = np.random.default_rng(seed).integers(0, 100, shape)
        return (values > 50) if dtype == "bool" else values.astype(dtype)

    return make


@pytest.fixture(scope="session")
def blocks() -> Blocks:
    """Make labels in square blocks: background first, then the ids, over and over."""

    def make(
        shape: tuple[int, int], ids: Sequence[int], *, side: int = 4
    ) -> np.ndarray:
        rows, columns = (np.arange(length) // side for length in shape)
        number = rows[:, None] * (columns[-1] + 1) + columns
        return np.array([0, *ids])[number % (len(ids) + 1)]

    return make


@pytest.fixture(scope="session")
def readout_model(make_model: Callable[..., SegGPT]) -> SegGPT:
    """The readout at toy size; shared, so never to be changed."""
    config = replace(
        TINY, merge_index=-1, tap_indices=(3,), decoder="readout", pretrain_grid=4,
        isolated_prompts=True, stem_widths=(4,) * 6, stem_dim=8, match_dim=12,
        fine_sides=(32, 64),
    )  # fmt: skip
    return make_model(config)
