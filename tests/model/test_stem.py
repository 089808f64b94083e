from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_seggpt.model.config import SMALL, STEM_LEVELS, STEM_STRIDE
from napari_seggpt.model.stem import (
    LEVEL_STRIDES,
    MobileBlock,
    PretrainedStem,
    SameConv,
)
from napari_seggpt.preprocessing import normalise

WIDTHS = (4, 3, 5, 6, 7, 8)


@pytest.fixture
def stem() -> PretrainedStem:
    torch.manual_seed(0)
    return PretrainedStem(WIDTHS).requires_grad_(False)


@pytest.mark.parametrize("size", [(64, 48), (32, 16), (16, 160)])
def test_levels_have_their_strides_and_widths(
    stem: PretrainedStem, size: tuple[int, int]
) -> None:
    levels = stem(torch.randn(2, 3, *size))
    assert len(levels) == len(LEVEL_STRIDES) == STEM_LEVELS
    for level, width, stride in zip(levels, WIDTHS, LEVEL_STRIDES, strict=True):
        assert level.shape == (2, width, size[0] // stride, size[1] // stride)
        assert level.isfinite().all()
        assert level.std() > 0


def test_sides_that_do_not_divide_are_rounded_up(stem: PretrainedStem) -> None:
    levels = stem(torch.randn(1, 3, 50, 33))
    for level, stride in zip(levels, LEVEL_STRIDES, strict=True):
        assert level.shape[2:] == (-(-50 // stride), -(-33 // stride))


def test_a_level_is_computed_from_the_one_before(stem: PretrainedStem) -> None:
    levels = stem(torch.randn(1, 3, 32, 32))
    for (before, after), stage in zip(pairwise(levels), stem.stages, strict=True):
        torch.testing.assert_close(stage(before), after)


@pytest.mark.parametrize(
    ("kernel", "stride", "length", "first"),
    [
        (3, 2, 8, 0),  # of even sides nothing is added above, so taps begin at row 0
        (3, 2, 7, -1),
        (5, 2, 8, -1),
        (5, 2, 7, -2),
        (3, 1, 8, -1),
        (5, 1, 7, -2),
    ],
)
def test_padding_is_that_of_tensorflow(
    kernel: int, stride: int, length: int, first: int
) -> None:
    conv = SameConv(1, 1, kernel, stride).requires_grad_(False)
    conv.weight.zero_()
    conv.bias.zero_()
    conv.weight[0, 0, 0, kernel // 2] = 1.0  # reads the uppermost row of its window
    rows = torch.arange(1.0, length + 1)
    picture = rows[:, None].expand(length, length)[None, None]
    read = conv(picture)[0, 0, :, 1]
    wanted = [first + stride * i for i in range(-(-length // stride))]
    assert read.tolist() == [float(i + 1) if i >= 0 else 0.0 for i in wanted]
    across = SameConv(1, 1, kernel, stride)
    across.load_state_dict({"weight": conv.weight.mT, "bias": conv.bias})
    torch.testing.assert_close(across(picture.mT).detach(), conv(picture).mT)


def test_the_first_convolution_sees_what_the_published_network_sees() -> None:
    # EfficientNet-Lite0 was trained on (value - 127) / 128.
    stem = PretrainedStem(WIDTHS).requires_grad_(False)
    stem.first.weight.zero_()
    stem.first.bias.zero_()
    for channel in range(3):
        stem.first.weight[channel, channel, 0, 0] = 1.0
    values = np.array([127, 191, 255], np.uint8)
    picture = np.broadcast_to(values, (1, 16, 16, 3))
    (first, *_) = stem(torch.from_numpy(normalise(picture)))
    seen = first[0, :3, 0, 0]
    torch.testing.assert_close(seen, torch.tensor([0.0, 0.5, 1.0]), atol=1e-5, rtol=0)


def test_a_block_adds_what_it_was_given_where_shapes_agree() -> None:
    x = torch.randn(1, 4, 8, 8)
    for out, stride, adds in ((4, 1, True), (4, 2, False), (6, 1, False)):
        block = MobileBlock(4, out, expansion=2, kernel=3, stride=stride)
        for parameter in block.project.parameters():
            torch.nn.init.zeros_(parameter)
        expected = x if adds else torch.zeros(1, out, 8 // stride, 8 // stride)
        torch.testing.assert_close(block(x).detach(), expected)


def test_its_normalisation_is_no_weight(stem: PretrainedStem) -> None:
    names = stem.state_dict().keys()
    assert not {"scale", "shift"} & names
    assert all(name.startswith(("first.", "stages.")) for name in names)


def test_the_named_network_has_the_published_widths_and_stride() -> None:
    assert SMALL.stem_widths == (32, 16, 24, 40, 80, 112)
    parameters = PretrainedStem(SMALL.stem_widths).parameters()
    assert 0.65e6 < sum(x.numel() for x in parameters) < 0.75e6
    assert LEVEL_STRIDES[2] == STEM_STRIDE
