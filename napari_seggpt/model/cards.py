"""What is known of the models by name, without loading them; needs no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from safetensors import SafetensorError, safe_open

from napari_seggpt.model.config import SMALL, VIT_LARGE, SegGPTConfig

WEIGHTS_VARIABLE = "SEGGPT_WEIGHTS"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Attributes
    ----------
    name, title : str
        What it is called in settings, and in sentences.
    licence : str
        Of the weights.
    filename : str
        Of the weights.
    repo : str or None
        Where they are on the Hugging Face hub; None if this package brings them.
    size_bytes : int or None
        Of the file; None if this package brings it.
    config : SegGPTConfig
        Its geometry.
    """

    name: str
    title: str
    licence: str
    filename: str
    repo: str | None = None
    size_bytes: int | None = None
    config: SegGPTConfig = VIT_LARGE

    @property
    def url(self) -> str | None:
        """Where the weights can be fetched by hand."""
        if self.repo is None:
            return None
        return f"https://huggingface.co/{self.repo}/resolve/main/{self.filename}"


_CARDS = (
    ModelCard(
        name="builtin",
        title="the built-in model",
        licence="BSD-3-Clause",
        filename="builtin.safetensors",
        config=SMALL,
    ),
    ModelCard(
        name="seggpt-vit-large",
        title="SegGPT ViT-L as published",
        licence="MIT",
        filename="seggpt_vit_large.pth",
        repo="BAAI/SegGPT",
        size_bytes=1_483_000_000,
    ),
    ModelCard(
        name="seggpt-vit-large-hf",
        title="SegGPT ViT-L as in transformers",
        licence="Apache-2.0",
        filename="model.safetensors",
        repo="BAAI/seggpt-vit-large",
        size_bytes=1_483_000_000,
    ),
)
MODELS = {card.name: card for card in _CARDS}


def locate(
    name: str, *, cache_dir: str | os.PathLike[str] | None = None
) -> Path | None:
    """Find the weights of a named model on this computer, without the network.

    For the published models the file that the variable SEGGPT_WEIGHTS names comes
    first, then those fetched by `load_model` and by other programs.
    """
    card = MODELS[name]
    if card.repo is None:
        weights = resources.files("napari_seggpt") / "weights" / card.filename
        return Path(str(weights)) if weights.is_file() else None
    if own := os.environ.get(WEIGHTS_VARIABLE):
        return Path(own).expanduser()
    own_copy = weights_path(card, cache_dir)
    if own_copy.is_file():
        return own_copy
    from huggingface_hub import try_to_load_from_cache

    shared = try_to_load_from_cache(card.repo, card.filename)
    return Path(shared) if isinstance(shared, str) else None


def describe(name: str, *, cache_dir: str | os.PathLike[str] | None = None) -> str:
    """Say in a line what a named model is, how it is licensed and where it is."""
    card = MODELS[name]
    found = locate(name, cache_dir=cache_dir)
    size = card.size_bytes
    if found is not None and found.is_file():
        size = found.stat().st_size
    parts = [f"{name}: {card.title}", card.licence]
    if size is not None:
        parts.append(readable(size))
    parts.append(str(found or _where_from(card, cache_dir)))
    return ", ".join(parts)


def _where_from(card: ModelCard, cache_dir: str | os.PathLike[str] | None) -> str:
    """Say where weights that are not here come from, and where they are kept."""
    if card.url is None:
        return "missing"
    return f"{card.url}, kept as {weights_path(card, cache_dir)}"


def weights_path(card: ModelCard, cache_dir: str | os.PathLike[str] | None) -> Path:
    """Return where the fetched weights of a model are kept."""
    from huggingface_hub import constants

    if cache_dir is None:
        folder = Path(constants.HF_HOME) / "napari-seggpt"
    else:
        folder = Path(cache_dir).expanduser()
    return folder / card.name / card.filename


def model_config(name_or_path: str) -> SegGPTConfig:
    """Return the geometry of a model without loading it.

    Of one's own weights the file is asked, as far as that needs no torch; where it does
    not say, it is taken for the published one.
    """
    if name_or_path in MODELS:
        return MODELS[name_or_path].config
    try:
        with safe_open(Path(name_or_path).expanduser(), framework="numpy") as file:
            text = (file.metadata() or {})["config"]
        return SegGPTConfig.from_json(text)
    except (OSError, KeyError, ValueError, SafetensorError):
        return VIT_LARGE


def readable(size: float) -> str:
    """Return a number of bytes as people write it."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
