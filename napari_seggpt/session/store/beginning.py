"""begin_session: a new session, at the first place where it can be written."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_seggpt.session.store.errors import SessionError
from napari_seggpt.session.store.folder import SessionStore
from napari_seggpt.session.store.places import make_session_folder
from napari_seggpt.session.store.state import SessionState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_seggpt.session.store.contents import About
    from napari_seggpt.session.store.signature import ImageSignature


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BegunSession:
    """A new session.

    Attributes
    ----------
    store : SessionStore
        Where it is written.
    refused : str or None
        Why it is not at the best place, if it is not.
    """

    store: SessionStore
    refused: str | None = None


def begin_session(
    bases: Sequence[Path],
    signature: ImageSignature,
    labels_path: str | None,
    about: About,
) -> BegunSession:
    """Make a new session at the first of some places where it can be written.

    Whether that is so is only known once it was tried: rights, space on the disk and
    locks are not told before.

    Parameters
    ----------
    bases : sequence of Path
        Where it may lie, without the ending, the best place first.
    signature, labels_path
        As of `SessionStore`.
    about : About
        What the window knows.

    Raises
    ------
    SessionError
        If there is no such place; it names all reasons.
    """
    reasons: list[str] = []
    for base in bases:
        try:
            store = _begin_at(base, signature, labels_path, about)
        except (OSError, SessionError) as error:
            reasons.append(str(error))
            continue
        return BegunSession(store=store, refused="; ".join(reasons) or None)
    raise SessionError("; ".join(reasons))


def _begin_at(
    base: Path, signature: ImageSignature, labels_path: str | None, about: About
) -> SessionStore:
    folder = make_session_folder(base)
    store = None
    try:
        store = SessionStore(folder, signature, labels_path)
        store.write_state(SessionState(), about)
    except (OSError, SessionError):
        if store is not None:
            store.close()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return store
