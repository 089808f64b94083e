import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_seggpt.model.attention import MAX_PICTURES, AttentionRead

CHANNELS, MATCH_DIM = 16, 16  # twelve features, three of place, one of trust


@pytest.fixture
def attention() -> AttentionRead:
    torch.manual_seed(0)
    return AttentionRead(CHANNELS, MATCH_DIM).requires_grad_(False)


def features(*batch: int, size: tuple[int, int] = (8, 8), seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*batch, CHANNELS, *size, generator=generator)


def shares(number: Tensor, colors: int) -> Tensor:
    """Indicators (1, R, h, w) of the colours of pixels (h, w)."""
    return F.one_hot(number, colors).movedim(-1, 0)[None].float()


def halves(size: int = 8) -> Tensor:
    """Two colours: the left half has the first, the right half the second."""
    number = torch.zeros(size, size, dtype=torch.long)
    number[:, size // 2 :] = 1
    return shares(number, 2)


def read_one(
    attention: AttentionRead,
    query: Tensor,
    prompt: Tensor,
    colors: Tensor,
    known: Tensor | None = None,
) -> Tensor:
    keys, values = attention.keys(prompt, known), attention.values(colors)
    return attention.read(query, keys[:, None], values[:, None], colors.shape[1])


def test_equal_pixels_read_their_colours(attention: AttentionRead) -> None:
    # Each of 64 places has features of its own; matched sharply, the query reads
    # from the place that looks the same, wherever it lies.
    attention.log_scale.fill_(100.0).log_()
    attention.match.weight.copy_(torch.eye(12, CHANNELS)[..., None, None])
    attention.match.bias.zero_()
    attention.nearness.bias.fill_(-10.0)
    fine = F.normalize(features(1), dim=1)
    number = torch.randint(5, (8, 8), generator=torch.Generator().manual_seed(1))
    colors = shares(number, 5)
    keys, values = attention.keys(fine), attention.values(colors)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(2))
    read = attention.read(fine, keys[:, None, order], values[:, None, order], 5)
    assert (read - colors).abs().mean() < 0.02


def test_where_place_matters_colours_come_from_the_same_place(
    attention: AttentionRead,
) -> None:
    # Two halves of one look: features cannot tell them apart, but places can.
    fine, colors = torch.ones(1, CHANNELS, 8, 8), halves()
    errors = []
    for log_nearness in (-10.0, 4.0):
        attention.nearness.bias.fill_(log_nearness)
        read = read_one(attention, fine, fine, colors)
        errors.append((read - colors).abs().mean().item())
    assert errors[0] == pytest.approx(0.5, abs=0.01)
    assert errors[1] < 0.05


def test_nearness_is_the_squared_distance_of_places(attention: AttentionRead) -> None:
    attention.nearness.bias.fill_(1.0)
    attention.match.weight.zero_()
    attention.match.bias.zero_()
    fine = features(1, size=(4, 6))
    query = attention._query(fine).flatten(2).transpose(1, 2)
    logits = query[0] @ attention.keys(fine)[0].T
    y, x = torch.meshgrid(
        (torch.arange(4) * 2 + 1) / 4 - 1, (torch.arange(6) * 2 + 1) / 6 - 1,
        indexing="ij",
    )  # fmt: skip
    places = torch.stack([x, y], -1).flatten(0, 1)
    expected = -torch.e * torch.cdist(places, places) ** 2
    torch.testing.assert_close(logits.softmax(-1), expected.softmax(-1))


def test_pixels_that_are_not_trusted_are_not_read(attention: AttentionRead) -> None:
    attention.trust.weight[0, 0] = 50.0
    fine = features(1)
    fine[:, 0] = 0.0
    fine[:, 0, :, :4] = -1.0  # the left half tells that it is wrong
    read = read_one(attention, fine, fine, halves())
    torch.testing.assert_close(read[:, 1], torch.ones(1, 8, 8))


def test_unknown_pixels_are_never_copied(attention: AttentionRead) -> None:
    attention.trust.bias.fill_(100.0)  # however much they are trusted
    known = torch.ones(1, 1, 8, 8)
    known[..., 4:] = 0
    fine, colors = features(1), halves()
    assert read_one(attention, fine, fine, colors)[:, 1].mean() > 0.1
    read = read_one(attention, fine, fine, colors, known)
    assert read[:, 1].abs().max() == 0
    torch.testing.assert_close(read[:, 0], torch.ones(1, 8, 8))


def test_shares_add_up_to_one(attention: AttentionRead) -> None:
    read = read_one(attention, features(1, seed=3), features(1), halves())
    assert read.shape == (1, 2, 8, 8)
    torch.testing.assert_close(read.sum(1), torch.ones(1, 8, 8))


def test_prompt_and_query_may_be_of_other_sizes(attention: AttentionRead) -> None:
    attention.nearness.bias.fill_(4.0)
    small, large = torch.ones(1, CHANNELS, 4, 4), torch.ones(1, CHANNELS, 8, 8)
    read = read_one(attention, small, large, halves())
    assert (read - halves(4)).abs().mean() < 0.05


@pytest.mark.parametrize("prompts", [1, 2, 3, 16])
def test_many_prompts_cost_no_more_than_a_few_and_are_all_read(
    attention: AttentionRead, monkeypatch: pytest.MonkeyPatch, prompts: int
) -> None:
    seen = []
    attend = F.scaled_dot_product_attention

    def spy(q: Tensor, k: Tensor, v: Tensor, **more: float) -> Tensor:
        seen.append((k.shape[-2], v.shape[-2]))
        return attend(q, k, v, **more)

    monkeypatch.setattr(F, "scaled_dot_product_attention", spy)
    attention.match.weight.zero_()  # all look alike
    numbers = torch.arange(prompts)[:, None, None].expand(prompts, 8, 8)
    keys = torch.stack([attention.keys(features(1))] * prompts, dim=1)
    values = torch.stack(
        [attention.values(shares(number, prompts)) for number in numbers], dim=1
    )
    read = attention.read(features(1, seed=1), keys, values, prompts)
    (keys_read,) = {count for pair in seen for count in pair}
    assert keys_read <= MAX_PICTURES * 64
    assert keys_read > (min(prompts, MAX_PICTURES) - 1) * 64
    torch.testing.assert_close(
        read, torch.full_like(read, 1 / prompts), atol=1e-5, rtol=0
    )


def test_no_more_colours_than_keys_are_long(attention: AttentionRead) -> None:
    assert attention.values(torch.zeros(1, 16, 4, 4)).shape == (1, 16, 16)
    with pytest.raises(ValueError, match="at most 16 colours, got 17"):
        attention.values(torch.zeros(1, 17, 4, 4))
