"""Passes: a network that is run once for each palette, with prompts encoded once."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_seggpt.inference.device import (
    autocast,
    free_unused_memory,
    is_out_of_memory,
    pick_device,
    pick_dtype,
)
from napari_seggpt.inference.memory import all_same
from napari_seggpt.inference.seg_type import choose_seg_type
from napari_seggpt.inference.tuned import TunedPass, check_tuned, palette_tensor
from napari_seggpt.model.encoding import EncodedPrompts
from napari_seggpt.model.seggpt import SEG_TYPES
from napari_seggpt.preprocessing import denormalise, normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.inference.memory import PromptTile
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.palette import Palette
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import PredictionSettings


class Passes:
    """Encodes tiles of prompts and paints pictures beside them, in all passes.

    Parameters
    ----------
    model : SegGPT
        It is moved to the device that the settings choose.
    settings : PredictionSettings
        How the model is used.
    tuned : sequence of TunedPrompt
        Learned prompts; they take part in the passes of their palettes.

    Attributes
    ----------
    palettes : list of Palette
        The colours of each pass.
    encoding_seconds : float
        What the encoding of prompts took that a person gave.
    before_pass : callable, optional
        Called before every use of the model. What it raises ends the work.

    Raises
    ------
    TunedPromptError
        If a tuned prompt is for another model or type embedding.
    """

    def __init__(
        self,
        model: SegGPT,
        settings: PredictionSettings,
        tuned: Sequence[TunedPrompt] = (),
    ) -> None:
        self.device = pick_device(settings.device)
        self.model = model.to(self.device).eval()
        self.before_pass: Callable[[], object] | None = None
        self.encoding_seconds = 0.0
        self.palettes: list[Palette] = []
        self._dtype = pick_dtype(settings.precision, self.device)
        self._tuned = tuple(tuned)
        self._seg_type = choose_seg_type(settings.seg_type, model.config)
        check_tuned(self._tuned, self.model, self._seg_type)
        self._replaced: Sequence[frozenset[int]] = ()
        self._tuned_passes: dict[int, TunedPass] = {}

    @property
    def are_shares(self) -> bool:
        """Whether it paints how likely each colour is, rather than colours."""
        return self.model.config.decoder == "readout"

    def set_palettes(
        self, palettes: Sequence[Palette], replaced: Sequence[frozenset[int]]
    ) -> None:
        """Choose the colours of each pass; no tile may be encoded for others.

        Parameters
        ----------
        palettes : sequence of Palette
            Of each pass.
        replaced : sequence of frozenset
            The tensors of each tuned prompt that references show.
        """
        self.palettes = list(palettes)
        self._replaced = replaced
        self._tuned_passes = {}

    def announce(self) -> None:
        """Tell that the model is about to be used."""
        if self.before_pass is not None:
            self.before_pass()

    def encode(self, tile: PromptTile) -> None:
        """Encode a tile for all passes now, rather than at its first use."""
        for number in range(len(self.palettes)):
            self._encoded(tile, number)

    def paint(
        self, pictures: NDArray[np.uint8], chosen: list[list[PromptTile]]
    ) -> list[NDArray[np.float32]]:
        """Run the model on pictures (B, h, w, 3), each beside the tiles chosen for it.

        Returns
        -------
        list of NDArray[np.float32]
            What each pass painted: colours (B, h, w, 3) or, with a readout, how likely
            each is (B, h, w, R).
        """
        return [
            self._run_in_parts(pictures, chosen, number)
            for number in range(len(self.palettes))
        ]

    # -- prompts -----------------------------------------------------------------

    def _encoded(self, tile: PromptTile, number: int) -> EncodedPrompts:
        """Return a tile encoded for a pass: at its first use, and once."""
        if number not in tile.encoded:
            self.announce()
            began = perf_counter()
            image = self._tensor(tile.picture[None, None])
            colors = self.palettes[number].encode(tile.labels)
            seg_type = torch.tensor([SEG_TYPES[self._seg_type]])
            with torch.inference_mode(), autocast(self.device, self._dtype):
                tile.encoded[number] = self.model.encode_prompts(
                    image,
                    self._tensor(colors[None, None]),
                    seg_type.to(self.device),
                    torch.tensor([[tile.is_predicted]], device=self.device),
                    palette=palette_tensor(self.palettes[number]).to(self.device),
                    known=self._known(tile),
                )
            if not tile.is_predicted:
                self.encoding_seconds += perf_counter() - began
        return tile.encoded[number]

    def _known(self, tile: PromptTile) -> torch.Tensor | None:
        """Return where the labels of a tile say something; None if they do anywhere."""
        if not tile.is_hint:
            return None
        known = torch.from_numpy(tile.labels != 0)
        return known[None, None].to(self.device)

    def _tuned_pass(self, number: int) -> TunedPass:
        """Return what the tuned prompts bring into a pass, encoded once."""
        if number not in self._tuned_passes:
            with torch.inference_mode(), autocast(self.device, self._dtype):
                self._tuned_passes[number] = TunedPass.of(
                    self.model,
                    self._tuned,
                    self.palettes[number],
                    self._replaced,
                    self.device,
                )
        return self._tuned_passes[number]

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

    # -- queries -----------------------------------------------------------------

    def _run_in_parts(
        self, pictures: NDArray[np.uint8], chosen: list[list[PromptTile]], number: int
    ) -> NDArray[np.float32]:
        """Run a batch, in halves where the device has too little memory for it."""
        try:
            return self._run(pictures, chosen, number)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            half = len(pictures) // 2
            if half == 0:
                raise RuntimeError(
                    f"Expected memory on {self.device.type} for a frame with "
                    f"{len(chosen[0])} prompts, got too little: use fewer prompts, "
                    "less memory of frames, or the CPU."
                ) from None
        free_unused_memory(self.device)
        parts = [
            self._run_in_parts(pictures[part], chosen[part], number)
            for part in (slice(half), slice(half, None))
        ]
        return np.concatenate(parts)

    def _run(
        self, pictures: NDArray[np.uint8], chosen: list[list[PromptTile]], number: int
    ) -> NDArray[np.float32]:
        prompts = self._join(chosen, number)
        self.announce()
        query = self._tensor(pictures)
        model = self._tuned_pass(number).model
        paint = model.probabilities if self.are_shares else model
        with torch.inference_mode(), autocast(self.device, self._dtype):
            painted = paint(query, prompts)
        if not torch.isfinite(painted).all():
            precision = str(self._dtype).removeprefix("torch.")
            raise RuntimeError(
                f"Expected colours, got NaN or infinity in {precision}: "
                "choose another precision, or check the weights."
            )
        values: NDArray[np.float32] = painted.float().cpu().numpy()
        return np.moveaxis(values, 1, -1) if self.are_shares else denormalise(values)

    def _tensor(self, pictures: NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(normalise(pictures)).to(self.device)
