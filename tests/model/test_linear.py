"""The linear read against scikit-learn's ridge regression on the same pixels."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor
from torch.nn import functional as F

from napari_seggpt.model.linear import (
    FIRST_PENALTY,
    TRAINING_PIXELS,
    LinearRead,
    PixelSums,
    gather,
    sample_pixels,
)

WIDTHS = (3, 2)
SIZE = (8, 8)


def levels(seed: int = 0, batch: int = 1) -> list[Tensor]:
    """Two levels of features, the second at half the resolution."""
    generator = torch.Generator().manual_seed(seed)
    fine = torch.randn(batch, 3, *SIZE, generator=generator) * 2 + 1
    return [fine, torch.randn(batch, 2, 4, 4, generator=generator) - 3]


def shares(seed: int = 0, colors: int = 3, batch: int = 1) -> Tensor:
    """Indicators (batch, colors, 8, 8) of random colours, the last of them rare."""
    generator = torch.Generator().manual_seed(seed)
    number = torch.randint(colors - 1, (batch, *SIZE), generator=generator)
    number[:, 2, 3:6] = colors - 1
    return F.one_hot(number, colors).movedim(-1, 1).float()


def enlarged(pyramid: list[Tensor]) -> Tensor:
    return torch.cat([F.interpolate(x, SIZE, mode="bilinear") for x in pyramid], 1)


def pixels(pyramid: list[Tensor], colors: Tensor) -> tuple[np.ndarray, ...]:
    """Features (P, F), shares (P, R) and weights (P,) of all pixels of one picture."""
    hard = colors[0].flatten(1).T
    weight = (hard / hard.sum(0).clamp(min=1).sqrt()).sum(1)
    weight = weight / weight.sum()
    features = enlarged(pyramid)[0].flatten(1).T
    return tuple(x.double().numpy() for x in (features, hard, weight))


def ridge(
    features: np.ndarray, hard: np.ndarray, weight: np.ndarray, penalty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve with scikit-learn, whose penalty is the same for all features."""
    mean = weight @ features
    variance = weight @ (features - mean) ** 2
    scale = 1 / np.sqrt(penalty * variance)
    solved = Ridge(alpha=1.0, solver="cholesky").fit(
        features * scale, hard, sample_weight=weight
    )
    return solved.coef_.T * scale[:, None], solved.intercept_


@pytest.fixture
def read() -> LinearRead:
    made = LinearRead(WIDTHS).eval().requires_grad_(False)
    made.log_penalty += torch.tensor([0.5, -1.0, 0.0, 1.0, -2.0])
    return made


def solve(read: LinearRead, sums: PixelSums) -> tuple[Tensor, Tensor]:
    solution = read.solve(sums)
    return solution.weights[0], solution.bias[0]


def assert_equal(one: PixelSums, other: PixelSums) -> None:
    for field in fields(one):
        torch.testing.assert_close(
            getattr(one, field.name), getattr(other, field.name), atol=1e-5, rtol=1e-4
        )


# -- the solution ------------------------------------------------------------------


def test_the_solution_is_that_of_weighted_ridge_regression(read: LinearRead) -> None:
    pyramid, colors = levels(), shares()
    penalty = read.log_penalty.exp().double().numpy()
    expected = ridge(*pixels(pyramid, colors), penalty)
    for ours, theirs in zip(
        solve(read, read.sums(pyramid, colors)), expected, strict=True
    ):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)


def test_a_new_read_punishes_all_features_alike() -> None:
    penalties = LinearRead(WIDTHS).log_penalty.exp()
    torch.testing.assert_close(penalties, torch.full((5,), FIRST_PENALTY))


def test_pooled_prompts_are_solved_as_their_joined_pixels(read: LinearRead) -> None:
    trust = np.array([0.7, 0.3])
    parts = [pixels(levels(seed), shares(seed)) for seed in (1, 2)]
    features, hard = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    weight = np.concatenate(
        [share * part[2] for share, part in zip(trust, parts, strict=True)]
    )
    penalty = read.log_penalty.exp().double().numpy()
    expected = ridge(features, hard, weight, penalty)
    one, two = (read.sums(levels(seed), shares(seed)) for seed in (1, 2))
    pooled = stacked(one, two).pool(torch.tensor([[0.7, 0.3]]))
    for ours, theirs in zip(solve(read, pooled), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5)
    shown = weight @ hard
    np.testing.assert_allclose(
        pooled.variance[0], weight @ (hard - shown) ** 2, atol=1e-5
    )


def stacked(*sums: PixelSums) -> PixelSums:
    """Join prompts of one query: (1, K, ...)."""
    return PixelSums(
        **{
            field.name: torch.stack([getattr(one, field.name) for one in sums], dim=1)
            for field in fields(PixelSums)
        }
    )


def test_equal_prompts_are_one_prompt(read: LinearRead) -> None:
    one = read.sums(levels(), shares())
    trust = torch.tensor([[0.2, 0.3, 0.5]])
    assert_equal(stacked(one, one, one).pool(trust), one)


def test_the_order_of_prompts_does_not_matter(read: LinearRead) -> None:
    one, two = (read.sums(levels(seed), shares(seed)) for seed in (1, 2))
    even = torch.tensor([[0.5, 0.5]])
    assert_equal(stacked(one, two).pool(even), stacked(two, one).pool(even))


def test_pictures_of_a_batch_are_each_by_itself(read: LinearRead) -> None:
    pyramid, colors = levels(batch=3), shares(batch=3)
    together = read.solve(read.sums(pyramid, colors)).weights
    for number in range(3):
        part = slice(number, number + 1)
        alone = read.sums([x[part] for x in pyramid], colors[part])
        torch.testing.assert_close(
            read.solve(alone).weights[0], together[number], atol=1e-5, rtol=1e-4
        )


def test_what_is_not_explained_is_the_error(read: LinearRead) -> None:
    read.log_penalty.fill_(-12.0)
    pyramid = levels()
    colors = torch.zeros(1, 4, *SIZE)
    bright = pyramid[0][:, 0] > 1
    colors[:, 0], colors[:, 1] = ~bright, bright
    colors[:, 2] = torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(3))
    pyramid[0][:, 1] = bright.float()  # a feature that tells it all
    error = read.solve(read.sums(pyramid, colors)).error[0]
    assert error[:2].max() < 1e-3
    assert 0.3 < error[2] <= 1  # noise
    assert error[3] == 1  # a colour that no prompt shows


def test_constant_features_do_no_harm(read: LinearRead) -> None:
    pyramid = levels()
    whole = read.solve(read.sums(pyramid, shares()))
    pyramid[0][:, 2] = 5.0
    part = read.solve(read.sums(pyramid, shares()))
    assert part.weights.isfinite().all()
    assert part.weights[0, 2].abs().max() < 1e-3 * whole.weights.abs().max()
    nothing = [torch.full_like(x, 7.0) for x in pyramid]
    flat = read.solve(read.sums(nothing, shares()))
    said = read.scores(nothing, flat, SIZE)
    torch.testing.assert_close(
        said[0, :, 0, 0], read.sums(nothing, shares()).share[0], atol=1e-3, rtol=0
    )


def test_features_of_very_unequal_scale_are_read_alike(read: LinearRead) -> None:
    scales = torch.tensor([1e-2, 1.0, 1e3])[:, None, None]
    pyramid = levels()
    scaled = [pyramid[0] * scales, pyramid[1]]
    said = [
        read.scores(each, read.solve(read.sums(each, shares())), SIZE)
        for each in (pyramid, scaled)
    ]
    torch.testing.assert_close(said[1], said[0], atol=1e-3, rtol=0)


def test_gradients_reach_penalties_and_features() -> None:
    read = LinearRead(WIDTHS)
    prompt, query = levels(1), levels(2)
    for level in (*prompt, *query):
        level.requires_grad_(True)
    solution = read.solve(read.sums(prompt, shares()))
    read.scores(query, solution, SIZE).square().mean().backward()
    for learned in (read.log_penalty, *prompt, *query):
        assert learned.grad is not None
        assert learned.grad.isfinite().all()
        assert learned.grad.flatten().abs().max() > 1e-7


def test_short_floats_change_nothing(read: LinearRead) -> None:
    def said() -> Tensor:
        solution = read.solve(read.sums(levels(), shares()))
        return read.scores(levels(2), solution, SIZE)

    exact = said()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(said(), exact, atol=0, rtol=0)


# -- scores ------------------------------------------------------------------------


def test_scores_are_those_of_enlarged_features(read: LinearRead) -> None:
    solution = read.solve(read.sums(levels(), shares()))
    query = levels(5)
    scores = read.scores(query, solution, SIZE)
    features = enlarged(query)[0].flatten(1)
    expected = solution.weights[0].T @ features + solution.bias[0][:, None]
    torch.testing.assert_close(scores[0].flatten(1), expected, atol=1e-5, rtol=1e-4)


def test_scores_of_all_colours_add_up_to_one(read: LinearRead) -> None:
    solution = read.solve(read.sums(levels(), shares()))
    total = read.scores(levels(4), solution, SIZE).sum(1)
    torch.testing.assert_close(total, torch.ones_like(total), atol=1e-5, rtol=0)


def test_gathered_pixels_are_those_of_the_enlarged_features() -> None:
    pyramid = levels(batch=2)
    place = torch.tensor([[0, 7, 63, 20, 20], [1, 8, 62, 33, 5]])
    gathered = gather(pyramid, place, SIZE)
    for number in range(2):
        expected = enlarged(pyramid)[number].flatten(1)[:, place[number]]
        torch.testing.assert_close(gathered[number], expected, atol=1e-6, rtol=1e-5)


# -- which pixels ------------------------------------------------------------------


def test_a_rare_colour_weighs_the_square_root_of_its_pixels() -> None:
    place, weight = sample_pixels(shares(), 1000)
    assert place.sort().values.tolist() == [list(range(64))]
    hard = shares().flatten(2)[0].argmax(0)[place[0]]
    number = torch.bincount(hard, minlength=3)
    total = torch.stack([weight[0, hard == color].sum() for color in range(3)])
    torch.testing.assert_close(total, number.sqrt() / number.sqrt().sum())
    assert number[2] == 3
    assert weight[0, hard == 2].min() > 2 * weight[0, hard == 0].max()


def test_few_pixels_are_chosen_evenly_and_all_of_a_rare_colour() -> None:
    number = torch.zeros(1, 64, 64, dtype=torch.long)
    number[:, 32:] = 1
    number[0, 10, 20:32] = 2
    colors = F.one_hot(number, 3).movedim(-1, 1).float()
    place, weight = sample_pixels(colors, 1000)
    assert len(place[0].unique()) == 1000
    hard = number.flatten()[place[0]]
    assert torch.bincount(hard)[2] == 12
    # Weights make up for the choice: common colours weigh what all their pixels do.
    total = torch.stack([weight[0, hard == color].sum() for color in range(3)])
    whole = torch.bincount(number.flatten()).sqrt()
    torch.testing.assert_close(total, whole / whole.sum())
    of_blocks = torch.bincount(place[0] // 256, minlength=16)
    assert of_blocks.min() > 0.7 * 1000 / 16
    again = sample_pixels(colors, 1000)
    assert torch.equal(again[0], place)
    assert torch.equal(again[1], weight)


def test_unknown_pixels_are_left_out(read: LinearRead) -> None:
    known = torch.ones(1, 1, *SIZE)
    known[..., :3] = 0
    pyramid, colors = levels(), shares()
    expected = read.sums(pyramid, colors, known)
    other = colors.clone()
    other[..., :3] = colors.roll(1, dims=1)[..., :3]
    spoiled = [pyramid[0].clone(), pyramid[1]]
    spoiled[0][..., :3] += 9.0
    assert_equal(read.sums(spoiled, other, known), expected)
    place, weight = sample_pixels(colors, 40, known)
    assert (place % 8 >= 3).all()
    assert weight.sum() == pytest.approx(1, abs=1e-5)


def test_in_training_fewer_pixels_are_looked_at() -> None:
    read = LinearRead((1,))
    side = 96
    assert side * side > TRAINING_PIXELS
    pyramid = [torch.arange(float(side * side)).view(1, 1, side, side)]
    colors = torch.ones(1, 1, side, side)
    means = [
        read.train(mode).sums(pyramid, colors).mean.item() for mode in (False, True)
    ]
    assert means[0] == pytest.approx((side * side - 1) / 2, rel=1e-4)
    assert means[1] != means[0]
    assert means[1] == pytest.approx(means[0], rel=0.02)
