"""LearnedPrompt: the tensors of a prompt while they learn.

Axes: K tensors, H W pixels of the model's input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_seggpt.inference.ensemble import spatial_grid
from napari_seggpt.inference.tuned import palette_tensor
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.seggpt import SEG_TYPES
from napari_seggpt.preprocessing import normalise
from napari_seggpt.training.tuning_data import distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.settings import SegType, TuningSettings
    from napari_seggpt.training.tuning_data import FrameTile, TuningData

DEFAULT_IMAGE_RATE = 0.03  # where the settings leave it to the network


class LearnedPrompt:
    """K tensors, how a readout weighs what it reads of them, and how they learn.

    Parameters
    ----------
    data : TuningData
        The labelled frames.
    settings : TuningSettings
        What they start from, and what learns.
    model : SegGPT
        Through which they learn; on its device.
    seg_type : {"semantic", "instance"}
        The type embedding.

    Attributes
    ----------
    model : SegGPT
        The network with the weighing that learns, if one does.
    """

    def __init__(
        self,
        data: TuningData,
        settings: TuningSettings,
        model: SegGPT,
        seg_type: SegType,
    ) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._seg_type = torch.tensor([SEG_TYPES[seg_type]], device=self._device)
        self._palette = palette_tensor(data.palette).to(self._device)
        self._sources, pictures, colors = _start(data, settings)
        self.images = self._leaf(pictures)
        self.colors = self._leaf(colors)
        self._start = (self.images.clone(), self.colors.clone())
        self.learns_weighing = self._may_weigh(settings)
        self.model = _learning(model) if self.learns_weighing else model
        self._rates = self._choose_rates(settings)
        self._encoded: dict[int, EncodedPrompts] = {}
        self._pull = settings.pull

    def _leaf(self, values: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def _may_weigh(self, settings: TuningSettings) -> bool:
        return self._model.config.decoder == "readout" and settings.weighing_rate > 0

    def _choose_rates(self, settings: TuningSettings) -> tuple[float, float]:
        """Return the rates of images and colours."""
        image_rate = settings.image_rate
        if image_rate is None:
            needed = not self.learns_weighing or settings.start != "reference"
            image_rate = DEFAULT_IMAGE_RATE if needed else 0.0
        if not self.learns_weighing and image_rate == settings.color_rate == 0:
            raise ValueError(
                "Expected something to learn, got a network without a readout and "
                "rates of 0 for images and colours."
            )
        if self._model.config.decoder == "readout" and settings.color_rate > 0:
            raise ValueError(
                "Expected a color_rate of 0, since a network with a readout takes the "
                f"nearest colour of the palette, got {settings.color_rate}."
            )
        self.images.requires_grad_(image_rate > 0)
        self.colors.requires_grad_(settings.color_rate > 0)
        return image_rate, settings.color_rate

    @property
    def moves_pictures(self) -> bool:
        """Whether images or colours learn, rather than the weighing alone."""
        return self.images.requires_grad or self.colors.requires_grad

    def optimizer(self, settings: TuningSettings) -> torch.optim.Optimizer:
        """Return Adam over all that learns; each group keeps its own `rate`."""
        groups = [
            {"params": [tensor], "rate": rate}
            for tensor, rate in zip(
                (self.images, self.colors), self._rates, strict=True
            )
            if rate > 0
        ]
        if self.learns_weighing:
            parameters = list(self.model.readout.weighing().values())
            groups.append({"params": parameters, "rate": settings.weighing_rate})
        return torch.optim.Adam(groups, betas=(0.9, 0.95))

    @torch.no_grad()
    def pull_back(self) -> None:
        """Go a share of the way back to the start."""
        if self._pull:
            for tensor, start in zip((self.images, self.colors), self._start,
                                     strict=True):  # fmt: skip
                tensor.lerp_(start, self._pull)

    @property
    def shows_queries(self) -> bool:
        """Whether a tensor shows several frames, so that queries lie among them."""
        return None in self._sources

    def usable(self, frame: int) -> list[int]:
        """Return the tensors that do not come from a frame."""
        return [
            number
            for number, source in enumerate(self._sources)
            if source is None or source.frame != frame
        ]

    def nearest(self, tile: FrameTile, count: int, *, own: bool = False) -> list[int]:
        """Return at most so many tensors of other frames, the nearest to a tile.

        With `own`, those of its own frame are among them.
        """
        numbers = range(len(self._sources)) if own else self.usable(tile.frame)

        def apart(number: int) -> tuple[float, float]:
            source = self._sources[number]
            return (0.0, 0.0) if source is None else distance(source, tile)

        return sorted(numbers, key=apart)[:count]

    def encode(
        self, numbers: Sequence[int], *, flipped: bool = False
    ) -> EncodedPrompts:
        """Encode some of the tensors, as they are now."""
        parts = [self._encode_one(number, flipped) for number in numbers]
        return EncodedPrompts.join(parts)

    def _encode_one(self, number: int, flipped: bool) -> EncodedPrompts:
        """Encode a tensor; once for all where it is always the same."""
        if number in self._encoded and not flipped:
            return self._encoded[number]
        image, colors = (x[None, None, number] for x in (self.images, self.colors))
        if flipped:
            image, colors = image.flip(-1), colors.flip(-1)
        encoded = self._model.encode_prompts(
            image, colors, self._seg_type, palette=self._palette
        )
        if not flipped and not self.moves_pictures:
            self._encoded[number] = encoded
        return encoded

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return copies of images and colours (K, 3, H, W)."""
        images, colors = (
            x.detach().cpu().numpy().copy() for x in (self.images, self.colors)
        )
        return images, colors

    def weighing(self) -> dict[str, Tensor]:
        """Return how the reads are weighed, by name; nothing if that does not learn."""
        if not self.learns_weighing:
            return {}
        parameters = self.model.readout.weighing()
        return {name: x.detach() for name, x in parameters.items()}

    def weighing_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return copies of `weighing`."""
        return {name: x.cpu().numpy().copy() for name, x in self.weighing().items()}


def _learning(model: SegGPT) -> SegGPT:
    """Return the network with a weighing of its own that learns, and nothing else."""
    learning = model.with_weighing()
    learning.readout.eval().requires_grad_(False)
    for parameter in learning.readout.weighing().values():
        parameter.requires_grad_(True)
    return learning


Start = tuple["list[FrameTile | None]", "NDArray[np.float32]", "NDArray[np.float32]"]


def _start(data: TuningData, settings: TuningSettings) -> Start:
    """Return where tensors come from, and their images and colours (K, 3, H, W)."""
    if settings.start == "grid":
        tiles = data.starts(settings.num_prompts, held_back=False)
        picture, labels = spatial_grid(
            [x.picture for x in tiles], [x.labels for x in tiles]
        )
        return [None], *_normalised(data, picture[None], labels[None])
    tiles = data.starts(settings.num_prompts)
    pictures = np.stack([tile.picture for tile in tiles])
    labels = np.stack([tile.labels for tile in tiles])
    images, colors = _normalised(data, pictures, labels)
    if settings.start == "noise":
        rng = np.random.default_rng(settings.seed)
        images = rng.standard_normal(images.shape, dtype=np.float32)
    return list(tiles), images, colors


def _normalised(
    data: TuningData, pictures: NDArray[np.uint8], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    colors = np.stack([data.palette.encode(one) for one in labels])
    return normalise(pictures), normalise(colors)
