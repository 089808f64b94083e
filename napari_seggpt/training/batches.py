"""Batches: drawn compactly on the CPU, and made into pictures on the device.

Axes: B examples, P pictures of each (K prompts, then the query), S pixels a side,
R colours of the palette, N patches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import Dataset

from napari_seggpt.preprocessing import MEAN, STD
from napari_seggpt.training.coloring import MAX_REGIONS
from napari_seggpt.training.masking import block_mask, half_mask

if TYPE_CHECKING:
    from torch import Tensor

    from napari_seggpt.training.recipe import Recipe
    from napari_seggpt.training.sampler import Example, ExampleSampler

BLUR_REACH = 3  # pixels, of the largest blur


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples as they travel to the device.

    Attributes
    ----------
    images, regions : Tensor
        uint8 (B, P, S, S, 3) and (B, P, S, S).
    palettes : Tensor
        (B, R, 3), 0 to 1; NaN where an example has fewer colours.
    tables : Tensor
        uint8 (B, P, 256), what the grey values of a picture become.
    mixing : Tensor
        (B, P, 3, 3), what mixes the colours of a picture.
    known : Tensor
        uint8 (B, P, S, S), 0 where the colours of a picture say nothing.
    noise, blur : Tensor
        (B,), in grey levels and pixels.
    seg_type : Tensor
        (B,), 0 for semantic and 1 for instance.
    hidden : Tensor
        (B, N), the query's patches whose colours the network does not see.
    recalls : Tensor
        A single truth: whether all prompts but the first show the network's own
        predictions, as in memory.
    seed : Tensor
        A single number, for all that is random on the device.
    """

    images: Tensor
    regions: Tensor
    palettes: Tensor
    tables: Tensor
    mixing: Tensor
    known: Tensor
    noise: Tensor
    blur: Tensor
    seg_type: Tensor
    hidden: Tensor
    recalls: Tensor
    seed: Tensor

    @property
    def num_prompts(self) -> int:
        """K."""
        return self.images.shape[1] - 1

    def to(self, device: torch.device) -> Batch:
        """Copy to a device; from pinned memory without waiting."""
        moved = {
            field.name: getattr(self, field.name).to(device, non_blocking=True)
            for field in fields(self)
        }
        return Batch(**moved)

    def pin_memory(self) -> Batch:
        """Pin for fast copies; the loader calls it."""
        names = [field.name for field in fields(self)]
        return Batch(**{name: getattr(self, name).pin_memory() for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A batch as the network takes it: normalised (B, P, 3, S, S).

    Attributes
    ----------
    images, colors : Tensor
        (B, P, 3, S, S).
    known : Tensor
        (B, P, S, S), 0 where the colours say nothing.
    regions : Tensor
        (B, S, S), the place in the palette of each pixel of the query.
    palettes : Tensor
        (B, R, 3), normalised; NaN where an example has fewer colours.
    weight : Tensor
        (B, 1, S, S), how much each pixel of the query counts: 0 if it is not known;
        the mean is 1 where all are.
    seg_type, hidden
        As in the batch.
    """

    images: Tensor
    colors: Tensor
    known: Tensor
    regions: Tensor
    palettes: Tensor
    weight: Tensor
    seg_type: Tensor
    hidden: Tensor


class BatchSource(Dataset[Batch]):
    """The batches of a run, each a function of the seed and its number.

    With `few_shapes`, palettes are as long as any can be. A GPU is idle for seconds
    whenever it meets a shape for the first time, while its library chooses kernels.
    """

    def __init__(
        self,
        sampler: ExampleSampler,
        recipe: Recipe,
        *,
        patch_size: int,
        few_shapes: bool = False,
    ) -> None:
        self._sampler = sampler
        self._recipe = recipe
        self._patch_size = patch_size
        self._least_colors = 1 + MAX_REGIONS if few_shapes else 0

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.accumulate

    def __getitem__(self, number: int) -> Batch:
        """Draw a batch by its number."""
        recipe = self._recipe
        rng = np.random.default_rng((recipe.seed, number))
        several = recipe.max_prompts > 1 and rng.random() < recipe.several_prompts
        prompts = int(rng.integers(2, recipe.max_prompts + 1)) if several else 1
        recalls = several and bool(rng.random() < recipe.recalled_prompts)
        size = int(rng.choice(recipe.image_sizes))
        # As many pixels in every batch, so that its cost depends on nothing else.
        pixels = recipe.batch_size * 2 * min(recipe.image_sizes) ** 2
        count = max(1, pixels // ((prompts + 1) * size**2))
        examples = [
            self._sampler.draw(rng, prompts=prompts, size=size) for _ in range(count)
        ]
        grid = (size // self._patch_size, size // self._patch_size)
        blocks = rng.random() < recipe.block_masks
        hidden = [
            block_mask(grid, recipe.block_share, rng) if blocks else half_mask(grid)
            for _ in examples
        ]
        seed = recipe.seed * 1_000_003 + number
        palettes = _palettes(examples, self._least_colors)
        return _collate(
            examples, palettes, np.stack(hidden), recalls=recalls, seed=seed
        )


def _palettes(examples: list[Example], least: int) -> np.ndarray:
    """Join palettes (B, R, 3) of at least so many colours; NaN where one has fewer."""
    most = max(least, *(len(one.palette) for one in examples))
    palettes = np.full((len(examples), most, 3), np.nan, np.float32)
    for palette, one in zip(palettes, examples, strict=True):
        palette[: len(one.palette)] = one.palette
    return palettes


def _collate(
    examples: list[Example],
    palettes: np.ndarray,
    hidden: np.ndarray,
    *,
    recalls: bool,
    seed: int,
) -> Batch:
    tables = [[look.table() for look in one.looks] for one in examples]
    looks = [one.looks[0] for one in examples]
    return Batch(
        images=torch.from_numpy(np.stack([one.images for one in examples])),
        regions=torch.from_numpy(np.stack([one.regions for one in examples])),
        palettes=torch.from_numpy(palettes),
        tables=torch.from_numpy(np.array(tables)),
        mixing=torch.from_numpy(
            np.stack([[look.matrix() for look in one.looks] for one in examples])
        ),
        known=torch.from_numpy(np.stack([one.known for one in examples])),
        noise=torch.tensor([look.noise for look in looks]),
        blur=torch.tensor([look.blur for look in looks]),
        seg_type=torch.tensor([int(one.is_instance) for one in examples]),
        hidden=torch.from_numpy(hidden),
        recalls=torch.tensor(recalls),
        seed=torch.tensor(seed),
    )


def render(batch: Batch, foreground_weight: float) -> Pictures:
    """Change the looks, colour the regions and normalise, on the batch's device."""
    regions = batch.regions.long()
    rows = torch.arange(len(regions), device=regions.device)[:, None, None, None]
    palettes = _normalise(batch.palettes)
    colors = palettes[rows, regions].movedim(-1, 2)
    return Pictures(
        images=_normalise(_looks(batch) / 255).movedim(-1, 2).contiguous(),
        colors=colors.contiguous(),
        known=batch.known,
        regions=regions[:, -1],
        palettes=palettes,
        weight=pixel_weights(batch.regions[:, -1] > 0, foreground_weight)
        * batch.known[:, -1:],
        seg_type=batch.seg_type,
        hidden=batch.hidden,
    )


def _normalise(pictures: Tensor) -> Tensor:
    """Normalise values (..., 3) from 0 to 1."""
    mean, std = (torch.from_numpy(x).to(pictures.device) for x in (MEAN, STD))
    return (pictures - mean) / std


def _looks(batch: Batch) -> Tensor:
    """Give every picture its look: (B, P, S, S, 3), 0 to 255."""
    flat = batch.images.flatten(2).long()
    changed = batch.tables.gather(2, flat).view_as(batch.images).float()
    changed = (changed.flatten(2, 3) @ batch.mixing.mT).view_as(changed)
    for index in torch.nonzero(batch.blur)[:, 0].tolist():
        changed[index] = _blurred(changed[index], float(batch.blur[index]))
    generator = torch.Generator(changed.device).manual_seed(int(batch.seed))
    for index in torch.nonzero(batch.noise)[:, 0].tolist():
        shape = (*changed[index].shape[:-1], 1)
        grain = torch.randn(shape, generator=generator, device=changed.device)
        changed[index] += batch.noise[index] * grain
    return changed.clamp_(0, 255)


def _blurred(pictures: Tensor, radius: float) -> Tensor:
    """Blur pictures (P, S, S, 3) by a Gaussian."""
    place = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=pictures.device)
    kernel = torch.exp(-((place / radius) ** 2) / 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    planes = pictures.movedim(-1, 1).flatten(0, 1)[:, None]
    for weights, padding in (
        (kernel, (0, 0, BLUR_REACH, BLUR_REACH)),
        (kernel.mT, (BLUR_REACH, BLUR_REACH, 0, 0)),
    ):
        planes = F.conv2d(F.pad(planes, padding, mode="replicate"), weights)
    return planes[:, 0].unflatten(0, (-1, 3)).movedim(1, -1)


def pixel_weights(shown: Tensor, most: float) -> Tensor:
    """Weigh coloured pixels (B, S, S) up where they are few; the mean stays 1."""
    share = shown.float().mean((1, 2), keepdim=True)
    factor = ((1 - share) / share.clamp(min=1e-6)).clamp(1.0, most)
    weight = torch.where(shown, factor, 1.0)
    return (weight / weight.mean((1, 2), keepdim=True))[:, None]


def nearest_colors(colors: Tensor, palettes: Tensor) -> Tensor:
    """Replace colours (B, P, 3, S, S) by the nearest of each palette (B, R, 3)."""
    known = torch.nan_to_num(palettes, nan=math.inf)
    best = torch.full_like(colors[:, :, 0], math.inf)
    nearest = torch.zeros_like(colors)
    for number in range(palettes.shape[1]):
        color = known[:, number, None, :, None, None]
        distance = (colors - color).square().sum(2)
        closer = distance < best
        best = torch.where(closer, distance, best)
        nearest = torch.where(closer[:, :, None], color, nearest)
    return nearest
