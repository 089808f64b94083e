import pytest
import torch
from torch.nn import functional as F

from napari_seggpt.training.losses import color_loss, score_loss, soft_dice_loss

SIZES = (4, 16, 4, 8, 16)  # of the stages of a readout, for pictures of 32 pixels


def stages_of(regions, sharpness=12.0):
    """Return the scores of a readout that knows the truth."""
    truth = F.one_hot(regions, 3).movedim(-1, 1).float()
    return [sharpness * F.adaptive_avg_pool2d(truth, size) for size in SIZES]


@pytest.fixture
def regions():
    """Places in the palette of two pictures (2, 32, 32), in blocks of 8 pixels."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(3, (2, 4, 4), generator=generator)
    return blocks.repeat_interleave(8, 1).repeat_interleave(8, 2)


def test_the_loss_of_scores_falls_to_nothing_for_the_truth(regions):
    wavering = score_loss([0 * x for x in stages_of(regions)], regions)
    right = score_loss(stages_of(regions), regions)
    wrong = score_loss(stages_of((regions + 1) % 3), regions)
    assert right < 0.1 * wavering
    assert wrong > 2 * wavering


def test_every_stage_counts_and_the_finest_most(regions):
    right = score_loss(stages_of(regions), regions)
    rises = []
    for number in range(len(SIZES)):
        stages = stages_of(regions)
        stages[number] = 0 * stages[number]
        rises.append(float(score_loss(stages, regions) - right))
    assert min(rises) > 0.05
    assert rises[-1] == max(rises)
    assert sorted(rises)[-2] == rises[-2]  # then what is weighed at stride 4


def test_colours_that_never_fit_cost_nothing(regions):
    def padded(stages):
        return [F.pad(x, (0, 0, 0, 0, 0, 1), value=-1e4) for x in stages]

    stages = stages_of(regions)
    torch.testing.assert_close(
        score_loss(padded(stages), regions), score_loss(stages, regions)
    )


def test_the_soft_dice_loss_falls_to_zero_on_the_truth():
    truth = F.one_hot(torch.randint(3, (2, 16, 16)), 3).movedim(-1, 1).float()
    nothing = torch.zeros_like(truth)
    nothing[:, 0] = 1
    assert soft_dice_loss(truth, truth) == pytest.approx(0, abs=1e-6)
    assert soft_dice_loss(nothing, truth) > 0.9
    # Of the background nothing is asked, and of colours that do not occur.
    assert soft_dice_loss(truth, nothing) == 0


def test_colours_are_weighed_pixel_by_pixel():
    colors, target = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    weight = torch.zeros(1, 1, 4, 4)
    weight[..., 0] = 1.0
    target[..., 1:] = 9.0  # does not count
    loss = color_loss(colors, target, weight, beta=0.01)
    assert loss == pytest.approx(1 - 0.005)
