"""The files of a session beside those of its frames; their format is in `folder`."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_seggpt.files import array_digest, write_whole
from napari_seggpt.prompts import Prompt
from napari_seggpt.session.references.reference import Reference
from napari_seggpt.session.store.contents import ExampleContent
from napari_seggpt.session.store.errors import DAMAGED_FILE_ERRORS, SessionError
from napari_seggpt.session.store.places import STATE_FILE
from napari_seggpt.untrusted import as_type, check_fits_memory, check_regular, read_json

if TYPE_CHECKING:
    from pathlib import Path

FORMAT, VERSION = "napari-seggpt session", 1
FRAMES_FOLDER, JOURNAL_FILE = "frames", "frames.jsonl"
EXAMPLES_FOLDER, TUNED_FOLDER = "examples", "tuned"


def read_state_file(path: Path) -> dict[str, Any]:
    """Return what `session.json` holds.

    Raises
    ------
    SessionError
        If there is no session, or it is of another version.
    """
    try:
        content = read_json(path / STATE_FILE, dict[str, Any])
    except (OSError, ValueError) as error:
        raise SessionError(f"Expected a session in {path}, got: {error}") from error
    if content.get("format") != FORMAT:
        raise SessionError(f"Expected a session of napari-seggpt in {path}, got other.")
    version = content.get("version")
    if version != VERSION:
        raise SessionError(
            f"Expected a session of version {VERSION}, got {str(version)[:20]} in "
            f"{path.name}: another version of napari-seggpt wrote it."
        )
    return content


def last_change(path: Path) -> datetime:
    """Return when anything of a session was written last."""
    files = (path / STATE_FILE, path / FRAMES_FOLDER, path / JOURNAL_FILE)
    newest = max(file.stat().st_mtime for file in files if file.exists())
    return datetime.fromtimestamp(newest, UTC)


def read_example(path: Path, found: Any) -> Reference | None:
    """Read a labelled image of a session; None if it is damaged."""
    try:
        content = as_type(found, ExampleContent)
        prompt = _read_prompt(path / content.file)
    except DAMAGED_FILE_ERRORS:
        return None
    return Reference(name=content.name, enabled=content.enabled, prompt=prompt)


def _read_prompt(file: Path) -> Prompt:
    check_regular(file)
    with zipfile.ZipFile(file) as archive:
        check_fits_memory(sum(x.file_size for x in archive.infolist()), file.name)
    with np.load(file, allow_pickle=False) as arrays:
        return Prompt(image=arrays["image"], labels=arrays["labels"])


def write_example(path: Path, example: Reference) -> ExampleContent:
    """Store a labelled image, unless it is there already; say what it is and where."""
    assert example.prompt is not None
    assert example.name is not None
    prompt = example.prompt
    digest = array_digest(prompt.image, prompt.labels).hex()[:16]
    content = ExampleContent(
        name=example.name,
        enabled=example.enabled,
        file=f"{EXAMPLES_FOLDER}/{digest}.npz",
    )
    file = path / content.file
    if not file.exists():
        buffer = io.BytesIO()
        np.savez_compressed(buffer, image=prompt.image, labels=prompt.labels)
        file.parent.mkdir(exist_ok=True)
        write_whole(file, buffer.getvalue())
    return content
