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
    decoder.match.weight.copy_(torch.eye(12, 16)[..., None, None])
    decoder.nearness.bias.fill_(-10.0)  # wherever it lies
    fine = torch.nn.functional.normalize(torch.randn(1, 16, 8, 8), dim=1)
    colors = torch.randn(1, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    keys, values = decoder.keys_values(fine, colors)
    shuffled = torch.randperm(64)
    coarse, _ = decoder.read(fine, keys[:, None, shuffled], values[:, None, shuffled])
    error = (coarse - colors[..., ::STEM_STRIDE, ::STEM_STRIDE]).abs().mean()
    assert error < 0.02


def test_where_place_matters_colours_come_from_the_same_place(
    decoder: ReadoutDecoder,
) -> None:
    # Two halves of one look: features cannot tell them apart, but places can.
    fine = torch.ones(1, 16, 8, 8)
    colors = torch.zeros(1, 3, 32, 32)
    colors[..., 16:] = 1.0
    errors = []
    for log_nearness in (-10.0, 4.0):
        decoder.nearness.bias.fill_(log_nearness)
        keys, values = decoder.keys_values(fine, colors)
        coarse, _ = decoder.read(fine, keys[:, None], values[:, None])
        errors.append((coarse - colors[..., ::4, ::4]).abs().mean().item())
    assert errors[0] == pytest.approx(0.5, abs=0.01)
    assert errors[1] < 0.05


def test_nearness_is_the_squared_distance_of_places(decoder: ReadoutDecoder) -> None:
    decoder.nearness.bias.fill_(1.0)
    decoder.match.weight.zero_()
    decoder.match.bias.zero_()
    fine = torch.randn(1, 16, 4, 6)
    keys, _ = decoder.keys_values(fine, torch.zeros(1, 3, 16, 24))
    query = decoder._query(fine).flatten(2).transpose(1, 2)
    logits = query[0] @ keys[0].T
    y, x = torch.meshgrid(
        (torch.arange(4) * 2 + 1) / 4 - 1, (torch.arange(6) * 2 + 1) / 6 - 1,
        indexing="ij",
    )  # fmt: skip
    places = torch.stack([x, y], -1).flatten(0, 1)
    expected = -torch.e * torch.cdist(places, places) ** 2
    torch.testing.assert_close(logits.softmax(-1), expected.softmax(-1))


def test_pixels_that_are_not_trusted_are_not_read(decoder: ReadoutDecoder) -> None:
    decoder.trust.weight[0, 0] = 50.0
    fine = torch.randn(1, 16, 8, 8)
    fine[:, 0] = 0.0
    fine[:, 0, :, :4] = -1.0  # the left half tells that it is wrong
    colors = torch.ones(1, 3, 32, 32)
    colors[..., :16] = 0.0
    keys, values = decoder.keys_values(fine, colors)
    coarse, _ = decoder.read(fine, keys[:, None], values[:, None])
    torch.testing.assert_close(coarse, torch.ones_like(coarse))


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
