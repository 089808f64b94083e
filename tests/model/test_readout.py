import pytest
import torch

from napari_seggpt.model.config import SegGPTConfig
from napari_seggpt.model.readout import STEM_STRIDE, ConvStem, ReadoutDecoder


@pytest.fixture
def decoder(readout_config: SegGPTConfig) -> ReadoutDecoder:
    torch.manual_seed(0)
    return ReadoutDecoder(readout_config).requires_grad_(False)


def test_the_stem_has_stride_four() -> None:
    assert ConvStem(8)(torch.randn(1, 3, 32, 24)).shape == (1, 8, 8, 6)


def test_equal_pixels_read_their_colours(decoder: ReadoutDecoder) -> None:
    # Each of 64 places has features of its own; matched sharply, the query reads
    # from the place that looks the same.
    decoder.log_scale.fill_(100.0).log_()
    decoder.match.weight.copy_(torch.eye(8, 16)[..., None, None])
    fine = torch.nn.functional.normalize(torch.randn(1, 16, 8, 8), dim=1)
    colors = torch.randn(1, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    keys, values = decoder.keys_values(fine, colors)
    shuffled = torch.randperm(64)
    coarse, _ = decoder.read(fine, keys[:, None, shuffled], values[:, None, shuffled])
    error = (coarse - colors[..., ::STEM_STRIDE, ::STEM_STRIDE]).abs().mean()
    assert error < 0.02


def test_unrefined_it_copies_one_colour_exactly(decoder: ReadoutDecoder) -> None:
    # correction and blend begin with zeros: nine equal weights of equal colours.
    color = torch.tensor([0.5, -1.0, 2.0])[None, :, None, None].expand(1, 3, 32, 32)
    keys, values = decoder.keys_values(torch.randn(1, 16, 8, 8), color)
    stages = decoder.read(torch.randn(1, 16, 8, 8), keys[:, None], values[:, None])
    assert [x.shape[-1] for x in stages] == [8, 32]
    torch.testing.assert_close(stages[-1], color.contiguous())


def test_the_blend_picks_neighbours_pixel_by_pixel(decoder: ReadoutDecoder) -> None:
    colors = torch.randn(1, 3, 2, 2)
    blend = torch.zeros(1, 9, 16, 2, 2)
    blend[:, 4] = 100.0  # the middle of the window everywhere ...
    blend[:, 4, 3] = 0.0
    blend[:, 5, 3] = 100.0  # ... but at the upper right pixel of each, its right
    out = decoder._upsample(colors, blend.flatten(1, 2))
    expected = colors.repeat_interleave(4, 2).repeat_interleave(4, 3)
    expected[:, :, ::4, 3] = colors[:, :, :, 1]
    torch.testing.assert_close(out, expected)
