"""Which errors are told in one line, and what a command returns then."""

from __future__ import annotations

from napari_seggpt.untrusted import shortened

USER_ERROR, BUG = 2, 70  # exit codes; 70 is EX_SOFTWARE of sysexits.h
EXPECTED = (ValueError, OSError, RuntimeError, MemoryError)


def one_line(error: Exception) -> str:
    """Return what an error says, and its name if it says nothing."""
    return shortened(" ".join(str(error).split())) or type(error).__name__
