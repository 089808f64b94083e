"""Tuned prompts as a predictor uses them: checked, and encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.model.prompt_map import PromptMap
from napari_seggpt.model.seggpt import SEG_TYPES
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_seggpt.model.encoding import EncodedPrompts
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import SegType


class TunedPromptError(ValueError):
    """A tuned prompt cannot be used here."""


def check_tuned(tuned: Sequence[TunedPrompt], model: SegGPT, seg_type: SegType) -> None:
    """Refuse tuned prompts of another model or type embedding.

    Raises
    ------
    TunedPromptError
        With the reason.
    """
    if not tuned:
        return
    own = model_hash(model)  # takes a second for a large network
    for prompt in tuned:
        if prompt.model_hash != own:
            raise TunedPromptError(
                f"Expected a prompt tuned for this model ({own}), "
                f"got one for another model ({prompt.model_hash})."
            )
        if prompt.seg_type != seg_type:
            raise TunedPromptError(
                f"Expected a prompt tuned with seg_type {seg_type!r}, "
                f"got {prompt.seg_type!r}."
            )
        size = prompt.images.shape[-2:]
        tiled = prompt.tile_scale is not None
        wanted = model.config.tile_size if tiled else model.config.seen_size(size)
        if size != wanted:
            raise TunedPromptError(
                f"Expected pictures of {wanted} in a tuned prompt, got {size}."
            )


def plan_passes(
    ids: Iterable[int], tuned: Sequence[TunedPrompt], size: int
) -> list[Palette]:
    """Return the palette of each pass: those of tuned prompts, then fresh ones.

    A tuned prompt's colours are fixed, so its labels keep them; tuned prompts of the
    same palette share a pass. Ids that no tuned prompt knows are split into passes of
    at most `size` labels, in which tuned prompts take no part.
    """
    palettes: list[Palette] = []
    for prompt in tuned:
        if not any(_same(prompt.palette, known) for known in palettes):
            palettes.append(prompt.palette)
    known_ids = {int(i) for palette in palettes for i in palette.ids}
    rest = set(ids) - known_ids
    if rest or not palettes:
        palettes += Palette.of(rest).split(size)
    return palettes


def _same(one: Palette, other: Palette) -> bool:
    return np.array_equal(one.ids, other.ids) and np.array_equal(
        one.colors, other.colors
    )


def palette_tensor(palette: Palette) -> torch.Tensor:
    """Return black and the palette's colours, normalised: (1, R, 3)."""
    colors = np.vstack([np.zeros((1, 3), np.float32), palette.colors])
    return torch.from_numpy(normalise(colors[None])[:, 0].T[None])


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedPass:
    """What the tuned prompts bring into a pass.

    Attributes
    ----------
    encoded : tuple of EncodedPrompts
        Of each of them; B is 1.
    prompt_map : PromptMap or None
        How the prompts beside them are to be read: as a single tuned prompt is.
    """

    encoded: tuple[EncodedPrompts, ...] = ()
    prompt_map: PromptMap | None = None

    @classmethod
    def of(
        cls,
        model: SegGPT,
        tuned: Sequence[TunedPrompt],
        palette: Palette,
        device: torch.device,
    ) -> TunedPass:
        """Encode those with this palette, on the device that the model is on.

        Raises
        ------
        TunedPromptError
            If a map does not belong to the network.
        """
        chosen = [prompt for prompt in tuned if _same(prompt.palette, palette)]
        maps = [_load_map(model, prompt, device) for prompt in chosen]
        encoded = [_encode(model, prompt, device) for prompt in chosen]
        return cls(
            encoded=tuple(
                one if own_map is None else own_map(one)
                for one, own_map in zip(encoded, maps, strict=True)
            ),
            prompt_map=maps[0] if len(maps) == 1 else None,
        )

    def read(self, encoded: EncodedPrompts) -> EncodedPrompts:
        """Map a prompt beside the tuned ones."""
        return encoded if self.prompt_map is None else self.prompt_map(encoded)


def _encode(model: SegGPT, prompt: TunedPrompt, device: torch.device) -> EncodedPrompts:
    images, colors = (
        torch.from_numpy(np.ascontiguousarray(x[None])).to(device)
        for x in (prompt.images, prompt.colors)
    )
    seg_type = torch.tensor([SEG_TYPES[prompt.seg_type]], device=device)
    palette = palette_tensor(prompt.palette).to(device)
    return model.encode_prompts(images, colors, seg_type, palette=palette)


def _load_map(
    model: SegGPT, prompt: TunedPrompt, device: torch.device
) -> PromptMap | None:
    if not prompt.prompt_map:
        return None
    if model.config.decoder != "readout":
        raise TunedPromptError(
            "Expected a tuned prompt without a map for a model without a readout, "
            "got one with a map."
        )
    prompt_map = PromptMap(model.config.match_dim)
    weights = {name: torch.from_numpy(x) for name, x in prompt.prompt_map.items()}
    try:
        prompt_map.load_state_dict(weights)
    except RuntimeError as error:
        raise TunedPromptError(
            "Expected the map of this model's readout in a tuned prompt, got another."
        ) from error
    return prompt_map.to(device).requires_grad_(False)
