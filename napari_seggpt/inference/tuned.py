"""Tuned prompts as a predictor uses them: checked, and encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_seggpt.model.checkpoint import model_hash
from napari_seggpt.model.seggpt import SEG_TYPES
from napari_seggpt.palette import Palette
from napari_seggpt.preprocessing import normalise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_seggpt.model.encoding import EncodedPrompts
    from napari_seggpt.model.seggpt import SegGPT
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.settings import SegType


SAME = 0.004  # a quarter of a grey level, normalised


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
    model : SegGPT
        The network, with what they learned of how to weigh what it reads.
    encoded : tuple of EncodedPrompts
        Of each of them that shows what no reference does; B is 1.
    """

    model: SegGPT
    encoded: tuple[EncodedPrompts, ...] = ()

    @classmethod
    def of(
        cls,
        model: SegGPT,
        tuned: Sequence[TunedPrompt],
        palette: Palette,
        replaced: Sequence[frozenset[int]],
        device: torch.device,
    ) -> TunedPass:
        """Encode those with this palette, on the device that the model is on.

        Parameters
        ----------
        model, tuned, device
            The network, all tuned prompts, and where it computes.
        palette : Palette
            Of the pass.
        replaced : sequence of frozenset
            The tensors of each tuned prompt that are left out; see `replaced_tensors`.

        Raises
        ------
        TunedPromptError
            If a weighing does not belong to the network.
        """
        chosen = [
            (prompt, sorted(set(range(len(prompt.images))) - left_out))
            for prompt, left_out in zip(tuned, replaced, strict=True)
            if _same(prompt.palette, palette)
        ]
        return cls(
            model=_with_weighing(model, [prompt for prompt, _ in chosen], device),
            encoded=tuple(
                _encode(model, prompt, kept, device) for prompt, kept in chosen if kept
            ),
        )


def replaced_tensors(
    tuned: Sequence[TunedPrompt], pictures: Sequence[NDArray[np.uint8]]
) -> tuple[frozenset[int], ...]:
    """Return the tensors of each tuned prompt that are pictures of references.

    These have the labels of today, and a picture that is there twice counts twice.

    Parameters
    ----------
    tuned : sequence of TunedPrompt
        Of which some pictures may have stayed what they started from.
    pictures : sequence of NDArray[np.uint8]
        (h, w, 3), of the references beside them.
    """
    return tuple(
        frozenset(
            number
            for number, image in enumerate(prompt.images)
            if any(_is_picture(image, picture) for picture in pictures)
        )
        for prompt in tuned
    )


def _is_picture(image: NDArray[np.float32], picture: NDArray[np.uint8]) -> bool:
    """Tell whether a tensor (3, H, W) is a picture, but for the rounding of a file."""
    if image.shape[1:] != picture.shape[:2]:
        return False
    return bool(np.abs(normalise(picture) - image).max() < SAME)


def _encode(
    model: SegGPT, prompt: TunedPrompt, kept: list[int], device: torch.device
) -> EncodedPrompts:
    images, colors = (
        torch.from_numpy(np.ascontiguousarray(x[None, kept])).to(device)
        for x in (prompt.images, prompt.colors)
    )
    seg_type = torch.tensor([SEG_TYPES[prompt.seg_type]], device=device)
    palette = palette_tensor(prompt.palette).to(device)
    return model.encode_prompts(images, colors, seg_type, palette=palette)


def _with_weighing(
    model: SegGPT, tuned: Sequence[TunedPrompt], device: torch.device
) -> SegGPT:
    """Return the network that weighs as prompts have learned, on average."""
    learned = [prompt.weighing for prompt in tuned if prompt.weighing]
    if not learned:
        return model
    if model.config.decoder != "readout":
        raise TunedPromptError(
            "Expected a tuned prompt without a weighing for a model without a readout, "
            "got one with a weighing."
        )
    try:
        weighings = [
            model.with_weighing(_tensors(one, model, device)).readout.weighing()
            for one in learned
        ]
    except ValueError as error:
        raise TunedPromptError(str(error)) from error
    mean = {
        name: torch.stack([one[name].detach() for one in weighings]).mean(0)
        for name in weighings[0]
    }
    return model.with_weighing(mean)


def _tensors(
    weighing: Mapping[str, NDArray[np.float32]], model: SegGPT, device: torch.device
) -> dict[str, torch.Tensor]:
    """Return a weighing as tensors.

    Files of an earlier version have vectors where the network has single numbers.
    """
    own = model.readout.weighing()
    single = {name for name, x in own.items() if x.ndim == 0}
    return {
        name: torch.from_numpy(
            x.reshape(()) if name in single and x.shape == (1,) else x
        ).to(device)
        for name, x in weighing.items()
    }
