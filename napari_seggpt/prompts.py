"""Prompt: one labelled example. TunedPrompt: a learned one, as a file."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from napari_seggpt.files import write_whole
from napari_seggpt.palette import Palette
from napari_seggpt.settings import SegType, TuningSettings  # noqa: TC001 read by msgspec
from napari_seggpt.untrusted import check_fits_memory, parse_json

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from numpy.typing import NDArray

PROMPT_FORMAT = "napari-seggpt tuned prompt"
WEIGHING_PREFIX = "weighing."
PROMPT_VERSION = 1  # of the file; readers take their own and older ones


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompt:
    """An image and the labels that somebody vouches for.

    Attributes
    ----------
    image : NDArray
        (H, W) or (H, W, C), of any dtype that `preprocessing.to_rgb` takes.
    labels : NDArray
        (H, W), integers; 0 is background.
    index : int, optional
        The frame of the stack that it was taken from, if any.
    is_hint : bool
        Whether only a part of the objects is labelled: what is unlabelled is then
        unknown, rather than background.
    """

    image: NDArray[Any]
    labels: NDArray[np.integer[Any]]
    index: int | None = None
    is_hint: bool = False

    def __post_init__(self) -> None:
        """Refuse an image and labels that do not belong together."""
        if self.image.ndim not in (2, 3):
            raise ValueError(
                f"Expected an image (H, W) or (H, W, C), got shape {self.image.shape}."
            )
        if self.labels.shape != self.image.shape[:2]:
            raise ValueError(
                f"Expected labels of the image's shape {self.image.shape[:2]}, "
                f"got {self.labels.shape}."
            )
        if not (
            np.issubdtype(self.labels.dtype, np.integer) or self.labels.dtype == bool
        ):
            raise ValueError(
                f"Expected labels of an integer type, got {self.labels.dtype}."
            )
        largest = self.labels.max() if self.labels.dtype == np.uint64 else 0
        if largest > np.iinfo(np.int64).max:
            raise ValueError(f"Expected label ids below 2**63, got {largest}.")

    @property
    def ids(self) -> NDArray[np.int64]:
        """The label ids that occur, without 0, in order."""
        ids = np.unique(self.labels).astype(np.int64)
        return ids[ids != 0]


class PromptFileError(ValueError):
    """A file does not hold a tuned prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningFigures:
    """What tuning a prompt did.

    Attributes
    ----------
    frames : int
        Labelled frames that it was tuned on, the held-back one among them.
    steps : int
        Updates until this prompt.
    seconds : float
        Until then.
    dice_before, dice_after : float
        Mean over the frames, each predicted from the others, as they are and tuned.
    held_back_before, held_back_after : float, optional
        That of the held-back frame alone, if there is one.
    """

    frames: int
    steps: int
    seconds: float
    dice_before: float
    dice_after: float
    held_back_before: float | None = None
    held_back_after: float | None = None

    @property
    def has_gained(self) -> bool:
        """Whether the prompt is better than the frames as they are."""
        return self.dice_after > self.dice_before


@dataclass(frozen=True, kw_only=True)
class _Description:
    """What the file of a tuned prompt says in words, as `TunedPrompt` has it."""

    ids: list[int]
    palette: list[tuple[float, float, float]]
    class_names: dict[int, str]
    model_hash: str
    seg_type: SegType
    tile_scale: float | None
    settings: TuningSettings
    figures: TuningFigures
    zoom: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TunedPrompt:
    """A learned prompt: a file that a colleague can use on another stack.

    Attributes
    ----------
    images, colors : NDArray[np.float32]
        (K, 3, H, W), normalised as the model takes them: K pictures of its size.
    palette : Palette
        The label ids that it knows, and their colours.
    class_names : dict of int to str
        What the ids mean, as far as somebody has said so.
    model_hash : str
        Of the model that it was tuned for, from `model.checkpoint.model_hash`.
    seg_type : {"semantic", "instance"}
        The type embedding it was tuned with.
    settings : TuningSettings
        How it was tuned.
    figures : TuningFigures
        What that did.
    weighing : dict of str to NDArray[np.float32]
        How a readout weighs what it reads, if that was learned; by the names of
        `model.readout.Readout.weighing`.
    tile_scale : float, optional
        The scale of the tiles that its pictures are, as in `TilingSettings`; whole
        frames without it.
    zoom : float
        How much larger than usual whole frames are shown with it, and its pictures.
    """

    images: NDArray[np.float32]
    colors: NDArray[np.float32]
    palette: Palette
    model_hash: str
    seg_type: SegType
    settings: TuningSettings
    figures: TuningFigures
    class_names: Mapping[int, str] = field(default_factory=dict)
    weighing: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    tile_scale: float | None = None
    zoom: float = 1.0

    def __post_init__(self) -> None:
        """Refuse tensors that are no pictures, or know no label."""
        shape = self.images.shape
        if len(shape) != 4 or shape[1] != 3 or 0 in shape or self.colors.shape != shape:
            raise ValueError(
                "Expected images and colours (K, 3, H, W) of one shape, "
                f"got {shape} and {self.colors.shape}."
            )
        learned = (self.images, self.colors, *self.weighing.values())
        if not all(np.isfinite(tensor).all() for tensor in learned):
            raise ValueError("Expected finite tensors, got NaN or infinity.")
        if not len(self.palette.ids):
            raise ValueError("Expected a palette with labels, got none.")
        colors = self.palette.colors
        if not ((colors >= 0) & (colors <= 1)).all():
            raise ValueError("Expected colours of 0 to 1, got others.")
        if self.tile_scale is not None and not 0 < self.tile_scale < math.inf:
            raise ValueError(f"Expected a tile scale above 0, got {self.tile_scale}.")
        if not 1 <= self.zoom < math.inf:
            raise ValueError(f"Expected a zoom of 1 or more, got {self.zoom}.")

    @property
    def digest(self) -> bytes:
        """What tells it from others: of all that predictions depend on."""
        digest = hashlib.sha256(
            f"{self.model_hash} {self.seg_type} {self.zoom}".encode()
        )
        palette = (self.palette.ids, self.palette.colors)
        stored = (np.float16(self.images), np.float16(self.colors))  # as in a file
        for values in (*stored, *palette):
            digest.update(np.ascontiguousarray(values).tobytes())
        for name, values in sorted(self.weighing.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.digest()

    def to_bytes(self) -> bytes:
        """Return what a file of it holds.

        The pictures are stored as float16: what that rounds off is less than a tenth of
        a grey level.
        """
        described = {
            "ids": self.palette.ids.tolist(),
            "palette": self.palette.colors.tolist(),
            "class_names": {str(i): name for i, name in self.class_names.items()},
            "model_hash": self.model_hash,
            "seg_type": self.seg_type,
            "tile_scale": self.tile_scale,
            "zoom": self.zoom,
            "settings": asdict(self.settings),
            "figures": asdict(self.figures),
        }
        metadata = {
            "format": PROMPT_FORMAT,
            "version": str(PROMPT_VERSION),
            "prompt": json.dumps(described),
        }
        tensors: dict[str, NDArray[Any]] = {
            "images": np.ascontiguousarray(self.images, dtype=np.float16),
            "colors": np.ascontiguousarray(self.colors, dtype=np.float16),
        }
        for name, values in self.weighing.items():
            # Single numbers stay such, which np.ascontiguousarray makes vectors.
            learned = np.asarray(values, np.float32, order="C")
            tensors[WEIGHING_PREFIX + name] = learned
        return save_tensors(tensors, metadata=metadata)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file of a few megabytes that `load` reads.

        It appears whole or not at all.
        """
        write_whole(Path(path).expanduser(), self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TunedPrompt:
        """Read a file that `save` wrote. No code in a file runs.

        Raises
        ------
        PromptFileError
            If the file is missing, damaged, no tuned prompt, or of a newer version.
        """
        source = Path(path).expanduser()
        if not source.is_file():
            raise PromptFileError(
                f"{source}: Expected a tuned prompt, but there is no such file."
            )
        try:
            check_fits_memory(source.stat().st_size, "a tuned prompt")
            return cls.from_bytes(source.read_bytes())
        except (ValueError, OSError) as error:
            raise PromptFileError(f"{source}: {error}") from None

    @classmethod
    def from_bytes(cls, data: bytes) -> TunedPrompt:
        """Read what `to_bytes` returned. No code in it runs.

        Raises
        ------
        PromptFileError
            If it is damaged, no tuned prompt, or of a newer version.
        """
        try:
            tensors, metadata = _read_tensors(data)
            _check_format(metadata)
            return cls._of(tensors, parse_json(metadata["prompt"], _Description))
        except PromptFileError:
            raise
        except (ValueError, KeyError, OverflowError) as error:
            raise PromptFileError(
                f"Expected a tuned prompt, got a damaged one ({error})."
            ) from error

    @classmethod
    def _of(
        cls, tensors: Mapping[str, NDArray[Any]], described: _Description
    ) -> TunedPrompt:
        return cls(
            images=tensors["images"].astype(np.float32),
            colors=tensors["colors"].astype(np.float32),
            palette=Palette(
                ids=np.array(described.ids, dtype=np.int64),
                colors=np.array(described.palette, np.float32).reshape(-1, 3),
            ),
            class_names=described.class_names,
            model_hash=described.model_hash,
            seg_type=described.seg_type,
            tile_scale=described.tile_scale,
            zoom=described.zoom,
            settings=described.settings,
            figures=described.figures,
            weighing={
                name.removeprefix(WEIGHING_PREFIX): values.astype(np.float32)
                for name, values in tensors.items()
                if name.startswith(WEIGHING_PREFIX)
            },
        )


def _read_tensors(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    try:
        tensors = load_tensors(data)  # checks the header, too
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
    except (SafetensorError, ValueError, TypeError) as error:
        raise PromptFileError(
            f"Expected a tuned prompt, got a damaged or other file ({error})."
        ) from error
    return tensors, dict(header.get("__metadata__") or {})


def _check_format(metadata: Mapping[str, str]) -> None:
    if metadata.get("format") != PROMPT_FORMAT:
        raise PromptFileError("Expected a tuned prompt, got another safetensors file.")
    version = int(metadata["version"])
    if version > PROMPT_VERSION:
        raise PromptFileError(
            f"Expected a tuned prompt of version {PROMPT_VERSION} or older, "
            f"got {version}: a newer napari-seggpt reads it."
        )
