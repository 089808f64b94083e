"""References as they are shown, and as they are handed to a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_seggpt.prompts import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One example that the model is shown.

    Attributes
    ----------
    frame : int or None
        The frame of the stack; None if it comes from elsewhere.
    enabled : bool
        Whether it is used.
    is_labelled : bool
        Whether it has any label; one without shows what is background.
    name : str or None
        What an example from elsewhere was called when it was added.
    prompt : Prompt or None
        The example from elsewhere.
    is_hint : bool
        Whether what is unlabelled in it is unknown, rather than background.
    """

    frame: int | None = None
    enabled: bool = True
    is_labelled: bool = True
    name: str | None = None
    prompt: Prompt | None = None
    is_hint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromptSource:
    """What a worker makes a prompt of.

    Attributes
    ----------
    identity : tuple
        Equal for two sources only if they make equal prompts.
    labels : NDArray
        (H, W), a copy.
    frame : int or None
        The frame of the stack that the image is read from.
    image : NDArray or None
        The image, if it comes from elsewhere.
    is_hint : bool
        Whether what is unlabelled is unknown.
    """

    identity: tuple[object, ...]
    labels: NDArray[np.integer[Any]]
    frame: int | None = None
    image: NDArray[Any] | None = None
    is_hint: bool = False
