"""Folders, and files that need their name while they are written, whole or not.

For other files there is `files.whole_file`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAFT_START, DRAFT_END = ".", ".part"


class NotMovedBackError(OSError):
    """A folder could neither be replaced nor be left as it was."""


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """Give a place to write to, and move what is there to `path` at the end.

    If anything fails, what was at `path` stays as it was, and nothing is left of the
    draft.

    Parameters
    ----------
    path : Path
        A file or a folder; what is there is replaced.

    Yields
    ------
    Path
        Where the file or folder is to be written, with the same name.

    Raises
    ------
    NotMovedBackError
        If a folder could be replaced in part only, and the disk then failed again; it
        tells where everything is that was in the folder.
    """
    # Within a folder, since one may be allowed to write into it but not beside it.
    place = path if path.is_dir() else path.parent
    folder = tempfile.mkdtemp(prefix=DRAFT_START, suffix=DRAFT_END, dir=place)
    new = Path(folder) / path.name
    try:
        yield new
        if path.is_dir():
            _replace_content(path, new, keep=Path(folder))
        else:
            os.replace(new, path)
    except NotMovedBackError:  # what was there is within the draft
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _replace_content(path: Path, new: Path, *, keep: Path) -> None:
    old = keep / f"old {path.name}"
    old.mkdir()
    moves = [(child, old / child.name) for child in path.iterdir() if child != keep]
    moves += [(child, path / child.name) for child in new.iterdir()]
    try:
        for source, target in moves:
            os.replace(source, target)
    except BaseException as error:
        _move_back(moves, old, error)
        raise


def _move_back(
    moves: list[tuple[Path, Path]], old: Path, reason: BaseException
) -> None:
    """Undo the moves that were made; no other one has lost its source."""
    failed: OSError | None = None
    for source, target in reversed(moves):
        try:
            if not os.path.lexists(source):
                os.replace(target, source)
        except OSError as error:
            failed = error
    if failed is not None:
        raise NotMovedBackError(
            f"Expected to replace a folder, got: {reason}. What was in it could not "
            f"be moved back and is kept in {old}: {failed}"
        ) from reason


def is_draft(path: Path) -> bool:
    """Tell whether a program that was killed left this."""
    return path.name.startswith(DRAFT_START) and path.name.endswith(DRAFT_END)
