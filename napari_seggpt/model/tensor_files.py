"""Tensors in files of any kind, ours or others', read so that they can run no code."""

from __future__ import annotations

import argparse
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open

from napari_seggpt.untrusted import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

TORCH_STARTS = (b"PK\x03\x04", b"\x80")  # a zip archive, or a bare pickle
WRAPPERS = ("model", "state_dict", "model_state_dict")  # keys that hold the weights
# What Hugging Face calls the weights in a folder, whole or split, the best first.
FOLDER_FILES = (
    "model.safetensors", "model.safetensors.index.json",
    "pytorch_model.bin", "pytorch_model.bin.index.json",
)  # fmt: skip
INDEX_END = ".index.json"
NAMED = 3  # how many wrong tensors an error names


@dataclass(frozen=True, kw_only=True)
class _Index:
    """In which file each tensor of a split model is."""

    weight_map: dict[str, str]


def read_tensors(source: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors, mapped into memory where possible, and their metadata.

    Raises
    ------
    ValueError
        If the file, or folder, holds something else.
    OSError
        If it cannot be read.
    """
    if source.is_dir():
        files = [source / name for name in FOLDER_FILES]
        source = next((file for file in files if file.is_file()), files[0])
    if not source.is_file():
        raise ValueError(f"Expected weights, but there is no file {source.name}.")
    if source.name.endswith(INDEX_END):
        return _read_parts(source), {}
    return _read_file(source)


def _read_file(source: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with source.open("rb") as file:
        start = file.read(64)
    if start[8:9] == b"{":  # after the length of the header
        tensors, metadata = _read_safetensors(source)
    elif start.startswith(TORCH_STARTS):
        tensors, metadata = _read_torch(source), {}
    else:
        raise ValueError(
            f"Expected weights (.safetensors or .pth), got {_name(start)}."
        )
    # A view repeats what is stored once: a file of some kilobytes could ask for more
    # memory than any computer has.
    announced = sum(x.numel() * x.element_size() for x in tensors.values())
    if announced > source.stat().st_size:
        raise ValueError(
            f"Expected tensors of at most the {source.stat().st_size} bytes of the "
            f"file, got {announced} bytes."
        )
    return tensors, metadata


def _read_parts(index: Path) -> dict[str, Tensor]:
    """Read the parts of a model that Hugging Face has split into several files."""
    names = set(read_json(index, _Index).weight_map.values())
    tensors: dict[str, Tensor] = {}
    for name in sorted(names):
        if Path(name).name != name:
            raise ValueError(f"Expected parts beside {index.name}, got {name!r}.")
        if not (index.parent / name).is_file():
            raise ValueError(f"Expected all parts, but there is no file {name}.")
        tensors |= _read_file(index.parent / name)[0]
    return tensors


def _name(start: bytes) -> str:
    """Say what a file is that holds no weights, by its first bytes."""
    text = start.lstrip().lower()
    if not start:
        return "an empty file"
    if text.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer: the weights themselves have to be fetched"
    if text.startswith(b"<"):
        return "a web page"
    return f"a file that begins with {start[:12]!r}"


def _read_safetensors(source: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(source, framework="pt") as file:
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, read_metadata_of(
                file
            )
    except Exception as error:
        raise ValueError(f"Expected a safetensors file, got {error}.") from error


def read_metadata_of(file: Any) -> dict[str, str]:
    """Return the texts that an open safetensors file holds beside its tensors."""
    return dict(file.metadata() or {})


def _read_torch(source: Path) -> dict[str, Tensor]:
    is_zip = zipfile.is_zipfile(source)
    if is_zip:
        _check_zip(source)
    try:
        # Training scripts of this family keep their arguments beside the weights.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(
                source, map_location="cpu", weights_only=True, mmap=is_zip
            )
    except Exception as error:
        raise ValueError(
            "Expected a PyTorch file with tensors and nothing else, "
            f"got a damaged or unsafe one ({type(error).__name__})."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not content:
        raise ValueError(f"Expected named tensors, got {_kind(content)}.")
    content = _only_weights(content)
    strange = [name for name, value in content.items() if not _is_tensor(name, value)]
    if strange:
        raise ValueError(f"Expected named tensors, got others too: {some_of(strange)}.")
    return dict(content)


def _only_weights(content: dict[Any, Any]) -> dict[Any, Any]:
    """Return the one entry that holds named tensors, whatever it is called."""
    found = [
        value
        for value in content.values()
        if isinstance(value, dict)
        and value
        and all(_is_tensor(*each) for each in value.items())
    ]
    return found[0] if len(found) == 1 else content


def _check_zip(source: Path) -> None:
    """Refuse an archive that unpacks to more than it is: PyTorch packs nothing."""
    try:
        with zipfile.ZipFile(source) as archive:
            announced = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"Expected a PyTorch file, got {error}.") from error
    if announced > source.stat().st_size:
        raise ValueError(
            f"Expected a PyTorch file that is not packed, got {announced} bytes in "
            f"{source.stat().st_size}."
        )


def _kind(content: object) -> str:
    return f"an empty or single {type(content).__name__}"


def _is_tensor(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
    )


def some_of(names: Iterable[object]) -> str:
    """Name the first of several tensors, for an error."""
    first, *rest = sorted(map(str, names))
    more = ", ..." if len(rest) >= NAMED else ""
    return ", ".join([first, *rest[: NAMED - 1]]) + more
