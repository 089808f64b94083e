"""What commands say: without anything that a terminal would obey."""

from __future__ import annotations

import sys

from napari_seggpt.untrusted import printable, safe_message


def say(text: str) -> None:
    """Print a result."""
    print(printable(text))


def warn(text: str) -> None:
    """Print a message on the standard error stream."""
    print(safe_message(text), file=sys.stderr)
