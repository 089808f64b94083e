"""Where sessions lie, and who writes one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from napari_seggpt.files import safe_name

SUFFIX = ".seggpt"
DATA_VARIABLE = "NAPARI_SEGGPT_DATA"  # names another data folder
MAX_SESSIONS_OF_IMAGE = 100  # sessions of one image at one place


class FolderLock:
    """Keeps other programs from writing a folder, until this one ends.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    OSError
        If it is locked already, or nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] | None = (folder / "lock").open("ab")
        try:
            _lock(self._file)
        except OSError as error:
            self._file.close()
            raise OSError(f"{folder.name} is open in another window") from error

    def release(self) -> None:
        """Let others write it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _lock(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(folder: Path) -> bool:
    """Return whether somebody writes a session, in this program or another."""
    try:
        FolderLock(folder).release()
    except OSError:
        return True
    return False


def data_folder() -> Path:
    """Return where programs of this user keep their data."""
    if own := os.environ.get(DATA_VARIABLE):
        return Path(own)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "napari-seggpt"


def session_bases(image: Path | None, name: str, short: str) -> list[Path]:
    """Return where sessions of an image may lie, without their endings.

    Parameters
    ----------
    image : Path or None
        The file or folder that the image came from, if it did.
    name : str
        Of the image, for people.
    short : str
        Of its signature.
    """
    away = data_folder() / "sessions" / f"{safe_name(name)[:40]}-{short}"
    return [away] if image is None else [image, away]


def sessions_at(base: Path) -> list[Path]:
    """Return the folders of sessions at a place, in the order they were made."""
    found = [folder for folder in _folders(base) if folder.is_dir()]
    return [folder for folder in found if (folder / "session.json").is_file()]


def new_session_at(base: Path) -> Path:
    """Return a folder for another session, which is not there yet.

    Raises
    ------
    OSError
        If there are too many.
    """
    for folder in _folders(base):
        if not folder.exists():
            return folder
    raise OSError(
        f"there are {MAX_SESSIONS_OF_IMAGE} sessions of {base.name}: remove some"
    )


def _folders(base: Path) -> list[Path]:
    return [
        base.with_name(base.name + (SUFFIX if i == 1 else f".{i}{SUFFIX}"))
        for i in range(1, MAX_SESSIONS_OF_IMAGE)
    ]


def is_writable(base: Path) -> bool:
    """Return whether a session can be made at a place."""
    folder = base.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)
