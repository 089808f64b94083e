"""Models by name: the built-in one, the published ones, and files of one's own."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]
from tqdm import tqdm

from napari_seggpt.model.cards import (
    MODELS,
    WEIGHTS_VARIABLE,
    ModelCard,
    describe,
    locate,
    readable,
    weights_path,
)
from napari_seggpt.model.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_seggpt.model.seggpt import SegGPT

    Progress = Callable[[int, int], None]

logger = logging.getLogger(__name__)

__all__ = [
    "MODELS",
    "WEIGHTS_VARIABLE",
    "ModelCard",
    "ModelUnavailableError",
    "describe",
    "load_model",
    "locate",
]


class ModelUnavailableError(RuntimeError):
    """A model is neither on this computer nor could it be fetched."""


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
        found = _fetch(card, weights_path(card, cache_dir), progress)
    return load_checkpoint(found)


def _own_path(name_or_path: str | os.PathLike[str]) -> Path:
    path = Path(name_or_path).expanduser()
    is_bare_word = not path.suffix and len(path.parts) == 1
    if is_bare_word and not path.exists():
        raise ValueError(
            f"Expected a path of weights or one of {', '.join(MODELS)}, "
            f"got {os.fspath(name_or_path)!r}."
        )
    return path


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
        card.title, readable(card.size_bytes or 0), card.licence, card.url,
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
        f"({readable(card.size_bytes or 0)}) another way and put it at {target}, or "
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
            f"{readable(needed)} are needed in {folder}, {readable(free)} are free"
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
