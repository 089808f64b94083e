"""find_sessions: the sessions that were saved of an image, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.places import is_locked, sessions_of
from napari_seggpt.session.store.stored_session import StoredSession

if TYPE_CHECKING:
    from pathlib import Path

    from napari_seggpt.session.store.signature import ImageSignature, LevelSignatures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SavedWork:
    """A session of an image, and what a person knows it by.

    Attributes
    ----------
    stored : StoredSession
        The session.
    num_frames : int
        How many frames something is stored of.
    is_open : bool
        Whether somebody writes it, in this window or another.
    """

    stored: StoredSession
    num_frames: int
    is_open: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(self.stored.about.classes.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundSessions:
    """What was found of an image.

    Attributes
    ----------
    signature : ImageSignature
        Of the image.
    sessions : tuple of SavedWork
        The sessions of it, the one that was saved last first.
    refused : str or None
        Why a session that lies at its place is not of it, if there is none that is.
    elsewhere : tuple of str
        The `ImageSignature.place` of sessions of other frames of an image of this name,
        the newest first.
    """

    signature: ImageSignature
    sessions: tuple[SavedWork, ...] = ()
    refused: str | None = None
    elsewhere: tuple[str, ...] = ()

    @property
    def last(self) -> SavedWork | None:
        """The session that was saved last, of those that nobody writes."""
        return next((each for each in self.sessions if not each.is_open), None)


def find_sessions(
    signatures: LevelSignatures, image: Path | None, name: str
) -> FoundSessions:
    """Search for sessions of an image, in a worker; a few frames are read.

    Parameters
    ----------
    signatures : LevelSignatures
        Of the image.
    image : Path or None
        The file or folder that it came from.
    name : str
        Of the image, for people.
    """
    own = signatures.own
    found: list[SavedWork] = []
    elsewhere: list[StoredSession] = []
    refused: str | None = None
    for folder in sessions_of(image, name):
        try:
            stored = StoredSession.read(folder)
        except SessionError as error:
            refused = str(error)
            continue
        if stored.signature.place != signatures.place:
            elsewhere += [stored] if stored.about.name == name else []
            continue
        difference = _difference(signatures, stored)
        if difference is None:
            found.append(_describe(stored))
        elif stored.about.name == name:
            refused = (
                f"The session in {folder.name} is not of this image: {difference}. "
                "It is left as it is."
            )
    found.sort(key=lambda each: each.stored.saved, reverse=True)
    elsewhere.sort(key=lambda each: each.saved, reverse=True)
    return FoundSessions(
        signature=own,
        sessions=tuple(found),
        refused=None if found else refused,
        elsewhere=tuple(dict.fromkeys(each.signature.place for each in elsewhere)),
    )


def _difference(signatures: LevelSignatures, stored: StoredSession) -> str | None:
    """Say why a session is not of an image; pixels are read only if the rest fits."""
    its = stored.signature
    return signatures.own.other_kind(its) or signatures.at(its.level).other_pixels(its)


def _describe(stored: StoredSession) -> SavedWork:
    return SavedWork(
        stored=stored, num_frames=stored.num_frames, is_open=is_locked(stored.path)
    )
