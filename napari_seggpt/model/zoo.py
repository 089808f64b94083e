"""Models by name: the built-in one, the published ones, and files of one's own."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]
from tqdm import tqdm

from napari_seggpt.model.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_seggpt.model.seggpt import SegGPT

    Progress = Callable[[int, int], None]

logger = logging.getLogger(__name__)

WEIGHTS_VARIABLE = "SEGGPT_WEIGHTS"


class ModelUnavailableError(RuntimeError):
    """A model is neither on this computer nor could it be fetched."""


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
    """

    name: str
    title: str
    licence: str
    filename: str
    repo: str | None = None
    size_bytes: int | None = None

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


def load_model(
    name_or_path: str | os.PathLike[str] = "builtin",
    *,
    progress: Progress | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> SegGPT:
    """Load a model by name, fetching it the first time, or from a file or folder.

    Parameters
    ----------
    name_or_path : str or path-like
        A key of `MODELS`, or where weights are.
    progress : callable, optional
        Called with the bytes fetched and the bytes in all. What it raises ends the
        download and comes out here; the next download goes on from there.
    cache_dir : path-like, optional
        Where fetched weights are kept; by default beside the Hugging Face cache.

    Returns
    -------
    SegGPT
        In evaluation mode, float32, on the CPU.

    Raises
    ------
    ModelUnavailableError
        If the weights are not here and cannot be fetched.
    CheckpointError
        If the file holds no SegGPT.
    ValueError
        If there is neither such a name nor such a file.
    """
    card = MODELS.get(os.fspath(name_or_path))
    if card is None:
        return load_checkpoint(_own_path(name_or_path))
    found = locate(card.name, cache_dir=cache_dir)
    if found is None:
        found = _fetch(card, _target(card, cache_dir), progress)
    return load_checkpoint(found)


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
    target = _target(card, cache_dir)
    if target.is_file():
        return target
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
        parts.append(_readable(size))
    parts.append(str(found or card.url or "missing"))
    return ", ".join(parts)


def _own_path(name_or_path: str | os.PathLike[str]) -> Path:
    path = Path(name_or_path).expanduser()
    is_bare_word = not path.suffix and len(path.parts) == 1
    if is_bare_word and not path.exists():
        raise ValueError(
            f"Expected a path of weights or one of {', '.join(MODELS)}, "
            f"got {os.fspath(name_or_path)!r}."
        )
    return path


def _target(card: ModelCard, cache_dir: str | os.PathLike[str] | None) -> Path:
    """Where the fetched weights of a model are kept."""
    if cache_dir is None:
        folder = Path(constants.HF_HOME) / "napari-seggpt"
    else:
        folder = Path(cache_dir).expanduser()
    return folder / card.name / card.filename


# -- fetching ----------------------------------------------------------------------


class _Report:
    """Hands progress on, and remembers whether the caller has stopped it."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.stopped: Exception | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._progress is None:
            return
        try:
            self._progress(done, total)
        except Exception as error:
            self.stopped = error
            raise


def _fetch(card: ModelCard, target: Path, progress: Progress | None) -> Path:
    if card.repo is None:
        raise ModelUnavailableError(
            f"{card.filename} is missing in this installation of napari-seggpt: "
            "install it again."
        )
    logger.info(
        "Fetching %s: %s, licence %s, from %s",
        card.title, _readable(card.size_bytes or 0), card.licence, card.url,
    )  # fmt: skip
    report = _Report(progress)
    try:
        _download(card, card.repo, target, report)
    except Exception as error:
        if error is report.stopped:
            raise
        raise ModelUnavailableError(_advice(card, target, error)) from error
    return target


def _advice(card: ModelCard, target: Path, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return (
        f"Could not fetch {card.title} from {card.url} ({reason}). Fetch the file "
        f"({_readable(card.size_bytes or 0)}) another way and put it at {target}, or "
        f"name its place in the environment variable {WEIGHTS_VARIABLE}."
    )


def _download(card: ModelCard, repo: str, target: Path, report: _Report) -> None:
    """Fetch over plain HTTP into a draft that a later call goes on with.

    `hf_hub_download` would do, but deletes what an interrupted download has got.
    """
    remote = get_hf_file_metadata(hf_hub_url(repo, card.filename))
    if not remote.etag or not remote.size:
        raise OSError("the server names neither version nor size of the file")
    url = hf_hub_url(repo, card.filename, revision=remote.commit_hash)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{remote.etag[:16]}.part")
    with WeakFileLock(target.with_name(f"{target.name}.lock")):
        if target.exists():  # another process was faster
            return
        with draft.open("ab") as file:
            if file.tell() > remote.size:  # something went wrong before
                file.seek(0)
                file.truncate()
            _check_space(target.parent, remote.size - file.tell())
            http_get(
                url, file,
                resume_size=file.tell(), expected_size=remote.size,
                tqdm_class=_bar_class(report),
            )  # fmt: skip
        _check_content(draft, remote.etag)
        os.replace(draft, target)


def _bar_class(report: _Report) -> type[Any]:
    class Bar(tqdm):
        """Hands the bytes on instead of showing them."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            report(int(self.n), int(self.total or 0))

    return Bar


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"{_readable(needed)} are needed in {folder}, {_readable(free)} are free"
        )


def _check_content(draft: Path, etag: str) -> None:
    """Compare a whole download with the hash that the hub gives for large files."""
    if not re.fullmatch(r"[0-9a-f]{64}", etag):
        return
    with draft.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != etag:
        draft.unlink()
        raise OSError("what arrived is damaged and was deleted")


def _readable(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
