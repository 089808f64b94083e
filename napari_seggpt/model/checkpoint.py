"""Weights in files: ours, the official and Hugging Face's, told by content."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from napari_seggpt.files import whole_file
from napari_seggpt.model.config import SegGPTConfig
from napari_seggpt.model.layouts import (
    config_from_hugging_face,
    config_from_shapes,
    is_hugging_face,
    rename,
    without_wrapper,
)
from napari_seggpt.model.seggpt import SegGPT
from napari_seggpt.model.tensor_files import read_metadata_of, read_tensors, some_of
from napari_seggpt.untrusted import read_json

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import Tensor

logger = logging.getLogger(__name__)

FORMAT = "napari-seggpt"
TYPE_TOKENS = ("type_token_cls", "type_token_ins")


class CheckpointError(ValueError):
    """A file does not hold the weights of a SegGPT."""


def load_checkpoint(path: str | os.PathLike[str]) -> SegGPT:
    """Load a network from weights in any known layout, strictly.

    Known are our own safetensors, the official .pth, a Painter checkpoint, and the
    files of Hugging Face or the folder around them, whole or split. The tensors may be
    wrapped as training programs do it. No code in a file runs.

    Parameters
    ----------
    path : path-like
        A file, or a folder of Hugging Face.

    Returns
    -------
    SegGPT
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    CheckpointError
        If there is no file, or it holds anything but a whole SegGPT.
    """
    source = Path(path).expanduser()
    try:
        tensors, metadata = read_tensors(source)
        tensors = without_wrapper(tensors)
        config = _config(tensors, metadata, source)
        if metadata.get("format") != FORMAT:
            tensors = _with_official_names(tensors)
            _add_type_tokens(tensors, config.embed_dim, source)
        return build_model(config, tensors)
    except (ValueError, OSError, MemoryError) as error:
        raise CheckpointError(f"{source}: {error}") from error


def save_checkpoint(
    model: SegGPT,
    path: str | os.PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network to a safetensors file that `load_checkpoint` reads.

    The file appears whole or not at all.

    Parameters
    ----------
    model : SegGPT
        Any network; its config goes into the file too.
    path : path-like
        The file to write or to replace.
    dtype : torch.dtype
        How numbers are stored; float16 halves the file.
    metadata : mapping of str to str, optional
        What else to keep with the weights, for `read_metadata`.

    Raises
    ------
    ValueError
        If a weight is not finite in `dtype`, or `metadata` has a reserved key.
    """
    reserved = {"format": FORMAT, "config": model.config.to_json()}
    if not reserved.keys().isdisjoint(metadata or {}):
        raise ValueError(f"Expected metadata without {sorted(reserved)}.")
    tensors = {
        name: _finite(name, tensor.detach().to("cpu", dtype).contiguous())
        for name, tensor in model.state_dict().items()
    }
    target = Path(path).expanduser()
    with whole_file(target) as draft:
        draft.touch()
        mode = draft.stat().st_mode  # safetensors would let nobody else read it
        save_file(tensors, draft, metadata={**(metadata or {}), **reserved})
        draft.chmod(mode)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read what `save_checkpoint` kept with the weights, without loading them.

    Raises
    ------
    CheckpointError
        If `save_checkpoint` did not write the file.
    """
    source = Path(path).expanduser()
    try:
        with safe_open(source, framework="pt") as file:
            metadata = read_metadata_of(file)
    except Exception as error:
        raise CheckpointError(f"{source}: {error}") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{source}: Expected a {FORMAT} file, got another.")
    return metadata


def model_hash(model: SegGPT) -> str:
    """Return 16 hexadecimal digits that name exactly this network.

    They depend on the config and on the weights as float32, not on where they are.
    """
    digest = hashlib.sha256(model.config.to_json().encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().to("cpu", torch.float32).contiguous().numpy())
    return digest.hexdigest()[:16]


# -- geometry and names ------------------------------------------------------------


def _config(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str], source: Path
) -> SegGPTConfig:
    try:
        if metadata.get("format") == FORMAT:
            return SegGPTConfig.from_json(metadata["config"])
        if is_hugging_face(tensors) and (values := _config_json(source)):
            return config_from_hugging_face(values)
        shapes = {rename(name): tuple(x.shape) for name, x in tensors.items()}
        return config_from_shapes(shapes)
    except (KeyError, ZeroDivisionError, RecursionError) as error:
        raise ValueError(f"Expected a SegGPT config, got {error!r}.") from error


def _config_json(source: Path) -> dict[str, Any]:
    """Read the config.json of Hugging Face, if there is one for this network."""
    path = source / "config.json" if source.is_dir() else source.parent / "config.json"
    if not path.is_file():
        return {}
    values = read_json(path, dict[str, Any])
    return values if values.get("model_type") == "seggpt" else {}


def _with_official_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {rename(name): tensor for name, tensor in tensors.items()}
    if len(renamed) < len(tensors):
        raise ValueError("Expected each tensor once, got some under two names.")
    return renamed


def _add_type_tokens(tensors: dict[str, Tensor], dim: int, source: Path) -> None:
    """Complete a Painter checkpoint, which has no type embeddings: they are zero.

    The network is then Painter's, and the embeddings learn from there.
    """
    if any(name in tensors for name in TYPE_TOKENS):
        return
    logger.warning("%s is a Painter checkpoint: its type embeddings are zero.", source)
    for name in TYPE_TOKENS:
        tensors[name] = torch.zeros(1, 1, 1, dim)


# -- building ----------------------------------------------------------------------


def build_model(config: SegGPTConfig, tensors: dict[str, Tensor]) -> SegGPT:
    """Make the network around copies of the tensors: never two sets in memory.

    Raises
    ------
    ValueError
        If they are not those of such a network.
    """
    if config.depth > len(tensors):
        raise ValueError(
            f"Expected {config.depth} blocks, got {len(tensors)} tensors in all."
        )
    try:
        with torch.device("meta"):
            model = SegGPT(config)
    except (RuntimeError, TypeError, ZeroDivisionError) as error:
        raise ValueError(f"Expected a possible geometry, got {config}.") from error
    expected = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    _check(expected, {name: tuple(x.shape) for name, x in tensors.items()})
    for name in expected:
        tensors[name] = _copy(name, tensors[name])
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _check(
    expected: Mapping[str, tuple[int, ...]], got: Mapping[str, tuple[int, ...]]
) -> None:
    """Compare names and shapes, and raise one error for all differences."""
    wrong = [
        f"{name} {got[name]} not {shape}"
        for name, shape in expected.items()
        if name in got and got[name] != shape
    ]
    lists = {
        "missing": expected.keys() - got.keys(),
        "unknown": got.keys() - expected.keys(),
        "of another shape": wrong,
    }
    problems = [
        f"{len(names)} {what} ({some_of(names)})"
        for what, names in lists.items()
        if names
    ]
    if problems:
        raise ValueError(
            f"Expected the {len(expected)} tensors of a SegGPT, got "
            f"{', '.join(problems)}."
        )


def _copy(name: str, tensor: Tensor) -> Tensor:
    """Copy a tensor out of its file, as float32."""
    if not tensor.is_floating_point():
        raise ValueError(f"Expected real numbers in {name}, got {tensor.dtype}.")
    copy = tensor.detach().to(
        torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    return _finite(name, copy)


def _finite(name: str, tensor: Tensor) -> Tensor:
    if not tensor.isfinite().all():
        raise ValueError(f"Expected finite weights, got NaN or infinity in {name}.")
    return tensor
