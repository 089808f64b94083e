"""Painter: a model on a worker elsewhere, and the prompts that it was sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING

import torch

from napari_seggpt.inference.device import pick_device
from napari_seggpt.inference.passes import Passes
from napari_seggpt.model.checkpoint import build_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.inference.memory import PromptTile
    from napari_seggpt.model.config import SegGPTConfig
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.palette import Palette
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import PredictionSettings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassPlan:
    """How pictures are painted, but for the prompts.

    Attributes
    ----------
    settings : PredictionSettings
        How the model is used; the device is the worker's own choice.
    tuned : tuple of TunedPrompt
        Learned prompts.
    palettes : tuple of Palette
        The colours of each pass.
    replaced : tuple of frozenset
        The tensors of each tuned prompt that references show.
    """

    settings: PredictionSettings
    tuned: tuple[TunedPrompt, ...]
    palettes: tuple[Palette, ...]
    replaced: tuple[frozenset[int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Supplies:
    """What a worker needs for the next pictures, and does not have yet.

    Attributes
    ----------
    new : dict of int to PromptTile
        Tiles by their keys, which are never used again.
    gone : frozenset of int
        The keys of tiles that will not be chosen again.
    plan : PassPlan, optional
        If it is another than before; all tiles from before are gone then.
    """

    new: Mapping[int, PromptTile]
    gone: frozenset[int] = frozenset()
    plan: PassPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PaintRequest:
    """Pictures that are to be painted.

    Attributes
    ----------
    pictures : NDArray[np.uint8]
        (B, h, w, 3), at the model's size.
    chosen : tuple of tuple of int
        The keys of the tiles beside which each is painted.
    """

    pictures: NDArray[np.uint8]
    chosen: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Painted:
    """What a worker painted.

    Attributes
    ----------
    passes : list of NDArray[np.float32]
        (B, h, w, C) of each pass.
    encoding_seconds : float
        What the encoding of prompts took that a person gave.
    """

    passes: list[NDArray[np.float32]]
    encoding_seconds: float


class Painter:
    """Paints pictures on a worker, as an actor of dask: its state stays there.

    It encodes each prompt once, as a predictor does that computes where it is asked.

    Parameters
    ----------
    version : str
        Of the package that asks; another one would read its messages otherwise.

    Raises
    ------
    ValueError
        If the worker has another version.
    """

    def __init__(self, version: str) -> None:
        own = metadata.version("napari-seggpt")
        if version != own:
            raise ValueError(
                f"Expected napari-seggpt {version} on the worker, as here, got {own}."
            )
        self._weights: dict[str, torch.Tensor] = {}
        self._model: SegGPT | None = None
        self._passes: Passes | None = None
        self._tiles: dict[int, PromptTile] = {}

    def add_weights(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Take some of the weights, by their names."""
        # Copied, because what dask hands over may be read-only.
        self._weights |= {name: torch.tensor(each) for name, each in weights.items()}

    def build(self, config: SegGPTConfig) -> bool:
        """Make the network of the weights; returns whether it computes on a CPU."""
        weights, self._weights = self._weights, {}
        self._model = build_model(config, weights)
        return pick_device("auto").type == "cpu"

    def keep(self, supplies: Supplies) -> None:
        """Keep what the next pictures need, and forget what none will."""
        if supplies.plan is not None:
            self._follow(supplies.plan)
        for key in supplies.gone:
            self._tiles.pop(key, None)
        self._tiles |= supplies.new

    def _follow(self, plan: PassPlan) -> None:
        assert self._model is not None
        self._tiles, self._passes = {}, None
        settings = replace(plan.settings, device="auto")
        passes = Passes(self._model, settings, plan.tuned)
        passes.set_palettes(plan.palettes, plan.replaced)
        self._passes = passes

    def paint(self, request: PaintRequest) -> Painted:
        """Paint pictures beside tiles that were sent before."""
        passes = self._passes
        assert passes is not None
        before = passes.encoding_seconds
        painted = passes.paint(
            request.pictures,
            [[self._tiles[key] for key in keys] for keys in request.chosen],
        )
        seconds = passes.encoding_seconds - before
        return Painted(passes=painted, encoding_seconds=seconds)
