"""Predictor: a model, a device and prompts; it predicts the labels of frames."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_seggpt.inference.decoding import read_passes
from napari_seggpt.inference.device import (
    autocast,
    is_out_of_memory,
    pick_device,
    pick_dtype,
)
from napari_seggpt.inference.ensemble import spatial_grid
from napari_seggpt.inference.memory import (
    Memory,
    PromptTile,
    QueryTile,
    all_same,
    choose,
    in_batches,
    prompt_tile,
    usable,
)
from napari_seggpt.inference.prediction import Prediction, read_prediction
from napari_seggpt.inference.seg_type import choose_seg_type
from napari_seggpt.inference.tiling import make_tiles
from napari_seggpt.inference.tuned import (
    TunedPass,
    check_tuned,
    palette_tensor,
    plan_passes,
)
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.seggpt import SEG_TYPES
from napari_seggpt.preprocessing import denormalise, measure_limits, normalise, to_rgb
from napari_seggpt.settings import PredictionSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.frames import FrameGrid
    from napari_seggpt.inference.tiling import Tile
    from napari_seggpt.model.seggpt import SegGPT
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
        are read as they are.
    settings : PredictionSettings, optional
        How the model and the prompts are used.
    limits : Limits, optional
        The contrast of prompts and frames; without them the prompts' own.

    Attributes
    ----------
    before_pass : callable, optional
        Called before every pass of the model, of which a frame with tiles or many
        labels needs hundreds. What it raises ends the prediction.
    grid : FrameGrid, optional
        How the frames of the stack lie, if along two axes: what is near in either is
        near.

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
        self.before_pass: Callable[[], object] | None = None
        self.grid: FrameGrid | None = None
        self.settings = settings or PredictionSettings()
        self.device = pick_device(self.settings.device)
        self.dtype = pick_dtype(self.settings.precision, self.device)
        self.model = model.to(self.device).eval()
        self._given_limits = limits
        self.encoding_seconds = 0.0  # that prompts took which a person gave
        self.tuned = tuple(tuned)
        self.seg_type = choose_seg_type(self.settings.seg_type, model.config)
        check_tuned(self.tuned, self.model, self.seg_type)
        self.set_prompts(prompts)

    def set_prompts(self, prompts: Iterable[Prompt]) -> None:
        """Replace all but the tuned prompts; each is encoded once, at its first use.

        A hint needs a prompt beside it that shows what is background, and a network
        with a readout: others are not shown hints. A hint alone is read as a whole one.

        Raises
        ------
        FrameError
            If the image of a prompt is no picture.
        """
        self.prompts = tuple(prompts)
        images = [prompt.image for prompt in self.prompts]
        self.limits = self._given_limits
        if self.limits is None and images:
            self.limits = measure_limits(images)
        ids = {int(i) for prompt in self.prompts for i in prompt.ids}
        self.palettes = plan_passes(ids, self.tuned, self.settings.labels_per_pass)
        self._tuned_passes: dict[int, TunedPass] = {}
        self._tiles = [self.prepare(prompt) for prompt in self.prompts]
        self.tiles = self._usable_tiles()
        if ids and not any(tile.is_labelled for tile in self.tiles):
            logger.warning(
                "Every labelled object vanishes in the model's %d x %d pixels: "
                "use tiles.",
                *self.tiles[0].picture.shape[:2],
            )

    def only(self, numbers: Iterable[int]) -> Predictor:
        """Return a predictor with some of the prompts, by their places.

        Colours and contrast stay those of all prompts, and what one encodes the other
        need not: predicting one reference from the others costs little.
        """
        other = copy.copy(self)
        chosen = list(numbers)
        other.prompts = tuple(self.prompts[i] for i in chosen)
        other._tiles = [self._tiles[i] for i in chosen]
        other.tiles = other._usable_tiles()
        return other

    def _usable_tiles(self) -> list[PromptTile]:
        tiles = [tile for tiles in self._tiles for tile in tiles]
        return usable(tiles, understands_hints=self._is_readout)

    @property
    def _is_readout(self) -> bool:
        return self.model.config.decoder == "readout"

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
        seen: NDArray[np.integer[Any]] | None = None,
    ) -> list[PromptTile]:
        """Cut a prompt into tiles of the model's size.

        Parameters
        ----------
        prompt : Prompt
            The labelled image.
        predicted : bool
            Whether nobody vouches for the labels, as for those in memory.
        seen : NDArray, optional
            The `Prediction.seen` that the labels are of: resized to the grid of the
            frame and back, small objects would lose pixels with every frame.
        """
        rgb = self._rgb(prompt.image)
        tiles, size = self._cut(rgb)
        return [
            prompt_tile(
                tile.picture(rgb, size),
                tile.labels(prompt.labels, size) if seen is None else seen,
                center=tile.center,
                index=prompt.index,
                is_predicted=predicted,
                is_hint=prompt.is_hint,
            )
            for tile in tiles
        ]

    def predict(self, frame: NDArray[Any], *, index: int | None = None) -> Prediction:
        """Predict the labels of one frame; see `predict_batch`."""
        return self.predict_batch([frame], indices=[index])[0]

    def predict_batch(
        self,
        frames: Sequence[NDArray[Any]],
        *,
        indices: Sequence[int | None] | None = None,
        memory: Memory | None = None,
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
        queries, shapes = [], []
        for frame, index in zip(frames, indices, strict=True):
            rgb = self._rgb(frame)
            tiles, size = self._cut(rgb)
            queries.append(
                [
                    QueryTile(picture=t.picture(rgb, size), tile=t, index=index)
                    for t in tiles
                ]
            )
            shapes.append(rgb.shape[:2])
        painted = self._paint([q for part in queries for q in part], memory)
        return [
            read_prediction(
                [next(painted) for _ in part],
                part,
                shape,
                self.palettes,
                are_shares=self._is_readout,
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
        size = self.model.config.tile_size
        queries = [
            QueryTile(
                picture=replace(tile, top=0, left=0).picture(self._rgb(part), size),
                tile=tile,
                index=index,
            )
            for part, tile in zip(parts, tiles, strict=True)
        ]
        return self._paint(queries, None)

    def read_painted(self, joined: Iterable[NDArray[np.float32]]) -> Prediction:
        """Read the labels of what the passes painted, each (H, W, C)."""
        labels, confidence, colors = read_passes(
            joined, self.palettes, are_shares=self._is_readout
        )
        return Prediction(labels=labels, confidence=confidence, colors=colors)

    def encode(self, tile: PromptTile) -> None:
        """Encode a tile for all passes now, rather than at its first use."""
        for number in range(len(self.palettes)):
            self._encoded(tile, number)

    # -- one example, one query --------------------------------------------------

    def _rgb(self, frame: NDArray[Any]) -> NDArray[np.uint8]:
        limits = self.limits or measure_limits([frame])
        return to_rgb(frame, limits)

    def _cut(self, rgb: NDArray[np.uint8]) -> tuple[list[Tile], tuple[int, int]]:
        """Return the tiles of a picture (H, W, 3), and at what size they are seen."""
        config, tiling = self.model.config, self.settings.tiling
        size = config.tile_size if tiling.enabled else config.seen_size(rgb.shape)
        return make_tiles(rgb.shape[:2], size, tiling), size

    def _encoded(self, tile: PromptTile, number: int) -> EncodedPrompts:
        """Return a tile encoded for a pass: at its first use, and once."""
        if number not in tile.encoded:
            self._announce_pass()
            began = perf_counter()
            image = self._tensor(tile.picture[None, None])
            colors = self.palettes[number].encode(tile.labels)
            seg_type = torch.tensor([SEG_TYPES[self.seg_type]])
            tuned = self._tuned_pass(number)
            with torch.inference_mode(), autocast(self.device, self.dtype):
                encoded = self.model.encode_prompts(
                    image,
                    self._tensor(colors[None, None]),
                    seg_type.to(self.device),
                    torch.tensor([[tile.is_predicted]], device=self.device),
                    palette=palette_tensor(self.palettes[number]).to(self.device),
                    known=self._known(tile),
                )
                tile.encoded[number] = tuned.read(encoded)
            if not tile.is_predicted:
                self.encoding_seconds += perf_counter() - began
        return tile.encoded[number]

    def _announce_pass(self) -> None:
        if self.before_pass is not None:
            self.before_pass()

    def _known(self, tile: PromptTile) -> torch.Tensor | None:
        """Return where the labels of a tile say something; None if they do anywhere."""
        if not tile.is_hint:
            return None
        known = torch.from_numpy(tile.labels != 0)
        return known[None, None].to(self.device)

    def _tuned_pass(self, number: int) -> TunedPass:
        """Return what the tuned prompts bring into a pass, encoded once."""
        if number not in self._tuned_passes:
            with torch.inference_mode(), autocast(self.device, self.dtype):
                self._tuned_passes[number] = TunedPass.of(
                    self.model, self.tuned, self.palettes[number], self.device
                )
        return self._tuned_passes[number]

    def _tensor(self, pictures: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(normalise(pictures)).to(self.device)

    # -- many queries ------------------------------------------------------------

    def _paint(
        self, queries: list[QueryTile], memory: Memory | None
    ) -> Iterator[list[NDArray[np.float32]]]:
        """Run the model; yields for every query what each pass painted.

        That is its colours (h, w, 3) or, with a readout, how likely each is (h, w, R).
        """
        for batch in in_batches(queries, self.settings.batch):
            pictures = np.stack([query.picture for query in batch])
            chosen = [self._choose(query, memory) for query in batch]
            passes = [
                self._run_in_parts(pictures, chosen, i)
                for i in range(len(self.palettes))
            ]
            yield from (list(each) for each in zip(*passes, strict=True))

    def _choose(self, query: QueryTile, memory: Memory | None) -> list[PromptTile]:
        remembered = memory.recall(query) if memory else []
        tiles = choose(query, self.tiles, self.settings.max_prompts, self.grid)
        tiles += remembered
        if self.settings.ensemble == "feature" or len(tiles) <= 1:
            return tiles
        pictures = [x.picture for x in tiles]
        return [prompt_tile(*spatial_grid(pictures, [x.labels for x in tiles]))]

    def _run_in_parts(
        self, pictures: NDArray[np.uint8], chosen: list[list[PromptTile]], number: int
    ) -> NDArray[np.float32]:
        """Run a batch, in halves where the device has too little memory for it."""
        try:
            return self._run(pictures, chosen, number)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            half = len(pictures) // 2
            if half == 0:
                raise RuntimeError(
                    f"Expected memory on {self.device.type} for a frame with "
                    f"{len(chosen[0])} prompts, got too little: use fewer prompts, "
                    "less memory of frames, or the CPU."
                ) from None
        torch.cuda.empty_cache()
        parts = [
            self._run_in_parts(pictures[part], chosen[part], number)
            for part in (slice(half), slice(half, None))
        ]
        return np.concatenate(parts)

    def _run(
        self, pictures: NDArray[np.uint8], chosen: list[list[PromptTile]], number: int
    ) -> NDArray[np.float32]:
        prompts = self._join(chosen, number)
        self._announce_pass()
        query = self._tensor(pictures)
        paint = self.model.probabilities if self._is_readout else self.model
        with torch.inference_mode(), autocast(self.device, self.dtype):
            painted = paint(query, prompts)
        if not torch.isfinite(painted).all():
            precision = str(self.dtype).removeprefix("torch.")
            raise RuntimeError(
                f"Expected colours, got NaN or infinity in {precision}: "
                "choose another precision, or check the weights."
            )
        values: NDArray[np.float32] = painted.float().cpu().numpy()
        return np.moveaxis(values, 1, -1) if self._is_readout else denormalise(values)

    def _join(self, chosen: list[list[PromptTile]], number: int) -> EncodedPrompts:
        """Join encoded prompts of a batch, without a copy where all have the same."""
        tuned = self._tuned_pass(number).encoded
        joined = [
            EncodedPrompts.join(
                [*tuned, *(self._encoded(tile, number) for tile in tiles)]
            )
            for tiles in (chosen[:1] if all_same(chosen) else chosen)
        ]
        if len(joined) < len(chosen):
            return joined[0].expand(len(chosen))
        return EncodedPrompts.join(joined, dim=0)
