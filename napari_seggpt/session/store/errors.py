"""Errors of the files of a session."""

from __future__ import annotations

import zipfile

import tifffile

from napari_seggpt.frames import DAMAGE

# What reading a file raises where it holds nonsense.
DAMAGED_FILE_ERRORS = (*DAMAGE, zipfile.BadZipFile, tifffile.TiffFileError)


class SessionError(ValueError):
    """A session that cannot be opened or saved, and why, in one line."""


class SessionInUseError(SessionError):
    """A session that another window writes."""
