"""Errors of the files of a session."""

from __future__ import annotations

import struct
import zipfile
import zlib

import tifffile

# What reading a file raises where it holds nonsense.
DAMAGED_FILE_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile,
    tifffile.TiffFileError,
)  # fmt: skip


class SessionError(ValueError):
    """A session that cannot be opened or saved, and why, in one line."""


class SessionInUseError(SessionError):
    """A session that another window writes."""
