import pytest
import torch
from torch import Tensor

from napari_seggpt.model.mixer import (
    EDGE_DIM,
    NEVER,
    PICTURE_DIM,
    LevelSum,
    Mixer,
    _most_of_others,
    resize,
)

READS, FACTS = 3, 2
Told = tuple[list[Tensor], Tensor, Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def mixer() -> Mixer:
    """A mixer whose last layers have learned something, too."""
    torch.manual_seed(0)
    made = Mixer(reads=READS, facts=FACTS, channels=8).requires_grad_(False)
    for parameter in made.parameters():
        parameter.normal_(0, 0.2)
    return made


def told(batch: int = 1, colors: int = 4, size: tuple[int, int] = (8, 12)) -> Told:
    """What a mixer is told: reads, facts, picture, finest read, edges, what exists."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, fine: int = 1) -> Tensor:
        return torch.rand(
            batch, *shape, fine * size[0], fine * size[1], generator=generator
        )

    reads = [draw(colors) for _ in range(READS)]
    return (
        reads, draw(colors, FACTS), draw(PICTURE_DIM),
        draw(colors, fine=2), draw(EDGE_DIM, fine=2),
        torch.ones(batch, colors, dtype=torch.bool),
    )  # fmt: skip


def picked(parts: Told, part: slice | Tensor) -> Told:
    """Take some of the batch."""
    reads, *others = parts
    return [x[part] for x in reads], *(x[part] for x in others)


def test_scores_come_at_two_strides(mixer: Mixer) -> None:
    coarse, finest = mixer(*told(batch=2))
    assert coarse.shape == (2, 4, 8, 12)
    assert finest.shape == (2, 4, 16, 24)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (8, 9)])
def test_any_size_will_do(mixer: Mixer, size: tuple[int, int]) -> None:
    coarse, finest = mixer(*told(size=size))
    assert coarse.shape[2:] == size
    assert finest.isfinite().all()


def test_the_order_of_colours_changes_their_order_alone(mixer: Mixer) -> None:
    order = torch.tensor([2, 0, 3, 1])
    reads, facts, picture, edge_read, edges, exists = told()
    plain = mixer(reads, facts, picture, edge_read, edges, exists)
    permuted = mixer(
        [x[:, order] for x in reads], facts[:, order], picture, edge_read[:, order],
        edges, exists,
    )  # fmt: skip
    for one, other in zip(plain, permuted, strict=True):
        torch.testing.assert_close(other, one[:, order], atol=1e-6, rtol=0)
        assert (one - one[:, order]).abs().max() > 0.01


def test_pictures_of_a_batch_are_each_by_itself(mixer: Mixer) -> None:
    parts = told(batch=3)
    together = mixer(*parts)
    for number in range(3):
        part = slice(number, number + 1)
        for one, many in zip(mixer(*picked(parts, part)), together, strict=True):
            torch.testing.assert_close(one, many[part], atol=1e-5, rtol=0)


def test_colours_that_do_not_exist_never_fit_and_what_is_said_of_them_is_ignored(
    mixer: Mixer,
) -> None:
    reads, *parts, exists = told(batch=2)
    exists = exists.clone()
    exists[0, 1] = exists[1, 3] = exists[1, 0] = False
    louder = [read + (~exists[..., None, None]).float() for read in reads]
    plain, other = mixer(reads, *parts, exists), mixer(louder, *parts, exists)
    for before, after in zip(plain, other, strict=True):
        assert (after[~exists] == NEVER).all()
        torch.testing.assert_close(after[exists], before[exists], atol=1e-5, rtol=0)


def test_a_single_colour_works(mixer: Mixer) -> None:
    for scores in mixer(*told(colors=1)):
        assert scores.isfinite().all()


def test_untaught_it_adds_up_what_the_reads_say() -> None:
    mixer = Mixer(reads=READS, facts=FACTS, channels=8).requires_grad_(False)
    mixer.skip.copy_(torch.tensor([1.0, -2.0, 0.5]))
    reads, *others = told()
    coarse, finest = mixer(reads, *others)
    expected = reads[0] - 2 * reads[1] + 0.5 * reads[2]
    torch.testing.assert_close(coarse, expected)
    torch.testing.assert_close(finest, resize(expected, (16, 24)))


@pytest.mark.parametrize("part", range(5))
def test_all_that_it_is_told_matters(mixer: Mixer, part: int) -> None:
    parts = list(told())
    changed = list(parts)
    if part == 0:
        reads = parts[0]
        changed[0] = [reads[0], reads[1] + 0.5, reads[2]]
    else:
        changed[part] = parts[part] + 0.5
    plain, other = mixer(*parts)[-1], mixer(*changed)[-1]
    assert (plain - other).abs().max() > 1e-3


def test_a_colour_is_compared_with_the_best_of_the_others() -> None:
    said = torch.randint(4, (2, 5, 1, 6, 6), generator=torch.Generator().manual_seed(0))
    said = said.float()  # with ties
    exists = torch.ones(2, 5, dtype=torch.bool)
    best = _most_of_others(said, exists)
    for color in range(5):
        others = [number for number in range(5) if number != color]
        assert torch.equal(best[:, color], said[:, others].amax(1))
    assert _most_of_others(said[:, :1], exists[:, :1]).abs().max() == 0


def test_a_colour_that_is_not_there_is_no_rival() -> None:
    said = torch.full((1, 3, 1, 2, 2), -0.5)
    said[:, 2] = 0.0  # what reads say of a colour that the palette lacks
    best = _most_of_others(said, torch.tensor([[True, True, False]]))
    assert torch.equal(best[:, :2], said[:, :2])
    alone = _most_of_others(said, torch.tensor([[True, False, False]]))
    assert alone[:, 0].abs().max() == 0


def test_levels_of_several_sizes_are_added_on_one_grid() -> None:
    torch.manual_seed(0)
    levels = [torch.randn(1, 2, 8, 8), torch.randn(1, 3, 4, 4)]
    level_sum = LevelSum((2, 3), 5).requires_grad_(False)
    both = level_sum(levels, (8, 8))
    one, two = (
        projection(level)
        for projection, level in zip(level_sum.projections, levels, strict=True)
    )
    torch.testing.assert_close(both, one + resize(two, (8, 8)))
