import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor

from napari_seggpt.model.motion import optical_flow, small_grey, warp
from napari_seggpt.preprocessing import normalise

SIZE = 64
INSIDE = (..., slice(12, -12), slice(12, -12))


def scene(shift: tuple[float, float] = (0.0, 0.0), seed: int = 0) -> Tensor:
    """A smooth picture (1, 1, 64, 64), moved to the right and below by a shift."""
    noise = np.random.default_rng(seed).random((SIZE + 32, SIZE + 32))
    smooth = gaussian_filter(noise, 4)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 16.0
    moved = map_coordinates(smooth, [rows - shift[1], columns - shift[0]], order=3)
    return torch.from_numpy(moved).float()[None, None]


@pytest.mark.parametrize(
    "shift", [(1.0, 0.0), (0.0, -2.0), (2.5, 1.5), (-4.0, 3.0)], ids=str
)
def test_a_shift_is_found(shift: tuple[float, float]) -> None:
    flow = optical_flow(scene(), scene(shift))
    assert flow.shape == (1, 2, SIZE, SIZE)
    wrong = (flow - torch.tensor(shift).view(1, 2, 1, 1))[INSIDE]
    assert wrong.abs().mean() < 0.1
    assert wrong.square().sum(1).sqrt().quantile(0.95) < 0.3


def test_what_does_not_move_has_no_flow() -> None:
    assert optical_flow(scene(), scene()).abs().max() < 1e-3


def test_flat_pictures_have_no_flow() -> None:
    flat = torch.full((1, 1, 16, 24), 0.5)
    assert optical_flow(flat, flat).abs().max() == 0


def test_pairs_are_each_by_themselves() -> None:
    shifts = [(1.0, 0.0), (0.0, 3.0), (-2.0, 2.0)]
    still = torch.cat([scene(seed=seed) for seed in range(3)])
    moving = torch.cat([scene(shifts[seed], seed) for seed in range(3)])
    together = optical_flow(still, moving)
    for number in range(3):
        part = slice(number, number + 1)
        alone = optical_flow(still[part], moving[part])
        torch.testing.assert_close(together[part], alone, atol=1e-4, rtol=0)


def test_a_moved_picture_is_warped_back() -> None:
    still, moving = scene(), scene((3.0, -2.0))
    before = (moving - still)[INSIDE].abs().mean()
    after = (warp(moving, optical_flow(still, moving)) - still)[INSIDE].abs().mean()
    assert after < 0.1 * before


def test_warping_takes_pixels_from_where_the_flow_points() -> None:
    picture = torch.arange(30.0).view(1, 1, 5, 6)
    flow = torch.zeros(1, 2, 5, 6)
    torch.testing.assert_close(warp(picture, flow), picture)
    flow[:, 0] = 2.0  # to the right
    flow[:, 1] = -1.0  # above
    moved = warp(picture, flow)
    torch.testing.assert_close(moved[..., 1:, :4], picture[..., :4, 2:])
    torch.testing.assert_close(moved[..., 0, :4], picture[..., 0, 2:])  # the border


def test_it_is_no_part_of_a_gradient() -> None:
    still = scene().requires_grad_(True)
    assert not optical_flow(still, scene((1.0, 0.0))).requires_grad


@pytest.mark.parametrize(
    ("size", "small"),
    [((256, 256), (128, 128)), ((32, 64), (16, 32)), ((16, 8), (8, 8))],
)
def test_pictures_are_compared_grey_and_small(
    size: tuple[int, int], small: tuple[int, int]
) -> None:
    values = np.array([40, 100, 220], np.uint8)
    picture = torch.from_numpy(normalise(np.broadcast_to(values, (2, 64, 48, 3))))
    grey = small_grey(picture, size)
    assert grey.shape == (2, 1, *small)
    assert grey.mean() == pytest.approx(values.mean() / 255, abs=0.02)
