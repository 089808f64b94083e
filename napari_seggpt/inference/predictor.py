"""Predictor: a model, a device and prompts; it predicts the labels of frames."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_seggpt.inference.decoding import read_passes
from napari_seggpt.inference.ensemble import spatial_grid
from napari_seggpt.inference.frame_view import FrameView
from napari_seggpt.inference.memory import (
    Memory,
    PromptTile,
    QueryTile,
    choose,
    in_batches,
    prompt_tile,
    usable,
)
from napari_seggpt.inference.passes import Passes
from napari_seggpt.inference.prediction import Prediction, read_prediction
from napari_seggpt.inference.tiling import enlarged, suggest_zoom
from napari_seggpt.inference.tuned import plan_passes, replaced_tensors
from napari_seggpt.preprocessing import measure_limits
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.tiling import Tile
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.palette import Palette
    from napari_seggpt.preprocessing import Limits
    from napari_seggpt.prompts import Prompt, TunedPrompt

logger = logging.getLogger(__name__)


class Predictor:
    """Predicts frames in the manner of its prompts.

    Parameters
    ----------
    model : SegGPT
        It is moved to the device that the settings choose.
    prompts : iterable of Prompt
        The labelled examples; see `set_prompts`.
    tuned : iterable of TunedPrompt, optional
        Learned prompts, used for every frame, alone or beside the others. They are
        always joined in features, fix the colours of their labels, and the others
        are read as they are. A picture that is among the others, too, counts once.
    settings : PredictionSettings, optional
        How the model and the prompts are used.
    limits : Limits, optional
        The contrast of prompts and frames; without them the prompts' own.

    Attributes
    ----------
    passes : Passes
        The network, and what it encoded.
    replaced : tuple of frozenset
        The tensors of each tuned prompt that its prompts show, with labels of today.

    Raises
    ------
    TunedPromptError
        If a tuned prompt is for another model or type embedding.
    """

    def __init__(
        self,
        model: SegGPT,
        prompts: Iterable[Prompt] = (),
        *,
        tuned: Iterable[TunedPrompt] = (),
        settings: PredictionSettings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.settings = settings or PredictionSettings()
        self.tuned = tuple(tuned)
        self.passes = Passes(model, self.settings, self.tuned)
        self._given_limits = limits
        self.set_prompts(prompts)

    @property
    def model(self) -> SegGPT:
        """The network."""
        return self.passes.model

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return self.passes.device

    @property
    def has_calibrated_confidence(self) -> bool:
        """Whether the confidence of a frame estimates its Dice.

        That of networks with a readout does; that of networks that paint tells only how
        clear their colours are.
        """
        return self.passes.are_shares

    @property
    def palettes(self) -> list[Palette]:
        """The colours of each pass."""
        return self.passes.palettes

    @property
    def encoding_seconds(self) -> float:
        """What the encoding of prompts took that a person gave."""
        return self.passes.encoding_seconds

    @property
    def before_pass(self) -> Callable[[], object] | None:
        """What is called before every pass of the model, if anything is.

        A frame with tiles or many labels needs hundreds. What it raises ends the
        prediction.
        """
        return self.passes.before_pass

    @before_pass.setter
    def before_pass(self, called: Callable[[], object] | None) -> None:
        self.passes.before_pass = called

    def set_prompts(
        self, prompts: Iterable[Prompt], *, finest: float | None = None
    ) -> None:
        """Replace all but the tuned prompts; each is encoded once, at its first use.

        A hint needs a prompt beside it that shows what is background, a network with a
        readout, and prompts that are joined in features: others are not shown hints. A
        hint alone is read as a whole one.

        Parameters
        ----------
        prompts : iterable of Prompt
            The labelled examples.
        finest : float, optional
            How wide the finest thing is that has to be seen, in pixels of a frame.
            Where a whole frame would not show it, frames are cut into enlarged tiles.

        Raises
        ------
        FrameError
            If the image of a prompt is no picture.
        """
        self.prompts = tuple(prompts)
        images = [prompt.image for prompt in self.prompts]
        self.tiling, config = self.settings.tiling, self.model.config
        if images and finest is not None:
            shapes = [image.shape for image in images]
            self.tiling = enlarged(self.tiling, finest, shapes, config)
        self.limits = self._given_limits
        if self.limits is None and images:
            self.limits = measure_limits(images)
        self._view = FrameView(
            config=config, tiling=self.tiling, limits=self.limits, zoom=self._zoom()
        )
        ids = {int(i) for prompt in self.prompts for i in prompt.ids}
        self._tiles = [self.prepare(prompt) for prompt in self.prompts]
        self.tiles = self._usable_tiles()
        whole = [tile for tile in self.tiles if tile.is_labelled and not tile.is_hint]
        self.replaced = replaced_tensors(self.tuned, [tile.picture for tile in whole])
        self.passes.set_palettes(
            plan_passes(ids, self.tuned, self.settings.labels_per_pass), self.replaced
        )
        if ids and not any(tile.is_labelled for tile in self.tiles):
            logger.warning(
                "Every labelled object vanishes in the model's %d x %d pixels: "
                "use tiles.",
                *self.tiles[0].picture.shape[:2],
            )

    def _zoom(self) -> float:
        """Return how much larger frames are shown, because of what is thin in prompts.

        Hints are strokes, which are thin whatever they mark. Tuned prompts have learned
        from pictures of one size, to which frames are to be alike.
        """
        if self.tiling.enabled:
            return 1.0
        if self.tuned:
            return max(prompt.zoom for prompt in self.tuned)
        labels = [prompt.labels for prompt in self.prompts if not prompt.is_hint]
        return suggest_zoom(labels, self.model.config)

    def with_prompts(
        self, prompts: Iterable[Prompt], *, finest: float | None = None
    ) -> Self:
        """Return a predictor with other prompts; this one stays as it is.

        Parameters
        ----------
        prompts, finest
            As of `set_prompts`.
        """
        other = self._copy()
        other.set_prompts(prompts, finest=finest)
        return other

    def _copy(self) -> Self:
        """Return a predictor of the same network, with palettes of its own."""
        other = copy.copy(self)
        other.passes = copy.copy(self.passes)
        return other

    def only(self, numbers: Iterable[int]) -> Self:
        """Return a predictor with some of the prompts, by their places.

        Colours and contrast stay those of all prompts, and what one encodes the other
        need not: predicting one reference from the others costs little.
        """
        other = self._copy()
        chosen = list(numbers)
        other.prompts = tuple(self.prompts[i] for i in chosen)
        other._tiles = [self._tiles[i] for i in chosen]
        other.tiles = other._usable_tiles()
        return other

    def _usable_tiles(self) -> list[PromptTile]:
        tiles = [tile for tiles in self._tiles for tile in tiles]
        # In a grid of prompts, what a hint leaves open would be background.
        is_grid = self.settings.ensemble == "spatial"
        return usable(tiles, understands_hints=self.passes.are_shares and not is_grid)

    @property
    def frames_at_once(self) -> int:
        """How many frames are predicted together: on a CPU that would gain nothing."""
        return 1 if self.device.type == "cpu" else self.settings.batch

    @property
    def references(self) -> dict[int, Prompt]:
        """The prompts that are frames of the stack, by their index."""
        return {p.index: p for p in self.prompts if p.index is not None}

    def prepare(
        self,
        prompt: Prompt,
        *,
        predicted: bool = False,
        seen: Sequence[NDArray[np.integer[Any]]] | None = None,
    ) -> list[PromptTile]:
        """Cut a prompt into tiles of the model's size.

        Parameters
        ----------
        prompt : Prompt
            The labelled image.
        predicted : bool
            Whether nobody vouches for the labels, as for those in memory.
        seen : sequence of NDArray, optional
            The labels (h, w) of each tile, at the model's size, in place of those of
            the prompt: resized to the grid of the frame and back, small objects would
            lose pixels with every frame.
        """
        return self._view.prompt_tiles(prompt, predicted=predicted, seen=seen)

    def predict(
        self,
        frame: NDArray[Any],
        *,
        index: int | None = None,
        grid: FrameGrid | None = None,
    ) -> Prediction:
        """Predict the labels of one frame; see `predict_batch`."""
        return self.predict_batch([frame], indices=[index], grid=grid)[0]

    def predict_batch(
        self,
        frames: Sequence[NDArray[Any]],
        *,
        indices: Sequence[int | None] | None = None,
        memory: Memory | None = None,
        grid: FrameGrid | None = None,
        as_seen: bool = False,
    ) -> list[Prediction]:
        """Predict the labels of frames that do not wait for each other.

        Parameters
        ----------
        frames : sequence of NDArray
            (H, W) or (H, W, C), of any dtype that `preprocessing.to_rgb` takes.
        indices : sequence of int, optional
            Where in the stack they are, to choose the nearest of many prompts.
        memory : Memory, optional
            Predicted frames that serve as further prompts.
        grid : FrameGrid, optional
            How the frames of the stack lie, if along two axes: prompts that are near
            on either axis are near.
        as_seen : bool
            Whether predictions of frames that the model sees much smaller stay at the
            size (h, w) that it saw.

        Raises
        ------
        FrameError
            If a frame is no picture.
        ValueError
            If the predictor has no prompt with labels.
        """
        if not any(len(palette.ids) for palette in self.palettes):
            raise ValueError("Expected a prompt with labels, got none.")
        indices = indices or [None] * len(frames)
        shapes = [
            self._view.answer_size(frame.shape) if as_seen else frame.shape[:2]
            for frame in frames
        ]
        queries = [
            self._view.query_tiles(frame, index, grid, shape)
            for frame, index, shape in zip(frames, indices, shapes, strict=True)
        ]
        painted = self._paint([q for part in queries for q in part], memory)
        return [
            read_prediction(
                [next(painted) for _ in part],
                part,
                shape,
                self.palettes,
                are_shares=self.passes.are_shares,
                remember=memory is not None,
            )
            for part, shape in zip(queries, shapes, strict=True)
        ]

    def paint_tiles(
        self,
        parts: Sequence[NDArray[Any]],
        tiles: Sequence[Tile],
        *,
        index: int | None = None,
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Paint tiles of a frame of which only these parts were read.

        Parameters
        ----------
        parts : sequence of NDArray
            What each tile shows, (h, w) or (h, w, C), without what lies beyond the
            frame.
        tiles : sequence of Tile
            Where they lie.
        index : int, optional
            The frame.

        Yields
        ------
        list of NDArray[np.float32]
            What each pass painted of a tile, (h, w, C) at the model's size; see
            `read_painted`.
        """
        queries = [
            self._view.part_tile(part, tile, index)
            for part, tile in zip(parts, tiles, strict=True)
        ]
        return self._paint(queries, None)

    def read_painted(self, joined: Iterable[NDArray[np.float32]]) -> Prediction:
        """Read the labels of what the passes painted, each (H, W, C)."""
        labels, confidence, colors = read_passes(
            joined, self.palettes, are_shares=self.passes.are_shares
        )
        return Prediction(labels=labels, confidence=confidence, colors=colors)

    def _paint(
        self, queries: list[QueryTile], memory: Memory | None
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Run the model; yields for every query what each pass painted.

        That is its colours (h, w, 3) or, with a readout, how likely each is (h, w, R).
        """
        for batch in in_batches(queries, self.settings.batch):
            pictures = np.stack([query.picture for query in batch])
            chosen = [self._choose(query, memory) for query in batch]
            painted = self.passes.paint(pictures, chosen)
            yield from (list(each) for each in zip(*painted, strict=True))

    def _choose(self, query: QueryTile, memory: Memory | None) -> list[PromptTile]:
        remembered = memory.recall(query) if memory else []
        tiles = choose(query, self.tiles, self.settings.max_prompts)
        tiles += remembered
        if self.settings.ensemble == "feature" or len(tiles) <= 1:
            return tiles
        pictures = [x.picture for x in tiles]
        return [prompt_tile(*spatial_grid(pictures, [x.labels for x in tiles]))]
