"""Where sessions lie, and who writes one."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock, SoftFileLock, Timeout

from napari_seggpt.files import safe_name
from napari_seggpt.io.layout import is_zarr
from napari_seggpt.untrusted import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

    from filelock import BaseFileLock

SUFFIX = ".seggpt"
STATE_FILE = "session.json"
LOCK_FILE = "lock"
SOFT_LOCK_FILE = "lock.soft"  # where a file system knows no locks: NFS may not
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
DATA_VARIABLE = "NAPARI_SEGGPT_DATA"  # names another data folder
NAME_LETTERS = 40  # of an image, in the names of its sessions in the data folder
MAX_SESSIONS_OF_IMAGE = 100_000  # that are looked for at one place


class LockedError(OSError):
    """Another window writes a folder."""


class FolderLock:
    """Keeps other programs from writing a folder, until this one ends.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    LockedError
        If it is locked already.
    OSError
        If nothing can be written there.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / LOCK_FILE
        try:
            check_regular(file)
            self._lock = _locked(file)
        except Timeout:
            raise LockedError(f"{folder.name} is open in another window") from None
        except (NotImplementedError, ValueError) as error:
            raise OSError(f"{folder.name} cannot be locked: {error}") from error

    def release(self) -> None:
        """Let others write it."""
        self._lock.release(force=True)


def _locked(file: Path) -> BaseFileLock:
    # They may be released in another thread than they were taken in.
    lock: BaseFileLock = FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        soft = file.with_name(SOFT_LOCK_FILE)
        check_regular(soft)
        lock = SoftFileLock(soft, timeout=0, thread_local=False)
        lock.acquire()
    return lock


def is_locked(folder: Path) -> bool:
    """Return whether somebody writes a session, in this program or another."""
    try:
        FolderLock(folder).release()
    except LockedError:
        return True
    except OSError:  # nobody can write it
        return False
    return False


def data_folder() -> Path:
    """Return where programs of this user keep their data."""
    if own := os.environ.get(DATA_VARIABLE):
        return Path(own)
    return platformdirs.user_data_path("napari-seggpt", appauthor=False)


def session_folder() -> Path:
    """Return where sessions and labels lie that cannot lie beside their image."""
    return data_folder() / "sessions"


def session_bases(image: Path | None, name: str, short: str) -> list[Path]:
    """Return where new sessions of an image may lie, without their endings.

    Parameters
    ----------
    image : Path or None
        The file or folder that the image came from, if it did.
    name : str
        Of the image, for people.
    short : str
        Of its signature.
    """
    away = session_folder() / f"{_short_name(name)}-{short}"
    return [away] if image is None else [image, away]


def _short_name(name: str) -> str:
    return safe_name(name)[:NAME_LETTERS]


def sessions_of(image: Path | None, name: str) -> list[Path]:
    """Return the folders of all sessions that may be of an image.

    Parameters
    ----------
    image : Path or None
        The file or folder that the image came from, if it did.
    name : str
        Of the image.
    """
    found = [] if image is None else list(_sessions_in(image.parent, image.name, ""))
    away = session_folder()
    # Whatever the signature: it is another if a frame cannot be read for a while.
    return [*found, *_sessions_in(away, f"{_short_name(name)}-", "[0-9a-f]{12}")]


def _sessions_in(folder: Path, start: str, rest: str) -> Iterator[Path]:
    """Yield the sessions in a folder whose names have a start and match a pattern."""
    pattern = re.compile(rf"{re.escape(start)}{rest}(\.\d+)?{re.escape(SUFFIX)}")
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if pattern.fullmatch(name) and is_session(folder / name):
            yield folder / name


def is_session(folder: Path) -> bool:
    """Return whether there is a saved session at a path."""
    try:
        return (folder / STATE_FILE).is_file()
    except OSError:  # a name that is too long, say
        return False


def kept_path(labels: str, session: Path) -> str:
    """Return what is written of where labels on disk are.

    If they lie in the folder that the session lies in, it is told from there: a copy of
    all of it has its own labels, and does not write those of the original.
    """
    try:
        return Path(labels).relative_to(session.parent).as_posix()
    except ValueError:
        return labels


def way_to(labels: str, session: Path) -> str | None:
    """Return how labels on disk are reached from the folder that a session lies in.

    It is None where no way leads there, such as to another drive.
    """
    try:
        way = os.path.relpath(labels, session.parent)
    except ValueError:
        return None
    return PurePath(way).as_posix()


def locate(kept: str, session: Path, way: str | None = None) -> Path:
    """Return where labels on disk are; what was copied with the session comes first.

    Parameters
    ----------
    kept : str
        Where they were, as it was written; version 0.1 wrote full paths.
    session : Path
        The folder of the session.
    way : str, optional
        How they were reached from the folder that it lies in, as of `way_to`.
    """
    if way is not None and is_zarr(there := _plain(session.parent / way)):
        return there
    path = PureWindowsPath(kept) if "\\" in kept else PurePosixPath(kept)
    if not path.is_absolute():
        return session.parent / path
    for count in (2, 1):  # an array in a group, or alone
        beside = session.parent.joinpath(*path.parts[-count:])
        if len(path.parts) > count and is_zarr(beside):
            return beside
    return Path(kept)


def _plain(path: Path) -> Path:
    """Return a path without dots: it is compared with those of layers."""
    return Path(os.path.normpath(path))


def make_session_folder(base: Path) -> Path:
    """Make a folder for another session.

    Raises
    ------
    OSError
        If that cannot be done.
    """
    base.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, MAX_SESSIONS_OF_IMAGE):
        ending = SUFFIX if number == 1 else f".{number}{SUFFIX}"
        folder = base.with_name(base.name + ending)
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise OSError(f"there are {MAX_SESSIONS_OF_IMAGE} sessions of {base.name}")
