"""What the dock says: a sentence and what kind of thing it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


def count_of(number: int, thing: str) -> str:
    """Return a number of things in words, such as "1 frame" or "3 frames"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


class Tone(StrEnum):
    """What kind of thing is said."""

    HINT = "hint"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A sentence for the person at the window, as rich text."""

    text: str
    tone: Tone = Tone.HINT
