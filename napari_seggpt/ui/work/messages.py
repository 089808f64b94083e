"""What the dock says: a sentence and what kind of thing it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from napari_seggpt.untrusted import safe_message

if TYPE_CHECKING:
    from typing import Self

MOST_LEFT_OUT = 2  # references, of which a message tells one by one


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

    @classmethod
    def plain(cls, text: str, tone: Tone = Tone.HINT) -> Self:
        """Return a message that shows a text as it is, whatever a file has put in it.

        It has a bounded length.
        """
        return cls(text=escape(safe_message(text)), tone=tone)
