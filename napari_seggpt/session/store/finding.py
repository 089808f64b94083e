"""find_session: the last session that was saved of an image, if there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.session.store.folder import SessionError, StoredSession
from napari_seggpt.session.store.places import is_locked, session_bases, sessions_at
from napari_seggpt.session.store.signature import ImageSignature

if TYPE_CHECKING:
    from pathlib import Path

    from napari_seggpt.frames import Frames


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundSession:
    """What was found of an image.

    Attributes
    ----------
    signature : ImageSignature
        Of the image.
    stored : StoredSession or None
        The session of it that was saved last and that nobody writes.
    refused : str or None
        Why a session that lies at its place is not of it, if there is none that is.
    """

    signature: ImageSignature
    stored: StoredSession | None = None
    refused: str | None = None


def find_session(
    stack: Frames, place: str, image: Path | None, name: str
) -> FoundSession:
    """Search for sessions of an image, in a worker; a few frames are read.

    Parameters
    ----------
    stack : Frames
        The frames of the image.
    place : str
        Which they are, see `ImageSignature`.
    image : Path or None
        The file or folder that it came from.
    name : str
        Of the image, for people.
    """
    signature = ImageSignature.of(stack, place)
    found: list[StoredSession] = []
    refused: str | None = None
    for base in session_bases(image, name, signature.short):
        for folder in sessions_at(base):
            try:
                stored = StoredSession.read(folder)
            except SessionError as error:
                refused = str(error)
                continue
            if stored.signature.place != place:
                continue
            difference = signature.difference(stored.signature)
            if difference is None:
                found += [] if is_locked(folder) else [stored]
            elif stored.about.get("name") == name:
                refused = (
                    f"The session in {folder.name} is not of this image: {difference}. "
                    "It is left as it is."
                )
    if not found:
        return FoundSession(signature=signature, refused=refused)
    last = max(found, key=lambda stored: stored.saved)
    return FoundSession(signature=signature, stored=last)
