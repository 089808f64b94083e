"""SessionState: what a session knows beside its frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_seggpt.settings import SessionSettings

if TYPE_CHECKING:
    from napari_seggpt.prompts import TunedPrompt
    from napari_seggpt.session.references.reference import Reference


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SessionState:
    """What a session knows beside its frames.

    Attributes
    ----------
    settings : SessionSettings
        Its settings.
    stacks : int
        How often the model was shown other images of the same frames, counted from 1.
    locked : tuple of int
        Labels that keep their pixels.
    examples : tuple of Reference
        Labelled images from elsewhere.
    tuned : TunedPrompt or None
        A prompt that has learned.
    """

    settings: SessionSettings = field(default_factory=SessionSettings)
    stacks: int = 1
    locked: tuple[int, ...] = ()
    examples: tuple[Reference, ...] = ()
    tuned: TunedPrompt | None = None
