"""The readout with made-up views, and the labels that motion carries along."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from napari_seggpt.model.config import SegGPTConfig
from napari_seggpt.model.encoding import ReadPrompts, _join
from napari_seggpt.model.mixer import NEVER
from napari_seggpt.model.readout import (
    FACTS,
    READS,
    Readout,
    Views,
    carry_along,
    color_shares,
)

SIZE = 64  # of the pictures at their own resolution; they are squeezed to half of it
ATTENDED, FINE, WHOLE, COARSE, FINEST = range(5)  # the stages of `Readout.read`
INSTANCE = torch.ones(1, dtype=torch.long)
ALL_EXIST = torch.ones(1, 3, dtype=torch.bool)


@pytest.fixture
def readout(readout_config: SegGPTConfig) -> Readout:
    torch.manual_seed(0)
    made = Readout(readout_config).eval().requires_grad_(False)
    for parameter in made.mixer.parameters():
        parameter.normal_(0, 0.2)
    return made


def views(seed: int = 0, batch: int = 1) -> Views:
    """Make random levels, as those of a stem."""
    generator = torch.Generator().manual_seed(seed)

    def levels(size: int) -> list[Tensor]:
        sides = [size // 2, size // 2, size // 4, size // 8, size // 16, size // 16]
        return [torch.randn(batch, 4, n, n, generator=generator) for n in sides]

    return Views(
        fine=levels(SIZE),
        whole=levels(SIZE // 2),
        matched=torch.randn(batch, 16, SIZE // 8, SIZE // 8, generator=generator),
        grey=0.5 + 0.02 * torch.rand(batch, 1, 8, 8, generator=generator),
    )


def shares(seed: int = 0, colors: int = 3) -> Tensor:
    """Indicators (1, colors, SIZE, SIZE) of colours in blocks of 4 pixels."""
    generator = torch.Generator().manual_seed(seed)
    number = torch.randint(colors, (SIZE // 4, SIZE // 4), generator=generator)
    number = number.repeat_interleave(4, 0).repeat_interleave(4, 1)
    return F.one_hot(number, colors).movedim(-1, 0)[None].float()


def encode(
    readout: Readout,
    *seeds: int,
    predicted: tuple[int, ...] = (),
    known: Tensor | None = None,
) -> ReadPrompts:
    """Encode prompts of one query; those of the seeds in `predicted` are marked."""
    encoded = []
    for seed in seeds:
        marked = torch.tensor([seed in predicted])
        one = readout.encode(views(seed), shares(seed), known, marked)
        encoded.append(one.map(lambda x: x[:, None]))
    return _join(encoded[0], encoded, lambda xs: torch.cat(xs, dim=1))


def read(readout: Readout, prompts: ReadPrompts, seed: int = 9) -> list[Tensor]:
    return readout.read(views(seed), prompts, prompts, INSTANCE, ALL_EXIST)


# -- the reads ---------------------------------------------------------------------


def test_each_read_has_its_own_resolution(readout: Readout) -> None:
    stages = read(readout, encode(readout, 1, 2))
    assert [x.shape for x in stages] == [
        (1, 3, 8, 8), (1, 3, 32, 32), (1, 3, 8, 8), (1, 3, 16, 16), (1, 3, 32, 32)
    ]  # fmt: skip
    assert all(x.isfinite().all() for x in stages)


def test_the_mixer_is_told_of_all_reads_and_facts(readout: Readout) -> None:
    told = []
    readout.mixer.register_forward_pre_hook(lambda _, args: told.append(args))
    read(readout, encode(readout, 1, 2))
    ((reads, facts, *_),) = told
    assert len(reads) == READS
    assert {x.shape for x in reads} == {(1, 3, 16, 16)}
    assert facts.shape == (1, 3, FACTS, 16, 16)


@pytest.mark.parametrize("seeds", [(1, 2), (1, 2, 3, 4)])
def test_the_order_of_prompts_does_not_matter_to_reads(
    readout: Readout, seeds: tuple[int, ...]
) -> None:
    forward, backward = (
        read(readout, encode(readout, *order)) for order in (seeds, seeds[::-1])
    )
    for stage in (ATTENDED, FINE, WHOLE):
        torch.testing.assert_close(
            forward[stage], backward[stage], atol=1e-4, rtol=1e-4
        )


def test_equal_prompts_are_one_prompt(readout: Readout) -> None:
    one, two = (read(readout, encode(readout, *seeds)) for seeds in ((1,), (1, 1)))
    for single, double in zip(one, two, strict=True):
        torch.testing.assert_close(double, single, atol=1e-4, rtol=1e-4)


def test_a_predicted_prompt_counts_less_in_the_linear_reads(readout: Readout) -> None:
    alone = read(readout, encode(readout, 1))
    plain = read(readout, encode(readout, 1, 2))
    readout.log_memory.fill_(-30.0)
    unread = read(readout, encode(readout, 1, 2, predicted=(2,)))
    readout.log_memory.fill_(np.log(0.5))
    half = read(readout, encode(readout, 1, 2, predicted=(2,)))
    for stage in (FINE, WHOLE):
        torch.testing.assert_close(unread[stage], alone[stage], atol=1e-4, rtol=1e-3)
        apart = [(x[stage] - alone[stage]).abs().mean() for x in (half, plain)]
        assert 1e-3 < apart[0] < apart[1]


def test_predicted_alone_is_read_as_it_is(readout: Readout) -> None:
    # There is nothing else to be trusted more.
    plain, marked = (
        read(readout, encode(readout, 1, predicted=predicted))
        for predicted in ((), (1,))
    )
    for stage in (ATTENDED, FINE, WHOLE):
        torch.testing.assert_close(marked[stage], plain[stage])
    # But the mixer knows.
    assert (marked[FINEST] - plain[FINEST]).abs().max() > 1e-3


def test_the_mixer_knows_the_type_and_the_background(readout: Readout) -> None:
    prompts = encode(readout, 1)
    semantic = readout.read(views(9), prompts, prompts, 0 * INSTANCE, ALL_EXIST)
    instance = readout.read(views(9), prompts, prompts, INSTANCE, ALL_EXIST)
    assert torch.equal(semantic[FINE], instance[FINE])
    assert (semantic[FINEST] - instance[FINEST]).abs().max() > 1e-3


def test_colours_change_places_but_for_the_background(readout: Readout) -> None:
    order = [0, 2, 1]
    plain = encode(readout, 1)
    permuted = readout.encode(
        views(1), shares(1)[:, order], None, torch.tensor([False])
    ).map(lambda x: x[:, None])
    for one, other in zip(read(readout, plain), read(readout, permuted), strict=True):
        torch.testing.assert_close(other, one[:, order], atol=1e-4, rtol=1e-4)


def test_what_is_not_known_is_read_by_none(readout: Readout) -> None:
    known = torch.ones(1, 1, SIZE, SIZE)
    known[..., : SIZE // 2] = 0
    other = shares(1)
    other[..., : SIZE // 2] = shares(7)[..., : SIZE // 2]
    stages = []
    for colors in (shares(1), other):
        prompts = readout.encode(views(1), colors, known, torch.tensor([False]))
        stages.append(read(readout, prompts.map(lambda x: x[:, None])))
    for stage in (ATTENDED, FINE, WHOLE):
        torch.testing.assert_close(stages[0][stage], stages[1][stage])
    whole = read(readout, encode(readout, 1))
    for stage in (ATTENDED, FINE, WHOLE):
        assert (stages[0][stage] - whole[stage]).abs().max() > 1e-2


def test_gradients_reach_all_that_learns(readout_config: SegGPTConfig) -> None:
    torch.manual_seed(0)
    readout = Readout(readout_config)
    for parameter in readout.mixer.parameters():
        torch.nn.init.normal_(parameter, 0, 0.2)
    stages = read(readout, encode(readout, 1, 2, 3, predicted=(3,)))
    torch.stack([x.square().mean() for x in stages]).sum().backward()
    idle = {
        name
        for name, parameter in readout.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    }
    # These make what the views hold.
    made_before = ("from_tokens.", "fuse.", "norm.")
    assert all(name.startswith(made_before) for name in idle)


def test_colours_that_do_not_exist_never_fit(readout: Readout) -> None:
    prompts = encode(readout, 1, 2)
    exists = torch.tensor([[True, False, True]])
    for stage in readout.read(views(9), prompts, prompts, INSTANCE, exists):
        assert stage[:, 1].max() == NEVER
        assert stage[:, ::2].min() > NEVER / 2


# -- the nearest prompts -----------------------------------------------------------


def test_the_linear_reads_follow_the_prompts_that_are_most_like_the_query(
    readout: Readout,
) -> None:
    prompts = encode(readout, 1, 2)
    alone = {seed: read(readout, encode(readout, seed), seed=1) for seed in (1, 2)}
    readout.log_likeness.fill_(np.log(1e-6))
    evenly = read(readout, prompts, seed=1)
    readout.log_likeness.fill_(np.log(1e6))
    sharply = read(readout, prompts, seed=1)
    for stage in (FINE, WHOLE):
        torch.testing.assert_close(sharply[stage], alone[1][stage])
        for other in alone.values():
            assert (evenly[stage] - other[stage]).abs().mean() > 1e-2


def test_references_hints_and_memory_keep_their_parts_of_the_likeness(
    readout: Readout,
) -> None:
    prompts = encode(readout, 1, 2, 3, 4, 5, 6, predicted=(3, 4))
    known = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.1, 0.1]])
    prompts = replace(prompts, known=known)
    weight = prompts.likeness(prompts.grey[:, 2], torch.tensor(2000.0))
    torch.testing.assert_close(
        weight.unflatten(1, (3, 2)).sum(2), torch.full((1, 3), 2.0)
    )
    assert weight[0, 2] > 1.5  # it is the query itself
    assert (weight > 0).all()
    hint = prompts.likeness(prompts.grey[:, 4], torch.tensor(1e6))
    torch.testing.assert_close(hint[0, 4:], torch.tensor([2.0, 0.0]))
    even = prompts.likeness(prompts.grey[:, 2], torch.tensor(0.0))
    torch.testing.assert_close(even, torch.ones(1, 6))


def test_the_prompts_most_like_the_query_come_first(readout: Readout) -> None:
    prompts = encode(readout, 1, 2, 3)
    grey = prompts.grey[:, 2] + 0.01
    near, place = prompts.nearest(grey, 2)
    assert near.keys.shape[1] == place.shape[1] == 2
    assert place[0, 0] == 2
    assert torch.equal(near.keys[:, 0], prompts.keys[:, 2])
    assert torch.equal(near.fine.mean[:, 0], prompts.fine.mean[:, 2])
    every, order = prompts.nearest(grey, 9)
    assert order[0].sort().values.tolist() == [0, 1, 2]
    assert torch.equal(every.shares, prompts.shares[:, order[0]])


def test_likeness_counts_most_where_those_alike_have_labels_at_the_same_place(
    readout: Readout,
) -> None:
    prompts = encode(readout, 1, 2, 3, 4)
    # Two pairs that look alike.
    grey = 0.3 + prompts.grey[:, [0, 0, 1, 1]]
    grey[:, 2:] += 0.1
    marked = torch.zeros(1, 4, 3, 8, 8)
    marked[:, :, 0] = 1

    def weight(*corners: int) -> Tensor:
        """Of the second, which looks like the query, if labels lie in such corners."""
        shown = marked.clone()
        for number, corner in enumerate(corners):
            part = slice(0, 4) if corner == 0 else slice(4, 8)
            shown[:, number, 1, part, part] = 1
            shown[:, number, 0, part, part] = 0
        told = replace(prompts, grey=grey, shares=shown)
        return told.likeness(grey[:, 0], torch.tensor(20.0))[0, 1]

    same_place, other_place = weight(0, 0, 1, 1), weight(0, 1, 0, 1)
    assert same_place > other_place + 0.2
    # Where labels lie says nothing if they always lie there.
    torch.testing.assert_close(weight(0, 0, 0, 0), other_place)
    assert other_place > 1.0


def test_hints_leave_room_for_prompts_that_show_background(readout: Readout) -> None:
    prompts = encode(readout, 1, 2, 3, 4, 5)
    known = torch.tensor([[0.1, 0.1, 0.1, 0.1, 1.0]])  # the last is no hint
    hinted = replace(prompts, known=known)
    _, place = hinted.nearest(prompts.grey[:, 0], 4)
    assert place[0, 0] == 0
    assert 4 in place[0, :3]
    assert len(set(place[0].tolist())) == 4
    _, place = replace(prompts, known=0 * known).nearest(prompts.grey[:, 0], 4)
    _, usual = prompts.nearest(prompts.grey[:, 0], 4)
    assert torch.equal(place.sort().values, usual.sort().values)


# -- motion ------------------------------------------------------------------------


def textured(seed: int) -> Tensor:
    """A smooth grey picture (1, 1, 64, 64) of values from 0 to 1."""
    noise = gaussian_filter(np.random.default_rng(seed).random((64, 64)), 3)
    return torch.from_numpy((noise - noise.min()) / np.ptp(noise)).float()[None, None]


def rolled(x: Tensor) -> Tensor:
    return x.roll((3, -2), dims=(-2, -1))


@pytest.fixture
def square() -> Tensor:
    """Shares (1, 2, 64, 64) of background and a square."""
    number = torch.zeros(64, 64, dtype=torch.long)
    number[20:40, 24:44] = 1
    return F.one_hot(number, 2).movedim(-1, 0)[None].float()


def carried(grey: list[Tensor], colors: list[Tensor], predicted: list[float]) -> object:
    nothing = torch.zeros(1, len(grey), 1)
    sums = None  # motion reads no sums
    return ReadPrompts(
        keys=nothing, values=nothing, fine=sums, whole=sums,
        grey=torch.stack(grey, 1), shares=torch.stack(colors, 1),
        predicted=torch.tensor([predicted]), known=torch.ones(1, len(grey)),
    )  # fmt: skip


def overlap(moved: Tensor, truth: Tensor) -> float:
    one, other = moved[:, 1] > 0.5, truth[:, 1] > 0.5
    return float((one & other).sum() / (one | other).sum())


def test_labels_move_with_the_picture(square: Tensor) -> None:
    prompt, query = textured(0), rolled(textured(0))
    near = carried([prompt], [square], [0.0])
    moved, mismatch, predicted = carry_along(query, near)
    assert overlap(square, rolled(square)) < 0.75
    assert overlap(moved, rolled(square)) > 0.9
    inside = (..., slice(8, -8), slice(8, -8))
    assert mismatch[inside].max() < 0.05
    assert predicted.tolist() == [0.0]
    torch.testing.assert_close(moved.sum(1), torch.ones(1, 64, 64))


def test_of_two_prompts_the_one_that_fits_is_carried(square: Tensor) -> None:
    fits, other = textured(0), textured(5)
    query = rolled(fits)
    blank = torch.stack([torch.ones(1, 64, 64), torch.zeros(1, 64, 64)], 1)
    for order in ([0, 1], [1, 0]):
        grey = [(fits, other)[i] for i in order]
        colors = [(square, blank)[i] for i in order]
        near = carried(grey, colors, [float(i) for i in order])
        moved, _, predicted = carry_along(query, near)
        assert overlap(moved, rolled(square)) > 0.85
        assert predicted < 0.35  # it was the other that was predicted


def test_no_more_than_two_prompts_are_carried(square: Tensor) -> None:
    query = rolled(textured(0))
    greys = [textured(0), textured(1), query]
    blank = torch.zeros(1, 2, 64, 64)
    two, three = (
        carry_along(query, carried(greys[:n], [square, square, blank][:n], [0.0] * n))
        for n in (2, 3)
    )
    for one, other in zip(two, three, strict=True):
        torch.testing.assert_close(one, other)


def test_views_tell_what_the_linear_read_of_the_whole_reads() -> None:
    shown = views()
    assert [x.shape[1] for x in shown.learned] == [4] * 6 + [16]
    assert replace(shown, whole=[]).learned[0] is shown.matched


def test_pixels_take_the_nearest_colour_of_the_palette(palette: Tensor) -> None:
    padded = torch.cat([palette, torch.full((1, 1, 3), torch.nan)], dim=1)
    colors = palette[0].T[None, :, None] * 0.8 + 0.1  # (1, 3, 1, 3)
    expected = torch.cat([torch.eye(3), torch.zeros(1, 3)])[None, :, None]
    torch.testing.assert_close(color_shares(colors, padded), expected)
